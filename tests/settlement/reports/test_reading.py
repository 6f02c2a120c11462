"""Reports only read: whatever is asked, not a byte of the city changes."""

import importlib
import inspect
import pkgutil
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from settlement import reports
from settlement.city import City, open_city
from settlement.days.opening import DayAnswer
from settlement.engine.local import LocalEngine
from settlement.errors import CityError
from settlement.registry.rows import KINDS
from settlement.reports.days import (
    read_balances,
    read_closed_days,
    read_day,
    read_newest_seal,
)
from settlement.reports.files import (
    FileStanding,
    read_files,
    read_load_logs,
    read_missing,
    read_opening_files,
    read_refusals,
    read_set_aside,
)
from settlement.reports.float_proof import read_float_proof
from settlement.reports.history import explain
from settlement.reports.loads import read_load, read_loads, read_log_reach
from settlement.reports.open_items.asking import ask, show
from settlement.reports.open_items.nouns import NOUNS
from settlement.reports.open_items.values import Question
from settlement.reports.registry import (
    read_history,
    read_participant_names,
    read_registry,
    read_rows,
)
from settlement.reports.statement import read_statement
from settlement.service.clear import run_clearing
from tests.settlement.device_files import (
    BUS_TERMINAL,
    CLERK,
    DAY,
    KIOSK,
    NOW,
    Street,
    key_service,
    make_office,
)
from tests.settlement.load_logs import Host, register_host
from tests.settlement.service.test_service import close, receive

INSERT = text(
    "INSERT INTO registry_changes VALUES (999, 'name', 'line/99', :content, NULL, NULL, "
    "'person:x', '', '2018-09-01 00:00:00', '', 'x')"
).bindparams(content='{"kind":"line","code":99,"text":"x"}')
#: What SQLite keeps beside a database that somebody has open; it holds nothing of its own.
SIDE_FILES = ("-wal", "-shm")
REPORTS: dict[str, Callable[[City], object]] = {
    "explain": lambda city: [explain(city, f"{BUS_TERMINAL}-{n:08}") for n in range(1, 6)],
    "read_float_proof": read_float_proof,
    "read_newest_seal": read_newest_seal,
    "read_statement": lambda city: read_statement(city, (DAY,)),
    "read_closed_days": read_closed_days,
    "read_day": lambda city: read_day(city, DAY),
    "read_balances": read_balances,
    "read_files": lambda city: [read_files(city), read_files(city, "a")],
    "read_load_logs": read_load_logs,
    "read_missing": read_missing,
    "read_opening_files": read_opening_files,
    "read_refusals": read_refusals,
    "read_set_aside": read_set_aside,
    "read_registry": read_registry,
    "read_participant_names": lambda city: read_participant_names(city, (101, 102)),
    "read_rows": lambda city: [read_rows(city, kind, DAY) for kind in KINDS.values()],
    "read_loads": lambda city: read_loads(city, DAY - timedelta(days=9)).lines,
    "read_load": lambda city: [read_load(city, number) for number in (1, 2)],
    "read_log_reach": read_log_reach,
    "read_history": lambda city: read_history(city, KINDS["participant"], "101"),
}


