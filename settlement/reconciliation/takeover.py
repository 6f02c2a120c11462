"""Cards that came from an old centre: where their chains begin, and what they were opened with.

Decides nothing itself: SQL says it of all cards of a bucket at once. What an old centre states of a
card stands among the card's own statements (`statements`), and what lies before the first of them
is what the card was opened with.

    takeover_begin.sql   what was handed over, before and today
    takeover_chain.sql   chains that begin with it
    takeover_after.sql   openings and what is due, afterwards
    takeover_none.sql    the same for a city that took nothing over
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from settlement.clearing.openings import OpeningTally
from settlement.facts import columnar

#: Written only where a card came from an old centre.
OPENINGS = "openings.parquet"
OPENINGS_OUTPUT = {"openings": "FROM opening_after ORDER BY issuer, card_number, application"}


@dataclass(frozen=True, slots=True)
class Scope:
    """Cards of an issuer (as a number) and an application, handed over by a centre since a day."""

    issuer: int
    application: int
    centre: int
    since: date


@dataclass(frozen=True, slots=True)
class Openings:
    """What a bucket was opened with: what moved, and what of it no chain begins with."""

    tallies: tuple[OpeningTally, ...] = ()
    apart_fen: int = 0
    apart_before_fen: int = 0


def begin_takeover(
    connection: duckdb.DuckDBPyConnection,
    scopes: tuple[Scope, ...],
    handed: Path | None,
    previous: Path | None,
) -> None:
    """Make the tables: whose cards came from where, what came today (`handed`), what there was in
    the bucket's folder of the last closed day. The cards of that day are there already.
    """
    columnar.run_script(connection, "takeover_begin")
    rows = [(each.issuer, each.application, each.centre, each.since) for each in scopes]
    columnar.insert(connection, "scope", rows)
    for table, path in (
        ("opening_before", None if previous is None else previous / OPENINGS),
        ("handed", handed),
    ):
        if path is not None and path.exists():
            connection.execute(
                f"INSERT INTO {table} BY NAME FROM read_parquet($path)", {"path": str(path)}
            )
    if handed is not None:
        columnar.run_script(connection, "takeover_chain")


def follow_takeover(connection: duckdb.DuckDBPyConnection, scopes: tuple[Scope, ...]) -> Openings:
    """Make `opening_after` and what is left of the segments, when all statements are placed."""
    if not scopes:
        columnar.run_script(connection, "takeover_none")
        return Openings()
    columnar.run_script(connection, "takeover_after")
    rows = connection.execute("FROM opening_tally ORDER BY ALL").fetchall()
    ((apart_fen, apart_before_fen),) = connection.execute("FROM apart").fetchall()
    return Openings(tuple(OpeningTally(*row) for row in rows), apart_fen, apart_before_fen)
