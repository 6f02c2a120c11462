"""Which part of a record is damaged first, for all rows of a file at once (V01).

Decides it exactly as `cardcore.records.record.decode_record` would say, and what no codec can
know: an application nobody has. Leaves what that means for the record to reconciliation.
"""

import numpy as np

from cardcore import digits
from cardcore.applets.catalogue import APPLICATIONS
from cardcore.application import NO_APPLICATION
from cardcore.errors import DecodeError
from cardcore.layouts import fixed
from cardcore.layouts.fixed import Field
from cardcore.records import record as layout
from cardcore.records.kinds import Evidence, RecordKind
from cardcore.records.payloads import PAYLOADS, payload_sizes
from settlement.facts.cells import Bytes, Mask, are_digits, cells_of, days, moments

#: Names of the format faults by number, in the order in which `decode_record` looks.
FORMAT_FAULTS = (
    *("", "version", *(field.name for field in layout.FIELDS)),
    *("payload", "reserved", "cryptogram", "version has no application"),
    # What no codec can know, and so `decode_record` does not say: an application nobody has.
    "unknown application",
)


def _sound(cells: Bytes, field: Field) -> Mask:
    """Per row whether the field decodes: the same answer as `field.coding.decode`."""
    coding = field.coding
    if coding is fixed.DATE:
        return days(cells)[0]
    if coding.decode is digits.decode_time:
        return moments(cells)[0]
    if coding is fixed.ASCII:
        return _are_ascii(cells)
    if coding is layout.TIME_OR_ZERO:
        return moments(cells)[0] | ~cells.any(axis=1)
    if coding is layout.BCD:
        return are_digits(cells)
    if coding is layout.CARD:
        return are_digits(cells) & (cells[:, 0] < 0x10)
    if coding in {fixed.UINT, fixed.BYTES, fixed.HEX}:
        return np.ones(len(cells), np.bool_)
    # What is left are enumerations of one byte: ask the coding about all 256 values once.
    assert field.length == 1, field
    return _decodable(field)[cells[:, 0]]


def _decodable(field: Field) -> Mask:
    answers = []
    for value in range(256):
        try:
            field.coding.decode(bytes((value,)))
        except (DecodeError, ValueError):
            answers.append(False)
        else:
            answers.append(True)
    return np.array(answers)


def format_faults(rows: Bytes) -> Bytes:
    """Index into `FORMAT_FAULTS` of the first damaged field of every row (V01)."""
    versions = rows[:, 0]
    sound = [
        np.isin(versions, list(layout.BYTES_OF_VERSION)),
        *(_sound(cells_of(rows, field), field) for field in layout.FIELDS),
        *_behind_the_fields(rows),
        np.isin(rows[:, layout.FIELD["application"].offset], _APPLICATION_CODES),
    ]
    assert len(sound) == len(FORMAT_FAULTS) - 1
    faults = np.zeros(len(rows), np.uint8)
    # From the last to the first: the first fault is written last and stays.
    for number in range(len(sound), 0, -1):
        faults[~sound[number - 1]] = number
    return faults


def _behind_the_fields(rows: Bytes) -> tuple[Mask, Mask, Mask, Mask]:
    """Per row whether payload, what is reserved, the cryptogram and an old version are sound.

    Column by column as the fields are: whoever sends must not choose what a record costs.
    """
    is_old = rows[:, 0] == layout.V1_VERSION
    kinds = rows[:, layout.FIELD["kind"].offset]
    sizes = rows[:, layout.PAYLOAD_AT]
    body = rows[:, layout.PAYLOAD_AT + 1 : layout.BODY_END]
    payload: Mask = ~is_old | (sizes <= layout.V1_PAYLOAD_BYTES_MAX)
    for kind in RecordKind:
        numbers = np.flatnonzero(~is_old & (kinds == kind))
        payload[numbers] = _payloads_sound(kind, sizes[numbers], body[numbers])
    reserved: Mask = ~_any_from(body, sizes)
    signed = rows[:, layout.BODY_END : layout.BODY_END + layout.FIELD["tac"].length]
    cryptogram: Mask = ~_any_from(signed, _CRYPTOGRAM_BYTES[kinds])
    has_new = rows[:, layout.BODY_END + Evidence.TAC.cryptogram_bytes :].any(axis=1)
    has_new |= rows[:, layout.FIELD["application"].offset] != 0
    return payload, reserved, cryptogram, ~(is_old & has_new)


def _payloads_sound(kind: RecordKind, sizes: Bytes, body: Bytes) -> Mask:
    """Per row of a kind whether the payload is one: the same answer as `decode_payload`."""
    sound: Mask = np.isin(sizes, list(payload_sizes(kind)))
    table = PAYLOADS.get(kind)
    if table is not None:
        carried = np.flatnonzero(sizes == table.SIZE)
        cells = body[carried]
        for field in table.FIELDS:
            sound[carried] &= _sound(cells_of(cells, field), field)
    return sound


def _any_from(cells: Bytes, starts: Bytes) -> Mask:
    """Per row whether any byte from a place on, that of the row, is not zero."""
    found = np.zeros(len(cells), np.bool_)
    # Most rows hold nothing at all there.
    numbers = np.flatnonzero(cells.any(axis=1))
    places = np.arange(cells.shape[1], dtype=np.uint8)
    found[numbers] = ((cells[numbers] != 0) & (places >= starts[numbers, None])).any(axis=1)
    return found


def _are_ascii(cells: Bytes) -> Mask:
    """Per row whether it is ASCII but for what fills it up behind, as `fixed.ASCII` reads it."""
    filling = np.isin(cells, (0x00, 0x20, 0xFF))
    is_behind: Mask = np.logical_and.accumulate(filling[:, ::-1], axis=1)[:, ::-1]
    sound: Mask = np.all((cells < 0x80) | is_behind, axis=1)
    return sound


#: By the number of a kind, how many bytes of the card it carries; those that are none have none.
_CRYPTOGRAM_BYTES = np.zeros(256, np.uint8)
for _kind in RecordKind:
    _CRYPTOGRAM_BYTES[_kind] = _kind.evidence.cryptogram_bytes


_APPLICATION_CODES = (*APPLICATIONS, NO_APPLICATION)
