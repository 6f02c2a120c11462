"""Between SQL and the match of loads: entries of the log and loads told in, verdicts out (R6).

Decides nothing: it asks `settlement.loads.billing` about each purse of a bucket in which log,
records and card do not simply agree. Tables: `sql/bucket_tables.sql`. Leaves who pays to the
registry, and posting to the scripts that come after.
"""

from collections.abc import Iterable
from datetime import date
from itertools import groupby
from operator import itemgetter
from typing import Any

import duckdb

from cardcore.records.kinds import Funding
from cardcore.records.load_log import AllowedLoad
from settlement.facts import columnar
from settlement.intake.load_log import LoggedLoad
from settlement.loads.billing import OpenEntry, bill_purse
from settlement.loads.decide import RecordedLoad

#: A row of SQL; the tables say its columns.
Row = tuple[Any, ...]
_NO_DAY = date.min


def match_loads(connection: duckdb.DuckDBPyConnection) -> None:
    """Say of every entry of the odd purses whether its load is due now, and whether it waits."""
    told = {
        purse: [_recorded(row) for row in rows]
        for purse, rows in groupby(
            connection.execute("FROM odd_load ORDER BY ALL").fetchall(), itemgetter(0, 1)
        )
    }
    verdicts: list[Row] = []
    entries = connection.execute(
        "FROM odd_entry ORDER BY factor, application, issuer, number"
    ).fetchall()
    for purse, rows in groupby(entries, itemgetter(0, 1)):
        verdicts += _judge([_entry(row) for row in rows], told.get(purse, ()))
    columnar.insert(connection, "log_verdict", verdicts)


def _judge(entries: list[OpenEntry], told: Iterable[RecordedLoad]) -> list[Row]:
    bill = bill_purse(entries, told)
    due = {_name(each) for each in bill.due}
    waiting = {_name(each) for each in bill.waiting}
    after = {_name(each): each for each in (*bill.due, *bill.waiting)}
    return [
        (*name, each.is_settled, each.is_confirmed, name in due, name in waiting)
        for name, each in sorted(after.items())
    ]


def _name(entry: OpenEntry) -> tuple[int, int]:
    return int(entry.logged.issuer, 16), entry.logged.load.number


def _entry(row: Row) -> OpenEntry:
    (_, application, issuer, number, card_number, online_counter, balance_before_fen, amount_fen,
     terminal, time, is_payable, is_settled, is_confirmed) = row  # fmt: skip
    load = AllowedLoad(
        number=number,
        application=application,
        card_number=f"{card_number:020}",
        key_version=0,
        random=b"",
        online_counter=online_counter,
        balance_before_fen=balance_before_fen,
        amount_fen=amount_fen,
        terminal=f"{terminal:012x}",
        time=time,
        mac1=b"",
        mac2=b"",
        funding=Funding.CASH,
    )
    logged = LoggedLoad(f"{issuer:016x}", _NO_DAY, load)
    return OpenEntry(logged, is_payable, is_settled, is_confirmed)


def _recorded(row: Row) -> RecordedLoad:
    (factor, application, online_counter, amount_fen, terminal, time, is_proven,
     balance_before_fen) = row  # fmt: skip
    return RecordedLoad(
        application,
        f"{factor:020}",
        online_counter,
        amount_fen,
        f"{terminal:012x}",
        time,
        is_proven,
        _NO_DAY,
        (),
        balance_before_fen,
    )
