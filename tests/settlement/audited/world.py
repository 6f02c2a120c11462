"""A small world: sites, participants, cards, what the registry says on each day, and the files.

Decides names and numbers: worlds of different seeds share participants and no card, terminal or
PSAM, so that many of them can be settled in one run and told apart afterwards.
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
from tests.support.audit.known import CardRange, Known, ListedDays, MacKey, TacKey, TerminalDays

DAY = date(2018, 9, 1)
DAYS = 4
NEVER = 1_000
#: Days that are settled, counted from the first: those on which files come, one on which keys and
#: terminals are known at last, one after which no file is expected any more.
SETTLED = (*range(DAYS), DAYS + 10, DAYS + 50)
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


@dataclass(frozen=True, eq=False)
class City:
    """What worlds of one scheme have in common."""

    scheme: Scheme
    ranges: tuple[CardRange, ...]

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

    def label(self, application: int) -> str:
        """The label of an application's keys."""
        return application_label(self.name, ENDINGS[application])


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
    return City(scheme, tuple(ranges))


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

    def versions_held(self, day: int) -> tuple[int, ...]:
        """Versions of the keys that are held on a day."""
        return (1, 2) if day >= self.keys_from else (1,)

    def versions_registered(self, day: int) -> tuple[int, ...]:
        """Versions of the keys that are registered on a day."""
        return (1, 2) if self.is_announced or day >= self.keys_from else (1,)

    def known(self, day: int) -> Known:
        """What the city knows when it settles a day."""
        held = self.versions_held(day)
        return Known(
            sectors=SECTORS,
            terminals=tuple(self._rows(day)),
            ranges=self.city.ranges,
            tac_keys=tuple(
                TacKey(
                    application,
                    version,
                    SUITE_OF_VERSION[version],
                    self._key(application, version) if version in held else None,
                )
                for application in self.city.applications
                for version in self.versions_registered(day)
            ),
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

    def _key(self, application: int, version: int) -> bytes:
        return published_key(KeyRef(KeyUsage.TAC, self.city.label(application), version))

    def _mac_key(self) -> bytes:
        return published_key(KeyRef(KeyUsage.RECORD_MAC, self.city.name, MAC_VERSION))
