"""Keys that a stranger uses up: what they guard closes, and blocking keeps a way of its own."""

import pytest

from cardcore.applets import transit
from cardcore.chip import scp03
from cardcore.chip.cardkeys import CardKey
from cardcore.chip.filesystem import ApplicationState
from cardcore.errors import PowerLossError
from cardcore.keys import Key, KeyUsage
from cardcore.layouts.transit import AID_PURSE
from tests.cardcore.applets.citizen_chips import TRANSIT, chip, key_value, secrets
from tests.cardcore.applets.citizen_chips import Reader as CitizenReader
from tests.cardcore.applets.test_applets import payment_terminal
from tests.cardcore.chip.full_chips import AID, EVERYTHING, KEY, MASTER_KEY, Reader
from tests.cardcore.chip.reference_terminal import des3, secured
from tests.cardcore.chip.test_manage import DEK, Desk
from tests.cardcore.chip.walks.test_tears import PARTS, Cut, Meter

MAINTENANCE = KEY[KeyUsage.FILE_MAINTENANCE]
TRIES = 3  # of the maintenance key of `full_chips`
UPDATE, UNBLOCK = "04D68400", "84180000"
BLOCK, BLOCK_FOR_GOOD, BLOCK_CARD = "841E0000", "841E0001", "84160000"
BALANCE = "805C000204"


def wrong(reader: Reader, header: str = UPDATE) -> str:
    data = b"\xaa" if header == UPDATE else b""
    return reader.send(secured(header, data, bytes(16), reader.challenge(4)).hex())


def right(reader: Reader, header: str, key: bytes = MAINTENANCE) -> str:
    data = b"\xaa" if header == UPDATE else b""
    return reader.send(secured(header, data, key, reader.challenge(4)).hex())


def exhausted() -> Reader:
    reader = Reader(EVERYTHING)
    assert [wrong(reader) for _ in range(TRIES)] == ["6988"] * TRIES
    return reader


def test_ten_wrong_macs_by_anybody_leave_no_purse_that_pays_and_can_never_be_blocked() -> None:
    reader = CitizenReader(chip(transit.package(TRANSIT, secrets(transit.KEYS))))
    terminal = payment_terminal(reader, AID_PURSE)
    assert terminal.load(1000).sw == b"\x90\x00"

    def send(header: str, data: bytes, key: bytes) -> str:
        challenge = reader.data("0084000004")
        return reader.send(secured(header, data, key, challenge).hex())[1]

    own = key_value(KeyUsage.FILE_MAINTENANCE, 1)
    for _ in range(9):
        assert send("04D69500", b"\x00", bytes(16)) == "6988"
    assert terminal.purchase(100).sw == b"\x90\x00"
    assert send("04D69500", b"\x00", bytes(16)) == "6988"
    assert reader.send("8050010200")[1] == "6A81"
    assert reader.send(BALANCE)[1] == "6A81"
    assert send("04D69500", b"\x00", own) == "6A81"
    # Whoever holds the key blocks it all the same, for good too.
    assert send(BLOCK_FOR_GOOD, b"", own) == "9000"
    assert reader.send(BALANCE)[1] == "9303"


@pytest.mark.parametrize("header", [BLOCK, BLOCK_FOR_GOOD, BLOCK_CARD])
def test_wrong_blocks_use_no_key_up_and_change_nothing(header: str) -> None:
    reader = Reader(EVERYTHING)
    before = reader.card.image()
    assert {wrong(reader, header) for _ in range(40)} == {"6988"}
    assert reader.card.image() == before
    assert reader.send(BALANCE)[-4:] == "9000"
    assert right(reader, UPDATE) == "9000"
    assert right(reader, BLOCK) == "9000"


