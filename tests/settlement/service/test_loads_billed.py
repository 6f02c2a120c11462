"""R4, R6: a load is billed once, by its record, by the log, or by the card's next word."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from itertools import permutations
from pathlib import Path

import pytest

from cardcore.records.kinds import RecordFlag
from cardcore.records.record import decode_record, encode_record
from settlement.city import City
from settlement.engine.local import LocalEngine
from settlement.loads.standings import LoadStanding
from settlement.registry.book import since_ever
from settlement.registry.decide import Decided
from settlement.registry.rows import TerminalRow
from settlement.reports.history import explain
from settlement.reports.loads import read_loads
from settlement.service.registering import change_row
from settlement.store.days import load_balances, load_closed_days, load_run
from settlement.store.registry import register
from settlement.verification.verify import verify
from tests.settlement.device_files import (
    ACTION,
    AGENT,
    BUS,
    DAY,
    KIOSK,
    OTHER_SENDER,
    SENDER,
    Street,
    make_office,
)
from tests.settlement.load_logs import Host, register_host
from tests.settlement.service.test_service import KEYS, clear, close, receive

#: Sends what the load agent's kiosks recorded.
AGENTS_SENDER = OTHER_SENDER
OTHER_KIOSK, STRANGE_KIOSK = "0000000000c2", "0000000000c3"


def make_city(folder: Path, bucket_count: int = 1) -> City:
    """An office with a load host and a second kiosk."""
    city = make_office(folder, bucket_count)
    register_host(city)
    register(city.database, since_ever(TerminalRow(OTHER_KIOSK, AGENT, "load_kiosk", BUS)), ACTION)
    return city


@dataclass
class Town:
    """A city, its street and its load host, closed day after day."""

    city: City
    street: Street = field(default_factory=Street)
    host: Host = field(default_factory=Host)
    today: date = DAY

    def close(self, loads: Sequence[bytes] = (), rides: Sequence[bytes] = ()) -> dict[str, int]:
        """The agent's file, the bus's and the log come in; the day is closed: its totals."""
        now = datetime.combine(self.today, time(23))  # the wall clock of the day's last hour
        if self.host.filed < len(self.host.entries):
            receive(self.city, self.host.file(now))
        if loads:
            self.send(loads)
        receive(self.city, self.street.file(rides, SENDER, business_day=self.today))
        close(self.city, self.today)
        day = load_closed_days(self.city.database)[-1]
        run = load_run(self.city.database, day.run_id)
        assert run is not None
        self.today += timedelta(days=1)
        self.street.now = datetime.combine(self.today, time(6))
        return dict(run.totals)  # type: ignore[arg-type] # counts and money

    def send(self, loads: Sequence[bytes]) -> None:
        """The agent's file."""
        receive(self.city, self.street.file(loads, AGENTS_SENDER, business_day=self.today))

    def allow(self, record: bytes, **changes: object) -> bytes:
        """The host allows the load that a record tells of."""
        self.host.allow_record(record, **changes)
        return record

    @property
    def balances(self) -> dict[str, int]:
        """Account by account, without those that stand at zero."""
        return {name: fen for name, fen in load_balances(self.city.database).items() if fen}

    @property
    def agent_fen(self) -> int:
        """What the load agent owes."""
        return self.balances.get(f"load_agent/{AGENT}", 0)

    def expect_verified(self) -> None:
        """Every day computed again from the raw files is what it was."""
        found = verify(self.city, KEYS, LocalEngine(1))
        assert (found.findings, found.days) == ((), len(load_closed_days(self.city.database)))


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with make_city(tmp_path / "city") as city:
        yield Town(city)


def torn(record: bytes, **changes: object) -> bytes:
    """The record as a kiosk writes it down that never had the card's TAC."""
    values: dict[str, object] = {"tac": bytes(4), "flags": RecordFlag.TAC_MISSING}
    return encode_record(replace(decode_record(record), **(values | changes)))  # type: ignore[arg-type]


