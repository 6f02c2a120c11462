"""Keys on their way: to and from another device under a transport key (传输密钥 ZMK).

Decides which key may leave, and under what. Leaves the bytes of key blocks to `tr31` and their
letters to `key_names`. What leaves is wrapped; writing it to a file is the caller's.
"""

import hmac

from cardcore.errors import KeyServiceError
from cardcore.keys import KeyDescription, KeyRef, KeyState, KeyUsage
from cardcore.text import Text
from hsm_sim.device.blocks import tr31
from hsm_sim.device.blocks.key_names import Arrival, arriving_entry, header_of
from hsm_sim.device.ceremony import stated
from hsm_sim.device.device import Device, Step, random
from hsm_sim.device.errors import CeremonyError
from hsm_sim.keys.operations import state_on


def import_block(
    device: Device,
    block: str,
    transport: KeyRef,
    ref: KeyRef,
    expected: str,
    said: Arrival | None = None,
) -> KeyDescription:
    """Take in a key block that another device made under a transport key both hold.

    Name, usage, check value and whatever gives a right (`Arrival`) are the custodians' to say, from
    the partner's letter: whoever holds the transport key could write any into a block. The key
    arrives prepared, and a block that contradicts them is refused.
    """
    said = said or Arrival()
    with device.step("import", str(ref)) as step:
        step.detail = f"under {transport}"
        key = _transport_key(device, step, transport, {KeyState.ACTIVE, KeyState.RETIRING})
        header, value = tr31.unwrap(key, block.strip())
        made = arriving_entry(header, value, ref, said).description
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
        step.exportable[made.ref] = said.is_exportable
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
