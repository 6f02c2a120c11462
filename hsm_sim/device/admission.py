"""Who gets in: two custodians with their PINs, and wrong tries counted before they are judged.

Decides how wrong PINs are counted and when two custodians are locked. Two PINs are right or wrong
together (`custody`), so tries count for the two who came. Leaves how PINs lead to the
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

TRIES_MAX = 5  # wrong PINs of the same two custodians in a row


def read_tries(folder: DeviceFolder, roles: Iterable[str] = ()) -> dict[str, int]:
    """Wrong PINs in a row by two custodians (`a+b`), each two of `roles` among them. `DeviceError`
    when damaged.
    """
    tries = folder.read(ATTEMPTS)
    counted = all(type(count) is int and count >= 0 for count in tries.values())
    if not counted or not tries.keys() >= set(custodians.pairs_among(roles)):
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
    (pair,) = custodians.pairs_among(pins)
    if tries[pair] >= TRIES_MAX:
        raise CustodianLockedError(pair, others=len(known) - 1)
    folder.replace(ATTEMPTS, tries | {pair: tries[pair] + 1})
    storage_key = custodians.storage_key_for(custody, pins)
    if storage_key is None:
        raise WrongPinError(pair, TRIES_MAX - tries[pair] - 1)
    folder.replace(ATTEMPTS, tries | {pair: 0})
    return storage_key
