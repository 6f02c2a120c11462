"""Who gets in: two custodians with their PINs, and wrong tries counted before they are judged.

Decides how wrong PINs are counted and when a custodian is locked. Leaves how PINs lead to the
storage key to `custody`, and what is done with it to `device`.
"""

from collections.abc import Iterable, Mapping

from cardcore.text import Text
from hsm_sim.device import custody as custodians
from hsm_sim.device.custody import OPENING_CUSTODIANS, Custody
from hsm_sim.device.errors import (
    CustodianLockedError,
    CustodyError,
    DeviceError,
    WrongPinError,
)
from hsm_sim.device.storage import ATTEMPTS, DeviceFolder

TRIES_MAX = 5  # wrong PINs of one custodian in a row


def read_tries(folder: DeviceFolder, roles: Iterable[str] = ()) -> dict[str, int]:
    """Wrong PINs in a row by role, those of `roles` among them. `DeviceError` when damaged."""
    tries = folder.read(ATTEMPTS)
    counted = all(type(count) is int and count >= 0 for count in tries.values())
    if not counted or not tries.keys() >= set(roles):
        raise DeviceError(
            Text(
                f"{ATTEMPTS} 已损坏：请从副本恢复目录",
                f"{ATTEMPTS} is damaged: restore the folder from a copy",
            )
        )
    return tries


def admit(folder: DeviceFolder, custody: Custody, pins: Mapping[str, bytes]) -> bytes:
    """The storage key, for two custodians and their PINs. Tries are written before they count."""
    if len(pins) != OPENING_CUSTODIANS:
        raise CustodyError(
            Text(
                f"打开设备须有两名不同的保管员，现有 {len(pins)} 名；请两人各自键入，或各给一个 "
                "`--pin-file 名称=路径`",
                f"two different custodians open a device, and {len(pins)} came: let two type their "
                "PINs, or say `--pin-file NAME=PATH` twice",
            )
        )
    known = [each.role for each in custody.custodians]
    if not set(pins) <= set(known):
        # What was typed may be a PIN in the wrong place: it is not repeated.
        raise CustodyError(
            Text(
                f"没有此名称的保管员；有：{'、'.join(known)}",
                f"no custodian has that name; they are {', '.join(known)}",
            )
        )
    tries = read_tries(folder, known)
    for role in pins:
        if tries[role] >= TRIES_MAX:
            raise CustodianLockedError(role, others=len(known) - 1)
    tries |= {role: tries[role] + 1 for role in pins}
    folder.replace(ATTEMPTS, tries)
    found = {role: custodians.custodian_secret(custody, role, pin) for role, pin in pins.items()}
    secrets = {role: secret for role, secret in found.items() if secret is not None}
    if secrets:
        folder.replace(ATTEMPTS, tries | dict.fromkeys(secrets, 0))
    wrong = {role: TRIES_MAX - tries[role] for role in pins if role not in secrets}
    if wrong:
        raise WrongPinError(wrong)
    return custodians.storage_key_of(custody, secrets)
