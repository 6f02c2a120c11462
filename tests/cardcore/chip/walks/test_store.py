"""STORE DATA: several files by one command, all or none, and nothing that UPDATE would not do."""

import pytest

from cardcore.apdu import CommandApdu
from cardcore.chip.commands.store import group
from cardcore.errors import PowerLossError
from tests.cardcore.chip.full_chips import AID, EVERYTHING, FID_CHANNELED, FID_VARIABLE, Reader
from tests.cardcore.chip.test_manage import Desk, content
from tests.cardcore.chip.walks.test_tears import PARTS, Cut, Meter

STORE = "80E28800"
#: Short ids of files with another rule: only a PIN, nobody, a cyclic one.
PIN_ONLY, LOG, CYCLIC = 0x02, 0x18, 0x12
BODY = group(FID_CHANNELED, 0, b"ISS")
RECORD = group(FID_VARIABLE, 2, bytes.fromhex("0903112233"))


def a_desk(level: int = 0x33) -> tuple[Reader, Desk]:
    reader = Reader(EVERYTHING)
    desk = Desk(reader, level)
    assert desk.send("00A4040C", AID).sw == 0x9000
    return reader, desk


@pytest.mark.parametrize("level", [0x01, 0x03, 0x11, 0x33])
def test_it_leaves_what_the_updates_leave_one_by_one(level: int) -> None:
    reader, desk = a_desk(level)
    assert desk.send(STORE, BODY + RECORD).sw == 0x9000
    other, updating = a_desk(level)
    assert updating.send(f"00D6{0x80 | FID_CHANNELED:02X}00", b"ISS").sw == 0x9000
    assert updating.send(f"00DC02{FID_VARIABLE << 3 | 4:02X}", RECORD[3:]).sw == 0x9000
    assert content(reader) == content(other)
    assert reader.card.generation < other.card.generation


def test_a_file_that_is_named_twice_is_written_over_what_was_just_written() -> None:
    reader, desk = a_desk()
    again = group(FID_CHANNELED, 0, b"X")
    assert desk.send(STORE, BODY + again).sw == 0x9000
    assert desk.send(f"00B0{0x80 | FID_CHANNELED:02X}00", le=256).data == b"XSSuer"
    assert reader.card.generation == 2  # the channel opened, and this


REFUSED = [
    ("no group", STORE, b"", 0x6700),
    ("another P1", "80E20800", BODY, 0x6A86),
    ("a block behind the first", "80E28801", BODY, 0x6A86),
    ("a head that is cut", STORE, BODY + b"\x15\x00", 0x6A80),
    ("data that are cut", STORE, BODY + RECORD[:-1], 0x6A80),
    ("no short id", STORE, BODY + group(0, 1, b"x"), 0x6A80),
    ("a short id over 1E", STORE, BODY + group(0x1F, 1, b"x"), 0x6A80),
    ("a file that is not there", STORE, BODY + group(0x1D, 0, b"x"), 0x6A88),
    ("a file that nobody updates", STORE, BODY + group(LOG, 1, bytes(23)), 0x6982),
    ("a file that needs the PIN", STORE, BODY + group(PIN_ONLY, 0, b"x"), 0x6982),
    ("a cyclic file", STORE, BODY + group(CYCLIC, 1, b"four4"), 0x6981),
    ("a record of a body", STORE, RECORD + group(FID_CHANNELED, 1, b"x"), 0x6981),
    ("the body of records", STORE, BODY + group(FID_VARIABLE, 0, b"x"), 0x6981),
    ("a record that is not there", STORE, BODY + group(FID_VARIABLE, 4, b"\x08x"), 0x6A88),
    ("another identifier", STORE, BODY + group(FID_VARIABLE, 2, b"\x08x"), 0x6A80),
    ("too long a record", STORE, BODY + group(FID_VARIABLE, 2, b"\x09" * 21), 0x6700),
    ("over the end", STORE, RECORD + group(FID_CHANNELED, 0, b"issuers"), 0x6A84),
    ("nothing to write", STORE, RECORD + group(FID_CHANNELED, 0, b""), 0x6700),
]


@pytest.mark.parametrize(
    ("name", "command", "data", "word"), REFUSED, ids=[row[0] for row in REFUSED]
)
def test_one_group_that_is_refused_leaves_all_of_them_unwritten(
    name: str, command: str, data: bytes, word: int
) -> None:
    assert name
    reader, desk = a_desk()
    before = reader.card.memory.cells()
    assert desk.send(command, data).sw == word
    assert reader.card.memory.cells() == before


def test_outside_of_the_channel_nothing_is_stored() -> None:
    reader = Reader(EVERYTHING)
    before = reader.card.image()
    assert reader.send(STORE, BODY) == "6982"
    assert reader.send(STORE, group(0x01, 0, b"x")) == "6982", "though UPDATE would do"
    assert reader.card.image() == before


@pytest.mark.parametrize("part", PARTS)
def test_power_lost_in_it_leaves_all_groups_or_none(part: str) -> None:
    reader, desk = a_desk()
    meter = reader.card.memory.power = Meter()
    assert desk.send(STORE, BODY + RECORD).sw == 0x9000
    after = content(reader)
    seen = set()
    for write in range(meter.writes):
        reader, desk = a_desk()
        before = content(reader)
        reader.card.memory.power = Cut(write, part)
        with pytest.raises(PowerLossError):
            desk.send(STORE, BODY + RECORD)
        reader.card.memory.power = None
        reader.card.reset()
        left = content(reader)
        assert left in (before, after)
        seen.add(left == after)
    assert seen == {False, True}


def test_append_record_keeps_its_class() -> None:
    """E2 is APPEND RECORD in class 00 and STORE DATA in class 80."""
    reader, desk = a_desk()
    p2 = FID_VARIABLE << 3
    appended = CommandApdu(0x00, 0xE2, 0x00, p2, bytes.fromhex("0701EE"))
    assert desk.send(appended.encode()[:4].hex(), appended.data).sw == 0x9000
    assert desk.send(f"00B204{p2 | 4:02X}", le=256).data == appended.data
    assert reader.card.generation == 2
