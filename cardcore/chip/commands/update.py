"""UPDATE BINARY, UPDATE RECORD and APPEND RECORD, plain (00) and with secure messaging (04).

Decides whether the access rule of a file lets the change through, and in which form. Leaves the
MAC to `cardcore.chip.commands.security`, and which record is meant to
`cardcore.chip.commands.files`.

Class 00 is for a rule that needs no secure messaging; 6987 when a MAC is all that is missing.
Class 04 takes the form the rule names: with MAC, or enciphered and with MAC.
"""

from collections.abc import Callable

from cardcore.apdu import CommandApdu, StatusWord
from cardcore.chip.access import MESSAGING, Condition, ConditionKind
from cardcore.chip.cardkeys import key_prefix
from cardcore.chip.commands import Context, Decision, Handler, Reply
from cardcore.chip.commands.files import PREVIOUS, binary_place, find_file, locate, mode_of
from cardcore.chip.commands.security import holds, messaged
from cardcore.chip.tree import ElementaryFile, Structure
from cardcore.keys import KeyUsage

_PLAIN = 0x00
_Write = Callable[[bytes, dict[int, bytes]], StatusWord | Reply]


def _authorised(card: Context, file: ElementaryFile, apdu: CommandApdu, write: _Write) -> Decision:
    """Write the plain data as soon as the rule of the file is kept."""

    def true_now(condition: Condition) -> bool:
        return holds(card, condition)

    if apdu.cla == _PLAIN and file.update.open_to(true_now):
        return write(apdu.data, {})
    form = file.update.messaging(true_now)
    if apdu.cla == _PLAIN:
        return StatusWord.SECURITY_NOT_SATISFIED if form is None else StatusWord.MAC_MISSING
    if form is None:
        asks = file.update.mentions(MESSAGING) or not file.update.ways
        return StatusWord.SECURITY_NOT_SATISFIED if asks else StatusWord.CONDITIONS_NOT_SATISFIED
    return messaged(
        card,
        apdu,
        key_prefix(KeyUsage.FILE_MAINTENANCE, form.key_id),
        write,
        enciphered=form.kind is ConditionKind.ENCIPHERED,
    )


def update_binary(card: Context, apdu: CommandApdu) -> Decision:
    """UPDATE BINARY. 6B00 behind the end of the file, 6A84 when the data run over it."""
    place = binary_place(card, apdu)
    if isinstance(place, StatusWord):
        return place
    if not apdu.data:
        return StatusWord.WRONG_LENGTH
    file, offset = place

    def write(data: bytes, changes: dict[int, bytes]) -> StatusWord | Reply:
        refused = write_part(card, file, offset, data, changes)
        return refused or Reply(session=card.session.at(file), changes=changes)

    return _authorised(card, file, apdu, write)


def write_part(
    card: Context, file: ElementaryFile, offset: int, data: bytes, changes: dict[int, bytes]
) -> StatusWord | None:
    """Bytes from there on in a transparent file; the rest of it stays."""
    if offset >= file.size:
        return StatusWord.OFFSET_WRONG
    end = offset + len(data)
    if end > file.size:
        return StatusWord.NO_SPACE
    if not data:
        return StatusWord.WRONG_LENGTH
    old = card.files.body(file, changes)
    card.files.write_body(file, old[:offset] + data + old[end:], changes)
    return None


def update_record(card: Context, apdu: CommandApdu) -> Decision:
    """UPDATE RECORD: P2 is short id and mode, as in READ RECORD. In a cyclic file the mode
    "previous" makes a new record.
    """
    mode = mode_of(apdu)
    if mode is None or mode > 4:
        return StatusWord.P1P2_WRONG
    file = find_file(card, apdu.p2 >> 3)
    if isinstance(file, StatusWord):
        return file
    if file.structure is Structure.TRANSPARENT:
        return StatusWord.FILE_TYPE_INCOMPATIBLE
    if not apdu.data:
        return StatusWord.WRONG_LENGTH
    if file.structure is Structure.CYCLIC and mode == PREVIOUS and not apdu.p1:
        return _authorised(card, file, apdu, _appender(card, file))

    def write(data: bytes, changes: dict[int, bytes]) -> StatusWord | Reply:
        number = locate(card, file, apdu.p1, mode)
        if isinstance(number, StatusWord):
            return number
        refused = write_record(card, file, number, data, changes)
        return refused or Reply(session=card.session.at(file, number), changes=changes)

    return _authorised(card, file, apdu, write)


def write_record(
    card: Context, file: ElementaryFile, number: int, data: bytes, changes: dict[int, bytes]
) -> StatusWord | None:
    """Other bytes in the place of a record that is there; it keeps its identifier."""
    refused = _misfit(file, data)
    if refused is not None:
        return refused
    old = card.files.record(file, number, changes)
    assert old is not None, "a record that was just located"
    if data[: file.identifier_bytes] != old[: file.identifier_bytes]:
        return StatusWord.DATA_WRONG
    card.files.replace_record(file, number, data, changes)
    return None


def append_record(card: Context, apdu: CommandApdu) -> Decision:
    """APPEND RECORD: at the end of a linear file (6A84 when it is full), newest of a cyclic one."""
    if apdu.p1 or apdu.p2 & 0x07 or apdu.p2 >> 3 == 0x1F:
        return StatusWord.P1P2_WRONG
    file = find_file(card, apdu.p2 >> 3)
    if isinstance(file, StatusWord):
        return file
    if file.structure is Structure.TRANSPARENT:
        return StatusWord.FILE_TYPE_INCOMPATIBLE
    if not apdu.data:
        return StatusWord.WRONG_LENGTH
    return _authorised(card, file, apdu, _appender(card, file))


def _appender(card: Context, file: ElementaryFile) -> _Write:
    def write(data: bytes, changes: dict[int, bytes]) -> StatusWord | Reply:
        refused = _misfit(file, data)
        if refused is not None:
            return refused
        cyclic = file.structure is Structure.CYCLIC
        if not cyclic and card.files.count(file) >= file.records_max:
            return StatusWord.NO_SPACE
        card.files.append(file, data, changes)
        number = 1 if cyclic else card.files.count(file) + 1
        return Reply(session=card.session.at(file, number), changes=changes)

    return write


def _misfit(file: ElementaryFile, data: bytes) -> StatusWord | None:
    """A record of variable length has at least its identifier, any other the whole length."""
    shortest = file.size
    if file.structure is Structure.LINEAR_VARIABLE:
        shortest = max(1, file.identifier_bytes)
    return None if shortest <= len(data) <= file.size else StatusWord.WRONG_LENGTH


HANDLERS: dict[tuple[int, int], Handler] = {
    (cla, ins): handler
    for cla in (0x00, 0x04)
    for ins, handler in ((0xD6, update_binary), (0xDC, update_record), (0xE2, append_record))
}
