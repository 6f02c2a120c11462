"""The check of a card that was made (核对): everything is read back and compared.

Decides what proves a card: number, dates and holder; the directory that readers look at; of each
application the check value of every key, the digest of everything it consists of, and once more by
reading, as a reader will, every file that holds something of this card alone. Leaves writing to
`cardcore.issuing.personalisation`.
"""

from collections.abc import Collection, Generator, Mapping, Sequence

from cardcore.apdu import CommandApdu, ResponseApdu, StatusWord
from cardcore.chip.content import DIGEST_BYTES, TAG_CONTENT
from cardcore.chip.package import ENTRY_BYTES_MAX, FID_DIRECTORY
from cardcore.chip.tree import BODY_SLOT, ElementaryFile, Structure
from cardcore.issuing.dialogue import (
    MASTER,
    OTHER,
    Desk,
    Dialogue,
    EndError,
    Plan,
    Result,
    accept,
    enter_directory,
    select_file,
    select_name,
)
from cardcore.issuing.orders import PlannedApplication
from cardcore.layouts.transit import PPSE_NAME, Sfi
from cardcore.limits import CHANNEL_RESPONSE_BYTES_MAX
from cardcore.tlv import decode_all

_SHOWN_BYTES = 3  # of a key in GET DATA 00E1, before its check value: usage, index, version
_KEY_ROW_BYTES = 6
_CONTENT = CommandApdu(0x80, 0xCA, TAG_CONTENT >> 8, TAG_CONTENT & 0xFF, le=256)


def check_card(plan: Plan, desk: Desk) -> Dialogue:
    """Number, dates and holder, then every application."""
    yield from desk.enter(MASTER)
    for sfi, content in (
        (Sfi.PUBLIC, plan.order.public.encode()),
        (Sfi.HOLDER, plan.order.holder.encode()),
    ):
        read = accept((yield CommandApdu(0x00, 0xB0, 0x80 | sfi, 0x00, le=256)))
        if read != content:
            raise EndError(Result.CHECK_FAILED, detail=f"EF{sfi:02X}")
    yield from check_applications(plan.applications, desk)


def check_applications(applications: Sequence[PlannedApplication], desk: Desk) -> Dialogue:
    """Each is listed for readers, has its keys and is what was planned, byte by byte."""
    yield from check_listed(applications, desk)
    for planned in applications:
        yield from desk.enter(planned.aid)
        cells = planned.cells
        rows = yield from _check_digest(planned, cells)
        shown = {rows[at : at + _KEY_ROW_BYTES] for at in range(0, len(rows), _KEY_ROW_BYTES)}
        for key in planned.keys:
            if key.head[:_SHOWN_BYTES] + desk.check_value(key) not in shown:
                raise EndError(Result.CHECK_FAILED, detail=f"{planned.name}: key {key.ref}")
        yield from _check_files(planned, cells, {cell >> 8 for cell in planned.own})
        desk.left(OTHER)


def check_listed(applications: Sequence[PlannedApplication], desk: Desk) -> Dialogue:
    """The two directories that readers look at: DIR in the master file, and the PPSE."""
    yield from desk.enter(MASTER)
    number, ended, records = 1, False, b""
    while not ended:
        response = yield CommandApdu(0x00, 0xB2, number, FID_DIRECTORY << 3 | 0x05, le=256)
        if response.sw == StatusWord.RECORD_NOT_FOUND:
            break
        read = accept(response)
        records += read
        # An answer with room for one more was the last.
        ended = len(read) + ENTRY_BYTES_MAX <= CHANNEL_RESPONSE_BYTES_MAX
        number += 0 if ended else len(decode_all(read))
    listed = accept((yield select_name(PPSE_NAME)))
    desk.left(PPSE_NAME)
    for planned in applications:
        for place, entries in (("DIR", records), ("the PPSE", listed)):
            if planned.listing not in entries:
                raise EndError(Result.CHECK_FAILED, detail=f"{planned.name} is not in {place}")


