"""Bus rides over pcscd: a card in the first virtual slot, a PSAM in the second.

Decides what is measured: a whole visit of the card, from asking for the reader to giving the card
back, beside as many commands that no chip has to think about. Leaves the figures' words to
`api.bench.figures`.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

from api.composition import open_city_keys
from api.output import progress_bar
from api.settings import read_settings
from api.simulation.single_card import issue_card, load_card, sample_plan
from cardcore.schemes.catalogue import SCHEMES
from cardcore.text import words
from terminals.journal.journal import Journal
from terminals.link.connection import CardConnection, Exchange, Peer, decode_trace
from terminals.link.pcsc import ReaderService, open_card
from terminals.link.reader_faults import ReaderError, ReaderProblem
from terminals.link.vpcd import SLOT_PORTS, Chip, VirtualCard, contactless_atr
from terminals.roles.bus import BUS
from terminals.tap.terminal import Terminal, make_device, read_psam
from terminals.taps import Fare, Hotlist, Place, TapRequest

SCHEME = SCHEMES["demo"]

CARD_READER, PSAM_READER = "Virtual PCD 00 00", "Virtual PCD 00 01"
_BUS_TERMINAL, _OPERATOR = "000101000001", 101
_LOAD_EVERY, _LOAD_FEN = 500, 100_000
_FARE = Fare(200, 180)
#: An instruction no chip has: its answer is 6D00 and costs nothing but the way there and back.
_BARE = bytes.fromhex("80FE000000")
_INSERTION_S = 5.0


@dataclass(frozen=True, slots=True)
class Rides:
    """Seconds of every ride, of the record MAC made after it, and of every bare round trip; what
    was said in the last ride.
    """

    rides: list[float]
    signing: list[float]
    said: tuple[Exchange, ...]
    round_trips: list[float] = field(default_factory=list)

    @property
    def apdus(self) -> int:
        """What the card is asked in a ride."""
        return sum(each.peer is Peer.CARD for each in self.said)

    @property
    def psam_apdus(self) -> int:
        """What the PSAM is asked in a ride."""
        return len(self.said) - self.apdus


def ride_over_readers(folder: Path, taps: int) -> Rides:
    """Measure `taps` bus rides. `ReaderError` and `VirtualReaderMissingError` without pcscd."""
    keys = open_city_keys(read_settings(), SCHEME)
    clock = datetime(2026, 9, 1, 6)  # noqa: DTZ001 - wall clock of the city
    rides, signing = [], []
    with ExitStack() as stack:
        psam_chip = keys.new_psam(SCHEME, _BUS_TERMINAL)
        card_chip = issue_card(keys, sample_plan(SCHEME, "citizen"))
        stack.enter_context(_in_slot(card_chip, 0, CARD_READER))
        stack.enter_context(_in_slot(psam_chip, 1, PSAM_READER))
        psam = stack.enter_context(open_card(PSAM_READER))
        journal = stack.enter_context(Journal.open(folder / "bus.sqlite", sender=_OPERATOR))
        advance = stack.enter_context(progress_bar(words("刷卡", "taps"), taps))
        device = make_device(read_psam(psam), SCHEME, _OPERATOR, Hotlist())
        terminal = Terminal(BUS, device, journal, psam)
        for number in range(taps):
            clock += timedelta(seconds=2)
            if number % _LOAD_EVERY == 0:
                with open_card(CARD_READER) as card:
                    assert load_card(card, keys, SCHEME, _LOAD_FEN, clock).done
                clock += timedelta(seconds=2)
            request = TapRequest(f"ride {number}", _FARE, Place(1, 0, 1), date(2026, 9, 1))
            started = time.perf_counter()
            with open_card(CARD_READER) as card:
                result = terminal.tap(card, request, clock)
            answered = time.perf_counter()
            rides.append(answered - started)
            assert result.record is not None, result
            assert terminal.sign_records() == 1
            signing.append(time.perf_counter() - answered)
            newest = result.record.terminal_serial
            advance()
        exchanges = decode_trace(journal.trace(_BUS_TERMINAL, newest))
        with open_card(CARD_READER) as card:
            bare = [_round_trip(card) for _ in range(taps * len(exchanges))]
    return Rides(rides, signing, exchanges, bare)


def _round_trip(card: CardConnection) -> float:
    started = time.perf_counter()
    card.transmit(_BARE)
    return time.perf_counter() - started


@contextmanager
def _in_slot(chip: Chip, slot: int, reader: str) -> Iterator[None]:
    """The chip in a virtual slot, from the moment pcscd has seen it."""
    virtual = VirtualCard(chip, contactless_atr(), SLOT_PORTS[slot])
    serving = threading.Thread(target=virtual.serve, daemon=True)
    serving.start()
    try:
        deadline = time.monotonic() + _INSERTION_S
        with ReaderService() as service:
            while not any(each.reader == reader and each.is_present for each in service.states()):
                if time.monotonic() > deadline:
                    raise ReaderError(ReaderProblem.NO_CARD, reader)
                time.sleep(0.01)
        yield
    finally:
        virtual.remove()
        serving.join()
