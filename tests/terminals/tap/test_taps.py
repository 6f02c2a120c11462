"""Stories of taps as text tables, and what a refused tap must not change."""

from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pytest

from cardcore.apdu import CommandApdu, ResponseApdu
from cardcore.chip.card import Card
from cardcore.concession import Concession
from cardcore.errors import KeyServiceUnavailableError
from cardcore.keys import KeyRef
from cardcore.layouts.transit import AID_PURSE, LogRecord, TransitRecord, TripRecord
from cardcore.records.kinds import RecordFlag, RecordKind
from cardcore.records.record import COUNTER_NOT_READ
from cardcore.schemes.catalogue import SCHEMES
from hsm_sim.keys.in_process import InProcessKeyService
from hsm_sim.keys.vault import KeyVault
from terminals.dialogue.commands import select
from terminals.errors import PsamFaultError
from terminals.link.connection import InProcessConnection, Peer, decode_trace, exchange
from terminals.partners.ports import HostAnswer, LoadQuestion
from terminals.roles.metro_gate import ENTRY_EXEMPT, EXIT_EXEMPT
from terminals.tap import commands
from terminals.tap.decisions import Verdict, judge_torn_tap
from terminals.tap.terminal import Terminal, read_psam
from terminals.taps import Fare, Hotlist, TapOutcome
from tests.terminals.equipment import (
    NOON,
    ROLES,
    a_card,
    a_device,
    a_load_host,
    a_psam,
    a_request,
    a_terminal,
    an_open_journal,
    balance,
    load,
    records_of,
)
from tests.terminals.faults import check_money

SCHEME = SCHEMES["shenzhen"]

STORY = """
    12:00  entry   0     approved             10000
    12:01  entry   0     already_inside       10000
    12:02  shop    1250  approved             8750
    12:30  exit    380   approved             8370
    12:31  exit    380   not_inside           8370
    12:40  bus     160   approved             8210
    12:41  bus     160   approved             8050
    12:50  shop    8051  insufficient_funds   8050
    12:51  shop    8050  approved             0
    12:52  bus     0     approved             0
    12:53  bus     160   insufficient_funds   0
    13:00  kiosk   100001 card_limit          0
    13:01  kiosk   5000  approved             5000
    13:02  entry   0     approved             5000
    13:30  exit    5001  insufficient_funds   5000
    13:31  exit    500   approved             4500
"""


def test_story_of_a_day(tmp_path: Path) -> None:
    card = a_card()
    with an_open_journal(tmp_path) as journal:
        load(card, journal)
        terminals = {role: a_terminal(role, journal) for role in ROLES}
        for number, line in enumerate(STORY.strip().splitlines()):
            clock, role, amount, outcome, after = line.split()
            moment = datetime.combine(NOON.date(), datetime.strptime(clock, "%H:%M").time())  # noqa: DTZ007
            before = card.image()
            fare = Fare(int(amount), int(amount))
            result = terminals[role].tap(
                InProcessConnection(card), a_request(str(number), role, fare), moment
            )
            assert result.outcome.name.lower() == outcome, line
            assert balance(card) == int(after), line
            if not result.outcome.done:
                assert card.image() == before, line
                assert result.record is None, line
        check_money(journal, card)


REFUSED = """
    application_version=0                                  card_not_enabled
    valid_from=2018-09-02                                  card_not_yet_valid
    valid_to=2018-08-31                                    card_expired
    valid_to=2018-09-01                                    approved
    hotlisted                                              card_hotlisted
    foreign                                                approved
    foreign,local                                          card_not_interoperable
    local                                                  approved
    application_version=0,valid_to=2018-08-31,hotlisted    card_not_enabled
    valid_to=2018-08-31,hotlisted,foreign,local            card_expired
    hotlisted,foreign,local                                card_hotlisted
"""


