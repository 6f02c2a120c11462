"""The PSAM on its wire: published vectors, every refusal, and a sequence that never repeats."""

import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cardcore import cryptograms
from cardcore.apdu import CommandApdu, ResponseApdu, StatusWord, describe
from cardcore.crypto import SUITES, pboc_3des
from cardcore.errors import DecodeError, KeyServiceError, UnknownKeyError
from cardcore.keys import Algorithm, KeyRef, KeyUsage
from hsm_sim.psam import SEQUENCES_RESERVED, Psam, PsamProfile, make_psam
from hsm_sim.psam import module as psam_module
from hsm_sim.published_keys import issuer_key_refs, published_vault
from hsm_sim.vault import KeyVault
from tests.hsm_sim.test_vault import shows
from tests.support.shared import VECTORS, needs_shared

SUITE = SUITES[Algorithm.PBOC_3DES]
PURCHASE = KeyRef(KeyUsage.PURCHASE, "shenzhen", 1)
VAULT = published_vault(issuer_key_refs("shenzhen", 1) + issuer_key_refs("shenzhen", 2))
PROFILE = PsamProfile(
    terminal="040900010001",
    number="00000000040900010001",
    issuer=bytes.fromhex("02215840FFFFFFFF"),
    valid_from=date(2018, 1, 1),
    valid_to=date(2038, 12, 31),
    key_index=1,
    key_label="shenzhen",
)
FACTOR = bytes.fromhex("0487123456789012")
TIME = bytes.fromhex("20240821185844")


def send(psam: Psam, command: CommandApdu | str) -> ResponseApdu:
    raw = bytes.fromhex(command) if isinstance(command, str) else command.encode()
    return ResponseApdu.decode(psam.transmit(raw))


def initialise(**changes: bytes) -> CommandApdu:
    """INIT_SAM_FOR_PURCHASE with one field after another, as JR/T 0025 lays them out."""
    fields: dict[str, bytes] = {
        "random": bytes.fromhex("11223344"),
        "card_counter": bytes.fromhex("0005"),
        "amount": bytes.fromhex("00000064"),
        "transaction_type": b"\x09",
        "time": TIME,
        "key_version": b"\x01",
        "algorithm": b"\x00",
        "factor": FACTOR,
    }
    return CommandApdu(0x80, 0x70, 0, 0, b"".join({**fields, **changes}.values()), le=8)


def credit(mac2: bytes) -> CommandApdu:
    return CommandApdu(0x80, 0x72, 0, 0, mac2)


def card_mac2(sequence: int, version: int = 1) -> bytes:
    """What the genuine card answers: it holds its derived key, and shows that it was debited."""
    master = VAULT.key(replace(PURCHASE, version=version)).value
    session_input = cryptograms.purchase_session_input(bytes.fromhex("11223344"), 5, sequence)
    session_key = SUITE.session_key(SUITE.diversify(master, FACTOR), session_input)
    return SUITE.session_mac(session_key, cryptograms.purchase_mac2_message(100))


@pytest.fixture
def psam() -> Psam:
    return make_psam(PROFILE, VAULT)


@needs_shared
def test_the_diversified_vector_passes_through_the_psam() -> None:
    vectors = json.loads((VECTORS / "pboc_purse.json").read_text(encoding="utf-8"))
    vector = vectors["derived_not_published"][1]
    psam = make_psam(PROFILE, KeyVault({PURCHASE: bytes.fromhex(vector["master"])}))
    answer = send(psam, initialise(factor=bytes.fromhex(vector["factor"])))
    assert answer.data.hex().upper() == "00000001" + vector["mac1"]
    assert send(psam, credit(bytes.fromhex(vector["mac2"]))).ok


