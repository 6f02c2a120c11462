"""Cards of another issuer: proven where that issuer's key is held, else pending for its centre.

They are no part of the float: what they pay here their centre owes, and the operator is paid once
it has answered.
"""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from cardcore.records.kinds import Sector
from settlement.facts.proof import tac_keys
from settlement.registry.book import AnyDated, Dated, since_ever
from settlement.registry.rows import (
    CardNumbersRow,
    HotlistRow,
    TerminalRow,
)
from settlement.reports.history import explain
from settlement.service.receive import receive_file
from settlement.store.days import load_gaps
from settlement.store.registry import register
from settlement.verification.verify import verify
from tests.settlement.attacks.town import (
    ACCEPTED,
    AGENT,
    AGENT_HOST,
    BUS,
    BUS_COLLECTOR,
    CENTRE,
    CENTRE_ROW,
    ENGINE,
    FOREIGN_CARD,
    GUEST_CITY,
    GUEST_ISSUER,
    GUEST_PREFIX,
    HOTLISTED,
    PARTNERS,
    TAC_WRONG,
    TERMINAL_UNKNOWN,
    VARIANT,
    Card,
    Fate,
    Terminal,
    Town,
    altered,
    at,
    build_town,
    guest_signed,
)
from tests.settlement.device_files import ACTION, DAY, SCHEME, key_service
from tests.settlement.load_logs import Host, register_host

PENDING = Fate("SUSPENDED", "CENTRE_PENDING")
FARE_FEN, LOAD_FEN = 200, 10_000


def ride(town: Town, clock: str = "08:00", day: int = 0, number: int = 1) -> bytes:
    """A ride of a card of the partner."""
    card = Card(f"{GUEST_PREFIX}{number:012}", 5_000)
    return guest_signed(
        card.pay(town.bus, FARE_FEN, at(clock, day), issuer=bytes.fromhex(GUEST_ISSUER))
    )


def own(town: Town) -> tuple[Card, bytes]:
    """A card of the town, and its load."""
    card = town.card(1)
    return card, card.load(town.kiosk, LOAD_FEN, at("07:00"))


def a_town(folder: Path, *rows: AnyDated, holds: bool = True) -> Town:
    town = build_town(folder, *rows)
    town.keys = key_service(partners=(GUEST_CITY,) if holds else ())
    return town


def tell_listed(town: Town, card_number: str) -> None:
    """It was told days ago: every terminal could know."""
    told = replace(ACTION, at=ACTION.at - timedelta(days=9))
    register(town.city.database, since_ever(HotlistRow(card_number, 1)), told)


def sound(town: Town) -> bool:
    return verify(town.city, town.keys, ENGINE).findings == ()


def test_what_a_foreign_card_paid_is_owed_by_its_centre_and_not_by_the_float(
    tmp_path: Path,
) -> None:
    town = a_town(tmp_path / "city", *PARTNERS)
    with town.city:
        card, load = own(town)
        local, guest = card.pay(town.bus, FARE_FEN, at()), ride(town, "09:00")
        closed = town.settle((AGENT_HOST, [load]), (BUS_COLLECTOR, [local, guest]))
        assert (town.fate(local), town.fate(guest)) == (ACCEPTED, PENDING)
        assert town.money() == {
            "load_agent/900": LOAD_FEN,
            "operator/101": -FARE_FEN,
            f"centre/{CENTRE}": FARE_FEN,
            "suspense/101": -FARE_FEN,
            "card_float": FARE_FEN - LOAD_FEN,
        }
        totals = town.totals(closed)
        assert (totals["float_fen"], totals["card_balance_fen"]) == (9_800, 9_800)
        # Its chain is its centre's to follow: nothing is missing here.
        assert load_gaps(town.city.database, closed.settlement_day) == ()
        assert totals["float_proof"]["unopened_purses"] == 0, totals["float_proof"]
        assert town.told(guest) == {f"centre/{CENTRE}": FARE_FEN, "suspense/101": -FARE_FEN}
        story = explain(town.city, f"{town.bus.number}-{2:08d}").copies[0].steps
        said = next(step.text.en for step in story if step.name == "decision")
        assert CENTRE_ROW.name in said
        assert "its issuer's centre answers" in said
        assert sound(town)


