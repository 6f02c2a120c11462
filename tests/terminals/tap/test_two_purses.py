"""One card, two purses: the bus takes one, the canteen the other, and neither's counter, torn tap
or money is taken for the other's. Cards of City Union beside them.
"""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from cardcore.chip.card import Card
from cardcore.keys import ProofReason
from cardcore.records.batch import total_records
from cardcore.records.kinds import MacProfile, RecordFlag, RecordKind
from cardcore.records.record import decode_record
from terminals.journal.journal import Journal
from terminals.journal.salvage import salvage
from terminals.link.connection import InProcessConnection, Peer, decode_trace
from terminals.roles.canteen import CANTEEN
from terminals.roles.shop import SHOP
from terminals.taps import Fare, TapOutcome, TapResult
from tests.terminals.citizen_cards import (
    CANTEEN_TERMINAL,
    a_canteen,
    a_citizen,
    a_city_union_card,
    balance_of,
    proof_under,
)
from tests.terminals.dialogue.test_record_mac import proof_of_mac
from tests.terminals.equipment import (
    NOON,
    SENDER,
    a_card,
    a_request,
    a_terminal,
    an_open_journal,
    load,
    records_of,
)
from tests.terminals.faults import TornConnection

MEAL, RIDE = Fare(1500, 1500), Fare(200, 160)
#: DEBIT is the last command: of a bus ride the sixth, of a meal the fourth, for there is no EF17.
DEBIT_OF_RIDE, DEBIT_OF_MEAL = 5, 3
SOON, NEXT_DAY = NOON + timedelta(seconds=9), NOON + timedelta(days=1)


def load_purse(card: Card, journal: Journal, name: str, application: str) -> TapResult:
    request = replace(a_request(name, "kiosk", Fare(10_000, 10_000)), application=application)
    moment = NOON - timedelta(hours=1)
    return a_terminal("kiosk", journal).tap(InProcessConnection(card), request, moment)


def loaded(journal: Journal) -> Card:
    card = a_citizen()
    for name in ("transit", "purse"):
        result = load_purse(card, journal, f"load {name}", name)
        assert result.outcome is TapOutcome.APPROVED
    return card


def test_the_kiosk_loads_the_purse_that_the_request_names(tmp_path: Path) -> None:
    with an_open_journal(tmp_path) as journal:
        card = loaded(journal)
        records = [decode_record(each) for each in records_of(journal)]
        assert [each.application for each in records] == [0, 1]
        assert [(each.kind, each.online_counter) for each in records] == [(RecordKind.LOAD, 0)] * 2
        assert (balance_of(card, "transit"), balance_of(card, "purse")) == (10_000, 10_000)
        # Without a name it is the first purse that the card has.
        assert load(card, journal, 500, "no name").outcome is TapOutcome.APPROVED
        assert (balance_of(card, "transit"), balance_of(card, "purse")) == (10_500, 10_000)
        with pytest.raises(ValueError, match="takes transit, purse, not 'benefit'"):
            load_purse(card, journal, "no such", "benefit")


def test_another_purse_under_the_same_request_is_another_request(tmp_path: Path) -> None:
    card = a_citizen()
    with an_open_journal(tmp_path) as journal:
        first = load_purse(card, journal, "one", "transit")
        assert load_purse(card, journal, "one", "transit") == first
        other = load_purse(card, journal, "one", "purse")
        assert other.outcome is TapOutcome.REQUEST_DIFFERS
        assert balance_of(card, "purse") == 0


def test_both_purses_torn_at_once_are_each_recovered_by_their_own_terminal(tmp_path: Path) -> None:
    with an_open_journal(tmp_path) as journal:
        card = loaded(journal)
        bus, canteen = a_terminal("bus", journal), a_canteen(journal)
        ride, meal = a_request("ride", "bus", RIDE), a_request("meal", "shop", MEAL)
        torn = bus.tap(TornConnection(card, DEBIT_OF_RIDE, after=True), ride, NOON)
        assert torn.outcome is TapOutcome.CARD_REMOVED
        torn = canteen.tap(TornConnection(card, DEBIT_OF_MEAL, after=True), meal, NOON)
        assert torn.outcome is TapOutcome.CARD_REMOVED
        waiting = journal.query("SELECT application FROM taps WHERE state = 1 ORDER BY application")
        assert waiting == [(0,), (1,)]
        recovered = [
            terminal.tap(InProcessConnection(card), request, SOON)
            for terminal, request in ((bus, ride), (canteen, meal))
        ]
        assert [each.outcome for each in recovered] == [TapOutcome.RECOVERED] * 2
        assert (balance_of(card, "transit"), balance_of(card, "purse")) == (9_840, 8_500)
        for result, name, other in zip(
            recovered, ("transit", "purse"), ("purse", "transit"), strict=True
        ):
            record = result.record
            assert record is not None
            assert record.flags == RecordFlag.RECOVERED
            assert proof_under(record, name) is ProofReason.PROVEN
            assert proof_under(record, other) is ProofReason.WRONG
        totals = total_records(b"".join(records_of(journal)))
        assert totals.load_fen - totals.debit_fen == 9_840 + 8_500


