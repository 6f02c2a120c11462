"""Which serials of which terminals a batch file holds: how a record is found by its id.

Decides the unbroken runs of serials, of every record whatever its worth: a damaged one can be
asked for, too. Leaves keeping them to the store and looking into the file to whoever asks.
"""

import numpy as np

from cardcore.records.record import FIELD
from settlement.facts.cells import record_rows
from settlement.intake.answers import SerialRun


def serial_runs(records: bytes) -> tuple[SerialRun, ...]:
    """The runs in n * 256 bytes, by terminal and serial. Their number is that of the terminals, and
    one more for each hole; it is never more than that of the records.
    """
    terminals, serials = _column(records, "terminal"), _column(records, "terminal_serial")
    if not len(terminals):
        return ()
    order = np.lexsort((serials, terminals))
    terminals, serials = terminals[order], serials[order]
    begins = np.ones(len(order), np.bool_)
    begins[1:] = (terminals[1:] != terminals[:-1]) | (serials[1:] > serials[:-1] + np.uint64(1))
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(order)) - 1
    return tuple(
        SerialRun(f"{terminal:012x}", first_serial, last_serial)
        for terminal, first_serial, last_serial in zip(
            terminals[first].tolist(), serials[first].tolist(), serials[last].tolist(), strict=True
        )
    )


def rows_of(records: bytes, terminal: str, serial: int) -> tuple[int, ...]:
    """The rows of a file's records that carry this terminal and serial."""
    is_asked = _column(records, "terminal") == int(terminal, 16)
    is_asked &= _column(records, "terminal_serial") == serial
    return tuple(np.flatnonzero(is_asked).tolist())


def _column(records: bytes, name: str) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    field, rows = FIELD[name], record_rows(records)
    wide = np.zeros((len(rows), 8), np.uint8)
    wide[:, 8 - field.length :] = rows[:, field.offset : field.offset + field.length]
    return wide.view(">u8")[:, 0].astype(np.uint64)
