"""The PSAM on its wire: published vectors, every refusal, and a sequence that never repeats."""

import json
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cardcore.apdu import CommandApdu, ResponseApdu, StatusWord, describe
from cardcore.crypto import cryptograms
from cardcore.errors import KeyServiceUnavailableError, PowerLossError
from cardcore.keys import Algorithm, KeyRef, KeyState, KeyUsage
from hsm_sim.keys.masters import CardKeyHandle
from hsm_sim.keys.vault import CardKeyInMemory, KeyVault
from hsm_sim.psam import MAC2_TRIES_MAX, SEQUENCES_RESERVED, Psam, make_psam
from tests.hsm_sim.psam.psams import (
    ALGORITHMS,
    FACTOR,
    ISSUER_FACTOR,
    PROFILE,
    PURCHASE,
    TIME,
    VAULT,
    a_psam,
    a_vault,
    card_mac,
    card_mac2,
    credit,
    initialise,
    pay,
    pay_with_forged_card,
    send,
    sequence_of,
)
from tests.support.shared import VECTORS, needs_shared


@pytest.fixture
def psam() -> Psam:
    return a_psam()


@needs_shared
def test_the_diversified_vector_passes_through_the_psam() -> None:
    vectors = json.loads((VECTORS / "pboc_purse.json").read_text(encoding="utf-8"))
    vector = vectors["derived_not_published"][1]
    psam = make_psam(PROFILE, KeyVault({PURCHASE: bytes.fromhex(vector["master"])}))
    answer = send(psam, initialise(factor=bytes.fromhex(vector["factor"])))
    assert answer.data.hex().upper() == "00000001" + vector["mac1"]
    assert send(psam, credit(bytes.fromhex(vector["mac2"]))).ok


@needs_shared
def test_the_published_purchase_passes_through_the_psam() -> None:
    vectors = json.loads((VECTORS / "pboc_purse.json").read_text(encoding="utf-8"))
    vector = vectors["published"][0]

    class PublishedCardKey(KeyVault):
        """The page gives the card's key, and no master can be found that leads to it."""

        def card_key(self, ref: KeyRef, factor: bytes) -> CardKeyHandle:
            assert (ref, factor) == (PURCHASE, FACTOR)
            value = bytes.fromhex(vector["key"])
            return CardKeyInMemory(KeyUsage.PURCHASE, value, Algorithm.PBOC_3DES)

    masters = PublishedCardKey({PURCHASE: VAULT.key(PURCHASE).value})
    psam = make_psam(replace(PROFILE, terminal=vector["terminal"]), masters)
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


@pytest.mark.parametrize("version", ALGORITHMS)
@pytest.mark.parametrize("levels", [1, 2, 3])
def test_a_genuine_card_is_accepted_in_every_suite_and_below_every_level(
    version: int, levels: int
) -> None:
    psam = a_psam(a_vault(levels))
    algorithm = b"\x00" if version == 2 else bytes((ALGORITHMS[version],))
    factor = (FACTOR + ISSUER_FACTOR + ISSUER_FACTOR[::-1])[: 8 * levels]
    command = initialise(key_version=bytes((version,)), algorithm=algorithm, factor=factor)
    assert len(command.data) == {1: 0x1C, 2: 0x24, 3: 0x2C}[levels]
    answer = send(psam, command)
    sequence = sequence_of(answer)
    terminal = bytes.fromhex(PROFILE.terminal)
    message = cryptograms.purchase_mac1_message(100, 9, terminal, TIME)
    assert answer.data[4:] == card_mac(sequence, message, version, factor)
    assert send(psam, credit(card_mac2(sequence, version, factor))).ok


def test_the_factors_of_two_levels_cannot_change_places() -> None:
    psam = a_psam(a_vault(2))
    sequence = sequence_of(send(psam, initialise(factor=FACTOR + ISSUER_FACTOR)))
    swapped = card_mac2(sequence, factor=ISSUER_FACTOR + FACTOR)
    assert send(psam, credit(swapped)).sw == StatusWord.PURSE_MAC_WRONG


