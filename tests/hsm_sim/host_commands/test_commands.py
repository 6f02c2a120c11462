"""Host commands, as scripts send them, and everything that may be wrong with one.

Field layouts: payShield 10K core host commands with a key block storage key, as the public
programs PayShieldPressureTest (NC, B2, N0), the AWS key exchange samples (A0, A8) and
ut-codec-payshield (A4, A6, BU, M6, M8) write them.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import replace

import psec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardcore.keys import Algorithm, KeyDescription, KeyRef, KeyState, KeyUsage
from hsm_sim.device.blocks import tr31
from hsm_sim.device.blocks.key_names import header_of
from hsm_sim.device.blocks.tr31 import KeyBlockHeader
from hsm_sim.host_commands.commands import HostContext, answer
from hsm_sim.host_commands.keys import HostKey, HostKeys
from tests.hsm_sim.device.blocks import oracle

STORAGE_KEY = bytes(range(32))
TDES = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
AES_128 = bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3C")
ZMK = HostKey(KeyBlockHeader("K1", "A", "B", "00", "N"), bytes(range(64, 96)))
ZMK_TDES = HostKey(KeyBlockHeader("K0", "T", "B", "00", "N"), TDES[::-1])
RETAIL = HostKey(KeyBlockHeader("M3", "T", "C", "00", "E"), TDES)
CBC = HostKey(KeyBlockHeader("M1", "T", "C", "00", "E"), TDES)
CMAC = HostKey(KeyBlockHeader("M6", "A", "C", "00", "E"), AES_128)
Log = list[tuple[str, str, str]]


class Host:
    """A program that sends commands and reads answers."""

    def __init__(self, *, takes_published: bool = True) -> None:
        self.log: Log = []
        # The keys of published vectors, which a device for public test keys takes.
        self.keys = HostKeys(STORAGE_KEY, os.urandom, takes_published=takes_published)
        self.context = HostContext(
            self.keys, lambda *entry: self.log.append((*entry[:2], str(entry[2]))), "1500-0045"
        )

    def send(self, command: str | bytes, *parts: HostKey | str | bytes) -> str:
        """The answer from its error code on."""
        sent = b"HEAD" + b"".join(self.bytes_of(each) for each in (command, *parts))
        received = answer(self.context, sent)
        assert received[:4] == b"HEAD"
        assert received[4:5] == sent[4:5]
        assert received[5] == sent[5] + 1
        return received[6:].decode("latin-1")

    def bytes_of(self, part: HostKey | str | bytes) -> bytes:
        if isinstance(part, HostKey):
            part = self.keys.key_block(part)
        return part.encode("latin-1") if isinstance(part, str) else part

    def read(self, text: str) -> HostKey:
        """A key of the host, looked at as no host can."""
        assert text[0] == "S"
        return HostKey(*tr31.unwrap(self.keys._key, text[1:]))


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host()
    yield host
    shown = repr(host.log)
    for key in (ZMK, ZMK_TDES, RETAIL, CMAC):
        assert key.value.hex()[:8] not in shown.lower()


def keys_in(text: str) -> list[str]:
    """The key blocks in an answer behind its error code, and what follows them."""
    found, rest = [], text[2:]
    while rest[:1] in {"S", "R"}:
        end = 1 + int(rest[2:6])
        found.append(rest[:end])
        rest = rest[end:]
    return [*found, rest]


def test_diagnostics_show_the_storage_key_s_check_value_and_the_firmware(host: Host) -> None:
    shown = host.send("NC")
    assert re.fullmatch(r"00[0-9A-F]{6}0{10}1500-0045", shown)
    assert HostKeys(STORAGE_KEY[::-1], os.urandom).check_value != shown[2:8]


def test_echo_gives_back_what_it_got(host: Host) -> None:
    assert host.send("B2", "000CHello World!") == "00Hello World!"
    assert host.send("B2", "0000") == "00"
    assert host.send(b"B20003\x00\x19\xff") == "00\x00\x19\xff"


def test_random_bytes_are_as_many_as_asked_for(host: Host) -> None:
    assert len(host.send("N0008")) == 2 + 8
    assert len(host.send("N0256")) == 2 + 256
    assert host.send("N0008") != host.send("N0008")
    assert host.send("N0000") == host.send("N0257") == host.send("N00A8") == "01"


@pytest.mark.parametrize(
    ("letters", "size"), [("T2", 16), ("T3", 24), ("A1", 16), ("A2", 24), ("A3", 32)]
)
def test_a_key_is_made_and_only_the_device_knows_it(host: Host, letters: str, size: int) -> None:
    block, check_value = keys_in(host.send("A00FFFS#D0", letters, "B00E00"))
    key = host.read(block)
    assert key.header == KeyBlockHeader("D0", letters[0], "B", "00", "E")
    assert len(key.value) == size
    assert key.check_value == check_value
    assert host.log == [("A0", "00", f"key D0{letters[0]}B {check_value} made")]
    if letters[0] == "T":
        assert all(byte.bit_count() % 2 for byte in key.value)


def test_a_key_is_made_and_exported_at_once(host: Host) -> None:
    text = host.send("A01FFFS;0", ZMK, "R#72T2B00E00%00!D")
    block, wrapped, check_value = keys_in(text)
    header, value = oracle.unwrap(ZMK.value, wrapped[1:])
    assert (header.key_usage, header.algorithm, header.version_id) == ("72", "T", "D")
    assert host.read(block).value == value
    assert host.read(block).check_value == check_value


@pytest.mark.parametrize(("wrapping", "version"), [(ZMK, "D"), (ZMK_TDES, "B")])
def test_a_key_is_exported_and_imported(host: Host, wrapping: HostKey, version: str) -> None:
    wrapped, check_value = keys_in(host.send("A8FFF", wrapping, RETAIL, "R%00!", version))
    assert wrapped[:2] == "R" + version
    theirs, value = oracle.unwrap(wrapping.value, wrapped[1:])
    assert (value, theirs.key_usage, theirs.exportability) == (TDES, "M3", "E")
    block, again = keys_in(host.send("A6FFF", wrapping, wrapped, "S%00"))
    assert (again, host.read(block)) == (check_value, RETAIL)
    assert check_value == "08D7B4"  # of the key 0123456789ABCDEFFEDCBA9876543210


def test_a_key_of_another_device_is_imported(host: Host) -> None:
    header = psec.tr31.Header("D", "M6", "A", "C", "00", "E")
    block = oracle.wrap(ZMK.value, header, AES_128)
    imported, check_value = keys_in(host.send("A6FFF", ZMK, "R", block, "S"))
    assert host.read(imported) == CMAC
    assert (
        check_value == "7AD386"
    )  # RFC 4493 key; first bytes of its CMAC over 16 zeros, by openssl mac


def test_a_key_may_lose_its_exportability_on_the_way_and_never_gain_any(host: Host) -> None:
    wrapped, _ = keys_in(host.send("A8FFF", ZMK, RETAIL, "R&N"))
    assert tr31.unwrap(ZMK.value, wrapped[1:])[0].exportability == "N"
    assert host.send("A8FFF", ZMK, RETAIL, "R&S") == "AA"
    kept = replace(RETAIL, header=replace(RETAIL.header, exportability="N"))
    assert host.send("A8FFF", ZMK, kept, "R") == "29"
    assert host.send("A01FFFS;0", ZMK, "R#72T2B00N00") == "29"


@pytest.mark.parametrize("count", [2, 3, 9])
def test_a_key_is_formed_of_components(host: Host, count: int) -> None:
    values = [os.urandom(16) for _ in range(count - 1)]
    last = TDES
    for each in values:
        last = bytes(left ^ right for left, right in zip(last, each, strict=True))
    block, check_value = keys_in(
        host.send("A4", str(count), "FFFS", *components("M3", [*values, last]))
    )
    assert host.read(block) == RETAIL
    assert check_value == "08D7B4"


def components(usage: str, values: list[bytes]) -> list[HostKey]:
    return [
        HostKey(KeyBlockHeader(usage, "T", "C", f"c{number}", "E"), value)
        for number, value in enumerate(values, 1)
    ]


def test_components_that_do_not_belong_together_form_no_key(host: Host) -> None:
    first, second = components("M3", [TDES, TDES[::-1]])
    (other,) = components("M1", [TDES])
    long = HostKey(second.header, TDES + TDES[:8])
    twice = HostKey(second.header, TDES)
    assert host.send("A42FFFS", first, first) == "B5"
    assert host.send("A42FFFS", first, RETAIL) == "B5"
    assert host.send("A42FFFS", second, other) == "B5"
    assert host.send("A42FFFS", first, long) == "B5"
    assert host.send("A42FFFS", first, twice) == "11"
    assert host.send("A41FFFS", first) == host.send("A40FFFS") == host.send("A4xFFFS") == "03"
    assert host.send("A43FFFS", first, second) == "15"


def test_a_component_is_no_key(host: Host) -> None:
    (component,) = components("M3", [TDES])
    (wrapping,) = components("K1", [TDES])
    assert host.send("M600131FFF", component, "0008", bytes(8)) == "A9"
    assert host.send("A8FFF", ZMK, component, "R") == "A9"
    assert host.send("A8FFF", wrapping, RETAIL, "R") == "A9"
    assert host.send("A00FFFS#M3T2Cc1E00") == "A9"
    assert host.send("BUFFF", component) == "0008D7B4"


def test_a_check_value_is_shown(host: Host) -> None:
    assert host.send("BUFFF", RETAIL) == "0008D7B4"
    assert host.send("BUFFF", CMAC, ";FFF;001%00") == "007AD386"
    assert host.send("BU00F", RETAIL) == "04"
    assert host.send("BUFF1", RETAIL) == "05"
    assert host.send("BUFFF", RETAIL, ";008") == "28"


def test_a_mac_is_made_and_verified_in_every_format(host: Host) -> None:
    message = b"ABCDEFGHI"
    made = host.send("M6", "01132FFF", RETAIL, "0012", message.hex())
    assert made == host.send("M6", "00132FFF", RETAIL, "0009", message)
    assert made == host.send("M6", "02132FFF", RETAIL, "0009", message)
    assert re.fullmatch("00[0-9A-F]{16}", made)
    assert host.send("M8", "00132FFF", RETAIL, "0009", message, made[2:]) == "00"
    assert host.send("M8", "00132FFF", RETAIL, "0009", message, made[2:].lower()) == "00"
    assert host.send("M8", "00032FFF", RETAIL, "0009", message, made[2:10]) == "00"
    assert host.send("M8", "00132FFF", RETAIL, "0009", b"ABCDEFGHJ", made[2:]) == "01"
    assert host.send("M8", "00132FFF", RETAIL, "0009", message, "0" * 16) == "01"
    assert host.log[-1] == ("M8", "01", "the MAC does not hold")


@pytest.mark.parametrize(
    ("key", "algorithm", "padding", "block"),
    [(RETAIL, "3", "2", 8), (RETAIL, "3", "1", 8), (CBC, "1", "2", 8), (CMAC, "6", "4", 16)],
)
@pytest.mark.parametrize("last", [1, 7, 16, 21])
def test_a_mac_in_parts_is_the_mac_of_the_whole(
    host: Host, key: HostKey, algorithm: str, padding: str, block: int, last: int
) -> None:
    message = os.urandom(3 * block + last)
    fields = f"1{algorithm}{padding}FFF"
    whole = host.send("M600", fields, key, f"{len(message):04X}", message)
    vector = host.send("M610", fields, key, f"{block:04X}", message[:block])[2:]
    assert len(vector) == 2 * block
    vector = host.send("M620", fields, key, vector, f"{2 * block:04X}", message[block : 3 * block])
    rest = (vector[2:], f"{last:04X}", message[3 * block :])
    assert host.send("M630", fields, key, *rest) == whole
    assert host.send("M830", fields, key, *rest, whole[2:]) == "00"
    first = (f"{block:04X}", message[:block])
    assert host.send("M810", fields, key, *first) == host.send("M610", fields, key, *first)


def test_a_key_that_may_only_verify_makes_no_mac_by_any_way(host: Host) -> None:
    verifying = replace(RETAIL, header=replace(RETAIL.header, mode_of_use="V"))
    making = replace(RETAIL, header=replace(RETAIL.header, mode_of_use="G"))
    tail = ("0008", bytes(8))
    mac = host.send("M600130FFF", making, *tail)[2:]
    assert host.send("M600130FFF", verifying, *tail) == "A8"
    assert host.send("M800130FFF", verifying, *tail, mac) == "00"
    assert host.send("M800130FFF", making, *tail, mac) == "A8"
    # A chaining value would be as good as a MAC.
    assert host.send("M810130FFF", verifying, *tail) == "A8"
    assert host.send("M830130FFF", verifying, "0" * 16, *tail, mac) == "A8"


@pytest.mark.parametrize(
    ("command", "key", "tail", "code"),
    [
        ("M640130FFF", RETAIL, "0000", "02"),
        ("M603130FFF", RETAIL, "0000", "03"),
        ("M600930FFF", RETAIL, "0000", "15"),
        ("M600120FFF", RETAIL, "0000", "04"),
        ("M600133FFF", RETAIL, "0000", "09"),
        ("M600164FFF", RETAIL, "0000", "A6"),
        ("M600130008", RETAIL, "0000", "05"),
        ("M600130FFF", CBC, "0000", "A6"),
        ("M600130FFF", RETAIL, "00G0", "06"),
        ("M600130FFF", RETAIL, "0010short", "80"),
        ("M600130FFF", RETAIL, "0000", "80"),
        ("M600130FFF", RETAIL, "0008eight....", "15"),
        ("M600130FFF", RETAIL, "0008eight...%01", "13"),
        ("M600130FFF", RETAIL, "0007sevens.", "80"),
        ("M601130FFF", RETAIL, "0003abc", "15"),
        ("M610130FFF", RETAIL, "0007sevens.", "80"),
        ("M630130FFF", RETAIL, "00000000000000000000", "80"),
        ("M630130FFF", RETAIL, "zzzzzzzzzzzzzzzz0000", "15"),
        ("M800130FFF", RETAIL, "0008eightbyt1234", "15"),
    ],
)
def test_a_wrong_field_of_a_mac_command_has_its_own_code(
    host: Host, command: str, key: HostKey, tail: str, code: str
) -> None:
    assert host.send(command, key, tail) == code
    assert host.log[-1][:2] == (command[:2], code)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("A02FFFS#D0A3B00E00", "15"),
        ("A00002S#D0A3B00E00", "28"),
        ("A00FFFU#D0A3B00E00", "26"),
        ("A00FFFS;D0A3B00E00", "15"),
        ("A00FFFS#XXA3B00E00", "A6"),
        ("A00FFFS#D0T1B00E00", "A7"),
        ("A00FFFS#D0S4B00E00", "A7"),
        ("A00FFFS#D0A3A00E00", "A8"),
        ("A00FFFS#D0A3B??E00", "A9"),
        ("A00FFFS#D0A3B00Q00", "AA"),
        ("A00FFFS#D0A3B00E01", "AB"),
        ("A00FFFS#D0A3B00E00!D", "15"),
        ("A00FFFS#D0A3B00E00%01", "13"),
        ("A00FFFS#D0A3B00E00%00%00", "15"),
        ("A00FFFS#D0A3B00E", "15"),
        ("A01FFFS#D0A3B00E00", "15"),
        ("A6FFFU" + "0" * 32, "26"),
        ("A6FFFS00000", "83"),
        ("A6FFFSD9999K1AB00E0000", "15"),
        ("A6FFFSD00160000000000000", "83"),
        ("B20005four", "80"),
        ("B20003four", "15"),
        ("B2000", "15"),
        ("B2zzzz", "15"),
        ("N08", "15"),
        ("NCmore", "15"),
        ("NC\x19" + "x" * 33, "15"),
        ("NC\x19\x00", "15"),
        ("EI2204801#0000", "68"),
        ("XX", "68"),
        ("99", "68"),
    ],
)
def test_a_wrong_command_has_its_code_and_stands_in_the_log(
    host: Host, command: str, code: str
) -> None:
    assert host.send(command) == code
    assert len(host.log) == 1
    assert host.log[0][:2] == (command[:2], code)


@pytest.mark.parametrize("command", ["NC", "B20004ping", "N0001", "A00FFFS#D0A3B00E00"])
def test_a_trailer_comes_back_behind_the_answer(host: Host, command: str) -> None:
    assert host.send(command, "\x19trailer").endswith("\x19trailer")
    assert host.send(command, "%00\x19").endswith("\x19")


@pytest.mark.parametrize("bit", range(8))
def test_a_host_key_altered_by_one_bit_is_refused(host: Host, bit: int) -> None:
    block = host.keys.key_block(RETAIL)
    for place in range(len(block)):
        altered = block[:place] + chr(ord(block[place]) ^ 1 << bit) + block[place + 1 :]
        assert host.send("BUFFF", altered) != "0008D7B4"
        assert host.log[-1][1] != "00"


def test_a_wrapped_key_altered_by_one_bit_is_refused_by_its_mac(host: Host) -> None:
    wrapped, _ = keys_in(host.send("A8FFF", ZMK, RETAIL, "R"))
    altered = wrapped[:-1] + ("0" if wrapped[-1] != "0" else "1")
    assert host.send("A6FFF", ZMK, altered, "S") == "A4"
    assert host.log[-1][:2] == ("A6", "A4")


def test_keys_of_one_device_are_nothing_to_another(host: Host) -> None:
    other = HostKeys(STORAGE_KEY[::-1], os.urandom)
    assert host.send("BUFFF", other.key_block(RETAIL)) == "A4"


def test_a_block_out_of_the_device_s_own_folder_is_no_key_of_a_host(host: Host) -> None:
    """Or any host could have a master key wrapped under a transport key of its own."""
    ref = KeyRef(KeyUsage.TAC, "shenzhen", 1)
    key = KeyDescription(ref, Algorithm.PBOC_3DES, KeyState.ACTIVE, "08D7B4")
    block = tr31.wrap(STORAGE_KEY, header_of(key, exportable=True), TDES, os.urandom)
    assert host.send("A8FFF", ZMK, "S" + block, "R") == "A4"
    assert host.send("BUFFF", "S" + block) == "A4"


def test_only_keys_for_wrapping_wrap_and_only_their_way(host: Host) -> None:
    def zmk(usage: str, mode: str) -> HostKey:
        return HostKey(KeyBlockHeader(usage, "A", mode), ZMK.value)

    wrapped, _ = keys_in(host.send("A8FFF", ZMK, RETAIL, "R"))
    assert host.send("A8FFF", zmk("D0", "B"), RETAIL, "R") == "A6"
    assert host.send("A6FFF", zmk("D0", "B"), wrapped, "S") == "A6"
    assert host.send("A8FFF", zmk("K1", "D"), RETAIL, "R") == "A8"
    assert host.send("A6FFF", zmk("K1", "E"), wrapped, "S") == "A8"
    assert host.send("A8FFF", zmk("52", "E"), RETAIL, "R")[:2] == "00"
    assert host.send("A6FFF", zmk("K0", "D"), wrapped, "S")[:2] == "00"


def test_no_key_is_wrapped_under_a_weaker_one(host: Host) -> None:
    assert host.send("A8FFF", ZMK_TDES, CMAC, "R") == "BB"
    assert host.send("A8FFF", ZMK, RETAIL, "R!B") == "BE"
    strong = HostKey(KeyBlockHeader("D0", "A", "B", "00", "E"), bytes(range(32)))
    weak = HostKey(KeyBlockHeader("K1", "A", "B"), AES_128)
    assert host.send("A8FFF", weak, strong, "R") == "BB"
    block = tr31.wrap(weak.value, strong.header, strong.value, os.urandom)
    assert host.send("A6FFF", weak, "R", block, "S") == "BB"


@pytest.mark.parametrize(
    ("algorithm", "value", "code"),
    [
        ("T", TDES[:8], "A5"),
        ("T", TDES[:8] * 2, "75"),
        ("T", TDES + TDES[:8], "75"),
        ("T", TDES[:8] + bytes(byte ^ 1 for byte in TDES[:8]), "75"),
        ("A", TDES + b"\x01", "A5"),
        ("H", TDES, "A7"),
    ],
)
def test_what_is_no_whole_key_is_not_imported(
    host: Host, algorithm: str, value: bytes, code: str
) -> None:
    header = KeyBlockHeader("D0", algorithm, "B", "00", "E")
    block = tr31.wrap(ZMK.value, header, value, os.urandom)
    assert host.send("A6FFF", ZMK, "R", block, "S") == code


def test_other_schemes_than_key_blocks_are_refused(host: Host) -> None:
    wrapped, _ = keys_in(host.send("A8FFF", ZMK, RETAIL, "R"))
    assert host.send("A8FFF", ZMK, RETAIL, "X") == "26"
    assert host.send("A6FFF", ZMK, "X" + "0" * 32, "U") == "26"
    assert host.send("A6FFF", ZMK, wrapped, "U") == "26"


def test_a_fault_inside_is_an_answer_and_shows_its_class_only(host: Host) -> None:
    def broken(_: int) -> bytes:
        raise OSError(STORAGE_KEY.hex())

    host.context = replace(host.context, keys=HostKeys(STORAGE_KEY, broken))
    assert host.send("N0008") == "41"
    assert host.log == [("N0", "41", "OSError")]


@pytest.mark.parametrize("message", [b"", b"HEA", b"HEAD", b"HEADN", b"HEAD\xff\xff", b"HEADN "])
def test_what_is_no_command_at_all_gets_no_answer(host: Host, message: bytes) -> None:
    assert answer(host.context, message) == b""
    assert [entry[:2] for entry in host.log] == [("?", "68")]


def test_the_header_is_as_long_as_it_was_agreed(host: Host) -> None:
    context = replace(host.context, header_characters=7)
    assert answer(context, b"\x00\x01\x02\x03\x04\x05\x06B20001x") == b"\0\1\2\3\4\5\6B300x"


@given(st.binary(max_size=200))
def test_any_bytes_get_an_answer_or_none(data: bytes) -> None:
    host = Host()
    received = answer(host.context, b"HEAD" + data)
    assert received == b"" or received[:4] == b"HEAD"
    assert received == b"" or re.fullmatch(rb"[0-9A-Z]{2}", received[6:8])


commands = st.sampled_from(["NC", "B2", "N0", "A0", "A4", "A6", "A8", "BU", "M6", "M8"])
pieces = st.lists(
    st.sampled_from(
        "FFF S R 0 1 2 3 6 0008 ;0 #D0A3B00E00 # %00 &E !D \x19 FFF0 00000000".split(" ")  # noqa: SIM905
    )
    | st.sampled_from([ZMK, RETAIL, CMAC, CBC])
    | st.binary(max_size=12),
    max_size=8,
)


@given(commands, pieces)
def test_any_fields_in_any_order_get_an_answer_and_no_clear_key(
    command: str, parts: list[str | bytes | HostKey]
) -> None:
    host = Host()
    text = host.send(command, *parts)
    code = text[:2]
    assert code != "41", host.log
    assert code == "00" or host.log[-1][1] == code
    if not any(isinstance(part, bytes) for part in parts):
        for key in (ZMK, RETAIL, CMAC):
            assert key.value.hex().upper() not in text
            assert key.value.decode("latin-1") not in text


@pytest.mark.parametrize(
    "fields",
    [("#72T2B00E00%00!D",), ("%00#72T2B00E00!D",), ("%00#72T2B00E00",), ("#72T2B00E00",)],
)
@pytest.mark.parametrize("flag", [";0", "0"])
def test_hosts_differ_in_where_they_name_the_storage_key(
    host: Host, flag: str, fields: tuple[str]
) -> None:
    assert len(keys_in(host.send("A01FFFS" + flag, ZMK, "R", *fields))) == 3
    assert host.send("A00FFFS%00#D0A3B00E00")[:2] == "00"
    assert host.send("A00FFFS%01#D0A3B00E00") == "13"
    assert host.send("A00FFFS%00#D0A3B00E00%00") == "15"


def test_a_key_is_formed_with_the_version_and_the_count_that_hosts_write_behind_it(
    host: Host,
) -> None:
    parts = components("M3", [bytes(range(16)), os.urandom(16)])
    key = host.read(keys_in(host.send("A42FFFS", *parts))[0])
    for ending, version in (
        ("#0000", "00"),
        ("%00#0000", "00"),
        ("#0100", "01"),
        ("#0000%00", "00"),
    ):
        formed = host.read(keys_in(host.send("A42FFFS", *parts, ending))[0])
        assert (formed.value, formed.header.version_number) == (key.value, version)
    assert host.send("A42FFFS", *parts, "#0001") == "AB"
    assert host.send("A42FFFS", *parts, "#c100") == "A9"


@pytest.mark.parametrize("value", [TDES, bytes(range(64, 80)), AES_128, b"GEMXPRESSOSAMPLE"])
def test_a_city_takes_no_published_key_from_a_host(value: bytes) -> None:
    """By import and by components, whatever it is labelled."""
    city = Host(takes_published=False)
    header = KeyBlockHeader("D0", "A", "B", "00", "E")
    zmk = replace(ZMK, value=os.urandom(32))
    block = tr31.wrap(zmk.value, header, value, os.urandom)
    assert city.send("A6FFF", zmk, "R", block, "S") == "11"
    first = os.urandom(16)
    last = bytes(left ^ right for left, right in zip(first, value, strict=True))
    assert city.send("A42FFFS", *components("M3", [first, last])) == "11"
    assert {entry[1] for entry in city.log} == {"11"}


@pytest.mark.parametrize("half", ["0101010101010101", "1FE01FE00EF10EF1"])
def test_a_weak_key_of_des_comes_in_nowhere(host: Host, half: str) -> None:
    header = KeyBlockHeader("M3", "T", "C", "00", "E")
    block = tr31.wrap(ZMK.value, header, TDES[:8] + bytes.fromhex(half), os.urandom)
    assert host.send("A6FFF", ZMK, "R", block, "S") == "11"
