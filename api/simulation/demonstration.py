"""The plan of the demonstration city from one seed. Decides where invented citizens ride, shop and
load; the same seed makes the same city to the last fen.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from random import Random

from api.simulation.plan import Plan, PlannedCard, PlannedTap, PlannedTerminal
from cardcore.concession import Concession
from cardcore.schemes import FareClass, Scheme
from cardcore.schemes.catalogue import SCHEMES
from terminals.roles.bus import BUS
from terminals.roles.canteen import CANTEEN as CANTEEN_TILL
from terminals.roles.load_kiosk import KIOSK
from terminals.roles.metro_gate import ENTRY, EXIT
from terminals.roles.shop import SHOP
from terminals.tap.role import DeviceRole

SCHEME = SCHEMES["demo"]

BUS_OPERATOR, METRO_OPERATOR, SUPERMARKET, CANTEEN, LOAD_AGENT = 101, 201, 501, 502, 901
LINES = {1: "1路", 2: "8路", 3: "23路"}
STATIONS = {1: "火车站", 2: "市政府", 3: "人民医院", 4: "图书馆", 5: "大学城"}
VEHICLES = {number: f"示B{1000 + number}" for number in range(1, 7)}
LOADS_FEN = (2_000, 5_000, 10_000)
BALANCE_LOW_FEN = 1_500
#: The two purses of a card that people use.
TRANSIT, PURSE = "transit", "purse"
#: The first purchase at a till comes once more from its collector, with so much on top.
FORGED_MORE_FEN = 10_000
_KIOSK_WEIGHT = 100
#: One tap in so many is torn, one record in so many is uploaded twice.
TORN_EVERY, COPIED_EVERY = 97, 211


@dataclass(slots=True)
class _Citizen:
    """What the plan keeps of a citizen while it writes a day after another."""

    number: str
    concession: Concession
    balances_fen: dict[str, int] = field(default_factory=lambda: {TRANSIT: 0, PURSE: 0})
    last_bus: datetime | None = None

    @property
    def product(self) -> str:
        """Pupils carry the student card. Of the adults, those whose number ends in 0 keep their
        name to themselves.
        """
        if self.concession is Concession.HALF:
            return "student"
        nameless = self.concession is Concession.ADULT and self.number.endswith("0")
        return "anonymous" if nameless else "citizen"


def plan_demonstration(seed: int, cards: int, days: int, first_day: date) -> Plan:
    """A city of so many cards over so many days."""
    dice = Random(seed)  # noqa: S311 - a repeatable city, not a secret
    citizens = [
        _Citizen(
            f"0310{SCHEME.city_code}{dice.randrange(10**6):06d}{index:06d}",
            dice.choices((Concession.ADULT, Concession.HALF, Concession.FREE), weights=(80, 12, 8))[
                0
            ],
        )
        for index in range(cards)
    ]
    taps: list[PlannedTap] = []
    for offset in range(days):
        day = first_day + timedelta(days=offset)
        errands = [tap for citizen in citizens for tap in _Day(dice, citizen, day).taps()]
        errands.sort(key=lambda tap: (tap.time, tap.request))
        taps += errands
    return Plan(
        scheme=SCHEME,
        fingerprint=(
            f"demonstration seed {seed} cards {cards} days {days} from {first_day}, "
            "whole cards, two purses, a forger and a lost card"
        ),
        cards=tuple(
            PlannedCard(citizen.number, citizen.product, first_day) for citizen in citizens
        ),
        terminals=_terminals(),
        names={"line": LINES, "station": STATIONS, "vehicle": VEHICLES},
        taps=tuple(_with_mishaps(taps)),
        lost=_lost(taps),
    )


def _terminals() -> tuple[PlannedTerminal, ...]:
    sites = [(BUS_OPERATOR, bus, BUS) for bus in VEHICLES]
    sites += [(METRO_OPERATOR, station * 10, ENTRY) for station in STATIONS]
    sites += [(METRO_OPERATOR, station * 10 + 1, EXIT) for station in STATIONS]
    sites += [(SUPERMARKET, till, SHOP) for till in (1, 2, 3)] + [(CANTEEN, 1, CANTEEN_TILL)]
    sites += [(LOAD_AGENT, kiosk, KIOSK) for kiosk in (1, 2)]
    return tuple(
        PlannedTerminal(_terminal(participant, number), participant, role.name)
        for participant, number, role in sites
    )


def _terminal(participant: int, number: int) -> str:
    return f"{participant:06d}{number:06d}"


def _with_mishaps(taps: list[PlannedTap]) -> Iterator[PlannedTap]:
    """Some taps are torn and some records uploaded twice: a city without mishaps proves little."""
    tills = {SHOP.name, CANTEEN_TILL.name}
    forged = next((tap.request for tap in taps if tap.role in tills), None)
    for index, tap in enumerate(taps, start=1):
        yield replace(
            tap,
            forged_fen=tap.amount_fen + FORGED_MORE_FEN if tap.request == forged else 0,
            torn=index % TORN_EVERY == 0 and tap.role != KIOSK.name,
            copies=int(index % COPIED_EVERY == 0),
        )


def _lost(taps: list[PlannedTap]) -> dict[str, date]:
    """The card of whoever taps least on the last day, kiosks weighing most, is reported so long
    before that no terminal may take it that day any more.
    """
    if not taps:
        return {}
    last = max(tap.settlement_day for tap in taps)
    counts = Counter[str]()
    for tap in taps:
        if tap.settlement_day == last:
            counts[tap.card] += _KIOSK_WEIGHT if tap.role == KIOSK.name else 1
    card = min(counts, key=lambda each: (counts[each], each))
    return {card: last - timedelta(days=SCHEME.hotlist_grace_days)}


class _Day:
    """One citizen's day: a way out, perhaps an errand, a way back."""

    def __init__(self, dice: Random, citizen: _Citizen, day: date) -> None:
        self._dice = dice
        self._citizen = citizen
        self._day = day
        self._clock = datetime.combine(day, time(6, 30)) + timedelta(seconds=dice.randrange(9_000))
        self._taps: list[PlannedTap] = []

    def taps(self) -> list[PlannedTap]:
        """The taps of the day in order; a citizen at home has none."""
        if self._dice.random() < 0.15:
            return []
        self._load_if_low(TRANSIT)
        self._ride()
        if self._dice.random() < 0.45:
            self._buy(CANTEEN_TILL, CANTEEN, 1, self._dice.randrange(600, 2_000, 50))
        if self._dice.random() < 0.30:
            till = self._dice.randrange(1, 4)
            self._buy(SHOP, SUPERMARKET, till, self._dice.randrange(300, 4_500))
        self._load_if_low(TRANSIT)
        self._ride()
        return self._taps

    def _ride(self) -> None:
        if self._dice.random() < 0.5:
            self._metro()
        else:
            self._bus()
            if self._dice.random() < 0.2:
                self._wait(600, 2_400)
                self._bus()
        self._wait(3_600, 14_400)

    def _bus(self) -> None:
        vehicle = self._dice.choice(tuple(VEHICLES))
        since = self._citizen.last_bus
        window = timedelta(minutes=SCHEME.prices.transfer_window_minutes)
        transfer = (
            self._citizen.concession is Concession.ADULT
            and since is not None
            and self._clock - since <= window
        )
        self._citizen.last_bus = None if transfer else self._clock
        self._tap(
            BUS, BUS_OPERATOR, vehicle, 200,
            transfer=transfer, line=1 + vehicle % len(LINES), vehicle=vehicle,
        )  # fmt: skip

    def _metro(self) -> None:
        entry, leave = self._dice.sample(tuple(STATIONS), 2)
        self._tap(ENTRY, METRO_OPERATOR, entry * 10, 0, station=entry)
        self._wait(480, 2_000)
        tariff = 200 + 100 * abs(entry - leave)
        self._tap(EXIT, METRO_OPERATOR, leave * 10 + 1, tariff, station=leave)

    def _buy(self, role: DeviceRole, participant: int, till: int, amount_fen: int) -> None:
        self._load_if_low(PURSE)
        if amount_fen <= self._citizen.balances_fen[PURSE]:
            self._tap(role, participant, till, amount_fen)
            self._wait(1_800, 7_200)

    def _load_if_low(self, purse: str) -> None:
        if self._citizen.balances_fen[purse] < BALANCE_LOW_FEN:
            amount = self._dice.choice(LOADS_FEN)
            self._tap(KIOSK, LOAD_AGENT, self._dice.randrange(1, 3), amount, purse=purse)
            self._wait(60, 600)

    def _tap(
        self,
        role: DeviceRole,
        participant: int,
        number: int,
        tariff_fen: int,
        *,
        purse: str = "",
        transfer: bool = False,
        line: int = 0,
        station: int = 0,
        vehicle: int = 0,
    ) -> None:
        concession = self._citizen.concession
        if role in {SHOP, CANTEEN_TILL, KIOSK}:
            concession = Concession.FULL
        scheme: Scheme = SCHEME
        amount = (
            tariff_fen
            if role is KIOSK
            else scheme.fare_fen(role.kind, tariff_fen, FareClass(concession, transfer))
        )
        taken_from = purse or SCHEME.purses.get(role.device_name, role.applications)[0]
        self._citizen.balances_fen[taken_from] += amount if role is KIOSK else -amount
        self._taps.append(
            PlannedTap(
                request=f"{self._day} {self._citizen.number} {len(self._taps)}",
                card=self._citizen.number,
                time=self._clock,
                role=role.name,
                terminal=_terminal(participant, number),
                participant=participant,
                tariff_fen=tariff_fen,
                amount_fen=amount,
                settlement_day=self._day,
                concession=concession,
                transfer=transfer,
                line=line,
                station=station,
                vehicle=vehicle,
                application=purse,
            )
        )

    def _wait(self, least_seconds: int, most_seconds: int) -> None:
        self._clock += timedelta(seconds=self._dice.randrange(least_seconds, most_seconds))
