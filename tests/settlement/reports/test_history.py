"""A record's history is true, whole, and told in both languages."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from cardcore.application import NO_APPLICATION
from cardcore.records.kinds import RecordKind, TransactionType
from cardcore.records.record import COUNTER_NOT_READ, decode_record, encode_record
from settlement.city import City
from settlement.dispositions import Disposition, Reason
from settlement.engine.local import LocalEngine
from settlement.reports.history import explain
from settlement.reports.told import CopyHistory, Step
from settlement.service.clear import run_clearing
from tests.settlement.device_files import (
    BUS,
    BUS_TERMINAL,
    CLERK,
    DAY,
    KIOSK,
    METRO,
    NOW,
    Street,
    key_service,
    make_office,
    prove,
)
from tests.settlement.service.test_service import close, receive

UNKNOWN = "0000000000ff"
FIRST_RIDE, SECOND_RIDE = f"{BUS_TERMINAL}-00000001", f"{BUS_TERMINAL}-00000002"


@pytest.fixture
def office(tmp_path: Path) -> Iterator[City]:
    with make_office(tmp_path / "city") as city:
        yield city


def the_copy(city: City, record_id: str) -> CopyHistory:
    (only,) = explain(city, record_id).copies
    return only


def step(told: CopyHistory, name: str) -> Step:
    return next(each for each in told.steps if each.name == name)


def test_an_accepted_ride_is_told_from_the_tap_to_the_seal(office: City) -> None:
    street = Street()
    card = street.card(1)
    receive(office, street.file([card.load(5000), card.bus(line=1), card.bus()]))
    day = close(office)
    told = the_copy(office, FIRST_RIDE)
    assert [each.name for each in told.steps] == [
        "tap", "file", "tac", "card", "decision", "ledger", "position", "seal",
    ]  # fmt: skip
    assert "一号线" in step(told, "tap").text.zh
    assert step(told, "file").data["sequence"] == 1
    assert step(told, "tac").data["proof"] == "PROVEN"
    assert step(told, "card").data == {
        "before": f"{KIOSK}-00000001",
        "after": SECOND_RIDE,
        "joins": True,
    }
    assert step(told, "decision").data["fare_class"] == "adult"
    assert step(told, "ledger").data["postings"] == {"card_float": 160, "operator/101": -160}
    assert step(told, "position").data == {"account": "operator/101", "net_fen": -320}
    assert step(told, "seal").data["seal"] == day.seal
    assert all(each.text.zh and each.text.en for each in told.steps)


def test_a_load_is_owed_by_its_agent(office: City) -> None:
    street = Street()
    receive(office, street.file([street.card(1).load(5000)]))
    close(office)
    told = the_copy(office, f"{KIOSK}-00000001")
    assert step(told, "ledger").data["postings"] == {"card_float": -5000, "load_agent/900": 5000}


@pytest.mark.parametrize("stated", [None, DAY + timedelta(days=3)])
def test_the_story_grows_with_the_day(office: City, stated: date | None) -> None:
    street = Street()
    card = street.card(1)
    waiting = street.file([card.load(5000), card.bus()], sequence=2)
    receive(office, waiting)
    assert "earlier files" in step(the_copy(office, FIRST_RIDE), "decision").text.en
    receive(office, street.file([], sequence=1))
    assert "next clearing run" in step(the_copy(office, FIRST_RIDE), "decision").text.en
    now = NOW + timedelta(days=3)
    run_clearing(office, stated, key_service(), LocalEngine(1), now, CLERK)
    told = the_copy(office, FIRST_RIDE)
    assert told.decision is not None
    assert told.decision.disposition is Disposition.ACCEPTED
    assert "will be posted" in step(told, "ledger").text.en
    assert told.steps[-1].name == "ledger"


def test_a_record_sent_in_two_files_has_two_copies_the_accepted_one_first(office: City) -> None:
    street = Street()
    card = street.card(1)
    load, ride = card.load(5000), card.bus()
    receive(office, street.file([load, ride]), street.file([ride]))
    close(office)
    first, second = explain(office, FIRST_RIDE).copies
    assert first.decision is not None
    assert second.decision is not None
    assert first.decision.disposition is Disposition.ACCEPTED
    assert second.decision.disposition is Disposition.DUPLICATE
    assert step(second, "ledger").text.en == "no money is posted for it"


def test_a_suspended_debit_is_held_for_its_operator_and_the_reason_named(office: City) -> None:
    street = Street()
    card = street.card(1)
    # Whatever a record says of its operator, money of a terminal that nobody registered is held for
    # whoever sent it.
    receive(office, street.file([card.load(5000), card.bus(terminal=UNKNOWN, operator=METRO)]))
    close(office)
    told = the_copy(office, f"{UNKNOWN}-00000001")
    assert told.decision is not None
    assert told.decision.reason is Reason.TERMINAL_UNKNOWN
    assert Reason.TERMINAL_UNKNOWN.remedy.en in step(told, "decision").text.en
    assert step(told, "ledger").data["postings"] == {"card_float": 160, "suspense/101": -160}
    assert step(told, "position").data["account"] == "suspense/101"


def test_the_registered_owner_is_paid_and_named_whatever_the_record_says(office: City) -> None:
    street = Street()
    card = street.card(1)
    receive(office, street.file([card.load(5000), card.bus(operator=METRO)]))
    close(office)
    told = the_copy(office, FIRST_RIDE)
    assert "地铁" in step(told, "tap").text.zh
    decision = step(told, "decision")
    assert decision.data["notes"] == ["CLAIMS_DIFFER"]
    assert decision.data["operator"] == BUS
    assert ("巴士集团" in decision.text.zh, "巴士集团" in decision.text.en) == (True, True)
    assert step(told, "ledger").data["postings"] == {"card_float": 160, "operator/101": -160}


def test_a_forged_record_moves_no_money(office: City) -> None:
    street = Street()
    card = street.card(1)
    load, ride = card.load(5000), decode_record(card.bus())
    forged = encode_record(replace(decode_record(prove(ride)), tac=bytes(4)))
    receive(office, street.file([load, forged]))
    close(office)
    told = the_copy(office, FIRST_RIDE)
    assert step(told, "tac").data["proof"] == "WRONG"
    decision = step(told, "decision")
    assert decision.data["disposition"] == "CLAIM"
    assert decision.data["reason"] == "TAC_MISSING"
    assert Reason.TAC_MISSING.remedy.en in decision.text.en
    assert "巴士集团" not in decision.text.en
    assert step(told, "ledger").data == {}


def test_a_damaged_record_is_told_as_far_as_it_can_be_read(office: City) -> None:
    street = Street()
    card = street.card(1)
    load, damaged = card.load(5000), bytearray(card.bus())
    damaged[1] = 0x77  # no such kind
    receive(office, street.file([load, bytes(damaged)]))
    close(office)
    told = the_copy(office, FIRST_RIDE)
    assert told.record is None
    assert step(told, "decision").data["reason"] == "FORMAT_WRONG"


def test_a_record_in_which_no_purse_moved_is_told_without_balances_and_without_money(
    office: City,
) -> None:
    street = Street()
    card = street.card(1)
    card.balance_fen = 5000
    locked = replace(
        decode_record(card.bus()),
        kind=RecordKind.CARD_LOCKED,
        payload=bytes(4),
        transaction_type=TransactionType.NONE,
        application=NO_APPLICATION,
        amount_fen=0,
        tariff_fen=0,
        balance_before_fen=0,
        balance_after_fen=0,
        offline_counter=COUNTER_NOT_READ,
        tac=b"",
    )
    receive(office, street.file([encode_record(locked)]))
    close(office)
    told = the_copy(office, FIRST_RIDE)
    assert [each.name for each in told.steps] == [
        "tap",
        "file",
        "tac",
        "decision",
        "ledger",
        "seal",
    ]
    assert "锁卡" in step(told, "tap").text.zh
    assert "¥" not in step(told, "tap").text.zh
    assert step(told, "tac").text.en.startswith("the record MAC")
    assert step(told, "ledger").data == {}


def test_balances_that_do_not_join_are_said_so(office: City) -> None:
    street = Street()
    card = street.card(1)
    load, first, _, third = card.load(5000), card.bus(), card.bus(), card.bus()
    receive(office, street.file([load, first, third]))
    close(office)
    assert step(the_copy(office, FIRST_RIDE), "card").data["joins"] is False


def test_a_record_nobody_sent_has_no_telling(office: City) -> None:
    assert explain(office, SECOND_RIDE).copies == ()
    street = Street()
    receive(office, street.file([street.card(1).load(5000)]))
    assert explain(office, SECOND_RIDE).copies == ()


@pytest.mark.parametrize("text", ["", "x", "00000001", "0000000000b1", "0000000000b1-x", "b1-1"])
def test_what_is_no_record_id_is_refused(office: City, text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        explain(office, text)
