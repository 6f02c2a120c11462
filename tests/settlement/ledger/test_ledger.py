"""Double entry: every entry balances, the clearing account proves the two sides equal."""

from dataclasses import replace
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from settlement.ledger.entries import (
    CARD_FLOAT,
    ChainEnd,
    Entry,
    EntryKind,
    Sums,
    chain_end,
    clearing_account,
    net_positions,
    post_day,
    seal_entry,
)
from settlement.seal import GENESIS

DAY = date(2018, 9, 1)
FEN = st.integers(0, 10**12)
SUMS = st.builds(Sums, FEN, FEN, FEN, FEN)


def balances(entries: tuple[Entry, ...]) -> dict[str, int]:
    found: dict[str, int] = {}
    for entry in entries:
        for posting in entry.postings:
            found[posting.account] = found.get(posting.account, 0) + posting.amount_fen
    return found


# debit  load  suspended debit  suspended load | card_float  operator  load_agent  suspense
SCENARIOS = """
   160     0      0      0  |    160   -160      0      0
     0  5000      0      0  |  -5000      0   5000      0
     0     0    160      0  |    160      0      0   -160
     0     0      0   5000  |  -5000      0      0   5000
   320  5000    160   1000  |  -5520   -320   5000    840
     0     0      0      0  |      0      0      0      0
"""


def test_who_pays_whom_for_each_kind_of_money() -> None:
    for line in SCENARIOS.strip().splitlines():
        left, right = line.split("|")
        sums = Sums(*map(int, left.split()))
        entries = post_day(DAY, {0: sums}, {101: sums}, ChainEnd())
        accounts = (CARD_FLOAT, "operator/101", "load_agent/101", "suspense/101")
        found = balances(entries)
        assert [found.get(account, 0) for account in accounts] == [*map(int, right.split())], line
        assert found.get(clearing_account(DAY), 0) == 0


@given(st.dictionaries(st.integers(0, 15), SUMS), st.dictionaries(st.integers(1, 999), SUMS))
def test_every_entry_balances_and_so_do_all_accounts(
    buckets: dict[int, Sums], participants: dict[int, Sums]
) -> None:
    entries = post_day(DAY, buckets, participants, ChainEnd())
    for entry in entries:
        assert sum(posting.amount_fen for posting in entry.postings) == 0  # I1
        assert all(posting.amount_fen for posting in entry.postings)
    assert sum(balances(entries).values()) == 0  # I2


@given(st.dictionaries(st.integers(1, 999), SUMS, min_size=1), st.data())
def test_the_clearing_account_is_zero_exactly_when_both_sides_agree(
    participants: dict[int, Sums], data: st.DataObject
) -> None:
    total = Sums(
        *(sum(getattr(each, name) for each in participants.values()) for name in Sums.__slots__)
    )
    entries = post_day(DAY, {0: total}, participants, ChainEnd())
    assert balances(entries).get(clearing_account(DAY), 0) == 0  # I7
    assert sum(each.net_fen for each in net_positions(entries)) == 0  # I6
    code = data.draw(st.sampled_from(sorted(participants)))
    wrong = {**participants, code: replace(participants[code], debit_fen=10**13)}
    entries = post_day(DAY, {0: total}, wrong, ChainEnd())
    assert balances(entries)[clearing_account(DAY)] != 0
    assert sum(each.net_fen for each in net_positions(entries)) != 0


def test_positions_keep_gross_debit_and_credit_apart() -> None:
    sums = Sums(debit_fen=320, load_fen=5000, suspended_debit_fen=160)
    entries = post_day(DAY, {0: sums}, {101: Sums(320, 0, 160), 900: Sums(0, 5000)}, ChainEnd())
    table = {
        each.account: (each.gross_debit_fen, each.gross_credit_fen, each.net_fen)
        for each in net_positions(entries)
    }
    assert table == {
        "card_float": (480, 5000, -4520),
        "load_agent/900": (5000, 0, 5000),
        "operator/101": (0, 320, -320),
        "suspense/101": (0, 160, -160),
    }


def test_a_second_day_is_chained_behind_the_first() -> None:
    first = post_day(DAY, {0: Sums(1)}, {101: Sums(1)}, ChainEnd())
    second = post_day(DAY, {0: Sums(2)}, {101: Sums(2)}, chain_end(first, ChainEnd()))
    assert first[0].previous_hash == GENESIS
    assert [entry.number for entry in first + second] == [1, 2, 3, 4]
    assert second[0].previous_hash == first[-1].postings[-1].hash
    assert chain_end((), ChainEnd(2, "f" * 64)) == ChainEnd(2, "f" * 64)


def test_every_column_of_an_entry_and_its_postings_stands_under_the_chain() -> None:
    bare = Entry(1, DAY, EntryKind.COLLECT, 0, None, GENESIS, "", ())
    lines = [(CARD_FLOAT, 160), (clearing_account(DAY), -160)]
    end = seal_entry(bare, lines).postings[-1].hash
    changed = [
        seal_entry(replace(bare, number=2), lines),
        seal_entry(replace(bare, settlement_day=date(2018, 9, 2)), lines),
        seal_entry(replace(bare, kind=EntryKind.DISTRIBUTE), lines),
        seal_entry(replace(bare, bucket=1), lines),
        seal_entry(replace(bare, participant=101), lines),
        seal_entry(replace(bare, previous_hash="f" * 64), lines),
        seal_entry(bare, [(CARD_FLOAT, 161), lines[1]]),
        seal_entry(bare, [("operator/101", 160), lines[1]]),
        seal_entry(bare, lines[::-1]),
    ]
    assert end not in {entry.postings[-1].hash for entry in changed}
