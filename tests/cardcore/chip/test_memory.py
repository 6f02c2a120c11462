"""The memory alone: whole commits, canonical images, damaged images."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardcore.chip.memory import Memory, decode_cells, encode_cells
from cardcore.errors import DecodeError, PowerLossError

CELLS = st.dictionaries(st.integers(1, 0xFFFF), st.binary(max_size=40), max_size=6)
CHANGES = st.dictionaries(st.integers(1, 8), st.binary(max_size=40), min_size=1, max_size=5)


def existing(cells: dict[int, bytes]) -> dict[int, bytes]:
    """A cell of no bytes is an erased one."""
    return {cell: data for cell, data in cells.items() if data}


def without_generation(memory: Memory) -> dict[int, bytes]:
    return {cell: data for cell, data in memory.cells().items() if cell}


@given(CELLS, st.lists(CHANGES, max_size=3))
def test_an_image_comes_back_and_equal_memories_have_equal_images(
    cells: dict[int, bytes], commits: list[dict[int, bytes]]
) -> None:
    memory = Memory(cells)
    for changes in commits:
        memory.commit(changes)
    again = Memory.from_image(memory.image())
    assert again.cells() == memory.cells()
    assert again.image() == memory.image()
    assert again.generation == memory.generation == len(commits)
    shuffled = Memory(dict(reversed(memory.cells().items())))
    assert shuffled.image() == memory.image()


@given(CELLS, CHANGES, st.data())
def test_power_lost_anywhere_leaves_all_or_nothing(
    cells: dict[int, bytes], changes: dict[int, bytes], data: st.DataObject
) -> None:
    """Any number of losses: in the commit and again and again in the repair."""
    memory = Memory(cells)
    old, new = existing(cells), existing({**cells, **changes})

    def supply(length: int) -> int | None:
        return data.draw(st.none() | st.integers(0, length))

    memory.power = supply
    try:
        memory.commit(changes)
    except PowerLossError:
        for attempt in range(4):
            if attempt == 3:
                memory.power = None
            try:
                memory.power_up()
            except PowerLossError:
                continue
            break
        assert without_generation(memory) in (old, new)
    else:
        assert without_generation(memory) == new
    assert memory.generation in (0, 1)
    memory.power = None
    memory.commit({1: b"still alive"})
    assert memory.read(1) == b"still alive"


def test_an_erased_cell_leaves_nothing_behind() -> None:
    memory = Memory({5: b"staged", 6: b"kept"})
    memory.commit({5: b""})
    assert memory.read(5) is None
    assert without_generation(Memory.from_image(memory.image())) == {6: b"kept"}


def test_a_lost_commit_does_not_move_the_generation() -> None:
    memory = Memory({5: b"old"})
    memory.power = lambda _: 0
    with pytest.raises(PowerLossError):
        memory.commit({5: b"new"})
    memory.power = None
    memory.power_up()
    assert (memory.read(5), memory.generation) == (b"old", 0)


def test_an_unfinished_log_travels_in_the_image() -> None:
    memory = Memory({5: b"old", 6: b"old"})
    writes = 0

    def fail_at_the_second_cell(length: int) -> int | None:
        nonlocal writes
        writes += 1
        return None if writes < 6 else length

    memory.power = fail_at_the_second_cell
    with pytest.raises(PowerLossError):
        memory.commit({5: b"new", 6: b"new"})
    again = Memory.from_image(memory.image())
    again.power_up()
    assert without_generation(again) == {5: b"new", 6: b"new"}
    assert again.generation == 1


def test_every_flipped_bit_of_an_image_is_seen() -> None:
    image = Memory({1: b"balance", 2: bytes(30), 300: b"log"}).image()
    for at in range(len(image)):
        for bit in range(8):
            damaged = bytearray(image)
            damaged[at] ^= 1 << bit
            with pytest.raises(DecodeError):
                Memory.from_image(bytes(damaged))


def test_every_cut_of_an_image_is_seen() -> None:
    image = Memory({1: b"balance", 2: bytes(30)}).image()
    for length in range(len(image)):
        with pytest.raises(DecodeError):
            Memory.from_image(image[:length])
    with pytest.raises(DecodeError):
        Memory.from_image(image + b"\x00")


def test_an_image_without_a_generation_is_refused() -> None:
    body = b"OCM1" + bytes(4)
    with pytest.raises(DecodeError, match="no generation"):
        Memory.from_image(body + zlib.crc32(body).to_bytes(4, "big"))


@given(st.binary(max_size=60))
def test_any_bytes_are_no_image(data: bytes) -> None:
    with pytest.raises(DecodeError):
        Memory.from_image(b"OCM1" + data)


def test_zeros_cost_nothing_in_an_image() -> None:
    assert len(Memory({1: bytes(1_000)}).image()) < 40


@given(CELLS, st.lists(CHANGES, max_size=4))
def test_what_was_written_behind_an_earlier_state_is_the_later_one(
    cells: dict[int, bytes], commits: list[dict[int, bytes]]
) -> None:
    memory = Memory(cells)
    kept = memory.cells()
    for changes in commits:
        memory.commit(changes)
        written = decode_cells(encode_cells(memory.take_written()))
        assert set(written) == {0, *changes}
        kept |= written
    assert existing(kept) == memory.cells()
    assert memory.take_written() == {}


def test_what_a_repair_writes_counts_as_written() -> None:
    memory = Memory({5: b"old", 6: b"old"})
    writes = 0

    def fail_at_the_second_cell(length: int) -> int | None:
        nonlocal writes
        writes += 1
        return None if writes < 6 else length // 2

    memory.power = fail_at_the_second_cell
    with pytest.raises(PowerLossError):
        memory.commit({5: b"new", 6: b"new"})
    memory.power = None
    memory.power_up()
    assert memory.take_written() == {0: (1).to_bytes(4, "big"), 5: b"new", 6: b"new"}


@given(st.dictionaries(st.integers(0, 0xFFFF), st.binary(max_size=30), max_size=5))
def test_kept_cells_come_back_and_every_cut_is_seen(cells: dict[int, bytes]) -> None:
    data = encode_cells(cells)
    assert decode_cells(data) == cells
    for length in range(len(data)):
        with pytest.raises(DecodeError):
            decode_cells(data[:length])
    with pytest.raises(DecodeError):
        decode_cells(data + b"\x00")
