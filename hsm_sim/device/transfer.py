"""Keys on their way: to and from another device under a transport key, and the whole as a backup.

Decides which key may leave, under what, and what a backup holds. Leaves the bytes of key blocks to
`tr31` and their letters to `key_names`. What leaves is wrapped; writing it to a file is the
caller's.

A transport key (传输密钥 ZMK) carries single keys that were made exportable. A backup key carries
all of them, with states, dates and the names of destroyed ones; it is never in a device, only in
the hands of the custodians who hold its components.
"""

import hmac
from collections.abc import Mapping
from typing import Any

from cardcore.errors import KeyServiceError
from cardcore.keys import Key, KeyDescription, KeyRef, KeyState, KeyUsage
from cardcore.text import Text
from hsm_sim.device.blocks import tr31
from hsm_sim.device.blocks.key_names import arriving_entry, header_of
from hsm_sim.device.ceremony import combined_key, stated
from hsm_sim.device.device import Device, Step, random
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
from hsm_sim.keys.operations import state_on
from hsm_sim.keys.strength import WeakKeyError, weakness
from hsm_sim.keys.vault import check_value

BACKUP_FORMAT = "onecard key backup 1"


def import_block(
    device: Device,
    block: str,
    transport: KeyRef,
    ref: KeyRef,
    expected: str,
    levels: int | None = None,
) -> KeyDescription:
    """Take in a key block that another device made under a transport key both hold.

    Name, usage and check value are the custodians' to say, from the partner's letter: whoever holds
    the transport key could write any into a block. The key arrives prepared, and a block that
    contradicts them is refused. It may leave again if its header says so.
    """
    with device.step("import", str(ref)) as step:
        step.detail = f"under {transport}"
        key = _transport_key(device, step, transport, {KeyState.ACTIVE, KeyState.RETIRING})
        header, value = tr31.unwrap(key, block.strip())
        made = arriving_entry(header, value, ref, levels).description
        if not hmac.compare_digest(made.check_value.encode(), stated(expected)):
            raise CeremonyError(
                Text(
                    f"{ref}：密钥块中密钥的检查值为 {made.check_value}，与预期不符；请与对方的函件"
                    "核对，再重复此命令",
                    f"{ref}: the key in the block has check value {made.check_value}, not the one "
                    "expected; compare it with the partner's letter and repeat the command",
                )
            )
        described = step.vault.install(
            made.ref,
            value,
            made.algorithm,
            state=made.state,
            valid_from=made.valid_from,
            valid_to=made.valid_to,
            parent=made.parent,
            levels=made.levels,
        )
        step.exportable[made.ref] = header.exportability != "N"
        step.check_value = described.check_value
        return described


def export_block(device: Device, ref: KeyRef, transport: KeyRef) -> str:
    """A key as a block under a transport key, for another device that holds it too."""
    with device.step("export", str(ref)) as step:
        step.detail = f"under {transport}"
        described = step.vault.describe(ref)
        value = step.vault.key(ref).value
        step.check_value = described.check_value
        if not device.is_exportable(ref):
            raise CeremonyError(
                Text(
                    f"{ref}：生成时规定不可导出，留在本设备；可导出的：`onecard hsm keys`",
                    f"{ref}: was made to stay in this device; which may leave: `onecard hsm keys`",
                )
            )
        if ref == transport:
            raise CeremonyError(
                Text(
                    f"{ref}：不能用自己保护自己；请用 --under 另指一把",
                    f"{ref}: cannot carry itself; name another with --under",
                )
            )
        key = _transport_key(device, step, transport, {KeyState.ACTIVE})
        return tr31.wrap(key, header_of(described, exportable=True), value, random)


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
        step.detail = f"{len(entries)} keys"
        stored = tuple(
            store_key(key, entry, random, exportable=device.is_exportable(entry.description.ref))
            for entry in entries
        )
        content = {
            "format": BACKUP_FORMAT,
            "device_id": device.device_id,
            "generation": device.generation,
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
        if content.get("format") != BACKUP_FORMAT:
            raise CeremonyError(
                Text(
                    f"不是备份：格式不是 {BACKUP_FORMAT}；此类文件由 `onecard hsm ceremony "
                    "backup` 写出",
                    f"not a backup: its format is not {BACKUP_FORMAT}; `onecard hsm ceremony "
                    "backup` writes one",
                )
            )
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
        step.detail = f"{len(stored)} keys of device {content['device_id']}"
        return step.vault.descriptions()


def _transport_key(device: Device, step: Step, ref: KeyRef, states: set[KeyState]) -> bytes:
    described = step.vault.describe(ref)
    if ref.usage is not KeyUsage.TRANSPORT:
        raise KeyServiceError(
            Text(
                f"{ref}：不是传输密钥；请以 transport/<对方>/v1 的名称注入一把：`onecard hsm "
                "ceremony load`",
                f"{ref}: is no transport key; load one as transport/<partner>/v1: `onecard hsm "
                "ceremony load`",
            )
        )
    state = state_on(described, device.today())
    if state not in states:
        raise CeremonyError(
            Text(
                f"{ref}：{state.text.zh}；不能用来传输密钥；请用 --under 指启用的一把：`onecard "
                "hsm keys`",
                f"{ref}: is {state.text.en}; no key travels under it; name an active one with "
                "--under: `onecard hsm keys`",
            )
        )
    return step.vault.key(ref).value
