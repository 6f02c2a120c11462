"""Double entry: every entry balances, the clearing account proves the two sides equal."""

from dataclasses import replace
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from settlement.ledger.accounts import CARD_FLOAT, Account, AccountKind
from settlement.ledger.entries import (
    ChainEnd,
    Entry,
    EntryKind,
    chain_end,
    post_day,
    seal_entry,
)
from settlement.ledger.movements import (
    Gross,
    Movement,
    cards_side,
    participants_side,
    sum_up,
)
from settlement.ledger.positions import net_positions
from settlement.seal import GENESIS

DAY = date(2018, 9, 1)
CLEARING = Account(AccountKind.CLEARING, day=DAY).text
OPERATOR, LOAD_AGENT, SUSPENSE = AccountKind.OPERATOR, AccountKind.LOAD_AGENT, AccountKind.SUSPENSE


def debit(amount_fen: int, code: int = 101, kind: AccountKind = OPERATOR) -> Movement:
    return Movement(CARD_FLOAT, Account(kind, code), amount_fen)


def load(amount_fen: int, code: int = 101, kind: AccountKind = LOAD_AGENT) -> Movement:
    return debit(amount_fen, code, kind).taken_back


def day_of(*movements: Movement, before: ChainEnd | None = None) -> tuple[Entry, ...]:
    """The entries of a day with one bucket."""
    sums = sum_up(movements)
    return post_day(DAY, {0: cards_side(sums)}, participants_side(sums), before or ChainEnd())


FEN = st.integers(1, 10**12)
CODES = st.integers(1, 999)
MOVEMENTS = st.lists(
    st.one_of(
        st.builds(debit, FEN, CODES, st.sampled_from([OPERATOR, SUSPENSE])),
        st.builds(load, FEN, CODES, st.sampled_from([LOAD_AGENT, SUSPENSE])),
    )
)


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
        amounts = [*map(int, left.split())]
        kinds = [
            (debit, OPERATOR), (load, LOAD_AGENT), (debit, SUSPENSE), (load, SUSPENSE),
        ]  # fmt: skip
        entries = day_of(
            *(
                make(amount_fen, 101, kind)
                for (make, kind), amount_fen in zip(kinds, amounts, strict=True)
                if amount_fen
            )
        )
        accounts = (CARD_FLOAT.text, "operator/101", "load_agent/101", "suspense/101")
        found = balances(entries)
        assert [found.get(account, 0) for account in accounts] == [*map(int, right.split())], line
        assert found.get(CLEARING, 0) == 0


@given(st.dictionaries(st.integers(0, 15), MOVEMENTS), MOVEMENTS)
def test_every_entry_balances_and_so_do_all_accounts(
    buckets: dict[int, list[Movement]], others: list[Movement]
) -> None:
    cards = {number: cards_side(sum_up(each)) for number, each in buckets.items()}
    entries = post_day(DAY, cards, participants_side(sum_up(others)), ChainEnd())
    for entry in entries:
        assert sum(posting.amount_fen for posting in entry.postings) == 0  # I1
        assert all(posting.amount_fen for posting in entry.postings)
    assert sum(balances(entries).values()) == 0  # I2


@given(MOVEMENTS.filter(bool), st.data())
def test_the_clearing_account_is_zero_exactly_when_both_sides_agree(
    movements: list[Movement], data: st.DataObject
) -> None:
    sums = sum_up(movements)
    cards, participants = {0: cards_side(sums)}, participants_side(sums)
    entries = post_day(DAY, cards, participants, ChainEnd())
    assert balances(entries).get(CLEARING, 0) == 0  # I7
    assert sum(each.net_fen for each in net_positions(entries)) == 0  # I6
    code = data.draw(st.sampled_from(sorted(participants)))
    account = data.draw(st.sampled_from(sorted(participants[code], key=lambda each: each.order)))
    gross = participants[code][account]
    wrong = {**participants[code], account: replace(gross, credit_fen=gross.credit_fen + 10**13)}
    entries = post_day(DAY, cards, {**participants, code: wrong}, ChainEnd())
    assert balances(entries)[CLEARING] != 0
    assert sum(each.net_fen for each in net_positions(entries)) != 0


def test_positions_keep_gross_debit_and_credit_apart() -> None:
    entries = day_of(debit(320), debit(160, 101, SUSPENSE), load(5000, 900))
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


#: What a bucket and participant 101 post, line by line: the bytes under the chain.
LINES = """
card_float          {debits}
card_float          -{loads}
clearing/2018-09-01 {back}
clearing/2018-09-01 -{back}
operator/101        -320
load_agent/101      5000
suspense/101        -160
suspense/101        70
"""


def test_the_lines_of_an_entry_stand_in_their_order() -> None:
    entries = day_of(debit(320), load(5000), debit(160, 101, SUSPENSE), load(70, 101, SUSPENSE))
    found = [(each.account, each.amount_fen) for entry in entries for each in entry.postings]
    text = LINES.format(debits=480, loads=5070, back=4590)
    assert found == [
        (account, int(amount)) for account, amount in map(str.split, text.strip().splitlines())
    ]


def test_both_sides_of_an_account_are_posted_though_they_are_alike() -> None:
    held = Account(SUSPENSE, 101)
    sums = sum_up([debit(160, 101, SUSPENSE), load(160, 101, SUSPENSE)])
    assert sums == {CARD_FLOAT: Gross(160, 160), held: Gross(160, 160)}
    assert [len(entry.postings) for entry in day_of(debit(9), debit(9).taken_back)] == [2, 2]


def test_a_second_day_is_chained_behind_the_first() -> None:
    first = day_of(debit(1))
    second = day_of(debit(2), before=chain_end(first, ChainEnd()))
    assert first[0].previous_hash == GENESIS
    assert [entry.number for entry in first + second] == [1, 2, 3, 4]
    assert second[0].previous_hash == first[-1].postings[-1].hash
    assert chain_end((), ChainEnd(2, "f" * 64)) == ChainEnd(2, "f" * 64)


def test_every_column_of_an_entry_and_its_postings_stands_under_the_chain() -> None:
    bare = Entry(1, DAY, EntryKind.COLLECT, 0, None, None, GENESIS, "", ())
    lines = [(CARD_FLOAT.text, 160), (CLEARING, -160)]
    end = seal_entry(bare, lines).postings[-1].hash
    changed = [
        seal_entry(replace(bare, number=2), lines),
        seal_entry(replace(bare, settlement_day=date(2018, 9, 2)), lines),
        seal_entry(replace(bare, kind=EntryKind.DISTRIBUTE), lines),
        seal_entry(replace(bare, bucket=1), lines),
        seal_entry(replace(bare, participant=101), lines),
        seal_entry(replace(bare, previous_hash="f" * 64), lines),
        seal_entry(bare, [(CARD_FLOAT.text, 161), lines[1]]),
        seal_entry(bare, [("operator/101", 160), lines[1]]),
        seal_entry(bare, lines[::-1]),
    ]
    assert end not in {entry.postings[-1].hash for entry in changed}