@pytest.mark.parametrize("bit", range(32))
def test_a_forged_mac2_is_9302_and_ends_the_transaction(psam: Psam, bit: int) -> None:
    sequence = sequence_of(send(psam, initialise()))
    honest = card_mac2(sequence)
    forged = (int.from_bytes(honest, "big") ^ 1 << bit).to_bytes(4, "big")
    assert send(psam, credit(forged)).sw == StatusWord.PURSE_MAC_WRONG
    assert send(psam, credit(honest)).sw == StatusWord.CONDITIONS_NOT_SATISFIED


def test_a_mac2_is_good_for_its_own_sequence_number_only(psam: Psam) -> None:
    first = sequence_of(send(psam, initialise()))
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
    "algorithm not known": (initialise(algorithm=b"\x02"), StatusWord.DATA_WRONG),
    "algorithm of another key": (initialise(algorithm=b"\x04"), StatusWord.DATA_WRONG),
    "key of another algorithm": (initialise(key_version=b"\x05"), StatusWord.DATA_WRONG),
    "type of a load": (initialise(transaction_type=b"\x02"), StatusWord.DATA_WRONG),
    "half a level": (initialise(factor=FACTOR + bytes(4)), StatusWord.WRONG_LENGTH),
    "fourth level": (initialise(factor=bytes(32)), StatusWord.WRONG_LENGTH),
    "no factor": (initialise(factor=b""), StatusWord.WRONG_LENGTH),
    "a level too many": (initialise(factor=FACTOR + ISSUER_FACTOR), StatusWord.KEY_NOT_FOUND),
    "other P1": (initialise()._replace(p1=1), StatusWord.P1P2_WRONG),
    "other Le": (initialise()._replace(le=4), 0x6C08),
}


@pytest.mark.parametrize(("command", "status"), REFUSED_INIT.values(), ids=REFUSED_INIT)
def test_a_refused_init_uses_up_no_number_and_leaves_the_open_transaction(
    psam: Psam, command: CommandApdu, status: int
) -> None:
    sequence = sequence_of(send(psam, initialise()))
    image = psam.image()
    assert send(psam, command) == ResponseApdu(b"", status)
    assert psam.image() == image
    assert send(psam, credit(card_mac2(sequence))).ok
    assert sequence_of(send(psam, initialise())) == sequence + 1


