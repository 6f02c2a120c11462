"""R1: what a card signed once is booked once, whatever is written around it."""

from itertools import permutations
from pathlib import Path

import pytest

from cardcore.errors import RecordFormatError
from cardcore.records.kinds import MacProfile, RecordKind
from cardcore.records.record import FIELD, RECORD_BYTES, decode_record
from cardcore.records.tac import record_digest, tac_message_slices
from settlement.intake.answers import FileAnswer
from tests.settlement.attacks.town import (
    ACCEPTED,
    AGENT,
    AGENT_HOST,
    BUS,
    BUS_COLLECTOR,
    COPY,
    FOREIGN_CARD,
    FORMAT_WRONG,
    METRO,
    METRO_COLLECTOR,
    TAC_WRONG,
    VARIANT,
    Card,
    Fate,
    Town,
    altered,
    at,
    build_town,
    vouched,
)

FARE_FEN, LOAD_FEN = 160, 1_000


def loaded(town: Town, number: int = 1, amount_fen: int = LOAD_FEN) -> tuple[Card, bytes]:
    card = town.card(number)
    return card, card.load(town.kiosk, amount_fen, at("07:00"))


def test_one_true_ride_sent_20_times_with_other_serial_counter_and_balances(town: Town) -> None:
    card, load = loaded(town)
    ride = card.pay(town.bus, FARE_FEN, at())
    copies = [ride]
    for number in range(1, 21):
        copy = altered(ride, "terminal_serial", 100 + number)
        copy = altered(copy, "offline_counter", number)
        copy = altered(copy, "balance_before_fen", LOAD_FEN - number)
        copies.append(altered(copy, "balance_after_fen", LOAD_FEN - number - FARE_FEN))
    totals = town.totals(
        town.settle((AGENT_HOST, [load]), (BUS_COLLECTOR, [*copies[:12], *copies[:3]]))
    )
    assert (totals["accepted"], totals["duplicates"]) == (2, 14)
    town.settle((BUS_COLLECTOR, copies[12:]))
    # Three came twice: `fate` is that of the last copy, a duplicate wherever it stands.
    assert {town.fate(copy) for copy in copies} <= {ACCEPTED, VARIANT, COPY}
    assert {town.fate(copy) for copy in copies[12:]} == {VARIANT}
    # The card's next true ride elsewhere is paid: nothing it did is doubted.
    gate = card.pay(town.gate, 380, at("09:00", 2))
    town.settle((METRO_COLLECTOR, [gate]))
    assert town.fate(gate) == ACCEPTED
    town.expect(paid={BUS: FARE_FEN, METRO: 380}, billed={AGENT: LOAD_FEN})


def test_500_altered_copies_of_one_settled_ride(town: Town) -> None:
    card, load = loaded(town)
    ride = card.pay(town.bus, FARE_FEN, at())
    before = town.totals(town.settle((AGENT_HOST, [load]), (BUS_COLLECTOR, [ride])))
    copies = [altered(ride, "terminal_serial", number) for number in range(2, 502)]
    after = town.totals(town.settle((BUS_COLLECTOR, copies)))
    assert {town.fate(copy) for copy in copies} == {VARIANT}
    assert (after["float_fen"], before["float_fen"]) == (LOAD_FEN - FARE_FEN,) * 2
    assert (after["duplicates"], after["suspended"], after["charged_fen"]) == (500, 0, 0)
    assert town.told(copies[0]) == {}
    town.expect(paid={BUS: FARE_FEN}, billed={AGENT: LOAD_FEN})


def test_one_ride_under_999_number_prefixes_and_issuers(town: Town) -> None:
    card, load = loaded(town)
    ride = card.pay(town.bus, FARE_FEN, at())
    start = FIELD["card_number"].offset
    prefixes = [
        ride[:start] + bytes.fromhex(f"0{number:03}") + ride[start + 2 :]
        for number in range(1, 1_000)
        if number != 310
    ]
    issuers = [altered(ride, "issuer", number) for number in range(1, 1_000)]
    town.settle((AGENT_HOST, [load]), (BUS_COLLECTOR, [*prefixes, *issuers, ride]))
    assert town.fate(ride) == ACCEPTED
    assert {town.fate(each) for each in (*prefixes, *issuers)} == {FOREIGN_CARD}
    town.expect(paid={BUS: FARE_FEN}, billed={AGENT: LOAD_FEN})


