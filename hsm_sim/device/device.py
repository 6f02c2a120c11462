"""A device: opened by two custodians, changed a step at a time, every attempt in its log.

Decides that keys, log and the keys in use change together. Leaves who gets in and how wrong PINs
are counted to `admission`, what lies on the disk to `kept`, and what a step does to `ceremony`,
`transfer` and `backups`.

A step is: take the folder's lock, catch up with what others wrote, decide, replace the device's
file, write the log. After a power cut anywhere in it the device opens with the old keys or the
new ones, and its log says which.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Self

from cardcore.errors import CardcoreError
from cardcore.keys import KeyRef, KeyState
from cardcore.text import Text, text_of
from hsm_sim.device.custodians.admission import admit, pairs_of, read_tries
from hsm_sim.device.custodians.custody import STORAGE_KEY_BYTES, Custody, appoint
from hsm_sim.device.custodians.sheets import Sheets
from hsm_sim.device.document import (
    DeviceDocument,
    StoredKey,
    is_exportable,
    load_key,
    read_document,
    seal_document,
    store_key,
)
from hsm_sim.device.errors import DeviceError
from hsm_sim.device.kept import KeptDevice, living, prove_log
from hsm_sim.device.log import DeviceLog, Event, LogEnd, Outcome
from hsm_sim.device.storage import ATTEMPTS, DEVICE, LOG, DeviceFolder
from hsm_sim.keys.strength import check_strength
from hsm_sim.keys.vault import KeyEntry, KeyVault

#: How long a request waits for a ceremony in another process; a step takes a few milliseconds.
SERVED_LOCK_SECONDS = 2.0
_DEVICE_ID_BYTES = 8
random = os.urandom


def now_here() -> datetime:
    """This machine's time, UTC."""
    return datetime.now(UTC)


@dataclass(slots=True)
class Step:
    """One step of a ceremony: keys as they are, to be changed in `vault` and nowhere else.

    `exportable` says it of keys that are new; `detail` goes into the log beside the key named. With
    another custody comes another storage key.
    """

    vault: KeyVault
    custody: Custody | None
    sheets: Sheets
    storage_key: bytes = field(repr=False)
    exportable: dict[KeyRef, bool] = field(default_factory=dict)
    check_value: str = ""
    detail: str = ""

    def put(self, entry: KeyEntry) -> None:
        """Keep an entry in place of the one of that name."""
        ref = entry.description.ref
        others = [each for each in self.vault.entries() if each.description.ref != ref]
        self.vault.take_over([*others, entry])


