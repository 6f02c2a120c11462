"""SELECT, READ BINARY and READ RECORD of ISO/IEC 7816-4.

Decides which file and which record a command means, whether it may be read and which bytes
answer. Leaves how files lie in memory to `cardcore.chip.filesystem`.
"""

from cardcore.apdu import CommandApdu, StatusWord
from cardcore.chip.commands import Context, Handler, Reply
from cardcore.chip.commands.security import holds
from cardcore.chip.filesystem import ApplicationState
from cardcore.chip.tree import DedicatedFile, ElementaryFile, Structure
from cardcore.layouts.transit import FID_MASTER

#: Modes of READ and UPDATE RECORD, the low three bits of P2. Modes 0 to 3 mean records with the
#: identifier in P1, or any record when P1 is 00; mode 4 the record with the number in P1, 00 the
#: current one; mode 5 (READ only) all from that one on.
FIRST, LAST, NEXT, PREVIOUS, _BY_NUMBER, _TO_THE_END = range(6)


def select(card: Context, apdu: CommandApdu) -> StatusWord | Reply:
    """SELECT: P1 04 by name, 00 and 02 by file id; P2 02 the next of that name, 0C no FCI."""
    if apdu.p1 not in (0x00, 0x02, 0x04) or apdu.p2 not in (0x00, 0x02, 0x0C):
        return StatusWord.P1P2_WRONG
    if apdu.p1 == 0x04:
        found = _find_name(card, apdu.data, following=apdu.p2 == 0x02)
        return StatusWord.FILE_NOT_FOUND if found is None else _enter(card, found, apdu)
    if apdu.p2 == 0x02:
        return StatusWord.P1P2_WRONG
    if not apdu.data and apdu.p1 == 0x00:
        return _enter(card, card.files.root, apdu)
    if len(apdu.data) != 2:
        return StatusWord.WRONG_LENGTH
    fid = int.from_bytes(apdu.data, "big")
    directory = card.session.directory
    if apdu.p1 == 0x02:
        file = card.files.child(directory, fid)
        if not isinstance(file, ElementaryFile):
            return StatusWord.FILE_NOT_FOUND
        return Reply(session=card.session.at(file))
    return _select_by_fid(card, fid, apdu)


def _select_by_fid(card: Context, fid: int, apdu: CommandApdu) -> StatusWord | Reply:
    """The MF, the current directory, a file in it, its parent, a directory beside it."""
    directory = card.session.directory
    parent = card.files.parent(directory)
    if fid == FID_MASTER:
        return _enter(card, card.files.root, apdu)
    file = card.files.child(directory, fid)
    if isinstance(file, ElementaryFile):
        if card.files.state(directory) is not ApplicationState.ACTIVE:
            return StatusWord.FUNCTION_NOT_SUPPORTED
        return Reply(session=card.session.at(file))
    for found in (directory, file, parent, card.files.child(parent, fid)):
        if isinstance(found, DedicatedFile) and found.fid == fid:
            return _enter(card, found, apdu)
    return StatusWord.FILE_NOT_FOUND


def _find_name(card: Context, prefix: bytes, *, following: bool) -> DedicatedFile | None:
    matches = card.files.named(prefix) if prefix else ()
    if following:
        current = card.session.directory.number
        matches = [file for file in matches if file.number > current]
    return matches[0] if matches else None


def _enter(card: Context, directory: DedicatedFile, apdu: CommandApdu) -> StatusWord | Reply:
    """Make a directory current. What was granted stays for the directories above, and for this
    one when it is not selected anew by its name.
    """
    state = card.files.state(directory)
    if state is ApplicationState.CARD_BLOCKED:
        return StatusWord.FUNCTION_NOT_SUPPORTED
    if state is ApplicationState.BLOCKED_FOR_GOOD:
        return StatusWord.APPLICATION_PERMANENTLY_BLOCKED
    granted = card.session.granted
    if granted:
        kept = {above.number for above in card.files.upwards(directory)}
        if apdu.p1 == 0x04:
            kept.discard(directory.number)
        granted = frozenset(each for each in granted if each[0] in kept)
    fci = b"" if apdu.p2 == 0x0C else card.files.fci(directory)
    active = state is ApplicationState.ACTIVE
    sw = StatusWord.OK if active else StatusWord.FILE_INVALIDATED
    return Reply(fci, sw, card.session.entered(directory, granted))


