"""The fault walk: torn out at every command and cut off at every journal step, in every role."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import pytest

from cardcore.chip.card import Card
from cardcore.records.kinds import RecordFlag, RecordKind
from cardcore.records.record import decode_record
from terminals.errors import CardRemovedError
from terminals.journal.journal import Journal
from terminals.link.connection import InProcessConnection
from terminals.taps import Fare, TapOutcome
from tests.terminals.equipment import (
    NOON,
    ROLES,
    SENDER,
    a_card,
    a_request,
    a_terminal,
    an_open_journal,
    balance,
    counting_random,
    load,
    records_of,
)
from tests.terminals.faults import (
    PowerCutError,
    TornConnection,
    check_money,
    cut_power_at,
    run_and_kill,
)

COMMANDS = {"bus": 6, "entry": 8, "exit": 8, "shop": 5, "kiosk": 5}
CHANGES = {"bus": -160, "entry": 0, "exit": -380, "shop": -1250, "kiosk": 5000}
STEPS = [
    f"{step} {part}" for step in ("intent", "record") for part in ("before", "written", "durable")
]
SOON, NEXT_DAY = NOON + timedelta(seconds=9), NOON + timedelta(days=1)
POINTS = [
    (role, index, after)
    for role, count in COMMANDS.items()
    for index in range(count)
    for after in (False, True)
]


@cache
def _loaded(*, inside: bool) -> tuple[bytes, bytes]:
    """A loaded card and the load's journal, made once: (card image, journal file)."""
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        card = a_card(inside=inside)
        with an_open_journal(folder) as journal:
            load(card, journal)
        return card.image(), (folder / "depot.journal").read_bytes()


def _start(folder: Path, role: str) -> Card:
    image, journal = _loaded(inside=role == "exit")
    (folder / "depot.journal").write_bytes(journal)
    return Card.from_image(image, counting_random)


def _tear(folder: Path, role: str, index: int, *, after: bool) -> Card:
    card = _start(folder, role)
    with an_open_journal(folder) as journal:
        torn = TornConnection(card, index, after)
        result = a_terminal(role, journal).tap(torn, a_request("torn", role), NOON)
    assert result.outcome is TapOutcome.CARD_REMOVED
    assert result.record is None
    return card


@pytest.mark.parametrize(("role", "index", "after"), POINTS)
def test_torn_card_is_charged_once_when_the_same_request_is_tried_again(
    tmp_path: Path,
    role: str,
    index: int,
    after: bool,  # noqa: FBT001 - a parameter of the walk
) -> None:
    card = _tear(tmp_path, role, index, after=after)
    with an_open_journal(tmp_path) as journal:
        terminal, request = a_terminal(role, journal), a_request("torn", role)
        first = terminal.tap(InProcessConnection(card), request, SOON)
        again = terminal.tap(InProcessConnection(card), request, SOON)
        was_done = after and index == COMMANDS[role] - 1
        expected = TapOutcome.RECOVERED if was_done else TapOutcome.APPROVED
        assert first.outcome is expected
        assert first == again
        assert first.record is not None
        assert (RecordFlag.RECOVERED in first.record.flags) == was_done
        assert balance(card) == 10_000 + CHANGES[role]
        assert len(records_of(journal)) == 2
        check_money(journal, card)


@pytest.mark.parametrize(("role", "index", "after"), POINTS)
def test_second_try_under_another_request_is_not_charged_twice(
    tmp_path: Path,
    role: str,
    index: int,
    after: bool,  # noqa: FBT001
) -> None:
    card = _tear(tmp_path, role, index, after=after)
    with an_open_journal(tmp_path) as journal:
        terminal, request = a_terminal(role, journal), a_request("second", role)
        first = terminal.tap(InProcessConnection(card), request, SOON)
        assert first.outcome.done
        assert terminal.tap(InProcessConnection(card), request, SOON) == first
        assert balance(card) == 10_000 + CHANGES[role]
        check_money(journal, card)


@pytest.mark.parametrize(("role", "index", "after"), POINTS)
def test_visit_on_another_day_at_another_device_settles_the_torn_tap_first(
    tmp_path: Path,
    role: str,
    index: int,
    after: bool,  # noqa: FBT001
) -> None:
    card = _tear(tmp_path, role, index, after=after)
    other = "bus" if role == "shop" else "shop"
    with an_open_journal(tmp_path) as journal:
        result = a_terminal(other, journal).tap(
            InProcessConnection(card), a_request("next", other), NEXT_DAY
        )
        assert result.outcome is TapOutcome.APPROVED
        done = after and index == COMMANDS[role] - 1
        assert balance(card) == 10_000 + CHANGES[other] + (CHANGES[role] if done else 0)
        assert len(records_of(journal)) == (3 if done else 2)
        assert journal.unresolved("584000000001").records == 0
        check_money(journal, card)


