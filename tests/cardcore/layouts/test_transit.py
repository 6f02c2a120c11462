"""Codecs of the card's files against published dumps, both directions."""

import json
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardcore.errors import DecodeError
from cardcore.layouts.transit import (
    CardKind,
    CardProperties,
    HolderInformation,
    LogRecord,
    PublicInformation,
    TransitRecord,
    TripRecord,
)
from cardcore.tlv import decode_all, find
from tests.cardcore.transit_cards import PROFILE, TRIP
from tests.support.shared import VECTORS, needs_shared

DAYS = st.dates(min_value=date(1, 1, 1))
TIMES = st.none() | st.datetimes().map(lambda moment: moment.replace(microsecond=0))


def hexadecimal(length: int) -> st.SearchStrategy[str]:
    return st.binary(min_size=length, max_size=length).map(bytes.hex)


def read(name: str, key: str) -> list[dict[str, Any]]:
    vectors = json.loads((VECTORS / name).read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = vectors[key]
    return found


@needs_shared
def test_every_published_trip_reads_as_annotated_and_writes_back_the_same() -> None:
    trips = read("tunion_trips.json", "records")
    assert len(trips) == 128
    for each in trips:
        data = bytes.fromhex(each["hex"])
        trip = TripRecord.decode(data)
        assert trip.encode() == data
        assert trip.trip_type == each["type"]
        assert trip.terminal.upper() == each["terminal"]
        assert trip.industry == each["subtype"]
        assert (trip.line, trip.station, trip.operator) == tuple(
            int(each[name], 16) for name in ("line_code", "station_code", "operator")
        )
        assert trip.reserved == int(each["rfu"], 16)
        assert (trip.amount_fen, trip.balance_fen) == (each["amount_fen"], each["balance_fen"])
        assert trip.time is not None
        assert f"{trip.time:%Y%m%d%H%M%S}" == each["time"]
        assert (trip.city, trip.acquirer.hex().upper()) == (each["city"].lower(), each["acquirer"])


@needs_shared
def test_every_published_card_reads_as_its_source_says() -> None:
    for card in read("tunion_cards.json", "records"):
        if "info15" in card:
            data, expect = bytes.fromhex(card["ep_file15"]), card["info15"]
            public = PublicInformation.decode(data)
            assert public.encode() == data
            assert public.issuer.hex().upper() == expect["issuer"]
            assert public.application_type == expect["app_type"]
            assert public.application_version == expect["app_version_or_enable"]
            assert public.card_number == expect["card_number20"]
            assert f"{public.valid_from:%Y%m%d}" == expect["start"]
            assert f"{public.valid_to:%Y%m%d}" == expect["end"]
            assert public.issuer_data.hex() == expect["tail"]
            assert public.factor.hex() == expect["card_number20"][4:]
            copied = find(decode_all(bytes.fromhex(card["fci"])), 0x9F0C)
            assert copied is not None
            assert copied.content == data
        logs = card.get("records18", []) + ([card["rec18"]] if "rec18" in card else [])
        assert logs
        for expect in logs:
            log = LogRecord.decode(bytes.fromhex(expect["hex"]))
            assert log.encode().hex().upper() == expect["hex"]
            assert (log.counter, log.overdraft_fen) == (expect["seq"], expect["overdraft"])
            assert (log.amount_fen, log.transaction_type) == (
                expect["amount_fen"],
                int(expect["type"], 16),
            )
            assert log.terminal == expect["terminal"]
            assert log.time is not None
            assert f"{log.time:%Y%m%d%H%M%S}" == expect["datetime"]


@needs_shared
def test_properties_of_published_cards_read_short_or_whole() -> None:
    mock = next(c for c in read("tunion_cards.json", "records") if "file17_11bytes" in c)
    short = CardProperties.decode(bytes.fromhex(mock["file17_11bytes"]))
    assert (short.country, short.province, short.city) == ("00000156", "5800", "5840")
    assert (short.interoperable, short.card_kind) == (True, CardKind.NORMAL)
    assert len(short.encode()) == 60
    beijing = next(c for c in read("city_cards.json", "cards") if "Beijing old" in c["name"])
    whole = CardProperties.decode(bytes.fromhex(beijing["file17"]))
    assert (whole.province, whole.city, whole.interoperable) == ("1000", "1000", True)
    assert whole.encode().hex() == beijing["file17"]
    assert PublicInformation.decode(bytes.fromhex(beijing["file15"])).valid_from == date(2019, 8, 6)


@needs_shared
def test_published_rides_shorter_than_the_file_read_with_zeros_behind() -> None:
    card = next(c for c in read("city_cards.json", "cards") if "1A records" in c["name"])
    metro = TransitRecord.decode(bytes.fromhex(card["r1"]))
    assert (metro.record_id, metro.status) == (0x2701, 2)
    assert metro.entry_time == datetime.fromisoformat("2019-12-07T11:35:00")
    assert metro.exit_time == datetime.fromisoformat("2019-12-07T11:56:35")
    assert (metro.entry_device, metro.exit_device) == ("0000413101738008", "0000413101329946")
    assert (metro.fare_max_fen, metro.entry_balance_fen) == (190, 1_205)
    assert (metro.entry_line, metro.exit_line, metro.actual_amount_fen) == (0x1E, 9, 285)
    assert metro.encode() == bytes.fromhex(card["r1"]).ljust(128, b"\x00")


@needs_shared
def test_a_bus_record_laid_out_by_its_own_city_reads_without_its_times() -> None:
    # Beyond the status this city puts other fields; a gate must read on, not stop.
    card = next(c for c in read("city_cards.json", "cards") if "1A records" in c["name"])
    bus = TransitRecord.decode(bytes.fromhex(card["r2"]))
    assert (bus.record_id, bus.valid, bus.status, bus.entry_city) == (0x2702, 1, 2, "1000")
    assert bus.entry_time is None


def test_the_published_entry_event_stands_at_its_offsets() -> None:
    entered = TransitRecord(
        0x2701,
        entry_time=datetime.fromisoformat("2019-08-31T17:59:04"),
        fare_max_fen=900,
        entry_balance_fen=3_000,
    ).encode()
    assert entered[67:74].hex() == "20190831175904"
    assert entered[81:85].hex() == "00000384"
    assert entered[91:95].hex() == "00000bb8"


def test_the_sizes_are_those_of_the_files() -> None:
    sizes = [each.SIZE for each in (PublicInformation, HolderInformation, CardProperties)]
    assert sizes == [30, 55, 60]
    assert [each.SIZE for each in (LogRecord, TransitRecord, TripRecord)] == [23, 128, 48]


@pytest.mark.parametrize("zero", [bytes(7), b"\xff" * 7, bytes.fromhex("20180230094231")])
def test_a_time_that_is_none_reads_as_none(zero: bytes) -> None:
    data = TRIP.encode()
    assert TripRecord.decode(data[:25] + zero + data[32:]).time is None


@pytest.mark.parametrize(
    ("at", "byte", "reason"),
    [
        (10, 0xA3, "card number"),
        (19, 0x1F, "card number"),
        (22, 0x13, "valid from"),
        (24, 0x00, "valid to"),
    ],
)
def test_damage_in_the_public_information_is_named_where_it_is(
    at: int, byte: int, reason: str
) -> None:
    data = bytearray(PROFILE.public.encode())
    data[at] = byte
    if at == 24:
        data[24:28] = bytes(4)
    with pytest.raises(DecodeError, match=reason) as caught:
        PublicInformation.decode(bytes(data))
    assert caught.value.what == "EF15"
    assert caught.value.offset in range(at - 2, at + 1)


@pytest.mark.parametrize("size", [0, 29, 31])
def test_a_file_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(DecodeError, match="not 30"):
        PublicInformation.decode(bytes(size))


@pytest.mark.parametrize("size", [98, 129])
def test_a_ride_cut_inside_its_fields_is_refused(size: int) -> None:
    with pytest.raises(DecodeError, match="not 128"):
        TransitRecord.decode(bytes(size))


def test_a_name_that_is_no_gbk_is_refused_with_its_place() -> None:
    data = bytearray(HolderInformation().encode())
    data[4:6] = b"\x81\x20"
    with pytest.raises(DecodeError, match="name") as caught:
        HolderInformation.decode(bytes(data))
    assert caught.value.offset == 4


@pytest.mark.parametrize(
    ("made", "field"),
    [
        (replace(PROFILE.public, card_number="3105840000000000017"), "card_number"),
        (HolderInformation(name="一" * 11), "name"),
        (HolderInformation(id_number="一"), "id_number"),
        (CardProperties(city="58"), "city"),
        (TransitRecord(0x12701), "record_id"),
        (TransitRecord(0x2701, fare_max_fen=-1), "fare_max_fen"),
    ],
)
def test_a_value_that_does_not_fit_is_named(made: TransitRecord, field: str) -> None:
    with pytest.raises(ValueError, match=field):
        made.encode()


@given(
    st.builds(
        PublicInformation,
        issuer=st.binary(min_size=8, max_size=8),
        application_type=st.integers(0, 255),
        application_version=st.integers(0, 255),
        card_number=st.text("0123456789", min_size=20, max_size=20),
        valid_from=DAYS,
        valid_to=DAYS,
        issuer_data=st.binary(min_size=2, max_size=2),
    )
)
def test_public_information_comes_back(public: PublicInformation) -> None:
    assert PublicInformation.decode(public.encode()) == public


@given(
    st.builds(
        HolderInformation,
        holder_type=st.integers(0, 255),
        staff=st.integers(0, 255),
        name=st.text("张三李四ABC", max_size=10),
        id_number=st.text("0123456789X", max_size=32),
        id_type=st.integers(0, 255),
    )
)
def test_holder_information_comes_back(holder: HolderInformation) -> None:
    assert HolderInformation.decode(holder.encode()) == holder


@given(
    st.builds(
        TripRecord,
        trip_type=st.integers(0, 255),
        terminal=hexadecimal(8),
        industry=st.integers(0, 255),
        line=st.integers(0, 0xFFFF),
        station=st.integers(0, 0xFFFF),
        operator=st.integers(0, 0xFFFF),
        amount_fen=st.integers(0, 2**31 - 1),
        balance_fen=st.integers(-(2**30), 2**30 - 1),
        time=TIMES,
        city=hexadecimal(2),
        acquirer=st.binary(min_size=8, max_size=8),
    )
)
def test_a_trip_comes_back(trip: TripRecord) -> None:
    assert TripRecord.decode(trip.encode()) == trip


@given(
    st.builds(
        TransitRecord,
        record_id=st.sampled_from([0x2701, 0x2702, 0x2712]),
        transaction_serial=st.integers(0, 2**64 - 1),
        entry_city=hexadecimal(2),
        exit_operator=st.binary(min_size=8, max_size=8),
        entry_station=hexadecimal(8),
        entry_time=TIMES,
        exit_time=TIMES,
        fare_max_fen=st.integers(0, 2**31 - 1),
        local=st.binary(min_size=29, max_size=29),
    )
)
def test_a_ride_comes_back(ride: TransitRecord) -> None:
    assert TransitRecord.decode(ride.encode()) == ride


@given(st.binary(max_size=130))
def test_any_bytes_read_or_are_refused_with_a_place(data: bytes) -> None:
    codecs = (
        PublicInformation,
        HolderInformation,
        CardProperties,
        LogRecord,
        TransitRecord,
        TripRecord,
    )
    for codec in codecs:
        try:
            codec.decode(data)
        except DecodeError as error:
            assert 0 <= error.offset <= len(data)  # noqa: PT017 - both ways are right
