"""What the last closed day left open of a card, a load or a terminal's serials, one item at a time.

Decides nothing: the outputs of that day's run tell.
"""

from collections.abc import Mapping
from typing import Any

from settlement.city import City
from settlement.facts import columnar
from settlement.service.runs import last_outputs

_SEGMENT = """
SELECT price_fen FROM read_parquet($paths)
WHERE (kind = segment_contradiction()) = $is_contradiction AND $digest = segment_digest(
    issuer, card_number, application, left_online, left_time, right_online, right_time,
    missing_loads, price_fen
)
"""
_CLAIMED = """
SELECT price_fen FROM read_parquet($paths)
WHERE state = gap_open() AND $digest = claimed_digest(
    issuer, card_number, application, counter_kind, first_counter, last_counter, price_fen
)
"""
_OPEN_LOAD = """
SELECT amount_fen FROM read_parquet($paths)
WHERE issuer = $issuer AND number = $number AND NOT is_settled AND NOT is_confirmed
"""
_SERIAL_GAP = """
SELECT opened_day FROM read_parquet($paths)
WHERE terminal = $terminal AND first_serial = $first AND last_serial = $last
"""


def read_gap(city: City, digest: str) -> int | None:
    """The price of an open gap in fen: an exact one between two statements, or one that counters of
    debits claim; None where the last closed day left no such one.
    """
    exact = _ask(city, "segments", _SEGMENT, {"digest": digest, "is_contradiction": False})
    found = exact or _ask(city, "gaps", _CLAIMED, {"digest": digest})
    return None if found is None else int(found[0])


def read_contradiction(city: City, digest: str) -> int | None:
    """The same of what cannot be."""
    values = {"digest": digest, "is_contradiction": True}
    found = _ask(city, "segments", _SEGMENT, values)
    return None if found is None else int(found[0])


def read_open_load(city: City, issuer: str, number: str) -> int | None:
    """What a load host allowed and nothing has confirmed, in fen; None where that is nothing."""
    values = {"issuer": int(issuer, 16), "number": int(number)}
    found = _ask(city, "open_loads", _OPEN_LOAD, values)
    return None if found is None else int(found[0])


def read_serial_gap(city: City, terminal: str, first: str, last: str) -> str | None:
    """Since when serials of a terminal are missing; None where these are not, or others are with
    them.
    """
    values = {"terminal": int(terminal, 16), "first": int(first), "last": int(last)}
    found = _ask(city, "terminals/terminal_gaps", _SERIAL_GAP, values)
    return None if found is None else str(found[0])


def _ask(city: City, name: str, query: str, values: Mapping[str, object]) -> tuple[Any, ...] | None:
    """The first row that answers, of an output of the last closed day's run."""
    paths = last_outputs(city, name)
    if not paths:
        return None
    with columnar.connect(city.folder) as connection:
        columnar.define_words(connection)
        asked = {**values, "paths": [str(each) for each in paths]}
        found: tuple[Any, ...] | None = connection.execute(query, asked).fetchone()
        return found