def test_the_counter_of_one_purse_is_not_that_of_the_other(tmp_path: Path) -> None:
    """The canteen's counter stands at 3 when the bus tears at 0: judged by the other purse's log,
    the ride would be older than all of it.
    """
    with an_open_journal(tmp_path) as journal:
        card = loaded(journal)
        bus, canteen = a_terminal("bus", journal), a_canteen(journal)
        for number in range(3):
            request = a_request(f"meal {number}", "shop", MEAL)
            moment = NOON + timedelta(minutes=number)
            assert canteen.tap(InProcessConnection(card), request, moment).outcome.done
        torn = TornConnection(card, DEBIT_OF_RIDE, after=True)
        bus.tap(torn, a_request("ride", "bus", RIDE), NEXT_DAY)
        # A meal in between finds no torn tap of its purse, and settles none.
        meal = canteen.tap(InProcessConnection(card), a_request("meal", "shop", MEAL), NEXT_DAY)
        assert meal.outcome is TapOutcome.APPROVED
        assert journal.unresolved(bus.device.terminal).records == 1
        ride = bus.tap(InProcessConnection(card), a_request("ride", "bus", RIDE), NEXT_DAY)
        assert ride.outcome is TapOutcome.RECOVERED
        assert ride.record is not None
        assert meal.record is not None
        assert (ride.record.application, ride.record.offline_counter) == (0, 0)
        assert (meal.record.application, meal.record.offline_counter) == (1, 3)
        assert (balance_of(card, "transit"), balance_of(card, "purse")) == (9_840, 4_000)


def test_a_purse_says_a_command_less_because_it_has_no_properties(tmp_path: Path) -> None:
    with an_open_journal(tmp_path) as journal:
        card = loaded(journal)
        canteen = a_canteen(journal)
        record = canteen.tap(InProcessConnection(card), a_request("m", "shop", MEAL), NOON).record
        assert record is not None
        assert (record.card_kind, record.application, record.sector) == (0, 1, CANTEEN.sector)
        said = decode_trace(journal.trace(CANTEEN_TERMINAL, record.terminal_serial))
    ours = [each.command[1] for each in said if each.peer is Peer.CARD]
    assert ours == [0xA4, 0xB2, 0x50, 0x54]


def test_the_psam_of_a_purse_signs_records_under_the_citys_own_key(tmp_path: Path) -> None:
    with an_open_journal(tmp_path) as journal:
        card = loaded(journal)
        canteen = a_canteen(journal)
        canteen.tap(InProcessConnection(card), a_request("m", "shop", MEAL), NOON)
        assert canteen.sign_records() == 1
        record = decode_record(records_of(journal)[-1])
    assert record.mac_profile is MacProfile.FIXED
    assert proof_of_mac(record) is ProofReason.PROVEN


def test_a_card_without_the_purse_is_refused_by_name_and_untouched(tmp_path: Path) -> None:
    card = a_card()
    with an_open_journal(tmp_path) as journal:
        load(card, journal)
        before = card.image()
        canteen = a_canteen(journal)
        result = canteen.tap(InProcessConnection(card), a_request("one", "shop", MEAL), NOON)
        assert result.outcome is TapOutcome.CARD_UNREADABLE
        assert card.image() == before


def test_a_city_says_which_purse_its_shops_take(tmp_path: Path) -> None:
    """Shenzhen's shops take the money of the rides; elsewhere a shop takes the other purse."""
    assert SHOP.applications == ("purse",)
    with an_open_journal(tmp_path) as journal:
        card = loaded(journal)
        here = a_terminal("shop", journal)
        assert here.tap(InProcessConnection(card), a_request("a", "shop", MEAL), NOON).outcome.done
        assert (balance_of(card, "transit"), balance_of(card, "purse")) == (8_500, 10_000)