def own_places(*, is_load: bool) -> frozenset[int]:
    """The bytes that are the card's word: what it signed, its TAC, and the digits of its number
    that chose its key.
    """
    spans = tac_message_slices(load=is_load)
    number, tac = FIELD["card_number"].offset, FIELD["tac"].offset
    own = {place for start, end in spans for place in range(start, end)}
    return frozenset(own | set(range(number + 2, number + 10)) | set(range(tac, tac + 4)))


def unsigned_changes(*, is_load: bool) -> list[tuple[int, int]]:
    """(place, change) for each byte that is not the card's word."""
    own = own_places(is_load=is_load)
    # A file says the version of its first record, so that one is a true one.
    free = [place for place in reversed(range(RECORD_BYTES)) if place not in own]
    return [(place, change) for place in free for change in (0x01, 0x10, 0xFF)]


def flipped(record: bytes, place: int, change: int) -> bytes:
    return record[:place] + bytes((record[place] ^ change,)) + record[place + 1 :]


def field_at(place: int) -> str:
    """The field a byte of a record belongs to."""
    for name, cell in FIELD.items():
        if cell.offset <= place < cell.offset + cell.length:
            return name
    return "version" if place == 0 else "payload"


def right_fates(place: int, changed: bytes) -> set[Fate]:
    """What may become of a changed copy of a record that stands."""
    try:
        decode_record(changed)
    except RecordFormatError:
        return {FORMAT_WRONG}
    name = field_at(place)
    if name in {"card_number", "issuer"}:
        return {FOREIGN_CARD}
    if name == "kind":  # a debit called a load, or a load called a debit, is signed by nobody
        return {VARIANT, TAC_WRONG}
    if name == "mac":
        return {COPY}  # one content, with another MAC
    if name in {"algorithm", "key_version"}:  # tried under the keys there are, or it waits
        waits = {Fate("CLAIM", f"{name.upper()}_UNKNOWN") for name in ("algorithm", "key_version")}
        return waits | {VARIANT}
    if name == "application":  # another purse has other keys, an unknown one none
        return {FORMAT_WRONG, FOREIGN_CARD, TAC_WRONG, Fate("CLAIM", "KEY_VERSION_UNKNOWN")}
    return {VARIANT}


#: Which day each is sent on: the changed copy, the true record.
ORDERS = {"together": (0, 0), "the true one first": (1, 0), "the changed one first": (0, 1)}


@pytest.fixture(scope="module", params=["ride", "load"])
def is_load(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "load")


@pytest.mark.parametrize("order", ORDERS)
def test_every_unsigned_byte_changed(tmp_path: Path, order: str, is_load: bool) -> None:  # noqa: FBT001 - a fixture
    """A card for each byte and change, so that each stands for itself."""
    town = build_town(tmp_path / "city")
    with town.city:
        changed_day, true_day = ORDERS[order]
        sender, owner = (AGENT_HOST, AGENT) if is_load else (BUS_COLLECTOR, BUS)
        cases = unsigned_changes(is_load=is_load)
        loads: list[bytes] = []
        pairs: list[tuple[int, bytes, bytes]] = []
        for number, (place, change) in enumerate(cases):
            card, load = loaded(town, 1 + number)
            true = load if is_load else card.pay(town.bus, FARE_FEN, at())
            loads += [] if is_load else [load]
            pairs.append((place, true, flipped(true, place, change)))
        days: list[list[bytes]] = [[], []]
        for _, true, changed in pairs:
            days[true_day].append(true)
            days[changed_day].append(changed)
        files = [(AGENT_HOST, loads)] if loads else []
        town.settle(*files, (sender, days[0]))
        town.settle((sender, days[1]))
        wrong = {
            (field_at(place), place, town.fate(true), town.fate(changed))
            for place, true, changed in pairs
            if not _is_right(town, place, true, changed)
        }
        assert wrong == set()
        amount_fen = LOAD_FEN if is_load else FARE_FEN
        for _, true, changed in pairs[::29]:
            moved = [town.told(each) for each in (true, changed)]
            assert {} in moved
            assert sum(abs(each.get("card_float", 0)) for each in moved) == amount_fen
        if is_load:
            town.expect(billed={owner: len(cases) * LOAD_FEN})
        else:
            town.expect(paid={owner: len(cases) * FARE_FEN}, billed={AGENT: len(cases) * LOAD_FEN})


