"""Cards are made through the reader, as at an issuing desk, and work in the street at once."""

from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from api.composition import open_city_keys
from api.settings import read_settings
from api.simulation.single_card import load_card, sample_plan, stock_card
from cardcore.issuing.dialogue import Finished, Result, drive
from cardcore.issuing.personalisation import personalise
from cardcore.schemes.catalogue import SCHEMES
from terminals.errors import CardRemovedError
from terminals.journal.journal import Journal
from terminals.link.pcsc import open_card
from terminals.reading.card import read_card
from terminals.roles.bus import BUS
from terminals.tap.terminal import Terminal, make_device, read_psam
from terminals.taps import Fare, Hotlist, Place, TapOutcome, TapRequest
from tests.pcsc.slots import PSAM_ATR, READERS, Slots, needs_pcscd

SCHEME = SCHEMES["demo"]

pytestmark = [
    *needs_pcscd,
    pytest.mark.filterwarnings("ignore::cardcore.keys.InsecureKeyServiceWarning"),
]
CHALLENGE = bytes(range(8))
NOON = datetime.fromisoformat("2026-09-01T12:00:00")


def test_a_chip_in_stock_becomes_a_citizen_card_and_rides_a_bus(
    slots: Slots, tmp_path: Path
) -> None:
    keys = open_city_keys(read_settings(), SCHEME)
    plan = sample_plan(SCHEME, "citizen")
    slots.insert(stock_card(keys, plan))
    with open_card(READERS[0]) as card:
        assert read_card(card).applications == ()
        finished = drive(personalise(plan, keys.service, CHALLENGE), card.transmit)
    assert finished == Finished(Result.DONE, "check")
    with open_card(READERS[0]) as card:
        assert len(read_card(card).applications) == len(plan.applications) == 5
        assert load_card(card, keys, SCHEME, 5_000, NOON) is TapOutcome.APPROVED
    with ExitStack() as stack:
        slots.insert(keys.new_psam(SCHEME, "000101000001"), 1, PSAM_ATR)
        psam = stack.enter_context(open_card(READERS[1]))
        journal = stack.enter_context(Journal.open(tmp_path / "bus.sqlite", sender=101))
        bus = Terminal(BUS, make_device(read_psam(psam), SCHEME, 101, Hotlist()), journal, psam)
        card = stack.enter_context(open_card(READERS[0]))
        request = TapRequest("ride", Fare(200, 180), Place(1, 1, 1), NOON.date())
        result = bus.tap(card, request, NOON + timedelta(minutes=1))
        assert result.outcome is TapOutcome.APPROVED
        assert result.record is not None
        assert result.record.balance_after_fen == 4_820


def test_a_card_pulled_away_while_it_is_made_is_finished_on_its_return(slots: Slots) -> None:
    keys = open_city_keys(read_settings(), SCHEME)
    plan = sample_plan(SCHEME, "anonymous")
    chip = stock_card(keys, plan)
    in_slot = slots.insert(chip)
    done = 0
    with open_card(READERS[0]) as card:
        talk = personalise(plan, keys.service, CHALLENGE)
        exchange = next(talk)
        for _ in range(12):
            exchange = talk.send(card.transmit(exchange.command))
            done = exchange.done
        slots.take_out(in_slot)
        with pytest.raises(CardRemovedError):
            card.transmit(exchange.command)
    assert done > 0
    slots.insert(chip)
    with open_card(READERS[0]) as card:
        finished = drive(personalise(plan, keys.service, CHALLENGE, done), card.transmit)
        assert finished == Finished(Result.DONE, "check")
        assert len(read_card(card).applications) == len(plan.applications)
