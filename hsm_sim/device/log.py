"""The log of a device (密钥设备日志): every attempt, each entry bound to the one before it.

Decides how an entry is written, how a chain is proven and how its end is held against what the
device's document says of it. Leaves what is logged to `device` and the server, and that document's
seal to `document`. An entry names roles and keys, check values and reasons; never a
byte of a key, a component or a PIN.

Each line is one JSON object. Its hash is SHA-256 over the object without the hash, keys sorted, no
space, UTF-8; `previous` is the hash of the line before, and of the device's name for the first.
So an entry that is changed, removed or put elsewhere is found by anybody, and a tail that is cut
off by count and hash of the end in the device's document. Every entry says how often the keys had
been changed by then: keys that were put back to an older day do not fit a log that tells of the
days since.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from cardcore.text import Text
from hsm_sim.device.errors import NOT_OF_THE_FORM, LogError
from hsm_sim.device.storage import LOG, DeviceFolder

REASON_CHARACTERS_MAX = 400
HEAD_DIGITS_MIN = 16  # of a hash that people write down: 64 bits


class Outcome(StrEnum):
    """What became of an attempt."""

    DONE = "done"  # 完成
    REFUSED = "refused"  # 拒绝: nothing was changed


@dataclass(frozen=True, slots=True)
class Event:
    """What happened, before it has a place in the chain.

    `roles` are those who were there. `key` and `check_value` are empty where no key is meant;
    `reason` says why it was refused, or what else belongs to it.
    """

    time: datetime
    roles: tuple[str, ...]
    action: str
    outcome: Outcome = Outcome.DONE
    key: str = ""
    check_value: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """An event at its place: `sequence` counts from 1, `generation` the changes of keys and
    custody up to this one.
    """

    sequence: int
    generation: int
    event: Event
    previous: str

    def document(self) -> dict[str, Any]:
        """The entry as its line says it, with its hash."""
        return {**self._content(), "hash": self.hash}

    @property
    def hash(self) -> str:
        """64 hexadecimal digits over everything in the entry."""
        return hashlib.sha256(canonical(self._content())).hexdigest()

    def _content(self) -> dict[str, Any]:
        return {
            "sequence": self.sequence,
            "generation": self.generation,
            "time": self.event.time.isoformat(timespec="seconds"),
            "roles": list(self.event.roles),
            "action": self.event.action,
            "key": self.event.key,
            "check_value": self.event.check_value,
            "outcome": str(self.event.outcome),
            "reason": self.event.reason[:REASON_CHARACTERS_MAX],
            "previous": self.previous,
        }


@dataclass(frozen=True, slots=True)
class LogEnd:
    """Where a log ends: how many entries it has, and the hash of the last."""

    count: int
    head: str


def canonical(document: Mapping[str, Any]) -> bytes:
    """JSON in one way only: keys sorted, no space, UTF-8.

    >>> canonical({"b": 1, "a": "密钥"}).decode()
    '{"a":"密钥","b":1}'
    """
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def chain_start(device_id: str) -> str:
    """What the first entry names as the one before it."""
    return hashlib.sha256(f"onecard device {device_id}".encode()).hexdigest()


def read_entry(document: Mapping[str, Any], sequence: int, previous: str) -> LogEntry:
    """One entry out of its JSON, proven to stand at this place. `LogError` when it does not."""
    try:
        entry = LogEntry(
            int(document["sequence"]),
            int(document["generation"]),
            Event(
                datetime.fromisoformat(document["time"]),
                tuple(map(str, document["roles"])),
                str(document["action"]),
                Outcome(document["outcome"]),
                str(document["key"]),
                str(document["check_value"]),
                str(document["reason"]),
            ),
            str(document["previous"]),
        )
        is_whole = canonical(entry.document()) == canonical(document)
    except (*NOT_OF_THE_FORM, RecursionError):
        raise LogError(
            sequence, Text("不成条目：已被改动", "is no entry: it was changed")
        ) from None
    if not is_whole:
        raise LogError(
            sequence,
            Text(
                "哈希与其内容不符：已被改动",
                "does not have the hash of what it says: it was changed",
            ),
        )
    if (entry.sequence, entry.previous) != (sequence, previous):
        raise LogError(
            sequence,
            Text(
                "与前一条不相接：有条目被删除或挪动",
                "does not follow the one before: one was removed or put elsewhere",
            ),
        )
    return entry


def read_line(line: bytes) -> dict[str, Any] | None:
    """The JSON object of a line; None when it is none."""
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


class _Chain:
    """The hashes of a log as far as it was read."""

    def __init__(self, device_id: str) -> None:
        self.hashes = [chain_start(device_id)]  # index: how many entries end there
        self.generation = 0

    @property
    def count(self) -> int:
        return len(self.hashes) - 1

    def read(self, text: bytes) -> list[LogEntry]:
        """Go on with whole lines."""
        entries = []
        for line in text.splitlines():
            entry = read_entry(read_line(line) or {}, self.count + 1, self.hashes[-1])
            if entry.generation < self.generation:
                raise LogError(
                    entry.sequence,
                    Text("所述密钥比前一条更旧", "tells of older keys than the one before it"),
                )
            self.add(entry)
            entries.append(entry)
        return entries

    def add(self, entry: LogEntry) -> None:
        self.hashes.append(entry.hash)
        self.generation = entry.generation


class DeviceLog:
    """The log file of one device. Every method wants the folder's lock held."""

    def __init__(self, folder: DeviceFolder, device_id: str) -> None:
        self._folder = folder
        self._device_id = device_id
        self._chain = _Chain(device_id)
        self._bytes_read = 0
        self._is_durable = True
        self._left = folder.mark(LOG)

    @property
    def count(self) -> int:
        """How many entries were read or written so far."""
        return self._chain.count

    @property
    def head(self) -> str:
        """The hash of the last one."""
        return self._chain.hashes[-1]

    @property
    def end(self) -> LogEnd:
        """Both."""
        return LogEnd(self.count, self.head)

    def has(self, noted: str) -> bool:
        """Whether an entry has that hash, of which the first 16 digits are enough."""
        digits = noted.lower()
        return len(digits) >= HEAD_DIGITS_MIN and any(
            each.startswith(digits) for each in self._chain.hashes[1:]
        )

    def is_as_left(self) -> bool:
        """Whether the log lies there as it was last read or written here."""
        return self._left == self._folder.mark(LOG)

    def catch_up(self) -> None:
        """Read and prove what others wrote since: what was added to the file, or all of it when
        it is another one now. A line cut in half by a power cut is dropped: what it told of had not
        been said to anybody.
        """
        if self._folder.size(LOG) < self._bytes_read:
            raise LogError(
                self.count, Text("已不在：日志被截断", "is no longer there: the log was cut")
            )
        if self._bytes_read and not self._was_added_to():
            self._read_anew()
        text = self._folder.read_from(LOG, self._bytes_read)
        whole = text[: text.rfind(b"\n") + 1]
        self._chain.read(whole)
        self._bytes_read += len(whole)
        if whole:
            self._is_durable = False  # for all we know
        if len(whole) < len(text):
            self._folder.truncate(LOG, self._bytes_read)
        self._left = self._folder.mark(LOG)

    def _was_added_to(self) -> bool:
        left, found = self._left, self._folder.mark(LOG)
        if left is None or found is None:
            return left == found
        return left == found or (left[0] == found[0] and left[1] < found[1])

    def _read_anew(self) -> None:
        """Prove the file from its beginning to where it was read before."""
        chain = _Chain(self._device_id)
        chain.read(self._folder.read_from(LOG, 0)[: self._bytes_read])
        if (chain.count, chain.hashes[-1]) != (self.count, self.head):
            raise LogError(
                self.count,
                Text(
                    "不是原来的那一条：日志被重写", "is another one now: the log was written anew"
                ),
            )

    def following(self, event: Event, generation: int) -> LogEntry:
        """The entry this event would be, were it written now, with the keys of that generation."""
        return LogEntry(self.count + 1, generation, event, self.head)

    def write(self, entry: LogEntry, *, is_durable: bool = True) -> None:
        """Append an entry made by `following`. It is on the disk when this returns, or when `sync`
        has run: the power may take entries that nothing durable speaks of yet.
        """
        assert (entry.sequence, entry.previous) == (self.count + 1, self.head), entry.sequence
        line = canonical(entry.document()) + b"\n"
        self._folder.append(LOG, line, is_durable=is_durable)
        self._bytes_read += len(line)
        self._is_durable = is_durable
        self._chain.add(entry)
        self._left = self._folder.mark(LOG)

    def sync(self) -> None:
        """See to the disk what anybody wrote, before the device's file speaks of it: that would
        call a log cut from which the power took entries.
        """
        if not self._is_durable:
            self._folder.sync(LOG)
            self._is_durable = True

    def settle(self, entry: LogEntry) -> None:
        """See that the entry the device's file carries stands in the log: written when a power cut
        came between the two, proven when it is there. `LogError` when the log was cut or changed,
        and when it tells of changes of keys that came later: then the file is an old one.
        """
        if (entry.sequence, entry.previous) == (self.count + 1, self.head):
            self.write(entry)
        elif entry.sequence > self.count or self._chain.hashes[entry.sequence] != entry.hash:
            raise LogError(
                min(entry.sequence, self.count + 1),
                Text(
                    "不是设备文件所记的那一条：日志被截断或改动",
                    "is not the one the device's file carries: the log was cut or changed",
                ),
            )
        elif entry.generation != self._chain.generation:
            raise LogError(
                self.count,
                Text(
                    "述及设备文件所没有的变更：文件被换成了旧的",
                    "tells of changes that the device's file does not have: an older file was put "
                    "in "
                    "its place",
                ),
            )

    def check_end(self, end: LogEnd) -> None:
        """Hold the log against what the device's file says of it. Entries behind that are not
        sealed yet. Raises `LogError` for a log that is shorter, or another one.
        """
        if not 0 <= end.count <= self.count:
            raise LogError(
                self.count + 1,
                Text(
                    f"至第 {end.count} 条缺失：日志被截断",
                    f"is missing, up to {end.count}: the log was cut",
                ),
            )
        if self._chain.hashes[end.count] != end.head:
            raise LogError(
                end.count,
                Text(
                    "不是已封的那一条：日志被重写",
                    "is not the one that was sealed: the log was written anew",
                ),
            )
