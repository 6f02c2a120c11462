"""A small world: sites, participants, cards, what the registry says on each day, and the files.

Decides names and numbers: worlds of different seeds share participants, partners and no card,
terminal or PSAM, so that many of them can be settled in one run and told apart afterwards.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from cardcore.key_labels import application_label
from cardcore.keys import KeyRef, KeyUsage
from cardcore.records.kinds import Sector
from cardcore.schemes import Scheme
from cardcore.schemes.catalogue import SCHEMES
from hsm_sim.keys.published_keys import published_key
from tests.settlement.audited.encoding import MAC_VERSION, SUITE_OF_VERSION
from tests.support.audit.known import (
    OURS,
    CardRange,
    Known,
    ListedDays,
    MacKey,
    TacKey,
    TerminalDays,
)

DAY = date(2018, 9, 1)
DAYS = 4
NEVER = 1_000
#: Days that are settled, counted from the first: those on which files come, one on which keys and
#: terminals are known at last, one after which no file is expected any more, and one before which
#: people rule on everything that is left.
SETTLED = (*range(DAYS), DAYS + 10, DAYS + 50, DAYS + 51)
SCHEME_NAMES = ("shenzhen", "demo")
#: Endings of key labels by application: transit, and the purse for small payments.
ENDINGS = {0: "", 1: "-purse"}
#: Digits before the number that makes the key: the city's own, another range of the city that ends
#: in the same digits, and one of another city.
OWN_START, SIBLING_START, FOREIGN_START = "0310", "0777", "0999"
#: Participants of every world: two carriers, a shop, a collector, a load agent, and a liar who owns
#: nothing.
CARRIER, OTHER_CARRIER, SHOP, COLLECTOR, AGENT, LIAR = range(10_001, 10_007)
SECTORS: dict[int, int] = {
    CARRIER: Sector.TRANSIT,
    OTHER_CARRIER: Sector.TRANSIT,
    SHOP: Sector.MERCHANT,
    COLLECTOR: Sector.TRANSIT,
    AGENT: Sector.CARD_SERVICE,
    LIAR: Sector.TRANSIT,
}
#: Centres of partners' cards, which answer for what those pay here.
CENTRE, OTHER_CENTRE = 10_011, 10_012
#: So many seeds lie between two that are settled in one run.
BLOCK = 1024
_END_OF_DAY = time(23, 59, 59)


def settlement_day(index: int) -> date:
    """The day of that number."""
    return DAY + timedelta(days=index)


@dataclass(frozen=True)
class Site:
    """A terminal, the rows that say whose it is, and from which settled day they are known."""

    terminal: str
    psam: str
    application: int
    is_kiosk: bool
    rows: tuple[TerminalDays, ...]
    sender: int  # who brings its records while nobody is registered
    known_from: int = 0

    def collector_on(self, day: date) -> int:
        """Who brings its records on a day."""
        return next(
            (row.collector for row in self.rows if row.first <= day <= row.last), self.sender
        )


@dataclass(frozen=True)
class Part:
    """Records that a sender sends on a day, in its first file of the day or its second."""

    sender: int
    half: int
    records: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Partner:
    """Another city whose cards come here."""

    name: str  # first part of every key label
    centre: int
    prefix: str
    issuer: bytes
    #: From which settled day on its numbers are known, and from which day on they are its cards'.
    known_from: int = 0
    first: date = date.min

    def ranges(self) -> Iterator[CardRange]:
        """Its numbers, of both purses."""
        for application in ENDINGS:
            yield CardRange(application, self.prefix, self.issuer, self.name, self.first)


@dataclass(frozen=True, slots=True)
class Keys:
    """Versions of the keys of one city on a day: which are registered, and which are held."""

    city: str  # OURS, or a partner's
    registered: tuple[int, ...]
    held: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Guests:
    """Cards of a partner in a world, and from which settled day each version of its keys is held.
    The first has the digits of our first card behind its prefix.
    """

    partner: Partner
    cards: tuple[int, ...]
    keys_from: tuple[int, ...]
    is_announced: bool

    def card_number(self, card: int, seed: int) -> str:
        """20 digits of a card."""
        return f"{self.partner.prefix}{seed * 10 + card:012}"

    def keys(self, day: int) -> Keys:
        """What there is of the partner's keys on a day."""
        held = tuple(n for n, since in enumerate(self.keys_from, 1) if since <= day)
        registered = tuple(SUITE_OF_VERSION) if self.is_announced else held
        return Keys(self.partner.name, registered, held)