@pytest.mark.parametrize("inside_write", [0, 1, None])
@pytest.mark.parametrize("role", ROLES)
def test_card_that_loses_power_at_any_write_inside_is_charged_once(
    tmp_path: Path, role: str, inside_write: int | None
) -> None:
    """Before the first byte of a write, inside it, and after its last, for every write."""
    for write in range(100):
        folder = tmp_path / str(write)
        folder.mkdir()
        card = _start(folder, role)
        remaining = iter(range(write, -1, -1))

        def supply(size: int, remaining: Iterator[int] = remaining) -> int | None:
            stop = next(remaining, 1) == 0
            return (size if inside_write is None else min(inside_write, size)) if stop else None

        with an_open_journal(folder) as journal:
            connection = InProcessConnection(card)
            card.memory.power = supply
            result = a_terminal(role, journal).tap(connection, a_request("cut", role), NOON)
            card.memory.power = None
        if result.outcome.done:
            break
        assert result.outcome is TapOutcome.CARD_REMOVED
        _check_next_visit(folder, role, card)
    else:
        pytest.fail("the tap never came through")
    assert write > 3


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("role", ROLES)
def test_power_loss_at_a_journal_step_loses_nothing(tmp_path: Path, role: str, step: str) -> None:
    card = _start(tmp_path, role)
    journal = an_open_journal(tmp_path, cut_power_at(step))
    with pytest.raises(PowerCutError), journal:
        a_terminal(role, journal).tap(InProcessConnection(card), a_request("cut", role), NOON)
    _check_next_visit(tmp_path, role, card)


def _check_next_visit(folder: Path, role: str, card: Card, name: str = "cut") -> None:
    with an_open_journal(folder) as journal:
        terminal, request = a_terminal(role, journal), a_request(name, role)
        result = terminal.tap(InProcessConnection(card), request, SOON)
        assert result.outcome.done
        assert terminal.tap(InProcessConnection(card), request, SOON) == result
        assert balance(card) == 10_000 + CHANGES[role]
        check_money(journal, card)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("role", ROLES)
def test_kill_at_a_journal_step_loses_nothing(tmp_path: Path, role: str, step: str) -> None:
    """The card outlives the process: its memory is written down after every command."""
    memory = tmp_path / "card"
    memory.write_bytes(_start(tmp_path, role).image())

    def work(hear: Callable[[str], None]) -> None:
        card = Card.from_image(memory.read_bytes(), counting_random)
        journal = an_open_journal(tmp_path, hear)

        class Outliving:
            def transmit(self, command: bytes) -> bytes:
                response = card.transmit(command)
                memory.write_bytes(card.image())
                return response

        a_terminal(role, journal).tap(Outliving(), a_request("cut", role), NOON)

    assert run_and_kill(work, step)
    _check_next_visit(tmp_path, role, Card.from_image(memory.read_bytes(), counting_random))


@pytest.mark.parametrize("part", ["before", "written", "durable"])
@pytest.mark.parametrize("after", [False, True])
def test_kill_while_a_torn_tap_is_settled_loses_nothing(
    tmp_path: Path,
    part: str,
    after: bool,  # noqa: FBT001
) -> None:
    card = _tear(tmp_path, "bus", 5, after=after)

    def work(hear: Callable[[str], None]) -> None:
        with an_open_journal(tmp_path, hear) as journal:
            request = a_request("another day", "bus")
            a_terminal("bus", journal).tap(InProcessConnection(card), request, NEXT_DAY)

    # The child settles the torn tap with its own copy of the card, which has not moved by then.
    assert run_and_kill(work, f"{'record' if after else 'void'} {part}")
    _check_next_visit(tmp_path, "bus", card, "torn")


def _purchases(card: Card, folder: Path, count: int, name: str = "elsewhere") -> None:
    """Taps at a shop of another collector, whose journal knows nothing of ours."""
    with Journal.open(folder / f"{name}.journal", sender=SENDER + 1) as journal:
        terminal = a_terminal("shop", journal)
        for number in range(count):
            moment = NOON + timedelta(hours=1, minutes=number)
            request = a_request(f"{name} {number}", "shop", Fare(100, 100))
            assert terminal.tap(InProcessConnection(card), request, moment).outcome.done


