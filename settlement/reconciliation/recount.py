"""The figures of the proof of the float (R5), added up anew from the files of a run.

Decides the sums a second time, on purpose: `sql/statements_figures.sql` is what is checked. Reads
last statements, open segments, gaps and claims as they stand on the disk, and believes none of the
kinds or totals that stand there. Leaves what the figures have to be equal to to
`settlement.clearing.proof`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from cardcore.limits import BALANCE_MAX_REGISTERED_FEN
from settlement.clearing.proof import (
    AGE_CLASSES,
    AgeLine,
    Contradiction,
    FloatFigures,
    UnevenPurse,
)
from settlement.dispositions import GapState
from settlement.facts import columnar

_TABLES = """
CREATE VIEW purse AS
SELECT *, (time - to_hours(getvariable('cutover_hour')))::DATE AS day
FROM read_parquet(getvariable('statements'));
CREATE VIEW segment AS
SELECT
    *,
    left_online IS NULL OR right_online < left_online
        OR (price_fen < 0 AND -price_fen > missing_loads * getvariable('balance_max_fen'))
        AS is_contradiction
FROM read_parquet(getvariable('segments'));
CREATE VIEW claim AS FROM read_parquet(getvariable('claims'));
CREATE VIEW claimed AS
SELECT gap.price_fen
FROM read_parquet(getvariable('gaps')) AS gap
LEFT JOIN purse
    ON purse.issuer = gap.issuer AND purse.card_number = gap.card_number
    AND purse.application = gap.application
WHERE gap.state = getvariable('open') AND gap.price_fen <> 0 AND NOT coalesce(
    if(gap.right_time IS NULL, list_max(gap.loose_days) < purse.day, gap.right_time <= purse.time),
    false
);
"""
_PURSES = """
SELECT
    count(time), sum(balance_fen), sum(tail_count) FILTER (time IS NOT NULL),
    sum(tail_fen) FILTER (time IS NOT NULL), count(*) - count(time),
    sum(tail_count) FILTER (time IS NULL), sum(tail_fen) FILTER (time IS NULL), sum(posted_fen)
FROM purse
"""
_SEGMENTS = """
SELECT
    sum(price_fen) FILTER (NOT is_contradiction AND price_fen > 0),
    sum(missing_loads) FILTER (NOT is_contradiction),
    -sum(price_fen) FILTER (NOT is_contradiction AND price_fen < 0),
    count(*) FILTER (left_online = 0 AND left_time IS NULL),
    -sum(price_fen) FILTER (left_online = 0 AND left_time IS NULL AND price_fen < 0),
    count(*) FILTER (is_contradiction),
    sum(price_fen) FILTER (is_contradiction AND price_fen > 0),
    -sum(price_fen) FILTER (is_contradiction AND price_fen < 0)
FROM segment
"""
_CLAIMED = """
SELECT
    count(*), sum(price_fen) FILTER (price_fen > 0), -sum(price_fen) FILTER (price_fen < 0)
FROM claimed
"""
_CLAIMS = "SELECT sum(count), sum(amount_fen) FROM claim"
_STATED_AGES = """
SELECT getvariable('today') - day, count(*), sum(balance_fen) FROM purse
WHERE time IS NOT NULL GROUP BY day
"""
_CLAIM_AGES = """
SELECT getvariable('today') - day, sum(count), sum(amount_fen) FROM claim GROUP BY day
"""
_WORTH = """
SELECT
    (SELECT coalesce(sum(balance_fen), 0) FROM read_parquet(getvariable('cards')))
        + (
            SELECT coalesce(sum(price_fen), 0) FROM read_parquet(getvariable('gaps'))
            WHERE state = getvariable('open')
        )
"""
_UNEVEN = """
SELECT card_number, application, sum(posted_fen), sum(explained_fen)
FROM (
    SELECT issuer, card_number, application, posted_fen, balance_fen - tail_fen AS explained_fen
    FROM purse
    UNION ALL
    SELECT issuer, card_number, application, 0, price_fen FROM segment
)
GROUP BY issuer, card_number, application
HAVING sum(posted_fen) <> sum(explained_fen)
ORDER BY card_number, application
LIMIT 100
"""
_CONTRADICTIONS = """
SELECT
    issuer, card_number, application, left_time, left_balance_fen, right_time, right_balance_fen,
    missing_loads, price_fen, opened_day
FROM segment WHERE is_contradiction
ORDER BY abs(price_fen) DESC, issuer, card_number, application, right_time, left_online
"""
_OLDEST = "SELECT (SELECT min(day) FROM purse), (SELECT min(day) FROM claim)"


@dataclass(frozen=True, slots=True)
class Recount:
    """What the files of a run add up to. The oldest are those of statements and of claims."""

    figures: FloatFigures
    posted_fen: int  # loads less debits, purse by purse
    claimed_worth_fen: int  # balances and gaps as records claim them
    uneven: tuple[UnevenPurse, ...]
    contradictions: tuple[Contradiction, ...]
    oldest_statement: date | None
    oldest_claim: date | None


def recount(
    folders: Sequence[Path], settlement_day: date, cutover_hour: int, scratch: Path
) -> Recount:
    """Add up the buckets of a run, each by its folder.

    Raises `duckdb.Error` or `OSError` when a file cannot be read.
    """
    with columnar.connect(scratch) as connection:
        values: dict[str, Any] = {
            name: [str(each / f"{name}.parquet") for each in folders]
            for name in ("statements", "segments", "claims", "gaps", "cards")
        }
        values |= {
            "cutover_hour": cutover_hour,
            "balance_max_fen": BALANCE_MAX_REGISTERED_FEN,
            "open": int(GapState.OPEN),
            "today": settlement_day,
        }
        columnar.set_variables(connection, **values)
        connection.execute(_TABLES)
        return _recount(connection)


def _recount(connection: duckdb.DuckDBPyConnection) -> Recount:
    def ask(query: str) -> list[tuple[Any, ...]]:
        return connection.execute(query).fetchall()

    (row,) = ask(_PURSES)
    *purses, posted_fen = map(_whole, row)
    counted: list[Any] = [
        *purses,
        *(_whole(each) for query in (_SEGMENTS, _CLAIMED, _CLAIMS) for each in ask(query)[0]),
    ]
    counted += [_ages(ask(query)) for query in (_STATED_AGES, _CLAIM_AGES)]
    ((worth_fen,),) = ask(_WORTH)
    ((oldest_statement, oldest_claim),) = ask(_OLDEST)
    return Recount(
        FloatFigures(*counted),
        posted_fen,
        int(worth_fen),
        tuple(
            UnevenPurse(f"{card:020}", application, int(posted), int(explained))
            for card, application, posted, explained in ask(_UNEVEN)
        ),
        tuple(
            Contradiction(f"{issuer:016X}", f"{card:020}", *rest)
            for issuer, card, *rest in ask(_CONTRADICTIONS)
        ),
        oldest_statement,
        oldest_claim,
    )


def _whole(amount: Any) -> int:  # noqa: ANN401 - a sum of SQL
    """A sum over nothing is 0."""
    return 0 if amount is None else int(amount)


def _ages(rows: Sequence[tuple[int, int, int]]) -> tuple[AgeLine, ...]:
    lines = []
    younger = None
    for most in AGE_CLASSES:
        inside = [
            each
            for each in rows
            if (younger is None or each[0] > younger) and (most is None or each[0] <= most)
        ]
        lines.append(AgeLine(sum(each[1] for each in inside), sum(int(each[2]) for each in inside)))
        younger = most
    return tuple(lines)
