"""A card whose keys are SM4 or AES, as the reference knows the suites: authentication, secure
messaging, the PIN commands, the purse and the signature of a record without money.
"""

import hashlib

import pytest
from cryptography.hazmat.primitives.ciphers.algorithms import AES, SM4
from hypothesis import given, settings
from hypothesis import strategies as st

from cardcore.apdu import CommandApdu
from cardcore.applets import library
from cardcore.chip import messaging
from cardcore.chip.cardkeys import CardKey
from cardcore.crypto import SUITES
from cardcore.digits import encode_bcd
from cardcore.keys import Algorithm, Key, KeyRef, KeyUsage, ProofReason, TacColumn
from cardcore.records.record import encode_record
from hsm_sim.keys.operations import KeyOperations
from hsm_sim.keys.vault import KeyVault
from tests.cardcore.applets.citizen_chips import LIBRARY, chip
from tests.cardcore.applets.citizen_chips import Reader as PlainReader
from tests.cardcore.chip.full_chips import AID, KEY, PIN, Reader, everything_image
from tests.cardcore.crypto import reference_suites as reference
from tests.cardcore.transit_cards import LOAD_KEY, PURCHASE_KEY, TAC_KEY, a_record

CIPHERS: dict[Algorithm, reference.BlockCipher] = {Algorithm.SM4: SM4, Algorithm.AES: AES}
IMAGES = {algorithm: everything_image(algorithm) for algorithm in CIPHERS}
EXTERNAL = KEY[KeyUsage.EXTERNAL_AUTHENTICATION]
INTERNAL = KEY[KeyUsage.INTERNAL_AUTHENTICATION]
MAINTENANCE = KEY[KeyUsage.FILE_MAINTENANCE]
FACTOR = bytes.fromhex("1122334455667788")
TERMINAL, TIME = bytes.fromhex("112233445566"), bytes.fromhex("20180901094231")

block_suites = pytest.mark.parametrize("algorithm", CIPHERS, ids=lambda each: each.name)


@block_suites
def test_external_authentication_answers_with_a_mac_of_8_bytes(algorithm: Algorithm) -> None:
    reader, cipher = Reader(IMAGES[algorithm]), CIPHERS[algorithm]
    wrong = reference.answer(cipher, bytes(16), reader.challenge())
    assert reader.send("00820001", wrong) == "63C2"
    answer = reference.answer(cipher, EXTERNAL, reader.challenge())
    assert reader.send("00820001", answer) == "9000"
    assert reader.send("00D68300 01 AA") == "9000"
    short = reference.answer(cipher, EXTERNAL, reader.challenge(4) + bytes(4))
    assert reader.send("00820001", short) == "6984"


@block_suites
def test_internal_authentication_never_enciphers_what_a_reader_chooses(
    algorithm: Algorithm,
) -> None:
    reader, cipher = Reader(IMAGES[algorithm]), CIPHERS[algorithm]
    data = bytes(range(8))
    expected = reference.answer(cipher, INTERNAL, data)
    assert reader.send("00880001", data) == expected.hex().upper() + "9000"
    derived = reference.card_key(cipher, INTERNAL, FACTOR)
    for half in (FACTOR, bytes(byte ^ 0xFF for byte in FACTOR)):
        assert bytes.fromhex(reader.send("00880001", half))[:8] not in derived


@block_suites
@settings(max_examples=25)
@given(st.binary(min_size=1, max_size=20), st.booleans(), st.sampled_from([4, 8]), st.booleans())
def test_secure_messaging_of_an_update(
    algorithm: Algorithm,
    data: bytes,
    hidden: bool,  # noqa: FBT001 - drawn
    challenge: int,
    pad_always: bool,  # noqa: FBT001 - drawn
) -> None:
    reader, cipher = Reader(IMAGES[algorithm]), CIPHERS[algorithm]
    header, wire = "04D68400", data
    if hidden:
        header = "04D68500"
        wire = reference.enciphered(cipher, MAINTENANCE, data, pad_always=pad_always)
    sent = reference.secured(cipher, header, wire, MAINTENANCE, reader.challenge(challenge))
    assert reader.send(sent.hex()) == "9000"
    read = reader.send("00B0850000" if hidden else "00B0840000")
    assert read == data.ljust(20, b"\x00").hex().upper() + "9000"