def test_a_used_up_key_still_blocks_its_application_and_the_card() -> None:
    reader = exhausted()
    assert right(reader, BLOCK_FOR_GOOD) == "9000"
    assert reader.send(BALANCE) == "9303"
    reader = exhausted()
    assert right(reader, BLOCK_CARD, MASTER_KEY) == "9000"
    assert reader.select() == "6A81"
    # Also when all applications have been blocked at once before.
    reader = exhausted()
    reader.send("00A4000C023F00")
    assert right(reader, BLOCK, MASTER_KEY) == "9000"
    assert right(reader, BLOCK_CARD, MASTER_KEY) == "9000"
    assert reader.select() == "6A81"


def test_a_used_up_key_does_nothing_else() -> None:
    reader = exhausted()
    assert right(reader, UNBLOCK) == "6983"
    assert right(reader, UPDATE) == "6A81"
    reader.reset()
    assert reader.send("00A4040C", AID) == "6283"
    assert reader.send(BALANCE) == "6A81"


def test_wrong_unblocks_are_counted_and_leave_it_blocked() -> None:
    reader = Reader(EVERYTHING)
    assert right(reader, BLOCK) == "9000"
    assert [wrong(reader, UNBLOCK) for _ in range(TRIES + 1)] == ["6988"] * TRIES + ["6983"]
    assert right(reader, UNBLOCK) == "6983"
    assert reader.send(BALANCE) == "6A81"


def test_a_right_mac_at_the_last_try_blocks_nothing_and_gives_the_tries_back() -> None:
    reader = Reader(EVERYTHING)
    for _ in range(TRIES - 1):
        assert wrong(reader) == "6988"
    assert right(reader, UPDATE) == "9000"
    assert reader.send(BALANCE)[-4:] == "9000"
    assert reader.card.memory.cells().keys() == Reader(EVERYTHING).card.memory.cells().keys()
    assert [wrong(reader) for _ in range(TRIES)] == ["6988"] * TRIES
    assert reader.send(BALANCE) == "6A81"


def test_the_desk_brings_the_key_anew_and_opens_the_application() -> None:
    reader = exhausted()
    desk = Desk(reader)
    assert desk.send("00A4040C", AID).sw == 0x6283
    assert desk.send("00B08100", le=1).sw == 0x6A81
    value = bytes(range(16))
    head = CardKey(1, 9, 1, Key(KeyUsage.FILE_MAINTENANCE, value), TRIES).encode()[:6]
    key = head + scp03.key_wrapper(DEK)(value) + des3(value, bytes(8))[:3]
    assert desk.send("80D80000", key).sw == 0x9000
    reader.select()
    assert right(reader, UNBLOCK, MAINTENANCE) == "6988"
    assert right(reader, UNBLOCK, value) == "9000"
    assert reader.send(BALANCE)[-4:] == "9000"
    assert right(reader, UPDATE, value) == "9000"


def test_without_the_channel_no_key_comes_into_a_blocked_application() -> None:
    reader = exhausted()
    before = reader.card.image()
    assert reader.send("80D80000 01 00") == "6A81"
    assert reader.send("80500000 08 0102030405060708") == "6A81"
    assert reader.card.image() == before


@pytest.mark.parametrize("part", PARTS)
def test_power_taken_from_the_last_wrong_try_never_leaves_an_open_purse_with_a_used_up_key(
    part: str,
) -> None:
    reader = Reader(EVERYTHING)
    for _ in range(TRIES - 1):
        assert wrong(reader) == "6988"
    start, meter = reader.card.image(), Meter()
    reader.card.memory.power = meter
    assert wrong(reader) == "6988"
    seen = set()
    for write in range(meter.writes):
        reader = Reader(start)
        reader.card.memory.power = Cut(write, part)
        with pytest.raises(PowerLossError):
            wrong(reader)
        reader.card.memory.power = None
        reader.reset()
        files = reader.card._files
        is_open = files.state(files.named(AID)[0]) is ApplicationState.ACTIVE
        seen.add(is_open)
        assert (right(reader, UPDATE) == "9000") == is_open
    assert seen == {True, False}
