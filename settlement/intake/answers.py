"""What is answered to a file, and how a kept one stands in the office.

Decides the closed list of answers in their order of precedence, and the values that go with them.
Leaves choosing the answer to `settlement.intake.decide`.
"""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import IntEnum

from cardcore.text import Text
from settlement.day_seals import SignedSeal
from settlement.seal import Sealable, canonical_json, digest

#: A clock outside may run ahead of the office's by so much: the zone of the city, and hours of
#: drift.
CLOCK_AHEAD_MAX = timedelta(days=1)
#: So many holes are named in one answer, the first ones: whoever sends those is told the next. A
#: sender that numbers its files with holes would otherwise have each file kept with all of them.
MISSING_RANGES_MAX = 20
#: First and last sequence of a hole, both missing.
SequenceRange = tuple[int, int]


class FileAnswer(IntEnum):
    """The answer to a file, in order of precedence. Numbers are never used again."""

    NOT_A_BATCH = 1
    NOT_A_LOAD_LOG = 21
    VERSION_UNKNOWN = 2
    TOO_LARGE = 3
    SENDER_UNKNOWN = 4
    TRUNCATED = 5
    TOO_LONG = 6
    ALTERED = 7
    SIGNATURE_WRONG = 8
    TOTALS_WRONG = 9
    ENTRY_WRONG = 22
    ALREADY_RECEIVED = 10
    SEQUENCE_CONFLICT = 11
    LOG_FORKED = 23
    VERSION_WENT_BACK = 14
    BEYOND_BOUNDS = 15
    WAITING_FOR_GAP = 12
    ACCEPTED = 13

    @property
    def is_kept(self) -> bool:
        """Whether the file is in the office's keeping after this answer."""
        return self in _KEPT

    @property
    def is_alarm(self) -> bool:
        """Whether a person must look: two contents claim one place, or a log contradicts itself."""
        return self in _ALARMS

    @property
    def retry_may_help(self) -> bool:
        """Whether sending the file again, from the sender's own copy, may be answered otherwise."""
        return self in _RETRY_MAY_HELP

    @property
    def text(self) -> Text:
        """For people."""
        return _TEXTS[self]


_KEPT = frozenset({FileAnswer.ALREADY_RECEIVED, FileAnswer.WAITING_FOR_GAP, FileAnswer.ACCEPTED})
_ALARMS = frozenset({FileAnswer.ENTRY_WRONG, FileAnswer.SEQUENCE_CONFLICT, FileAnswer.LOG_FORKED})
#: Damage on the way, or a registry that is behind.
_RETRY_MAY_HELP = frozenset(
    {
        FileAnswer.SENDER_UNKNOWN,
        FileAnswer.TRUNCATED,
        FileAnswer.TOO_LONG,
        FileAnswer.ALTERED,
    }
)


