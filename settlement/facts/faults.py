"""Which part of a record is damaged first, for all rows of a file at once (V01).

Decides it exactly as `cardcore.records.record.decode_record` would say, and what no codec can
know: an application nobody has. Leaves what that means for the record to reconciliation.
"""

import numpy as np

from cardcore.applets.catalogue import APPLICATIONS
from cardcore.application import NO_APPLICATION
from cardcore.errors import DecodeError, RecordFormatError
from cardcore.layouts import fixed
from cardcore.layouts.fixed import Field
from cardcore.records import record as layout
from cardcore.records.kinds import Evidence, RecordKind
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
    if coding is layout.TIME:
        return moments(cells)[0]
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

    Most records carry no payload, no authentication and are of the newest version: only the others
    are looked at one by one, with the very function that reads a record.
    """
    is_old = rows[:, 0] == layout.V1_VERSION
    kinds = rows[:, layout.FIELD["kind"].offset]
    body = rows[:, layout.PAYLOAD_AT : layout.BODY_END]
    tac = layout.FIELD["tac"]
    behind_tac = rows[:, tac.offset + Evidence.TAC.cryptogram_bytes : tac.offset + tac.length]
    is_plain = np.isin(kinds, _PURSE_KINDS) & ~body.any(axis=1) & ~behind_tac.any(axis=1)
    has_new = rows[:, tac.offset + tac.length :].any(axis=1)
    has_new |= rows[:, layout.FIELD["application"].offset] != 0
    is_plain &= ~(is_old & has_new)
    masks = tuple(np.ones(len(rows), np.bool_) for _ in range(4))
    for number in np.flatnonzero(~is_plain).tolist():
        try:
            layout.decode_record(rows[number].tobytes())
        except RecordFormatError as error:
            if error.field in _BEHIND:
                masks[_BEHIND[error.field]][number] = False
    payload, reserved, cryptogram, version = masks
    return payload, reserved, cryptogram, version


#: Which of the four faults behind the fields an error names.
_BEHIND = {"payload": 0, "reserved": 1, "cryptogram": 2, "version": 3}


_PURSE_KINDS = tuple(each for each in RecordKind if each.moves_purse)


_APPLICATION_CODES = (*APPLICATIONS, NO_APPLICATION)
