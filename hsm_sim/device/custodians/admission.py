"""Who gets in: two custodians with their PINs, and wrong tries counted before they are judged.

Decides how wrong PINs are counted and when two custodians are locked: which of the two PINs was
wrong nobody can tell, so tries count against the two together. Leaves how PINs lead to the storage
key to `custody`, and what is done with it to `device`.
"""

from collections.abc import Iterable, Mapping
from itertools import combinations

from cardcore.text import Text
from hsm_sim.device.custodians.custody import (
    OPENING_CUSTODIANS,
    Custody,
    private_half,
    storage_key_of,
)
from hsm_sim.device.errors import (
    CustodiansLockedError,
    CustodyError,
    DeviceError,
    WrongPinError,
)
from hsm_sim.device.storage import ATTEMPTS, DeviceFolder

TRIES_MAX = 5  # wrong tries of two custodians in a row


def pairs_of(roles: Iterable[str]) -> list[str]:
    """Each two of them, as tries are counted.

    >>> pairs_of(["b", "a", "c"])
    ['a+b', 'a+c', 'b+c']
    """
    return ["+".join(pair) for pair in combinations(sorted(roles), OPENING_CUSTODIANS)]


def read_tries(folder: DeviceFolder, roles: Iterable[str] = ()) -> dict[str, int]:
    """Wrong tries in a row of each two, those of `roles` among them. `DeviceError` if damaged."""
    tries = folder.read(ATTEMPTS)
    counted = all(type(count) is int and count >= 0 for count in tries.values())
    if not counted or not tries.keys() >= set(pairs_of(roles)):
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
    first, second = sorted(pins)
    pair = f"{first}+{second}"
    if tries[pair] >= TRIES_MAX:
        raise CustodiansLockedError((first, second), others=len(known) - len(pins))
    tries[pair] += 1
    folder.replace(ATTEMPTS, tries)
    # What is no PIN could have been typed all the same; it is as wrong as another.
    halves = {role: private_half(custody, role, pin) for role, pin in pins.items()}
    storage_key = storage_key_of(custody, halves)
    if storage_key is None:
        raise WrongPinError((first, second), TRIES_MAX - tries[pair])
    folder.replace(ATTEMPTS, tries | {pair: 0})
    return storage_key