@pytest.mark.parametrize("line", REFUSED.strip().splitlines())
def test_card_is_refused_before_its_purse_is_touched_in_order_of_precedence(
    tmp_path: Path, line: str
) -> None:
    conditions, outcome = line.split()
    public: dict[str, object] = {}
    for condition in conditions.split(","):
        name, _, value = condition.partition("=")
        if value:
            public[name] = date.fromisoformat(value) if "-" in value else int(value)
    if "foreign" in conditions:
        public["issuer"] = bytes.fromhex("01011000FFFFFFFF")
    card = a_card(interoperable="local" not in conditions, public=public)
    number = f"0310584{1:013d}"
    hotlist = Hotlist(9, frozenset({number} if "hotlisted" in conditions else ()))
    with an_open_journal(tmp_path) as journal:
        terminal = a_terminal("bus", journal, hotlist=hotlist)
        before = card.image()
        request = a_request("one", "bus", Fare(0, 0))
        result = terminal.tap(InProcessConnection(card), request, NOON)
        assert result.outcome.name.lower() == outcome
        if result.outcome.done:
            assert result.record is not None
            assert result.record.hotlist_version == 9
        else:
            assert card.image() == before
            assert records_of(journal) == []
            assert not result.outcome.retry_may_help


@pytest.mark.parametrize(("role", "inside"), [("entry", True), ("exit", False)])
def test_degraded_gate_marks_the_record_only_when_the_sequence_was_broken(
    tmp_path: Path,
    role: str,
    inside: bool,  # noqa: FBT001
) -> None:
    exempt = ENTRY_EXEMPT if role == "entry" else EXIT_EXEMPT
    broken, sound = a_card(1, inside=inside), a_card(2, inside=not inside)
    with an_open_journal(tmp_path) as journal:
        gate = a_terminal(role, journal, role=exempt)
        request = a_request("broken", role, Fare(0, 0))
        first = gate.tap(InProcessConnection(broken), request, NOON).record
        request = a_request("sound", role, Fare(0, 0))
        second = gate.tap(InProcessConnection(sound), request, NOON).record
    assert first is not None
    assert second is not None
    assert first.flags == RecordFlag.SEQUENCE_EXEMPT
    assert second.flags == RecordFlag(0)
    if role == "exit":
        assert (first.entry_time, first.entry_station) == (None, 0)


def _read(card: Card, command: CommandApdu) -> bytes:
    connection = InProcessConnection(card)
    exchange(connection, select(AID_PURSE))
    response: ResponseApdu = exchange(connection, command)
    assert response.ok
    return response.data


def test_exit_tells_where_and_when_the_ride_began_and_the_card_tells_the_same(
    tmp_path: Path,
) -> None:
    card = a_card(inside=True)
    with an_open_journal(tmp_path) as journal:
        load(card, journal)
        fare = Fare(400, 160, Concession.HALF, transfer=True)
        exit_gate = a_terminal("exit", journal)
        record = exit_gate.tap(InProcessConnection(card), a_request("x", "exit", fare), NOON).record
    assert record is not None
    assert (record.entry_terminal, record.entry_station) == ("aabbccddeeff", 7)
    assert record.entry_time == NOON.replace(hour=11, minute=30)
    assert (record.previous_type, record.previous_amount_fen) == (2, 10_000)
    assert (record.concession, record.flags) == (Concession.HALF, RecordFlag.TRANSFER)
    assert (record.tariff_fen, record.amount_fen) == (400, 160)
    assert (record.online_counter, record.offline_counter) == (COUNTER_NOT_READ, 0)
    assert (record.card_kind, record.operator, record.kind) == (1, 103, RecordKind.EXIT)
    transit = TransitRecord.decode(_read(card, commands.read_transit()))
    assert (transit.status, transit.exit_time) == (2, NOON)
    assert (transit.actual_amount_fen, transit.exit_city) == (160, SCHEME.city_code)
    trip = TripRecord.decode(_read(card, CommandApdu(0x00, 0xB2, 1, 0xF4, le=48)))
    assert (trip.trip_type, trip.industry, trip.amount_fen) == (4, 1, 160)
    assert (trip.balance_fen, trip.time) == (9_840, NOON)
    assert trip.acquirer.hex() == "15845840ffffffff"
    log = LogRecord.decode(_read(card, commands.read_log(1)))
    assert (log.counter, log.amount_fen, log.terminal) == (0, 160, record.terminal)