@block_suites
@given(st.binary(max_size=60), st.sampled_from([4, 8]), st.booleans())
def test_a_host_of_ours_protects_as_the_reference_does(
    algorithm: Algorithm,
    data: bytes,
    length: int,
    encipher: bool,  # noqa: FBT001 - drawn
) -> None:
    cipher = CIPHERS[algorithm]
    key = CardKey(1, 1, algorithm, Key(KeyUsage.FILE_MAINTENANCE, MAINTENANCE))
    challenge = bytes(range(length))
    plain = CommandApdu(0x04, 0xD6, 0x85, 0, data)
    sent = messaging.protect(plain, key, challenge, encipher=encipher)
    wire = reference.enciphered(cipher, MAINTENANCE, data) if encipher else data
    assert sent.encode() == reference.secured(cipher, "04D68500", wire, MAINTENANCE, challenge)
    found = messaging.take_off(sent, key, challenge)
    assert (messaging.decipher(found or b"", key) if encipher else found) == data


@block_suites
@given(st.binary(max_size=64))
def test_deciphering_anything_is_data_or_nothing(algorithm: Algorithm, data: bytes) -> None:
    key = CardKey(1, 1, algorithm, Key(KeyUsage.FILE_MAINTENANCE, MAINTENANCE))
    plain = messaging.decipher(data, key)
    assert plain is None or (len(plain) < len(data) and len(data) % 16 == 0)


@block_suites
def test_enciphered_data_in_blocks_of_triple_des_are_refused(algorithm: Algorithm) -> None:
    reader, cipher = Reader(IMAGES[algorithm]), CIPHERS[algorithm]
    sent = reference.secured(cipher, "04D68500", bytes(8), MAINTENANCE, reader.challenge())
    assert reader.send(sent.hex()) == "6A80"


@block_suites
def test_one_altered_bit_of_a_protected_command_is_refused(algorithm: Algorithm) -> None:
    cipher = CIPHERS[algorithm]
    for bit in range(0, 96, 5):
        reader = Reader(IMAGES[algorithm])
        header, data = "04D68400", bytes(range(8))
        sent = bytearray(reference.secured(cipher, header, data, MAINTENANCE, reader.challenge()))
        sent[5 + bit // 8] ^= 1 << bit % 8
        assert reader.send(sent.hex()) == "6988"
        assert reader.send("00B0840000") == bytes(20).hex().upper() + "9000"


@block_suites
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["00820001", "00880001", "04D68400", "04D68500", "84240000"])
            | st.sampled_from(["805E0000", "841E0000", "04DC0188", "80500002", "80540100"]),
            st.binary(max_size=80),
        ),
        max_size=6,
    )
)
def test_whatever_is_sent_gets_a_word_and_no_file_changes_without_its_key(
    algorithm: Algorithm, commands: list[tuple[str, bytes]]
) -> None:
    reader = Reader(IMAGES[algorithm])
    for header, data in commands:
        reader.challenge()
        assert len(reader.send(header, data)) >= 4
    # Out of its memory: wrong MACs may have closed the application.
    files = reader.card._files
    for sfi in (4, 5):
        file = files.by_sfi(files.named(AID)[0], sfi)
        assert file is not None
        assert files.body(file) == bytes(20)


