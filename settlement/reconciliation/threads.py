"""Between SQL and the chain of one card: rows in, `continue_card`, rows out.

Decides nothing: it reads the odd purses of a bucket one by one, asks
`continuity`, and hands back what changed. Tables: `sql/bucket_tables.sql`.
"""

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import duckdb

from cardcore.records.kinds import TransactionType
from settlement.counters import unwrap
from settlement.dispositions import GapState
from settlement.facts import columnar
from settlement.reconciliation.chain import Card, CardMove, CounterKind, Gap, Loose, Point
from settlement.reconciliation.continuity import continue_card

#: A row of SQL; the tables say its columns.
Row = tuple[Any, ...]
#: How a purse is named: issuer, card number, application.
Name = tuple[int, int, int]
_PURSE = "issuer, card_number, application"

_LINKS = {
    TransactionType.LOAD: CounterKind.LOAD,
    TransactionType.PURCHASE: CounterKind.DEBIT,
    TransactionType.COMPOSITE: CounterKind.DEBIT,
}


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Rows and chains hold no circles: what is used no more goes without the collector of garbage,
    which would walk everything that the process knows each time that enough of them was made.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@_without_collecting()
def thread_odd_cards(connection: duckdb.DuckDBPyConnection, day: date) -> None:
    """Put the movements of every purse with a seam into its chain, one purse after the other."""
    cards = _by_purse(connection, f"FROM card_before SEMI JOIN odd_card USING ({_PURSE})")
    gaps = _by_purse(
        connection,
        f"FROM gap_before SEMI JOIN odd_card USING ({_PURSE}) "
        f"ORDER BY {_PURSE}, left_offline, left_online, right_offline, right_online, gap",
    )
    records = _by_purse(connection, f"FROM odd_record ORDER BY {_PURSE}, id")
    unplaced: list[Row] = []
    card_rows: list[Row] = []
    gap_rows: list[Row] = []
    for name, rows in records.items():
        movements, loose, taken_back = _read_records(rows, day)
        card = _read_card(cards.get(name), gaps.get(name, []))
        after = continue_card(card, movements, loose, day, taken_back)
        unplaced += [(each,) for each in after.unplaced]
        card_rows.append(_card_row(name, after.card))
        gap_rows += [_gap_row(name, gap, GapState.OPEN) for gap in after.card.gaps]
        gap_rows += [_gap_row(name, gap, GapState.FILLED) for gap in after.filled]
    columnar.insert(connection, "unplaced", unplaced)
    columnar.insert(connection, "card_threaded", card_rows)
    columnar.insert(connection, "gap_threaded", gap_rows)


def _by_purse(connection: duckdb.DuckDBPyConnection, query: str) -> dict[Name, list[Row]]:
    """The rows of each purse, without its name."""
    grouped: dict[Name, list[Row]] = {}
    for issuer, card_number, application, *rest in connection.execute(query).fetchall():
        grouped.setdefault((issuer, card_number, application), []).append(tuple(rest))
    return grouped


def _read_records(
    rows: Iterable[Row], day: date
) -> tuple[list[CardMove], list[Loose], list[Loose]]:
    """Links of the chain, posted movements that are none, and such as are posted no more."""
    movements: list[CardMove] = []
    loose: list[Loose] = []
    taken_back: list[Loose] = []
    for row in rows:
        (number, is_load, position, chained, before_fen, after_fen, amount_fen, time,
         known_offline, known_online, previous_type, previous_counter,
         is_taken_back) = row  # fmt: skip
        if not chained:
            group = taken_back if is_taken_back else loose
            group.append(Loose(position, -amount_fen if is_load else amount_fen, day))
            continue
        link = _LINKS.get(previous_type)
        near = known_online if link is CounterKind.LOAD else known_offline
        kind = CounterKind.LOAD if is_load else CounterKind.DEBIT
        link_counter = unwrap(previous_counter, near)
        movements.append(
            CardMove(number, kind, position, before_fen, after_fen, time, link, link_counter)
        )
    return movements, loose, taken_back


def _read_card(rows: list[Row] | None, gaps: list[Row]) -> Card:
    if rows is None:
        return Card()
    ((balance_fen, offline, online, time, gap_count),) = rows
    return Card(
        Point(balance_fen, offline, online),
        time,
        tuple(_read_gap(each) for each in gaps),
        gap_count,
    )


def _read_gap(row: Row) -> Gap:
    number, opened_day, *points = row[:8]
    right_time, counters, amounts_fen, days = row[8:12]
    loose = zip(counters, amounts_fen, days, strict=True)
    return Gap(
        number,
        opened_day,
        Point(*points[:3]),
        Point(*points[3:]),
        right_time,
        tuple(Loose(*each) for each in loose),
    )


def _card_row(name: Name, card: Card) -> Row:
    point = card.point
    return *name, point.balance_fen, point.offline, point.online, card.time, card.gap_count


def _gap_row(name: Name, gap: Gap, state: GapState) -> Row:
    left, right, loose = gap.left, gap.right, gap.loose
    # Where both kinds are missing, people are shown the debits; the points tell both.
    is_load = left.offline == right.offline and left.online < right.online
    first, end = (left.online, right.online) if is_load else (left.offline, right.offline)
    return (
        *name,
        gap.number,
        gap.opened_day,
        *(left.balance_fen, left.offline, left.online),
        *(right.balance_fen, right.offline, right.online),
        gap.right_time,
        [each.counter for each in loose],
        [each.amount_fen for each in loose],
        [each.day for each in loose],
        int(CounterKind.LOAD if is_load else CounterKind.DEBIT),
        first,
        end - 1,
        gap.price_fen if state is GapState.OPEN else 0,
        int(state),
    )
