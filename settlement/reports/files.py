"""Batch files as people list them (批次文件): what was answered, and what they wait for.

Decides the standings of a kept file and their words, and which files of a load log wait.
Leaves the answer to intake.
"""

from dataclasses import dataclass
from datetime import date
from enum import Enum
from itertools import islice

from cardcore.text import Text
from settlement.city import City
from settlement.days.aside import SetAside, leave_out
from settlement.intake.answers import Acknowledgement, FileLine, StoredFile
from settlement.intake.load_log import StoredLoadLog, read_reach
from settlement.intake.takeover import StoredOpenings
from settlement.rulings.kinds import RulingKind
from settlement.rulings.subjects import Subject
from settlement.service.keeping import raw_fault
from settlement.store.files import load_file_lines, load_files, load_refusals
from settlement.store.load_logs import load_load_logs
from settlement.store.rulings import load_book
from settlement.store.takeover import load_openings

#: A sender that begins at a million misses many: so many are named.
MISSING_SHOWN_MAX = 100


class FileStanding(Enum):
    """How far a kept file has come."""

    WAITING = Text("待补", "waiting")  # for earlier files of its sender
    READY = Text("待清算", "ready")  # for the next close
    SETTLED = Text("已清算", "settled")
    SET_ASIDE = Text("已搁置", "set aside")  # by two people

    @property
    def text(self) -> Text:
        """For people."""
        return self.value


@dataclass(frozen=True, slots=True)
class FileReport:
    """A kept file. `settlement_day` is that of the day that settled it, if one did."""

    file: StoredFile
    standing: FileStanding
    settlement_day: date | None


def read_files(city: City, prefix: str = "") -> tuple[FileReport, ...]:
    """Every kept file whose content hash begins so, by sender and sequence."""
    return tuple(_report(line) for line in load_file_lines(city.database, [prefix.lower()]))


@dataclass(frozen=True, slots=True)
class LoadLogReport:
    """A kept file of a load host's log. One behind a hole waits: nothing of it is read."""

    file: StoredLoadLog
    is_waiting: bool


def read_opening_files(city: City, prefix: str = "") -> tuple[StoredOpenings, ...]:
    """Every kept file of opening balances whose content hash begins so, in their order."""
    files = [file for file, _ in load_openings(city.database)]
    return tuple(file for file in files if file.content_hash.startswith(prefix.lower()))


def read_load_logs(city: City, prefix: str = "") -> tuple[LoadLogReport, ...]:
    """Every kept file of a log whose content hash begins so, by issuer and number."""
    files = [file for file, _ in load_load_logs(city.database)]
    reach = {each.issuer: each.last_number for each in read_reach(files)}
    return tuple(
        LoadLogReport(file, file.last_number > reach[file.issuer])
        for file in files
        if file.content_hash.startswith(prefix.lower())
    )


def read_refusals(city: City, prefix: str = "") -> tuple[Acknowledgement, ...]:
    """Every refused file whose content hash begins so, in the order of receipt."""
    return tuple(
        each.acknowledgement
        for each in load_refusals(city.database)
        if each.acknowledgement.content_hash.startswith(prefix.lower())
    )


def read_missing(city: City) -> tuple[Subject, ...]:
    """The sequences that waiting files wait for, by sender: neither received nor ruled to be lost.
    Named as rulings name them.
    """
    lines = load_file_lines(city.database)
    there = {(line.file.sender, line.file.sequence) for line in lines}
    skipped = {
        Subject.parse(item)
        for each in load_book(city.database).rulings(RulingKind.FILES_SKIP)
        for item in each.subjects
    }
    last: dict[int, int] = {}
    for line in lines:
        if _report(line).standing is FileStanding.WAITING:
            last[line.file.sender] = max(line.file.sequence, last.get(line.file.sender, 0))
    missing = (
        Subject("sequence", (str(sender), str(sequence)))
        for sender in sorted(last)
        for sequence in range(1, last[sender])
        if (sender, sequence) not in there
    )
    return tuple(islice((each for each in missing if each not in skipped), MISSING_SHOWN_MAX))


def read_set_aside(city: City) -> tuple[SetAside, ...]:
    """The ready files that a run would go on without now, by sender and sequence."""
    ready = [row for row in load_files(city.database) if row.is_ready and not row.settlement_day]
    faults = {row.file.content_hash: raw_fault(city, row) for row in ready}
    return leave_out(ready, {each: why for each, why in faults.items() if why is not None})[1]


def _report(line: FileLine) -> FileReport:
    if line.settlement_day is not None:
        standing = FileStanding.SETTLED
    elif line.is_aside:
        standing = FileStanding.SET_ASIDE
    else:
        standing = FileStanding.READY if line.is_ready else FileStanding.WAITING
    return FileReport(line.file, standing, line.settlement_day)