def _is_right(town: Town, place: int, true: bytes, changed: bytes) -> bool:
    fates = town.fate(true), town.fate(changed)
    expected = right_fates(place, changed)
    if fates[0] == ACCEPTED:
        return fates[1] in expected
    # The changed copy stands, which it may where both are proven.
    return fates[1] == ACCEPTED and fates[0] in {VARIANT, COPY} and bool(expected & {VARIANT, COPY})


def test_a_byte_changed_that_the_card_signed_moves_nothing(town: Town, is_load: bool) -> None:  # noqa: FBT001 - a fixture
    card, load = loaded(town)
    true = load if is_load else card.pay(town.bus, FARE_FEN, at())
    own = sorted(own_places(is_load=is_load))
    changed = [flipped(true, place, change) for place in own for change in (0x01, 0x10)]
    town.settle((AGENT_HOST if is_load else BUS_COLLECTOR, [*changed, true]), (AGENT_HOST, [load]))
    if not is_load:
        assert town.fate(true) == ACCEPTED
    assert {town.fate(each).disposition for each in changed} <= {"CLAIM", "REJECTED"}
    paid = {} if is_load else {BUS: FARE_FEN}
    town.expect(paid=paid, billed={AGENT: LOAD_FEN})


def test_of_variants_the_settled_one_stands_then_the_one_with_a_record_mac_then_the_smallest_digest(
    tmp_path: Path,
) -> None:
    """Never the order of arrival."""
    for number, order in enumerate([*permutations(range(4))][::5]):
        town = build_town(tmp_path / str(number))
        with town.city:
            card, load = loaded(town)
            ride = card.pay(town.bus, FARE_FEN, at())
            plain = sorted((altered(ride, "line", n) for n in range(2, 4)), key=record_digest)
            weak = vouched(altered(ride, "line", 4), town.bus.psam, MacProfile.PBOC)
            sent = [*plain, weak, vouched(altered(ride, "line", 5), town.bus.psam)]
            if number % 2:
                # Only what carries no MAC comes in first: it is settled, and stays.
                town.settle(
                    (AGENT_HOST, [load]), (BUS_COLLECTOR, [sent[n] for n in order if n < 2])
                )
                town.settle((BUS_COLLECTOR, [sent[n] for n in order if n >= 2]))
                stands = plain[0]
            else:
                files = [(BUS_COLLECTOR, [sent[n]]) for n in order]
                town.settle((AGENT_HOST, [load]), *files)
                stands = sent[3]
            assert [each for each in sent if town.fate(each) == ACCEPTED] == [stands]
            assert {town.fate(each) for each in sent} == {ACCEPTED, VARIANT}
            town.expect(paid={BUS: FARE_FEN}, billed={AGENT: LOAD_FEN})


def test_a_psam_that_vouches_for_20_stories_of_one_ride_is_paid_for_one(town: Town) -> None:
    card, load = loaded(town)
    ride = card.pay(town.bus, FARE_FEN, at())
    stories = [
        vouched(altered(ride, "terminal_serial", number), town.bus.psam) for number in range(1, 21)
    ]
    town.settle((AGENT_HOST, [load]), (BUS_COLLECTOR, stories[:10]))
    town.settle((BUS_COLLECTOR, stories[10:]))
    assert sorted(town.fate(story).reason for story in stories) == ["NONE", *["VARIANT"] * 19]
    town.expect(paid={BUS: FARE_FEN}, billed={AGENT: LOAD_FEN})


