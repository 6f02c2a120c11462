"""Readers and what can go wrong with them: each a message that says what to do."""

import queue
import threading
import time
from collections.abc import Iterator
from statistics import median

import pytest

from terminals.errors import CardRemovedError
from terminals.link.pcsc import (
    CardEvent,
    ReaderEvent,
    ReaderService,
    choose_reader,
    open_card,
    translate,
)
from terminals.link.reader_faults import ReaderError, ReaderProblem
from tests.pcsc.slots import CARD_ATR, PSAM_ATR, READERS, Slots, needs_pcscd
from tests.support.patience import SOON_S
from tests.terminals.equipment import a_card, a_psam

SELECT = bytes.fromhex("00A4040008A00000063201010500")
MANY = ["ACS ACR122U 00 00", "Virtual PCD 00 00", "Virtual PCD 00 01", "Virtual PCD 00 01 B"]


def problem_of(error: pytest.ExceptionInfo[ReaderError]) -> ReaderProblem:
    return error.value.problem


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (None, "ACS ACR122U 00 00"),
        ("acr", "ACS ACR122U 00 00"),
        ("pcd 00 00", "Virtual PCD 00 00"),
        ("Virtual PCD 00 01", "Virtual PCD 00 01"),
    ],
)
def test_a_reader_is_chosen_by_part_of_its_name(wanted: str | None, found: str) -> None:
    assert choose_reader(MANY, wanted) == found


@pytest.mark.parametrize(
    ("names", "wanted", "problem"),
    [
        ([], None, ReaderProblem.NO_READER),
        ([], "acr", ReaderProblem.NO_READER),
        (MANY, "omnikey", ReaderProblem.READER_UNKNOWN),
        (MANY, "virtual", ReaderProblem.READER_AMBIGUOUS),
    ],
)
def test_a_name_that_is_no_reader_is_refused(
    names: list[str], wanted: str | None, problem: ReaderProblem
) -> None:
    with pytest.raises(ReaderError) as error:
        choose_reader(names, wanted)
    assert problem_of(error) is problem


@pytest.mark.parametrize("code", [0x80100016, 0x8010002F, 0x80100067, 0x80100068, 0x80100069])
def test_a_card_that_left_or_was_reset_is_a_torn_card(code: int) -> None:
    assert isinstance(translate(code), CardRemovedError)
    # pyscard gives codes as signed numbers on some platforms.
    assert isinstance(translate(code - (1 << 32)), CardRemovedError)


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        (0x80100009, ReaderProblem.READER_UNPLUGGED),
        (0x80100017, ReaderProblem.READER_UNPLUGGED),
        (0x8010006A, ReaderProblem.ACCESS_DENIED),
        (0x8010001D, ReaderProblem.SERVICE_NOT_RUNNING),
        (0x80100066, ReaderProblem.CARD_MUTE),
    ],
)
def test_a_reader_that_fails_is_no_torn_card(code: int, problem: ReaderProblem) -> None:
    error = translate(code, "reader A")
    assert isinstance(error, ReaderError)
    assert error.problem is problem
    assert "reader A" in str(error)


def test_every_problem_says_what_to_do_in_both_languages() -> None:
    for problem in ReaderProblem:
        assert not problem.text.zh.isascii()
        assert problem.text.en.isascii()


def test_an_unheard_of_code_is_named() -> None:
    assert "80109999" in str(translate(0x80109999, "reader A"))


class Watch:
    """Events of the readers as they come, from a thread of its own."""

    def __init__(self) -> None:
        self._events: queue.Queue[ReaderEvent] = queue.Queue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with ReaderService() as service:
            for event in service.watch(self._stop.is_set):
                self._events.put(event)

    def next(self) -> ReaderEvent:
        return self._events.get(timeout=SOON_S)

    def close(self) -> None:
        self._stop.set()
        self._thread.join(SOON_S)


@pytest.fixture
def watch(slots: Slots) -> Iterator[Watch]:
    assert slots
    watching = Watch()
    yield watching
    watching.close()


#: Longer than any answer to reset (33 bytes, ISO/IEC 7816-3 §8.2), so it is none.
NOISE = b"\x3b" + b"\xff" * 40


class Mute:
    """Something on the reader that answers nothing."""

    def reset(self) -> object:
        return None

    def transmit(self, command: bytes) -> bytes:
        raise AssertionError(command)


