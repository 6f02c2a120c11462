"""SELECT, READ and GET CHALLENGE of ISO/IEC 7816-4.

Decides which file a command means, whether it may be read and which bytes answer. Leaves how
files lie in memory to `cardcore.filesystem`.
"""

from cardcore.access import Access
from cardcore.apdu import CommandApdu, StatusWord
from cardcore.commands import Context, Handler, Reply, Session
from cardcore.layout import FID_MASTER
from cardcore.limits import RESPONSE_BYTES_MAX
from cardcore.tree import DedicatedFile, ElementaryFile, Structure

_BY_IDENTIFIER, _BY_NUMBER, _TO_THE_END = 0, 4, 5
_CHALLENGE_BYTES = (8, 4, 16)  # the first answers a command that does not say


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
        return Reply(session=Session(directory, file))
    return _select_by_fid(card, fid, apdu)


def _select_by_fid(card: Context, fid: int, apdu: CommandApdu) -> StatusWord | Reply:
    """The MF, the current directory, a file in it, its parent, a directory beside it."""
    directory = card.session.directory
    parent = card.files.parent(directory)
    if fid == FID_MASTER:
        return _enter(card, card.files.root, apdu)
    file = card.files.child(directory, fid)
    if isinstance(file, ElementaryFile):
        return Reply(session=Session(directory, file))
    for found in (directory, file, parent, card.files.child(parent, fid)):
        if isinstance(found, DedicatedFile) and found.fid == fid:
            return _enter(card, found, apdu)
    return StatusWord.FILE_NOT_FOUND


def _find_name(card: Context, prefix: bytes, *, following: bool) -> DedicatedFile | None:
    matches = card.files.named(prefix) if prefix else []
    if following:
        current = card.session.directory.number
        matches = [file for file in matches if file.number > current]
    return matches[0] if matches else None


def _enter(card: Context, directory: DedicatedFile, apdu: CommandApdu) -> Reply:
    fci = b"" if apdu.p2 == 0x0C else card.files.fci(directory)
    return Reply(fci, session=Session(directory))


def _file(card: Context, sfi: int) -> StatusWord | ElementaryFile:
    """The file a READ means: by short id in the current directory, 0 the current one."""
    if sfi == 0:
        current = card.session.file
        return StatusWord.NO_CURRENT_EF if current is None else current
    found = card.files.by_sfi(card.session.directory, sfi)
    return StatusWord.FILE_NOT_FOUND if found is None else found


def read_binary(card: Context, apdu: CommandApdu) -> StatusWord | Reply:
    """READ BINARY: P1 bit 8 set, bits 5 to 1 are the short id and P2 the offset."""
    if apdu.data:
        return StatusWord.WRONG_LENGTH
    if apdu.p1 & 0x80:
        if apdu.p1 & 0x60 or not apdu.p1 & 0x1F:
            return StatusWord.P1P2_WRONG
        sfi, offset = apdu.p1 & 0x1F, apdu.p2
    else:
        sfi, offset = 0, apdu.p1 << 8 | apdu.p2
    file = _file(card, sfi)
    if isinstance(file, StatusWord):
        return file
    if file.structure is not Structure.TRANSPARENT:
        return StatusWord.FILE_TYPE_INCOMPATIBLE
    if file.read != Access.ALWAYS:
        return StatusWord.SECURITY_NOT_SATISFIED
    rest = card.files.body(file)[offset:][:RESPONSE_BYTES_MAX]
    if not rest:
        return StatusWord.OFFSET_WRONG
    # Less than the rest may be asked for; more is answered with 6Cxx and the rest's length.
    data = rest[: apdu.le] if apdu.le is not None and apdu.le <= len(rest) else rest
    return Reply(data, session=Session(card.session.directory, file))


def read_record(card: Context, apdu: CommandApdu) -> StatusWord | Reply:
    """READ RECORD: P2 is short id and mode, P1 the number or the identifier."""
    if apdu.data:
        return StatusWord.WRONG_LENGTH
    mode = apdu.p2 & 0x07
    if mode not in (_BY_IDENTIFIER, _BY_NUMBER, _TO_THE_END) or apdu.p2 >> 3 == 0x1F:
        return StatusWord.P1P2_WRONG
    file = _file(card, apdu.p2 >> 3)
    if isinstance(file, StatusWord):
        return file
    if file.structure is Structure.TRANSPARENT:
        return StatusWord.FILE_TYPE_INCOMPATIBLE
    if file.read != Access.ALWAYS:
        return StatusWord.SECURITY_NOT_SATISFIED
    number: int | None = apdu.p1
    if mode == _BY_IDENTIFIER:
        if not file.identifier_bytes:
            return StatusWord.FILE_TYPE_INCOMPATIBLE
        number = card.files.identified(file, apdu.p1)
    data = None if number is None else card.files.record(file, number)
    if number is None or data is None:
        return StatusWord.RECORD_NOT_FOUND
    if mode == _TO_THE_END:
        data = _records_from(card, file, number)
    return Reply(data, session=Session(card.session.directory, file))


def _records_from(card: Context, file: ElementaryFile, number: int) -> bytes:
    """Whole records from this one on, as many as one answer carries."""
    data = b""
    while (record := card.files.record(file, number)) is not None:
        if len(data) + len(record) > RESPONSE_BYTES_MAX:
            break
        data += record
        number += 1
    return data


def get_challenge(card: Context, apdu: CommandApdu) -> StatusWord | Reply:
    """GET CHALLENGE: 4, 8 or 16 random bytes."""
    if apdu.p1 or apdu.p2:
        return StatusWord.P1P2_WRONG
    if apdu.data:
        return StatusWord.WRONG_LENGTH
    return Reply(card.random(apdu.le if apdu.le in _CHALLENGE_BYTES else _CHALLENGE_BYTES[0]))


HANDLERS: dict[tuple[int, int], Handler] = {
    (0x00, 0xA4): select,
    (0x00, 0xB0): read_binary,
    (0x00, 0xB2): read_record,
    (0x00, 0x84): get_challenge,
}
