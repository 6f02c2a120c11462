"""Backups: every key of a device in one file, and into a device that holds none yet.

Decides what a backup holds and under whose sheets it is made. Leaves writing it to a file to the
caller.

A backup key carries all keys, with states, dates and the names of destroyed ones; it is never in a
device, only in the hands of the custodians who hold its components. A backup is of an epoch, the
time between two changes of custodians or PINs: its components are those that the device made in it,
so nothing that somebody kept who left before opens it.
"""

import hmac
from collections.abc import Mapping
from typing import Any

from cardcore.keys import Key, KeyDescription, KeyUsage
from cardcore.text import Text
from hsm_sim.device.blocks.components import component_check_value
from hsm_sim.device.ceremony import combined_key
from hsm_sim.device.device import Device, random
from hsm_sim.device.document import (
    file_seal,
    is_exportable,
    key_documents,
    load_key,
    read_keys,
    seal_holds,
    store_key,
)
from hsm_sim.device.errors import NOT_OF_THE_FORM, CeremonyError
from hsm_sim.keys.strength import WeakKeyError, weakness
from hsm_sim.keys.vault import check_value

BACKUP_FORMAT = "onecard key backup 2"
#: Written by devices of format 3, which are restored from one.
_BEFORE_SHEETS = "onecard key backup 1"


def backup(device: Device, components: Mapping[str, bytes], expected: str) -> dict[str, Any]:
    """Every key of the device under a backup key from components, as a document for a file.

    A transport key is refused: whoever else holds it could open what was made to stay here.
    """
    with device.step("backup") as step:
        key = combined_key(device, components, KeyUsage.TRANSPORT, None, expected)
        step.check_value = check_value(Key(KeyUsage.TRANSPORT, key))
        why = weakness(key, is_des=False)
        if why is not None:
            raise WeakKeyError(Text(f"备份密钥{why.zh}", f"the backup key {why.en}"))
        entries = step.vault.entries()
        for entry in entries:
            if entry.value is not None and hmac.compare_digest(entry.value, key):
                raise CeremonyError(
                    Text(
                        f"{entry.description.ref}：由本设备持有，不是备份密钥；新的分量：`onecard "
                        "hsm ceremony component`",
                        f"{entry.description.ref}: is held here and is no backup key; new "
                        "components: `onecard hsm ceremony component`",
                    )
                )
        step.sheets.check_made_now(components)
        step.detail = f"{len(entries)} keys, epoch {step.sheets.epoch}"
        stored = tuple(
            store_key(key, entry, random, exportable=device.is_exportable(entry.description.ref))
            for entry in entries
        )
        content = {
            "format": BACKUP_FORMAT,
            "device_id": device.device_id,
            "generation": device.generation,
            "epoch": step.sheets.epoch,
            "sheets": sorted(map(_shown, components.values())),
            "backup_key_check_value": step.check_value,
            "keys": key_documents(stored),
        }
        return {**content, "seal": file_seal(content, key)}


def restore(
    device: Device, content: Mapping[str, Any], components: Mapping[str, bytes], expected: str
) -> tuple[KeyDescription, ...]:
    """Take all keys of a backup into a device that holds none yet."""
    with device.step("restore") as step:
        if step.vault.refs():
            raise CeremonyError(
                Text(
                    "本设备已有密钥；请恢复到新设备：`onecard hsm ceremony init`",
                    "this device holds keys already; restore into a new one: `onecard hsm "
                    "ceremony init`",
                )
            )
        if content.get("format") not in {BACKUP_FORMAT, _BEFORE_SHEETS}:
            raise CeremonyError(
                Text(
                    f"不是备份：格式不是 {BACKUP_FORMAT}；此类文件由 `onecard hsm ceremony "
                    "backup` 写出",
                    f"not a backup: its format is not {BACKUP_FORMAT}; `onecard hsm ceremony "
                    "backup` writes one",
                )
            )
        _check_sheets(content, components)
        key = combined_key(device, components, KeyUsage.TRANSPORT, None, expected, is_judged=False)
        step.check_value = check_value(Key(KeyUsage.TRANSPORT, key))
        if content.get("backup_key_check_value") != step.check_value:
            raise CeremonyError(
                Text(
                    "该备份用的是另一把备份密钥；请取它的分量，再重复此命令",
                    "the backup is under another backup key; bring its components and repeat the "
                    "command",
                )
            )
        if not seal_holds(content, key):
            raise CeremonyError(
                Text(
                    "备份被改动，或用的是另一把备份密钥；请取另一份副本，再重复此命令",
                    "the backup was altered, or is under another backup key; take another copy of "
                    "it and repeat the command",
                )
            )
        try:
            stored = read_keys(content["keys"])
        except NOT_OF_THE_FORM:
            raise CeremonyError(
                Text(
                    "备份属于另一版本；请在那个版本上恢复，再重新 `onecard hsm ceremony backup`",
                    "the backup is of another version; restore it there, and write it anew with "
                    "`onecard hsm ceremony backup`",
                )
            ) from None
        for each in stored:
            step.vault.restore(load_key(key, each))
            step.exportable[each.description.ref] = is_exportable(each)
        of = f"device {content['device_id']}, epoch {content.get('epoch', '-')}"
        step.detail = f"{len(stored)} keys of {of}"
        return step.vault.descriptions()


def _shown(component: bytes) -> str:
    return component_check_value(component, KeyUsage.TRANSPORT)


def _check_sheets(content: Mapping[str, Any], components: Mapping[str, bytes]) -> None:
    """`CeremonyError` for a component of another backup or epoch: whose sheet it is can be said."""
    wanted = content.get("sheets", sorted(map(_shown, components.values())))
    for role, component in components.items():
        if not isinstance(wanted, list) or _shown(component) not in wanted:
            epoch = str(content.get("epoch", "-"))[:9]
            raise CeremonyError(
                Text(
                    f"{role}：此分量不是该备份的（第 {epoch} 期保管员）；请取那一期的分量信封",
                    f"{role}: that component is not one of this backup, which is of epoch {epoch} "
                    "of its custodians; bring the sheets of that epoch",
                )
            )