def _check_digest(
    planned: PlannedApplication, cells: Mapping[int, bytes]
) -> Generator[CommandApdu, ResponseApdu, bytes]:
    """What the selected application consists of, also the files that nobody may read. Where it is
    something else, the files are read one by one, to say which. Returns what the card shows of its
    keys.
    """
    shown = accept((yield _CONTENT))
    if shown[:DIGEST_BYTES] != planned.package.content.digest(cells.get):
        yield from _check_files(planned, cells, {file.number for file in planned.package.tree})
        raise EndError(Result.CHECK_FAILED, detail=f"{planned.name}: digest of its files")
    return shown[DIGEST_BYTES:]


def check_installed(planned: PlannedApplication, desk: Desk) -> Dialogue:
    """An application that has no key yet: every readable file, and the digest of all."""
    yield from desk.enter(planned.aid)
    cells = planned.cells
    yield from _check_digest(planned, cells)
    yield from _check_files(planned, cells, {file.number for file in planned.package.tree})
    desk.left(OTHER)


def _check_files(
    planned: PlannedApplication, cells: Mapping[int, bytes], numbers: Collection[int]
) -> Dialogue:
    """The files with these numbers in the package, as far as they may be read."""
    tree = planned.package.tree
    current = tree[0].number
    for file in tree:
        if file.number not in numbers or not isinstance(file, ElementaryFile) or not file.read.ways:
            continue
        current = yield from enter(planned, file, current)
        if file.structure is Structure.TRANSPARENT:
            yield from _check_body(planned, file, cells)
        else:
            yield from _check_records(planned, file, cells)


def enter(
    planned: PlannedApplication, file: ElementaryFile, current: int
) -> Generator[CommandApdu, ResponseApdu, int]:
    """Its directory if that is not the current one, and the file itself if it has no short id.
    Returns the number of the directory that is current from then on.
    """
    if file.parent != current:
        accept((yield enter_directory(planned.package.file_ids[file.parent])))
    if not file.sfi:
        accept((yield select_file(file.fid)))
    return file.parent


def _check_body(
    planned: PlannedApplication, file: ElementaryFile, cells: Mapping[int, bytes]
) -> Dialogue:
    """From its start to its end. A short id selects the file as it is first read; without one it
    has been selected.
    """
    content = cells[file.number << 8 | BODY_SLOT]
    at = 0
    while at < len(content):
        p1 = 0x80 | file.sfi if file.sfi and not at else at >> 8
        read = accept((yield CommandApdu(0x00, 0xB0, p1, at & 0xFF, le=256)))
        if not read or read != content[at : at + len(read)]:
            raise EndError(Result.CHECK_FAILED, detail=_name(planned, file))
        at += len(read)


def _check_records(
    planned: PlannedApplication, file: ElementaryFile, cells: Mapping[int, bytes]
) -> Dialogue:
    """From each record on to the end: as many whole ones as one answer carries. An answer with
    room for one more was the last.
    """
    records = [cells[cell] for cell in file.record_cells(cells)]
    number, ended = 1, False
    while not ended:
        response = yield CommandApdu(0x00, 0xB2, number, file.sfi << 3 | 0x05, le=256)
        if response.sw == StatusWord.RECORD_NOT_FOUND:
            break
        read = accept(response)
        if not read:
            detail = f"{_name(planned, file)}: an empty answer"
            raise EndError(Result.CHECK_FAILED, detail=detail)
        ended = len(read) + file.size <= CHANNEL_RESPONSE_BYTES_MAX
        at = 0
        while at < len(read):
            if number > len(records):
                detail = f"{_name(planned, file)}: a record too many"
                raise EndError(Result.CHECK_FAILED, detail=detail)
            record = records[number - 1]
            if not read.startswith(record, at):
                detail = f"{_name(planned, file)} record {number}"
                raise EndError(Result.CHECK_FAILED, detail=detail)
            at += len(record)
            number += 1
    if number <= len(records):
        detail = f"{_name(planned, file)}: record {number} is missing"
        raise EndError(Result.CHECK_FAILED, detail=detail)


def _name(planned: PlannedApplication, file: ElementaryFile) -> str:
    """A file for a message: its application, directory and file id."""
    return f"{planned.name} {planned.package.file_ids[file.parent]:04X}/{file.fid:04X}"
