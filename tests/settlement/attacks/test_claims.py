"""R2, R3: what nobody signed is a claim. It moves nothing by itself, and holds nothing back."""

from pathlib import Path

import pytest

from cardcore.records.kinds import RecordFlag
from cardcore.records.record import FIELD
from settlement.store.days import load_gaps
from tests.settlement.attacks.town import (
    ACCEPTED,
    AGENT,
    AGENT_HOST,
    BUS,
    BUS_COLLECTOR,
    FOREIGN_CARD,
    METRO,
    METRO_COLLECTOR,
    TAC_MISSING,
    TAC_WRONG,
    Card,
    Town,
    altered,
    at,
    build_town,
    vouched,
)

FARE_FEN, LOAD_FEN = 160, 10_000
#: The most a record can say, 42.9 million yuan.
MOST_FEN = 2**32 - 1


def loaded(town: Town, number: int = 1) -> tuple[Card, bytes]:
    card = town.card(number)
    return card, card.load(town.kiosk, LOAD_FEN, at("07:00"))


def without_tac(record: bytes, *, is_said: bool = True) -> bytes:
    """The record of a torn tap that the card never proved."""
    bare = altered(record, "tac", bytes(8))
    return altered(bare, "flags", int(RecordFlag.TAC_MISSING)) if is_said else bare


def test_true_debit_11_rewritten_as_counter_12_and_hole_11_filled_without_tac(town: Town) -> None:
    card, load = loaded(town)
    rides = [card.pay(town.gate, FARE_FEN, at(f"08:{n:02}")) for n in range(11)]
    town.settle((AGENT_HOST, [load]), (METRO_COLLECTOR, rides))
    stolen_fen = 5_000
    true = card.pay(town.bus, FARE_FEN, at("12:00", 1))
    rewritten = altered(true, "offline_counter", 12)
    rewritten = altered(rewritten, "balance_before_fen", card.balance_fen + FARE_FEN - stolen_fen)
    rewritten = altered(rewritten, "balance_after_fen", card.balance_fen - stolen_fen)
    filler = altered(true, "amount_fen", stolen_fen)
    filler = altered(filler, "balance_after_fen", card.balance_fen + FARE_FEN - stolen_fen)
    filler = altered(altered(filler, "terminal_serial", 77), "psam_sequence", 77)
    filler, rewritten = (vouched(each, town.bus.psam) for each in (without_tac(filler), rewritten))
    closed = town.settle((BUS_COLLECTOR, [filler, rewritten]))
    assert (town.fate(rewritten), town.fate(filler)) == (ACCEPTED, TAC_MISSING)
    assert town.told(rewritten)[f"operator/{BUS}"] == -FARE_FEN
    assert town.told(filler) == {}
    assert (town.totals(closed)["claims"], town.totals(closed)["claims_fen"]) == (1, stolen_fen)
    town.expect(paid={BUS: FARE_FEN, METRO: 11 * FARE_FEN}, billed={AGENT: LOAD_FEN})


@pytest.mark.parametrize("is_said", [True, False])
@pytest.mark.parametrize("is_load", [True, False])
def test_one_record_without_tac_of_42_9_million_yuan(
    town: Town,
    is_load: bool,  # noqa: FBT001 - a case
    is_said: bool,  # noqa: FBT001 - a case
) -> None:
    card, load = loaded(town)
    ride = card.pay(town.bus, FARE_FEN, at())
    before = town.totals(town.settle((AGENT_HOST, [load]), (BUS_COLLECTOR, [ride])))
    if is_load:
        record = card.load(town.kiosk, MOST_FEN - card.balance_fen, at("09:00", 1))
        record = altered(record, "amount_fen", MOST_FEN)
    else:
        card.balance_fen = MOST_FEN
        record = card.pay(town.bus, MOST_FEN, at("09:00", 1))
    forged = without_tac(record, is_said=is_said)
    after = town.totals(town.settle((AGENT_HOST if is_load else BUS_COLLECTOR, [forged])))
    assert town.fate(forged) == TAC_MISSING
    assert (after["claims"], after["claims_fen"]) == (1, MOST_FEN)
    assert (after["float_fen"], before["float_fen"]) == (LOAD_FEN - FARE_FEN,) * 2
    assert after["card_balance_fen"] == before["card_balance_fen"]
    assert town.told(forged) == {}
    town.expect(paid={BUS: FARE_FEN}, billed={AGENT: LOAD_FEN})