def test_it_waits_for_its_centre_while_the_key_is_elsewhere_and_is_judged_once_it_is_here(
    tmp_path: Path,
) -> None:
    town = a_town(tmp_path / "city", *PARTNERS, holds=False)
    with town.city:
        _, load = own(town)
        guest = ride(town)
        closed = town.settle((AGENT_HOST, [load]), (BUS_COLLECTOR, [guest]))
        assert town.fate(guest) == FOREIGN_CARD
        assert (town.totals(closed)["claims"], town.totals(closed)["rejected"]) == (1, 0)
        town.expect(billed={AGENT: LOAD_FEN})
        town.keys = key_service(partners=(GUEST_CITY,))
        town.settle((AGENT_HOST, [town.card(2).load(town.kiosk, 100, at("07:00", 1))]))
        assert town.fate(guest) == PENDING
        assert town.money()[f"centre/{CENTRE}"] == FARE_FEN
        assert sound(town)
        # Once, for ever.
        town.settle((BUS_COLLECTOR, [guest, ride(town, "08:00", 2)]))
        assert town.money()[f"centre/{CENTRE}"] == 2 * FARE_FEN
        assert town.fate(guest).disposition == "DUPLICATE"
        assert sound(town)


@pytest.mark.parametrize("is_closed", [False, True])
def test_numbers_registered_after_the_record_came_are_asked_then(
    tmp_path: Path, *, is_closed: bool
) -> None:
    town = a_town(tmp_path / "city")
    with town.city:
        _, load = own(town)
        guest = ride(town)
        for sender, records in ((AGENT_HOST, [load]), (BUS_COLLECTOR, [guest])):
            assert town.send(sender, records).answer.is_kept
        if is_closed:
            town.close()
            assert town.fate(guest) == FOREIGN_CARD
        register(town.city.database, PARTNERS, ACTION)
        if is_closed:
            town.now = town.now.replace(day=2)
            town.send(AGENT_HOST, [town.card(2).load(town.kiosk, 100, at("07:00", 1))])
        town.close()
        assert town.fate(guest) == PENDING
        assert sound(town)


def test_only_the_key_of_the_registered_numbers_proves_them(tmp_path: Path) -> None:
    town = a_town(tmp_path / "city", *PARTNERS)
    with town.city:
        register(town.city.database, since_ever(*tac_keys(town.keys, GUEST_CITY)), ACTION)
        card, load = own(town)
        local, guest = card.pay(town.bus, FARE_FEN, at()), ride(town, "09:00")
        forged = altered(ride(town, "10:00", number=2), "tac", b"\x01" + bytes(7))
        # One of ours under a partner's numbers, and one of a partner's under ours.
        posing = altered(local, "issuer", bytes.fromhex(GUEST_ISSUER))
        posing = altered(posing, "card_number", bytes.fromhex(GUEST_PREFIX + card.number[8:]))
        turned = altered(guest, "issuer", SCHEME.issuer)
        turned = altered(turned, "card_number", bytes.fromhex(f"{card.number[:8]}{1:012}"))
        town.settle((AGENT_HOST, [load]), (BUS_COLLECTOR, [posing, turned, forged]))
        assert {town.fate(each) for each in (posing, turned, forged)} == {TAC_WRONG}
        town.expect(billed={AGENT: LOAD_FEN})
        town.settle((BUS_COLLECTOR, [local, guest]))
        assert (town.fate(local), town.fate(guest)) == (ACCEPTED, PENDING)
        assert sound(town)


