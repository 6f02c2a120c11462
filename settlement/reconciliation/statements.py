"""What cards stated of their balance, and the exact price of what lies between (R5).

Decides nothing itself: SQL places every statement and every posted debit of a run, this says in
which order, and fetches debits of closed days where a statement falls between them. Leaves what is
posted to `bucket`, what the figures prove to `settlement.clearing.proof`.

    statements_begin.sql    what there is: one last statement a purse, open segments
    statements_posted.sql   what the run posts
    statements_near.sql     which statements there are, and where their counters stand
    statements_round.sql    purses whose counters have gone round
    statements_plain.sql    purses with one new load, behind everything: nearly all
    statements_place.sql    where the statements of others belong
    statements_past.sql     debits of closed days on both sides of a new statement
    statements_price.sql    the price of every segment of these
    statements_after.sql    every purse afterwards
    statements_figures.sql  what that comes to
"""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from cardcore.limits import BALANCE_MAX_REGISTERED_FEN
from settlement.clearing.proof import AGE_CLASSES, AgeLine, FloatFigures
from settlement.facts import columnar

#: The output files of a bucket, each in its own order.
STATEMENT_OUTPUTS = {
    "statements": "FROM statement_after ORDER BY issuer, card_number, application",
    "segments": "FROM segment_after ORDER BY ALL",
    "claims": "FROM claim_after ORDER BY ALL",
}


def begin_statements(connection: duckdb.DuckDBPyConnection, previous: Path | None) -> None:
    """Make the tables, and fill them from the bucket's folder of the last closed day."""
    columnar.set_variables(connection, balance_max_fen=BALANCE_MAX_REGISTERED_FEN)
    columnar.run_script(connection, "statements_begin")
    if previous is None:
        return
    for name in STATEMENT_OUTPUTS:
        connection.execute(
            f"INSERT INTO {name[:-1]}_before FROM read_parquet($path)",
            {"path": str(previous / f"{name}.parquet")},
        )


def follow_statements(connection: duckdb.DuckDBPyConnection, history: Mapping[date, str]) -> None:
    """Make `statement_after` and `segment_after` of what the run posts. `history` are the bucket's
    folders of all closed days; only those are opened that settled something dated where a slot is
    cut.
    """
    columnar.run_script(connection, "statements_posted")
    columnar.run_script(connection, "statements_near")
    if connection.table("gone_round").limit(1).fetchall():
        columnar.run_script(connection, "statements_round")
    columnar.run_script(connection, "statements_plain")
    if connection.table("left_over").limit(1).fetchall():
        _place_others(connection, history)
    else:
        connection.execute("INSERT INTO segment_after FROM segment_before")
    columnar.run_script(connection, "statements_after")
    uneven = connection.execute("FROM uneven_purse LIMIT 3").fetchall()
    assert not uneven, uneven


def _place_others(connection: duckdb.DuckDBPyConnection, history: Mapping[date, str]) -> None:
    columnar.run_script(connection, "statements_place")
    days = connection.execute("FROM looked_up_day ORDER BY ALL").fetchall()
    if days:
        paths = [str(Path(history[day]) / "decisions.parquet") for (day,) in days]
        columnar.set_variables(connection, past_days=paths)
        columnar.run_script(connection, "statements_past")
    columnar.run_script(connection, "statements_price")


def figure_statements(connection: duckdb.DuckDBPyConnection) -> FloatFigures:
    """What the bucket comes to, claims among it (`claim_after`)."""
    columnar.run_script(connection, "statements_figures")
    found = connection.execute("FROM float_figure")
    names = [name for name, *_ in found.description]
    (row,) = found.fetchall()
    figures: dict[str, Any] = dict(zip(names, row, strict=True))
    ages = {name: [AgeLine()] * len(AGE_CLASSES) for name in ("stated_by_age", "claims_by_age")}
    for name, days, count, amount_fen in connection.execute("FROM age_figure").fetchall():
        index = next(
            index for index, most in enumerate(AGE_CLASSES) if most is None or days <= most
        )
        ages[name][index] += AgeLine(count, amount_fen)
    figures |= {name: tuple(lines) for name, lines in ages.items()}
    return FloatFigures(**figures)
