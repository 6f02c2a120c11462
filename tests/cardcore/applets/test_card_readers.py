"""Our card as published reader software sees it, and published cards rebuilt byte for byte."""

import json
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from cardcore.applets.transit import ENTRY, TransitProfile
from cardcore.chip.filesystem import FileSystem
from cardcore.chip.memory import Memory
from cardcore.chip.package import DirectoryEntry, directory
from cardcore.chip.tree import DedicatedFile, Structure, TreeBuilder
from cardcore.layouts.transit import (
    AID_CASH,
    AID_PURSE,
    PPSE_NAME,
    PublicInformation,
    TransitRecord,
)
from cardcore.tlv import Tlv, decode_all, encode_all, find
from tests.cardcore.transit_cards import PROFILE, TRIP, a_card, a_terminal, an_image
from tests.support.shared import VECTORS, needs_shared


def published(name: str) -> dict[str, Any]:
    vectors: dict[str, Any] = json.loads((VECTORS / name).read_text(encoding="utf-8"))
    return vectors


def city_card(start: str) -> dict[str, str]:
    cards: list[dict[str, str]] = published("city_cards.json")["cards"]
    return next(card for card in cards if card["name"].startswith(start))


def fci_of(name: bytes, proprietary: bytes, public: bytes = b"") -> bytes:
    """What a directory with that name answers to SELECT."""
    tree = TreeBuilder()
    root = tree.add_directory(None, 0x3F00)
    made = tree.add_directory(
        root, 0x1001, name=name, proprietary=proprietary, copied_sfi=0x15 if public else 0
    )
    if public:
        tree.add_file(made, 0x0015, Structure.TRANSPARENT, [public], sfi=0x15)
    found = FileSystem(Memory(tree.cells)).child(root, 0x1001)
    assert isinstance(found, DedicatedFile)
    return FileSystem(Memory(tree.cells)).fci(found)


@needs_shared
def test_the_ppse_of_the_published_card_with_two_applications_comes_out_byte_for_byte() -> None:
    entries = [DirectoryEntry(AID_CASH, "MOT_T_CASH", 1), ENTRY]
    expected = city_card("PPSE")["fci"]
    assert fci_of(PPSE_NAME, directory(entries)).hex().upper() == expected


@needs_shared
@pytest.mark.parametrize("number", range(3))
def test_the_fci_of_published_cards_comes_out_byte_for_byte(number: int) -> None:
    dump = published("tunion_cards.json")["records"][number]
    public = PublicInformation.decode(bytes.fromhex(dump["ep_file15"]))
    card = a_card(an_image(TransitProfile(public)))
    answer = card.transmit(bytes.fromhex(dump["select_apdu"]))
    assert answer.hex().upper() == dump["fci"] + "9000"


@needs_shared
def test_an_fci_with_a_label_and_the_name_of_an_image_comes_out_byte_for_byte() -> None:
    expected = bytes.fromhex(city_card("T-Union MOT_T_EP")["fci"])
    public = find(decode_all(expected), 0x9F0C)
    assert public is not None
    head = (
        Tlv(0x50, b"MOT_T_EP"), Tlv(0x87, b"\x02"), Tlv(0x9F08, b"\x02"),
        Tlv(0x9F12, b"CARD IMAGE 0001"),
    )  # fmt: skip
    assert fci_of(AID_PURSE, encode_all(head), public.content) == expected


@needs_shared
@pytest.mark.parametrize("number", range(3))
def test_a_reader_sees_what_it_would_expect_of_the_published_card(number: int) -> None:
    """The probe of Metrodroid: FCI, balances, EF15 and the log, on a card made from the dump."""
    dump = published("tunion_cards.json")["records"][number]
    expect = dump["expect"]
    overdraft = int(dump["balance_p1_01"], 16)
    public = PublicInformation.decode(bytes.fromhex(dump["ep_file15"]))
    card = a_card(an_image(TransitProfile(public), overdraft_limit_fen=overdraft))
    terminal = a_terminal(card)
    if total := expect["metrodroid_balance_fen"] - overdraft:
        assert terminal.load(total).sw == b"\x90\x00"
    shown = [int.from_bytes(terminal.send(f"805C0{p1}0204")[0], "big") for p1 in range(4)]
    assert (shown[0] if shown[0] > 0 else shown[0] - shown[1]) == expect["metrodroid_balance_fen"]
    assert shown[0] - shown[1] == expect["coreextendednfc_balance_fen"]
    assert all(value < 0x80000000 for value in shown)
    information = terminal.send("00B0950000")[0]
    assert information[10:20].hex()[1:] == expect["serial"]
    assert information[20:24].hex() == expect["valid_from"]
    assert information[24:28].hex() == expect["valid_to"]
    for record in reversed(dump["records18"][:10]):
        kind = {"02": "load", "09": "composite"}.get(record["type"])
        terminal.terminal = bytes.fromhex(record["terminal"])
        terminal.time = bytes.fromhex(record["datetime"])
        if kind == "load":
            assert terminal.load(record["amount_fen"]).sw == b"\x90\x00"
        elif kind == "composite":
            assert terminal.load(record["amount_fen"]).sw == b"\x90\x00"
            assert terminal.purchase(record["amount_fen"], records=[]).sw == b"\x90\x00"
        else:
            continue
        # All but the counter, which started earlier in the life of the published card.
        assert terminal.record(0x18, 1)[0][2:].hex().upper() == record["hex"][4:]


