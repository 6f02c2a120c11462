from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardcore.chip.card import Card
from cardcore.chip.filesystem import FileSystem
from cardcore.chip.memory import Memory
from cardcore.chip.tree import ElementaryFile, Structure, TreeBuilder
from cardcore.errors import DecodeError
from tests.cardcore.transit_cards import counting_random


def one_file(
    structure: Structure, contents: list[bytes], **options: int
) -> tuple[FileSystem, ElementaryFile, Memory]:
    tree = TreeBuilder()
    root = tree.add_directory(None, 0x3F00)
    file = tree.add_file(root, 0x0018, structure, contents, sfi=0x18, **options)  # type: ignore[arg-type]
    memory = Memory(tree.cells)
    return FileSystem(memory), file, memory


@given(
    st.integers(1, 7),
    st.lists(st.binary(min_size=3, max_size=3), max_size=7),
    st.lists(st.binary(min_size=3, max_size=3), max_size=20),
)
def test_a_cyclic_file_keeps_the_newest_first(
    size: int, at_first: list[bytes], later: list[bytes]
) -> None:
    at_first = at_first[:size]
    files, file, memory = one_file(Structure.CYCLIC, at_first, size=3, records_max=size)
    expected = deque(at_first, maxlen=size)
    for record in later:
        changes: dict[int, bytes] = {}
        files.append(file, record, changes)
        expected.appendleft(record)
        assert files.record(file, 1, changes) == record
        memory.commit(changes)
        assert list(files.records(file)) == list(expected)
    assert files.record(file, len(expected) + 1) is None
    assert files.record(file, 0) is None


def test_two_appends_in_one_commit_both_arrive() -> None:
    files, file, memory = one_file(Structure.CYCLIC, [b"a"], size=1, records_max=2)
    changes: dict[int, bytes] = {}
    files.append(file, b"b", changes)
    files.append(file, b"c", changes)
    assert list(files.records(file)) == [b"a"]
    memory.commit(changes)
    assert list(files.records(file)) == [b"c", b"b"]


def test_a_shorter_record_leaves_the_end_of_the_old_one() -> None:
    files, file, memory = one_file(Structure.LINEAR_VARIABLE, [b"12abcd", b"345"])
    changes: dict[int, bytes] = {}
    files.write_record(file, 1, b"12XY", changes)
    memory.commit(changes)
    assert list(files.records(file)) == [b"12XYcd", b"345"]


def test_a_record_is_called_by_the_last_byte_of_its_identifier() -> None:
    records = [bytes.fromhex("2701AA"), bytes.fromhex("2702BB")]
    files, file, _ = one_file(Structure.LINEAR_VARIABLE, records, identifier_bytes=2)
    assert [files.identified(file, low) for low in (1, 2, 3)] == [[1], [2], []]
    files, file, _ = one_file(Structure.LINEAR_VARIABLE, records)
    assert files.identified(file, 1) == []


def test_a_header_comes_back_from_memory() -> None:
    files, file, _ = one_file(Structure.CYCLIC, [], size=23, records_max=10)
    assert files.by_sfi(files.root, 0x18) == file
    assert files.child(files.root, 0x0018) == file
    assert files.parent(files.root) is files.root


@pytest.mark.parametrize(
    "cells",
    [
        {},
        {0x0100: b""},
        {0x0100: b"\x00\x01"},
        {0x0100: b"\x09" + bytes(9)},
        {0x0100: b"\x01" + bytes(9)},
        {0x0101: b"a body without a header"},
    ],
)
def test_a_memory_without_a_tree_is_no_card(cells: dict[int, bytes]) -> None:
    with pytest.raises(DecodeError):
        Card(Memory(cells), counting_random())
