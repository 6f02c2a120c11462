"""The device's file: custody, keys, the log entry of the last change, and where the log ends.

Decides what stands in `device.json` and how it is proven. Its replacement is the one commit of a
device: the keys and the entry about them change together, and the log follows from it.

Each key stands twice: in words, for whoever may look without opening, and as a key block under
the storage key, which binds the same words to the key. A destroyed key has only the words. The
whole file is sealed with HMAC-SHA256 under a key made from the storage key.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cardcore.errors import KeyServiceError
from cardcore.keys import Algorithm, KeyDescription, KeyRef, KeyState
from cardcore.text import Text, text_of
from hsm_sim.device.blocks import tr31
from hsm_sim.device.blocks.key_names import entry_of, header_of, read_name
from hsm_sim.device.custodians.custody import Custody, custody_document, read_custody
from hsm_sim.device.custodians.sheets import Sheets, read_sheets, sheets_document
from hsm_sim.device.errors import NOT_OF_THE_FORM, DeviceError
from hsm_sim.device.log import LogEnd, LogEntry, canonical, read_entry
from hsm_sim.keys.vault import KeyEntry

FORMAT = "onecard device 4"
_DAMAGED = Text(
    "设备文件被改动：请从副本恢复其目录，或从备份恢复密钥",
    "the device's file was altered: restore its folder from a copy, or its keys from a backup",
)


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key as it is kept: what may be shown, and its block. A destroyed key has no block."""

    description: KeyDescription
    block: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class DeviceDocument:
    """Everything in the device's file but its seal.

    `generation` counts changes of keys. `custody` is None when the device was destroyed.
    `is_demonstration`: made for public test keys, which another device refuses.
    """

    device_id: str
    made_at: datetime
    is_demonstration: bool
    generation: int
    custody: Custody | None
    sheets: Sheets
    keys: tuple[StoredKey, ...]
    entry: LogEntry
    log_end: LogEnd


def store_key(
    protection_key: bytes, entry: KeyEntry, random: Callable[[int], bytes], *, exportable: bool
) -> StoredKey:
    """Wrap a key; a destroyed one has nothing to wrap."""
    if entry.value is None:
        return StoredKey(entry.description, None)
    header = header_of(entry.description, exportable=exportable)
    return StoredKey(entry.description, tr31.wrap(protection_key, header, entry.value, random))


def load_key(protection_key: bytes, stored: StoredKey) -> KeyEntry:
    """Unwrap a key and hold it against its words. `DeviceError` when they do not fit."""
    if stored.block is None:
        return KeyEntry(stored.description, None)
    try:
        entry = entry_of(*tr31.unwrap(protection_key, stored.block))
    except KeyServiceError as error:
        raise DeviceError(
            Text(
                f"{stored.description.ref}：{text_of(error).zh}；{_DAMAGED.zh}",
                f"{stored.description.ref}: {text_of(error).en}; {_DAMAGED.en}",
            )
        ) from None
    if entry.description != stored.description:
        raise DeviceError(
            Text(
                f"{stored.description.ref}：其密钥块所写与此不同；{_DAMAGED.zh}",
                f"{stored.description.ref}: its block says otherwise; {_DAMAGED.en}",
            )
        )
    return entry


def is_exportable(stored: StoredKey) -> bool:
    """Whether the key may leave under a transport key: its block says E (TR-31 §A.5.5)."""
    return stored.block is not None and stored.block[11] == "E"


def key_documents(keys: tuple[StoredKey, ...]) -> list[dict[str, Any]]:
    """Keys as they stand in a file."""
    return [
        {
            "key": str(each.description.ref),
            "algorithm": each.description.algorithm.name,
            "state": str(each.description.state),
            "check_value": each.description.check_value,
            "valid_from": _text(each.description.valid_from),
            "valid_to": _text(each.description.valid_to),
            "parent": _text(each.description.parent),
            "levels": each.description.levels,
            "block": each.block,
        }
        for each in keys
    ]


