"""The folder of a device: files that are old or new and never between, one writer at a time.

Decides how bytes reach the disk. Leaves what they mean to `document` and `log`. Nothing here is
clear: keys and PIN secrets arrive wrapped.
"""

import errno
import fcntl
import json
import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cardcore.text import Text
from hsm_sim.device.errors import DeviceError

DEVICE = "device.json"  # custody, keys, end of the log: its replacement is the one commit
ATTEMPTS = "attempts.json"  # wrong PINs in a row, written before a PIN is judged
LOG = "log.jsonl"
_LOCK = "lock"
#: Everything a device writes; what else lies in its folder is not its own.
FILES = (DEVICE, ATTEMPTS, LOG, _LOCK)
_NEW = ".new"
_FOLDER_MODE, _FILE_MODE = 0o700, 0o600  # its owner's and nobody else's
_DOCUMENT_BYTES_MAX = 16 << 20  # some 30,000 keys
_LOCK_SECONDS_MAX = 10
_LOCK_PAUSE_SECONDS = 0.02
_ROOM_BYTES_MIN = 1 << 20  # for some thousand entries of a log


class DeviceFolder:
    """Files of one device. Writers hold `lock`; readers of whole documents need not."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def check_empty(self) -> None:
        """`DeviceError` unless the folder is new, or holds nothing but a device half made."""
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise DeviceError(
                Text(
                    f"{self.path} 不是目录；请为设备另起一个新目录",
                    f"{self.path} is no folder; name a new one for the device",
                )
            )
        names = {each.name for each in self.path.iterdir()}
        if DEVICE in names:
            raise DeviceError(
                Text(
                    f"{self.path} 已有一台设备；请另起一个新目录",
                    f"{self.path} holds a device already; name a new folder",
                )
            )
        if not names <= {*FILES, *(name + _NEW for name in FILES)}:
            raise DeviceError(
                Text(
                    f"{self.path} 不是空目录；请为设备另起一个新目录",
                    f"{self.path} is not empty; name a new folder for the device",
                )
            )

    @contextmanager
    def making(self) -> Iterator[None]:
        """Make the folder, over what a power cut left of one, and be its only writer.

        `DeviceError` when it is taken, also by somebody who was quicker.
        """
        self.check_empty()
        new = [each for each in (self.path, *self.path.parents) if not each.exists()]
        self.path.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        self.path.chmod(_FOLDER_MODE)
        # A power cut must not take the folder from a device that its custodians have been told of.
        for each in reversed(new):
            _sync_names(each.parent)
        with self.lock():
            self.check_empty()
            for left in self.path.iterdir():
                if left.name != _LOCK:
                    left.unlink()
            yield

    def check_private(self) -> None:
        """`DeviceError` for a folder that others may look into: PINs can be tried on a copy of it,
        and whoever writes there can set the count of wrong ones back.
        """
        if self.path.stat().st_mode & 0o077:
            raise DeviceError(
                Text(
                    f"{self.path}：他人可打开此目录；请用 chmod 700 收回权限",
                    f"{self.path}: others may open this folder; take that away with chmod 700",
                )
            )

    @contextmanager
    def lock(self, wait_seconds: float | None = None) -> Iterator[None]:
        """Be the only writer. `DeviceError` when another holds on to it for so long.

        Each call opens the file anew, so threads of one process exclude each other as well.
        """
        descriptor = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
        try:
            self._wait_for(descriptor, _LOCK_SECONDS_MAX if wait_seconds is None else wait_seconds)
            yield
        finally:
            os.close(descriptor)

    def _wait_for(self, descriptor: int, wait_seconds: float) -> None:
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise DeviceError(
                        Text(
                            f"{self.path}：另一进程正在写入；待其完成后再试",
                            f"{self.path}: another process is writing; try again when it is done",
                        )
                    ) from None
                time.sleep(_LOCK_PAUSE_SECONDS)
            else:
                return

    def stamp(self) -> tuple[int, int, int]:
        """Changes whenever the device's file was replaced: cheap to ask before every request."""
        try:
            found = (self.path / DEVICE).stat()
        except FileNotFoundError:
            raise DeviceError(
                Text(
                    f"{self.path}：这里已没有设备；请从副本恢复目录",
                    f"{self.path}: no device lies here any more; restore the folder from a copy",
                )
            ) from None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def mark(self, name: str) -> tuple[int, int, int] | None:
        """Changes whenever anybody writes a file, cuts it or puts another in its place; None when
        it is not there.
        """
        try:
            found = (self.path / name).lstat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns

    def read(self, name: str) -> dict[str, Any]:
        """A JSON document. `DeviceError` when it is absent, too large or none."""
        path = self.path / name
        try:
            with path.open("rb") as file:
                text = file.read(_DOCUMENT_BYTES_MAX + 1)
        except (FileNotFoundError, NotADirectoryError):
            if (self.path / DEVICE).exists():
                raise DeviceError(
                    Text(
                        f"{path} 缺失：请从副本恢复目录",
                        f"{path} is missing: restore the folder from a copy",
                    )
                ) from None
            raise DeviceError(
                Text(
                    f"{path} 不存在；请用 --device 指明设备目录，或新建一台：`onecard hsm "
                    "ceremony init`",
                    f"{path} is not there; name the folder of a device with --device, "
                    "or make one with `onecard hsm ceremony init`",
                )
            ) from None
        if len(text) > _DOCUMENT_BYTES_MAX:
            raise DeviceError(
                Text(
                    f"{path} 超过 {_DOCUMENT_BYTES_MAX} 字节，已损坏：请从副本恢复目录",
                    f"{path} has more than {_DOCUMENT_BYTES_MAX} bytes and is damaged: restore "
                    "the folder from a copy",
                )
            )
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise DeviceError(
                Text(
                    f"{path} 已损坏：请从副本恢复目录",
                    f"{path} is damaged: restore the folder from a copy",
                )
            )
        return document

    def replace(self, name: str, document: Mapping[str, Any], *, erase_old: bool = False) -> None:
        """Replace a document: after a power cut it is the old one or the new one.

        `erase_old` overwrites the old one's bytes where they lie. A disk that writes elsewhere
        (SSD, copy-on-write) may keep them; they are wrapped under the storage key.
        """
        path, new = self.path / name, self.path / (name + _NEW)
        old = os.open(path, os.O_RDWR | os.O_CLOEXEC) if erase_old else None
        try:
            text = json.dumps(document, ensure_ascii=False, indent=1).encode() + b"\n"
            descriptor = os.open(
                new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _FILE_MODE
            )
            with os.fdopen(descriptor, "wb") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
            _sync_names(self.path)
            if old is not None:
                os.pwrite(old, bytes(os.fstat(old).st_size), 0)
                os.fsync(old)
        finally:
            if old is not None:
                os.close(old)

    def size(self, name: str) -> int:
        """How long a file is, in bytes; 0 when it is not there."""
        path = self.path / name
        return path.lstat().st_size if path.exists() else 0

    def read_from(self, name: str, position: int) -> bytes:
        """The bytes of a file from a position on; none when it is not there."""
        path = self.path / name
        if not path.exists():
            return b""
        with os.fdopen(_open_file(path, os.O_RDONLY), "rb") as file:
            file.seek(position)
            return file.read()

    def append(self, name: str, line: bytes, *, is_durable: bool = True) -> None:
        """Append to a file and see it to the disk, or leave that to `sync`."""
        is_new = not (self.path / name).exists()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        with os.fdopen(_open_file(self.path / name, flags), "wb") as file:
            file.write(line)
            file.flush()
            if is_durable:
                os.fsync(file.fileno())
        if is_new:
            _sync_names(self.path)

    def sync(self, name: str) -> None:
        """See to the disk what was appended to a file."""
        descriptor = os.open(self.path / name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def check_appendable(self, name: str) -> None:
        """`OSError` when nothing could be appended to a file now: it is not there or not ours to
        write, or the disk is full.
        """
        descriptor = _open_file(self.path / name, os.O_WRONLY | os.O_APPEND)
        try:
            disk = os.fstatvfs(descriptor)
            if disk.f_bavail * disk.f_frsize < _ROOM_BYTES_MIN:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path / name))
        finally:
            os.close(descriptor)

    def truncate(self, name: str, size: int) -> None:
        """Cut a file to a size."""
        with (self.path / name).open("r+b") as file:
            file.truncate(size)
            os.fsync(file.fileno())


def _open_file(path: Path, flags: int) -> int:
    """Open a file of the device's own: `OSError` for a link, and for what is no file on a disk."""
    flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags, _FILE_MODE)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), str(path))
    return descriptor


def _sync_names(folder: Path) -> None:
    """A rename is durable when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
