"""R2: what rides cost at most is the scheme's word. A record's tariff is a claim: it raises no pay,
and no department bears anything for it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cardcore.concession import Concession
from cardcore.keys import ProofReason
from cardcore.records.kinds import RecordKind, Sector
from cardcore.records.record import TransactionRecord
from settlement.city import City
from settlement.clearing.tally import DiscountRow
from settlement.dispositions import Disposition, Note, Reason
from settlement.engine.local import LocalEngine
from settlement.reconciliation import bucket
from settlement.registry.rows import TerminalRow
from settlement.reports.history import explain
from settlement.reports.statement import read_statement
from settlement.sectors.rules import SectorRule, no_tariff
from settlement.service.computation import ComputationOutcome
from settlement.store.days import load_balances, load_discounts, load_positions
from settlement.verification.verify import verify
from tests.settlement.device_files import DAY, Street, key_service, make_office
from tests.settlement.reconciliation.run_inputs import (
    BUS,
    BUS_OPERATOR,
    COLLECTOR,
    METRO_OPERATOR,
    TERMINALS,
    Desk,
    Verdict,
    debit,
    load,
    proven,
)
from tests.settlement.service.test_service import close, receive

KNOWN = {(BUS_OPERATOR, RecordKind.PURCHASE): 200}
CHARGED_FEN = 50_000
LOAD = load(amount_fen=60_000, balance_after_fen=60_000)


def ride(amount_fen: int = CHARGED_FEN, **values: object) -> TransactionRecord:
    """A bus ride of the loaded card, by default for 500 yuan where 2 are the tariff."""
    balances: dict[str, Any] = {
        "balance_before_fen": 60_000, "balance_after_fen": 60_000 - amount_fen,
        "amount_fen": amount_fen,
    }  # fmt: skip
    return debit(**(balances | values))


def settle(desk: Desk, record: TransactionRecord) -> tuple[ComputationOutcome, Verdict]:
    """What became of a ride that comes behind its card's load, and of the day."""
    rows = proven(LOAD, record)
    outcome = desk.run(rows)
    return outcome, desk.verdicts()[int(desk.hash_of(rows)[:16], 16), 1]


def moved(outcome: ComputationOutcome) -> dict[str, int]:
    """What the day's participants and holders get, by account."""
    clearing = outcome.clearing
    sides = (*clearing.buckets.values(), *clearing.participants.values())
    sums = {account.text: -gross.net_fen for side in sides for account, gross in side.items()}
    assert sum(sums.values()) == 0
    return {name: fen for name, fen in sums.items() if not name.startswith(("card", "load"))}


#: What nobody signed of a ride: none of it makes it dearer.
LIES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "sector": {"sector": Sector.MERCHANT},
    "operator": {"operator": METRO_OPERATOR},
    "kind exit": {"kind": RecordKind.EXIT},
    "kind entry": {"kind": RecordKind.ENTRY},
    "tariff": {"tariff_fen": 2**32 - 1},
    "tariff as charged": {"tariff_fen": CHARGED_FEN},
    "line and station": {"line": 9, "station": 9},
    "concession": {"concession": Concession.FULL},
}


@pytest.mark.parametrize("lie", LIES)
def test_500_yuan_on_a_known_tariff_of_2_pay_2_and_hold_498_for_the_holder(
    tmp_path: Path, lie: str
) -> None:
    outcome, verdict = settle(Desk(tmp_path, known_tariffs=KNOWN), ride(**LIES[lie]))
    assert verdict.disposition == Disposition.ACCEPTED
    assert Note.OVERCHARGED in Note(verdict.notes)
    assert verdict.excess_fen == 49_800
    assert moved(outcome) == {"operator/101": 200, "holder_due": 49_800}
    # The money has left the card, whoever gets it.
    assert outcome.clearing.totals.float_fen == 10_000
    assert outcome.clearing.totals.notes["overcharged"] == 1


@pytest.mark.parametrize("lie", LIES)
def test_500_yuan_where_no_tariff_is_known_are_paid_and_no_department_bears_any(
    tmp_path: Path, lie: str
) -> None:
    outcome, verdict = settle(Desk(tmp_path), ride(**LIES[lie]))
    assert verdict.disposition == Disposition.ACCEPTED
    assert moved(outcome) == {"operator/101": CHARGED_FEN}
    # Only above its own claim it is alarmed: nothing else is known.
    claims_less = ride(**LIES[lie]).tariff_fen < CHARGED_FEN
    assert (Note.OVERCHARGED in Note(verdict.notes)) == claims_less
    assert {each.known_discount_fen for each in outcome.clearing.classes} <= {0}


@pytest.mark.parametrize("charged_fen", [1, 160, 200])
def test_up_to_the_known_tariff_everything_is_paid_whatever_tariff_is_claimed(
    tmp_path: Path, charged_fen: int
) -> None:
    outcome, verdict = settle(Desk(tmp_path, known_tariffs=KNOWN), ride(charged_fen, tariff_fen=0))
    assert verdict.excess_fen == 0
    assert moved(outcome) == {"operator/101": charged_fen}