@needs_shared
def test_the_documented_ride_comes_back_as_published() -> None:
    dump = next(each for each in published("tunion_cards.json")["records"] if "rec1E" in each)
    card = a_card()
    terminal = a_terminal(card)
    terminal.load(4_085)
    terminal.terminal = bytes.fromhex(dump["rec18"]["terminal"])
    terminal.time = bytes.fromhex(dump["rec18"]["datetime"])
    trip = bytes.fromhex(dump["rec1E"]["hex"])
    assert terminal.purchase(500, records=[("00F0", trip)]).sw == b"\x90\x00"
    assert terminal.record(0x1E, 1)[0] == trip
    assert terminal.balance() == dump["rec1E"]["balance_fen"]
    assert terminal.record(0x18, 1)[0][2:] == bytes.fromhex(dump["rec18"]["hex"])[2:]


@pytest.mark.parametrize("is_free", [False, True])
def test_a_probe_of_every_short_id_finds_the_files_with_their_sizes(*, is_free: bool) -> None:
    card = a_card(an_image(trips=(TRIP,), is_holder_free=is_free))
    terminal = a_terminal(card)
    terminal.load(1)
    binary, records = {}, {}
    for sfi in range(0x1F):
        if sfi:
            answer = card.transmit(bytes((0x00, 0xB0, 0x80 | sfi, 0, 0)))
            if answer[-2:] == b"\x90\x00":
                binary[sfi] = len(answer) - 2
            else:
                assert answer in (b"\x6a\x82", b"\x69\x81", b"\x69\x82")
        terminal.select()
        answer = card.transmit(bytes((0x00, 0xB2, 1, sfi << 3 | 4, 0)))
        if answer[-2:] == b"\x90\x00":
            records[sfi] = len(answer) - 2
        else:
            assert answer in (b"\x6a\x82", b"\x69\x81", b"\x69\x86")
    # The holder's file answers a stranger only on a card of the field.
    assert binary == {0x15: 30, 0x17: 60} | ({0x16: 55} if is_free else {})
    assert records == {0x18: 23, 0x1A: 128, 0x1E: 48}


def test_files_are_found_by_file_id_in_df_1001() -> None:
    card = a_card(an_image(is_holder_free=True))
    assert card.transmit(bytes.fromhex("00A4000002100100"))[-2:] == b"\x90\x00"
    sizes = {}
    for fid in (0x15, 0x16, 0x17):
        assert card.transmit(bytes.fromhex(f"00A400000200{fid:02X}"))[-2:] == b"\x90\x00"
        sizes[fid] = len(card.transmit(bytes.fromhex("00B0000000"))) - 2
    assert sizes == {0x15: 30, 0x16: 55, 0x17: 60}


def test_a_card_that_is_inside_says_so() -> None:
    entered = datetime.fromisoformat("2018-09-01T08:00:00")
    rides = tuple(
        replace(ride, status=1, entry_time=entered)
        if isinstance(ride, TransitRecord) and ride.record_id == 0x2701
        else ride
        for ride in PROFILE.rides
    )
    terminal = a_terminal(a_card(an_image(rides=rides)))
    metro, bus = terminal.record(0x1A, 1)[0], terminal.record(0x1A, 2)[0]
    assert (metro[14], metro[67:74].hex()) == (1, "20180901080000")
    assert (bus[:2].hex(), bus[14]) == ("2702", 0)


def test_a_fresh_card_fits_into_half_a_kilobyte_a_full_one_into_three() -> None:
    card = a_card()
    assert len(card.image()) < 512
    terminal = a_terminal(card)
    terminal.load(1_000)
    for sequence in range(40):
        terminal.purchase(1, sequence, records=[("00F0", TRIP.encode())])
    assert len(card.image()) < 3 * 1_024