def test_a_foreign_ride_sent_again_with_other_claims_is_owed_once(tmp_path: Path) -> None:
    town = a_town(tmp_path / "city", *PARTNERS)
    with town.city:
        guest = ride(town)
        others = [altered(guest, "terminal_serial", 100 + each) for each in range(3)]
        town.settle((BUS_COLLECTOR, [guest, *others]))
        fates = [town.fate(each) for each in (guest, *others)]
        assert sorted(fates, key=str) == sorted([PENDING, VARIANT, VARIANT, VARIANT], key=str)
        assert town.money() == {f"centre/{CENTRE}": FARE_FEN, "suspense/101": -FARE_FEN}
        assert sound(town)


@pytest.mark.parametrize("is_own_listed", [True, False])
def test_a_guest_with_the_digits_of_a_listed_card_is_another_card(
    tmp_path: Path, *, is_own_listed: bool
) -> None:
    other = "08885840"  # the last four digits of the prefix are in the keys, as those of ours
    guest, numbers = Card(f"{other}{1:012}", 5_000), CardNumbersRow(GUEST_CITY, other, GUEST_ISSUER)
    listed = f"03105840{1:012}" if is_own_listed else guest.number
    town = a_town(tmp_path / "city", *PARTNERS, *since_ever(numbers))
    with town.city:
        tell_listed(town, listed)
        card, load = own(town)
        local = card.pay(town.bus, FARE_FEN, at())
        issuer = bytes.fromhex(GUEST_ISSUER)
        visitor = guest_signed(guest.pay(town.bus, FARE_FEN, at("09:00"), issuer=issuer))
        town.settle((AGENT_HOST, [load]), (BUS_COLLECTOR, [local, visitor]))
        assert (town.fate(local), town.fate(visitor)) == (
            (HOTLISTED, PENDING) if is_own_listed else (ACCEPTED, HOTLISTED)
        )
        assert sound(town)


def test_a_foreign_card_of_an_unknown_terminal_or_on_our_list_is_still_its_centres(
    tmp_path: Path,
) -> None:
    listed = f"{GUEST_PREFIX}{2:012}"
    town = a_town(tmp_path / "city", *PARTNERS)
    with town.city:
        tell_listed(town, listed)
        stranger = Terminal("0000000099ff", BUS, Sector.TRANSIT, "9" * 20)
        card = Card(f"{GUEST_PREFIX}{1:012}", 5_000)
        issuer = bytes.fromhex(GUEST_ISSUER)
        unknown = guest_signed(card.pay(stranger, FARE_FEN, at(), issuer=issuer))
        thief = ride(town, "09:00", number=2)
        town.settle((BUS_COLLECTOR, [unknown, thief]))
        assert (town.fate(unknown), town.fate(thief)) == (TERMINAL_UNKNOWN, HOTLISTED)
        held = {f"centre/{CENTRE}": 2 * FARE_FEN, "suspense/101": -2 * FARE_FEN}
        assert town.money() == held
        assert sound(town)
        register(town.city.database, since_ever(TerminalRow(stranger.number, BUS, "bus")), ACTION)
        town.settle((BUS_COLLECTOR, [ride(town, "08:00", 1, number=3)]))
        assert town.fate(unknown) == PENDING
        assert town.money() == {f"centre/{CENTRE}": 3 * FARE_FEN, "suspense/101": -3 * FARE_FEN}
        assert sound(town)


def test_money_put_onto_a_foreign_card_here_is_its_centres(tmp_path: Path) -> None:
    town = a_town(tmp_path / "city", *PARTNERS)
    with town.city:
        card = Card(f"{GUEST_PREFIX}{1:012}")
        load = card.load(town.kiosk, LOAD_FEN, at(), issuer=bytes.fromhex(GUEST_ISSUER))
        town.settle((AGENT_HOST, [guest_signed(load)]))
        assert town.money() == {f"centre/{CENTRE}": -LOAD_FEN, "suspense/900": LOAD_FEN}
        assert sound(town)