@pytest.mark.parametrize(("known", "usable_fen"), [(KNOWN, 200), ({}, 0)])
def test_a_free_ride_with_the_highest_tariff_there_can_be_makes_no_claim_on_a_department(
    tmp_path: Path, known: dict[tuple[int, RecordKind], int], usable_fen: int
) -> None:
    free = ride(0, tariff_fen=2**32 - 1, concession=Concession.FREE)
    outcome, verdict = settle(Desk(tmp_path, known_tariffs=known), free)
    (row,) = outcome.clearing.classes
    assert (row.fare_class, row.charged_fen, row.known_discount_fen) == ("free", 0, usable_fen)
    # What was claimed above what is known is told.
    assert Note(verdict.notes) == (Note.CLAIMS_DIFFER if known else Note(0))
    assert row.discount_fen == (usable_fen or 2**32 - 1)


def test_a_discount_on_a_known_tariff_is_that_on_a_claimed_one_when_both_agree(
    tmp_path: Path,
) -> None:
    outcome, _ = settle(Desk(tmp_path, known_tariffs=KNOWN), ride(160, tariff_fen=200))
    assert outcome.clearing.classes == (DiscountRow(BUS_OPERATOR, "adult", 1, 200, 160, 40),)


def test_a_shop_of_the_bus_operator_sells_at_its_own_price(tmp_path: Path) -> None:
    """The sector that counts is the registered one of the terminal."""
    shop = TerminalRow(BUS, BUS_OPERATOR, "shop", sector=Sector.MERCHANT)
    desk = Desk(tmp_path, terminals=[*TERMINALS[1:], shop], known_tariffs=KNOWN)
    outcome, verdict = settle(desk, ride())
    assert moved(outcome) == {"operator/101": CHARGED_FEN}
    assert Note(verdict.notes) == Note.CLAIMS_DIFFER  # the record says transit


def test_what_somebody_has_still_to_decide_is_held_whole_and_split_when_it_is_accepted(
    tmp_path: Path,
) -> None:
    desk = Desk(tmp_path, terminals=TERMINALS[1:], known_tariffs=KNOWN)
    outcome, verdict = settle(desk, ride())
    assert (verdict.reason, verdict.excess_fen) == (Reason.TERMINAL_UNKNOWN, 0)
    assert moved(outcome) == {f"suspense/{COLLECTOR}": CHARGED_FEN}
    (key,) = [key for key, each in desk.verdicts().items() if each.reason != Reason.NONE]
    desk.terminals = TERMINALS
    later = desk.run(day=DAY + timedelta(days=1), review={key: ProofReason.PROVEN})
    assert moved(later) == {
        f"suspense/{COLLECTOR}": -CHARGED_FEN, "operator/101": 200, "holder_due": 49_800
    }  # fmt: skip
    assert later.clearing.totals.float_fen == 10_000


@contextmanager
def tariff_city(folder: Path) -> Iterator[City]:
    with make_office(folder) as made:
        yield replace(made, scheme=replace(made.scheme, known_tariffs=KNOWN))


def test_a_city_that_holds_money_for_holders_is_sound_and_tells_so(tmp_path: Path) -> None:
    street = Street()
    card = street.card(1)
    # The fare of a ride for 300 yuan, where 2 are known.
    records = [card.load(50_000), card.bus(), card.bus(30_000), card.bus()]
    with tariff_city(tmp_path) as city:
        receive(city, street.file(records))
        close(city)
        charged_fen = 50_000 - card.balance_fen - 2 * 160
        balances = load_balances(city.database)
        assert balances["operator/101"] == -2 * 160 - 200
        assert balances["holder_due"] == 200 - charged_fen
        assert balances["card_float"] == -card.balance_fen
        assert read_statement(city, (DAY,)).holder_due_fen == charged_fen - 200
        found = verify(city, key_service(), LocalEngine(1))
        assert found.findings == ()
        (told,) = explain(city, "0000000000b1-00000002").copies
        steps = {each.name: each for each in told.steps}
        assert "OVERCHARGED" in str(steps["decision"].data["notes"])
        assert steps["decision"].data["excess_fen"] == charged_fen - 200
        assert "待退还持卡人" in steps["decision"].text.zh
        assert steps["ledger"].data["postings"] == {
            "card_float": charged_fen,
            "holder_due": 200 - charged_fen,
            "operator/101": -200,
        }
        accounts = [each.data["account"] for each in told.steps if each.name == "position"]
        assert accounts == ["holder_due", "operator/101"]
        positions = {each.account: each.net_fen for each in load_positions(city.database, DAY)}
        assert positions["holder_due"] == 200 - charged_fen
        rows = {each.fare_class: each for each in load_discounts(city.database, DAY)}
        assert (rows["adult"].record_count, rows["adult"].known_discount_fen) == (2, 80)
        assert (rows["unexplained"].charged_fen, rows["unexplained"].discount_fen) == (200, 0)


def test_an_excess_that_was_paid_out_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    street = Street()
    card = street.card(1)
    records = [card.load(50_000), card.bus(30_000)]
    explain_fares = bucket._explain_fares

    def forget(connection: object, scheme: object, rules: dict[int, SectorRule]) -> None:
        without = {number: replace(each, known_tariff=no_tariff) for number, each in rules.items()}
        explain_fares(connection, scheme, without)  # type: ignore[arg-type]

    with tariff_city(tmp_path) as city:
        receive(city, street.file(records))
        # A run that knows no tariffs, when the day is closed and when it is checked.
        monkeypatch.setattr(bucket, "_explain_fares", forget)
        close(city)
        found = verify(city, key_service(), LocalEngine(1))
    assert not found.invariants["I4"]
    named = [each.where.en for each in found.findings if each.invariant.name == "I4"]
    assert any("operator 101" in where for where in named)
    assert any("bucket" in where for where in named)
