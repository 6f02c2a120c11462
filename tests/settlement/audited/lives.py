"""What truly happened: sites are built, cards of this city and guests are loaded and pay,
terminals keep records.

Decides every true record and whose it was to bring. Leaves what became of it on its way to `lies`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from random import Random

from cardcore.records.kinds import MacProfile, RecordKind, TransactionType
from cardcore.records.record import COUNTER_NOT_READ, encode_record
from tests.settlement.audited.encoding import signed_by_card, signed_by_psam, without_mac
from tests.settlement.audited.world import (
    AGENT,
    CARRIER,
    CITIES,
    COLLECTOR,
    DAYS,
    NEVER,
    OTHER_CARRIER,
    SCHEME_NAMES,
    SECTORS,
    SHOP,
    Guests,
    Site,
    World,
    settlement_day,
)
from tests.support.audit.known import ListedDays, TerminalDays
from tests.support.records import a_bus_ride, a_load

_FARES_FEN = (0, 80, 160, 160, 200, 400, 1500)
_LOADS_FEN = (1000, 2000, 5000)
#: What a terminal's clock is off by, where it is.
CLOCKS_OFF = {
    "clock ahead by hours": timedelta(hours=30),
    "clock ahead by a day and a half": timedelta(hours=40),
    "clock ahead by days": timedelta(days=3),
    "clock ahead by a year": timedelta(days=400),
    "clock behind": timedelta(days=-400),
}


@dataclass(frozen=True)
class Tap:
    """A true record, the day it happened on, and where."""

    data: bytes
    day: int
    site: Site
    collector: int


@dataclass
class _Purse:
    issuer: bytes
    number: str
    application: int
    label: str
    key_version: int
    balance_fen: int = 0
    online: int = 0
    offline: int = 0
    seen: datetime = datetime.min  # noqa: DTZ901 - wall clock of the city


@dataclass
class Street:
    """The world while its records are made: each terminal's last serial and moment."""

    world: World
    dice: Random
    serials: dict[str, int] = field(default_factory=dict)
    seen: dict[str, datetime] = field(default_factory=dict)


def new_world(seed: int, dice: Random) -> World:
    """Sites, participants and what the registry says of them."""
    city = CITIES[SCHEME_NAMES[seed % len(SCHEME_NAMES)]]
    world = World(
        seed,
        city,
        cards=dice.randint(2, 3),
        keys_from=dice.choice((0, 0, 0, 1, 2, DAYS, NEVER)),
        is_announced=dice.random() < 0.5,
    )
    day = settlement_day(dice.randint(1, DAYS - 1))
    before = day - timedelta(days=1)

    def add(
        rows: list[tuple[int, int, int | None]], *, kiosk: bool = False, known: int = 0
    ) -> None:
        terminal = f"{seed:08x}{len(world.sites) + 1:04x}"
        days = [(settlement_day(-4000), before), (day, settlement_day(4000))]
        dated = [
            TerminalDays(terminal, *row)
            if len(rows) == 1
            else TerminalDays(terminal, *row, first=first, last=last)
            for row, (first, last) in zip(rows, days, strict=False)
        ]
        application = dice.choice(city.applications)
        world.sites.append(
            Site(
                terminal,
                f"{seed:012}{len(world.sites) + 1:08}",
                application,
                kiosk,
                tuple(dated),
                dice.choice((CARRIER, OTHER_CARRIER)),
                known,
            )
        )

    add([(CARRIER, CARRIER, None)])
    add([(OTHER_CARRIER, COLLECTOR, None)])
    add([(SHOP, SHOP, dice.choice((None, 4)))])
    add([(AGENT, dice.choice((AGENT, COLLECTOR)), None)], kiosk=True)
    add([(CARRIER, CARRIER, None), (OTHER_CARRIER, OTHER_CARRIER, None)])  # moves
    if dice.random() < 0.4:  # registered late, or never
        add([(CARRIER, CARRIER, None)], known=dice.choice((1, 2, DAYS, NEVER)))
    if dice.random() < 0.2:  # a kiosk registered late
        add([(AGENT, AGENT, None)], kiosk=True, known=dice.choice((1, 2, DAYS, NEVER)))
    if dice.random() < 0.2:  # its collector changes
        add([(OTHER_CARRIER, COLLECTOR, None), (OTHER_CARRIER, OTHER_CARRIER, None)])
    if dice.random() < 0.4:
        first = settlement_day(dice.randint(0, DAYS - 1))
        last = dice.choice((first, settlement_day(4000)))
        world.hotlist.append(ListedDays(world.card_number(1), first, last))
    return world


def invite(world: World, dice: Random) -> Guests:
    """Cards of a partner come, and what is held of its keys; one of them may be on our list."""
    first = dice.choice((0, 0, 0, 1, 2, DAYS, NEVER))
    second = max(first, dice.choice((0, 0, DAYS, NEVER)))
    cards = (1, 5, 6)[: dice.randint(2, 3)]
    partner = dice.choice(world.city.partners)
    guests = Guests(partner, cards, (first, second), is_announced=dice.random() < 0.5)
    if dice.random() < 0.4:
        listed = guests.card_number(cards[1], world.seed)
        world.hotlist.append(ListedDays(listed, settlement_day(dice.randint(0, DAYS - 1))))
    return guests