def test_before_its_day_a_number_is_nobodys_also_where_we_have_none_of_its_application(
    tmp_path: Path,
) -> None:
    label = f"{GUEST_CITY}-purse"
    dated = Dated(CardNumbersRow(label, GUEST_PREFIX, GUEST_ISSUER), DAY + timedelta(days=1))
    town = a_town(tmp_path / "city", *PARTNERS, dated)
    town.keys = key_service(partners=(GUEST_CITY, label))
    with town.city:
        card, issuer = Card(f"{GUEST_PREFIX}{1:012}", 5_000), bytes.fromhex(GUEST_ISSUER)
        early, due = (
            guest_signed(
                card.pay(town.bus, FARE_FEN, at(day=day), issuer=issuer, application=1), label
            )
            for day in range(2)
        )
        town.settle((BUS_COLLECTOR, [early]))
        assert town.fate(early) == FOREIGN_CARD
        town.settle((BUS_COLLECTOR, [due]))
        assert (town.fate(early), town.fate(due)) == (FOREIGN_CARD, PENDING)
        assert town.money() == {f"centre/{CENTRE}": FARE_FEN, "suspense/101": -FARE_FEN}
        assert sound(town)


def test_what_our_key_proves_is_owed_by_no_centre_that_took_the_numbers_over(
    tmp_path: Path,
) -> None:
    prefix, issuer = "03109999", SCHEME.issuer.hex().upper()
    ours = Dated(CardNumbersRow(SCHEME.name, prefix, issuer), date.min, DAY)
    theirs = Dated(CardNumbersRow(GUEST_CITY, prefix, issuer), DAY + timedelta(days=1))
    town = a_town(tmp_path / "city", *PARTNERS, ours, theirs)
    with town.city:
        card = Card(f"{prefix}{1:012}", 5_000)
        before, after = (card.pay(town.bus, FARE_FEN, at(day=day)) for day in range(2))
        town.settle((BUS_COLLECTOR, [before]))
        town.settle((BUS_COLLECTOR, [after]))
        assert (town.fate(before), town.fate(after)) == (ACCEPTED, FOREIGN_CARD)
        town.expect(paid={BUS: FARE_FEN})


def test_what_a_foreign_card_says_to_our_load_host_is_no_part_of_the_float(
    tmp_path: Path,
) -> None:
    prefix = "08883320"
    theirs = since_ever(CardNumbersRow(GUEST_CITY, prefix, SCHEME.issuer.hex().upper()))
    town = a_town(tmp_path / "city", *PARTNERS, *theirs)
    with town.city:
        register_host(town.city)
        host, (_, load) = Host(), own(town)
        host.allow_record(load)
        host.allow(card_number=f"{prefix}{1:012}", balance_before_fen=7_000, time=at("09:00"))
        file = host.file(town.now.replace(tzinfo=None))
        assert receive_file(town.city, file, town.keys, town.now).answer.is_kept
        proof = town.totals(town.settle((AGENT_HOST, [load])))["float_proof"]
        assert proof["stated_fen"] == LOAD_FEN, proof
        assert (proof["contradictions"], proof["missing_loads_fen"]) == (0, 0), proof
        town.expect(billed={AGENT: LOAD_FEN})


def test_numbers_that_are_ours_are_nobody_elses(tmp_path: Path) -> None:
    mine = CardNumbersRow(GUEST_CITY, SCHEME.card_numbers[0].prefix, SCHEME.issuer.hex().upper())
    town = a_town(tmp_path / "city", *PARTNERS, *since_ever(mine))
    with town.city:
        card, load = own(town)
        local = card.pay(town.bus, FARE_FEN, at())
        town.settle((AGENT_HOST, [load]), (BUS_COLLECTOR, [local]))
        town.expect(paid={BUS: FARE_FEN}, billed={AGENT: LOAD_FEN})