@dataclass(frozen=True, eq=False)
class City:
    """What worlds of one scheme have in common."""

    scheme: Scheme
    ranges: tuple[CardRange, ...]
    partners: tuple[Partner, ...]

    @property
    def name(self) -> str:
        """Name of the scheme, first part of every key label."""
        return self.scheme.name

    @property
    def digits(self) -> str:
        """The digits of card numbers behind the first four."""
        return self.scheme.card_numbers[0].prefix[4:]

    @property
    def applications(self) -> tuple[int, ...]:
        """Purses of the city."""
        return tuple(sorted({each.application for each in self.ranges}))

    def label(self, application: int, city: str = OURS) -> str:
        """The label of an application's keys, ours or a partner's."""
        return application_label(city or self.name, ENDINGS[application])


def _city(name: str) -> City:
    scheme = SCHEMES[name]
    codes = {"transit": 0, "purse": 1}
    sibling = bytes.fromhex("0101010101010101")
    ranges = []
    for each in scheme.card_numbers:
        code = codes[each.application]
        ranges.append(CardRange(code, each.prefix, each.issuer))
        ranges.append(CardRange(code, SIBLING_START + each.prefix[4:], sibling))
        ranges.append(CardRange(code, each.prefix, sibling))
    return City(scheme, tuple(ranges), _partners(scheme))


def _partners(scheme: Scheme) -> tuple[Partner, ...]:
    """One like any other; one whose cards sign with the digits of ours and name our issuer, known
    late; one whose numbers are ours under another issuer, of the first one's centre, from a day on.
    """
    prefix = scheme.card_numbers[0].prefix
    other, third = bytes.fromhex("01053320FFFFFFFF"), bytes.fromhex("0606060606060606")
    return (
        Partner("ningbo", CENTRE, "03103320", other),
        Partner("dongguan", OTHER_CENTRE, "0888" + prefix[4:], scheme.issuer, known_from=2),
        Partner("foshan", CENTRE, prefix, third, first=settlement_day(1)),
    )


CITIES = {name: _city(name) for name in SCHEME_NAMES}


@dataclass
class World:
    """One seed's world. `making` fills in what arrives on each day."""

    seed: int
    city: City
    cards: int
    #: Day from which version 2 of the keys is held, and whether it is registered before that.
    keys_from: int
    is_announced: bool
    guests: Guests | None = None
    sites: list[Site] = field(default_factory=list)
    hotlist: list[ListedDays] = field(default_factory=list)
    parts: list[list[Part]] = field(default_factory=list)
    #: How often each lie was told.
    lies: Counter[str] = field(default_factory=Counter)
    #: Bytes of what truly happened.
    truth: list[bytes] = field(default_factory=list)

    @property
    def is_closed_late(self) -> bool:
        """Whether all files came before the first day was closed: so in every fourth block."""
        return self.seed // BLOCK % 4 == 3

    def card_number(self, card: int, start: str = OWN_START) -> str:
        """20 digits of a card."""
        return f"{start}{self.city.digits}{self.seed * 10 + card:012}"

    def received(self, day: int) -> datetime:
        """When a day's files come in: at its end, or all of them on the last day."""
        last = DAYS - 1 if self.is_closed_late else day
        return datetime.combine(settlement_day(last), _END_OF_DAY, UTC)

    def keys(self, day: int) -> tuple[Keys, ...]:
        """What there is of the keys of this city, and of its guests'."""
        held = (1, 2) if day >= self.keys_from else (1,)
        own = Keys(OURS, (1, 2) if self.is_announced else held, held)
        return (own, self.guests.keys(day)) if self.guests else (own,)

    def known(self, day: int) -> Known:
        """What the city knows when it settles a day."""
        partners = self.city.partners
        known = [each for each in partners if each.known_from <= day]
        return Known(
            sectors=SECTORS,
            terminals=tuple(self._rows(day)),
            ranges=(*self.city.ranges, *(row for each in known for row in each.ranges())),
            tac_keys=tuple(self._tac_keys(day)),
            centres={each.name: each.centre for each in partners},
            mac_keys=(MacKey(MAC_VERSION, 1, self._mac_key()),),
            hotlist=tuple(self.hotlist),
            cutover_hour=self.city.scheme.cutover_hour,
            grace_days=self.city.scheme.hotlist_grace_days,
            late_days=self.city.scheme.late_days,
        )

    def _rows(self, day: int) -> Iterator[TerminalDays]:
        for site in self.sites:
            if site.known_from <= day:
                yield from site.rows

    def _tac_keys(self, day: int) -> Iterator[TacKey]:
        for keys in self.keys(day):
            for application in ENDINGS if keys.city else self.city.applications:
                label = self.city.label(application, keys.city)
                for version in keys.registered:
                    value = published_key(KeyRef(KeyUsage.TAC, label, version))
                    yield TacKey(
                        application,
                        version,
                        SUITE_OF_VERSION[version],
                        value if version in keys.held else None,
                        keys.city,
                    )

    def _mac_key(self) -> bytes:
        return published_key(KeyRef(KeyUsage.RECORD_MAC, self.city.name, MAC_VERSION))
