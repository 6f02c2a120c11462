"""The registry of a running city: days in force for files and reviews, and its chain under seal."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from settlement.city import City
from settlement.days.opening import DayAnswer
from settlement.engine.local import LocalEngine
from settlement.intake.answers import FileAnswer
from settlement.registry.book import Dated, broken_link, civil_day, since_ever
from settlement.registry.decide import Decided, RegistryNote
from settlement.registry.rows import KINDS, NameRow, TerminalRow
from settlement.reports.registry import read_history, read_rows
from settlement.service.clear import RunResult, run_clearing
from settlement.service.receive import receive_file
from settlement.service.registering import (
    add_row,
    change_row,
    end_row,
    import_sheet,
    register_rows,
)
from settlement.store.days import load_balances
from settlement.store.registry import load_changes, load_tac_keys
from settlement.verification.findings import Invariant
from settlement.verification.verify import verify
from tests.settlement.device_files import (
    ACTION,
    BUS,
    BUS_TERMINAL,
    CLERK,
    DAY,
    METRO,
    NOW,
    SENDER,
    Street,
    key_service,
    make_office,
)
from tests.settlement.service.test_service import close, receive

KEYS, ENGINE = key_service(), LocalEngine(1)
STRANGER = "0000000000b9"


@pytest.fixture
def office(tmp_path: Path) -> Iterator[City]:
    with make_office(tmp_path / "city", bucket_count=1) as city:
        yield city


def test_a_bus_that_moves_to_another_operator_is_paid_by_the_day_of_each_ride(
    office: City,
) -> None:
    street = Street()
    card = street.card(1)
    before = [card.load(5_000), card.bus()]
    late = card.bus()  # comes in after the bus has moved
    street.now += timedelta(days=1)
    after = card.bus(operator=METRO)
    moved = change_row(
        office,
        ("terminal", BUS_TERMINAL),
        {"participant": METRO, "collector": BUS},
        DAY + timedelta(days=1),
        None,
        ACTION,
    )
    assert isinstance(moved, Decided)
    receive(office, street.file(before))
    close(office, DAY)
    receive(office, street.file([after, late]))
    close(office, DAY + timedelta(days=1))
    balances = load_balances(office.database)
    assert (balances[f"operator/{BUS}"], balances[f"operator/{METRO}"]) == (-320, -160)
    assert verify(office, KEYS, ENGINE).is_sound


def test_a_record_of_an_unknown_terminal_is_paid_only_for_days_on_which_it_is_registered(
    office: City,
) -> None:
    street = Street()
    card = street.card(1)
    receive(office, street.file([card.load(5_000), card.bus(terminal=STRANGER)]))
    close(office, DAY)
    row = TerminalRow(STRANGER, BUS, "bus")
    later = add_row(office, Dated(row, DAY + timedelta(days=1)), ACTION)
    assert isinstance(later, Decided)
    assert later.notes == ()
    waiting = run_clearing(office, None, KEYS, ENGINE, NOW, CLERK)
    assert waiting is DayAnswer.NOTHING_READY
    dated_back = add_row(office, Dated(row, DAY, DAY), ACTION)
    assert isinstance(dated_back, Decided)
    assert dated_back.notes == (RegistryNote.CLOSED_DAYS_BEHIND,)
    found = run_clearing(office, None, KEYS, ENGINE, NOW, CLERK)
    assert isinstance(found, RunResult)
    assert found.run.totals["accepted"] == 1
    close(office)
    assert load_balances(office.database)[f"operator/{BUS}"] == -160
    assert verify(office, KEYS, ENGINE).is_sound


def test_a_revoked_sender_key_is_refused_and_its_old_files_stay_sound(office: City) -> None:
    street = Street()
    card = street.card(1)
    receive(office, street.file([card.load(5_000)]))
    close(office, DAY)
    today = civil_day(NOW)
    ended = end_row(office, ("sender", f"{SENDER}/1"), today, ACTION)
    assert isinstance(ended, Decided)
    file = street.file([card.bus()])
    last_moment = NOW.replace(hour=15, minute=59)  # 23:59 on the city's clock
    refused = receive_file(office, file, KEYS, last_moment + timedelta(minutes=1))
    assert refused.answer is FileAnswer.SENDER_UNKNOWN
    assert receive_file(office, file, KEYS, last_moment).answer is FileAnswer.ACCEPTED
    assert verify(office, KEYS, ENGINE).is_sound


def test_names_and_senders_registered_meanwhile_change_no_run(office: City) -> None:
    receive(office, Street().file([Street().card(1).load(500)]))
    first = run_clearing(office, None, KEYS, ENGINE, NOW, CLERK)
    register_rows(office, since_ever(NameRow("line", 2, "二号线")), ACTION)
    again = run_clearing(office, None, KEYS, ENGINE, NOW, CLERK)
    assert isinstance(first, RunResult)
    assert isinstance(again, RunResult)
    assert first.run.run_id == again.run.run_id


TAMPERS = {
    "a row reads otherwise": (
        "UPDATE registry_changes SET content = replace(content, '\"bus\"', '\"tram\"') "
        "WHERE kind = 'terminal'"
    ),
    "a day is moved": "UPDATE registry_changes SET valid_from = '2018-09-01' WHERE number = 20",
    "another did it": "UPDATE registry_changes SET changed_by = 'person:x' WHERE number = 20",
    "for another reason": "UPDATE registry_changes SET why = 'x' WHERE number = 20",
    "at another time": "UPDATE registry_changes SET changed_at = '2018-09-01' WHERE number = 20",
    "one is gone": "DELETE FROM registry_changes WHERE number = 20",
    "the last is gone": "DELETE FROM registry_changes WHERE number = "
    "(SELECT max(number) FROM registry_changes)",
}


def tamper(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / "control.sqlite")) as connection, connection:
        for action in ("update", "delete"):
            connection.execute(f"DROP TRIGGER registry_changes_refuse_{action}")
        connection.execute(statement)
        assert connection.execute("SELECT changes()").fetchone()[0] > 0


@pytest.mark.parametrize("statement", TAMPERS.values(), ids=TAMPERS)
def test_a_chain_of_changes_broken_by_hand_is_found(office: City, statement: str) -> None:
    receive(office, Street().file([Street().card(1).load(500)]))
    close(office)
    assert verify(office, KEYS, ENGINE).is_sound
    tamper(office.folder, statement)
    found = verify(office, KEYS, ENGINE)
    assert not found.invariants[Invariant.I8]
    assert any("registry" in each.where.en for each in found.findings)


def test_a_chain_written_anew_is_not_the_one_under_the_seal(office: City) -> None:
    """Whoever rewrites the last change with a link that fits has not rewritten the seal."""
    receive(office, Street().file([Street().card(1).load(500)]))
    register_rows(office, since_ever(NameRow("line", 2, "二号线")), ACTION)
    close(office)
    forged = list(load_changes(office.database))
    tamper(office.folder, "DELETE FROM registry_changes WHERE subject = 'line/2'")
    register_rows(office, since_ever(NameRow("line", 2, "三号线")), ACTION)
    changes = load_changes(office.database)
    assert len(changes) == len(forged)
    assert broken_link(changes) is None
    assert not verify(office, KEYS, ENGINE).invariants[Invariant.I8]


def test_a_half_good_file_changes_nothing(office: City) -> None:
    kind, before = KINDS["terminal"], load_changes(office.database)
    text = "terminal,participant,role\n0000000000d1,101,bus\n0000000000d2,999,bus\n"
    faults = import_sheet(office, kind, text.encode(), ACTION)
    assert isinstance(faults, list)
    assert [(each.line, each.column) for each in faults] == [(3, "participant")]
    assert load_changes(office.database) == before
    good = import_sheet(office, kind, text.replace("999", "201").encode(), ACTION)
    assert isinstance(good, Decided)
    assert len(read_rows(office, kind, None)) == 5
    assert import_sheet(office, kind, text.replace("999", "201").encode(), ACTION) == Decided(())


def test_every_change_says_who_made_it_when_and_why(office: City) -> None:
    kind = KINDS["terminal"]
    end_row(office, ("terminal", BUS_TERMINAL), DAY, ACTION)
    first, second = read_history(office, kind, BUS_TERMINAL)
    assert (first.action, second.action) == (ACTION, ACTION)
    assert first.what.row == TerminalRow(BUS_TERMINAL, BUS, "bus")
    assert second.what.row is None
    assert [each.row for each in read_rows(office, kind, DAY)] != [
        each.row for each in read_rows(office, kind, DAY + timedelta(days=1))
    ]


def test_a_key_that_showed_itself_is_registered_by_the_intake(office: City) -> None:
    street = Street()
    receive_file(
        office, street.file([street.card(1, key_version=2).load(500)]), key_service(1, 2), NOW
    )
    shown = read_history(office, KINDS["tac_key"], "shenzhen/2")
    assert [each.action.by.code for each in shown] == ["system:intake"]


def test_who_closes_registers_the_keys_that_show_themselves_in_a_review(office: City) -> None:
    street = Street()
    receive(office, street.file([street.card(1, key_version=2).load(500)]))
    assert read_history(office, KINDS["tac_key"], "shenzhen/2") == ()
    run_clearing(office, None, key_service(1, 2), ENGINE, NOW, CLERK)
    shown = read_history(office, KINDS["tac_key"], "shenzhen/2")
    assert [each.action.by for each in shown] == [CLERK]


def test_a_key_that_people_ended_does_not_come_back_by_the_records_it_proves(
    office: City,
) -> None:
    """Whoever holds a key that got out would prove most of a file with it. What it proves waits,
    neither paid nor rejected, until people register the key again.
    """
    street = Street()
    card = street.card(1)
    receive(office, street.file([card.load(5_000), card.bus()]))
    (key,) = load_tac_keys(office.database)
    name, today = ("tac_key", f"{key.label}/{key.version}"), civil_day(NOW)
    assert isinstance(end_row(office, name, today - timedelta(days=1), ACTION), Decided)
    receive(office, street.file([card.bus()]))
    assert load_tac_keys(office.database) == ()
    close(office, DAY)
    assert load_balances(office.database)[f"operator/{BUS}"] == -160
    assert verify(office, KEYS, ENGINE).is_sound
    assert isinstance(add_row(office, Dated(key, today), ACTION), Decided)
    street.now += timedelta(days=1)
    close(office, DAY + timedelta(days=1))
    assert load_balances(office.database)[f"operator/{BUS}"] == -320
    assert verify(office, KEYS, ENGINE).is_sound


def test_a_key_ended_and_known_otherwise_before_stops_no_file(office: City) -> None:
    """The intake offered the row again, which the registry refused: no file could come in."""
    street = Street()
    card = street.card(1)
    receive(office, street.file([card.load(5_000)]))
    (key,) = load_tac_keys(office.database)
    name, today = ("tac_key", f"{key.label}/{key.version}"), civil_day(NOW)
    other = {"check_value": "ABCDEF"}
    assert isinstance(change_row(office, name, other, today, None, ACTION), Decided)
    assert isinstance(end_row(office, name, today, ACTION), Decided)
    receive(office, street.file([card.bus()]))
    assert load_tac_keys(office.database) == ()