def _visit(
    folder: Path, card: Card, request_id: str, moment: datetime
) -> tuple[TapOutcome, list[bytes], int]:
    with an_open_journal(folder) as journal:
        result = a_terminal("bus", journal).tap(
            InProcessConnection(card), a_request(request_id, "bus"), moment
        )
        return result.outcome, records_of(journal), journal.unresolved("584000000001").records


def test_debit_whose_proof_is_gone_is_recorded_without_tac(tmp_path: Path) -> None:
    card = _tear(tmp_path, "bus", 5, after=True)
    with Journal.open(tmp_path / "other.journal", sender=SENDER + 1) as other:
        request = a_request("elsewhere", "bus", Fare(200, 100))
        assert (
            a_terminal("bus", other)
            .tap(InProcessConnection(card), request, NOON + timedelta(hours=1))
            .outcome.done
        )
    outcome, records, unresolved = _visit(tmp_path, card, "later", NEXT_DAY)
    assert outcome is TapOutcome.APPROVED
    assert unresolved == 0
    recovered = decode_record(records[1])
    assert recovered.flags == RecordFlag.TAC_MISSING
    assert (recovered.amount_fen, recovered.tac) == (160, bytes(4))
    assert balance(card) == 10_000 - 160 - 100 - 160


def test_debit_that_never_happened_is_void_after_another_terminal_used_the_counter(
    tmp_path: Path,
) -> None:
    card = _tear(tmp_path, "bus", 5, after=False)
    _purchases(card, tmp_path, 3)
    outcome, records, unresolved = _visit(tmp_path, card, "later", NEXT_DAY)
    assert outcome is TapOutcome.APPROVED
    assert unresolved == 0
    assert [decode_record(each).kind for each in records] == [RecordKind.LOAD, RecordKind.PURCHASE]
    assert balance(card) == 10_000 - 300 - 160


def test_torn_tap_older_than_the_log_lapses_and_stays_in_the_register(tmp_path: Path) -> None:
    card = _tear(tmp_path, "bus", 5, after=True)
    _purchases(card, tmp_path, 10)
    outcome, records, unresolved = _visit(tmp_path, card, "torn", NEXT_DAY)
    assert outcome is TapOutcome.UNRESOLVED
    assert (len(records), unresolved) == (1, 1)
    assert _visit(tmp_path, card, "torn", NEXT_DAY)[0] is TapOutcome.UNRESOLVED
    assert _visit(tmp_path, card, "new", NEXT_DAY)[0] is TapOutcome.APPROVED
    assert balance(card) == 10_000 - 160 - 1000 - 160


def test_loads_between_do_not_hide_a_torn_debit(tmp_path: Path) -> None:
    card = _tear(tmp_path, "bus", 5, after=True)
    with an_open_journal(tmp_path) as journal:
        load(card, journal, 500, "between")
        check_money(journal, card)
        kinds = [decode_record(each).kind for each in records_of(journal)]
    assert kinds == [RecordKind.LOAD, RecordKind.PURCHASE, RecordKind.LOAD]


def test_card_torn_again_while_it_is_recovered_is_settled_at_the_third_visit(
    tmp_path: Path,
) -> None:
    for index in range(3):
        folder = tmp_path / str(index)
        folder.mkdir()
        card = _tear(folder, "bus", 5, after=True)
        with an_open_journal(folder) as journal:
            terminal, request = a_terminal("bus", journal), a_request("torn", "bus")
            torn = TornConnection(card, index, after=True)
            assert terminal.tap(torn, request, SOON).outcome is TapOutcome.CARD_REMOVED
            assert terminal.tap(InProcessConnection(card), request, SOON).outcome.done
            assert balance(card) == 10_000 - 160
            check_money(journal, card)


def test_forged_card_is_not_let_through_by_pretending_to_be_torn(tmp_path: Path) -> None:
    """It tears at DEBIT and comes back with a proof it made up: the PSAM still knows MAC2."""
    card = _start(tmp_path, "bus")
    genuine = InProcessConnection(card)

    class Forged:
        torn = False

        def transmit(self, command: bytes) -> bytes:
            response = genuine.transmit(command)
            if command[1] == 0x54:
                raise CardRemovedError("pretends")
            if command[1] == 0x5A:
                return bytes(8) + b"\x90\x00"
            return response

    with an_open_journal(tmp_path) as journal:
        terminal = a_terminal("bus", journal)
        first = terminal.tap(Forged(), a_request("one", "bus"), NOON)
        assert first.outcome is TapOutcome.CARD_REMOVED
        second = terminal.tap(Forged(), a_request("two", "bus"), SOON)
        assert second.outcome is TapOutcome.CARD_FORGED
        assert second.record is None
        assert len(records_of(journal)) == 1