_TEXTS = {
    FileAnswer.NOT_A_BATCH: Text("不是批次文件", "this is not a batch file"),
    FileAnswer.NOT_A_LOAD_LOG: Text("不是圈存授权日志文件", "this is not a file of a load log"),
    FileAnswer.VERSION_UNKNOWN: Text(
        "文件版本不识别", "a format version this office does not know"
    ),
    FileAnswer.TOO_LARGE: Text("文件过大", "larger than a batch file may be"),
    FileAnswer.SENDER_UNKNOWN: Text(
        "发送方未登记", "the sender or its key version is not registered"
    ),
    FileAnswer.TRUNCATED: Text("文件不完整", "the file ends too early"),
    FileAnswer.TOO_LONG: Text("文件尾部多余", "bytes follow the end of the file"),
    FileAnswer.ALTERED: Text("文件内容被改动", "the content was altered on the way"),
    FileAnswer.SIGNATURE_WRONG: Text("签名不符", "not signed by the sender it names"),
    FileAnswer.TOTALS_WRONG: Text("合计不符", "the totals are not those of the records"),
    FileAnswer.ENTRY_WRONG: Text(
        "日志条目不符", "an entry of the load log is not what the log says it is"
    ),
    FileAnswer.ALREADY_RECEIVED: Text("重复上传", "received before: the first answer stands"),
    FileAnswer.SEQUENCE_CONFLICT: Text("序号冲突", "another file of this sender has this sequence"),
    FileAnswer.LOG_FORKED: Text(
        "日志接续不符", "it does not follow from the part of the load log that is kept"
    ),
    FileAnswer.VERSION_WENT_BACK: Text(
        "终端记录版本倒退",
        "records of an older version, of a terminal that has sent newer ones before them",
    ),
    FileAnswer.BEYOND_BOUNDS: Text(
        "超出可处理范围", "a register or the business day lies beyond what any run can hold"
    ),
    FileAnswer.WAITING_FOR_GAP: Text("已收妥，等待缺号文件", "kept, but earlier files are missing"),
    FileAnswer.ACCEPTED: Text("已收妥", "received and complete"),
}
assert set(_TEXTS) == set(FileAnswer)


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What the sender is told. `missing` names the sequences to send again, as ranges.

    For a repeated file everything is as the first time, except `answer`; `first_answer` is what
    was answered then. Sums are fen; a refused file has none. `detail` says why it was refused, or
    what is worth a look in one that was kept. `newest_seal` is that of the day closed last when
    this was said: whoever keeps the answer is a witness of it.
    """

    answer: FileAnswer
    content_hash: str
    received_at: datetime
    sender: int | None = None
    sequence: int | None = None
    business_day: date | None = None
    record_count: int = 0
    debit_fen: int = 0
    load_fen: int = 0
    missing: tuple[SequenceRange, ...] = ()
    detail: Text | None = None
    first_answer: FileAnswer | None = None
    newest_seal: SignedSeal | None = None


@dataclass(frozen=True, slots=True)
class StoredFile:
    """The row of a kept file: what its header and trailer say, and what was answered first."""

    content_hash: str
    sender: int
    sequence: int
    key_version: int
    business_day: date
    created_at: datetime
    received_at: datetime
    size_bytes: int
    record_count: int
    register_count: int
    debit_fen: int
    load_fen: int
    hash_total: str
    version: int  # of the file and its records
    answer: FileAnswer
    missing: tuple[SequenceRange, ...]

    def acknowledgement(self) -> Acknowledgement:
        """The first answer, as it was given."""
        return Acknowledgement(
            answer=self.answer,
            content_hash=self.content_hash,
            received_at=self.received_at,
            sender=self.sender,
            sequence=self.sequence,
            business_day=self.business_day,
            record_count=self.record_count,
            debit_fen=self.debit_fen,
            load_fen=self.load_fen,
            missing=self.missing,
            detail=self._clock_note(),
        )

    def _clock_note(self) -> Text | None:
        # Nothing follows from the sender's clock, so a file is not refused for it.
        received = self.received_at.astimezone(UTC).replace(tzinfo=None)
        if self.created_at <= received + CLOCK_AHEAD_MAX:
            return None
        return Text(
            f"文件生成时间 {self.created_at}，其时钟超前一天以上",
            f"made at {self.created_at} by a clock more than a day ahead",
        )

    @property
    def row_hash(self) -> str:
        """Covers every field, so that a changed row shows."""
        return digest({name: self._sealed(name) for name in self.__slots__})

    def _sealed(self, name: str) -> Sealable:
        value = getattr(self, name)
        return encode_ranges(value) if name == "missing" else value


@dataclass(frozen=True, slots=True)
class FactFileRow:
    """One fact file of one batch file: its bucket, its rows, the SHA-256 of its bytes, and how many
    of its rows could not be judged for want of a key.
    """

    bucket: int
    row_count: int
    sha256: str
    unjudged_count: int


@dataclass(frozen=True, slots=True)
class SerialRun:
    """A terminal (12 hexadecimal digits) and serials of it, each of which a file holds."""

    terminal: str
    first_serial: int
    last_serial: int


@dataclass(frozen=True, slots=True)
class FileRow:
    """A kept file as the office holds it."""

    file: StoredFile
    row_hash: str  # as stored; `file.row_hash` is what it should be
    facts: tuple[FactFileRow, ...]
    settlement_day: date | None
    is_ready: bool


@dataclass(frozen=True, slots=True)
class FileLine:
    """A kept file as people list it."""

    file: StoredFile
    settlement_day: date | None
    is_ready: bool
    is_aside: bool = False  # two people took it out


def encode_ranges(ranges: tuple[SequenceRange, ...]) -> str:
    """Ranges as the store keeps them.

    >>> encode_ranges(((3, 3), (5, 9)))
    '[[3,3],[5,9]]'
    """
    return canonical_json([list(each) for each in ranges]).decode()


def encode_detail(detail: Text | None) -> str:
    """What was said with an answer, as the store keeps it.

    >>> encode_detail(Text("文件尾部多余", "bytes follow"))
    '["文件尾部多余","bytes follow"]'
    """
    return "" if detail is None else canonical_json([detail.zh, detail.en]).decode()


def decode_detail(text: str) -> Text | None:
    """What `encode_detail` wrote. What was kept before it was said in two languages is said as it
    stands.

    >>> decode_detail('["文件尾部多余","bytes follow"]').zh
    '文件尾部多余'
    """
    if not text.startswith("["):
        return Text(text, text) if text else None
    return Text(*json.loads(text))


def decode_ranges(text: str) -> tuple[SequenceRange, ...]:
    """What `encode_ranges` wrote.

    >>> decode_ranges('[[3,3],[5,9]]')
    ((3, 3), (5, 9))
    """
    return tuple((first, last) for first, last in json.loads(text))
