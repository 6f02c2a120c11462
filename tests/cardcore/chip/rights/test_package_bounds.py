"""Packages that would take memory or names that are not theirs."""

import struct
import tracemalloc
import zlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from cardcore.chip.card import Card
from cardcore.chip.memory import Memory, decode_cells
from cardcore.chip.package import DirectoryEntry, Package
from cardcore.chip.tree import Structure, TreeBuilder, check_tree
from cardcore.errors import DecodeError
from cardcore.layouts.transit import FID_MASTER, PPSE_NAME
from cardcore.limits import FILES_BYTES_MAX, MEMORY_BYTES_MAX, PACKAGE_BYTES_MAX
from tests.cardcore.chip.full_chips import AID, EVERYTHING, Reader, stock_image
from tests.cardcore.chip.full_chips import package as everything
from tests.cardcore.chip.test_manage import Desk
from tests.cardcore.transit_cards import counting_random

NAME = b"ANOTHER"
FOREIGN_BYTES_MAX = 2 * 1024 * 1024


def image_of(rows: list[tuple[int, int, bytes]]) -> bytes:
    """An image as its bytes are: number, length and the bytes that are there."""
    cells = b"".join(struct.pack(">HHH", n, length, len(data)) + data for n, length, data in rows)
    body = b"OCM1" + struct.pack(">HH", len(rows), 0) + cells
    return body + zlib.crc32(body).to_bytes(4, "big")


def bomb() -> bytes:
    """As large as a package may be, and all of it promises of zeros."""
    count = (PACKAGE_BYTES_MAX - 64) // 6
    return b"\x00" + image_of([(0, 4, b""), *((n, 0xFFFF, b"") for n in range(1, count))])


def peak_bytes(step: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        step()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_package_of_49_kilobytes_takes_no_half_gigabyte_before_it_is_refused() -> None:
    data = bomb()

    def decode() -> None:
        with pytest.raises(DecodeError):
            Package.decode(data)

    assert len(data) <= PACKAGE_BYTES_MAX
    assert peak_bytes(decode) < FOREIGN_BYTES_MAX
    reader = Reader(stock_image())
    desk = Desk(reader)
    assert peak_bytes(lambda: desk.load(data)) < FOREIGN_BYTES_MAX
    assert desk.send("80E60C00").sw == 0x6A80


def test_kept_cells_that_promise_more_than_a_chip_has_are_refused_before_they_are_made() -> None:
    rows = b"".join(struct.pack(">HHH", n, 0xFFFF, 0) for n in range(8_000))

    def decode() -> None:
        with pytest.raises(DecodeError):
            decode_cells(struct.pack(">H", 8_000) + rows)

    assert peak_bytes(decode) < FOREIGN_BYTES_MAX


@pytest.mark.parametrize(
    "rows",
    [
        [(0, 4, b""), (0x100, 2, b"ab"), (0x100, 2, b"cd")],
        [(0, 4, b""), (0x200, 2, b"ab"), (0x100, 2, b"cd")],
        [(0, 4, b""), (0x100, 1, b"ab")],
        [(0, 4, b""), *((n, 0xFFFF, b"") for n in range(1, 2 + MEMORY_BYTES_MAX // 0xFFFF))],
    ],
)
def test_an_image_says_every_cell_once_in_order_and_in_its_length(
    rows: list[tuple[int, int, bytes]],
) -> None:
    assert Memory.from_image(image_of(rows[:1])).generation == 0
    with pytest.raises(DecodeError):
        Memory.from_image(image_of(rows))


def an_application(
    fid: int = 0x4001, name: bytes = NAME, *, below: bytes = b"BELOW", size: int = 1
) -> Package:
    tree = TreeBuilder()
    made = tree.add_directory(None, fid, name=name)
    tree.add_file(made, 0x11, Structure.TRANSPARENT, [bytes(size)], sfi=1)
    tree.add_file(made, 0x12, Structure.TRANSPARENT, [b"b"], sfi=2)
    inside = tree.add_directory(made, 0x4002, name=below)
    tree.add_file(inside, 0x11, Structure.TRANSPARENT, [b"c"], sfi=1)
    return Package(tree.cells, DirectoryEntry(name, "ANOTHER", 1))


def renamed(place: int, **fields: object) -> Package:
    package = an_application()
    file = check_tree(package.cells)[place]
    other = replace(file, **fields).encode()  # type: ignore[arg-type]
    return replace(package, cells={**package.cells, file.number << 8: other})


DOUBLED = {
    "file id": renamed(2, fid=0x11),
    "short id": renamed(2, sfi=1),
    "file id of a directory": renamed(3, fid=0x12),
    "file id of its own directory": renamed(2, fid=0x4001),
    "name": renamed(3, name=NAME),
    "master file": renamed(3, fid=FID_MASTER),
    "no file id": renamed(2, fid=0xFFFF),
    "no short id": renamed(2, sfi=31),
}


@pytest.mark.parametrize("what", DOUBLED)
def test_a_package_with_a_doubled_name_is_refused(what: str) -> None:
    assert Package.decode(an_application().encode()) == an_application()
    with pytest.raises(DecodeError):
        Package.decode(DOUBLED[what].encode())


def test_two_secrets_of_one_name_are_refused() -> None:
    package = Package.decode(everything().encode())
    keys = next(file for file in package.tree if file.fid == 0)
    first, second = (keys.number << 8 | slot for slot in (2, 3))
    doubled = {**package.cells, second: package.cells[first]}
    with pytest.raises(DecodeError):
        Package.decode(replace(package, cells=doubled).encode())


def installed(package: Package) -> object:
    card = Card.from_image(EVERYTHING, counting_random())
    return package.install(card._files)


TAKEN = {
    "name": an_application(name=AID),
    "name of a directory in it": an_application(below=AID),
    "name of the PPSE": an_application(below=PPSE_NAME),
    "file id": an_application(fid=0x1001),
    "master file": an_application(fid=FID_MASTER),
    "entry of another": replace(an_application(), entry=DirectoryEntry(AID, "MOT_T_EP", 1)),
    "entry of nobody": replace(an_application(), entry=DirectoryEntry(b"NOBODY", "N", 1)),
}


@pytest.mark.parametrize("what", TAKEN)
def test_an_application_takes_no_name_that_is_another_ones(what: str) -> None:
    assert isinstance(installed(an_application()), dict)
    assert installed(TAKEN[what]) == 0x6A80


def test_applications_that_would_not_fit_are_refused_and_what_fits_can_be_read_back() -> None:
    card = Card.from_image(stock_image(), counting_random())
    word: object = None
    for number in range(9):
        name = b"FILL" + bytes((number,))
        package = an_application(0x5000 + number, name, below=name + b"B", size=20_000)
        word = package.install(card._files)
        if not isinstance(word, dict):
            break
        card.memory.commit(word)
        card = Card.from_image(card.image(), counting_random())
    assert (number, word) == (FILES_BYTES_MAX // 20_100, 0x6A84)