def test_an_agent_that_never_sends_its_file_is_billed(town: Town) -> None:
    card = town.street.card(1)
    town.allow(card.load(10_000))
    ride = card.bus()
    totals = town.close(rides=[ride])
    assert (town.agent_fen, totals["records"]) == (0, 1)  # the card has not said so yet
    town.allow(card.load(5_000))
    totals = town.close()
    assert town.agent_fen == 10_000
    assert (totals["records"], totals["accepted"]) == (0, 0)  # no record came
    assert (totals["loads_by_log"], totals["loads_by_log_fen"]) == (1, 10_000)
    assert (totals["gaps_open"], totals["open_gap_fen"]) == (0, 0)
    assert totals["card_balance_fen"] == totals["float_fen"] == 10_000 - 160
    town.close()
    assert town.agent_fen == 10_000  # once, and the newest load still waits
    lines = read_loads(town.city).lines
    assert [(each.judged.standing, each.billed_on, each.agent) for each in lines] == [
        (LoadStanding.CONFIRMED, DAY + timedelta(days=1), AGENT),
        (LoadStanding.ALLOWED_ONLY, None, AGENT),
    ]
    town.expect_verified()


def test_when_its_file_comes_after_all_every_load_is_billed_once(town: Town) -> None:
    card = town.street.card(1)
    first, second = town.allow(card.load(10_000)), town.allow(card.load(5_000))
    town.close()
    assert town.agent_fen == 10_000
    totals = town.close([first, second])
    assert town.agent_fen == 15_000
    assert (totals["accepted"], totals["duplicates"]) == (1, 1)
    for _ in range(2):
        town.close()
    assert town.agent_fen == 15_000
    town.expect_verified()


def test_a_load_sent_twice_with_one_unsigned_byte_changed_is_billed_once(town: Town) -> None:
    card = town.street.card(1)
    record = town.allow(card.load(10_000))
    other = encode_record(replace(decode_record(record), terminal_serial=77))
    town.close([record, other])
    assert town.agent_fen == 10_000
    again = encode_record(replace(decode_record(record), hotlist_version=6))
    town.close([again])
    town.allow(card.load(100))
    town.close()
    assert town.agent_fen == 10_000
    town.expect_verified()


def test_a_kiosks_torn_load_is_billed_once_the_card_says_so(town: Town) -> None:
    card = town.street.card(1)
    record = torn(town.allow(card.load(10_000)))
    totals = town.close([record])
    assert (town.agent_fen, totals["claims"], totals["claims_fen"]) == (0, 1, 10_000)
    second = town.allow(card.load(5_000))
    totals = town.close([second])
    assert town.agent_fen == 15_000
    # The record itself stands now, and its claim is gone.
    assert (totals["accepted"], totals["claims"], totals["claims_fen"]) == (2, -1, -10_000)
    assert (totals["notes"]["statement_proven"], totals["loads_by_log"]) == (1, 0)  # type: ignore[index]
    assert (totals["gaps_open"], totals["float_fen"]) == (0, 15_000)
    (copy,) = explain(town.city, decode_record(record).id).copies
    told = [step.data["disposition"] for step in copy.steps if step.name == "decision"]
    assert told == ["CLAIM", "ACCEPTED"]
    town.close([second])
    assert town.agent_fen == 15_000
    town.expect_verified()


def test_a_torn_load_of_the_day_on_which_the_card_says_so_is_accepted(town: Town) -> None:
    card = town.street.card(1)
    record = torn(town.allow(card.load(10_000)))
    variant = torn(record, terminal_serial=9)
    second = town.allow(card.load(5_000))
    totals = town.close([record, variant, second])
    assert (totals["accepted"], totals["duplicates"], totals["claims"]) == (2, 1, 0)
    assert (town.agent_fen, totals["gaps_open"]) == (15_000, 0)
    town.expect_verified()


def test_a_torn_load_that_proves_itself_later_is_billed_once(town: Town) -> None:
    card = town.street.card(1)
    record = town.allow(card.load(10_000))
    second = town.allow(card.load(5_000))
    town.close([torn(record), second])
    assert town.agent_fen == 15_000
    totals = town.close([record])
    assert (town.agent_fen, totals["duplicates"]) == (15_000, 1)
    town.expect_verified()


@pytest.mark.parametrize("is_recorded", [False, True])
def test_a_voided_load_is_not_billed(town: Town, *, is_recorded: bool) -> None:
    """The card came again with the same counter and was loaded at another kiosk for less."""
    card = town.street.card(1)
    record = card.load(10_000)
    town.host.allow_record(record, amount_fen=99_900, terminal=OTHER_KIOSK, time=town.street.now)
    town.allow(record)
    false_claim = torn(record, amount_fen=99_900, balance_after_fen=99_900, terminal=OTHER_KIOSK)
    town.close([false_claim, record] if is_recorded else [record])
    second = town.allow(card.load(5_000))
    for _ in range(2):
        town.close([second])
    assert town.agent_fen == 15_000
    town.expect_verified()


