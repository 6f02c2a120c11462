"""SELECT and READ BINARY: the MF, the application DF01 and their files.

Decides what is selected and read. No file can be written: EF15, EF16 and EF17 are made with the
PSAM, and EF18 and EF19 show its sequence numbers.
"""

from dataclasses import replace

from cardcore.apdu import CommandApdu, StatusWord
from hsm_sim.psam.commands import Context, Decision, Handler, Reply, Session, fits
from hsm_sim.psam.profile import APPLICATION, MAIN_FILE

#: Sequence numbers of offline purchases (type 06) and composite ones (type 09), 4 bytes each.
PURCHASE_SEQUENCE, COMPOSITE_SEQUENCE = 0x18, 0x19
_SEQUENCE_BYTES = 4


def select(psam: Context, apdu: CommandApdu) -> Decision:
    """SELECT by identifier: the MF or the application. Everything pending is forgotten: the open
    transaction, the delivered key, the challenge. A locked application answers 6283.
    """
    if apdu.p1 or apdu.p2:
        return StatusWord.P1P2_WRONG
    if len(apdu.data) != 2:
        return StatusWord.WRONG_LENGTH
    identifier = int.from_bytes(apdu.data, "big")
    if identifier not in {MAIN_FILE, APPLICATION}:
        return StatusWord.FILE_NOT_FOUND
    locked = identifier == APPLICATION and psam.held.is_locked
    sw = StatusWord.FILE_INVALIDATED if locked else StatusWord.OK
    return Reply(sw=sw, session=replace(Session(), directory=identifier))


def read_binary(psam: Context, apdu: CommandApdu) -> Decision:
    """READ BINARY by short identifier and offset. The MF's files show everywhere."""
    if apdu.p1 & 0xE0 != 0x80:
        return StatusWord.P1P2_WRONG
    if apdu.data:
        return StatusWord.WRONG_LENGTH
    content = _content(psam, apdu.p1 & 0x1F)
    if content is None:
        return StatusWord.FILE_NOT_FOUND
    rest = content[apdu.p2 :]
    if not rest:
        return StatusWord.OFFSET_WRONG
    wanted = len(rest) if fits(apdu.le, len(rest)) else apdu.le or 0
    if wanted > len(rest):
        return StatusWord.LE_WRONG + len(rest)
    return Reply(rest[:wanted])


def _content(psam: Context, short: int) -> bytes | None:
    numbers = {
        PURCHASE_SEQUENCE: psam.numbers.purchase,
        COMPOSITE_SEQUENCE: psam.numbers.composite,
    }
    directory = psam.session.directory
    if directory == APPLICATION and short in numbers:
        return numbers[short].to_bytes(_SEQUENCE_BYTES, "big")
    files = psam.profile.files()
    return files.get((directory, short), files.get((MAIN_FILE, short)))


HANDLERS: dict[tuple[int, int], Handler] = {
    (0x00, 0xA4): select,
    (0x00, 0xB0): read_binary,
}