@pytest.mark.parametrize("tac", ["00000001", "ffffffff", "a5a5a5a5"])
def test_an_invented_tac_moves_nothing(town: Town, tac: str) -> None:
    card, load = loaded(town)
    ride = card.pay(town.bus, FARE_FEN, at())
    forged = altered(ride, "tac", bytes.fromhex(tac) + bytes(4))
    closed = town.settle((AGENT_HOST, [load]), (BUS_COLLECTOR, [forged]))
    assert town.fate(forged) == TAC_WRONG
    assert (town.totals(closed)["claims"], town.totals(closed)["claims_fen"]) == (1, FARE_FEN)
    # It proves no serial and holds no place: the true one is paid.
    town.settle((BUS_COLLECTOR, [ride]))
    assert town.fate(ride) == ACCEPTED
    town.expect(paid={BUS: FARE_FEN}, billed={AGENT: LOAD_FEN})


def test_flag_tac_missing_set_on_ten_loads_with_true_tacs(town: Town) -> None:
    cards = [town.card(number) for number in range(10)]
    loads = [card.load(town.kiosk, LOAD_FEN, at(), flags=RecordFlag.TAC_MISSING) for card in cards]
    closed = town.settle((AGENT_HOST, loads))
    assert {town.fate(load) for load in loads} == {ACCEPTED}
    assert (town.totals(closed)["claims"], town.totals(closed)["accepted"]) == (0, 10)
    assert town.told(loads[0]) == {"card_float": -LOAD_FEN, f"load_agent/{AGENT}": LOAD_FEN}
    town.expect(billed={AGENT: 10 * LOAD_FEN})


def test_flag_tac_missing_set_on_true_rides(town: Town) -> None:
    card, load = loaded(town)
    rides = [
        card.pay(town.bus, FARE_FEN, at(f"08:0{n}"), flags=RecordFlag.TAC_MISSING) for n in range(5)
    ]
    town.settle((AGENT_HOST, [load]), (BUS_COLLECTOR, rides))
    assert {town.fate(ride) for ride in rides} == {ACCEPTED}
    town.expect(paid={BUS: 5 * FARE_FEN}, billed={AGENT: LOAD_FEN})