@pytest.fixture(scope="module")
def lively(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed day with a record that waits for its key, a provisional run, a file that waits."""
    folder, street = tmp_path_factory.mktemp("lively") / "city", Street()
    card, early = street.card(1), street.card(2, key_version=2)
    with make_office(folder) as city:
        rides = [card.load(5000), early.load(5000), card.bus(), early.bus()]
        register_host(city)
        host = Host()
        host.allow_record(rides[0])
        receive(city, street.file(rides), host.file())
        close(city)
        street.now += timedelta(days=1)
        receive(city, street.file([card.bus()]), street.file([card.bus()], sequence=4))
        found = run_clearing(city, None, key_service(1, 2), LocalEngine(1), NOW, CLERK)
        assert not isinstance(found, DayAnswer)
        receive(city, street.file([card.bus()], sequence=6))
    return folder


@pytest.fixture
def reading(lively: Path) -> Iterator[City]:
    with open_city(lively, to_read=True) as city:
        yield city


def ask_for_all(city: City) -> None:
    for noun in NOUNS.values():
        for line in ask(city, noun, Question()).lines:
            show(city, noun, line.item, NOW)


def disk(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(SIDE_FILES)
    }


def test_running_every_report_leaves_every_byte_of_the_city_as_it_was(
    lively: Path, reading: City
) -> None:
    before, folders = disk(lively), set(lively.rglob("*/"))
    for name, run in {**REPORTS, "what stands open": ask_for_all}.items():
        run(reading)
        assert disk(lively) == before, name
        assert set(lively.rglob("*/")) == folders, name


def test_every_report_there_is_is_run_here() -> None:
    found = {
        name
        for module in pkgutil.iter_modules(reports.__path__, f"{reports.__name__}.")
        for name, function in inspect.getmembers(importlib.import_module(module.name))
        if inspect.isfunction(function)
        and function.__module__ == module.name
        and not name.startswith("_")
        and next(iter(inspect.signature(function).parameters), None) == "city"
    }
    # Parts of a history, of the loads and of a statement; what they are parts of runs them.
    parts = {"read_record", "read_recorded_loads", "read_billed_by_log", "read_run_statement"}
    assert found - parts == set(REPORTS)


def test_a_city_opened_for_reading_refuses_to_be_written(reading: City) -> None:
    with pytest.raises(OperationalError, match="readonly"), reading.database.read() as connection:
        connection.execute(INSERT)


def test_reading_does_not_wait_for_a_writer_nor_make_it_wait(lively: Path, tmp_path: Path) -> None:
    folder = tmp_path / "city"
    shutil.copytree(lively, folder)

    def write(connection: Connection) -> None:
        connection.execute(INSERT)
        with open_city(folder, to_read=True) as reader:
            assert ("name", "line/99") not in {each.subject for each in read_registry(reader).names}

    with open_city(folder) as writer:
        writer.database.write(write)
    with open_city(folder, to_read=True) as reader:
        assert ("name", "line/99") in {each.subject for each in read_registry(reader).names}


def test_an_older_database_is_not_brought_up_to_date_by_reading(
    lively: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "city"
    shutil.copytree(lively, folder)
    with closing(sqlite3.connect(folder / "control.sqlite")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
        connection.commit()
    before = disk(folder)
    with pytest.raises(CityError, match=r"schema 0001.*onecard rebuild"):
        open_city(folder, to_read=True)
    assert disk(folder) == before


def test_a_city_without_its_database_is_not_given_a_new_one_by_reading(
    lively: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "city"
    shutil.copytree(lively, folder)
    (folder / "control.sqlite").unlink()
    with pytest.raises(CityError):
        open_city(folder, to_read=True)
    assert not (folder / "control.sqlite").exists()


def test_files_stand_where_they_are(reading: City) -> None:
    standings = {each.file.sequence: each.standing for each in read_files(reading)}
    assert standings == {
        1: FileStanding.SETTLED,
        2: FileStanding.READY,
        4: FileStanding.WAITING,
        6: FileStanding.WAITING,
    }
    (only,) = read_files(reading, read_files(reading)[0].file.content_hash[:20].upper())
    assert (only.file.sequence, only.settlement_day) == (1, DAY)
    assert read_files(reading, "x") == ()


def test_a_day_is_read_back_as_it_was_closed(reading: City) -> None:
    (day,) = read_closed_days(reading)
    report = read_day(reading, DAY)
    assert report is not None
    assert (report.day, report.reviewed, report.totals["records"]) == (day, 0, 4)
    nets = {each.account: (each.owner, each.net_fen) for each in report.positions}
    agents = (each.row for each in read_registry(reading).participants if each.row.code == 900)
    assert nets["load_agent/900"] == (next(agents).name, 5000)
    assert nets["card_float"][0] == ""
    assert sum(net for _, net in nets.values()) == 0
    assert {account: net for account, (_, net) in nets.items()} == {
        account: balance
        for account, balance in read_balances(reading).items()
        if not account.startswith("clearing/")
    }
    assert read_day(reading, DAY + timedelta(days=1)) is None


def test_a_record_is_told_from_a_city_opened_for_reading(reading: City) -> None:
    (told,) = explain(reading, f"{KIOSK}-00000001").copies
    assert told.steps[-1].name == "seal"
