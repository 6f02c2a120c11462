"""What the office answers to a file of the load host's log: new, in its place?

Decides the answer to a proven file from what is kept of its issuer's log. Leaves the proof to
`settlement.intake.signed_file`, loading and keeping to `settlement.service.receive_load_log`, and
what an allowed load means to `settlement.loads`. Numbers begin at 1: a file behind a hole is kept
and waits, and nothing is read of it until the hole is filled. Which files wait is never stored, as
with batch files.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime

from cardcore.records.load_log import (
    AllowedLoad,
    LoadLogFile,
    LoadLogHeader,
    chain_start,
    decode_header,
)
from cardcore.text import Text
from settlement.intake.answers import Acknowledgement, FileAnswer, SequenceRange, encode_ranges
from settlement.intake.signed_file import issuer_of, read_head, refuse, refuse_bytes
from settlement.seal import Sealable, digest


@dataclass(frozen=True, slots=True)
class StoredLoadLog:
    """The row of a kept file: what it says of itself, and what was answered first. `digest` is that
    of the log up to its end, which the next file must follow.
    """

    content_hash: str
    issuer: str  # 16 hexadecimal digits
    first_number: int
    entry_count: int
    key_version: int
    previous: str
    digest: str
    created_at: datetime
    received_at: datetime
    size_bytes: int
    amount_fen: int
    answer: FileAnswer
    missing: tuple[SequenceRange, ...]

    @property
    def last_number(self) -> int:
        """The number of its last entry."""
        return self.first_number + self.entry_count - 1

    def acknowledgement(self) -> Acknowledgement:
        """The first answer, as it was given: the sequence is the number of the first entry."""
        return Acknowledgement(
            answer=self.answer,
            content_hash=self.content_hash,
            received_at=self.received_at,
            sequence=self.first_number,
            business_day=self.created_at.date(),
            record_count=self.entry_count,
            load_fen=self.amount_fen,
            missing=self.missing,
            detail=Text(
                f"发卡机构 {self.issuer} 的圈存授权日志", f"load log of issuer {self.issuer}"
            ),
        )

    @property
    def row_hash(self) -> str:
        """Covers every field, so that a changed row shows."""
        return digest({name: self._sealed(name) for name in self.__slots__})

    def _sealed(self, name: str) -> Sealable:
        value = getattr(self, name)
        return encode_ranges(value) if name == "missing" else value


@dataclass(frozen=True, slots=True)
class LoadLogHistory:
    """What the store knows that bears on one file."""

    same_content: StoredLoadLog | None = None
    same_numbers: str | None = None  # content hash of a file that has some of its numbers
    before: str | None = None  # digest of the file that ends just before it
    after: str | None = None  # what the file that begins just behind it says it follows
    missing: tuple[SequenceRange, ...] = ()  # numbers below its first that are not there


@dataclass(frozen=True, slots=True)
class LoggedLoad:
    """An allowed load as it stands in a log. `logged_on` is the day on which the host made the
    file: the time in the entry is the kiosk's.
    """

    issuer: str
    logged_on: date
    load: AllowedLoad


@dataclass(frozen=True, slots=True)
class LogReach:
    """How far the log of an issuer is there without a hole: up to this number, and as the host had
    it at this moment; files behind a hole wait, and `missing` are the numbers they wait for.
    """

    issuer: str
    last_number: int = 0
    reaches: datetime | None = None
    missing: tuple[SequenceRange, ...] = ()


def read_reach(files: Iterable[StoredLoadLog]) -> tuple[LogReach, ...]:
    """How far each log reaches; `files` are all there are, by issuer and number."""
    found: dict[str, LogReach] = {}
    ends: dict[str, int] = {}
    for each in files:
        reach = found.get(each.issuer, LogReach(each.issuer))
        end = ends.get(each.issuer, 0)
        if each.first_number > end + 1:
            hole = (end + 1, each.first_number - 1)
            reach = replace(reach, missing=(*reach.missing, hole))
        if not reach.missing:
            reach = replace(reach, last_number=each.last_number, reaches=each.created_at)
        found[each.issuer], ends[each.issuer] = reach, each.last_number
    return tuple(found.values())


def read_log_claim(data: bytes, now: datetime) -> LoadLogHeader | Acknowledgement:
    """What the header claims, not yet proven, or a refusal."""
    header = read_head(data, decode_header, now)
    if isinstance(header, Acknowledgement):
        return header
    if header.entry_count < 1:
        reason = Text("文件至少有一个条目", "a file has at least one entry")
        return refuse_bytes(FileAnswer.NOT_A_LOAD_LOG, data, now, reason, header)
    return header


def place_log(
    file: LoadLogFile, size_bytes: int, history: LoadLogHistory, now: datetime
) -> StoredLoadLog | Acknowledgement:
    """The row to keep for a proven file, or the answer when nothing is to be kept."""
    header = file.header
    if history.same_content is not None:
        first = history.same_content.acknowledgement()
        return replace(first, answer=FileAnswer.ALREADY_RECEIVED, first_answer=first.answer)
    if history.same_numbers is not None:
        reason = Text(
            f"文件 {history.same_numbers} 有相同编号的条目",
            f"file {history.same_numbers} has entries of the same numbers",
        )
        return refuse(FileAnswer.SEQUENCE_CONFLICT, file.content_hash, now, reason, header)
    before = chain_start(header.issuer).hex() if header.first_number == 1 else history.before
    if before is not None and before != header.previous.hex():
        end = header.first_number - 1
        reason = Text(
            f"截至第 {end} 条的日志摘要为 {before}", f"the log up to entry {end} is {before}"
        )
        return refuse(FileAnswer.LOG_FORKED, file.content_hash, now, reason, header)
    if history.after is not None and history.after != file.digest.hex():
        last = header.first_number + header.entry_count - 1
        reason = Text(
            f"已收第 {last} 条之后的部分接续 {history.after}",
            f"what is kept behind entry {last} follows {history.after}",
        )
        return refuse(FileAnswer.LOG_FORKED, file.content_hash, now, reason, header)
    return StoredLoadLog(
        content_hash=file.content_hash,
        issuer=issuer_of(header),
        first_number=header.first_number,
        entry_count=header.entry_count,
        key_version=header.key_version,
        previous=header.previous.hex(),
        digest=file.digest.hex(),
        created_at=header.created_at,
        received_at=now,
        size_bytes=size_bytes,
        amount_fen=sum(each.amount_fen for each in file.loads),
        answer=FileAnswer.WAITING_FOR_GAP if history.missing else FileAnswer.ACCEPTED,
        missing=history.missing,
    )
