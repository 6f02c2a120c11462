"""PIN, authentication and secure messaging, with cryptograms made outside of cardcore."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardcore.apdu import CommandApdu
from cardcore.chip import messaging
from cardcore.chip.access import Access
from cardcore.chip.cardkeys import CardKey, Pin
from cardcore.chip.memory import Memory
from cardcore.chip.tree import Structure, TreeBuilder
from cardcore.errors import PowerLossError
from cardcore.keys import Key, KeyUsage
from tests.cardcore.chip.full_chips import AID, KEY, PIN, Reader, add_everything
from tests.cardcore.chip.reference_terminal import des3, enciphered, mac, secured
from tests.cardcore.chip.walks.test_tears import PARTS, Cut, Meter

EXTERNAL = KEY[KeyUsage.EXTERNAL_AUTHENTICATION]
INTERNAL = KEY[KeyUsage.INTERNAL_AUTHENTICATION]
MAINTENANCE = KEY[KeyUsage.FILE_MAINTENANCE]


def external(reader: Reader, key: bytes = EXTERNAL) -> str:
    return reader.send("00820001", des3(key, reader.challenge()))


def fold(key: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(key[:8], key[8:], strict=True))


def test_a_wrong_pin_counts_down_until_it_is_blocked_and_stays_so() -> None:
    reader = Reader()
    wrong = bytes.fromhex("111111")
    assert [reader.verify(wrong) for _ in range(2)] == ["63C2", "63C1"]
    assert reader.verify() == "9000"
    assert [reader.verify(wrong) for _ in range(4)] == ["63C2", "63C1", "63C0", "6983"]
    assert reader.verify() == "6983"
    reader.reset()
    assert reader.verify() == "6983"


def test_the_pin_opens_what_it_guards_until_the_application_is_left() -> None:
    reader = Reader()
    update = "00D68200 02 AABB"
    assert reader.send(update) == "6982"
    assert reader.verify() == "9000"
    assert reader.send(update) == "9000"
    reader.select()
    assert reader.send(update) == "6982"
    reader.verify()
    reader.reset()
    assert reader.send(update) == "6982"
    reader.verify()
    assert reader.verify(b"\x12\x34") == "63C2"
    assert reader.send(update) == "6982"


# Command | status word; application selected, nothing verified.
REFUSED = """
VERIFY with another P1                  | 00200100 03 123456                       | 6A86
VERIFY of a PIN nobody has              | 00200001 03 123456                       | 6A88
VERIFY without a PIN                    | 00200000                                 | 6700
VERIFY with one byte                    | 00200000 01 12                           | 6700
VERIFY with seven bytes                 | 00200000 07 12345678901234               | 6700
CHANGE PIN without the mark             | 805E0100 07 12345600654321               | 6A80
CHANGE PIN to what is no PIN            | 805E0100 07 123456FF65432A               | 6A80
CHANGE PIN, too short                   | 805E0100 04 12FF3456                     | 6700
CHANGE PIN with another P2              | 805E0101 07 123456FF654321               | 6A86
RELOAD PIN, too short                   | 805E0000 05 12AABBCCDD                   | 6700
RELOAD PIN with a wrong MAC             | 805E0000 07 123456 AABBCCDD              | 9302
PIN UNBLOCK without a challenge         | 84240000 0C 0000000000000000 AABBCCDD    | 6984
PIN UNBLOCK with another P1             | 84240100 0C 0000000000000000 AABBCCDD    | 6A86
EXTERNAL AUTHENTICATE, no challenge     | 00820001 08 0000000000000000             | 6984
EXTERNAL AUTHENTICATE, key nobody has   | 00820009 08 0000000000000000             | 6A88
EXTERNAL AUTHENTICATE, too short        | 00820001 07 00000000000000               | 6700
EXTERNAL AUTHENTICATE with P1           | 00820101 08 0000000000000000             | 6A86
INTERNAL AUTHENTICATE, key nobody has   | 00880009 08 0000000000000000             | 6A88
INTERNAL AUTHENTICATE, too short        | 00880001 07 00000000000000               | 6700
INTERNAL AUTHENTICATE with P1           | 00880101 08 0000000000000000             | 6A86
UPDATE BINARY behind authentication     | 00D68300 01 AA                           | 6982
UPDATE BINARY that needs a MAC          | 00D68400 01 AA                           | 6987
UPDATE BINARY that needs more           | 00D68600 01 AA                           | 6982
UPDATE BINARY with a MAC, no challenge  | 04D68400 05 AA 11223344                  | 6984
UPDATE BINARY with a MAC nobody asks    | 04D68100 05 AA 11223344                  | 6985
UPDATE BINARY with no room for a MAC    | 04D68400 03 112233                       | 6700
UPDATE BINARY through the channel only  | 00D69400 01 AA                           | 6982
READ BINARY behind PIN and key          | 00B0930000                               | 6982
APPLICATION BLOCK, no challenge         | 841E0000 04 AABBCCDD                     | 6984
APPLICATION BLOCK, too long             | 841E0000 05 AABBCCDDEE                   | 6700
APPLICATION BLOCK with another P2       | 841E0002 04 AABBCCDD                     | 6A86
APPLICATION UNBLOCK, not blocked        | 84180000 04 AABBCCDD                     | 6985
CARD BLOCK, no challenge                | 84160000 04 AABBCCDD                     | 6984
CARD BLOCK with P1                      | 84160100 04 AABBCCDD                     | 6A86
INSTALL outside of the channel          | 80E60C00                                 | 6982
LOAD outside of the channel             | 80E80000 01 00                           | 6982
DELETE outside of the channel           | 80E40000                                 | 6982
PUT KEY outside of the channel          | 80D80000 01 00                           | 6982
STORE DATA outside of the channel       | 80E28800 04 01000100                     | 6982
GET DATA outside of the channel         | 80CA00E0                                 | 6982
""".strip().splitlines()
ROWS = [[cell.strip() for cell in row.split("|")] for row in REFUSED]


@pytest.mark.parametrize(("name", "command", "sw"), ROWS, ids=[row[0] for row in ROWS])
def test_a_refusal_has_its_word(name: str, command: str, sw: str) -> None:
    assert name
    reader = Reader()
    assert reader.send(command) == sw
    again = Reader()
    if sw != "9302":  # a wrong MAC costs a try of the key
        assert reader.card.image() == again.card.image()


def test_change_reload_and_unblock_of_the_pin() -> None:
    reader = Reader()
    new = bytes.fromhex("65432F")
    assert reader.send("805E0100", b"\x99\x99\xff" + new) == "63C2"
    assert reader.send("805E0100", PIN + b"\xff" + new) == "9000"
    assert [reader.verify(PIN), reader.verify(new)] == ["63C2", "9000"]
    for _ in range(3):
        reader.verify(PIN)
    assert reader.send("805E0100", new + b"\xff" + PIN) == "6983"
    key = KEY[KeyUsage.PIN_UNBLOCK]
    sent = secured("84240000", enciphered(key, new), key, reader.challenge(4))
    assert reader.send(sent.hex()) == "9000"
    assert reader.verify(new) == "9000"
    for _ in range(3):
        reader.verify(PIN)
    reload = PIN + mac(fold(KEY[KeyUsage.PIN_RELOAD]), PIN)
    assert reader.send("805E0000", reload) == "9000"
    assert reader.verify() == "9000"
    bad = bytes.fromhex("12A4")
    assert reader.send("805E0000", bad + mac(fold(KEY[KeyUsage.PIN_RELOAD]), bad)) == "6A80"


def test_the_pin_reload_key_is_used_up_by_wrong_macs() -> None:
    reader = Reader()
    answers = [reader.send("805E0000", PIN + bytes(4)) for _ in range(4)]
    assert answers == ["9302", "9302", "9302", "6983"]


def test_external_authentication_opens_its_file_and_counts_wrong_tries() -> None:
    reader = Reader()
    assert external(reader, bytes(16)) == "63C2"
    assert external(reader) == "9000"
    assert reader.send("00D68300 01 AA") == "9000"
    assert reader.send("00B0930000") == b"secret".hex().upper() + "9000"
    assert [external(reader, bytes(16)) for _ in range(3)] == ["63C2", "63C1", "63C0"]
    assert reader.send("00D68300 01 AA") == "6982"
    assert external(reader) == "6983"


def test_a_challenge_of_4_bytes_filled_with_zeros_authenticates_nobody() -> None:
    """Half a challenge was as good as a whole one; refused, it costs no try."""
    reader = Reader()
    for length in (4, 16):
        challenge = reader.challenge(length)[:8]
        assert reader.send("00820001", des3(EXTERNAL, challenge.ljust(8, b"\x00"))) == "6984"
        assert reader.send("00D68300 01 AA") == "6982"
    assert external(reader, bytes(16)) == "63C2"
    assert external(reader) == "9000"


def test_a_challenge_is_good_for_one_command() -> None:
    reader = Reader()
    cryptogram = des3(EXTERNAL, reader.challenge())
    reader.send("00B0810001")
    assert reader.send("00820001", cryptogram) == "6984"
    cryptogram = des3(EXTERNAL, reader.challenge())
    assert reader.send("00820001", cryptogram) == "9000"
    assert reader.send("00820001", cryptogram) == "6984"


def test_internal_authentication_answers_and_is_remembered() -> None:
    reader = Reader()
    data = bytes(range(8))
    assert reader.send("00880001", data) == des3(INTERNAL, data).hex().upper() + "9000"
    assert reader.send("00B0930000") == "6982"
    reader.verify()
    assert reader.send("00B0930000") == b"secret".hex().upper() + "9000"


def test_two_internal_authentications_give_a_stranger_no_key_that_the_card_answers_by() -> None:
    reader = Reader()
    factor = bytes.fromhex("1122334455667788")
    inverse = bytes(byte ^ 0xFF for byte in factor)
    halves = [bytes.fromhex(reader.send("00880001", half)[:16]) for half in (factor, inverse)]
    derived, data = b"".join(halves), bytes(range(8))
    before = reader.card.image()
    # What stood in the card as a second form of the same key: 16 bytes, factor and challenge.
    assert reader.send("00880001", factor + data) == "6700"
    answer = des3(derived, reader.challenge())
    assert reader.send("00820001", factor + answer) == "6700"
    assert reader.send("00D68300 01 AA") == "6982"
    assert reader.card.image() == before


@pytest.mark.parametrize(("command", "key"), [("00880001", INTERNAL), ("00820001", EXTERNAL)])
def test_an_authentication_key_has_one_form(command: str, key: bytes) -> None:
    reader = Reader()
    for length in range(33):
        data = des3(key, reader.challenge()).ljust(32, b"\x00")[:length]
        assert (reader.send(command, data)[-4:] == "9000") == (length == 8), length


def test_what_was_verified_holds_in_the_directories_below_and_in_no_other() -> None:
    """DF 2001 below the application has no PIN of its own and uses the one above."""
    tree = TreeBuilder()
    root = tree.add_directory(None, 0x3F00)
    made = add_everything(tree, root)
    below = tree.add_directory(made, 0x2001)
    tree.add_file(below, 5, Structure.TRANSPARENT, [b"below"], sfi=5, read=Access.PIN)
    other = tree.add_directory(root, 0x1002, name=b"OTHER")
    pin = Pin.fresh(PIN).encode()
    tree.add_file(other, 0, Structure.LINEAR_FIXED, [pin], read=Access.NEVER)
    tree.add_file(other, 5, Structure.TRANSPARENT, [b"other"], sfi=5, read=Access.PIN)
    reader = Reader(Memory(tree.cells).image())
    reader.send("00A4000C022001")
    assert reader.send("00B0850000") == "6982"
    assert reader.verify() == "9000"
    assert reader.send("00B0850000") == b"below".hex().upper() + "9000"
    reader.send("00A4000C021001")
    assert reader.send("00D68200 01 AA") == "9000"
    reader.send("00A4000C021002")
    assert reader.send("00B0850000") == "6982"
    reader.send("00A4000C021001")
    assert reader.send("00D68200 01 AA") == "6982"


def test_a_purse_never_signs_a_digest_that_a_reader_chose() -> None:
    reader = Reader()
    # Key 1 is an INTERNAL AUTHENTICATE key as well; a digest is no message for it.
    assert reader.send("00880001", bytes(32)) == "6700"


@given(st.binary(min_size=1, max_size=20), st.booleans(), st.sampled_from([4, 8]), st.booleans())
def test_secure_messaging_of_an_update(
    data: bytes,
    hidden: bool,  # noqa: FBT001 - drawn
    challenge: int,
    pad_always: bool,  # noqa: FBT001 - drawn
) -> None:
    reader = Reader()
    header = "04D68500" if hidden else "04D68400"
    wire = enciphered(MAINTENANCE, data, pad_always=pad_always) if hidden else data
    sent = secured(header, wire, MAINTENANCE, reader.challenge(challenge))
    assert reader.send(sent.hex()) == "9000"
    read = reader.send("00B0850000" if hidden else "00B0840000")
    assert read == data.ljust(20, b"\x00").hex().upper() + "9000"


@given(st.binary(max_size=60), st.sampled_from([4, 8]), st.booleans())
def test_a_host_of_ours_protects_as_the_reference_does(
    data: bytes,
    length: int,
    encipher: bool,  # noqa: FBT001 - drawn
) -> None:
    key = CardKey(1, 1, 1, Key(KeyUsage.FILE_MAINTENANCE, MAINTENANCE))
    challenge = bytes(range(length))
    plain = CommandApdu(0x04, 0xD6, 0x85, 0, data)
    sent = messaging.protect(plain, key, challenge, encipher=encipher)
    wire = enciphered(MAINTENANCE, data) if encipher else data
    assert sent.encode() == secured("04D68500", wire, MAINTENANCE, challenge)
    found = messaging.take_off(sent, key, challenge)
    assert (messaging.decipher(found or b"", key) if encipher else found) == data


@given(st.binary(max_size=64))
def test_deciphering_anything_is_data_or_nothing(data: bytes) -> None:
    key = CardKey(1, 1, 1, Key(KeyUsage.FILE_MAINTENANCE, MAINTENANCE))
    plain = messaging.decipher(data, key)
    assert plain is None or len(plain) < len(data)


@pytest.mark.parametrize("hidden", [False, True], ids=["MAC", "enciphered"])
def test_secure_messaging_of_records(hidden: bool) -> None:  # noqa: FBT001 - drawn
    rule = Access.enciphered(1) if hidden else Access.mac(1)
    tree = TreeBuilder()
    root = tree.add_directory(None, 0x3F00)
    made = add_everything(tree, root)
    linear, cyclic = Structure.LINEAR_VARIABLE, Structure.CYCLIC
    update = rule | Access.COMPOSITE
    tree.add_file(
        made,
        25,
        linear,
        [b"\x08old"],
        sfi=25,
        size=9,
        records_max=2,
        identifier_bytes=1,
        update=update,
    )
    tree.add_file(made, 26, cyclic, [b"old"], sfi=26, records_max=2, update=update)
    reader = Reader(Memory(tree.cells).image())

    def send(header: str, data: bytes) -> str:
        wire = enciphered(MAINTENANCE, data) if hidden else data
        return reader.send(secured(header, wire, MAINTENANCE, reader.challenge(4)).hex())

    assert reader.send("00DC01CC 04", b"") == "6700"
    assert reader.send("00DC01CC 04 086E6577") == "6987"
    assert reader.send("00E200D0 03 6E6577") == "6987"
    assert send("04DC01CC", b"\x08new") == "9000"
    assert send("04DC08C8", b"\x08newer") == "9000"
    assert send("04DC09C8", b"\x09newer") == "6A83"
    assert send("04E200C8", b"\x09more") == "9000"
    assert send("04E200C8", b"\x0amore") == "6A84"
    assert send("04E200D0", b"new") == "9000"
    assert send("04DC00D3", b"one") == "9000"
    assert reader.send("00B201CD00") == (b"\x08newer\x09more".hex().upper() + "9000")
    assert reader.send("00B201D500") == (b"onenew".hex().upper() + "9000")


def test_a_wrong_mac_spends_challenge_and_try_and_writes_nothing() -> None:
    reader = Reader()
    for _ in range(3):
        sent = bytearray(secured("04D68400", b"\xaa", MAINTENANCE, reader.challenge(4)))
        sent[-1] ^= 1
        assert reader.send(sent.hex()) == "6988"
        # Without a challenge; with the last try the application has been blocked.
        assert reader.send(sent.hex()) in ("6984", "6A81")
    right = secured("04D68400", b"\xaa", MAINTENANCE, reader.challenge(4))
    assert reader.send(right.hex()) == "6A81"
    files = reader.card._files
    file = files.by_sfi(files.named(AID)[0], 0x04)
    assert file is not None
    assert not any(files.body(file))


def test_a_right_mac_over_a_wrong_place_is_refused_and_costs_no_try() -> None:
    reader = Reader()
    before = reader.card.image()
    for header, data, sw in [
        ("04D68414", b"\xaa", "6B00"),
        ("04D68413", b"\xaa\xbb", "6A84"),
        ("04D68500", b"", "6A80"),
        ("04D68500", bytes(8), "6A80"),
    ]:
        sent = secured(header, data, MAINTENANCE, reader.challenge(4))
        assert reader.send(sent.hex()) == sw
    cells = {key: value for key, value in reader.card.memory.cells().items() if key}
    old = {key: value for key, value in Reader().card.memory.cells().items() if key}
    assert (cells == old, reader.card.image() == before) == (True, False)


def test_a_combined_rule_wants_all_of_it() -> None:
    reader = Reader()

    def update() -> str:
        sent = secured("04D68600", b"\xaa", MAINTENANCE, reader.challenge(4))
        return reader.send(sent.hex())

    assert update() == "6982"
    reader.verify()
    assert update() == "6982"
    external(reader)
    assert reader.send("00D68600 01 AA") == "6987"
    assert update() == "9000"


def wrong_pin(reader: Reader) -> str:
    return reader.verify(bytes(3))


def right_pin(reader: Reader) -> str:
    return reader.verify()


def wrong_key(reader: Reader) -> str:
    return external(reader, bytes(16))


def right_mac(reader: Reader) -> str:
    sent = secured("04D68400", b"\xaa", MAINTENANCE, reader.challenge(4))
    return reader.send(sent.hex())


def tries(reader: Reader) -> tuple[int, ...]:
    """Tries left of every secret of the application, as they lie in memory."""
    files = reader.card._files
    made = files.named(bytes.fromhex("D15600000501"))[0]
    keys = files.child(made, 0)
    return tuple(record[5] for record in files.records(keys))  # type: ignore[arg-type]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("step", [wrong_pin, right_pin, wrong_key, right_mac])
def test_no_loss_of_power_ever_gives_a_free_try(step: Callable[[Reader], str], part: str) -> None:
    """Torn at any write, a try is either spent or the secret has not been compared yet."""
    meter, reader = Meter(), Reader()
    reader.card.memory.power = meter
    answer = step(reader)
    full = tries(Reader())
    for write in range(meter.writes):
        reader = Reader()
        reader.card.memory.power = Cut(write, part)
        with pytest.raises(PowerLossError):
            step(reader)
        reader.card.memory.power = None
        reader.reset()
        left = tries(reader)
        assert sum(full) - sum(left) in (0, 1)
        # The first commit is one key cell and the generation: its mark is write number 2.
        if write > 2 and answer != "9000":
            assert sum(full) - sum(left) == 1
        assert reader.send("00B0840001") in ("009000", "AA9000")
        if left == full and write <= 2:
            assert reader.send("00B0840001") == "009000"


def test_a_secret_torn_again_and_again_is_used_up() -> None:
    """Pulling the card out as soon as the try is written down gives three tries, not more."""
    reader = Reader()
    for left in (2, 1, 0):
        reader.card.memory.power = Cut(6, "before")
        with pytest.raises(PowerLossError):
            # The first commit is whole after six writes; the seventh belongs to the second.
            reader.verify()
        reader.card.memory.power = None
        reader.reset()
        assert tries(reader)[-1] == left
    assert reader.verify() == "6983"