def find_file(card: Context, sfi: int) -> StatusWord | ElementaryFile:
    """The file a command means: by short id in the current directory, 0 the current one."""
    if sfi == 0:
        current = card.session.file
        return StatusWord.NO_CURRENT_EF if current is None else current
    found = card.files.by_sfi(card.session.directory, sfi)
    return StatusWord.FILE_NOT_FOUND if found is None else found


def _readable(card: Context, file: ElementaryFile) -> bool:
    return file.read.open_to(lambda each: holds(card, each))


def binary_place(card: Context, apdu: CommandApdu) -> StatusWord | tuple[ElementaryFile, int]:
    """File and offset: P1 bit 8 set, bits 5 to 1 are the short id and P2 the offset; else P1 P2
    are an offset in the current file.
    """
    if apdu.p1 & 0x80:
        if apdu.p1 & 0x60 or not apdu.p1 & 0x1F:
            return StatusWord.P1P2_WRONG
        sfi, offset = apdu.p1 & 0x1F, apdu.p2
    else:
        sfi, offset = 0, apdu.p1 << 8 | apdu.p2
    file = find_file(card, sfi)
    if isinstance(file, StatusWord):
        return file
    if file.structure is not Structure.TRANSPARENT:
        return StatusWord.FILE_TYPE_INCOMPATIBLE
    return file, offset


def read_binary(card: Context, apdu: CommandApdu) -> StatusWord | Reply:
    """READ BINARY: by short id and offset, or by offset in the current file."""
    if apdu.data:
        return StatusWord.WRONG_LENGTH
    place = binary_place(card, apdu)
    if isinstance(place, StatusWord):
        return place
    file, offset = place
    if not _readable(card, file):
        return StatusWord.SECURITY_NOT_SATISFIED
    rest = card.files.body(file)[offset:][: card.room]
    if not rest:
        return StatusWord.OFFSET_WRONG
    # Less than the rest may be asked for; more is answered with 6Cxx and the rest's length.
    data = rest[: apdu.le] if apdu.le is not None and apdu.le <= len(rest) else rest
    return Reply(data, session=card.session.at(file))


def mode_of(apdu: CommandApdu) -> int | None:
    """The mode in P2, or None for one that there is not."""
    mode = apdu.p2 & 0x07
    return None if mode > _TO_THE_END or apdu.p2 >> 3 == 0x1F else mode


def locate(card: Context, file: ElementaryFile, p1: int, mode: int) -> StatusWord | int:
    """Number of the record that P1 and the mode mean."""
    current = card.session.record if card.session.file is file else 0
    count = card.files.count(file)
    if mode >= _BY_NUMBER:
        number = p1 or current
        return number if 1 <= number <= count else StatusWord.RECORD_NOT_FOUND
    numbers = list(range(1, count + 1))
    if p1:
        if not file.identifier_bytes:
            return StatusWord.FILE_TYPE_INCOMPATIBLE
        numbers = card.files.identified(file, p1)
    if mode == NEXT and current:
        numbers = [number for number in numbers if number > current]
    if mode == PREVIOUS and current:
        numbers = [number for number in numbers if number < current]
    if not numbers:
        return StatusWord.RECORD_NOT_FOUND
    return numbers[0] if mode in (FIRST, NEXT) else numbers[-1]


def read_record(card: Context, apdu: CommandApdu) -> StatusWord | Reply:
    """READ RECORD: P2 is short id and mode, P1 the number or the identifier."""
    if apdu.data:
        return StatusWord.WRONG_LENGTH
    mode = mode_of(apdu)
    if mode is None:
        return StatusWord.P1P2_WRONG
    file = find_file(card, apdu.p2 >> 3)
    if isinstance(file, StatusWord):
        return file
    if file.structure is Structure.TRANSPARENT:
        return StatusWord.FILE_TYPE_INCOMPATIBLE
    if not _readable(card, file):
        return StatusWord.SECURITY_NOT_SATISFIED
    number = locate(card, file, apdu.p1, mode)
    if isinstance(number, StatusWord):
        return number
    data = card.files.record(file, number)
    assert data is not None, "a record that was just located"
    if mode == _TO_THE_END:
        data = _records_from(card, file, number)
    return Reply(data, session=card.session.at(file, number))


def _records_from(card: Context, file: ElementaryFile, number: int) -> bytes:
    """Whole records from this one on, as many as one answer carries."""
    data, room = b"", card.room
    for record in card.files.records(file)[number - 1 :]:
        if len(data) + len(record) > room:
            break
        data += record
    return data


HANDLERS: dict[tuple[int, int], Handler] = {
    (0x00, 0xA4): select,
    (0x00, 0xB0): read_binary,
    (0x00, 0xB2): read_record,
}
