"""What a package must be before it may become an application."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from cardcore.chip.access import Access
from cardcore.chip.card import Card
from cardcore.chip.cardkeys import FID_KEYS
from cardcore.chip.package import DirectoryEntry, Package, listed
from cardcore.chip.purse.offline import PurseState
from cardcore.chip.tree import DedicatedFile, ElementaryFile, Structure, TreeBuilder, check_tree
from cardcore.errors import DecodeError
from cardcore.layouts.transit import PPSE_NAME
from tests.cardcore.chip.full_chips import AID, FID_CYCLIC, FID_PLAIN, add_everything, stock_image
from tests.cardcore.transit_cards import counting_random

Cells = dict[int, bytes]


def whole() -> Cells:
    tree = TreeBuilder()
    add_everything(tree, None)
    return tree.cells


def find(cells: Cells, fid: int) -> ElementaryFile:
    file = next(file for file in check_tree(cells) if file.fid == fid)
    assert isinstance(file, ElementaryFile)
    return file


def changed(fid: int, **fields: object) -> Callable[[Cells], None]:
    def change(cells: Cells) -> None:
        file = find(cells, fid)
        cells[file.number << 8] = replace(file, **fields).encode()  # type: ignore[arg-type]

    return change


def body(fid: int, data: bytes) -> Callable[[Cells], None]:
    def change(cells: Cells) -> None:
        cells[find(cells, fid).number << 8 | 1] = data

    return change


def first_record(fid: int, data: bytes) -> Callable[[Cells], None]:
    def change(cells: Cells) -> None:
        cells[find(cells, fid).record_cells(cells)[0]] = data

    return change


def without_a_log(cells: Cells) -> None:
    file = find(cells, 0x18)
    for cell in [cell for cell in cells if cell >> 8 == file.number]:
        del cells[cell]


def a_stray_cell(cells: Cells) -> None:
    cells[0xF001] = b"nobody's"


def a_long_name(cells: Cells) -> None:
    application = check_tree(cells)[0]
    assert isinstance(application, DedicatedFile)
    cells[application.number << 8] = replace(application, proprietary=bytes(240)).encode()


def an_orphan(cells: Cells) -> None:
    changed(FID_PLAIN, parent=0xD0)(cells)


BROKEN = [
    changed(FID_KEYS, read=Access.ALWAYS),
    changed(FID_KEYS, update=Access.PIN),
    changed(FID_KEYS, structure=Structure.CYCLIC),
    first_record(FID_KEYS, b"\x99" + bytes(21)),
    first_record(FID_KEYS, b"\x02\x01\x01\x44" + bytes(18)),  # an algorithm without a suite
    changed(1, read=Access.ALWAYS),
    changed(2, update=Access.ALWAYS),
    body(2, PurseState(11, 10).encode()),
    body(2, PurseState(-1, 10).encode()),
    body(2, PurseState(0, 0xFFFFFFFF).encode()),
    body(2, PurseState(0, 10, overdraft_limit_fen=0x01000000).encode()),
    body(2, bytes(53)),
    without_a_log,
    changed(0x18, size=24),
    changed(FID_PLAIN, size=21),
    changed(FID_CYCLIC, records_max=2),
    changed(FID_CYCLIC, records_max=0),
    changed(FID_CYCLIC, size=6),
    changed(FID_CYCLIC, identifier_bytes=6),
    body(FID_CYCLIC, b"\x03\x01"),
    body(FID_CYCLIC, b"\x00"),
    a_stray_cell,
    a_long_name,
    an_orphan,
]


@pytest.mark.parametrize("damage", BROKEN, ids=range(len(BROKEN)))
def test_a_package_that_would_not_work_is_refused(damage: Callable[[Cells], None]) -> None:
    cells = whole()
    assert Package.decode(Package(cells).encode()).cells == cells
    damage(cells)
    with pytest.raises(DecodeError):
        Package.decode(Package(cells).encode())


@pytest.mark.parametrize(("label", "room"), [("N", 8), ("A LONGER LABEL ", 6)])
def test_the_directory_lists_by_priority_and_takes_what_fits_one_answer(
    label: str, room: int
) -> None:
    card = Card.from_image(stock_image(), counting_random())
    for number in range(9):
        cells = whole()
        application = check_tree(cells)[0]
        assert isinstance(application, DedicatedFile)
        name = AID[:-1] + bytes((number,))
        moved = replace(application, fid=0x2000 + number, name=name)
        cells[application.number << 8] = moved.encode()
        package = Package(cells, DirectoryEntry(name, f"{label}{number}", 9 - number))
        changes = package.install(card._files)
        if not isinstance(changes, dict):
            break
        card.memory.commit(changes)
        card = Card.from_image(card.image(), counting_random())
    assert number == room
    assert changes == 0x6A84
    entries = listed(card._files)
    assert [entry.priority for entry in entries] == sorted(entry.priority for entry in entries)
    answer = card.transmit(bytes.fromhex("00A404000E") + PPSE_NAME)
    assert len(answer) <= 239 + 2
    assert answer[-2:] == b"\x90\x00"
    for name in (entry.aid for entry in entries):
        raw = bytes.fromhex("00A40400") + bytes((len(name),)) + name
        assert card.transmit(raw)[-2:] == b"\x90\x00"


def test_an_application_without_an_entry_is_found_by_its_name_only() -> None:
    card = Card.from_image(stock_image(), counting_random())
    changes = Package(whole()).install(card._files)
    assert isinstance(changes, dict)
    card.memory.commit(changes)
    card = Card.from_image(card.image(), counting_random())
    assert listed(card._files) == []
    assert card.transmit(bytes.fromhex("00A4040C06") + AID) == b"\x90\x00"