@pytest.mark.parametrize("kind", ["VISIT", "LOAN", "ENTITLEMENT", "HIRE", "CARD_LOCKED"])
def test_a_ride_called_an_event_without_a_purse_takes_nobody_s_place(town: Town, kind: str) -> None:
    card, load = loaded(town)
    ride = card.pay(town.bus, FARE_FEN, at())
    town.settle((AGENT_HOST, [load]), (BUS_COLLECTOR, [altered(ride, "kind", RecordKind[kind])]))
    town.expect(billed={AGENT: LOAD_FEN})
    town.settle((BUS_COLLECTOR, [ride]))
    assert town.fate(ride) == ACCEPTED
    town.expect(paid={BUS: FARE_FEN}, billed={AGENT: LOAD_FEN})


def test_both_contents_of_variants_are_kept_and_told(town: Town) -> None:
    card, load = loaded(town)
    ride = card.pay(town.bus, FARE_FEN, at())
    other = altered(ride, "vehicle", 7)
    town.settle((AGENT_HOST, [load]), (BUS_COLLECTOR, [other, ride]))
    stands, variant = sorted((ride, other), key=record_digest)
    assert (town.fate(stands), town.fate(variant)) == (ACCEPTED, VARIANT)
    assert town.told(stands) == {"card_float": FARE_FEN, f"operator/{BUS}": -FARE_FEN}
    assert town.told(variant) == {}


def test_the_same_second_at_one_terminal_is_two_rides_of_two_cards(town: Town) -> None:
    """What is signed tells them apart: nobody who is honest loses by the identity."""
    cards = [loaded(town, number) for number in (1, 2)]
    rides = [card.pay(town.bus, FARE_FEN, at()) for card, _ in cards]
    twice = [cards[0][0].pay(town.bus, FARE_FEN, at()) for _ in range(2)]
    town.settle((AGENT_HOST, [load for _, load in cards]), (BUS_COLLECTOR, [*rides, *twice]))
    assert {town.fate(each) for each in (*rides, *twice)} == {ACCEPTED}
    town.expect(paid={BUS: 4 * FARE_FEN}, billed={AGENT: 2 * LOAD_FEN})


def test_a_changed_copy_sent_by_somebody_else_takes_nobody_s_place(town: Town) -> None:
    card, load = loaded(town)
    ride = card.pay(town.bus, FARE_FEN, at())
    copies = [ride, *(altered(ride, "line", number) for number in range(2, 6))]
    town.settle((AGENT_HOST, [load]), (METRO_COLLECTOR, copies))
    assert {town.fate(each).reason for each in copies} == {"NOT_YOUR_TERMINAL"}
    town.settle((BUS_COLLECTOR, [ride]))
    assert town.fate(ride) == ACCEPTED
    town.expect(paid={BUS: FARE_FEN}, billed={AGENT: LOAD_FEN})


def test_a_file_sent_again_under_another_sequence_is_copies(town: Town) -> None:
    card, load = loaded(town)
    rides = [card.pay(town.bus, FARE_FEN, at(f"08:0{number}")) for number in range(4)]
    town.settle((AGENT_HOST, [load]), (BUS_COLLECTOR, rides), (BUS_COLLECTOR, rides[::-1]))
    closed = town.settle((BUS_COLLECTOR, rides))
    assert town.totals(closed)["duplicates"] == 4
    assert town.send(BUS_COLLECTOR, rides, sequence=1).answer in {
        FileAnswer.SEQUENCE_CONFLICT,
        FileAnswer.ALREADY_RECEIVED,
    }
    town.expect(paid={BUS: 4 * FARE_FEN}, billed={AGENT: LOAD_FEN})
