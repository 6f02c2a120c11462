"""The register of day seals (日封存登记册): which days of which city were sealed, and with what.

Decides whether a day may be sealed: one seal a number and label, numbers without a gap, days in
order. Leaves the signature to `operations`. A line is on the disk before its signature is made, so
no seal is known to anybody that the register does not know, whatever is killed or loses power.

One line a seal, JSON, each naming the hash of the line before it: a line that was changed, left out
or put elsewhere is a fault, and then nothing is sealed. That its end is missing, nobody sees from
it alone: the key service's log tells of every seal as well, and so does whoever holds one.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import BinaryIO

from cardcore.crypto.day_seals import DIGEST_BYTES
from cardcore.errors import (
    KeyServiceUnavailableError,
    SealRefusedError,
    system_words,
)
from cardcore.keys import DaySeal
from cardcore.text import Text

#: In the folder of the device.
SEALS = "day-seals.jsonl"
_FOLDER_MODE, _FILE_MODE = 0o700, 0o600
_SHOWN_DIGITS = 12


class SealRegister:
    """The seals of all labels in one file, made with the first one. Threads and processes may share
    it: each looks at what the others wrote, under a lock.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def newest(self, label: str) -> DaySeal | None:
        """The newest seal of a label. Raises `KeyServiceUnavailableError` for a register that
        cannot be read, or was changed.
        """
        with _told(self._path):
            try:
                with self._path.open("rb") as file:
                    fcntl.flock(file, fcntl.LOCK_SH)
                    seals, _, _ = self._read(file)
            except FileNotFoundError:
                return None
        return seals[label][-1] if label in seals else None

    def enter(self, label: str, seal: DaySeal) -> None:
        """See that the register has this seal. Raises `SealRefusedError` when the number has
        another one, or it is not this one's turn; `KeyServiceUnavailableError` as `newest` does.
        """
        with _told(self._path):
            is_new = not self._path.exists()
            if is_new:
                self._path.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            with os.fdopen(os.open(self._path, flags, _FILE_MODE), "r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                seals, size, head = self._read(file)
                if not _has(label, seals.get(label, []), seal):
                    # A line that was cut off by the power was told to nobody.
                    file.truncate(size)
                    file.seek(size)
                    file.write(_line(label, seal, head))
                    file.flush()
                # Also of a line that is there: whoever wrote it may have been killed before this.
                os.fsync(file.fileno())
            if is_new:
                for folder in (self._path.parent, self._path.parent.parent):
                    _sync_names(folder)

    def _read(self, file: BinaryIO) -> tuple[dict[str, list[DaySeal]], int, str]:
        """Every seal by label, the length of the whole lines, and the hash of the last one."""
        text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        seals: dict[str, list[DaySeal]] = {}
        head = ""
        for number, line in enumerate(whole.splitlines(keepends=True), 1):
            found = _of_line(line)
            if found is None or _line(*found, head) != line:
                raise KeyServiceUnavailableError(_damaged(self._path, number))
            label, seal = found
            of_label = seals.setdefault(label, [])
            if not _follows(of_label, seal):
                raise KeyServiceUnavailableError(_damaged(self._path, number))
            of_label.append(seal)
            head = hashlib.sha256(line).hexdigest()
        return seals, len(whole), head


def _follows(seals: list[DaySeal], seal: DaySeal) -> bool:
    """Whether a seal is the next one. A register that begins later than its city, in a new device,
    takes the first number it is asked for.
    """
    if seal.number < 1 or len(seal.digest) != DIGEST_BYTES:
        return False
    return not seals or (seal.number == seals[-1].number + 1 and seal.day > seals[-1].day)


def _has(label: str, seals: list[DaySeal], seal: DaySeal) -> bool:
    """Whether this very seal is there; False when it is the next one."""
    for each in seals:
        if each.number == seal.number:
            if each == seal:
                return True
            raise SealRefusedError(
                Text(
                    f"day-seal/{label}：第 {seal.number} 日已封存为 {_shown(each).zh}，不再封存"
                    f"为 {_shown(seal).zh}",
                    f"day-seal/{label}: day number {seal.number} is sealed as {_shown(each).en}, "
                    f"and never as {_shown(seal).en}",
                )
            )
    if _follows(seals, seal):
        return False
    newest = seals[-1] if seals else None
    due = 1 if newest is None else newest.number + 1
    if newest is None or seal.number != due:
        raise SealRefusedError(
            Text(
                f"day-seal/{label}：轮到第 {due} 日，不是第 {seal.number} 日",
                f"day-seal/{label}: day number {due} is due, not {seal.number}",
            )
        )
    raise SealRefusedError(
        Text(
            f"day-seal/{label}：第 {seal.number} 日 {seal.day} 不晚于已封存的第 {newest.number} 日 "
            f"{newest.day}",
            f"day-seal/{label}: day number {seal.number} ({seal.day}) does not follow day number "
            f"{newest.number} ({newest.day}), which is sealed",
        )
    )


def _shown(seal: DaySeal) -> Text:
    digits = seal.digest.hex()[:_SHOWN_DIGITS]
    return Text(f"{seal.day} {digits}…", f"{seal.day} {digits}…")


def _line(label: str, seal: DaySeal, previous: str) -> bytes:
    fields = {
        "label": label,
        "number": seal.number,
        "day": seal.day.isoformat(),
        "digest": seal.digest.hex(),
        "previous": previous,
    }
    return json.dumps(fields, ensure_ascii=False).encode() + b"\n"


def _of_line(line: bytes) -> tuple[str, DaySeal] | None:
    """What `_line` was written of; None for what it cannot have written."""
    try:
        fields = json.loads(line)
        day, digest = date.fromisoformat(fields["day"]), bytes.fromhex(fields["digest"])
        return str(fields["label"]), DaySeal(int(fields["number"]), day, digest)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _damaged(path: Path, number: int) -> Text:
    return Text(
        f"{path} 第 {number} 行：日封存登记册被改动；请由备份恢复，其后各日见设备日志",
        f"{path}, line {number}: the register of day seals was changed; restore it from a copy, "
        "and hold it against the device's log",
    )


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What the disk refuses is no refusal of ours: nothing was sealed, ask again."""
    try:
        yield
    except OSError as error:
        why = system_words(error)
        raise KeyServiceUnavailableError(
            Text(
                f"日封存登记册 {path} 无法读写：{why.zh}",
                f"the register of day seals {path} cannot be used: {why.en}",
            )
        ) from error


def _sync_names(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
