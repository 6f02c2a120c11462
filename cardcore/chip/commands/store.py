"""STORE DATA: several files of an application written by one command, through the secure channel.

Decides how the groups of data in the command are taken apart and that all of them are written or
none. Leaves what a file takes, and from whom, to its access rule and to
`cardcore.chip.commands.update`: STORE DATA opens nothing that UPDATE BINARY and UPDATE RECORD
through the channel would not.

GlobalPlatform Card Specification 2.3.1 §11.11 has the command, EMV Card Personalization
Specification §2.2 the groups: a data grouping identifier (DGI) of two bytes, a length of one, the
data. The first byte of a DGI is a short file id (01 to 1E) of the current directory, the second
the number of a record; 00 there is ours, and means a transparent file from its first byte on::

    80 E2 88 00 Lc   0101 06 313233343536   1500 02 0102

P1 88: data in this form, and no block follows; P2: the block is number 00.
"""

from collections.abc import Iterator

from cardcore.apdu import CommandApdu, StatusWord
from cardcore.chip.commands import Context, Decision, Handler, Reply
from cardcore.chip.commands.security import holds
from cardcore.chip.commands.update import write_part, write_record
from cardcore.chip.tree import ElementaryFile, Structure
from cardcore.errors import DecodeError

INS_STORE_DATA = 0xE2
#: P1 of a command that is the whole of what it stores: last block, data in groups.
WHOLE = 0x88
#: Identifier and length in front of the data of a group.
GROUP_HEAD_BYTES = 3
_SFI_MAX = 0x1E


def group(sfi: int, record: int, data: bytes) -> bytes:
    """One group as it stands in the command. `record` 0: the file is transparent.

    >>> group(0x15, 0, b"ab").hex()
    '1500026162'
    """
    return bytes((sfi, record, len(data))) + data


def groups(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Short file id, number of the record and bytes of each; `DecodeError` when one is no group.

    >>> list(groups(bytes.fromhex("01010131" "15000132")))
    [(1, 1, b'1'), (21, 0, b'2')]
    """
    at = 0
    while at < len(data):
        start = at + GROUP_HEAD_BYTES
        if start > len(data) or not 1 <= data[at] <= _SFI_MAX:
            raise DecodeError("STORE DATA", at, "is no group of a file")
        end = start + data[at + 2]
        if end > len(data):
            raise DecodeError("STORE DATA", at, "runs past the end")
        yield data[at], data[at + 1], data[start:end]
        at = end


def store(card: Context, apdu: CommandApdu) -> Decision:
    """Refusals in order: 6982 no channel, 6A86, 6700 no group; then of the first group that cannot
    be written: 6A80 it is none, 6A88 no such file or record, 6982 the file is closed to this
    command, 6981 a cyclic file or no record for a record file, and those of UPDATE.
    """
    if card.channel is None:
        return StatusWord.SECURITY_NOT_SATISFIED
    if apdu.p1 != WHOLE or apdu.p2:
        return StatusWord.P1P2_WRONG
    if not apdu.data:
        return StatusWord.WRONG_LENGTH
    changes: dict[int, bytes] = {}
    written: ElementaryFile | None = None
    try:
        for sfi, record, data in groups(apdu.data):
            file = card.files.by_sfi(card.session.directory, sfi)
            if file is None:
                return StatusWord.KEY_NOT_FOUND
            if file is not written and not file.update.open_to(lambda each: holds(card, each)):
                return StatusWord.SECURITY_NOT_SATISFIED
            written = file
            refused = _write(card, file, record, data, changes)
            if refused is not None:
                return refused
    except DecodeError:
        return StatusWord.DATA_WRONG
    return Reply(changes=changes)


def _write(
    card: Context, file: ElementaryFile, record: int, data: bytes, changes: dict[int, bytes]
) -> StatusWord | None:
    if file.structure is Structure.TRANSPARENT:
        if record:
            return StatusWord.FILE_TYPE_INCOMPATIBLE
        return write_part(card, file, 0, data, changes)
    if not record or file.structure is Structure.CYCLIC:
        return StatusWord.FILE_TYPE_INCOMPATIBLE
    if record > card.files.count(file):
        return StatusWord.KEY_NOT_FOUND
    return write_record(card, file, record, data, changes)


HANDLERS: dict[tuple[int, int], Handler] = {(0x80, INS_STORE_DATA): store}
