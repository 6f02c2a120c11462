"""Entries of the load host's log as columns, and as Parquet in buckets by card.

Decides which fields a run reads. Entries come from files whose hosts signed them and whose bytes
are proven; what an allowed load means is left to `settlement.loads`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cardcore.records import load_log as layout
from settlement.facts.cells import card_numbers, cells_of, moments, unsigned
from settlement.facts.columns import write_buckets

#: Fields that become columns of their own name.
_COLUMNS = (
    "number", "application", "online_counter", "balance_before_fen", "amount_fen", "terminal",
    "time", "funding",
)  # fmt: skip
_FIELD = {each.name: each for each in layout.AllowedLoad.FIELDS}
_QUERY = "FROM entry ORDER BY issuer, number"


@dataclass(frozen=True, slots=True)
class LogEntries:
    """Entries of an issuer's log one after another, as they stand in a file."""

    issuer: str  # 16 hexadecimal digits
    data: bytes


def entry_columns(entries: LogEntries) -> dict[str, NDArray[np.generic]]:
    """Columns as settlement asks for them: ids as numbers, the card number as its decimal value."""
    rows = np.frombuffer(entries.data, np.uint8).reshape(-1, layout.ENTRY_BYTES)
    columns: dict[str, NDArray[np.generic]] = {
        "issuer": np.full(len(rows), int(entries.issuer, 16), np.uint64),
        "card_number": card_numbers(cells_of(rows, _FIELD["card_number"])),
    }
    for name in _COLUMNS:
        cells = cells_of(rows, _FIELD[name])
        columns[name] = moments(cells)[1] if name == "time" else unsigned(cells)
    return columns


def write_load_log(
    entries: Sequence[LogEntries], bucket_count: int, folder: Path
) -> dict[int, tuple[str, str]]:
    """Write `folder/<bucket>.parquet` for every bucket of cards that has entries: (file name,
    SHA-256) by bucket.
    """
    if not entries:
        return {}
    parts = [entry_columns(each) for each in entries]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    written = write_buckets(columns, bucket_count, "entry", _QUERY, folder)
    return {each.bucket: (each.path.name, each.digest) for each in written}