class TestWithReaders:
    pytestmark = needs_pcscd

    def test_inserted_and_removed_cards_are_reported(self, slots: Slots, watch: Watch) -> None:
        assert {watch.next() for _ in READERS} == {
            ReaderEvent(CardEvent.READER_ADDED, name) for name in READERS
        }
        card = slots.insert(a_card())
        assert watch.next() == ReaderEvent(CardEvent.INSERTED, READERS[0], CARD_ATR)
        slots.insert(a_psam("584000000001"), 1, PSAM_ATR)
        assert watch.next() == ReaderEvent(CardEvent.INSERTED, READERS[1], PSAM_ATR)
        slots.take_out(card)
        assert watch.next() == ReaderEvent(CardEvent.REMOVED, READERS[0])

    def test_a_card_that_does_not_answer_is_an_unknown_card(
        self, slots: Slots, watch: Watch
    ) -> None:
        for _ in READERS:
            watch.next()
        slots.connect(Mute(), atr=NOISE)
        assert watch.next() == ReaderEvent(CardEvent.UNKNOWN_CARD, READERS[0])
        with ReaderService() as service:
            assert [state.is_mute for state in service.states()] == [True, False]
        with pytest.raises(ReaderError) as error, open_card(READERS[0]):
            pass
        assert problem_of(error) is ReaderProblem.CARD_MUTE

    def test_an_empty_reader_says_that_no_card_is_there(self, slots: Slots) -> None:
        assert slots
        with pytest.raises(ReaderError) as error, open_card("PCD 00 00"):
            pass
        assert problem_of(error) is ReaderProblem.NO_CARD

    def test_who_waits_too_long_hears_that_the_reader_is_in_use(self, slots: Slots) -> None:
        slots.insert(a_card())
        with open_card(READERS[0]) as first:
            first.transmit(SELECT)
            started = time.monotonic()
            with pytest.raises(ReaderError) as error, open_card(READERS[0], patience_s=0.3):
                pass
            assert problem_of(error) is ReaderProblem.READER_IN_USE
            assert time.monotonic() - started < 2
            assert first.transmit(bytes.fromhex("805C000204"))[-2:] == b"\x90\x00"
        # The one that gave up gets its turn now and hands it straight back.
        with open_card(READERS[0]) as third:
            assert third.transmit(SELECT)[-2:] == b"\x90\x00"

    def test_who_waits_patiently_gets_the_reader_and_a_card_that_remembers_nothing(
        self, slots: Slots
    ) -> None:
        slots.insert(a_card())
        answers: list[bytes] = []

        def second_program() -> None:
            with open_card(READERS[0], patience_s=SOON_S) as card:
                answers.append(card.transmit(bytes.fromhex("805C000204")))

        waiting = threading.Thread(target=second_program)
        with open_card(READERS[0]) as first:
            first.transmit(SELECT)
            waiting.start()
            time.sleep(0.2)
            assert not answers
        waiting.join(SOON_S)
        # The first one's selection went with its visit.
        assert answers[0][-2:] != b"\x90\x00"

    def test_a_reader_held_exclusively_is_in_use(self, slots: Slots) -> None:
        slots.insert(a_card())
        with (
            open_card(READERS[0], exclusive=True),
            pytest.raises(ReaderError) as error,
            open_card(READERS[0]),
        ):
            pass
        assert problem_of(error) is ReaderProblem.READER_IN_USE

    def test_a_card_taken_away_between_commands_is_a_torn_card(self, slots: Slots) -> None:
        whole = slots.insert(a_card())
        with open_card(READERS[0]) as card:
            card.transmit(SELECT)
            slots.take_out(whole)
            with pytest.raises(CardRemovedError):
                card.transmit(SELECT)

    def test_a_command_does_not_wait_for_a_delayed_acknowledgement(self, slots: Slots) -> None:
        slots.insert(a_card())
        seconds = []
        with open_card(READERS[0]) as card:
            for _ in range(40):
                started = time.perf_counter()
                card.transmit(SELECT)
                seconds.append(time.perf_counter() - started)
        # A line without TCP_NODELAY and TCP_QUICKACK takes more than 40 ms for each.
        assert median(seconds) < 0.02

    def test_resetting_a_card_ends_its_session_and_keeps_the_visit(self, slots: Slots) -> None:
        slots.insert(a_card())
        with open_card(READERS[0]) as card:
            assert card.atr == CARD_ATR
            card.transmit(SELECT)
            card.reset()
            assert card.transmit(bytes.fromhex("805C000204"))[-2:] != b"\x90\x00"
            assert card.transmit(SELECT)[-2:] == b"\x90\x00"