def visit(street: Street, guests: Guests) -> list[Tap]:
    """Every true record of guests: they come with money, after whoever was at a terminal before."""
    world, dice = street.world, street.dice
    purses = []
    for card in guests.cards:
        version = dice.choice((1, 1, 1, 2))
        number = guests.card_number(card, world.seed)
        application = dice.choice((0, 0, 1))
        label = world.city.label(application, guests.partner.name)
        purse = _Purse(guests.partner.issuer, number, application, label, version, 10_000)
        purses.append(purse)
    moments = [(moment, number) for number in range(len(purses)) for moment in _moments(dice)]
    return _taps(street, purses, moments)


def live(street: Street) -> list[Tap]:
    """Every true record of the world's own cards, in the order in which things happened."""
    world, dice = street.world, street.dice
    issuer = world.city.scheme.issuer
    purses: list[_Purse] = []
    moments: list[tuple[datetime, int]] = []
    for card in range(1, world.cards + 1):
        version = dice.choice((1, 1, 1, 2))
        for application in world.city.applications:
            online = 65_534 if dice.random() < 0.2 else 0  # a counter near its end
            label = world.city.label(application)
            number = world.card_number(card)
            purses.append(_Purse(issuer, number, application, label, version, online=online))
            moments += [(moment, len(purses) - 1) for moment in _moments(dice)]
    return _taps(street, purses, moments)


def _taps(
    street: Street, purses: Sequence[_Purse], moments: Sequence[tuple[datetime, int]]
) -> list[Tap]:
    taps = (_tap(street, purses[number], moment) for moment, number in sorted(moments))
    return [tap for tap in taps if tap is not None]


def _moments(dice: Random) -> list[datetime]:
    """When a card is used."""
    found = []
    moment = datetime.combine(settlement_day(dice.randint(0, 1)), time(6))
    for _ in range(dice.randint(1, 4)):
        moment += timedelta(seconds=dice.randint(60, 9 * 3600))
        if moment.date() < settlement_day(DAYS):
            found.append(moment)
    return found


def _tap(street: Street, purse: _Purse, moment: datetime) -> Tap | None:
    """The card is used once more: loaded when it is low, else it pays where its purse is taken."""
    world, dice = street.world, street.dice
    is_load = purse.balance_fen < 1500 or dice.random() < 0.2
    sites = [
        site
        for site in world.sites
        if site.is_kiosk == is_load and (is_load or site.application == purse.application)
    ]
    if not sites:
        return None
    site = dice.choice(sites)
    moment = max(moment, purse.seen, street.seen.get(site.terminal, moment))
    clock = purse.seen = street.seen[site.terminal] = moment
    if dice.random() < 0.04:
        lie = dice.choice(list(CLOCKS_OFF))
        world.lies[lie] += 1
        clock += CLOCKS_OFF[lie]
    amount_fen = dice.choice(_LOADS_FEN if is_load else _FARES_FEN)
    after_fen = purse.balance_fen + (amount_fen if is_load else -amount_fen)
    business_day = world.city.scheme.business_day(moment)
    row = next((r for r in site.rows if r.first <= business_day <= r.last), None)
    owner = row.owner if row else site.sender
    serial = street.serials[site.terminal] = street.serials.get(site.terminal, 0) + 1
    values: dict[str, object] = {
        "issuer": purse.issuer,
        "card_number": purse.number,
        "balance_before_fen": purse.balance_fen,
        "balance_after_fen": after_fen,
        "amount_fen": amount_fen,
        "terminal": site.terminal,
        "psam": site.psam,
        "terminal_serial": serial,
        "psam_sequence": serial,
        "time": clock,
        "business_day": business_day,
        "operator": owner,
        "sector": SECTORS[owner] if row is None or row.sector is None else row.sector,
        "application": purse.application,
        "key_version": purse.key_version,
    }
    if is_load:
        begun = a_load(**values, online_counter=purse.online)
        purse.online = 1 if purse.online == 65_535 else purse.online + 1
    else:
        kind = dice.choice((RecordKind.PURCHASE, RecordKind.PURCHASE, RecordKind.EXIT))
        kind = RecordKind.ENTRY if not amount_fen else kind
        begun = a_bus_ride(
            **values,
            kind=kind,
            offline_counter=purse.offline,
            online_counter=COUNTER_NOT_READ,
            tariff_fen=amount_fen * 5 // 4,
            transaction_type=dice.choice((TransactionType.COMPOSITE, TransactionType.PURCHASE)),
        )
        purse.offline += 1
    purse.balance_fen = after_fen
    data = encode_record(begun)
    profile = dice.choice((MacProfile.FIXED, MacProfile.FIXED, MacProfile.PBOC, MacProfile.NONE))
    data = signed_by_card(data, purse.label, purse.key_version)
    data = signed_by_psam(data, world.city.name, profile) if profile else without_mac(data)
    world.truth.append(data)
    civil_day = (business_day - settlement_day(0)).days
    return Tap(data, max(civil_day, 0), site, site.collector_on(business_day))
