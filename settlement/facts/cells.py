"""Cells of records as arrays: all rows of a field at once.

Decides how bytes at a fixed place become numbers, days and moments, and which of them are none.
Leaves which fields there are to the record.
"""

import numpy as np
from numpy.typing import NDArray

from cardcore.layouts.fixed import Field
from cardcore.records import record as layout

Bytes = NDArray[np.uint8]


Mask = NDArray[np.bool_]


Moments = NDArray[np.datetime64]


#: Two BCD digits as a number, and whether a byte is two digits at all.
_PAIR = np.array([byte // 16 * 10 + byte % 16 for byte in range(256)], np.int32)


_IS_PAIR = np.array([byte // 16 <= 9 and byte % 16 <= 9 for byte in range(256)])


def record_rows(records: bytes) -> Bytes:
    """Concatenated records as an array of n rows of 256 bytes; nothing is copied."""
    assert len(records) % layout.RECORD_BYTES == 0, len(records)
    return np.frombuffer(records, np.uint8).reshape(-1, layout.RECORD_BYTES)


def last_bytes(rows: Bytes, field: Field) -> bytes:
    """The last eight bytes of a field: what a key is diversified by."""
    end = field.offset + field.length
    return rows[:, end - 8 : end].tobytes()


def cells_of(rows: Bytes, field: Field) -> Bytes:
    """The bytes of one field, row by row."""
    return rows[:, field.offset : field.offset + field.length]


def unsigned(cells: Bytes) -> NDArray[np.generic]:
    """Big-endian integers of 1 to 8 bytes in the smallest native type that holds them."""
    length = cells.shape[1]
    width = next(width for width in (1, 2, 4, 8) if width >= length)
    wide = np.zeros((len(cells), width), np.uint8)
    wide[:, width - length :] = cells
    return wide.view(f">u{width}")[:, 0].astype(f"u{width}")


def are_digits(cells: Bytes) -> Mask:
    """Per row whether every half-byte is a decimal digit."""
    sound: Mask = np.all(_IS_PAIR[cells], axis=1)
    return sound


def card_numbers(cells: Bytes) -> NDArray[np.uint64]:
    """Card numbers as decimal values, 0 for one that the record does not admit."""
    number = np.zeros(len(cells), np.uint64)
    for column in range(cells.shape[1]):
        number = number * np.uint64(100) + _PAIR[cells[:, column]].astype(np.uint64)
    number[~(are_digits(cells) & (cells[:, 0] >> 4 == 0))] = 0
    return number


def days(cells: Bytes) -> tuple[Mask, Moments]:
    """Per row whether YYYYMMDD is a day of the calendar, and midnight of it, else NaT."""
    pairs = _PAIR[cells]
    year, month, day = pairs[:, 0] * 100 + pairs[:, 1], pairs[:, 2], pairs[:, 3]
    sound = are_digits(cells)
    sound &= (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    months = ((np.where(sound, year, 1970) - 1970) * 12 + np.where(sound, month, 1) - 1).astype(
        "M8[M]"
    )
    days = months.astype("M8[D]") + np.where(sound, day, 1) - 1
    sound &= days.astype("M8[M]") == months  # the 31st of a shorter month runs into the next
    moments = days.astype("M8[us]")
    moments[~sound] = np.datetime64("NaT")
    return sound, moments


def moments(cells: Bytes) -> tuple[Mask, Moments]:
    """Per row whether YYYYMMDDHHMMSS is a moment, and that moment, else NaT."""
    sound, moments = days(cells[:, :4])
    clock = _PAIR[cells[:, 4:]]
    hour, minute, second = clock[:, 0], clock[:, 1], clock[:, 2]
    sound &= are_digits(cells[:, 4:]) & (hour <= 23) & (minute <= 59) & (second <= 59)
    moments = moments + (hour * 3600 + minute * 60 + second).astype("m8[s]")
    moments[~sound] = np.datetime64("NaT")
    return sound, moments
