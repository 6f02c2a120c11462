"""Up to where a day reads the logs of load hosts (圈存授权日志): one end for each issuer.

Decides which entries are a day's. An entry belongs to the day on which its host made the file, but
not to a later one than the office had it: no clock of a kiosk, and no fast one of a host, can keep
an entry back. A log is read in order, so a run says with one number and one digest everything that
it saw of it. Leaves what an entry means to `settlement.loads`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from settlement.intake.load_log import StoredLoadLog
from settlement.registry.book import civil_day
from settlement.seal import Sealable


@dataclass(frozen=True, slots=True)
class LogEnd:
    """The last entry that is read of an issuer's log, and the digest of the log up to it."""

    issuer: str  # 16 hexadecimal digits
    number: int
    digest: str

    def content(self) -> Sealable:
        """As it stands in the inputs of a run."""
        return [self.issuer, self.number, self.digest]


def log_ends(
    files: Iterable[StoredLoadLog],
    settlement_day: date,
    business_day: Callable[[datetime], date],
    is_whole: Callable[[StoredLoadLog], bool],
) -> tuple[LogEnd, ...]:
    """Up to where a run over a day reads each log; `files` are all there are, by issuer and number.
    Nothing behind a hole is read, nor behind a file that is not whole on the disk.
    """
    ends: dict[str, LogEnd] = {}
    unbroken: dict[str, int] = {}
    for file in files:
        is_next = file.first_number == unbroken.get(file.issuer, 0) + 1
        if not is_next or not is_whole(file):
            unbroken[file.issuer] = -1  # no number follows
            continue
        unbroken[file.issuer] = file.last_number
        made, had = business_day(file.created_at), civil_day(file.received_at)
        if min(made, had) <= settlement_day:
            ends[file.issuer] = LogEnd(file.issuer, file.last_number, file.digest)
    return tuple(ends[issuer] for issuer in sorted(ends))


def read_between(
    files: Iterable[StoredLoadLog], before: Iterable[LogEnd], ends: Iterable[LogEnd]
) -> tuple[StoredLoadLog, ...]:
    """The files that are read on the way from where one run stopped to where another one does. A
    run stops at the end of a file.
    """
    read: Mapping[str, int] = {each.issuer: each.number for each in before}
    until: Mapping[str, int] = {each.issuer: each.number for each in ends}
    return tuple(
        file
        for file in files
        if read.get(file.issuer, 0) < file.first_number
        and file.last_number <= until.get(file.issuer, 0)
    )