READS = """
00B095000E  000000000409000100010101 0000                        9000
00B09600    040900010001                                         9000
00B0960000  040900010001                                         9000
00B0960402  0001                                                 9000
00B0970000  0102215840FFFFFFFF02215840FFFFFFFF2018010120381231   9000
00B0960007  -                                                    6C06
00B0960600  -                                                    6B00
00B0980000  00000000                                             9000
00B0990004  00000000                                             9000
00B0990302  -                                                    6C01
00B09A0000  -                                                    6A82
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
    for hidden in ("00B0970000", "00B0980000", "00B0990000"):
        assert send(psam, hidden).sw == StatusWord.FILE_NOT_FOUND
    assert len(send(psam, "00B0950000").data) == 14
    assert send(psam, "00A4000002DF01").ok
    assert len(send(psam, "00B0970000").data) == 25


def test_the_sequence_files_show_the_last_number_of_each_type(psam: Psam) -> None:
    shown = []
    for transaction_type in (b"\x06", b"\x09", b"\x09", b"\x06"):
        send(psam, initialise(transaction_type=transaction_type))
        files = (send(psam, command).data for command in ("00B0980004", "00B0990004"))
        shown.append(tuple(int.from_bytes(data, "big") for data in files))
    assert shown == [(1, 0), (1, 2), (1, 3), (4, 3)]
    again = Psam.from_image(psam.image(), VAULT)
    for command in ("00B0980004", "00B0990004"):
        assert send(again, command).data == SEQUENCES_RESERVED.to_bytes(4, "big")


COMMANDS = st.one_of(
    st.binary(max_size=300),
    st.builds(
        lambda cla, ins, p1, p2, data, le: CommandApdu(cla, ins, p1, p2, data, le).encode(),
        st.sampled_from([0x00, 0x80, 0x84]),
        st.sampled_from([0xA4, 0xB0, 0x84, 0x18, 0x70, 0x72, 0x7C, 0x7E, 0x1A, 0xFA, 0xC0]),
        st.sampled_from([0x00, 0x01, 0x03, 0x05, 0x07, 0x25, 0x27, 0x28, 0x96])
        | st.integers(0, 255),
        st.sampled_from([0x00, 0x01, 0x0A]) | st.integers(0, 255),
        st.sampled_from([b"", bytes(4), bytes(8), bytes.fromhex("DF01"), initialise().data])
        | st.sampled_from([bytes(16)])
        | st.binary(max_size=60),
        st.none() | st.integers(1, 256),
    ),
)


@given(st.lists(COMMANDS, max_size=8), st.booleans())
def test_any_bytes_get_a_known_status_word_and_a_refusal_changes_nothing(
    commands: list[bytes],
    locked: bool,  # noqa: FBT001 - drawn by hypothesis
) -> None:
    psam = a_psam()
    while locked and send(psam, initialise()).ok:
        send(psam, credit(bytes(4)))
    for command in commands:
        image, generation = psam.image(), psam.generation
        answer = ResponseApdu.decode(psam.transmit(command))
        assert "unknown" not in describe(answer.sw).en
        assert answer.ok or answer.data == b""
        # A comparison is the one refusal that leaves a trace.
        if not answer.ok and answer.sw not in {StatusWord.PURSE_MAC_WRONG, StatusWord.MAC_WRONG}:
            assert (psam.image(), psam.generation) == (image, generation)


@dataclass
class PowerCut:
    """Power fails at the n-th question, before or after one of the PSAM's writes."""

    questions_left: int

    def __call__(self) -> None:
        self.questions_left -= 1
        if self.questions_left < 0:
            raise PowerLossError("no power at a write")


class PowerLoss(RuleBasedStateMachine):
    """A PSAM whose image is stored when its generation grows, and whose power fails any time."""

    def __init__(self) -> None:
        super().__init__()
        self.psam = a_psam()
        self.stored = self.psam.image()
        self.stored_generation = self.psam.generation
        self.given: list[int] = []
        self.forged_in_a_row = 0

    def store(self) -> None:
        """Also what a power cut inside the PSAM has left behind."""
        if self.psam.generation != self.stored_generation:
            self.stored, self.stored_generation = self.psam.image(), self.psam.generation

    def wake_up(self) -> None:
        self.psam = Psam.from_image(self.stored, VAULT)
        self.stored_generation = self.psam.generation

    def is_locked(self) -> bool:
        return send(self.psam, "00A4000002DF01").sw == StatusWord.FILE_INVALIDATED

    @precondition(lambda self: not self.is_locked())
    @rule(times=st.integers(1, 2 * SEQUENCES_RESERVED))
    def transactions(self, times: int) -> None:
        for _ in range(times):
            answer = send(self.psam, initialise())
            self.store()
            self.given.append(sequence_of(answer))

    @precondition(lambda self: not self.is_locked())
    @rule(times=st.integers(1, SEQUENCES_RESERVED + 1))
    def events_without_a_purse(self, times: int) -> None:
        for _ in range(times):
            answer = send(self.psam, "807E000004")
            self.store()
            self.given.append(sequence_of(answer))

    @precondition(lambda self: not self.is_locked())
    @rule()
    def an_honest_card(self) -> None:
        sequence = sequence_of(send(self.psam, initialise()))
        self.store()
        self.given.append(sequence)
        assert send(self.psam, credit(card_mac2(sequence))).ok
        self.store()
        self.forged_in_a_row = 0

    @precondition(lambda self: not self.is_locked())
    @rule(questions=st.none() | st.integers(0, 1))
    def a_forged_card(self, questions: int | None) -> None:
        """Power may fail before the try is written: then nothing was compared either."""
        sequence = sequence_of(send(self.psam, initialise()))
        self.store()
        self.given.append(sequence)
        if questions is not None:
            self.psam.power = PowerCut(questions)
        try:
            sw = send(self.psam, credit(bytes(4))).sw
            assert sw == StatusWord.PURSE_MAC_WRONG
        except PowerLossError:
            self.forged_in_a_row -= questions == 0
        self.forged_in_a_row += 1
        self.psam.power = None
        self.store()

    @rule()
    def reset(self) -> None:
        self.psam.reset()

    @rule()
    def power_fails(self) -> None:
        self.wake_up()

    @precondition(lambda self: self.given and not self.is_locked())
    @rule()
    def power_fails_before_an_answer_is_passed_on(self) -> None:
        """The number was used inside and never seen outside; giving it again harms nobody."""
        send(self.psam, initialise())
        self.wake_up()

    @invariant()
    def every_number_seen_outside_is_higher_than_all_before(self) -> None:
        assert all(
            first < second for first, second in zip(self.given, self.given[1:], strict=False)
        )

    @invariant()
    def it_is_locked_when_and_only_when_so_many_forged_cards_came_in_a_row(self) -> None:
        assert self.is_locked() == (self.forged_in_a_row >= MAC2_TRIES_MAX)


