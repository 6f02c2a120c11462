"""What two people rule of suspended records, from the proposal to the sealed day and its proof."""

import json
import sqlite3
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from settlement.dispositions import Reason
from settlement.ledger.entries import EntryKind
from settlement.people.actions import Action
from settlement.registry.book import since_ever
from settlement.registry.rows import HotlistRow
from settlement.reports.history import explain
from settlement.rulings.kinds import RulingKind
from settlement.rulings.log import Act, LogEntry, NewEntry
from settlement.rulings.proposals import Answer
from settlement.service import gathering
from settlement.service.close import close_day
from settlement.service.healing.rebuilding import rebuild
from settlement.store.applied import load_new_rulings
from settlement.store.days import load_balances, load_entries, load_run
from settlement.store.files import load_file_lines
from settlement.store.registry import register
from settlement.store.rulings import keep_act
from settlement.verification.verify import CHECKS
from tests.settlement.device_files import BUS_TERMINAL, CLERK, KIOSK, NOW, Street
from tests.settlement.rulings.crew import CAI, DAN, FAY, enrolled
from tests.settlement.rulings.desk import Desk, refusal
from tests.settlement.service.test_service import ENGINE, KEYS, close, receive
from tests.settlement.verification.test_verify import check

RELEASE, RETURN = RulingKind.RECORDS_RELEASE, RulingKind.RECORDS_RETURN


@pytest.fixture
def listed(desk: Desk) -> tuple[Desk, str]:
    """A day closed with one ride of a stolen card suspended, and the item that names the ride."""
    street = Street()
    card = street.card(1)
    rows = since_ever(*(HotlistRow(each.number, 1) for each in (card, street.card(2))))
    register(desk.city.database, rows, Action(CLERK, NOW - timedelta(days=40), "stolen"))
    receive(desk.city, street.file([card.load(5000), card.bus()]))
    close(desk.city)
    (line,) = load_file_lines(desk.city.database)
    return desk, f"record/{line.file.content_hash[:16]}/1"


def reasons(desk: Desk, terminal: str = BUS_TERMINAL) -> list[Reason]:
    """Every decision on the ride, in order."""
    (copy,) = explain(desk.city, f"{terminal}-1").copies
    steps = [step for step in copy.steps if step.name == "decision"]
    return [Reason[str(step.data["reason"])] for step in steps]


def balances(desk: Desk) -> dict[str, int]:
    return {name: fen for name, fen in load_balances(desk.city.database).items() if fen}


@pytest.mark.parametrize(
    ("kind", "reason", "account"),
    [(RELEASE, Reason.RELEASED, "operator/101"), (RETURN, Reason.RETURNED, "holder_due")],
)
def test_two_people_move_suspended_money_at_the_next_close(
    listed: tuple[Desk, str], tmp_path: Path, kind: RulingKind, reason: Reason, account: str
) -> None:
    desk, item = listed
    before = balances(desk)
    assert before["suspense/101"] == -160
    number = desk.proposed(kind, item, by=CAI)
    assert desk.book.proposals[number].sum_fen == 160
    desk.approve(number, DAN)
    assert balances(desk) == before  # nothing moves before a day is closed
    day = close(desk.city)
    after = balances(desk)
    assert "suspense/101" not in after
    assert after[account] == before.get(account, 0) - 160
    assert reasons(desk) == [Reason.HOTLISTED, reason]
    (copy,) = explain(desk.city, f"{BUS_TERMINAL}-1").copies
    (ruled,) = [step for step in copy.steps if step.name == "ruling"]
    assert "asked for by cai, approved by dan" in ruled.text.en
    assert "cai 提请，dan" in ruled.text.zh
    found = check(tmp_path / "city")
    assert found.is_sound, found.findings
    # Everything of that day is made again from raw files and the audit log.
    for path in (*desk.city.folder.glob("inputs/*.parquet"), *desk.city.folder.glob("seals/*")):
        path.unlink()
    made = rebuild(desk.city, KEYS, ENGINE, NOW, CLERK)
    assert made.lost == []
    assert check(tmp_path / "city").is_sound
    assert day.number == 2


def test_what_was_returned_is_paid_out_to_the_holder_once(
    listed: tuple[Desk, str], tmp_path: Path
) -> None:
    desk, item = listed
    case = f"case/{item}"
    settle = RulingKind.CASES_SETTLE
    assert refusal(desk.propose(settle, case, by=CAI)) is Answer.NOT_TO_RULE_ON
    desk.rule(RETURN, item, by=CAI, second=DAN)
    close(desk.city)
    held_fen = balances(desk)["holder_due"]
    ruling = desk.rule(settle, case, by=CAI, second=DAN).ruling
    assert ruling.sum_fen == 160
    assert refusal(desk.propose(settle, case, by=DAN)) is Answer.NOT_TO_RULE_ON
    day = close(desk.city)
    assert balances(desk).get("holder_due", 0) == held_fen + 160
    assert balances(desk)["paid_out"] == -160
    (entry,) = load_entries(desk.city.database, day.settlement_day)
    assert (entry.kind, entry.ruling) == (EntryKind.RULING, ruling.number)
    found = check(tmp_path / "city")
    assert found.is_sound, found.findings


def test_a_load_is_released_and_never_returned(desk: Desk, tmp_path: Path) -> None:
    street = Street()
    card = street.card(1)
    row = since_ever(HotlistRow(card.number, 1))
    register(desk.city.database, row, Action(CLERK, NOW - timedelta(days=40), "stolen"))
    receive(desk.city, street.file([card.load(5000)]))
    close(desk.city)
    (line,) = load_file_lines(desk.city.database)
    item = f"record/{line.file.content_hash[:16]}/0"
    assert refusal(desk.propose(RETURN, item, by=CAI)) is Answer.NOT_TO_RULE_ON
    desk.rule(RELEASE, item, by=CAI, second=DAN)
    close(desk.city)
    assert balances(desk) == {"card_float": -5000, "load_agent/900": 5000}
    assert check(tmp_path / "city").is_sound


