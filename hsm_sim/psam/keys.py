"""The keys in a PSAM: their types, what each may do, and which of the key service's they are.

Decides which master key stands behind a key type and what it may be asked for. Leaves the keys
themselves to `hsm_sim.keys.masters`: a PSAM knows names, algorithms and check values only.

A type is the low five bits of P1 of DELIVERY KEY (JR/T 0025, PSAM part):

====  ==================  ==========  ========================================  ==============
type  中文                commands    master key of the key service             may do
====  ==================  ==========  ========================================  ==============
0     主控密钥            –           none: our PSAMs are made, not written to  –
1     维护密钥            84 18       file-maintenance, of the label's PSAMs    –
2     消费密钥            80 70       purchase                                  –
3     PIN 解锁密钥        80 1A       pin-unblock                               MAC, encipher
4     PIN 重装密钥        80 1A       pin-reload                                MAC (folded)
5     用户卡应用维护密钥  80 1A       file-maintenance                          MAC, encipher
6     MAC 密钥            80 1A       file-maintenance, record-mac              MAC
7     加密密钥            80 1A       internal-, external-authentication        encipher
8     MAC、加密密钥       80 1A       file-maintenance                          MAC, encipher
9     交易记录鉴别密钥    80 7C       record-mac, newest version                MAC of records
====  ==================  ==========  ========================================  ==============

A purchase key is never delivered: who could encipher under it would make session keys, and so
MAC1 for any amount. Nor is a key of type 9: it is fixed to this PSAM's own number, and could be
delivered with another's. A PSAM that is to behave as those of the field, which have no type 9, is
given the record MAC key as a further one of type 6 (profile `pboc`), and then none of type 9. Keys
of load and TAC are no keys of a PSAM at all.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import Enum, IntEnum

from cardcore.applets.catalogue import city_of
from cardcore.errors import KeyServiceError, KeyStateError, KeyUsageError, UnknownKeyError
from cardcore.key_labels import maintenance_label
from cardcore.keys import Algorithm, KeyDescription, KeyRef, KeyState, KeyUsage
from cardcore.text import Text
from hsm_sim.keys.masters import FACTOR_BYTES, MasterKeys, check_levels

_NUMBER_MAX = 0xFF
_LIVE = frozenset({KeyState.ACTIVE, KeyState.RETIRING})


class PsamKeyType(IntEnum):
    """What a key in a PSAM is for (密钥用途)."""

    MASTER = 0
    MAINTENANCE = 1
    PURCHASE = 2
    PIN_UNBLOCK = 3
    PIN_RELOAD = 4
    CARD_MAINTENANCE = 5
    MAC = 6
    ENCIPHER = 7
    MAC_AND_ENCIPHER = 8
    RECORD_MAC = 9


class Operation(Enum):
    """What CIPHER DATA does with a delivered key."""

    MAC = "mac"
    ENCIPHER = "encipher"


_BOTH = frozenset(Operation)
#: A type that does not stand here is not delivered.
OPERATIONS: dict[PsamKeyType, frozenset[Operation]] = {
    PsamKeyType.PIN_UNBLOCK: _BOTH,
    PsamKeyType.PIN_RELOAD: frozenset({Operation.MAC}),
    PsamKeyType.CARD_MAINTENANCE: _BOTH,
    PsamKeyType.MAC: frozenset({Operation.MAC}),
    PsamKeyType.ENCIPHER: frozenset({Operation.ENCIPHER}),
    PsamKeyType.MAC_AND_ENCIPHER: _BOTH,
}
AUTHENTICATION_USAGES = frozenset(
    {KeyUsage.INTERNAL_AUTHENTICATION, KeyUsage.EXTERNAL_AUTHENTICATION}
)
_MAINTENANCE_USAGES = frozenset({KeyUsage.FILE_MAINTENANCE})
_USAGES: dict[PsamKeyType, frozenset[KeyUsage]] = {
    PsamKeyType.MAINTENANCE: _MAINTENANCE_USAGES,
    PsamKeyType.PURCHASE: frozenset({KeyUsage.PURCHASE}),
    PsamKeyType.PIN_UNBLOCK: frozenset({KeyUsage.PIN_UNBLOCK}),
    PsamKeyType.PIN_RELOAD: frozenset({KeyUsage.PIN_RELOAD}),
    PsamKeyType.CARD_MAINTENANCE: _MAINTENANCE_USAGES,
    PsamKeyType.MAC: _MAINTENANCE_USAGES | {KeyUsage.RECORD_MAC},
    PsamKeyType.ENCIPHER: AUTHENTICATION_USAGES,
    PsamKeyType.MAC_AND_ENCIPHER: _MAINTENANCE_USAGES,
    PsamKeyType.RECORD_MAC: frozenset({KeyUsage.RECORD_MAC}),
}
#: The keys a PSAM of a label gets, in all versions; the number of such a key is its version.
USUAL = {
    KeyUsage.PURCHASE: PsamKeyType.PURCHASE,
    KeyUsage.PIN_UNBLOCK: PsamKeyType.PIN_UNBLOCK,
    KeyUsage.PIN_RELOAD: PsamKeyType.PIN_RELOAD,
    KeyUsage.FILE_MAINTENANCE: PsamKeyType.CARD_MAINTENANCE,
}


@dataclass(frozen=True, slots=True)
class KeySlot:
    """A place for a key in a PSAM. `number` is P2 of DELIVERY KEY, the version of 80 70."""

    kind: PsamKeyType
    number: int
    ref: KeyRef

    def __post_init__(self) -> None:
        if not 0 <= self.number <= _NUMBER_MAX:
            raise ValueError(f"{self.ref}: key number {self.number} does not fit one byte")
        if self.ref.usage not in _USAGES.get(self.kind, frozenset()):
            raise KeyUsageError(
                Text(
                    f"{self.ref}：{self.ref.usage.use.zh}密钥不能作 PSAM 的 {self.kind.name} 密钥",
                    f"{self.ref}: a {self.ref.usage} key cannot be a PSAM's {self.kind.name} key",
                )
            )


@dataclass(frozen=True, slots=True)
class PsamKey:
    """A key in its place. `check_value` is six hexadecimal digits."""

    slot: KeySlot
    algorithm: Algorithm
    check_value: str


def find_keys(
    label: str,
    masters: MasterKeys,
    further: Iterable[KeySlot] = (),
    usages: Collection[KeyUsage] = frozenset(USUAL),
) -> tuple[PsamKey, ...]:
    """The keys of a new PSAM: those of its label and these usual `usages`, its own maintenance key
    and its record MAC key, which are the city's, in the newest version each, and `further` ones.
    Only keys that are active or retiring now; validity in days is not looked at, for a PSAM has no
    calendar.

    Raises `UnknownKeyError` when there is no purchase key or a further one is not held,
    `KeyStateError` when that is not in use, `KeyServiceError` when its place is taken, and
    `KeyUsageError` when the maintenance key stands more than one level above the PSAMs' own.
    """
    live = [each for each in masters.descriptions() if each.state in _LIVE]
    keys = [
        _placed(KeySlot(USUAL[each.ref.usage], each.ref.version, each.ref), each)
        for each in live
        if each.ref.label == label and each.ref.usage in usages
    ]
    if not any(key.slot.kind is PsamKeyType.PURCHASE for key in keys):
        raise UnknownKeyError(
            Text(
                f"{KeyUsage.PURCHASE}/{label}：没有任何版本",
                f"{KeyUsage.PURCHASE}/{label}: no version is held",
            )
        )
    further = tuple(further)
    city = city_of(label)
    own = {PsamKeyType.MAINTENANCE: (KeyUsage.FILE_MAINTENANCE, maintenance_label(city))}
    if not any(slot.ref.usage is KeyUsage.RECORD_MAC for slot in further):
        own[PsamKeyType.RECORD_MAC] = (KeyUsage.RECORD_MAC, city)
    for kind, name in own.items():
        found = [each for each in live if (each.ref.usage, each.ref.label) == name]
        if found:
            newest = max(found, key=lambda each: each.ref.version)
            check_levels(newest, FACTOR_BYTES)
            keys.append(_placed(KeySlot(kind, newest.ref.version, newest.ref), newest))
    for slot in further:
        described = masters.describe(slot.ref)
        if described.state not in _LIVE:
            raise KeyStateError(
                Text(
                    f"{slot.ref}：{described.state.text.zh}，不能装入 PSAM",
                    f"{slot.ref}: is {described.state.text.en} and goes into no PSAM",
                )
            )
        if any((key.slot.kind, key.slot.number) == (slot.kind, slot.number) for key in keys):
            raise KeyServiceError(
                Text(
                    f"{slot.ref}：{slot.kind.name} 密钥 {slot.number} 号已被占用",
                    f"{slot.ref}: {slot.kind.name} key {slot.number} is taken",
                )
            )
        keys.append(_placed(slot, described))
    return tuple(keys)


def renew_keys(
    label: str,
    held: Iterable[tuple[KeySlot, str]],
    masters: MasterKeys,
    usages: Collection[KeyUsage] = frozenset(USUAL),
) -> tuple[PsamKey, ...]:
    """The keys of a PSAM whose keys are renewed (换钥): those of a new one, and of the further ones
    it holds those that are still in use.

    Raises what `find_keys` raises, and `KeyServiceError` when another key stands under a name that
    this PSAM knows: then these are not its masters.
    """
    usual = {*USUAL.values(), PsamKeyType.MAINTENANCE, PsamKeyType.RECORD_MAC}
    further = []
    for slot, shown in held:
        described = masters.describe(slot.ref)
        if described.check_value != shown:
            raise KeyServiceError(
                Text(
                    f"{slot.ref}：现持有的密钥不是此 PSAM 中的那一把",
                    f"{slot.ref}: the key held now is not the one in this PSAM",
                )
            )
        if slot.kind not in usual and described.state in _LIVE:
            further.append(slot)
    return find_keys(label, masters, further, usages)


def recognise_key(slot: KeySlot, check_value: str, masters: MasterKeys) -> PsamKey:
    """A key of a PSAM that wakes up. Raises `UnknownKeyError` when it is not held any more, and
    `KeyServiceError` when another key stands under its name.
    """
    described = masters.describe(slot.ref)
    if described.check_value != check_value:
        raise KeyServiceError(
            Text(
                f"{slot.ref}：持有的密钥不是此 PSAM 中的那一把",
                f"{slot.ref}: the key held is not the one in this PSAM",
            )
        )
    return _placed(slot, described)


def _placed(slot: KeySlot, described: KeyDescription) -> PsamKey:
    return PsamKey(slot, described.algorithm, described.check_value)
