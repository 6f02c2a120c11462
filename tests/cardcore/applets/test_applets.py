"""The five applications as their readers see them, alone and together on one chip."""

import contextlib
import json
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardcore.apdu import CommandApdu
from cardcore.applets import health, library, purse, social_security, transit
from cardcore.chip.cardkeys import CardKey, Secret
from cardcore.chip.keyfile import KeySlot
from cardcore.chip.messaging import protect
from cardcore.chip.package import Package
from cardcore.crypto.pboc_3des import SUITE as PBOC
from cardcore.errors import DecodeError, KeyUsageError
from cardcore.keys import Key, KeyUsage
from cardcore.layouts.city_transit import (
    RECORD_BICYCLE,
    ConcessionRecord,
    HireRecord,
    HireStatus,
)
from cardcore.layouts.city_union import (
    AID_CITY_UNION,
    CityPublicInformation,
    CompositeRecord,
)
from cardcore.layouts.health_tags import ELEMENTS
from cardcore.layouts.library import LoanRecord, ReaderInformation
from cardcore.layouts.tagged import TaggedField, ValueCoding
from cardcore.layouts.transit import AID_PURSE, FID_MASTER, PPSE_NAME
from cardcore.tlv import Tlv, decode_all, find
from tests.cardcore.applets.citizen_chips import (
    HEALTH,
    HOLDER,
    ISSUE,
    LIBRARY,
    PIN,
    PUBLIC,
    PURSE,
    SOCIAL,
    TRANSIT,
    Reader,
    chip,
    key_value,
    secrets,
)
from tests.cardcore.chip.reference_terminal import ReferenceTerminal
from tests.support.shared import VECTORS, needs_shared

MESSAGING = KeyUsage.FILE_MAINTENANCE