@needs_shared
def test_the_published_purchase_passes_through_the_psam(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = json.loads((VECTORS / "pboc_purse.json").read_text(encoding="utf-8"))
    vector = vectors["published"][0]

    class PublishedCardKey(pboc_3des.Pboc3DesSuite):
        """The page gives the card's key, and no master can be found that leads to it."""

        def diversify(self, master: bytes, factor: bytes) -> bytes:  # noqa: ARG002
            return bytes.fromhex(vector["key"])

    monkeypatch.setitem(psam_module._SUITES, 0x00, PublishedCardKey())
    psam = make_psam(replace(PROFILE, terminal=vector["terminal"]), VAULT)
    answer = send(
        psam,
        initialise(
            random=bytes.fromhex(vector["rand"]),
            card_counter=bytes.fromhex(vector["card_seq"]),
            amount=bytes.fromhex(vector["amount"]),
            transaction_type=bytes.fromhex(vector["type"]),
            time=bytes.fromhex(vector["datetime"]),
        ),
    )
    assert answer.data.hex().upper() == vector["terminal_seq"] + vector["mac1"]
    assert send(psam, credit(bytes.fromhex(vector["mac2"]))).ok


def test_a_genuine_card_is_accepted_under_every_version_the_psam_holds(psam: Psam) -> None:
    for version in (1, 2):
        answer = send(psam, initialise(key_version=bytes((version,))))
        sequence = int.from_bytes(answer.data[:4], "big")
        assert send(psam, credit(card_mac2(sequence, version))).ok


def test_both_algorithm_ids_of_triple_des_mean_the_same(psam: Psam) -> None:
    for algorithm in (b"\x00", b"\x01"):
        sequence = int.from_bytes(send(psam, initialise(algorithm=algorithm)).data[:4], "big")
        assert send(psam, credit(card_mac2(sequence))).ok


@pytest.mark.parametrize("bit", range(32))
def test_a_forged_mac2_is_9302_and_ends_the_transaction(psam: Psam, bit: int) -> None:
    sequence = int.from_bytes(send(psam, initialise()).data[:4], "big")
    honest = card_mac2(sequence)
    forged = (int.from_bytes(honest, "big") ^ 1 << bit).to_bytes(4, "big")
    assert send(psam, credit(forged)).sw == StatusWord.PURSE_MAC_WRONG
    assert send(psam, credit(honest)).sw == StatusWord.CONDITIONS_NOT_SATISFIED


def test_a_mac2_is_good_for_its_own_sequence_number_only(psam: Psam) -> None:
    first = int.from_bytes(send(psam, initialise()).data[:4], "big")
    send(psam, initialise())
    assert send(psam, credit(card_mac2(first))).sw == StatusWord.PURSE_MAC_WRONG


# Before, the command under test, after it whether a transaction is still open.
CONVERSATIONS = """
-                              80720000040011223344       6985  closed
INIT                           00A40000023F00             9000  closed
INIT                           00A4000002DF01             9000  closed
INIT                           RESET                      -     closed
INIT                           CREDIT                     9000  closed
INIT                           INIT                       9000  open
INIT                           00B0950000                 9000  open
INIT                           00A40000021234             6A82  open
INIT                           8072000003001122           6700  open
INIT                           80720100040011223344       6A86  open
INIT                           8070                       6700  open
INIT                           8070000000                 6700  open
INIT                           8070010000                 6A86  open
INIT                           80CA0000                   6D00  open
INIT                           84700000                   6E00  open
00A40000023F00                 INIT                       6985  closed
"""


@pytest.mark.parametrize(
    "line", CONVERSATIONS.strip().splitlines(), ids=lambda line: " ".join(line.split())
)
def test_a_transaction_is_one_uninterrupted_pair_of_commands(psam: Psam, line: str) -> None:
    before, command, status, after = line.split()
    sequence = 0

    def act(word: str) -> str:
        nonlocal sequence
        if word == "RESET":
            psam.reset()
            return "-"
        if word == "INIT":
            answer = send(psam, initialise())
            sequence = int.from_bytes(answer.data[:4], "big") if answer.ok else sequence
            return f"{answer.sw:04X}"
        if word == "CREDIT":
            return f"{send(psam, credit(card_mac2(sequence))).sw:04X}"
        return f"{send(psam, word).sw:04X}"

    if before != "-":
        assert act(before) == "9000"
    assert act(command) == status
    assert (act("CREDIT") == "9000") == (after == "open")


REFUSED_INIT = {
    "version not held": (initialise(key_version=b"\x09"), StatusWord.PURSE_KEY_INDEX_WRONG),
    "algorithm not known": (initialise(algorithm=b"\x04"), StatusWord.DATA_WRONG),
    "type of a load": (initialise(transaction_type=b"\x02"), StatusWord.DATA_WRONG),
    "second level": (initialise(factor=FACTOR + bytes(8)), StatusWord.WRONG_LENGTH),
    "no factor": (initialise(factor=b""), StatusWord.WRONG_LENGTH),
    "other P1": (replace(initialise(), p1=1), StatusWord.P1P2_WRONG),
    "other Le": (replace(initialise(), le=4), 0x6C08),
}


@pytest.mark.parametrize(("command", "status"), REFUSED_INIT.values(), ids=REFUSED_INIT)
def test_a_refused_init_uses_up_no_number_and_leaves_the_open_transaction(
    psam: Psam, command: CommandApdu, status: int
) -> None:
    sequence = int.from_bytes(send(psam, initialise()).data[:4], "big")
    image = psam.image()
    assert send(psam, command) == ResponseApdu(b"", status)
    assert psam.image() == image
    assert send(psam, credit(card_mac2(sequence))).ok
    assert int.from_bytes(send(psam, initialise()).data[:4], "big") == sequence + 1


READS = """
00B095000E  000000000409000100010101 0000                        9000
00B09600    040900010001                                         9000
00B0960000  040900010001                                         9000
00B0960402  0001                                                 9000
00B0970000  0102215840FFFFFFFF02215840FFFFFFFF2018010120381231   9000
00B0960007  -                                                    6C06
00B0960600  -                                                    6B00
00B0980000  -                                                    6A82
00B0160000  -                                                    6A86
00B096000122 -                                                   6700
"""


@pytest.mark.parametrize("line", READS.strip().splitlines(), ids=lambda line: line.split()[0])
def test_the_files_read_as_the_field_lays_them_out(psam: Psam, line: str) -> None:
    command, *data, status = line.split()
    expected = b"" if data == ["-"] else bytes.fromhex("".join(data))
    assert send(psam, command) == ResponseApdu(expected, int(status, 16))


def test_the_application_file_does_not_show_in_the_main_directory(psam: Psam) -> None:
    assert send(psam, "00A40000023F00").ok
    assert send(psam, "00B0970000").sw == StatusWord.FILE_NOT_FOUND
    assert len(send(psam, "00B0950000").data) == 14
    assert send(psam, "00A4000002DF01").ok
    assert len(send(psam, "00B0970000").data) == 25


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_any_bytes_get_a_status_word_and_change_nothing(commands: list[bytes]) -> None:
    psam = make_psam(PROFILE, VAULT)
    image = psam.image()
    for command in commands:
        answer = ResponseApdu.decode(psam.transmit(command))
        assert describe(answer.sw)
    assert psam.image() == image


@given(
    st.sampled_from([0x00, 0x80, 0x84]),
    st.sampled_from([0xA4, 0xB0, 0x70, 0x72, 0x1A]),
    st.integers(0, 255),
    st.integers(0, 255),
    st.binary(max_size=40),
    st.none() | st.integers(1, 256),
)
def test_any_well_formed_command_gets_a_known_status_word(
    cla: int, ins: int, p1: int, p2: int, data: bytes, le: int | None
) -> None:
    answer = send(make_psam(PROFILE, VAULT), CommandApdu(cla, ins, p1, p2, data, le))
    assert "unknown" not in describe(answer.sw) or answer.sw >> 8 == 0x6C
    assert answer.ok or answer.data == b""


class PowerLoss(RuleBasedStateMachine):
    """A PSAM whose image is stored when its generation grows, and whose power fails any time."""

    def __init__(self) -> None:
        super().__init__()
        self.psam = make_psam(PROFILE, VAULT)
        self.stored = self.psam.image()
        self.stored_generation = self.psam.generation
        self.given: list[int] = []

    @rule(times=st.integers(1, 2 * SEQUENCES_RESERVED))
    def transactions(self, times: int) -> None:
        for _ in range(times):
            answer = send(self.psam, initialise())
            if self.psam.generation != self.stored_generation:
                self.stored, self.stored_generation = self.psam.image(), self.psam.generation
            self.given.append(int.from_bytes(answer.data[:4], "big"))

    @rule()
    def reset(self) -> None:
        self.psam.reset()

    @rule()
    def power_fails(self) -> None:
        self.psam = Psam.from_image(self.stored, VAULT)
        assert self.psam.generation == self.stored_generation

    @precondition(lambda self: self.given)
    @rule()
    def power_fails_before_an_answer_is_passed_on(self) -> None:
        """The number was used inside and never seen outside; giving it again harms nobody."""
        send(self.psam, initialise())
        self.psam = Psam.from_image(self.stored, VAULT)

    @invariant()
    def every_number_seen_outside_is_higher_than_all_before(self) -> None:
        assert all(
            first < second for first, second in zip(self.given, self.given[1:], strict=False)
        )


TestPowerLoss = PowerLoss.TestCase
TestPowerLoss.settings = settings(max_examples=20, stateful_step_count=15, deadline=None)


def test_the_image_has_to_be_stored_once_in_a_run_of_numbers(psam: Psam) -> None:
    generations = []
    for _ in range(3 * SEQUENCES_RESERVED):
        send(psam, initialise())
        generations.append(psam.generation)
    assert generations == [1 + at // SEQUENCES_RESERVED for at in range(3 * SEQUENCES_RESERVED)]


def test_a_psam_that_has_given_its_last_number_gives_no_other() -> None:
    last = 2**32 - SEQUENCES_RESERVED
    psam = Psam(PROFILE, {1: VAULT.key(PURCHASE)}, last - SEQUENCES_RESERVED)
    for expected in range(last - SEQUENCES_RESERVED + 1, last + 1):
        assert int.from_bytes(send(psam, initialise()).data[:4], "big") == expected
    for again in (psam, Psam.from_image(psam.image(), VAULT)):
        assert send(again, initialise()).sw == StatusWord.COUNTER_OR_AMOUNT_LIMIT


def test_an_image_wakes_up_as_the_same_psam(psam: Psam) -> None:
    send(psam, initialise())
    again = Psam.from_image(psam.image(), VAULT)
    assert again.image() == psam.image()
    for read in ("00B0950000", "00B0960000", "00B0970000"):
        assert send(again, read) == send(psam, read)
    assert send(again, credit(card_mac2(1))).sw == StatusWord.CONDITIONS_NOT_SATISFIED


def test_an_image_altered_by_one_bit_or_cut_off_is_refused(psam: Psam) -> None:
    image = psam.image()
    for bit in range(8 * len(image)):
        altered = (int.from_bytes(image, "big") ^ 1 << bit).to_bytes(len(image), "big")
        with pytest.raises(DecodeError):
            Psam.from_image(altered, VAULT)
    for length in range(len(image)):
        with pytest.raises(DecodeError):
            Psam.from_image(image[:length], VAULT)


def test_a_vault_without_the_psams_keys_or_with_others_does_not_wake_it(psam: Psam) -> None:
    with pytest.raises(UnknownKeyError, match="purchase/shenzhen/v1"):
        Psam.from_image(psam.image(), published_vault([replace(PURCHASE, label="x")]))
    with pytest.raises(KeyServiceError, match="purchase/shenzhen/v1: the vault's key is not"):
        Psam.from_image(psam.image(), KeyVault({PURCHASE: bytes(16)}))
    with pytest.raises(UnknownKeyError, match="purchase/hangzhou"):
        make_psam(replace(PROFILE, key_label="hangzhou"), VAULT)


def test_no_key_byte_stands_in_the_image_or_in_any_text_of_the_psam(psam: Psam) -> None:
    send(psam, initialise())
    for ref in VAULT.refs():
        key = VAULT.key(ref).value
        assert not shows(f"{psam!r} {psam} {psam.image().hex()}", key)


@pytest.mark.parametrize(
    "changes",
    [
        {"terminal": "0409"},
        {"terminal": "not hexadeci"},
        {"number": "1234"},
        {"number": "0000000004090001000A"},
        {"issuer": bytes(7)},
        {"key_index": 256},
    ],
    ids=str,
)
def test_a_profile_that_does_not_fit_its_files_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        replace(PROFILE, **changes)