TestPowerLoss = PowerLoss.TestCase
TestPowerLoss.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)


def test_the_image_has_to_be_stored_once_in_a_run_of_numbers(psam: Psam) -> None:
    generations = []
    for _ in range(3 * SEQUENCES_RESERVED):
        pay(psam)
        generations.append(psam.generation)
    assert generations == [1 + at // SEQUENCES_RESERVED for at in range(3 * SEQUENCES_RESERVED)]


def test_every_forged_card_changes_the_image(psam: Psam) -> None:
    pay(psam)
    for forged in range(1, MAC2_TRIES_MAX):
        assert pay_with_forged_card(psam) == StatusWord.PURSE_MAC_WRONG
        assert psam.generation == 1 + forged


def test_power_lost_at_a_write_leaves_a_psam_that_goes_on_after_the_run(psam: Psam) -> None:
    pay(psam)
    send(psam, initialise())
    psam.power = PowerCut(1)
    with pytest.raises(PowerLossError):
        send(psam, credit(card_mac2(2)))
    psam.power = None
    assert send(psam, credit(card_mac2(2))).sw == StatusWord.CONDITIONS_NOT_SATISFIED
    assert sequence_of(send(psam, initialise())) == SEQUENCES_RESERVED + 1


class _Silent(KeyVault):
    """A key service that has stopped answering."""

    def card_key(self, ref: KeyRef, factor: bytes) -> CardKeyHandle:
        raise KeyServiceUnavailableError(f"{ref} {len(factor)}: no answer")


def test_a_key_service_that_does_not_answer_is_6400_and_uses_up_no_number() -> None:
    psam = make_psam(PROFILE, _Silent({PURCHASE: VAULT.key(PURCHASE).value}))
    before = psam.held, psam.generation
    assert send(psam, initialise()) == ResponseApdu(b"", StatusWord.EXECUTION_ERROR)
    assert (psam.held, psam.generation) == before


def test_a_key_destroyed_after_the_psam_was_made_serves_no_more() -> None:
    vault = a_vault()
    psam = a_psam(vault)
    vault.move(PURCHASE, KeyState.RETIRING)
    pay(psam)
    vault.move(PURCHASE, KeyState.DESTROYED)
    image = psam.image()
    assert send(psam, initialise()).sw == StatusWord.KEY_NOT_FOUND
    assert psam.image() == image
    assert Psam.from_image(image, vault).image() == image


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


@pytest.mark.parametrize("day", ["99999999", "20230229", "00000000", "2024082A"])
def test_a_psam_signs_no_day_that_no_calendar_has(day: str) -> None:
    psam = a_psam()
    before = psam.image()
    assert send(psam, initialise(time=bytes.fromhex(day + "120000"))).sw == 0x6A80
    assert send(psam, initialise(time=TIME[:4] + b"\x24\x00\x00")).sw == 0x6A80
    assert psam.image() == before
    assert send(psam, initialise()).data[:4] == (1).to_bytes(4, "big")
