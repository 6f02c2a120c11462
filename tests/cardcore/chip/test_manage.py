"""Applications come and go through the secure channel, whole or not at all."""

import hashlib
import zlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardcore.apdu import CommandApdu, ResponseApdu
from cardcore.chip import scp03
from cardcore.chip.cardkeys import CardKey, Pin
from cardcore.chip.commands.manage import MANAGER_AID
from cardcore.chip.content import DIGEST_BYTES
from cardcore.chip.package import DirectoryEntry, Package
from cardcore.chip.purse.offline import PurseState
from cardcore.chip.tree import TreeBuilder
from cardcore.errors import DecodeError, PowerLossError
from cardcore.keys import Key, KeyUsage
from tests.cardcore.chip.full_chips import (
    AID,
    EVERYTHING,
    FID_CHANNELED,
    KEY,
    Reader,
    add_everything,
    package,
    stock_image,
)
from tests.cardcore.chip.reference_terminal import des3
from tests.cardcore.chip.walks.test_tears import PARTS, Cut, Meter

ENC, MAC, DEK = (
    Key(usage, KEY[usage])
    for usage in (KeyUsage.CHANNEL_ENC, KeyUsage.CHANNEL_MAC, KeyUsage.CHANNEL_DEK)
)
LEVELS = [0x01, 0x03, 0x11, 0x33]
DATA = package().encode()
PPSE = "0E325041592E5359532E4444463031"


