"""What two statements of a card say of what lies between them (R4, R5), case by case."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from cardcore.records.kinds import RecordFlag, RecordKind
from tests.settlement.audited.encoding import changed
from tests.settlement.audited.hall import AGENT, BUS, DAY, Card, Hall
from tests.support.audit.books import statement_of
from tests.support.audit.words import Note, Reason


def statement(records: Sequence[bytes]) -> tuple[list[tuple[str, int, int]], int, int]:
    """Segments (kind, price, loads missing), tail and difference of what arrives."""
    hall = Hall()
    for record in records:
        sender = AGENT if record[1] == RecordKind.LOAD else BUS
        assert hall.reasons(record, sender=sender) == [Reason.NONE]
    found = statement_of(hall.auditor.decided.values())
    segments = [(each.kind, each.price_fen, each.loads_missing) for each in found.segments]
    return segments, found.tail_fen, found.difference_fen


def test_a_gap_between_two_statements_has_an_exact_price() -> None:
    card = Card(0)
    first, _, third, second_load, tail = (
        card.load(), card.ride(170), card.ride(180), card.load(5000), card.ride(190),
    )  # fmt: skip
    assert statement([first, third, second_load, tail]) == (
        [("none", 0, 0), ("debits", 170, 0)], 190, 0,
    )  # fmt: skip


def test_missing_loads_and_missing_debits_are_told_apart() -> None:
    card = Card(0)
    first, _, ride, third = card.load(), card.load(5000), card.ride(180), card.load(700)
    assert statement([first, ride, third]) == ([("none", 0, 0), ("loads", -5000, 1)], 0, 0)


def test_money_that_no_load_brought_is_a_contradiction() -> None:
    card = Card(0)
    first = card.load()
    card.balance_fen += 300
    second = card.load(700)
    assert statement([first, second]) == ([("none", 0, 0), ("contradiction", -300, 0)], 0, 0)


@pytest.mark.parametrize(
    ("days", "claims", "reason"),
    [(31, 1, Reason.NONE), (30, 1, Reason.TAC_MISSING), (31, 2, Reason.TAC_MISSING)],
)
def test_a_torn_debit_stands_when_two_statements_fall_short_by_it_and_nothing_else_claims(
    days: int, claims: int, reason: Reason
) -> None:
    card, hall = Card(0), Hall()
    loads, ride = [card.load()], card.ride(170)
    known_ride = card.ride(180)
    loads.append(card.load(5000))
    torn = changed(ride, tac=bytes(8), flags=RecordFlag.TAC_MISSING)
    hall.settle(*loads, sender=AGENT)
    hall.settle(known_ride)
    hall.settle(*(changed(torn, psam_sequence=n) for n in range(2, 2 + claims)))
    hall.settle(day=DAY + timedelta(days=days))
    assert hall.auditor.decided[3, 0].reason is reason
    paid_fen = 180 + 170 * (reason is Reason.NONE)
    assert hall.books.paid_fen == {AGENT: -15_000, BUS: paid_fen}


@pytest.mark.parametrize("late_fen", [170, 1])
def test_a_torn_debit_steps_back_for_a_proven_one_and_is_never_proven_so_again(
    late_fen: int,
) -> None:
    card, hall = Card(0), Hall()
    loads, late = [card.load()], card.ride(late_fen)
    hidden = card.ride(170 - late_fen)
    loads.append(card.load(5000))
    # The bytes of a debit of the whole, which the card never made.
    torn = changed(
        hidden, amount_fen=170, psam_sequence=77, tac=bytes(8), flags=RecordFlag.TAC_MISSING
    )
    hall.settle(*loads, sender=AGENT)
    variant = changed(torn, terminal_serial=78)
    nowhere = changed(torn, amount_fen=1, terminal="0" * 11 + "9")
    hall.settle(torn, variant, nowhere)
    hall.settle(day=DAY + timedelta(days=31))
    assert hall.books.paid_fen == {AGENT: -15_000, BUS: 170}
    hall.settle(late, day=DAY + timedelta(days=32))
    for number in range(3):
        hall.settle(changed(torn, terminal_serial=80 + number), day=DAY + timedelta(days=70))
    assert hall.books.paid_fen == {AGENT: -15_000, BUS: late_fen}
    back = [e for e in hall.auditor.decided.values() if Note.TAKEN_BACK in e.notes]
    assert [entry.reason for entry in back] == [Reason.TAC_MISSING]


def test_loads_go_on_past_the_last_counter() -> None:
    card = Card(0, online=65_534)
    loads = [card.load(100), card.load(200)]
    card.online = 1
    loads += [card.load(300), card.load(400)]
    segments, _, difference_fen = statement(loads[::-1])
    assert [price for _, price, _ in segments] == [0, 0, 0, 0]
    assert [missing for *_, missing in segments] == [65_534, 0, 0, 0]
    assert difference_fen == 0
