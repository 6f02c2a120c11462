"""What anybody may see of a device who can read its folder: names, check values, states, the log.

Decides nothing. What is seen here is as the files say it; only two custodians can have it proven
(`Device.open`). The log is proven as far as that goes without the storage key: the chain, and count
and hash of its end as the device's file says them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cardcore.text import Text
from hsm_sim.device.custodians.admission import TRIES_MAX, read_tries
from hsm_sim.device.document import DeviceDocument, read_document
from hsm_sim.device.errors import LogError
from hsm_sim.device.kept import prove_log as prove_end
from hsm_sim.device.log import DeviceLog, read_line
from hsm_sim.device.storage import DEVICE, LOG, DeviceFolder


@dataclass(frozen=True, slots=True)
class LogProof:
    """A log that holds: how many entries, how many of them are sealed, the hash of the last."""

    count: int
    sealed_count: int
    head: str


def look(path: Path) -> DeviceDocument:
    """The device's file, its seal not proven. `DeviceError` when there is none or it is damaged."""
    return read_document(DeviceFolder(path).read(DEVICE))


def locked_custodians(path: Path) -> tuple[str, ...]:
    """Which two came too often with a wrong PIN, as `a+b`."""
    tries = read_tries(DeviceFolder(path))
    return tuple(pair for pair, count in tries.items() if count >= TRIES_MAX)


def log_lines(path: Path) -> list[dict[str, Any]]:
    """The log as it lies there, whether it holds or not; what is no entry is left out."""
    lines = DeviceFolder(path).read_from(LOG, 0).splitlines()
    return [document for document in map(read_line, lines) if document is not None]


def prove_log(path: Path, noted_head: str | None = None) -> LogProof:
    """Prove chain and seal. `noted_head` is a hash that minutes of an earlier ceremony noted.

    Raises `LogError` naming the first entry that does not hold, and `DeviceError`.
    """
    folder = DeviceFolder(path)
    document = look(path)
    with folder.lock():
        log = DeviceLog(folder, document.device_id)
        prove_end(log, document)
    if noted_head is not None and not log.has(noted_head):
        raise LogError(
            log.count,
            Text("所记的哈希不属于任何一条", "none of the entries has the hash that was noted"),
        )
    return LogProof(log.count, document.log_end.count, log.head)
