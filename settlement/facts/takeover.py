"""Opening balances as columns, and as Parquet in buckets by card.

Decides which fields a run reads. Rows come from files whose old centres signed them and whose bytes
are proven; what an opening balance means is left to `settlement.reconciliation.takeover`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cardcore.records import openings as layout
from settlement.facts.cells import card_numbers, cells_of, moments, unsigned
from settlement.facts.columns import write_buckets

_COLUMNS = ("issuer", "application", "balance_fen", "online_counter", "debit_counter")
_FIELD = {each.name: each for each in layout.OpeningBalance.FIELDS}
_QUERY = "FROM opening ORDER BY issuer, card_number, application"


@dataclass(frozen=True, slots=True)
class HandedRows:
    """Rows one after another, as they stand in a file of that centre."""

    centre: int
    data: bytes


def opening_columns(rows: HandedRows) -> dict[str, NDArray[np.generic]]:
    """Columns as settlement asks for them: ids as numbers, the card number as its decimal value."""
    cells = np.frombuffer(rows.data, np.uint8).reshape(-1, layout.ROW_BYTES)
    columns: dict[str, NDArray[np.generic]] = {
        "centre": np.full(len(cells), rows.centre, np.uint32),
        "card_number": card_numbers(cells_of(cells, _FIELD["card_number"])),
        "debit_counter_known": cells_of(cells, _FIELD["debit_counter_known"])[:, 0] == 1,
        "as_of": moments(cells_of(cells, _FIELD["as_of"]))[1],
    }
    return columns | {name: unsigned(cells_of(cells, _FIELD[name])) for name in _COLUMNS}


def write_openings(
    handed: Sequence[HandedRows], bucket_count: int, folder: Path
) -> dict[int, tuple[str, str]]:
    """Write `folder/<bucket>.parquet` for every bucket of cards that has rows: (file name, SHA-256)
    by bucket.
    """
    if not handed:
        return {}
    parts = [opening_columns(each) for each in handed]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    written = write_buckets(columns, bucket_count, "opening", _QUERY, folder)
    return {each.bucket: (each.path.name, each.digest) for each in written}
