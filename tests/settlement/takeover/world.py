"""A city that took its cards over: what its cards do, settled by the product and by the auditor.

Decides what happens in it and when. What the old centre owes, and what is due, the auditor says by
the rules alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from cardcore.records.openings import OpeningBalance
from cardcore.records.record import decode_record
from hsm_sim.keys.published_keys import published_key
from settlement.city import City
from settlement.clearing.proof import FloatFigures
from settlement.days.closing import ClosedDay
from settlement.engine.local import LocalEngine
from settlement.reports.float_proof import FloatReport, read_float_proof
from settlement.service.close import close_day
from settlement.service.receive import receive_file
from settlement.store.days import load_balances
from tests.settlement.device_files import (
    AGENT,
    BUS,
    BUS_TERMINAL,
    CLERK,
    DAY,
    KIOSK,
    METRO,
    METRO_TERMINAL,
    NOW,
    SCHEME,
    Street,
    StreetCard,
    key_service,
    tac_ref,
)
from tests.settlement.load_logs import Host, register_host
from tests.settlement.takeover.old_centre import CENTRE, a_balance, opening_file, register_centre
from tests.support.audit.auditor import Auditor
from tests.support.audit.books import books_of
from tests.support.audit.known import CardRange, Known, TacKey, TerminalDays
from tests.support.audit.openings import Openings, Takeover, Told, openings_of
from tests.support.audit.words import Purse, Sent

KEYS, ENGINE = key_service(), LocalEngine(1)
SECTORS = {BUS: 1, METRO: 1, AGENT: 6}


def known(on: date) -> Known:
    """What the office has registered, in the auditor's words."""
    del on
    terminals = ((BUS_TERMINAL, BUS), (METRO_TERMINAL, METRO), (KIOSK, AGENT))
    return Known(
        sectors=SECTORS,
        terminals=tuple(TerminalDays(each, owner, BUS) for each, owner in terminals),
        ranges=(
            CardRange(0, "0" * 8, SCHEME.issuer),
            CardRange(0, "0" * 7 + "1", SCHEME.issuer, first=DAY),
        ),
        tac_keys=(TacKey(0, 1, 1, published_key(tac_ref(1))),),
        cutover_hour=SCHEME.cutover_hour,
        grace_days=SCHEME.hotlist_grace_days,
        late_days=SCHEME.late_days,
    )


@dataclass
class TakenOver:
    """Old cards on a street, an office that took them over, and an auditor beside it."""

    city: City
    street: Street = field(default_factory=Street)
    host: Host = field(default_factory=Host)
    auditor: Auditor = field(default_factory=Auditor)
    handed: dict[Purse, int] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)
    files: int = 0

    def __post_init__(self) -> None:
        register_centre(self.city)
        register_host(self.city)

    def old_card(
        self, number: int, balance_fen: int, online: int = 3, rides: int = 5
    ) -> StreetCard:
        """A card that has had a life before."""
        card = self.street.card(number)
        card.balance_fen, card.online_counter, card.offline_counter = balance_fen, online, rides
        return card

    def hand_over(self, cards: Sequence[StreetCard], **changes: object) -> None:
        """The old centre's file of these cards, as they stand now unless changed."""
        rows = [self.row(card, **changes) for card in cards]
        self.hand_over_rows(rows)

    def row(self, card: StreetCard, **changes: object) -> OpeningBalance:
        """What the old centre says of a card."""
        values: dict[str, object] = {
            "debit_counter": card.offline_counter, "debit_counter_known": 1
        }  # fmt: skip
        number, balance_fen, online = int(card.number), card.balance_fen, card.online_counter
        return a_balance(number, balance_fen, online, **(values | changes))

    def hand_over_rows(self, rows: Sequence[OpeningBalance]) -> None:
        """The old centre's file of these rows."""
        self.give(opening_file(rows))
        for each in rows:
            self.handed[Purse(each.application, each.card_number[-16:])] = each.balance_fen

    def ask(self, card: StreetCard, amount_fen: int = 1000, **changes: object) -> None:
        """A card asks the load host, which allows it; the load does not go on."""
        at = self.street.tick()
        load = self.host.allow(
            **(
                {
                    "card_number": card.number,
                    "online_counter": card.online_counter,
                    "balance_before_fen": card.balance_fen,
                    "amount_fen": amount_fen,
                    "time": at,
                }
                | changes
            )
        )
        purse = Purse(0, load.card_number[-16:])
        self.told.append(Told(purse, load.online_counter, load.balance_before_fen, load.time))

    def give(self, data: bytes) -> None:
        """A file comes to the office."""
        answer = receive_file(self.city, data, KEYS, self.received)
        assert answer.answer.is_kept, answer

    @property
    def received(self) -> datetime:
        """When files of today come in."""
        return max(NOW, datetime.combine(self.street.now.date(), time(22), UTC))

    def purse(self, card: StreetCard) -> Purse:
        """A card's purse, in the auditor's words."""
        return Purse(0, card.number[-16:])

    def close(self, records: Sequence[bytes]) -> ClosedDay:
        """Close the day over these records and all that the host has allowed since."""
        self.files += 1
        sent = Sent(self.files, BUS, self.received, tuple(records))
        today = self.street.now.date()
        self.auditor.settle(today, known(today), [sent])
        return self.settle(records)

    def settle(self, records: Sequence[bytes]) -> ClosedDay:
        """The same, without the auditor."""
        self.give(self.street.file(records))
        if len(self.host.entries) > self.host.filed:
            self.give(self.host.file(self.street.now))
        today = self.street.now.date()
        closed = close_day(self.city, today, KEYS, ENGINE, self.received, CLERK)
        assert isinstance(closed, ClosedDay), closed
        self.street.now += timedelta(days=1)
        return closed

    @property
    def openings(self) -> Openings:
        """What the auditor says of them."""
        takeover = Takeover(CENTRE, 0, "0" * 8, self.handed)
        return openings_of(self.auditor.decided.values(), takeover, self.told)

    @property
    def balances(self) -> dict[str, int]:
        """The ledger, without what is nothing."""
        return {name: fen for name, fen in load_balances(self.city.database).items() if fen}

    @property
    def report(self) -> FloatReport:
        """The float, proven."""
        found = read_float_proof(self.city)
        assert found is not None
        return found

    def agrees(self) -> FloatFigures:
        """The product's ledger and its proof, held against the auditor's books."""
        audited, report, balances = self.openings, self.report, self.balances
        assert report.holds, report.faults
        assert balances.get(f"opening/{CENTRE}", 0) == audited.centre_fen
        assert balances.get("opening_due", 0) == audited.due_fen
        books = books_of(self.auditor.decided.values())
        float_fen = books.float_fen + audited.centre_fen + audited.due_fen
        assert -balances.get("card_float", 0) == report.float_fen == float_fen
        assert report.figures.opened_fen == audited.centre_fen
        assert report.figures.due_fen == audited.due_fen
        return report.figures


def amounts(records: Iterable[bytes]) -> int:
    """What records come to."""
    return sum(decode_record(each).amount_fen for each in records)