def read_keys(documents: list[Mapping[str, Any]]) -> tuple[StoredKey, ...]:
    """The other way; a key kept before levels were is an issuer's, one level above its cards.

    One of `NOT_OF_THE_FORM` or `KeyNameError` when they are none.
    """
    return tuple(
        StoredKey(
            KeyDescription(
                read_name(each["key"]),
                Algorithm[each["algorithm"]],
                KeyState(each["state"]),
                str(each["check_value"]),
                _day(each["valid_from"]),
                _day(each["valid_to"]),
                None if each["parent"] is None else read_name(each["parent"]),
                int(each.get("levels", 1)),
            ),
            None if each["block"] is None else str(each["block"]),
        )
        for each in documents
    )


def seal_document(document: DeviceDocument, storage_key: bytes) -> dict[str, Any]:
    """The device's file, sealed."""
    content = {
        "format": FORMAT,
        "device_id": document.device_id,
        "made_at": document.made_at.isoformat(timespec="seconds"),
        "is_demonstration": document.is_demonstration,
        "generation": document.generation,
        "custody": None if document.custody is None else custody_document(document.custody),
        "epoch": document.sheets.epoch,
        "sheets": sheets_document(document.sheets),
        "keys": key_documents(document.keys),
        "entry": document.entry.document(),
        "log": {"count": document.log_end.count, "hash": document.log_end.head},
    }
    return {**content, "seal": file_seal(content, storage_key)}


def read_document(content: Mapping[str, Any]) -> DeviceDocument:
    """The device's file, before its seal can be proven. `DeviceError` when it is none."""
    if content.get("format") != FORMAT:
        raise DeviceError(
            Text(
                f"不是本版本的设备：格式不是 {FORMAT}；请新建一台并恢复备份：`onecard hsm "
                "ceremony restore`",
                f"not a device of this version: its format is not {FORMAT}; make a new one and "
                "restore a backup into it: `onecard hsm ceremony restore`",
            )
        )
    try:
        device_id, entry, custody = str(content["device_id"]), content["entry"], content["custody"]
        return DeviceDocument(
            device_id,
            datetime.fromisoformat(content["made_at"]),
            bool(content["is_demonstration"]),
            int(content["generation"]),
            None if custody is None else read_custody(device_id, custody),
            read_sheets(device_id, int(content["epoch"]), content["sheets"]),
            read_keys(content["keys"]),
            read_entry(entry, int(entry["sequence"]), str(entry["previous"])),
            LogEnd(int(content["log"]["count"]), str(content["log"]["hash"])),
        )
    except (*NOT_OF_THE_FORM, KeyServiceError):
        raise DeviceError(_DAMAGED) from None


def prove_document(content: Mapping[str, Any], storage_key: bytes) -> None:
    """`DeviceError` unless the file is as the device wrote it; it names the keys that are not."""
    if not seal_holds(content, storage_key):
        for each in read_document(content).keys:
            load_key(storage_key, each)
        raise DeviceError(_DAMAGED)


def file_seal(content: Mapping[str, Any], protection_key: bytes) -> str:
    """HMAC-SHA256 over the canonical JSON of a file that holds keys under `protection_key`."""
    key = HKDF(SHA256(), 32, salt=None, info=b"onecard file of keys").derive(protection_key)
    return hmac.new(key, canonical(content), hashlib.sha256).hexdigest()


def seal_holds(content: Mapping[str, Any], protection_key: bytes) -> bool:
    """Whether a file's `seal` is that of all the rest of it."""
    rest = {name: value for name, value in content.items() if name != "seal"}
    try:
        made = file_seal(rest, protection_key)
    except (ValueError, RecursionError):  # JSON that this device would not write
        return False
    return hmac.compare_digest(made.encode(), str(content.get("seal")).encode(errors="replace"))


def _text(value: date | KeyRef | None) -> str | None:
    return None if value is None else str(value)


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