def load(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((VECTORS / name).read_text(encoding="utf-8"))
    return document


def social_card(version: str) -> Reader:
    profile = replace(SOCIAL, issue={**ISSUE, "version": version})
    keys = secrets(social_security.KEYS, PIN)
    return Reader(chip(social_security.package(profile, keys)))


@needs_shared
def test_every_published_social_security_record_is_read_by_tag_and_by_number() -> None:
    published = load("social_card.json")
    reader = social_card("3.00")
    fci = reader.data(published["select"])
    assert fci.hex().upper().startswith("6F")
    assert reader.external(social_security.READ_KEY) == "9000"
    reader.internal(social_security.INTERNAL_KEY)
    for sfi, name in ((5, "ef05"), (6, "ef06")):
        for record in published[name]:
            expected = record["resp"]
            length = len(expected) // 2
            by_tag = f"00B2{record['tag']}{sfi << 3:02X}{length:02X}"
            assert record.get("read", by_tag) == by_tag
            assert reader.data(by_tag).hex().upper() == expected
        reader.data(f"00A4000002EF{sfi:02X}")
        for record in published[name]:
            answer = reader.data(f"00B2{record['rec']:02X}0400")
            assert answer.hex().upper() == record["resp"]


@needs_shared
def test_the_fci_of_the_first_generations_is_the_published_one() -> None:
    published = load("social_card.json")
    assert social_card("1.00").data(published["select"]).hex().upper() == published["fci"]
    third = social_card("3.00").data(published["select"])
    declared = find(decode_all(third), 0x9F0C)
    assert declared is not None
    assert declared.content.hex() == "860101"


@pytest.mark.parametrize("version", ["1.00", "2.00"])
def test_the_first_generations_are_free_to_read(version: str) -> None:
    reader = social_card(version)
    reader.select(social_security.NAME)
    assert reader.data("00B2093020")[2:6].decode("gbk") == "张三"


def test_the_third_generation_opens_only_to_internal_and_external_authentication() -> None:
    reader = social_card("3.00")
    read = "00B2012812"
    reader.select(social_security.NAME)
    assert reader.send(read)[1] == "6982"
    reader.internal(social_security.INTERNAL_KEY)
    assert reader.send(read)[1] == "6982"
    assert reader.external(social_security.READ_KEY, bytes(16)) == "63C9"
    assert reader.external(social_security.READ_KEY) == "9000"
    assert reader.send(read)[1] == "9000"
    reader.select(social_security.NAME)
    assert reader.send(read)[1] == "6982"


def test_the_holder_is_written_under_the_update_key_only() -> None:
    reader = social_card("2.00")
    reader.select(social_security.NAME)
    field = next(each for each in social_security.HOLDER.fields if each.name == "name")
    record = field.encode("李四")
    write = f"00DC0234{len(record):02X}{record.hex()}"
    assert reader.send(write)[1] == "6982"
    assert reader.external(social_security.READ_KEY) == "9000"
    assert reader.send(write)[1] == "6982"
    assert reader.external(social_security.UPDATE_KEY) == "9000"
    assert reader.send(write)[1] == "9000"
    assert field.decode(reader.data("00B2093020")) == "李四"


def test_the_own_data_of_the_holder_open_to_the_pin() -> None:
    reader = social_card("2.00")
    reader.select(social_security.NAME)
    reader.data("00A4000002DF01")
    assert reader.send("00B2243000")[1] == "6982"
    assert reader.send("0020000003" + "000000")[1] == "63C2"
    reader.data("0020000003" + PIN.hex())
    assert "西湖" in reader.data("00B2243000")[2:].decode("gbk")
    reader.data("00A4000002DF03")
    assert reader.data("00B2412800").hex() == "41020102"


@needs_shared
def test_the_57_health_elements_are_those_of_the_standard() -> None:
    published = load("health_card.json")
    assert [(e.tag, e.coding, e.length) for e in ELEMENTS] == sorted(
        (each["tag"], each["coding"], each["length"]) for each in published["tags"]
    )
    for place, tags in published["files"].items():
        if isinstance(tags, list):
            directory, file = (int(part, 16) for part in place.split("/"))
            table = health.TABLES[directory, file]
            assert [element.tag for element in table.fields] == tags


def health_card() -> Reader:
    return Reader(chip(health.package(HEALTH, secrets(health.KEYS))))


FREE_READS = "01/03 02/06 03/20 04/0D 05/B6 06/06 08/14 09/05 0A/0C 39/05"


@pytest.mark.parametrize("read", FREE_READS.split())
def test_health_records_are_read_as_published_readers_do(read: str) -> None:
    reader = health_card()
    reader.data("00A4000002DDF1")
    reader.data("00A4000002EF05")
    tag, length = read.split("/")
    answer = reader.data(f"00B2{tag}00{length}")
    assert answer[:2] == bytes((int(tag, 16), int(length, 16) - 2))


def test_emergency_data_are_free_and_the_rest_is_not() -> None:
    reader = health_card()
    reader.data("00A4000002DDF1")
    reader.data("00A4000002DF02")
    assert reader.data("00B2292800").hex() == "290102"
    assert reader.send("00B2383000")[1] == "6982"
    assert reader.external(health.READ_KEY_BELOW) == "9000"
    assert reader.data("00B2383000").hex() == "380100"


def test_health_data_are_written_enciphered_after_authentication() -> None:
    reader = health_card()
    reader.data("00A4000002DDF1")
    reader.data("00A4000002DF01")
    record = bytes.fromhex("150101")
    key = CardKey(1, 1, 1, Key(MESSAGING, key_value(MESSAGING, 1)))

    def write() -> str:
        plain = CommandApdu(0x04, 0xDC, 1, 5 << 3 | 4, record)
        challenge = reader.data("0084000004")
        return reader.send(protect(plain, key, challenge, encipher=True).encode().hex())[1]

    assert write() == "6982"
    assert reader.external(health.UPDATE_KEYS[health.FID_CLINICAL]) == "9000"
    assert write() == "6982"
    assert reader.external(health.UPDATE_KEYS[health.FID_CONTACTS]) == "9000"
    assert reader.send(f"00DC012C03{record.hex()}")[1] == "6987"
    assert write() == "9000"
    assert reader.external(health.READ_KEY_BELOW) == "9000"
    assert reader.data("00B2152800") == record


def test_a_visit_takes_an_erased_place_and_else_the_oldest() -> None:
    reader = health_card()
    reader.data("00A4000002DDF1")
    reader.data("00A4000002DF03")
    assert reader.external(health.READ_KEY_BELOW) == "9000"
    flags = reader.data("00B0860000")
    assert flags == b"\xff" * health.OUT_PATIENT_VISITS
    assert health.next_place(flags, [""] * 5) == 0
    assert health.next_place(b"\x00\xff\x00\x00\x00", ["2"] * 5) == 1
    assert health.next_place(bytes(3), ["20240102", "20240101", "20240103"]) == 1
    reader.data("00A4000002ED05")
    assert len(reader.data("00B0000000")) == 256


def library_card() -> Reader:
    reader = Reader(chip(library.package(LIBRARY, secrets(library.KEYS, PIN))))
    reader.select(library.NAME)
    return reader


def test_a_gate_of_the_library_sees_the_reader_and_not_the_loans() -> None:
    reader = library_card()
    assert ReaderInformation.decode(reader.data("00B0950000")) == LIBRARY.reader
    assert reader.send("00B201C400")[1] == "6982"
    reader.data("0020000003" + PIN.hex())
    assert LoanRecord.decode(reader.data("00B201C400")) == LIBRARY.loans[0]


def test_a_machine_writes_loans_and_the_desk_the_reader_each_under_its_key() -> None:
    reader = library_card()
    loan = LoanRecord("0449999999999", "HZLIB01", LIBRARY.loans[0].lent_on, LIBRARY.loans[0].due_on)

    def send(command: CommandApdu, index: int) -> str:
        key = CardKey(index, 1, 1, Key(MESSAGING, key_value(MESSAGING, index)))
        challenge = reader.data("0084000004")
        return reader.send(protect(command, key, challenge, encipher=False).encode().hex())[1]

    lend = CommandApdu(0x04, 0xE2, 0, 0xC0, loan.encode())
    assert send(lend, library.DESK_KEY) == "6988"
    assert send(lend, library.MACHINE_KEY) == "9000"
    assert reader.external(library.MACHINE_KEY) == "9000"
    assert LoanRecord.decode(reader.data("00B201C400")) == loan
    assert LoanRecord.decode(reader.data("00B202C400")) == LIBRARY.loans[0]
    block = CommandApdu(0x04, 0xD6, 0x95, 24, b"\x00")
    assert send(block, library.MACHINE_KEY) == "6988"
    assert send(block, library.DESK_KEY) == "9000"


def payment_terminal(reader: Reader, name: bytes) -> ReferenceTerminal:
    terminal = ReferenceTerminal(
        reader.card.transmit,
        key_value(KeyUsage.PURCHASE, 1),
        key_value(KeyUsage.LOAD, 1),
        key_value(KeyUsage.TAC, 1),
    )
    reader.select(name)
    return terminal


def test_the_micropayment_purse_keeps_its_limits_per_purchase_and_per_day() -> None:
    reader = Reader(chip(purse.package(PURSE, secrets(purse.KEYS))))
    terminal = payment_terminal(reader, purse.NAME)
    assert terminal.load(50_000).sw == b"\x90\x00"
    assert terminal.purchase(PURSE.purchase_max_fen + 1).sw == b"\x94\x02"
    for _ in range(2):
        assert terminal.purchase(PURSE.purchase_max_fen).sw == b"\x90\x00"
    assert terminal.purchase(PURSE.purchase_max_fen).sw == b"\x94\x02"
    assert terminal.purchase(PURSE.day_max_fen - 2 * PURSE.purchase_max_fen).sw == b"\x90\x00"
    assert terminal.purchase(1).sw == b"\x94\x02"
    assert terminal.balance() == 50_000 - PURSE.day_max_fen


@pytest.mark.parametrize(("purchase", "day"), [(5_000, 4_000), (5_000, 200_000), (200_000, 0)])
def test_limits_that_contradict_each_other_make_no_purse(purchase: int, day: int) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        purse.PurseProfile(PUBLIC, 100_000, purchase, day)


def city_union() -> transit.TransitProfile:
    public = CityPublicInformation.decode(
        bytes.fromhex("847531000000000000003100310000019856102320191225206912250000")
    )
    return replace(TRANSIT, public=public, composites=(CompositeRecord(1, 0, bytes(45)),))


@needs_shared
def test_a_city_union_card_answers_select_as_the_published_one() -> None:
    published = next(
        card for card in load("city_cards.json")["cards"] if "Hangzhou" in card["name"]
    )
    fci = bytes.fromhex(published["fci"])
    copied = find(decode_all(fci), 0x9F0C)
    assert copied is not None
    public = CityPublicInformation.decode(copied.content)
    records = [CompositeRecord.decode(bytes.fromhex(each)) for each in published["records17"]]
    profile = replace(city_union(), public=public, composites=tuple(records))
    reader = Reader(chip(transit.package(profile, secrets(transit.KEYS))))
    assert reader.select(AID_CITY_UNION) == fci
    for number, record in enumerate(published["records17"], start=1):
        assert reader.data(f"00B2{number:02X}BC00").hex().upper() == record


def test_both_forms_of_transit_stand_on_one_chip_with_their_own_money() -> None:
    keys = secrets(transit.KEYS)
    reader = Reader(chip(transit.package(TRANSIT, keys), transit.package(city_union(), keys)))
    assert payment_terminal(reader, AID_PURSE).load(1_000).sw == b"\x90\x00"
    assert payment_terminal(reader, AID_CITY_UNION).balance() == 0


def test_a_hire_and_the_counters_of_the_month_are_written_with_the_debit() -> None:
    reader = Reader(chip())
    terminal = payment_terminal(reader, AID_PURSE)
    terminal.load(30_000)
    hire = HireRecord(RECORD_BICYCLE, status=HireStatus.OPEN, deposit_held_fen=20_000)
    month = ConcessionRecord(month=202403, bus_rides=3)
    result = terminal.purchase(150, records=[("10D0", hire.encode()), ("20D0", month.encode())])
    assert result.sw == b"\x90\x00"
    assert HireRecord.decode(reader.data("00B203D400")) == hire
    assert ConcessionRecord.decode(reader.data("00B204D400")) == month


@pytest.mark.parametrize("applet", [social_security, health, library])
def test_a_record_without_money_is_signed_by_the_card(applet: ModuleType) -> None:
    reader = Reader(chip())
    reader.select(applet.NAME)
    digest = bytes(range(32))
    tac = reader.data(f"008800{applet.TAC_KEY:02X}20{digest.hex()}")
    assert tac == PBOC.tac(key_value(KeyUsage.TAC, applet.TAC_KEY), digest)
    assert len(reader.internal(applet.INTERNAL_KEY)) == 8


def test_the_key_of_a_purse_never_signs_what_a_reader_chooses() -> None:
    reader = Reader(chip())
    reader.select(purse.NAME)
    assert reader.send(f"0088000120{bytes(32).hex()}")[1] == "6982"


def test_all_five_stand_behind_one_directory_and_are_blocked_one_by_one() -> None:
    reader = Reader(chip())
    labels = [
        each.content.decode()
        for entry in decode_all(reader.select(PPSE_NAME))
        for each in (find((template,), 0x50) for template in _templates(entry.content))
        if each is not None
    ]
    assert labels == ["MICROPAY", "MOT_T_EP", "SSSE", "HEALTH", "LIBRARY"]
    reader.data(f"00A4000002{FID_MASTER:04X}")
    assert len({reader.data(f"00B2{number:02X}0C00") for number in range(1, 6)}) == 5
    names = (AID_PURSE, social_security.NAME, health.NAME, library.NAME, purse.NAME)
    reader.select(library.NAME)
    key = CardKey(1, 1, 1, Key(MESSAGING, key_value(MESSAGING, 1)))
    block = CommandApdu(0x84, 0x1E, 0, 0)
    sent = protect(block, key, reader.data("0084000004"), encipher=False)
    reader.data(sent.encode().hex())
    words = [reader.send(f"00A40400{len(name):02X}{name.hex()}")[1] for name in names]
    assert words == ["9000", "9000", "9000", "6283", "9000"]


def _templates(data: bytes) -> tuple[Tlv, ...]:
    found = find(decode_all(data), 0xBF0C)
    assert found is not None
    assert isinstance(found.value, tuple)
    return found.value


def test_the_holder_and_the_number_are_those_of_the_chip() -> None:
    reader = Reader(chip())
    assert reader.data("00B0950000") == PUBLIC.encode()
    reader.select(AID_PURSE)
    assert reader.data("00B0950000") == PUBLIC.encode()
    reader.select(purse.NAME)
    assert reader.data("00B0950000") == PUBLIC.encode()


@pytest.mark.parametrize(
    ("make", "slots"),
    [
        (lambda keys: transit.package(TRANSIT, keys), transit.KEYS),
        (lambda keys: social_security.package(SOCIAL, keys), social_security.KEYS),
        (lambda keys: health.package(HEALTH, keys), health.KEYS),
        (lambda keys: library.package(LIBRARY, keys), library.KEYS),
        (lambda keys: purse.package(PURSE, keys), purse.KEYS),
    ],
)
def test_an_application_is_made_with_all_its_keys_or_none(
    make: Callable[[list[Secret]], Package], slots: tuple[KeySlot, ...]
) -> None:
    full = secrets(slots)
    assert isinstance(make([]), Package)
    for missing in range(len(full)):
        with pytest.raises(KeyUsageError, match="needs"):
            make(full[:missing] + full[missing + 1 :])
    stranger = CardKey(77, 1, 1, Key(KeyUsage.CHANNEL_ENC, bytes(16)))
    with pytest.raises(KeyUsageError, match="no place"):
        make([*full, stranger])


def test_a_value_of_no_field_or_too_long_makes_no_card() -> None:
    with pytest.raises(ValueError, match="no such field: nickname"):
        social_security.package(replace(SOCIAL, holder={**HOLDER, "nickname": "三"}))
    with pytest.raises(ValueError, match="no such element: nickname"):
        health.package(health.HealthProfile({"nickname": "三"}))
    with pytest.raises(ValueError, match="name"):
        social_security.package(replace(SOCIAL, holder={**HOLDER, "name": "三" * 16}))
    with pytest.raises(ValueError, match="EF08"):
        social_security.package(replace(SOCIAL, photo=bytes(4000)))
    with pytest.raises(ValueError, match="EF07"):
        health.package(health.HealthProfile(photo=bytes(4000)))


NAME = TaggedField(9, "name", ValueCoding.TEXT, 30)
DAY = TaggedField(13, "day", ValueCoding.DIGITS, 4)


@given(st.text("张三李四ABC", max_size=15))
def test_text_of_a_tagged_field_round_trips(text: str) -> None:
    assert NAME.decode(NAME.encode(text)) == text


@given(st.text("0123456789", max_size=8))
def test_digits_of_a_tagged_field_round_trip(digits: str) -> None:
    assert DAY.decode(DAY.encode(digits)) == digits


@given(st.binary(max_size=36))
def test_any_bytes_are_a_value_or_a_named_error(record: bytes) -> None:
    for field in (NAME, DAY):
        with contextlib.suppress(DecodeError):
            assert field.encode(field.decode(record))[:2] == record[:2]
