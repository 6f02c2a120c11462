"""R8: no file, whoever signed it, stops a run or changes what others are paid."""

from dataclasses import fields
from random import Random

import pytest

from cardcore.records.batch import DeviceRegister
from cardcore.records.record import RECORD_BYTES
from settlement.intake.answers import FileAnswer
from tests.settlement.attacks.town import (
    ACCEPTED,
    AGENT,
    AGENT_HOST,
    BUS,
    BUS_COLLECTOR,
    Card,
    Town,
    at,
)

FARE_FEN, LOAD_FEN = 160, 10_000
_SIZES = {"lifetime_debit_fen": 64, "lifetime_load_fen": 64, "unresolved_fen": 64}
NUMBERS = [each.name for each in fields(DeviceRegister) if each.name != "terminal"]


def loaded(town: Town) -> tuple[Card, bytes]:
    card = town.card(1)
    return card, card.load(town.kiosk, LOAD_FEN, at("07:00"))


def extremes(name: str) -> list[int]:
    bits = _SIZES.get(name, 32)
    return [0, 2 ** (bits - 1) - 1, 2 ** (bits - 1), 2**bits - 1]


@pytest.mark.parametrize("name", NUMBERS)
def test_one_signed_file_with_an_extreme_device_register(town: Town, name: str) -> None:
    """2^63 in a lifetime sum among them: refused at intake, or harmless for ever."""
    card, load = loaded(town)
    ride = card.pay(town.bus, FARE_FEN, at())
    values = dict(zip(NUMBERS, (1, 1, 1, FARE_FEN, 0, 0, 0), strict=True))
    kept = 0
    for value in extremes(name):
        register = DeviceRegister(town.bus.number, **(values | {name: value}))
        answer = town.send(BUS_COLLECTOR, [], registers=[register], sequence=kept + 1).answer
        assert answer in {FileAnswer.ACCEPTED, FileAnswer.BEYOND_BOUNDS}
        kept += answer is FileAnswer.ACCEPTED
    town.settle((AGENT_HOST, [load]))
    assert town.send(BUS_COLLECTOR, [ride], sequence=kept + 1).answer is FileAnswer.ACCEPTED
    town.close()
    assert town.fate(ride) == ACCEPTED
    town.expect(paid={BUS: FARE_FEN}, billed={AGENT: LOAD_FEN})


@pytest.mark.parametrize("value", [0x00, 0xFF, 0x99, 0x7F])
def test_a_file_of_records_with_every_byte_overwritten(town: Town, value: int) -> None:
    card, load = loaded(town)
    ride = card.pay(town.bus, FARE_FEN, at())
    spoilt = [ride[:n] + bytes((value,)) + ride[n + 1 :] for n in reversed(range(RECORD_BYTES))]
    town.settle((AGENT_HOST, [load]), (BUS_COLLECTOR, spoilt))
    town.settle((BUS_COLLECTOR, [ride, *spoilt]))
    town.expect(paid={BUS: FARE_FEN}, billed={AGENT: LOAD_FEN})


@pytest.mark.parametrize("seed", range(3))
def test_a_file_of_dice(town: Town, seed: int) -> None:
    dice = Random(seed)
    card, load = loaded(town)
    ride = card.pay(town.bus, FARE_FEN, at())
    junk = [dice.randbytes(RECORD_BYTES) for _ in range(60)]
    # Half of them say that they are records of this version and of a kind that is.
    junk += [bytes((2, dice.randint(1, 12))) + dice.randbytes(RECORD_BYTES - 2) for _ in range(60)]
    closed = town.settle((AGENT_HOST, [load]), (BUS_COLLECTOR, [ride, *junk]))
    assert town.totals(closed)["records"] == len(junk) + 2
    assert town.fate(ride) == ACCEPTED
    town.expect(paid={BUS: FARE_FEN}, billed={AGENT: LOAD_FEN})
