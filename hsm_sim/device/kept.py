"""What a device keeps on its disk, while it is open: its document and its log, which are one.

Decides in which order they are written, and what is proven when somebody else wrote there. Leaves
what changes to `device`, and every method wants the folder's lock held.

The document says how many entries the log has and the hash of the last (`log_end`), under the
document's own seal. So neither can be put back to an older day alone, whether the device is open or
not. Entries that were written while no storage key was at hand (a wrong PIN) are sealed at the next
opening; until then only the chain holds them.
"""

from dataclasses import dataclass, field, replace

from cardcore.text import Text
from hsm_sim.device.custodians.custody import Custody
from hsm_sim.device.document import (
    DeviceDocument,
    prove_document,
    read_document,
    seal_document,
)
from hsm_sim.device.errors import DeviceError
from hsm_sim.device.log import DeviceLog, Event, LogEnd
from hsm_sim.device.storage import DEVICE, DeviceFolder


@dataclass(slots=True)
class KeptDevice:
    """Document and log as they were last read or written here, and the key they are under."""

    folder: DeviceFolder
    document: DeviceDocument
    log: DeviceLog
    storage_key: bytes = field(repr=False)
    _stamp: tuple[int, int, int] | None = None

    def has_changed(self) -> bool:
        """Whether somebody else wrote the document; costs one look at the folder."""
        return self.folder.stamp() != self._stamp

    def catch_up(self) -> bool:
        """Read what others wrote, prove all of it; whether keys may have changed with it.

        Raises `DeviceError` when it does not hold, or when the storage key in hand is no longer the
        device's.
        """
        if not self.has_changed():
            if not self.log.is_as_left():
                prove_log(self.log, self.document)
            return False
        content = self.folder.read(DEVICE)
        document = read_document(content)
        if living(document) != self.document.custody:
            raise _other_custodians(document.device_id)
        prove_document(content, self.storage_key)
        prove_log(self.log, document)
        is_new = self._stamp is None or document.keys != self.document.keys
        self.document, self._stamp = document, self.folder.stamp()
        return is_new

    def write(self, event: Event, *, is_sealed: bool = True) -> None:
        """Write an event into the log, and seal it; or leave that to `seal`."""
        entry = self.log.following(event, self.document.generation)
        self.log.write(entry, is_durable=is_sealed)
        if is_sealed:
            self.seal()

    def seal(self) -> None:
        """See the log to the disk, and say in the document where it ends."""
        self.log.sync()
        if self.document.log_end != self.log.end:
            self._replace(replace(self.document, log_end=self.log.end))

    def commit(
        self, changed: DeviceDocument, storage_key: bytes, event: Event, *, erase_old: bool
    ) -> None:
        """Change the document and tell of it in the log: the one commit of a device."""
        entry = self.log.following(event, changed.generation)
        self.log.sync()
        self.storage_key = storage_key
        end = LogEnd(entry.sequence, entry.hash)
        self._replace(replace(changed, entry=entry, log_end=end), erase_old=erase_old)
        self.log.write(entry)

    def _replace(self, document: DeviceDocument, *, erase_old: bool = False) -> None:
        content = seal_document(document, self.storage_key)
        self.folder.replace(DEVICE, content, erase_old=erase_old)
        self.document, self._stamp = document, self.folder.stamp()


def prove_log(log: DeviceLog, document: DeviceDocument) -> None:
    """Read a log on and hold it against the document. Raises `LogError`."""
    log.catch_up()
    log.settle(document.entry)
    log.check_end(document.log_end)


def living(document: DeviceDocument) -> Custody:
    """The custody of a device that was not destroyed."""
    if document.custody is None:
        raise DeviceError(
            Text(
                f"设备 {document.device_id} 已销毁；请新建一台：`onecard hsm ceremony init`",
                f"device {document.device_id} was destroyed; make a new one with `onecard hsm "
                "ceremony init`",
            )
        )
    return document.custody


def _other_custodians(name: str) -> DeviceError:
    return DeviceError(
        Text(
            f"设备 {name} 的保管员已变更，存储密钥已更换：请由两名保管员重新打开",
            f"device {name} has other custodians or PINs now, and another storage key: two of them "
            "open it again",
        )
    )