def test_trace_tells_every_apdu_of_the_tap_with_card_and_psam_in_order(tmp_path: Path) -> None:
    card = a_card()
    with an_open_journal(tmp_path) as journal:
        load(card, journal)
        record = (
            a_terminal("bus", journal)
            .tap(InProcessConnection(card), a_request("one", "bus"), NOON)
            .record
        )
        assert record is not None
        trace = decode_trace(journal.trace(record.terminal, record.terminal_serial))
    said = [(exchange.peer, exchange.command[1]) for exchange in trace]
    card_said = [ins for peer, ins in said if peer is Peer.CARD]
    assert card_said == [0xA4, 0xB2, 0xB0, 0x50, 0xDC, 0x54]
    assert [ins for peer, ins in said if peer is Peer.PSAM] == [0x70, 0x72]
    assert said[-1] == (Peer.PSAM, 0x72)
    assert all(exchange.response[-2:] == b"\x90\x00" for exchange in trace)


def test_load_host_refusals_are_outcomes_and_load_nothing(tmp_path: Path) -> None:
    class Absent(InProcessKeyService):
        def session_mac(self, ref: KeyRef, *_: bytes) -> bytes:
            raise KeyServiceUnavailableError(str(ref))

    class Doubting:
        def authorise(self, question: LoadQuestion) -> HostAnswer:
            return a_load_host().authorise(replace(question, mac1=bytes(4)))

    class Misled:
        def authorise(self, _: LoadQuestion) -> HostAnswer:
            return HostAnswer(mac2=bytes(4))

    with pytest.warns():
        absent = Absent(KeyVault({}))
    card = a_card()
    before = card.image()
    with an_open_journal(tmp_path) as journal:
        for host, outcome in (
            (a_load_host(absent), TapOutcome.HOST_UNAVAILABLE),
            (a_load_host(city="elsewhere"), TapOutcome.CARD_KEY_UNKNOWN),
            (Doubting(), TapOutcome.CARD_FORGED),
            (Misled(), TapOutcome.CARD_REFUSED),
        ):
            kiosk = Terminal(ROLES["kiosk"], a_device("kiosk"), journal, host)
            result = kiosk.tap(InProcessConnection(card), a_request("one", "kiosk"), NOON)
            assert result.outcome is outcome
            assert card.image() == before
        # A wrong MAC2 was found by the card after the intent: the tap is void, its id free again.
        assert journal.unresolved("584000000005").records == 0
        assert load(card, journal, name="one").outcome is TapOutcome.APPROVED
        check_money(journal, card)


def test_forged_card_is_named_by_its_mac2_and_leaves_no_record(tmp_path: Path) -> None:
    card = a_card()
    with an_open_journal(tmp_path) as journal:
        load(card, journal)
        genuine = InProcessConnection(card)

        class Forged:
            def transmit(self, command: bytes) -> bytes:
                response = genuine.transmit(command)
                return bytes(8) + response[-2:] if command[1] == 0x54 else response

        terminal, request = a_terminal("bus", journal), a_request("one", "bus")
        result = terminal.tap(Forged(), request, NOON)
        assert result.outcome is TapOutcome.CARD_FORGED
        assert terminal.tap(Forged(), request, NOON) == result
        assert len(records_of(journal)) == 1


@pytest.mark.parametrize("word", ["6581", "6F00", "1234"])
def test_word_after_which_the_purse_may_have_moved_leaves_the_tap_open(
    tmp_path: Path, word: str
) -> None:
    card = a_card()
    with an_open_journal(tmp_path) as journal:
        load(card, journal)
        genuine = InProcessConnection(card)

        class Doubtful:
            def transmit(self, command: bytes) -> bytes:
                response = genuine.transmit(command)
                return bytes.fromhex(word) if command[1] == 0x54 else response

        terminal, request = a_terminal("bus", journal), a_request("one", "bus")
        assert terminal.tap(Doubtful(), request, NOON).outcome is TapOutcome.CARD_REFUSED
        assert journal.unresolved(terminal.device.terminal).amount_fen == 160
        result = terminal.tap(InProcessConnection(card), request, NOON)
        assert result.outcome is TapOutcome.RECOVERED
        check_money(journal, card)


