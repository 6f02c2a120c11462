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
from settlement.reconciliation.takeover import OPENINGS

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
CREATE TABLE opening (
    issuer UBIGINT, card_number UBIGINT, application UTINYINT, is_handed BOOLEAN,
    balance_fen BIGINT, as_of TIMESTAMP, is_chained BOOLEAN, is_behind BOOLEAN, is_disputed BOOLEAN,
    opened_day DATE, opening_fen BIGINT, due_day DATE, due_fen BIGINT
);
-- What is left of the segments of opened purses when their openings are taken off.
CREATE VIEW left_over AS
SELECT
    opening.issuer, opening.card_number, opening.application, opening.as_of, opening.balance_fen,
    opening.opened_day, coalesce(sum(segment.price_fen), 0)::BIGINT + any_value(opening_fen)
        AS price_fen
FROM opening LEFT JOIN segment
    ON segment.issuer = opening.issuer AND segment.card_number = opening.card_number
    AND segment.application = opening.application AND left_online = 0 AND left_time IS NULL
WHERE opening.opened_day IS NOT NULL
GROUP BY ALL;
CREATE VIEW unexplained AS
SELECT left_online, left_time, missing_loads, price_fen, is_contradiction
FROM segment
WHERE NOT coalesce(left_online = 0 AND left_time IS NULL, false)
    OR (issuer, card_number, application) NOT IN (
        SELECT (issuer, card_number, application) FROM opening WHERE opened_day IS NOT NULL
    )
UNION ALL
SELECT NULL, NULL, 0, price_fen, true FROM left_over WHERE price_fen <> 0;
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
_READ_OPENINGS = """
INSERT INTO opening BY NAME
SELECT * EXCLUDE (centre, online_counter) FROM read_parquet($path)
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
FROM unexplained
"""
_CLAIMED = """
SELECT
    count(*), sum(price_fen) FILTER (price_fen > 0), -sum(price_fen) FILTER (price_fen < 0)
FROM claimed
"""
_CLAIMS = "SELECT sum(count), sum(amount_fen) FROM claim"
_OPENINGS = """
SELECT
    count(opened_day), sum(opening_fen), count(*) FILTER (is_first),
    sum(stated_fen) FILTER (is_first),
    count(*) FILTER (is_disputed), count(due_day), sum(due_fen)
FROM (
    SELECT
        opening.*, purse.balance_fen AS stated_fen,
        is_handed AND NOT purse.after_load AND purse.time = opening.as_of AS is_first
    FROM opening LEFT JOIN purse USING (issuer, card_number, application)
)
"""
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
        + (
            SELECT coalesce(sum(opening_fen + due_fen - if(is_chained, balance_fen, 0)), 0)
            FROM opening
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
FROM (
    SELECT
        issuer, card_number, application, left_time, left_balance_fen, right_time,
        right_balance_fen, missing_loads, price_fen, opened_day, left_online
    FROM segment
    WHERE is_contradiction AND NOT coalesce(
        left_online = 0 AND left_time IS NULL AND (issuer, card_number, application) IN (
            SELECT (issuer, card_number, application) FROM opening WHERE opened_day IS NOT NULL
        ), false
    )
    UNION ALL
    SELECT
        issuer, card_number, application, NULL, NULL, as_of, balance_fen, 0, price_fen, opened_day,
        NULL
    FROM left_over WHERE price_fen <> 0
)
ORDER BY abs(price_fen) DESC, issuer, card_number, application, right_time, left_online
"""
_OLDEST = "SELECT (SELECT min(day) FROM purse), (SELECT min(day) FROM claim)"


@dataclass(frozen=True, slots=True)
class Recount:
    """What the files of a run add up to. The oldest are those of statements and of claims."""

    figures: FloatFigures
    posted_fen: int  # openings and loads less debits, purse by purse
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
        for path in (each / OPENINGS for each in folders):
            if path.exists():
                connection.execute(_READ_OPENINGS, {"path": str(path)})
        return _recount(connection)


def _recount(connection: duckdb.DuckDBPyConnection) -> Recount:
    def ask(query: str) -> list[tuple[Any, ...]]:
        return connection.execute(query).fetchall()

    (row,) = ask(_PURSES)
    *purses, posted_fen = map(_whole, row)
    counted: list[Any] = [
        *purses,
        *(
            _whole(each)
            for query in (_SEGMENTS, _CLAIMED, _CLAIMS, _OPENINGS)
            for each in ask(query)[0]
        ),
    ]
    counted += [_ages(ask(query)) for query in (_STATED_AGES, _CLAIM_AGES)]
    ((worth_fen,),) = ask(_WORTH)
    ((oldest_statement, oldest_claim),) = ask(_OLDEST)
    figures = FloatFigures(*counted)
    return Recount(
        figures,
        posted_fen + figures.opened_fen + figures.due_fen,
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