def test_with_two_claimants_a_load_stays_a_claim_until_a_tac_decides(town: Town) -> None:
    card = town.street.card(1)
    record = card.load(10_000)
    town.host.allow_record(record, amount_fen=9_900, terminal=OTHER_KIOSK)
    town.allow(record)
    rides = [card.bus(500) for _ in range(3)]
    second = town.allow(card.load(5_000))  # the balance before it fits both
    town.close([second], rides)
    town.close()
    assert town.agent_fen == 5_000
    totals = town.close([record])
    assert (town.agent_fen, totals["gaps_open"]) == (15_000, 0)
    town.expect_verified()


def test_allowed_and_never_confirmed_moves_nothing(town: Town) -> None:
    town.host.allow(amount_fen=10_000)
    for _ in range(3):
        totals = town.close()
        assert (town.balances, totals["float_fen"], totals["loads_by_log"]) == ({}, 0, 0)
    town.expect_verified()


def test_a_log_that_comes_a_day_late_bills_nothing_twice(town: Town) -> None:
    cards = [town.street.card(number) for number in range(1, 5)]
    loads = [card.load(10_000) for card in cards]
    town.close(loads)
    for record in loads:
        town.allow(record)
    town.close()
    for card in cards:
        town.allow(card.load(100))
    town.close()
    assert town.agent_fen == 40_000
    town.expect_verified()


def test_two_tries_that_are_alike_are_billed_once_whichever_has_the_tac(town: Town) -> None:
    card = town.street.card(1)
    record = card.load(10_000)
    town.allow(record)
    town.host.allow_record(record, time=town.street.now + timedelta(minutes=3))
    town.allow(card.load(5_000), time=town.street.now + timedelta(minutes=9))
    town.close()
    assert town.agent_fen == 10_000
    totals = town.close([record])
    assert (town.agent_fen, totals["duplicates"]) == (10_000, 1)
    town.expect_verified()


def test_who_owned_the_kiosk_on_the_day_of_the_load_is_billed_and_an_unknown_one_waits(
    town: Town,
) -> None:
    card, other = town.street.card(1), town.street.card(2)
    town.allow(card.load(10_000))
    town.host.allow_record(other.load(700), terminal=STRANGE_KIOSK)
    changed = change_row(
        town.city, ("terminal", KIOSK), {"participant": BUS}, DAY + timedelta(days=1), None, ACTION
    )
    assert isinstance(changed, Decided)
    town.close()
    for each in (card, other):
        town.allow(each.load(100))
    town.close()
    assert town.balances == {"card_float": -10_000, f"load_agent/{AGENT}": 10_000}
    register(
        town.city.database, since_ever(TerminalRow(STRANGE_KIOSK, AGENT, "load_kiosk")), ACTION
    )
    town.close()
    assert town.agent_fen == 10_700
    town.close()
    assert town.agent_fen == 10_700
    town.expect_verified()


def test_money_that_no_allowed_load_explains_is_not_billed(town: Town) -> None:
    """The card has more than the load before it left there: a contradiction, not a bill."""
    card = town.street.card(1)
    town.allow(card.load(10_000))
    card.balance_fen += 1
    town.allow(card.load(5_000))
    town.close()
    assert town.agent_fen == 0
    town.expect_verified()


def test_any_order_of_arrival_bills_the_same(tmp_path: Path) -> None:
    street, host = Street(), Host()
    cards = [street.card(number) for number in range(1, 9)]
    first = [card.load(1_000) for card in cards]
    second = [card.load(2_000) for card in cards]
    for record in (*first, *second):
        host.allow_record(record)
    recorded = [*first[:2], torn(first[2]), *second[:6]]
    files = [
        host.file_of(0, 9),
        host.file_of(9, 16),
        street.file(recorded[:4], AGENTS_SENDER),
        street.file(recorded[4:], AGENTS_SENDER),
    ]
    found = set()
    for number, order in enumerate([*permutations(files)][::9]):
        with make_city(tmp_path / str(number), bucket_count=4) as city:
            receive(city, *order)
            result = clear(city, DAY, workers=1 + number % 2)
            totals = result.run.totals
            found.add((result.run.output_hash, totals["loads_by_log"], totals["accepted"]))
    ((_, by_log, accepted),) = found
    assert (by_log, accepted) == (5, 9)