class _BrokenPsam:
    """A PSAM that answers one instruction with a word of its own."""

    def __init__(self, ins: int, word: str) -> None:
        self._psam, self._ins, self._word = a_psam("584000000001"), ins, word

    def transmit(self, command: bytes) -> bytes:
        if command[1] == self._ins:
            return bytes.fromhex(self._word)
        return self._psam.transmit(command)


@pytest.mark.parametrize("word", ["9403", "6A88", "6A80"])
def test_card_whose_key_the_psam_lacks_is_refused_by_name(tmp_path: Path, word: str) -> None:
    card = a_card()
    with an_open_journal(tmp_path) as journal:
        load(card, journal)
        before = card.image()
        terminal = Terminal(ROLES["bus"], a_device("bus"), journal, _BrokenPsam(0x70, word))
        result = terminal.tap(InProcessConnection(card), a_request("one", "bus"), NOON)
        assert result.outcome is TapOutcome.CARD_KEY_UNKNOWN
        assert card.image() == before


@pytest.mark.parametrize(("ins", "records"), [(0x70, 1), (0x72, 2)])
def test_broken_psam_is_a_fault_and_the_next_visit_settles_the_tap(
    tmp_path: Path, ins: int, records: int
) -> None:
    card = a_card()
    with an_open_journal(tmp_path) as journal:
        load(card, journal)
        terminal = Terminal(ROLES["bus"], a_device("bus"), journal, _BrokenPsam(ins, "6F00"))
        request = a_request("one", "bus")
        with pytest.raises(PsamFaultError, match="6F00"):
            terminal.tap(InProcessConnection(card), request, NOON)
        result = a_terminal("bus", journal).tap(InProcessConnection(card), request, NOON)
        recovered = records == 2
        assert result.outcome is (TapOutcome.RECOVERED if recovered else TapOutcome.APPROVED)
        assert len(records_of(journal)) == 2
        check_money(journal, card)


def test_what_a_card_lends_is_not_the_holders_money(tmp_path: Path) -> None:
    card = a_card(overdraft_limit_fen=800)
    with an_open_journal(tmp_path) as journal:
        bus = a_terminal("bus", journal)
        before = card.image()
        request = a_request("one", "bus")
        result = bus.tap(InProcessConnection(card), request, NOON)
        assert result.outcome is TapOutcome.INSUFFICIENT_FUNDS
        assert card.image() == before
        load(card, journal, 200)
        record = bus.tap(InProcessConnection(card), request, NOON).record
        assert record is not None
        assert (record.balance_before_fen, record.balance_after_fen) == (200, 40)
        assert balance(card) == 40


@pytest.mark.parametrize(
    ("shown", "verdict"),
    [(1, Verdict.OLDER), (2, Verdict.OLDER), (65_534, Verdict.NOT_MOVED), (65_535, Verdict.MOVED)],
)
def test_a_torn_tap_at_the_last_counter_is_judged_by_order_round_the_wrap(
    tmp_path: Path, shown: int, verdict: Verdict
) -> None:
    with an_open_journal(tmp_path) as journal:
        request = a_request("one", "bus", Fare(0, 0))
        bus = a_terminal("bus", journal)
        record = bus.tap(InProcessConnection(a_card()), request, NOON).record
    assert record is not None
    draft = replace(record, offline_counter=65_535)
    log = LogRecord(shown, 0, 0, record.transaction_type, record.terminal, NOON)
    assert judge_torn_tap(draft, log) is verdict


def test_psam_says_who_the_terminal_is() -> None:
    identity = read_psam(a_psam("58400000AB01", 77))
    assert (identity.terminal, identity.key_index) == ("58400000ab01", 1)
    assert identity.psam == f"{77:020d}"
    with pytest.raises(PsamFaultError):
        read_psam(_BrokenPsam(0xB0, "6A82"))
