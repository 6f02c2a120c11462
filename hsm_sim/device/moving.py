"""Keys of a device into a PKCS#11 token, where they are used and cannot be taken out again.

Decides which keys go and that all may go before one does. Leaves what a token can hold to `token`,
and which token to the caller. The device keeps its own: a ceremony goes on there, and the same
call again brings the token up to it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cardcore.errors import KeyServiceError
from cardcore.keys import KeyDescription, KeyRef, KeyState
from cardcore.text import Text
from hsm_sim.device.device import Device
from hsm_sim.device.errors import CeremonyError
from hsm_sim.keys.strength import check_strength

if TYPE_CHECKING:
    from hsm_sim.token.masters import TokenMasterKeys  # needs the extra


def fill_token(
    device: Device, token: "TokenMasterKeys", refs: Sequence[KeyRef] = ()
) -> tuple[KeyDescription, ...]:
    """Put these keys into the token, or every exportable one it can hold; gives what it holds then.

    A key that is there already is moved on in its life as the device has it. Raises
    `CeremonyError` for a key that was made to stay, is destroyed, or cannot be in a token, before
    anything is done; and what the token refuses, by name.
    """
    with device.refusals_noted("to-token", ", ".join(str(ref) for ref in refs)):
        chosen = [_named(device, token, ref) for ref in refs] if refs else _usual(device, token)
        _check(device, token, chosen)
        return tuple(_put(device, token, each) for each in chosen)


def _usual(device: Device, token: "TokenMasterKeys") -> list[KeyDescription]:
    return [
        each
        for each in device.vault.descriptions()
        if each.state is not KeyState.DESTROYED
        and token.can_hold(each.algorithm)
        and device.is_exportable(each.ref)
    ]


def _named(device: Device, token: "TokenMasterKeys", ref: KeyRef) -> KeyDescription:
    described = device.vault.describe(ref)
    if described.state is KeyState.DESTROYED:
        raise CeremonyError(
            Text(
                f"{ref}：已销毁；没有可装入令牌的密钥；所持有的：`onecard hsm keys`",
                f"{ref}: is destroyed; there is nothing to put into a token; what is held: "
                "`onecard hsm keys`",
            )
        )
    if not token.can_hold(described.algorithm):
        raise CeremonyError(
            Text(
                f"{ref}：PKCS#11 没有 {described.algorithm.name}；它留在本设备，请不要列出它",
                f"{ref}: PKCS#11 knows no {described.algorithm.name}; it stays here, so leave it "
                "out",
            )
        )
    if not device.is_exportable(ref):
        raise CeremonyError(
            Text(
                f"{ref}：生成时规定不可导出，留在本设备；可导出的：`onecard hsm keys`",
                f"{ref}: was made to stay in this device; which may leave: `onecard hsm keys`",
            )
        )
    return described


def _check(device: Device, token: "TokenMasterKeys", chosen: Sequence[KeyDescription]) -> None:
    """Every key by the one check of strength, also against what the token holds already."""
    held = token.descriptions()
    for key in chosen:
        check_strength(
            key.ref,
            key.algorithm,
            device.vault.key(key.ref).value,
            (*held, *chosen),
            takes_published=device.is_demonstration,
        )


def _put(device: Device, token: "TokenMasterKeys", key: KeyDescription) -> KeyDescription:
    held = token.install(
        key.ref,
        device.vault.key(key.ref).value,
        key.algorithm,
        state=key.state,
        valid_from=key.valid_from,
        valid_to=key.valid_to,
        parent=key.parent,
        levels=key.levels,
    )
    if held.check_value != key.check_value:
        raise KeyServiceError(
            Text(
                f"{key.ref}：令牌显示的检查值是 {held.check_value}，与设备不符；请另指一个令牌",
                f"{key.ref}: the token shows check value {held.check_value}, not the device's; "
                "name another token",
            )
        )
    if held.state is not key.state:
        held = token.move(key.ref, key.state)
    device.note("to-token", key=str(key.ref), check_value=held.check_value)
    return held
