"""Applications that are blocked, one by one or all at once, and what still answers."""

from collections.abc import Callable

import pytest

from cardcore.chip.card import Card
from cardcore.chip.package import DirectoryEntry, Package
from cardcore.chip.tree import TreeBuilder
from cardcore.errors import PowerLossError
from cardcore.keys import KeyUsage
from tests.cardcore.chip.full_chips import AID, EVERYTHING, KEY, MASTER_KEY, Reader, add_everything
from tests.cardcore.chip.reference_terminal import secured
from tests.cardcore.chip.walks.test_tears import PARTS, Cut, Meter
from tests.cardcore.transit_cards import counting_random

MAINTENANCE = KEY[KeyUsage.FILE_MAINTENANCE]
OTHER = bytes.fromhex("D15600000502")
FCI = "6F08" + "8406" + AID.hex().upper()


def two_applications() -> bytes:
    card = Card.from_image(EVERYTHING, counting_random())
    tree = TreeBuilder()
    made = add_everything(tree, None)
    cells = dict(tree.cells)
    header = cells[made.number << 8].replace(AID, OTHER)
    cells[made.number << 8] = header[:2] + b"\x10\x02" + header[4:]
    changes = Package(cells, DirectoryEntry(OTHER, "OTHER", 4)).install(card._files)
    assert isinstance(changes, dict)
    card.memory.commit(changes)
    return card.image()


BOTH = two_applications()


def command(reader: Reader, header: str, key: bytes = MAINTENANCE) -> str:
    return reader.send(secured(header, b"", key, reader.challenge(4)).hex())


def block(reader: Reader) -> str:
    return command(reader, "841E0000")


def block_for_good(reader: Reader) -> str:
    return command(reader, "841E0001")


def block_card(reader: Reader) -> str:
    return command(reader, "84160000", MASTER_KEY)


def test_a_blocked_application_shows_itself_and_does_nothing_until_it_is_unblocked() -> None:
    reader = Reader(BOTH)
    reader.verify()
    assert block(reader) == "9000"
    for text in ("805C000204", "00B0810000", "0020000003123456", "805A0006020000", "00880001"):
        assert reader.send(text) == "6A81"
    reader.reset()
    assert reader.send("00A40400", AID) == FCI + "6283"
    assert reader.send("00A40000021001") == FCI + "6283"
    assert reader.send("00A40000020021") == "6A81"
    assert reader.send("00B0810000") == "6A81"
    assert reader.select(OTHER) == "9000"
    assert reader.send("805C000204") == "000000009000"
    reader.select()
    assert command(reader, "84180000", bytes(16)) == "6988"
    assert command(reader, "84180000") == "9000"
    assert reader.send("805C000204") == "000000009000"
    assert reader.select() == "9000"


def test_blocked_for_good_is_for_good() -> None:
    reader = Reader(BOTH)
    assert block(reader) == "9000"
    assert block(reader) == "9000"
    assert block_for_good(reader) == "9000"
    for text in ("805C000204", "00B0810000", "00840000", "8418000004AABBCCDD", "FFFFFFFF"):
        assert reader.send(text) == "9303"
    reader.reset()
    assert reader.send("00A40400", AID) == "9303"
    assert reader.send("805C000204") == "6985"  # still the master file
    assert reader.select(OTHER) == "9000"


def test_all_applications_are_blocked_at_once_and_those_blocked_before_stay_so() -> None:
    reader = Reader(BOTH)
    assert block(reader) == "9000"
    reader.send("00A4000C023F00")
    assert command(reader, "841E0000", MASTER_KEY) == "9000"
    for name in (AID, OTHER, b"2PAY.SYS.DDF01"):
        assert reader.send("00A40400", name)[-4:] == "6283"
        assert reader.send("805C000204") == "6A81"
    # The application's own key does not lift what the card's key has done.
    reader.select(OTHER)
    assert reader.send("84180000 04 AABBCCDD") == "6985"
    reader.send("00A4000C023F00")
    assert command(reader, "84180000", MASTER_KEY) == "9000"
    assert reader.select(OTHER) == "9000"
    assert reader.select(AID) == "6283"


def test_a_blocked_card_answers_nothing_ever_again() -> None:
    reader = Reader(BOTH)
    assert command(reader, "84160000", MAINTENANCE) == "6988"  # an application's key
    assert block_card(reader) == "9000"
    reader.card.reset()
    for text in (
        "00A40400 06 D15600000501",
        "00A40000023F00",
        "00840000",
        "80500000",
        "00B0950000",
    ):
        assert reader.send(text) == "6A81"


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("step", [block, block_for_good, block_card])
def test_a_torn_block_is_done_or_not(step: Callable[[Reader], str], part: str) -> None:
    reader, meter = Reader(BOTH), Meter()
    reader.card.memory.power = meter
    assert step(reader) == "9000"
    reader.card.memory.power = None
    reader.card.reset()
    done = reader.select()
    seen = set()
    for write in range(meter.writes):
        reader = Reader(BOTH)
        reader.card.memory.power = Cut(write, part)
        with pytest.raises(PowerLossError):
            step(reader)
        reader.card.memory.power = None
        reader.card.reset()
        seen.add(reader.select())
    assert seen == {"9000", done}