@block_suites
def test_unblock_and_reload_of_the_pin(algorithm: Algorithm) -> None:
    reader, cipher = Reader(IMAGES[algorithm]), CIPHERS[algorithm]
    new, wrong = bytes.fromhex("65432F"), bytes.fromhex("111111")
    assert [reader.verify(wrong) for _ in range(4)] == ["63C2", "63C1", "63C0", "6983"]
    key = KEY[KeyUsage.PIN_UNBLOCK]
    wire = reference.enciphered(cipher, key, new)
    sent = reference.secured(cipher, "84240000", wire, key, reader.challenge(4))
    assert reader.send(sent.hex()) == "9000"
    assert reader.verify(new) == "9000"
    mac = reference.mac(cipher, KEY[KeyUsage.PIN_RELOAD], PIN)
    assert reader.send("805E0000", PIN + mac) == "9000"
    assert reader.verify(PIN) == "9000"


@block_suites
def test_load_and_purchase_with_every_cryptogram_of_the_reference(algorithm: Algorithm) -> None:
    reader, cipher = Reader(IMAGES[algorithm]), CIPHERS[algorithm]

    def mac(key: bytes, *parts: bytes) -> bytes:
        return reference.mac(cipher, key, b"".join(parts))

    amount, spent = (5_000).to_bytes(4, "big"), (380).to_bytes(4, "big")
    shown = bytes.fromhex(reader.send("80500002", b"\x01" + amount + TERMINAL))[:-2]
    assert (shown[6], shown[7]) == (2, algorithm)
    session = reference.cmac(cipher, LOAD_KEY, shown[8:12] + shown[4:6] + b"\x80\x00")
    assert shown[12:] == mac(session, bytes(4), amount, b"\x02", TERMINAL)
    mac2 = mac(session, amount, b"\x02", TERMINAL, TIME)
    tac = mac(TAC_KEY, amount, shown[4:6], amount, b"\x02", TERMINAL, TIME)
    assert reader.send("80520000", TIME + mac2) == tac.hex().upper() + "9000"

    shown = bytes.fromhex(reader.send("80500102", b"\x01" + spent + TERMINAL))[:-2]
    assert (shown[9], shown[10]) == (2, algorithm)
    session = reference.cmac(cipher, PURCHASE_KEY, shown[11:] + shown[4:6] + b"\x00\x07")
    mac1 = mac(session, spent, b"\x06", TERMINAL, TIME)
    sequence = bytes.fromhex("00000007")
    expected = mac(TAC_KEY, spent, b"\x06", TERMINAL, sequence, TIME) + mac(session, spent)
    answer = reader.send("80540100", sequence + TIME + mac1)
    assert answer == expected.hex().upper() + "9000"


@pytest.mark.parametrize("algorithm", SUITES, ids=lambda each: each.name)
def test_a_record_without_money_is_signed_by_the_card_and_proven_by_the_key_service(
    algorithm: Algorithm,
) -> None:
    """The digest is the suite's: SM3 beside SM4, SHA-256 beside the others."""
    record = encode_record(a_record(algorithm=algorithm, tac=bytes(4)))
    digest = SUITES[algorithm].digest(record)
    assert (digest == hashlib.sha256(record).digest()) is (algorithm is not Algorithm.SM4)
    vault, ref = KeyVault({}), KeyRef(KeyUsage.TAC, "demo-library", 1)
    vault.install(ref, bytes(range(16)), algorithm)
    service = KeyOperations(vault)
    factor = encode_bcd(a_record().card_number[-16:], 8)
    keys = [
        CardKey(
            slot.index,
            1,
            algorithm,
            service.derive_card_key(ref, factor)
            if slot.usage is KeyUsage.TAC
            else Key(slot.usage, bytes(16)),
            slot.tries_max,
        )
        for slot in library.KEYS
    ]
    reader = PlainReader(chip(library.package(LIBRARY, keys)))
    reader.select(library.NAME)
    tac = reader.data(f"008800{library.TAC_KEY:02X}20{digest.hex()}")

    def verdict(message: bytes) -> ProofReason:
        column = TacColumn(bytes((algorithm,)), b"\x01", factor, message, 32, tac)
        return ProofReason(service.prove_tacs("demo-library", column)[0])

    assert verdict(digest) is ProofReason.PROVEN
    assert verdict(digest[1:] + digest[:1]) is ProofReason.WRONG
