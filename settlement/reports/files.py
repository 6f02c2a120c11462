"""Batch files as people list them (批次文件): what was answered, and what they wait for.

Decides the standings of a kept file and their words, and which files of a load log wait.
Leaves the answer to intake.
"""

from dataclasses import dataclass
from datetime import date
from enum import Enum

from cardcore.text import Text
from settlement.city import City
from settlement.days.aside import SetAside, leave_out
from settlement.intake.answers import Acknowledgement, FileLine, StoredFile
from settlement.intake.load_log import StoredLoadLog, read_reach
from settlement.service.keeping import raw_fault
from settlement.store.files import load_file_lines, load_files, load_refusals
from settlement.store.load_logs import load_load_logs


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