class Device:
    """An open device. `vault` is what a key service serves from; `refresh` keeps it true."""

    def __init__(
        self, kept: KeptDevice, roles: tuple[str, ...], now: Callable[[], datetime]
    ) -> None:
        self.roles = roles
        self.vault = KeyVault({})
        self.is_open = True
        self._kept = kept
        self._folder = kept.folder
        self._now = now

    def __repr__(self) -> str:
        return f"Device({self.device_id}, {self.vault!r})"

    @classmethod
    def create(
        cls,
        path: Path,
        pins: Mapping[str, bytes],
        *,
        is_demonstration: bool = False,
        now: Callable[[], datetime] = now_here,
    ) -> Self:
        """Make a device in a folder that is new or empty, and open it.

        `pins` gives two to nine custodians by role, each with his PIN. Raises `CustodyError` and
        `DeviceError`.
        """
        folder = DeviceFolder(path)
        device_id = random(_DEVICE_ID_BYTES).hex()
        storage_key = random(STORAGE_KEY_BYTES)
        custody = appoint(device_id, pins, storage_key, random, path.name)
        with folder.making():
            log = DeviceLog(folder, device_id)
            event = Event(now(), tuple(pins), "init", reason=f"{len(pins)} custodians")
            entry = log.following(event, 0)
            end = LogEnd(entry.sequence, entry.hash)
            document = DeviceDocument(
                device_id, now(), is_demonstration, 0, custody, Sheets(device_id), (), entry, end
            )
            folder.replace(ATTEMPTS, dict.fromkeys(pairs_of(pins), 0))
            folder.replace(DEVICE, seal_document(document, storage_key))
            device = cls(KeptDevice(folder, document, log, storage_key), tuple(pins), now)
            device._catch_up()
        return device

    @classmethod
    def open(
        cls, path: Path, pins: Mapping[str, bytes], now: Callable[[], datetime] = now_here
    ) -> Self:
        """Open a device with the PINs of two custodians, by role.

        Raises `CustodyError` for other than two of its custodians, `WrongPinError` and
        `CustodiansLockedError`, `DeviceError` for a device that is absent, damaged or destroyed,
        `LogError` for a log that was tampered with. Every try is in the log.
        """
        folder = DeviceFolder(path)
        folder.read(DEVICE)
        folder.check_private()
        with folder.lock():
            document = read_document(folder.read(DEVICE))
            log = DeviceLog(folder, document.device_id)
            prove_log(log, document)
            custody = living(document)
            known = {each.role for each in custody.custodians}
            roles = tuple(role for role in pins if role in known)
            try:
                storage_key = admit(folder, custody, pins)
            except CardcoreError as error:
                refused = Event(now(), roles, "open", Outcome.REFUSED, reason=text_of(error).en)
                log.write(log.following(refused, document.generation))
                raise
            device = cls(KeptDevice(folder, document, log, storage_key), roles, now)
            device._catch_up()
            device._kept.write(Event(now(), roles, "open"))
        return device

    @property
    def device_id(self) -> str:
        """16 hexadecimal digits, given when the device was made."""
        return self._kept.document.device_id

    @property
    def path(self) -> Path:
        """Its folder."""
        return self._folder.path

    @property
    def is_demonstration(self) -> bool:
        """Whether the device was made for public test keys; production refuses it."""
        return self._kept.document.is_demonstration

    @property
    def generation(self) -> int:
        """How often its keys have been changed."""
        return self._kept.document.generation

    @property
    def storage_key(self) -> bytes:
        """The key that key blocks of this device are under (LMK). `DeviceError` once closed."""
        if not self.is_open:
            raise self._is_closed()
        return self._kept.storage_key

    @property
    def custodians(self) -> tuple[str, ...]:
        """The roles of its custodians."""
        custody = self._kept.document.custody
        return () if custody is None else tuple(each.role for each in custody.custodians)

    @property
    def log_head(self) -> tuple[int, str]:
        """How many entries the log has, and the hash of the last: what minutes should note."""
        return self._kept.log.count, self._kept.log.head

    def today(self) -> date:
        """The day by the device's clock, UTC: what validity is counted by."""
        return self._now().date()

    def close(self) -> None:
        """Forget the storage key and every key in use."""
        self.is_open, self._kept.storage_key = False, b""
        self.vault.take_over(())

    def _is_closed(self) -> DeviceError:
        name = self.device_id
        zh, en = "请由两名保管员重新打开", "two custodians open it again"
        return DeviceError(Text(f"设备 {name} 已关闭；{zh}", f"device {name} is closed; {en}"))

    def refresh(self) -> bool:
        """Take over what a ceremony in another process changed; True when it did.

        Costs one look at the folder when nothing changed. Raises `DeviceError` when the device
        was destroyed or damaged meanwhile; the vault is empty then, and the device closed.
        """
        if not self.is_open:
            raise self._is_closed()
        if not self._kept.has_changed():
            return False
        before = self.generation
        with self._folder.lock():
            self._catch_up()
        return self.generation != before

    def note(
        self,
        action: str,
        outcome: Outcome = Outcome.DONE,
        *,
        key: str = "",
        check_value: str = "",
        reason: str = "",
    ) -> None:
        """Write an event into the log: what a server did, or refused to do."""
        event = Event(self._now(), self.roles, action, outcome, key, check_value, reason)
        with self._folder.lock(SERVED_LOCK_SECONDS):
            self._catch_up()
            self._kept.write(event)

    def note_quickly(self, action: str, outcome: Outcome, reason: str) -> None:
        """Write an event into the log, and leave it to `seal_log` to see it to the disk and seal
        it: for what happens many times a second.
        """
        event = Event(self._now(), self.roles, action, outcome, reason=reason)
        with self._folder.lock(SERVED_LOCK_SECONDS):
            self._catch_up()
            self._kept.write(event, is_sealed=False)

    def seal_log(self) -> None:
        """See the log to the disk and seal it up to its end."""
        with self._folder.lock(SERVED_LOCK_SECONDS):
            self._catch_up()
            self._kept.seal()

    def check_log(self) -> None:
        """`DeviceError` or `OSError` when no entry could be written now, or log and seal are not
        those that were written: whoever serves keys must not go on. Costs a few looks at the
        folder, and a proof when anybody else wrote there.
        """
        with self._folder.lock(SERVED_LOCK_SECONDS):
            self._folder.check_appendable(LOG)
            self._catch_up()

    @contextmanager
    def refusals_noted(self, action: str, key: str = "") -> Iterator[None]:
        """What is refused inside goes into the log, and on to the caller."""
        try:
            yield
        except CardcoreError as error:
            self.note(action, Outcome.REFUSED, key=key, reason=text_of(error).en)
            raise

    @contextmanager
    def step(self, action: str, key: str = "") -> Iterator[Step]:
        """One step of a ceremony. What the block changed is kept when it ends without an error;
        an error of ours inside changes nothing and goes into the log.
        """
        with self._folder.lock():
            self._catch_up()
            working = KeyVault({})
            working.take_over(self.vault.entries())
            before = self._kept.document
            step = Step(working, before.custody, before.sheets, self.storage_key)
            try:
                yield step
                keys = self._stored(step)
            except CardcoreError as error:
                refused = Event(self._now(), self.roles, action, Outcome.REFUSED, key)
                self._kept.write(replace(refused, reason=text_of(error).en))
                raise
            done = Event(
                self._now(), self.roles, action, Outcome.DONE, key, step.check_value, step.detail
            )
            changed = replace(before, keys=keys, custody=step.custody, sheets=step.sheets)
            if changed == before:
                self._kept.write(done)
            else:
                self._commit(changed, step.storage_key, done)

    def is_exportable(self, ref: KeyRef) -> bool:
        """Whether that key may leave under a transport key."""
        stored = {each.description.ref: each for each in self._kept.document.keys}
        return ref in stored and is_exportable(stored[ref])

    def forgive(self, role: str) -> None:
        """Set the wrong tries back that a custodian was among; his PIN was given anew."""
        with self._folder.lock():
            tries = read_tries(self._folder)
            forgiven = {pair: 0 for pair in tries if role in pair.split("+")}
            self._folder.replace(ATTEMPTS, tries | forgiven)

    def _stored(self, step: Step) -> tuple[StoredKey, ...]:
        """The keys of a step, wrapped; those that did not change keep their block."""
        before = {each.description.ref: each for each in self._kept.document.keys}
        held = {each.description.ref: each for each in self.vault.entries()}
        is_kept = step.storage_key == self.storage_key
        stored = []
        for entry in step.vault.entries():
            ref = entry.description.ref
            old = before.get(ref)
            if is_kept and old is not None and held.get(ref) == entry:
                stored.append(old)
                continue
            if entry.value is not None and (ref not in held or held[ref].value != entry.value):
                check_strength(
                    ref,
                    entry.description.algorithm,
                    entry.value,
                    step.vault.descriptions(),
                    takes_published=self.is_demonstration,
                )
            exportable = step.exportable.get(ref, old is not None and is_exportable(old))
            stored.append(store_key(step.storage_key, entry, random, exportable=exportable))
        return tuple(stored)

    def _commit(self, changed: DeviceDocument, storage_key: bytes, event: Event) -> None:
        before = self._kept.document
        changed = replace(changed, generation=self.generation + 1)
        if storage_key != self.storage_key:
            changed = replace(changed, sheets=changed.sheets.following())
        left = {each.description.ref for each in changed.keys if each.block is not None}
        had = {each.description.ref for each in before.keys if each.block is not None}
        # A destroyed key and a PIN that was replaced should not be found by whoever digs.
        erase_old = changed.custody != before.custody or not had <= left
        self._kept.commit(changed, storage_key, event, erase_old=erase_old)
        self._take()

    def _catch_up(self) -> None:
        """With the lock held: read what others wrote, prove all of it, take it over."""
        try:
            if self._kept.catch_up():
                self._take()
        except DeviceError:
            self.close()
            raise

    def _take(self) -> None:
        document = self._kept.document
        keys = document.keys if document.custody is not None else ()
        self.vault.take_over([load_key(self.storage_key, each) for each in keys])


def check_folder(path: Path) -> None:
    """`DeviceError` when no device can be made there: better before PINs are typed than after."""
    DeviceFolder(path).check_empty()


def destroy(device: Device) -> None:
    """Destroy every key and the way to the storage key; names, check values and log stay."""
    with device.step("destroy-device") as step:
        for ref in step.vault.refs():
            step.vault.move(ref, KeyState.DESTROYED)
        step.custody = None
        step.detail = f"{len(step.vault.refs())} keys"
    device.close()
