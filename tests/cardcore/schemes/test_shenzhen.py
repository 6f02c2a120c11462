"""The published tariff of 2018 against every fare row of a real day, and its rules one by one."""

import csv
from collections import Counter
from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardcore.concession import Concession
from cardcore.records.kinds import RecordKind
from cardcore.schemes import FareClass, ParticipantKind
from cardcore.schemes.catalogue import SCHEMES
from tests.support.shared import DATA, needs_shared

SCHEME = SCHEMES["shenzhen"]

KINDS = {"地铁入站": RecordKind.ENTRY, "地铁出站": RecordKind.EXIT, "巴士": RecordKind.PURCHASE}
TARIFFS = st.integers(0, 5_000)


@needs_shared
def test_the_tariff_explains_every_fare_of_a_real_day() -> None:
    with (DATA / "shenzhen" / "taps.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    unique = {tuple(row.values()): row for row in rows}
    assert (len(rows), len(unique)) == (37_000, 36_999)
    classes: Counter[str] = Counter()
    silent = 0
    for row in unique.values():
        kind = KINDS[row["deal_type"]]
        if kind is RecordKind.ENTRY:
            assert (row["deal_value"], row["deal_money"]) == ("0", "0")
            continue
        mark = row["conn_mark"] == "1"
        tariff, charged = int(row["deal_value"]), int(row["deal_money"])
        explained = SCHEME.explain_fare(kind, tariff, charged, transfer_mark=mark)
        assert explained is not None, row
        classes[explained.concession.name] += 1
        if explained.transfer and not mark:
            silent += 1
            assert kind is RecordKind.PURCHASE
    assert silent == 244
    assert classes["FREE"] == 508
    assert classes["FULL"] == 34


@given(TARIFFS, st.sampled_from([RecordKind.EXIT, RecordKind.PURCHASE]))
def test_no_class_pays_more_than_the_tariff_or_less_than_nothing(
    tariff: int, kind: RecordKind
) -> None:
    for transfer in (False, True):
        for concession in Concession:
            fare = SCHEME.fare_fen(kind, tariff, FareClass(concession, transfer))
            assert 0 <= fare <= tariff


@given(TARIFFS)
def test_a_longer_bus_ride_never_costs_less(tariff: int) -> None:
    adult = FareClass(Concession.ADULT, transfer=False)
    fares = [SCHEME.fare_fen(RecordKind.PURCHASE, each, adult) for each in (tariff, tariff + 1)]
    assert fares == sorted(fares)


@given(TARIFFS, st.sampled_from(SCHEME.classes[True]))
def test_a_fare_of_the_scheme_is_explained_by_the_scheme(
    tariff: int, fare_class: FareClass
) -> None:
    fare = SCHEME.fare_fen(RecordKind.PURCHASE, tariff, fare_class)
    mark = fare_class.transfer
    assert SCHEME.explain_fare(RecordKind.PURCHASE, tariff, fare, transfer_mark=mark)


def test_a_fare_nobody_can_owe_is_not_explained() -> None:
    assert SCHEME.explain_fare(RecordKind.EXIT, 400, 381, transfer_mark=False) is None


@pytest.mark.parametrize("concession", list(Concession))
def test_an_entry_costs_nothing(concession: Concession) -> None:
    assert SCHEME.fare_fen(RecordKind.ENTRY, 900, FareClass(concession, transfer=False)) == 0


def test_participants_have_codes_and_names_of_their_own() -> None:
    participants = SCHEME.participants
    assert len({each.code for each in participants}) == len(participants)
    assert len({each.name for each in participants}) == len(participants)
    assert {each.kind for each in participants} == {
        ParticipantKind.OPERATOR,
        ParticipantKind.LOAD_AGENT,
    }
    found = SCHEME.participant("地铁一号线")
    assert found is not None
    assert found.code == 201
    assert SCHEME.participant("地铁九十九号线") is None


def test_the_business_day_begins_at_the_cut_over() -> None:
    assert SCHEME.business_day(datetime.fromisoformat("2018-09-01T00:00:00")) == date(2018, 9, 1)
    assert SCHEME.business_day(datetime.fromisoformat("2018-08-31T23:59:59")) == date(2018, 8, 31)