def test_a_second_ruling_waits_for_the_close_that_does_the_first(listed: tuple[Desk, str]) -> None:
    desk, item = listed
    desk.rule(RELEASE, item, by=CAI, second=DAN)
    assert refusal(desk.propose(RETURN, item, by=CAI)) is Answer.NOT_TO_RULE_ON


def test_what_cleared_up_by_itself_is_not_ruled_on(listed: tuple[Desk, str]) -> None:
    """The proposal stands open while the ride is released by another one: it has changed."""
    desk, item = listed
    waiting = desk.proposed(RETURN, item, by=CAI)
    desk.rule(RELEASE, item, by=FAY, second=DAN)
    close(desk.city)
    assert refusal(desk.approve(waiting, DAN)) is Answer.NOT_TO_RULE_ON


@pytest.mark.parametrize("change", ["drop", "swap", "pay more"])
def test_a_ruling_that_was_altered_behind_a_closed_day_is_named(
    listed: tuple[Desk, str], tmp_path: Path, change: str
) -> None:
    desk, item = listed
    desk.rule(RELEASE, item, by=CAI, second=DAN)
    day = close(desk.city)
    run = load_run(desk.city.database, day.run_id)
    assert run is not None
    (applied,) = run.rulings
    told = {
        "drop": [],
        "swap": [[applied.number - 1, applied.digest, 0]],
        "pay more": [[applied.number, applied.digest, 999]],
    }[change]
    with sqlite3.connect(tmp_path / "city" / "control.sqlite") as connection:
        connection.execute("DROP TRIGGER IF EXISTS runs_refuse_update")
        text = json.dumps(told, separators=(",", ":")) if told else None
        connection.execute("UPDATE runs SET rulings = ? WHERE run_id = ?", (text, day.run_id))
    assert not check(tmp_path / "city").is_sound


def test_a_ruling_that_was_passed_over_is_named_by_nothing_else(
    listed: tuple[Desk, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever closes leaves the first of two rulings out, and everything else is as it must be."""
    desk, item = listed
    street, other = second_suspended(desk)
    desk.rule(RELEASE, item, by=CAI, second=DAN)
    desk.rule(RELEASE, other, by=CAI, second=DAN)
    left_out = load_new_rulings(desk.city.database)[-2]
    monkeypatch.setattr(
        gathering,
        "load_new_rulings",
        lambda database: tuple(
            each for each in load_new_rulings(database) if each.number != left_out.number
        ),
    )
    close(desk.city)
    receive(desk.city, street.file([street.card(3).load(100)], sequence=3))
    assert close_day(desk.city, None, KEYS, ENGINE, NOW + timedelta(days=3), CLERK)
    monkeypatch.undo()
    found = check(tmp_path / "city")
    assert [each.text.en for each in found.findings] == [f"passed over ruling {left_out.number}"]
    monkeypatch.delitem(CHECKS, "rulings")
    assert check(tmp_path / "city").is_sound


def second_suspended(desk: Desk) -> tuple[Street, str]:
    """Another day is closed with a load of a stolen card suspended; and the item that names it."""
    street = Street(now=NOW.replace(tzinfo=None), serials={BUS_TERMINAL: 50, KIOSK: 50})
    receive(desk.city, street.file([street.card(2).load(5000)], sequence=2))
    close(desk.city)
    second = load_file_lines(desk.city.database)[1]
    return street, f"record/{second.file.content_hash[:16]}/0"


def test_a_payout_is_paid_once_whoever_signs_it_again_past_the_desk(
    listed: tuple[Desk, str], tmp_path: Path
) -> None:
    """Two asked for the same at once. One is approved; whoever approves holds the folder, too."""
    desk, item = listed
    desk.rule(RETURN, item, by=CAI, second=DAN)
    close(desk.city)
    held_fen = balances(desk)["holder_due"]
    case, settle = f"case/{item}", RulingKind.CASES_SETTLE
    first = desk.proposed(settle, case, by=CAI)
    details = desk.book.proposals[first]
    again = replace(details, proposed_by=FAY).content()
    asked = keep_act(
        desk.city.database, enrolled(FAY)[0], lambda _: NewEntry(Act.PROPOSE, FAY, desk.now, again)
    )
    assert isinstance(asked, LogEntry)
    desk.approve(first, DAN)
    answer = NewEntry(Act.APPROVE, DAN, desk.now, {}, asked.number)
    keep_act(desk.city.database, enrolled(DAN)[0], lambda _: answer)
    close(desk.city)
    assert balances(desk)["paid_out"] == -160
    assert balances(desk).get("holder_due", 0) == held_fen + 160
    assert check(tmp_path / "city").is_sound


def test_a_ruling_about_a_damaged_file_waits_alone(listed: tuple[Desk, str]) -> None:
    desk, item = listed
    _, other = second_suspended(desk)
    first = load_file_lines(desk.city.database)[0]
    desk.city.raw_path(first.file.content_hash).unlink()
    desk.rule(RELEASE, item, by=CAI, second=DAN)
    desk.rule(RELEASE, other, by=CAI, second=DAN)
    close(desk.city)
    assert balances(desk)["load_agent/900"] == 5_000
    assert balances(desk)["suspense/101"] == -160