@pytest.mark.parametrize("role", ["bus", "entry", "shop", "kiosk"])
def test_a_city_union_card_taps_in_every_role(tmp_path: Path, role: str) -> None:
    card = a_city_union_card()
    with an_open_journal(tmp_path) as journal:
        assert load(card, journal).outcome is TapOutcome.APPROVED
        terminal, request = a_terminal(role, journal), a_request("one", role)
        record = terminal.tap(InProcessConnection(card), request, NOON).record
        assert record is not None
        assert record.card_number == "00005840000000000001"
        assert record.issuer.hex().upper() == "05845840FFFFFFFF"
        assert (record.application, record.card_kind) == (0, 0)
        assert proof_under(record, "transit") is ProofReason.PROVEN


def test_a_city_union_card_is_torn_and_recovered(tmp_path: Path) -> None:
    card = a_city_union_card()
    with an_open_journal(tmp_path) as journal:
        load(card, journal)
        bus, request = a_terminal("bus", journal), a_request("torn", "bus")
        # Two SELECTs, the second under its own name; EF17 is not asked for.
        torn = bus.tap(TornConnection(card, 5, after=True), request, NOON)
        assert torn.outcome is TapOutcome.CARD_REMOVED
        assert journal.unresolved(bus.device.terminal).amount_fen == 160
        result = bus.tap(InProcessConnection(card), request, SOON)
        assert result.outcome is TapOutcome.RECOVERED
        assert balance_of(card, "transit") == 10_000 - 160


@pytest.mark.parametrize(
    ("interoperable", "outcome"),
    [(True, TapOutcome.APPROVED), (False, TapOutcome.CARD_NOT_INTEROPERABLE)],
)
def test_a_city_union_card_of_elsewhere_travels_when_it_says_so(
    tmp_path: Path, *, interoperable: bool, outcome: TapOutcome
) -> None:
    card = a_city_union_card(issuer="8475", interoperable=interoperable)
    with an_open_journal(tmp_path) as journal:
        request = a_request("one", "bus", Fare(0, 0))
        bus = a_terminal("bus", journal)
        assert bus.tap(InProcessConnection(card), request, NOON).outcome is outcome


def test_salvage_keeps_a_torn_tap_of_each_purse_of_one_card(tmp_path: Path) -> None:
    with an_open_journal(tmp_path) as journal:
        card = loaded(journal)
        meal = a_request("meal", "shop", MEAL)
        ride = a_request("ride", "bus", RIDE)
        a_terminal("bus", journal).tap(TornConnection(card, DEBIT_OF_RIDE, after=True), ride, NOON)
        a_canteen(journal).tap(TornConnection(card, DEBIT_OF_MEAL, after=True), meal, NOON)
    target = tmp_path / "salvaged"
    report = salvage(tmp_path / "depot.journal", target, sender=SENDER, last_sequence=0)
    assert report.open_taps == 2
    with Journal.open(target, sender=SENDER) as journal:
        for terminal, request in ((a_terminal("bus", journal), ride), (a_canteen(journal), meal)):
            result = terminal.tap(InProcessConnection(card), request, SOON)
            assert result.outcome is TapOutcome.RECOVERED


def test_a_torn_request_goes_on_with_its_purse_when_the_device_asks_for_another_first(
    tmp_path: Path,
) -> None:
    """The city turned the order of purses round between tear and second try: the money that left
    the first purse was never asked for, and the request had no way to end.
    """
    with an_open_journal(tmp_path) as journal:
        card = loaded(journal)
        canteen, meal = a_canteen(journal), a_request("meal", "shop", MEAL)
        canteen.tap(TornConnection(card, DEBIT_OF_MEAL, after=True), meal, NOON)
        canteen.device = replace(canteen.device, purses={"canteen": ("transit", "purse")})
        again = canteen.tap(InProcessConnection(card), meal, SOON)
        assert again.outcome is TapOutcome.RECOVERED
        assert again.record is not None
        assert again.record.application == 1
        assert (balance_of(card, "transit"), balance_of(card, "purse")) == (10_000, 8_500)
        assert journal.unresolved(canteen.device.terminal).records == 0
