"""What terminals, collectors and networks make of a true record before it is settled.

Decides which bytes arrive, from whom and on which day. Nobody here holds a key of a card; a
collector's own PSAMs sign what its terminals send, so a lie may carry a true record MAC.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random

from cardcore.records.kinds import MacProfile, RecordFlag, RecordKind
from cardcore.records.record import FIELD
from tests.settlement.audited.encoding import (
    changed,
    field_of,
    signed_by_psam,
    without_mac,
)
from tests.settlement.audited.lives import Tap
from tests.settlement.audited.world import (
    DAYS,
    FOREIGN_START,
    OWN_START,
    SECTORS,
    SIBLING_START,
    World,
)


@dataclass(frozen=True)
class Delivery:
    """A record as it arrives: from whom, on which settlement day."""

    data: bytes
    sender: int
    day: int


@dataclass(frozen=True)
class Scene:
    """A true record, the world around it, and the dice."""

    world: World
    tap: Tap
    dice: Random

    def honest(self) -> Delivery:
        """What should arrive."""
        return Delivery(self.tap.data, self.tap.collector, self.tap.day)

    def later(self) -> int:
        """The same day or one of the next."""
        return min(self.tap.day + self.dice.choice((0, 0, 1, 2)), DAYS - 1)

    def stranger(self) -> int:
        """Any participant."""
        return self.dice.choice(list(SECTORS))


Bytes = Callable[[Scene, bytes], bytes]


def _field(name: str, *values: object) -> Bytes:
    return lambda scene, data: changed(data, **{name: scene.dice.choice(values)})


def _moved(name: str, bits: int) -> Bytes:
    """A number changed by a little."""

    def change(scene: Scene, data: bytes) -> bytes:
        number = field_of(data, name) + scene.dice.choice((1, 2, 7, 500))
        return changed(data, **{name: number % 2**bits})

    return change


def _start(start: str) -> Bytes:
    def change(_: Scene, data: bytes) -> bytes:
        card = FIELD["card_number"]
        number = data[card.offset : card.offset + card.length].hex()
        return changed(data, card_number=start + number[4:])

    return change


def _operator(scene: Scene, data: bytes) -> bytes:
    return changed(data, operator=scene.stranger())


def _kind(scene: Scene, data: bytes) -> bytes:
    if scene.tap.site.is_kiosk:
        return data
    return changed(data, kind=scene.dice.choice((RecordKind.EXIT, RecordKind.ENTRY)))


def _first_version(_: Scene, data: bytes) -> bytes:
    if field_of(data, "application"):
        return data
    return changed(without_mac(data), version=1, mac2_check=0)


def _broken_mac(_: Scene, data: bytes) -> bytes:
    at = FIELD["mac"].offset
    return data[:at] + bytes((data[at] ^ 0x5A,)) + data[at + 1 :]


#: Changes of what nobody signed: the TAC goes on holding.
CLAIMS: dict[str, Bytes] = {
    "serial": _moved("terminal_serial", 32),
    "offline counter": _moved("offline_counter", 16),
    "balance before": _moved("balance_before_fen", 32),
    "flags": _field("flags", 1, 2, 4, 5),
    "flag TAC missing": _field("flags", RecordFlag.TAC_MISSING),
    "operator": _operator,
    "sector": _field("sector", 1, 4, 5, 9),
    "line": _moved("line", 32),
    "station": _field("station", 0, 7),
    "tariff": _field("tariff_fen", 0, 1, 2**32 - 1),
    "concession": _field("concession", 1, 2, 3),
    "card kind": _field("card_kind", 2, 9),
    "previous": _moved("previous_counter", 16),
    "hotlist version": _field("hotlist_version", 0, 99),
    "key index": _field("key_index", 0, 3),
    "PSAM": lambda s, d: changed(d, psam=f"{s.dice.randint(1, 10**9):020}"),
    "issuer of the city": _field("issuer", bytes.fromhex("0101010101010101")),
    "prefix of the city": _start(SIBLING_START),
    "kind": _kind,
    "MAC2 check": _field("mac2_check", 0, 1, 2),
    "record of version 1": _first_version,
    "record MAC wrong": _broken_mac,
    "record MAC cut off": lambda _, data: without_mac(data),
    "record MAC made weakly": lambda s, d: signed_by_psam(d, s.world.city.name, MacProfile.PBOC),
    "key version held": _field("key_version", 1, 2),
    "key version of nobody": _field("key_version", 77),
    "algorithm": _field("algorithm", 4, 5),
    "algorithm of nobody": _field("algorithm", 9),
}
#: The balance after stands under a load's TAC, the online counter too: claims of a debit only.
DEBIT_CLAIMS: dict[str, Bytes] = {
    "balance after": _moved("balance_after_fen", 32),
    "online counter": _moved("online_counter", 16),
}
#: Changes after which no key of the city proves the record.
FORGERIES: dict[str, Bytes] = {
    "amount": _moved("amount_fen", 32),
    "huge amount": _field("amount_fen", 4_290_000_000),
    "time": lambda s, d: changed(d, time=datetime(2018, 9, 1, 12, s.dice.randint(0, 59))),  # noqa: DTZ001
    "PSAM sequence": _moved("psam_sequence", 32),
    "TAC of nobody": lambda s, d: changed(d, tac=s.dice.randbytes(4) + bytes(4)),
    "TAC and algorithm of nobody": lambda s, d: changed(
        d, tac=s.dice.randbytes(4) + bytes(4), algorithm=9
    ),
    "TAC missing": lambda _, d: changed(d, tac=bytes(8), flags=RecordFlag.TAC_MISSING),
    "TAC of zeros": lambda _, d: changed(d, tac=bytes(8)),
    "another card": lambda s, d: changed(d, card_number=s.world.card_number(9)),
    "another terminal": lambda s, d: changed(d, terminal=s.dice.choice(s.world.sites).terminal),
    "transaction type": _field("transaction_type", 2, 6, 9),
    "load told as a ride": _field("kind", RecordKind.PURCHASE, RecordKind.LOAD),
    "issuer of another city": _field("issuer", bytes.fromhex("0999999999999999")),
    "prefix of another city": _start(FOREIGN_START),
    "application": _field("application", 0, 1, 2),
    "application of nobody": _field("application", 99),
    "damaged": lambda _, d: d[:40] + b"\xff" + d[41:],
}


def _changed_bytes(scene: Scene, *, forged: bool) -> tuple[str, bytes]:
    """One to three changes, and what the PSAM says to the outcome."""
    dice, data = scene.dice, scene.tap.data
    kinds = FORGERIES if forged else CLAIMS
    if not forged and not scene.tap.site.is_kiosk:
        kinds = kinds | DEBIT_CLAIMS
    name = dice.choice(list(kinds))
    while dice.random() < 0.25:
        data = CLAIMS[dice.choice(list(CLAIMS))](scene, data)
    data = kinds[name](scene, data)
    if dice.random() < 0.3 and data[0] == 2 and name != "damaged":
        data = signed_by_psam(data, scene.world.city.name, MacProfile.FIXED)
    return name, data


def _altered_alone(scene: Scene) -> tuple[str, list[Delivery]]:
    name, data = _changed_bytes(scene, forged=scene.dice.random() < 0.3)
    return name, [replace(scene.honest(), data=data)]


def _altered_beside(scene: Scene) -> tuple[str, list[Delivery]]:
    name, data = _changed_bytes(scene, forged=scene.dice.random() < 0.3)
    return name, [scene.honest(), replace(scene.honest(), data=data, day=scene.later())]


def _altered_before(scene: Scene) -> tuple[str, list[Delivery]]:
    """The true one comes after the changed one."""
    name, data = _changed_bytes(scene, forged=scene.dice.random() < 0.3)
    return name, [replace(scene.honest(), data=data), replace(scene.honest(), day=scene.later())]


def _altered_often(scene: Scene) -> tuple[str, list[Delivery]]:
    found = [scene.honest()]
    for _ in range(scene.dice.randint(2, 5)):
        _, data = _changed_bytes(scene, forged=False)
        found.append(Delivery(data, scene.tap.collector, scene.later()))
    return "twenty variants", found


def _altered_by_another(scene: Scene) -> tuple[str, list[Delivery]]:
    name, data = _changed_bytes(scene, forged=scene.dice.random() < 0.3)
    return name, [scene.honest(), Delivery(data, scene.stranger(), scene.later())]


def _copied(scene: Scene) -> tuple[str, list[Delivery]]:
    copies = [replace(scene.honest(), day=scene.later()) for _ in range(scene.dice.randint(1, 3))]
    return "copied", [scene.honest(), *copies]


def _copied_by_another(scene: Scene) -> tuple[str, list[Delivery]]:
    other = Delivery(scene.tap.data, scene.stranger(), scene.later())
    return "copied by another sender", [scene.honest(), other]


def _wrong_sender(scene: Scene) -> tuple[str, list[Delivery]]:
    other = replace(scene.honest(), sender=scene.stranger())
    if scene.dice.random() < 0.5:
        return "wrong sender", [other]
    return "wrong sender, then the right one", [other, replace(scene.honest(), day=scene.later())]


def _late(scene: Scene) -> tuple[str, list[Delivery]]:
    return "late", [replace(scene.honest(), day=scene.later())]


def _withheld(_: Scene) -> tuple[str, list[Delivery]]:
    return "withheld", []


def _torn(scene: Scene) -> tuple[str, list[Delivery]]:
    data = changed(scene.tap.data, tac=bytes(8), flags=RecordFlag.TAC_MISSING)
    return "torn, and never proven", [replace(scene.honest(), data=data)]


def _twisted_time(scene: Scene) -> tuple[str, list[Delivery]]:
    """A torn tap without TAC beside the true one: same card, a minute later."""
    data = changed(scene.tap.data, tac=bytes(8), flags=RecordFlag.TAC_MISSING)
    moment = datetime(2018, 9, 1, 9) + timedelta(minutes=scene.dice.randint(0, 600))  # noqa: DTZ001
    torn = changed(data, time=moment, psam_sequence=field_of(data, "psam_sequence") + 100)
    return "hole filled without TAC", [scene.honest(), replace(scene.honest(), data=torn)]


def _told_as_ours(scene: Scene) -> tuple[str, list[Delivery]]:
    """A guest's record under numbers of ours: all of a number's start, or the digits that choose no
    key.
    """
    scheme = scene.world.city.scheme
    start = scene.dice.choice((OWN_START, scheme.card_numbers[0].prefix))
    told = _numbered(scene.tap.data, scheme.issuer, start)
    return "guest told as ours", _beside(scene, told)


def _told_as_anothers(scene: Scene) -> tuple[str, list[Delivery]]:
    return "guest told as a partner's", _beside(scene, _as_anothers(scene))


def _as_anothers(scene: Scene) -> bytes:
    """A record under numbers of a partner."""
    partner = scene.dice.choice(scene.world.city.partners)
    return _numbered(scene.tap.data, partner.issuer, partner.prefix)


def _numbered(data: bytes, issuer: bytes, start: str) -> bytes:
    card = FIELD["card_number"]
    number = data[card.offset : card.offset + card.length].hex()
    return changed(data, issuer=issuer, card_number=start + number[len(start) :])


def _beside(scene: Scene, told: bytes) -> list[Delivery]:
    """A lie alone, or the true record before or after it."""
    lie = replace(scene.honest(), data=told, day=scene.later())
    return [lie] if scene.dice.random() < 0.3 else [scene.honest(), lie]


Fate = Callable[[Scene], tuple[str, list[Delivery]]]
#: What may happen to a true record, and how often beside the others.
FATES: tuple[tuple[Fate, int], ...] = (
    (_altered_alone, 5),
    (_altered_beside, 4),
    (_altered_before, 4),
    (_altered_often, 2),
    (_altered_by_another, 2),
    (_copied, 3),
    (_copied_by_another, 2),
    (_wrong_sender, 2),
    (_late, 3),
    (_withheld, 2),
    (_torn, 2),
    (_twisted_time, 1),
)
#: The same of a guest's record.
_GUEST_FATES = (*FATES, (_told_as_ours, 6), (_told_as_anothers, 6))
#: Every lie that can be counted.
LIES = (
    *CLAIMS, *DEBIT_CLAIMS, *FORGERIES, "twenty variants", "copied", "copied by another sender",
    "wrong sender", "wrong sender, then the right one", "late", "withheld",
    "hole filled without TAC", "torn, and never proven", "guest told as ours",
    "guest told as a partner's", "ours told as a partner's",
)  # fmt: skip


def deliver(scene: Scene) -> list[Delivery]:
    """What arrives of a true record; the lie is counted in the world."""
    return _delivered(scene, FATES)


def deliver_of_guest(scene: Scene) -> list[Delivery]:
    """What arrives of a guest's true record."""
    return _delivered(scene, _GUEST_FATES)


def disguise(scene: Scene) -> list[Delivery]:
    """What arrives besides of our own card's record, told as a partner's: seldom anything."""
    if scene.dice.random() < 0.8:
        return []
    scene.world.lies["ours told as a partner's"] += 1
    return [replace(scene.honest(), data=_as_anothers(scene), day=scene.later())]


def _delivered(scene: Scene, fates: Sequence[tuple[Fate, int]]) -> list[Delivery]:
    if scene.dice.random() < 0.45:
        return [scene.honest()]
    (fate,) = scene.dice.choices([each for each, _ in fates], [often for _, often in fates])
    name, deliveries = fate(scene)
    scene.world.lies[name] += 1
    return deliveries
