"""What the last closed day left open of a card, a load or a terminal's serials, one item at a time.

Decides nothing: the outputs of that day's run tell.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from settlement.city import City
from settlement.dispositions import SegmentKind
from settlement.facts import columnar
from settlement.rulings.subjects import item_key
from settlement.seal import Sealable
from settlement.service.computation import bucket_path
from settlement.store.days import load_day, load_gaps, load_newest_seal

_SEGMENTS = """
SELECT kind, left_online, left_time, right_online, right_time, missing_loads, price_fen
FROM read_parquet($paths)
WHERE issuer = $issuer AND card_number = $card_number AND application = $application
"""
_OPEN_LOAD = """
SELECT amount_fen, is_settled, is_confirmed FROM read_parquet($paths)
WHERE issuer = $issuer AND number = $number
"""
_SERIAL_GAP = """
SELECT opened_day FROM read_parquet($paths)
WHERE terminal = $terminal AND first_serial = $first AND last_serial = $last
"""


def read_gap(city: City, issuer: str, card_number: str, application: str, key: str) -> Sealable:
    """The digest of a gap that is open: an exact one between two statements, or one that counters
    of debits claim; None where the last closed day left no such one.
    """
    for kind, found in _segments(city, issuer, card_number, application):
        if kind is not SegmentKind.CONTRADICTION and found == key:
            return key
    return key if key in set(_claimed(city, issuer, card_number, application)) else None


def read_contradiction(
    city: City, issuer: str, card_number: str, application: str, key: str
) -> Sealable:
    """The same of what cannot be."""
    for kind, found in _segments(city, issuer, card_number, application):
        if kind is SegmentKind.CONTRADICTION and found == key:
            return key
    return None


def read_open_load(city: City, issuer: str, number: str) -> int | None:
    """What a load host allowed and nothing has confirmed, in fen; None where that is nothing."""
    values = {"issuer": int(issuer, 16), "number": int(number)}
    for amount_fen, is_settled, is_confirmed in _ask(city, "open_loads", _OPEN_LOAD, values):
        if not is_settled and not is_confirmed:
            return int(amount_fen)
    return None


def read_serial_gap(city: City, terminal: str, first: str, last: str) -> Sealable:
    """Since when serials of a terminal are missing; None where these are not, or others are with
    them.
    """
    values = {"terminal": int(terminal, 16), "first": int(first), "last": int(last)}
    folder = _run_folder(city)
    if folder is None:
        return None
    paths = {"paths": [str(folder / "terminals" / "terminal_gaps.parquet")]}
    with columnar.connect(city.folder) as connection:
        found = connection.execute(_SERIAL_GAP, values | paths).fetchone()
    return None if found is None else found[0].isoformat()


def _segments(
    city: City, issuer: str, card_number: str, application: str
) -> Iterator[tuple[SegmentKind, str]]:
    values = {
        "issuer": int(issuer, 16),
        "card_number": int(card_number),
        "application": int(application),
    }
    for kind, *key in _ask(city, "segments", _SEGMENTS, values):
        yield SegmentKind(kind), item_key(*key)


def _claimed(city: City, issuer: str, card_number: str, application: str) -> Iterator[str]:
    day = load_newest_seal(city.database, city.scheme.name)
    if day is None:
        return
    for each in load_gaps(city.database, day.settlement_day):
        purse = each.issuer.upper(), each.card_number, str(each.application)
        if purse == (issuer.upper(), card_number, application):
            yield item_key(each.counter_kind, each.first_counter, each.last_counter, each.price_fen)


def _ask(city: City, name: str, query: str, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
    """Rows of an output that each bucket of the last closed day's run may have."""
    folder = _run_folder(city)
    if folder is None:
        return []
    buckets = (bucket_path(folder, bucket) for bucket in range(city.bucket_count))
    paths = [str(path) for each in buckets if (path := each / f"{name}.parquet").exists()]
    if not paths:
        return []
    with columnar.connect(city.folder) as connection:
        return connection.execute(query, {**values, "paths": paths}).fetchall()


def _run_folder(city: City) -> Path | None:
    day = load_newest_seal(city.database, city.scheme.name)
    closed = None if day is None else load_day(city.database, day.settlement_day)
    return None if closed is None else city.run_folder(closed.settlement_day, closed.run_id)
