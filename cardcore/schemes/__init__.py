"""A scheme is the rules of one city as data: operators, issuer, day cut-over, tariff.

Decides what a fare must be and which class explains a fare that was charged. Leaves who applies
the rule to others: terminals charge by it, settlement checks by it, with the same functions. Who
takes part is only the seed of a new city's registry; from then on the registry says it.

Read it in this order::

    pricing.py                what a ride costs: per cent of the tariff, in bands
    lines.py                  on which line of a TOML text an entry stands
    reading.py                a scheme's file, checked to the line
    catalogue.py              the schemes that ship
    demo.toml, shenzhen.toml  they themselves
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import IntEnum

from cardcore.concession import Concession
from cardcore.records.kinds import RecordKind
from cardcore.schemes.pricing import Prices


class ParticipantKind(IntEnum):
    """What a participant of the scheme does."""

    OPERATOR = 1  # 运营商: carries passengers or sells goods, is paid
    LOAD_AGENT = 2  # 充值代理: takes cash for loads, owes it
    CENTRE = 3  # 发卡中心: answers for the cards of another issuer, owes what they paid here


@dataclass(frozen=True, slots=True)
class Participant:
    """An operator, load agent or centre: the code records carry, the name people use, and the codes
    of those who send files for it.
    """

    code: int
    name: str
    kind: ParticipantKind
    sector: int  # any number: which sectors there are is the catalogue of settlement
    senders: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FareClass:
    """How a fare came about: the class of the passenger and whether a transfer was given."""

    concession: Concession
    transfer: bool

    @property
    def name(self) -> str:
        """Short name for reports.

        >>> FareClass(Concession.ADULT, True).name
        'adult_transfer'
        """
        return self.concession.name.lower() + ("_transfer" if self.transfer else "")


@dataclass(frozen=True, slots=True)
class CardNumbers:
    """Which card numbers belong to the keys of an application: all of this issuer that begin so."""

    application: str
    prefix: str
    issuer: bytes


@dataclass(frozen=True, slots=True)
class Life:
    """The days on which there is the scheme at all, both included. A day outside is a broken clock
    or a mistake.
    """

    first_day: date
    last_day: date

    def __contains__(self, day: date) -> bool:
        """Whether the scheme lives on a day."""
        return self.first_day <= day <= self.last_day


#: Where a scheme says nothing: no card of these formats is older than 2000, where a clock without a
#: battery begins to count long before that; and nobody plans beyond the century.
LIFE_DEFAULT = Life(date(2000, 1, 1), date(2099, 12, 31))


#: So many days after its first an entry of the hotlist binds every terminal, whatever list it says
#: it had. Where a scheme says nothing, on the next business day.
HOTLIST_GRACE_DAYS_DEFAULT = 1
#: After so many days no file is expected any more: what the cards state by then is believed.
LATE_DAYS_DEFAULT = 30
#: So long what one person proposes waits for the answer of another, where a scheme says nothing.
PROPOSAL_DAYS_DEFAULT = 7


@dataclass(frozen=True, slots=True)
class Scheme:
    """The rules of one city. Plain data: a task carries it to another process whole."""

    name: str
    issuer: bytes
    city_code: str  # 4 digits, as trip records carry it
    cutover_hour: int  # the business day starts at this hour of the wall clock
    participants: tuple[Participant, ...]
    tariff_version: int
    prices: Prices
    #: Classes in the order in which they are tried to explain a fare, by transfer mark.
    classes: Mapping[bool, tuple[FareClass, ...]]
    card_numbers: tuple[CardNumbers, ...]
    life: Life = LIFE_DEFAULT
    hotlist_grace_days: int = HOTLIST_GRACE_DAYS_DEFAULT
    late_days: int = LATE_DAYS_DEFAULT
    proposal_days: int = PROPOSAL_DAYS_DEFAULT
    #: Which purses a device role takes, by the names of their applications, in the order in which
    #: it asks a card for them. A role that is not named takes what it takes everywhere.
    purses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: The highest full tariff there is, by participant and kind of ride. What is not named here is
    #: known to nobody but the terminal.
    known_tariffs: Mapping[tuple[int, RecordKind], int] = field(default_factory=dict)

    @property
    def province_code(self) -> str:
        """4 digits, as EF17 carries it beside the city's: cities of a province begin as it does
        (5840 Shenzhen, 5800 Guangdong; 1000 Beijing is both).
        """
        return self.city_code[:2] + "00"

    def business_day(self, moment: datetime) -> date:
        """The business day a moment belongs to. The first hours there are belong to the first day:
        a terminal's clock can say anything.
        """
        day = moment.date()
        is_of_day_before = moment.hour < self.cutover_hour and day > date.min
        return day - timedelta(days=1) if is_of_day_before else day

    def fare_fen(self, kind: RecordKind, tariff_fen: int, fare_class: FareClass) -> int:
        """Fare for the full tariff: kind EXIT is a metro ride, PURCHASE a bus ride."""
        concession, transfer = fare_class.concession, fare_class.transfer
        return self.prices.fare_fen(kind, tariff_fen, concession, transfer=transfer)

    def known_tariff_fen(self, participant: int, kind: RecordKind) -> int | None:
        """The highest full tariff of that ride with a participant; None where nothing is known, and
        of a load. No card signs which ride it was: one that is not named costs at most what the
        dearest one of the participant does.
        """
        if kind is RecordKind.LOAD:
            return None
        own_fen = [fen for (code, _), fen in self.known_tariffs.items() if code == participant]
        return self.known_tariffs.get((participant, kind), max(own_fen, default=None))

    def explain_fare(
        self, kind: RecordKind, tariff_fen: int, charged_fen: int, *, transfer_mark: bool
    ) -> FareClass | None:
        """The first class, in the scheme's order, under which the charged fare is right.

        A class with a transfer under mark False means the discount was taken without the mark;
        None means that no class of the scheme explains the fare.
        """
        for fare_class in self.classes[transfer_mark]:
            if self.fare_fen(kind, tariff_fen, fare_class) == charged_fen:
                return fare_class
        return None

    def participant(self, name: str) -> Participant | None:
        """The participant of that name, or None."""
        return next((each for each in self.participants if each.name == name), None)
