"""The attacks on records, one by one, and what the auditor says: an auditor must be right itself.

Every case is a row of the table of attacks, or a rule's own words, with one card and a few sites.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from cardcore.records.kinds import MacProfile, RecordFlag, RecordKind
from tests.settlement.audited.encoding import changed, signed_by_card, signed_by_psam, without_mac
from tests.settlement.audited.hall import (
    AGENT,
    BUS,
    BUS_SITE,
    CARD,
    CENTRE,
    CITY,
    DAY,
    GATE,
    GUEST,
    GUEST_ISSUER,
    ISSUER,
    KNOWN,
    METRO,
    NEW_SITE,
    OTHER_PREFIX,
    PARTNER,
    SIBLING,
    WITH_PARTNERS,
    Card,
    Hall,
    guest,
    tac_key,
)
from tests.support.audit.books import Books, purses_of
from tests.support.audit.known import CardRange, ListedDays, TerminalDays
from tests.support.audit.words import Note, Purse, Reason


def variants(data: bytes, count: int) -> list[bytes]:
    return [
        changed(
            data, terminal_serial=1000 + n, offline_counter=2000 + n, balance_before_fen=n,
            balance_after_fen=0, line=n,
        )
        for n in range(count)
    ]  # fmt: skip


def test_one_ride_sent_twenty_times_with_other_claims_is_paid_once() -> None:
    card, hall = Card(0), Hall()
    load, ride, other = card.load(), card.ride(), card.ride(300, GATE)
    hall.settle(load, sender=AGENT)
    found = hall.reasons(ride, *variants(ride, 20))
    assert sorted(found) == [Reason.NONE, *[Reason.VARIANT] * 20]
    assert hall.reasons(other, sender=METRO) == [Reason.NONE]
    assert hall.books.paid_fen == {AGENT: -10_000, BUS: 160, METRO: 300}
    assert hall.books.float_fen == 10_000 - 160 - 300 == card.balance_fen


def test_five_hundred_altered_copies_of_a_settled_ride_leave_the_float() -> None:
    card, hall = Card(), Hall()
    hall.settle(card.load(), sender=AGENT)
    ride = card.ride()
    hall.settle(ride)
    before = hall.books
    assert set(hall.reasons(*variants(ride, 500), day=DAY + timedelta(days=1))) == {Reason.VARIANT}
    assert hall.books == before


def test_one_ride_under_many_prefixes_and_issuers_is_accepted_once() -> None:
    card, hall = Card(), Hall()
    ride = card.ride()
    issuers = [changed(ride, issuer=bytes(7) + bytes((n,))) for n in range(1, 100)]
    prefixes = [changed(ride, card_number=f"0{n:03}{CARD[4:]}") for n in range(1, 310)]
    own = changed(ride, card_number="0777" + CARD[4:], issuer=SIBLING)
    found = hall.reasons(*issuers, *prefixes, own, ride)
    assert sorted(found[-2:]) == [Reason.NONE, Reason.VARIANT]
    assert set(found[:-2]) == {Reason.FOREIGN_CARD}
    assert hall.books.paid_fen == {BUS: 160}


def test_a_debit_rewritten_to_leave_a_hole_is_paid_and_what_fills_the_hole_is_a_claim() -> None:
    card, hall = Card(offline=11), Hall()
    ride = card.ride(200)
    rewritten = changed(ride, offline_counter=12, balance_before_fen=9000, balance_after_fen=8800)
    filler = changed(
        ride, offline_counter=11, amount_fen=1000, tac=bytes(8), flags=RecordFlag.TAC_MISSING
    )
    filler = signed_by_psam(filler, CITY, MacProfile.FIXED)
    assert hall.reasons(rewritten, filler) == [Reason.NONE, Reason.TAC_MISSING]
    assert (hall.books.paid_fen, hall.books.claims_fen) == ({BUS: 200}, 1000)


def test_a_load_sent_twice_with_an_unsigned_byte_changed_is_billed_once() -> None:
    card, hall = Card(), Hall()
    load = card.load()
    found = hall.reasons(load, changed(load, station=9), sender=AGENT)
    assert sorted(found) == [Reason.NONE, Reason.VARIANT]
    assert hall.books.paid_fen == {AGENT: -10_000}


def test_the_flag_that_a_tac_is_missing_counts_for_nothing_when_it_holds() -> None:
    card, hall = Card(), Hall()
    loads = [changed(card.load(), flags=RecordFlag.TAC_MISSING) for _ in range(10)]
    assert set(hall.reasons(*loads, sender=AGENT)) == {Reason.NONE}
    assert hall.books.paid_fen == {AGENT: -100_000}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"tac": bytes(8), "flags": RecordFlag.TAC_MISSING}, Reason.TAC_MISSING),
        ({"tac": bytes(8)}, Reason.TAC_MISSING),
        ({"tac": b"\x01\x02\x03\x04" + bytes(4)}, Reason.TAC_WRONG),
        ({"tac": b"\x01\x02\x03\x04" + bytes(4), "key_version": 9}, Reason.KEY_VERSION_UNKNOWN),
        ({"tac": b"\x01\x02\x03\x04" + bytes(4), "algorithm": 9}, Reason.ALGORITHM_UNKNOWN),
        ({"psam_sequence": 77}, Reason.TAC_WRONG),
    ],
)
def test_what_no_key_proves_moves_nothing(change: dict[str, object], reason: Reason) -> None:
    hall = Hall()
    huge = changed(Card().ride(), amount_fen=4_290_000_000, **change)
    assert hall.reasons(huge) == [reason]
    assert hall.books == Books(claims=1, claims_fen=4_290_000_000)


def test_records_of_anothers_terminal_have_no_effect_and_may_come_again_from_the_right_one() -> (
    None
):
    hall, ride = Hall(), Card().ride()
    copies = (ride, ride, changed(ride, line=5), changed(ride, tac=bytes(8)))
    assert set(hall.reasons(*copies, sender=METRO)) == {Reason.NOT_YOUR_TERMINAL}
    assert hall.books == Books()
    assert hall.reasons(ride) == [Reason.NONE]
    assert hall.books.paid_fen == {BUS: 160}


def test_a_moved_bus_pays_last_weeks_owner_whoever_of_its_collectors_brings_it() -> None:
    moved = DAY + timedelta(days=7)
    before = TerminalDays(BUS_SITE, BUS, BUS, last=moved - timedelta(days=1))
    after = TerminalDays(BUS_SITE, METRO, METRO, first=moved)
    known = replace(KNOWN, terminals=(before, after))
    old, new = Card(), Card(now=datetime(2018, 9, 8, 8))  # noqa: DTZ001 - wall clock
    hall = Hall(known)
    assert hall.reasons(old.ride(), sender=BUS, day=moved) == [Reason.NONE]
    assert hall.reasons(old.ride(), sender=METRO, day=moved) == [Reason.NONE]
    assert hall.books.paid_fen == {BUS: 320}
    ride = new.ride()
    assert hall.reasons(ride, sender=BUS, day=moved) == [Reason.NOT_YOUR_TERMINAL]
    assert hall.reasons(ride, sender=METRO, day=moved) == [Reason.NONE]
    assert hall.books.paid_fen == {BUS: 320, METRO: 160}


def test_days_closed_oldest_first_after_all_files_came_accept_every_true_record() -> None:
    hall, last = Hall(), DAY + timedelta(days=4)
    card = Card()
    for number in range(5):
        card.now = datetime(2018, 9, 1 + number, 8)  # noqa: DTZ001 - wall clock
        ride, day = card.ride(), DAY + timedelta(days=number)
        assert hall.reasons(ride, day=day, received=last) == [Reason.NONE]


def test_a_clock_ahead_waits_for_its_day_and_is_paid_then() -> None:
    hall, card = Hall(), Card(now=datetime(2018, 9, 4, 12))  # noqa: DTZ001 - wall clock
    ride = card.ride()
    assert hall.reasons(ride, ride) == [Reason.CLOCK_AHEAD, Reason.DUPLICATE]
    assert hall.books.held_fen == {BUS: 160}
    hall.settle(day=DAY + timedelta(days=2), again=True)
    assert hall.books.held_fen == {BUS: 160}
    hall.settle(day=DAY + timedelta(days=3), again=True)
    assert (hall.books.paid_fen, hall.books.held_fen) == ({BUS: 160}, {})


@pytest.mark.parametrize(("hour", "reason"), [(7, Reason.NONE), (9, Reason.CLOCK_AHEAD)])
def test_clocks_are_read_on_the_citys_clock(hour: int, reason: Reason) -> None:
    # The file comes in at the last moment of 1 September UTC: 07:59:59 of the next day in the city.
    hall = Hall()
    card = Card(now=datetime(2018, 9, 3, hour))  # noqa: DTZ001 - wall clock
    assert hall.reasons(card.ride()) == [reason]


def test_a_stolen_cards_ride_is_judged_by_the_order_its_psam_signed() -> None:
    listed = ListedDays(CARD, first=DAY + timedelta(days=1))
    hall = Hall(replace(KNOWN, hotlist=(listed,)))
    tomorrow = DAY + timedelta(days=1)
    other = Card(now=datetime(2018, 9, 2, 8), sequence=6)  # noqa: DTZ001 - wall clock
    between = changed(other.ride(), card_number="03105840000000000002")
    between = signed_by_card(between, CITY, 1)
    stolen = Card(sequence=9)
    assert hall.reasons(between, stolen.ride(), day=tomorrow) == [Reason.NONE, Reason.HOTLISTED]
    assert hall.books.held_fen == {BUS: 160}
    # Before that sequence the ride is as old as it says.
    assert hall.reasons(Card(sequence=2).ride(170), day=tomorrow) == [Reason.NONE]


@pytest.mark.parametrize(
    ("vouches", "named", "reason"),
    [
        # The other PSAM signed both, or each its own; without a MAC it may have been either.
        ("both", "1" * 20, Reason.HOTLISTED),
        ("both", "2" * 20, Reason.NONE),
        ("the lower one", "2" * 20, Reason.HOTLISTED),
        ("the late one", "1" * 20, Reason.NONE),
        ("weakly", "2" * 20, Reason.HOTLISTED),
    ],
)
def test_which_psam_it_was_a_mac_proves_that_no_other_can_make(
    vouches: str, named: str, reason: Reason
) -> None:
    listed = ListedDays(CARD, first=DAY + timedelta(days=1))
    hall = Hall(replace(KNOWN, hotlist=(listed,)))
    other = Card(now=datetime(2018, 9, 2, 8), sequence=6)  # noqa: DTZ001 - wall clock
    lower = changed(other.ride(), card_number="03105840000000000002", psam="1" * 20)
    lower, late = signed_by_card(lower, CITY, 1), changed(Card(sequence=9).ride(), psam=named)
    if vouches in {"both", "the lower one"}:
        lower = signed_by_psam(lower, CITY, MacProfile.FIXED)
    if vouches in {"both", "the late one"}:
        late = signed_by_psam(late, CITY, MacProfile.FIXED)
    if vouches == "weakly":
        lower, late = (signed_by_psam(each, CITY, MacProfile.PBOC) for each in (lower, late))
    tomorrow = DAY + timedelta(days=1)
    assert hall.reasons(lower, late, day=tomorrow) == [Reason.NONE, reason]


def test_a_card_may_leave_the_hotlist() -> None:
    listed = ListedDays(CARD, first=DAY, last=DAY)
    hall = Hall(replace(KNOWN, hotlist=(listed,)))
    assert hall.reasons(Card().ride()) == [Reason.HOTLISTED]
    tomorrow = Card(now=datetime(2018, 9, 2, 8), sequence=7)  # noqa: DTZ001 - wall clock
    assert hall.reasons(tomorrow.ride(), day=DAY + timedelta(days=1)) == [Reason.NONE]


def test_what_a_record_says_of_operator_and_sector_pays_nobody() -> None:
    hall = Hall()
    ride = changed(Card().ride(50_000), operator=77_777, sector=5, tariff_fen=200)
    (entry,) = hall.settle(ride)
    assert (entry.reason, entry.payee, entry.sector) == (Reason.NONE, BUS, 1)
    assert Note.CLAIMS_DIFFER in entry.notes
    assert hall.books.paid_fen == {BUS: 50_000}


def test_a_spoilt_balance_and_a_misnamed_key_are_paid_with_a_note() -> None:
    hall = Hall(replace(KNOWN, tac_keys=(tac_key(1), tac_key(2))))
    broken = changed(Card().ride(), balance_before_fen=5)
    misnamed = changed(Card().ride(170), key_version=2)
    nobodys = changed(Card().ride(180), key_version=99)
    entries = hall.settle(broken, misnamed, nobodys)
    assert [entry.reason for entry in entries] == [Reason.NONE] * 3
    notes = [entry.notes & {Note.BALANCE_BROKEN, Note.KEY_VERSION_MISNAMED} for entry in entries]
    assert notes == [{Note.BALANCE_BROKEN}, *[{Note.KEY_VERSION_MISNAMED}] * 2]


def test_a_foreign_card_waits_for_its_issuer() -> None:
    hall = Hall()
    ride = changed(Card().ride(), card_number="0999" + CARD[4:])
    assert hall.reasons(ride, ride) == [Reason.FOREIGN_CARD, Reason.DUPLICATE]
    assert hall.reasons(ride, day=DAY + timedelta(days=1)) == [Reason.DUPLICATE]
    assert hall.books.claims == 1


def test_a_claim_waits_for_its_key_and_is_proven_by_it() -> None:
    hall, card = Hall(), Card(version=2)
    ride = card.ride()
    assert hall.reasons(ride) == [Reason.KEY_VERSION_UNKNOWN]
    hall.known = replace(KNOWN, tac_keys=(tac_key(1), tac_key(2)))
    changed_one = changed(ride, line=8)
    found = hall.reasons(changed_one, day=DAY + timedelta(days=1), again=True)
    assert sorted([*found, hall.auditor.decided[1, 0].reason]) == [Reason.NONE, Reason.VARIANT]
    assert (hall.books.paid_fen, hall.books.claims) == ({BUS: 160}, 0)


def test_nothing_is_wrong_while_a_registered_key_is_not_held() -> None:
    hall = Hall(replace(KNOWN, tac_keys=(tac_key(1), tac_key(2, is_held=False))))
    assert hall.reasons(changed(Card(version=2).ride(), key_version=1)) == [
        Reason.KEY_VERSION_UNKNOWN
    ]


def test_money_of_an_unknown_terminal_is_held_under_its_sender_until_it_is_registered() -> None:
    hall, card = Hall(), Card()
    load, ride = changed(card.load(), terminal=NEW_SITE), card.ride(terminal=NEW_SITE)
    load = signed_by_card(load, CITY, 1)
    assert set(hall.reasons(load, ride, sender=METRO)) == {Reason.TERMINAL_UNKNOWN}
    assert hall.books.held_fen == {METRO: 160 - 10_000}
    assert hall.books.float_fen == 10_000 - 160
    # What stands in suspense stands: a changed copy is its variant, also while it is taken up.
    row = TerminalDays(NEW_SITE, BUS, METRO)
    hall.known = replace(KNOWN, terminals=(*KNOWN.terminals, row))
    again = hall.reasons(
        changed(ride, line=1234), sender=METRO, day=DAY + timedelta(days=1), again=True
    )
    assert again == [Reason.VARIANT]
    assert (hall.books.held_fen, hall.books.paid_fen) == ({}, {BUS: 160 - 10_000})


def test_of_variants_the_one_stands_whose_record_mac_holds_else_the_smallest_digest() -> None:
    ride = without_mac(Card().ride())
    held = signed_by_psam(changed(ride, line=3), CITY, MacProfile.FIXED)
    weak = signed_by_psam(changed(ride, line=4), CITY, MacProfile.PBOC)
    wrong = changed(held, line=5)
    bare = [changed(ride, line=n) for n in range(6, 20)]

    def standing(records: Sequence[bytes]) -> bytes:
        (found,) = (each for each in Hall().settle(*records) if each.reason is Reason.NONE)
        return found.data

    assert standing([wrong, ride, weak, held, *bare]) == held
    assert standing([wrong, *bare, weak, ride]) == weak
    smallest = standing([*bare, wrong])
    assert smallest == standing([wrong, *reversed(bare)])
    assert Hall().reasons(smallest, *bare).count(Reason.VARIANT) == len(bare) - (smallest in bare)


def test_a_record_of_the_first_version_is_the_same_movement() -> None:
    ride = without_mac(Card().ride())
    assert sorted(Hall().reasons(ride, changed(ride, version=1))) == [
        Reason.NONE,
        Reason.VARIANT,
    ]


@pytest.mark.parametrize("kind", [RecordKind.EXIT, RecordKind.ENTRY])
def test_the_kind_of_a_debit_is_a_claim(kind: RecordKind) -> None:
    ride = Card().ride()
    assert sorted(Hall().reasons(ride, changed(ride, kind=kind))) == [Reason.NONE, Reason.VARIANT]


def test_a_guests_ride_and_load_are_owed_by_and_to_its_centre_and_are_no_part_of_the_float() -> (
    None
):
    hall, card, own = Hall(WITH_PARTNERS), guest(), Card()
    assert hall.reasons(card.ride(), own.ride(170)) == [Reason.CENTRE_PENDING, Reason.NONE]
    assert hall.reasons(card.load(), sender=AGENT) == [Reason.CENTRE_PENDING]
    assert hall.books == Books(
        float_fen=-170,
        centres_fen={CENTRE: 160 - 10_000},
        paid_fen={BUS: 170},
        held_fen={BUS: 160, AGENT: -10_000},
    )
    assert set(purses_of(hall.auditor.decided.values())) == {Purse(0, CARD[4:])}


def test_only_the_key_of_the_numbers_that_it_names_proves_a_record() -> None:
    hall, own, theirs = Hall(WITH_PARTNERS), Card(), guest()
    of_other = guest(number=OTHER_PREFIX + CARD[8:], label=PARTNER)
    lies = [
        changed(own.ride(), card_number=GUEST, issuer=GUEST_ISSUER),
        changed(theirs.ride(170), card_number=CARD, issuer=ISSUER),
        of_other.ride(180),
    ]
    assert hall.reasons(*lies) == [Reason.TAC_WRONG] * 3
    strange = [
        changed(theirs.ride(190), issuer=ISSUER),
        changed(theirs.ride(200), card_number="0999" + GUEST[4:]),
        changed(theirs.ride(210), application=1),
    ]
    # Of that application no numbers are registered: our keys for it are asked, and there are none.
    expected = [Reason.FOREIGN_CARD, Reason.FOREIGN_CARD, Reason.KEY_VERSION_UNKNOWN]
    assert hall.reasons(*strange) == expected
    assert (hall.books.float_fen, hall.books.centres_fen, hall.books.held_fen) == (0, {}, {})


def test_what_a_guest_signed_is_owed_once_and_is_no_movement_of_our_card_with_its_digits() -> None:
    hall, own, theirs = Hall(WITH_PARTNERS), Card(), guest()
    ride, same = own.ride(), theirs.ride()
    found = hall.reasons(ride, same, same, *variants(same, 5))
    expected = [Reason.CENTRE_PENDING, Reason.DUPLICATE, Reason.NONE, *[Reason.VARIANT] * 5]
    assert sorted(found) == sorted(expected)
    later = hall.reasons(changed(same, line=77), same, day=DAY + timedelta(days=1))
    assert set(later) <= {Reason.VARIANT, Reason.DUPLICATE}
    assert (hall.books.centres_fen, hall.books.paid_fen) == ({CENTRE: 160}, {BUS: 160})


@pytest.mark.parametrize("is_registered", [False, True])
def test_a_guest_waits_while_its_key_is_not_held_and_is_judged_once_it_is(
    is_registered: bool,  # noqa: FBT001 - parameter
) -> None:
    lost = (tac_key(1, PARTNER, is_held=False),) if is_registered else ()
    hall = Hall(replace(WITH_PARTNERS, tac_keys=(tac_key(1), *lost)))
    card = guest()
    ride, forged = card.ride(), changed(card.ride(170), amount_fen=9_999)
    torn = changed(card.ride(180), tac=bytes(8), flags=RecordFlag.TAC_MISSING)
    assert set(hall.reasons(ride, forged, torn)) == {Reason.FOREIGN_CARD}
    hall.settle(day=DAY + timedelta(days=1), again=True)
    assert (hall.books.claims, hall.books.centres_fen) == (3, {})
    hall.known = WITH_PARTNERS
    hall.settle(day=DAY + timedelta(days=2), again=True)
    assert [hall.auditor.decided[1, row].reason for row in range(3)] == [
        Reason.CENTRE_PENDING, Reason.TAC_WRONG, Reason.TAC_MISSING,
    ]  # fmt: skip
    assert (hall.books.claims, hall.books.centres_fen) == (2, {CENTRE: 160})


def test_a_guest_names_a_key_that_is_elsewhere_and_waits_for_its_centre() -> None:
    hall = Hall(WITH_PARTNERS)
    assert hall.reasons(guest(version=2).ride()) == [Reason.FOREIGN_CARD]
    # The key that proves it counts, whichever it names.
    assert hall.reasons(changed(guest().ride(170), key_version=77)) == [Reason.CENTRE_PENDING]


def test_numbers_are_a_partners_on_its_days_and_while_somebody_answers_for_them() -> None:
    tomorrow = DAY + timedelta(days=1)
    dated = CardRange(0, GUEST[:8], GUEST_ISSUER, PARTNER, first=tomorrow)
    hall = Hall(replace(WITH_PARTNERS, ranges=(*KNOWN.ranges, dated)))
    second = datetime(2018, 9, 2, 8)  # noqa: DTZ001 - wall clock
    assert hall.reasons(guest().ride()) == [Reason.FOREIGN_CARD]
    assert hall.reasons(guest(now=second).ride(), day=tomorrow) == [Reason.CENTRE_PENDING]
    unanswered = Hall(replace(WITH_PARTNERS, centres={}))
    assert unanswered.reasons(guest().ride()) == [Reason.FOREIGN_CARD]


def test_a_guest_is_held_as_others_are_first_and_is_still_its_centres() -> None:
    listed = ListedDays(GUEST)
    known = replace(WITH_PARTNERS, hotlist=(listed,))
    hall = Hall(known)
    # The list names a card, and no other city's with the same digits.
    assert hall.reasons(guest().ride(), Card().ride()) == [Reason.HOTLISTED, Reason.NONE]
    other = guest(number=GUEST[:-1] + "2", sequence=3)
    assert hall.reasons(other.ride(170, NEW_SITE)) == [Reason.TERMINAL_UNKNOWN]
    assert hall.books.centres_fen == {CENTRE: 330}
    row = TerminalDays(NEW_SITE, METRO, METRO)
    hall.known = replace(known, terminals=(*KNOWN.terminals, row))
    hall.settle(day=DAY + timedelta(days=1), again=True)
    assert hall.auditor.decided[2, 0].reason is Reason.CENTRE_PENDING
    assert (hall.books.centres_fen, hall.books.held_fen) == ({CENTRE: 330}, {BUS: 160, METRO: 170})


def test_a_guests_torn_ride_is_never_proven_by_statements() -> None:
    hall, card = Hall(WITH_PARTNERS), guest(balance_fen=0)
    loads, ride = [card.load()], card.ride(170)
    loads.append(card.load(5000))
    torn = changed(ride, tac=bytes(8), flags=RecordFlag.TAC_MISSING)
    hall.settle(*loads, sender=AGENT)
    hall.settle(torn)
    hall.settle(day=DAY + timedelta(days=60))
    assert hall.auditor.decided[2, 0].reason is Reason.TAC_MISSING
    assert hall.books.centres_fen == {CENTRE: -15_000}