#: Claims of a true debit, each spoilt in a way that held it for ever or named another payee.
SPOILT = {
    "balance before": {"balance_before_fen": 9},
    "balance after": {"balance_after_fen": MOST_FEN},
    "counter": {"offline_counter": 40_000},
    "counter not read": {"offline_counter": 0xFFFF},
    "serial": {"terminal_serial": MOST_FEN},
    "serial 0": {"terminal_serial": 0},
    "previous": {"previous_counter": 77, "previous_type": 9, "previous_amount_fen": MOST_FEN},
    "operator": {"operator": METRO},
    "sector": {"sector": 5},
    "unknown sector": {"sector": 200},
    "business day": {"business_day": 0x20990101},
    "line, station, vehicle": {"line": MOST_FEN, "station": MOST_FEN, "vehicle": MOST_FEN},
    "hotlist version": {"hotlist_version": MOST_FEN},
    "concession": {"concession": 2},
    "card kind": {"card_kind": 255},
    "mac": {"mac_profile": 1, "mac_algorithm": 1, "mac_key_version": 1, "mac": 1},
    "mac2": {"mac2_check": 2},
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_debit_whose_tac_holds_is_paid_though_what_is_unsigned_is_spoilt(
    town: Town, name: str
) -> None:
    card, load = loaded(town)
    first, ride, last = (card.pay(town.bus, FARE_FEN, at(f"08:0{n}")) for n in range(3))
    for field, value in SPOILT[name].items():
        ride = altered(ride, field, value)
    town.settle((AGENT_HOST, [load]), (BUS_COLLECTOR, [first]))
    town.settle((BUS_COLLECTOR, [ride]))
    town.settle((BUS_COLLECTOR, [last]))
    assert {town.fate(each) for each in (first, ride, last)} == {ACCEPTED}
    assert town.told(ride) == {"card_float": FARE_FEN, f"operator/{BUS}": -FARE_FEN}
    town.expect(paid={BUS: 3 * FARE_FEN}, billed={AGENT: LOAD_FEN})


def test_wrong_balance_before_in_one_true_debit_is_paid_with_a_note(town: Town) -> None:
    card, load = loaded(town)
    ride = altered(card.pay(town.bus, FARE_FEN, at()), "balance_before_fen", 1)
    closed = town.settle((AGENT_HOST, [load]), (BUS_COLLECTOR, [ride]))
    assert town.fate(ride) == ACCEPTED
    assert "BALANCE_BROKEN" in town.noted(ride).notes
    assert town.totals(closed)["notes"]["balance_broken"] == 1
    town.expect(paid={BUS: FARE_FEN}, billed={AGENT: LOAD_FEN})


@pytest.mark.parametrize("named", [1, 2])
def test_key_version_misnamed_though_another_registered_version_proves_it(
    tmp_path: Path, named: int
) -> None:
    town = build_town(tmp_path / "city", versions=(1, 2))
    with town.city:
        card = town.card(1)
        own = 3 - named
        load = card.load(town.kiosk, LOAD_FEN, at("07:00"), key_version=own)
        ride = card.pay(town.bus, FARE_FEN, at(), key_version=own)
        sent = [altered(each, "key_version", named) for each in (load, ride)]
        town.settle((AGENT_HOST, sent[:1]), (BUS_COLLECTOR, sent[1:]))
        assert {town.fate(each) for each in sent} == {ACCEPTED}
        assert all("KEY_VERSION_MISNAMED" in town.noted(each).notes for each in sent)
        # Named rightly it is the same movement.
        town.settle((AGENT_HOST, [load]), (BUS_COLLECTOR, [ride]))
        assert {town.fate(each).reason for each in (load, ride)} == {"VARIANT"}
        town.expect(paid={BUS: FARE_FEN}, billed={AGENT: LOAD_FEN})


def test_a_foreign_interoperable_card_is_a_claim_and_waits(town: Town) -> None:
    card, load = loaded(town)
    guest = altered(card.pay(town.bus, FARE_FEN, at()), "issuer", 0x0102030405060708)
    guest = altered(guest, "card_number", bytes.fromhex("03101000000000000001"))
    guest = altered(guest, "tac", bytes.fromhex("0badcafe00000000"))
    closed = town.settle((AGENT_HOST, [load]), (BUS_COLLECTOR, [guest]))
    assert town.fate(guest) == FOREIGN_CARD
    assert (town.totals(closed)["claims"], town.totals(closed)["rejected"]) == (1, 0)
    town.expect(billed={AGENT: LOAD_FEN})


def test_a_card_first_seen_at_counters_65534_65535_1_and_2(town: Town) -> None:
    card, load = loaded(town)
    rides = []
    for number, counter in enumerate((65_534, 65_535, 1, 2)):
        card.debits = counter
        rides.append(card.pay(town.bus, FARE_FEN, at(f"08:0{number}")))
    closed = town.settle((AGENT_HOST, [load]), (BUS_COLLECTOR, rides))
    assert {town.fate(ride) for ride in rides} == {ACCEPTED}
    gaps = load_gaps(town.city.database, closed.settlement_day)
    # One chain: at most what came before the first of them is missing, and no money is.
    assert len(gaps) <= 1
    assert sum(gap.price_fen for gap in gaps) == 0
    town.expect(paid={BUS: 4 * FARE_FEN}, billed={AGENT: LOAD_FEN})


def test_absent_and_wrong_record_macs_hold_no_proven_money(town: Town) -> None:
    card, load = loaded(town)
    rides = [card.pay(town.bus, FARE_FEN, at(f"08:0{n}")) for n in range(3)]
    right = vouched(rides[0], town.bus.psam)
    other = vouched(rides[1], "9" * 20)
    broken = vouched(rides[2], town.bus.psam)[: FIELD["mac"].offset] + bytes(16)
    town.settle((AGENT_HOST, [load]), (BUS_COLLECTOR, [right, other, broken]))
    assert {town.fate(each) for each in (right, other, broken)} == {ACCEPTED}
    noted = ["RECORD_MAC_WRONG" in town.noted(each).notes for each in (right, other, broken)]
    assert noted == [False, True, True]
    town.expect(paid={BUS: 3 * FARE_FEN}, billed={AGENT: LOAD_FEN})