class Desk:
    """The host's end of a channel with one chip."""

    def __init__(self, reader: Reader, level: int = 0x33, mac_key: Key = MAC) -> None:
        self.reader, self.level, self.mac_key = reader, level, mac_key
        reader.send("00A4000C023F00")
        self.open()

    def plain(self, apdu: CommandApdu) -> ResponseApdu:
        return ResponseApdu.decode(self.reader.card.transmit(apdu.encode()))

    def open(self) -> None:
        host = bytes(range(8))
        answer = self.plain(scp03.initialize_update(0x30, host))
        shown = scp03.InitializeResponse.decode(answer.data)
        assert shown.diversification.hex() == "03105840000000000017"
        expected = scp03.card_challenge(ENC, shown.sequence, MANAGER_AID)
        assert shown.card_challenge == expected
        keys = scp03.SessionKeys(ENC, self.mac_key, host + shown.card_challenge)
        command, self.channel = scp03.authenticate_by_host(keys, shown, self.level)
        self.opened = ResponseApdu.decode(self.reader.card.transmit(command)).sw
        assert self.opened == 0x9000

    def send(self, text: str, data: bytes = b"", le: int | None = None) -> ResponseApdu:
        header = bytes.fromhex(text)
        apdu = CommandApdu(header[0], header[1], header[2], header[3], data, le)
        wrapped, self.channel = scp03.wrap_command(self.channel, apdu)
        return scp03.unwrap_response(self.channel, self.reader.card.transmit(wrapped))

    def announce(self, data: bytes = DATA) -> ResponseApdu:
        head = len(data).to_bytes(4, "big") + hashlib.sha256(data).digest()
        return self.send("80E60200", head, 256)

    def load(self, data: bytes = DATA, size: int = 200) -> int:
        start = int.from_bytes(self.announce(data).data, "big")
        for block in range(start, -(-len(data) // size)):
            piece = data[block * size : block * size + size]
            assert self.send(f"80E8{block:04X}", piece).sw == 0x9000
        return self.send("80E60C00").sw


def stock() -> Reader:
    return Reader(stock_image())


def content(reader: Reader) -> dict[int, bytes]:
    """The memory but for the two counters that move with every channel and every commit."""
    card = reader.card
    counter = card._files.child(card._files.root, 3)
    hidden = {0, counter.number << 8 | 1} if counter else {0}
    return {cell: data for cell, data in card.memory.cells().items() if cell not in hidden}


@pytest.mark.parametrize("level", [0x03, 0x33])
def test_an_application_arrives_at_once_and_is_in_the_directory(level: int) -> None:
    reader = stock()
    desk = Desk(reader, level)
    assert desk.load() == 0x9000
    assert content(reader) == content(Reader(EVERYTHING))
    reader.reset()
    assert reader.verify() == "9000"
    assert AID.hex().upper() in reader.send("00A40400" + PPSE)
    reader.send("00A4000C023F00")
    assert reader.send("00B2010C00")[4:22] == "4F06" + AID.hex().upper() + "50"
    assert desk.opened == 0x9000


@pytest.mark.parametrize("level", [0x01, 0x11])
def test_secrets_do_not_arrive_in_the_clear(level: int) -> None:
    reader = stock()
    assert Desk(reader, level).load() == 0x6982
    assert reader.select() == "6A82"


@pytest.mark.parametrize("level", LEVELS)
def test_keys_are_put_one_by_one_and_recognised_by_their_check_values(level: int) -> None:
    reader = Reader(EVERYTHING)
    desk = Desk(reader, level)
    assert desk.send("00A4040C", AID).sw == 0x9000
    value = bytes(range(16))
    key = CardKey(1, 9, 1, Key(KeyUsage.LOAD, value), 5, 2)
    record = key.encode()
    check = des3(value, bytes(8))[:3]
    wrapped = record[:6] + scp03.key_wrapper(DEK)(value)
    assert desk.send("80D80000", wrapped + bytes(3)).sw == 0x6A80
    assert desk.send("80D80000", record + check).sw == 0x6A80
    assert desk.send("80D80000", wrapped + check).sw == 0x9000
    shown = desk.send("80CA00E1", le=256).data[DIGEST_BYTES:]
    entries = [shown[at : at + 6] for at in range(0, len(shown), 6)]
    assert b"\x02\x01\x09" + check in entries
    pin = Pin.fresh(bytes.fromhex("9876"), 5).encode()
    assert desk.send("80D80000", pin).sw == (0x9000 if level & 2 else 0x6982)
    extra = CardKey(7, 9, 1, Key(KeyUsage.LOAD, value)).encode()
    assert desk.send("80D80000", extra[:6] + wrapped[6:] + check).sw == 0x6A84
    reader.reset()
    assert reader.verify(bytes.fromhex("9876")) == ("9000" if level & 2 else "63C2")


@pytest.mark.parametrize("level", LEVELS)
def test_a_pin_comes_behind_the_keys_and_both_or_neither_are_taken(level: int) -> None:
    reader = Reader(EVERYTHING)
    desk = Desk(reader, level)
    assert desk.send("00A4040C", AID).sw == 0x9000
    value = bytes(range(16))
    head = CardKey(1, 9, 1, Key(KeyUsage.LOAD, value)).encode()[:6]
    key = head + scp03.key_wrapper(DEK)(value) + des3(value, bytes(8))[:3]
    pin = Pin.fresh(bytes.fromhex("9876"), 5).encode()
    before = content(reader)
    for data, word in (
        (pin + key, 0x6700),
        (key + pin[:-1], 0x6700),
        (key + pin + pin, 0x6700),
        (key + key[:22], 0x6700),
        (key[:-1] + b"?" + pin, 0x6A80 if level & 2 else 0x6982),
    ):
        assert desk.send("80D80000", data).sw == word
        assert content(reader) == before
    assert desk.send("80D80000", key + pin).sw == (0x9000 if level & 2 else 0x6982)
    shown = desk.send("80CA00E1", le=256).data[DIGEST_BYTES:]
    assert (b"\x02\x01\x09" + key[-3:] in shown) == bool(level & 2)
    reader.reset()
    assert reader.verify(bytes.fromhex("9876")) == ("9000" if level & 2 else "63C2")


def a_sent_key(usage: KeyUsage, value: bytes, version: int = 0x31) -> bytes:
    key = CardKey(1, version, 5, Key(usage, value))
    return key.encode()[:6] + scp03.key_wrapper(DEK)(value) + scp03.check_value(value)


def test_the_keys_of_the_channel_change_all_three_together() -> None:
    reader = stock()
    desk = Desk(reader)
    usages = (KeyUsage.CHANNEL_ENC, KeyUsage.CHANNEL_MAC, KeyUsage.CHANNEL_DEK)
    sent = [a_sent_key(usage, bytes((number,)) * 16) for number, usage in enumerate(usages, 1)]
    assert desk.send("80D80000", sent[0]).sw == 0x6A80
    assert desk.send("80D80000", sent[0] + sent[1]).sw == 0x6A80
    assert desk.send("80D80000", b"".join(sent)[:-1]).sw == 0x6700
    assert desk.send("80D80000").sw == 0x6700
    assert desk.send("80D80000", b"".join(sent)).sw == 0x9000
    reader.card.reset()
    assert reader.send("8050300008 0000000000000000") == "6A88"
    assert reader.send("8050310008 0000000000000000")[-4:] == "9000"


def test_the_holder_and_the_number_are_written_through_the_channel_only() -> None:
    reader = stock()
    reader.send("00A4000C023F00")
    assert reader.send("00D69500 01 AA") == "6982"
    assert reader.send("00B0960000") == "6982"
    desk = Desk(reader)
    assert desk.send("00D69602", "张三".encode("gbk").ljust(20)).sw == 0x9000
    assert desk.send("00B09602", le=4).data[:4] == "张三".encode("gbk")
    desk.send("00A4000C", bytes.fromhex("1000"))
    again = Reader(EVERYTHING)
    desk = Desk(again)
    desk.send("00A4040C", AID)
    assert desk.send(f"00D6{0x80 | FID_CHANNELED:02X}00", b"ISSUER").sw == 0x9000
    assert again.send(f"00B0{0x80 | FID_CHANNELED:02X}0000") == b"ISSUER".hex().upper() + "9000"


def test_loading_goes_on_after_the_power_failed() -> None:
    reader = stock()
    desk = Desk(reader)
    assert desk.announce().data == b"\x00\x00"
    for block in range(2):
        desk.send(f"80E8{block:04X}", DATA[block * 200 : block * 200 + 200])
    reader.card.reset()
    desk = Desk(reader)
    assert desk.announce().data == b"\x00\x02"
    assert desk.load() == 0x9000
    assert content(reader) == content(Reader(EVERYTHING))


def test_a_package_on_its_way_can_be_given_up_or_replaced() -> None:
    reader = stock()
    fresh = content(reader)
    desk = Desk(reader)
    desk.announce()
    desk.send("80E80000", DATA[:200])
    assert desk.send("80E40000").sw == 0x9000
    assert content(reader) == fresh
    other = DATA + b"x"
    desk.announce()
    desk.send("80E80000", DATA[:200])
    assert desk.announce(other).data == b"\x00\x00"
    assert desk.load(other) == 0x6A80
    assert reader.select() == "6A82"


def test_the_ways_a_package_is_refused() -> None:
    reader = stock()
    desk = Desk(reader)
    assert desk.send("80E60C00").sw == 0x6985
    assert desk.send("80E80000", b"x").sw == 0x6985
    assert desk.send("80E60200", bytes(35)).sw == 0x6700
    assert desk.send("80E60200", bytes(36)).sw == 0x6A84
    assert desk.send("80E60300", bytes(36)).sw == 0x6A86
    desk.announce()
    assert desk.send("80E80001", b"x").sw == 0x6985
    assert desk.send("80E80000").sw == 0x6700
    assert desk.send("80E60C00", b"x").sw == 0x6700
    assert desk.send("80E60C00").sw == 0x6985
    assert desk.announce(b"x" * 3).sw == 0x9000
    assert desk.send("80E80000", b"xxxx").sw == 0x6A84
    assert desk.load(b"xxx") == 0x6A80
    assert Desk(reader).load() == 0x9000
    assert Desk(reader).load() == 0x6A80  # the name is taken
    renamed = replace(package(), entry=DirectoryEntry(AID, "x" * 60, 1)).encode()
    assert Desk(stock()).load(renamed) == 0x6A84


def test_an_application_is_deleted_with_everything_in_it_unless_it_holds_money() -> None:
    reader = Reader(EVERYTHING)
    desk = Desk(reader)
    assert desk.send("80E40000", b"nobody").sw == 0x6A82
    assert desk.send("80E40000", b"2PAY.SYS.DDF01").sw == 0x6985
    assert desk.send("80E40000", AID).sw == 0x9000
    assert content(reader) == content(stock())
    assert reader.select() == "6A82"
    tree = TreeBuilder()
    add_everything(tree, None, state=PurseState(1, 100))
    rich = stock()
    desk = Desk(rich)
    assert desk.load(Package(tree.cells).encode()) == 0x9000
    assert desk.send("80E40000", AID).sw == 0x6985


def test_a_channel_ends_with_the_first_command_that_is_not_in_it() -> None:
    reader = Reader(EVERYTHING)
    desk = Desk(reader)
    before = desk.channel
    assert reader.send("00A4000C023F00") == "9000"
    assert desk.send("80E40000").sw == 0x6E00  # its class means nothing without a channel
    assert reader.send("80E40000") == "6982"
    desk = Desk(reader)
    wrapped = CommandApdu.decode(scp03.wrap_command(desk.channel, CommandApdu(0x80, 0xE4, 0, 0))[0])
    assert desk.plain(wrapped).sw == 0x9000
    assert desk.plain(wrapped).sw == 0x6988  # repeated
    assert desk.plain(wrapped).sw == 0x6E00
    assert before.counter == 0


def test_the_wrong_key_opens_nothing_and_no_sequence_is_used_twice() -> None:
    reader = stock()
    reader.send("00A4000C023F00")
    sequences = []
    for _ in range(3):
        answer = bytes.fromhex(reader.send("8050300008 0000000000000000"))
        shown = scp03.InitializeResponse.decode(answer[:-2])
        sequences.append(shown.sequence)
        assert reader.send("8482010010" + "00" * 16) == "6300"
    assert sequences == [0, 1, 2]
    assert reader.send("8482010010" + "00" * 16) == "6985"
    assert reader.send("8050310008 0000000000000000") == "6A88"
    assert reader.send("8050300007 00000000000000") == "6700"
    assert reader.send("8050300108 0000000000000000") == "6A86"
    reader.card.memory.power = Cut(6, "before")
    answer = bytes.fromhex(reader.send("8050300008 0000000000000000"))
    reader.card.memory.power = Cut(4, "inside")
    with pytest.raises(PowerLossError):
        reader.send("8482010010" + "00" * 16)
    reader.card.memory.power = None
    reader.card.reset()
    answer = bytes.fromhex(reader.send("8050300008 0000000000000000"))
    assert scp03.InitializeResponse.decode(answer[:-2]).sequence == 4


def prepared() -> tuple[Reader, Desk]:
    """A chip with the whole package on it, one command before it is an application."""
    reader = stock()
    desk = Desk(reader)
    desk.announce()
    for block in range(-(-len(DATA) // 200)):
        desk.send(f"80E8{block:04X}", DATA[block * 200 : block * 200 + 200])
    return reader, desk


@pytest.mark.parametrize("part", PARTS)
def test_a_torn_installation_is_done_or_not_and_can_be_repeated(part: str) -> None:
    reader, desk = prepared()
    old, meter = content(reader), Meter()
    reader.card.memory.power = meter
    assert desk.send("80E60C00").sw == 0x9000
    new = content(reader)
    image_of_it = Reader(reader.card.image())
    seen = set()
    for write in range(0, meter.writes, 7):
        reader, desk = prepared()
        reader.card.memory.power = Cut(write, part)
        with pytest.raises(PowerLossError):
            desk.send("80E60C00")
        reader.card.memory.power = None
        reader.card.reset()
        assert content(reader) in (old, new)
        there = reader.select() == "9000"
        assert there == (content(reader) == new)
        seen.add(there)
        if not there:
            assert Desk(reader).load() == 0x9000
            assert content(reader) == new
    assert seen == {True, False}
    assert content(image_of_it) == new


@settings(max_examples=200)
@given(st.integers(0, len(DATA) - 5), st.integers(1, 255), st.data())
def test_a_damaged_package_is_refused_whatever_its_checksum_says(
    at: int, change: int, data: st.DataObject
) -> None:
    """Damage inside, under a checksum made anew: refused, or an application that answers."""
    damaged = bytearray(DATA)
    damaged[at] ^= change
    start = 1 + damaged[0]
    body = bytes(damaged[start:-4])
    fixed = bytes(damaged[:start]) + body + zlib.crc32(body).to_bytes(4, "big")
    try:
        found = Package.decode(fixed)
    except DecodeError:
        return
    reader = stock()
    changes = found.install(reader.card._files)
    if isinstance(changes, dict):
        reader.card.memory.commit(changes)
        reader = Reader(reader.card.image())
        for sfi in range(1, 31):
            for text in (f"00B2{0:02X}{sfi << 3:02X}", f"00B0{0x80 | sfi:02X}00", "80500002"):
                assert len(reader.card.transmit(bytes.fromhex(text))) >= 2
        reader.card.transmit(bytes.fromhex("80500002 0B 01 00000001 112233445566"))
        reader.card.transmit(data.draw(st.binary(max_size=20)))


@given(st.binary(max_size=60))
def test_any_bytes_are_a_package_or_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        Package.decode(data)
