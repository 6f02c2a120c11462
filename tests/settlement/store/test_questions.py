"""The store's narrow questions give the same rows as the wide ones, and fewer."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from settlement.city import City
from settlement.days.closing import ClosedDay
from settlement.ledger.entries import EntryKind
from settlement.service.close import close_day
from settlement.store.days import (
    load_closed_days,
    load_day,
    load_days,
    load_days_around,
    load_entries,
    load_positions,
    load_reviewing_days,
)
from settlement.store.files import find_record, load_file_lines, load_files
from settlement.store.registry import load_names, load_participants, load_registry
from tests.settlement.device_files import (
    BUS,
    BUS_TERMINAL,
    CLERK,
    DAY,
    Street,
    key_service,
    make_office,
)
from tests.settlement.service.test_service import ENGINE, receive

DAYS = [DAY + timedelta(days=day) for day in range(4)]


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    """Four closed days; on the last but one a key came for a record of the first."""
    street = Street()
    card, early = street.card(1), street.card(2, key_version=2)
    with make_office(tmp_path_factory.mktemp("questions") / "city") as city:
        receive(city, street.file([card.load(5000), early.load(5000)]))
        for day in DAYS:
            street.now = street.now.replace(day=day.day, hour=12)
            receive(city, street.file([card.bus()]))
            keys = key_service(1, 2) if day == DAYS[2] else key_service()
            now = datetime.combine(day, time(23), UTC)
            assert isinstance(close_day(city, day, keys, ENGINE, now, CLERK), ClosedDay)
        receive(city, street.file([card.bus()], sequence=9))
        yield city


def dates(days: tuple[ClosedDay, ...]) -> list[date]:
    return [each.settlement_day for each in days]


def test_days_are_asked_for_by_name_and_by_nearness(city: City) -> None:
    every = load_closed_days(city.database)
    assert dates(every) == DAYS
    assert load_day(city.database, DAYS[1]) == every[1]
    assert load_day(city.database, DAYS[3] + timedelta(days=1)) is None
    assert load_days(city.database, [DAYS[2], DAYS[0], date(1999, 1, 1)]) == (every[0], every[2])
    before, after = load_days_around(city.database, DAYS[1], 1)
    assert (dates(before), dates(after)) == ([DAYS[1]], [DAYS[2]])
    before, after = load_days_around(city.database, DAYS[1], 9)
    assert (dates(before), dates(after)) == ([DAYS[1], DAYS[0]], [DAYS[2], DAYS[3]])
    before, after = load_days_around(city.database, DAYS[0] - timedelta(days=1), 9)
    assert (dates(before), dates(after)) == ([], DAYS)


def test_only_days_that_judged_again_are_reviewing_days(city: City) -> None:
    assert dates(load_reviewing_days(city.database, DAYS[0])) == [DAYS[2]]
    assert load_reviewing_days(city.database, DAYS[2]) == ()


def test_entries_of_a_day_and_of_accounts_are_whole(city: City) -> None:
    every = load_entries(city.database)
    of_day = load_entries(city.database, DAYS[1])
    assert of_day == tuple(each for each in every if each.settlement_day == DAYS[1])
    (only,) = load_entries(city.database, DAYS[1], [f"operator/{BUS}"])
    assert (only.kind, only.participant) == (EntryKind.DISTRIBUTE, BUS)
    assert only in of_day
    assert {each.account for each in only.postings} == {f"operator/{BUS}", f"clearing/{DAYS[1]}"}
    assert load_entries(city.database, DAYS[1], ["operator/999"]) == ()
    assert load_entries(city.database, DAYS[1], []) == ()


def test_positions_of_accounts_are_those_of_the_day(city: City) -> None:
    every = load_positions(city.database, DAYS[0])
    asked = load_positions(city.database, DAYS[0], [f"operator/{BUS}", "operator/999"])
    assert asked == tuple(each for each in every if each.account == f"operator/{BUS}")
    assert len(asked) == 1


def test_files_are_asked_for_by_the_beginning_of_their_hash(city: City) -> None:
    every = load_files(city.database)
    assert [row.file.sequence for row in every] == [1, 2, 3, 4, 5, 9]
    assert [row.is_ready for row in every] == [True] * 5 + [False]
    hashes = [row.file.content_hash for row in every]
    assert load_files(city.database, [hashes[2], hashes[0][:16]]) == (every[0], every[2])
    assert load_files(city.database, [hashes[0], hashes[0][:1]])[0] == every[0]
    assert load_files(city.database, [f"{hashes[0]}0", "g", "%", "_" * 64]) == ()
    assert load_files(city.database, []) == ()
    many = [*(f"{number:064x}" for number in range(1000)), *hashes]
    assert load_files(city.database, many) == every
    assert [line.file for line in load_file_lines(city.database)] == [row.file for row in every]


def test_a_record_is_found_in_the_file_that_holds_it_and_in_no_other(city: City) -> None:
    hashes = [row.file.content_hash for row in load_files(city.database)]
    for serial in range(1, 5):
        assert find_record(city.database, BUS_TERMINAL, serial) == (hashes[serial],)
    assert find_record(city.database, BUS_TERMINAL, 0) == ()
    assert find_record(city.database, BUS_TERMINAL, 6) == ()
    assert find_record(city.database, "0000000000ff", 1) == ()


@pytest.mark.parametrize(
    "statement", ["UPDATE file_terminals SET last_serial = 9", "DELETE FROM file_terminals"]
)
def test_where_a_record_is_never_changes(city: City, statement: str) -> None:
    with pytest.raises(IntegrityError, match="append-only"):
        city.database.write(lambda connection: connection.execute(text(statement)))


def test_names_are_asked_for_by_key(city: City) -> None:
    held = load_registry(city.database)
    assert load_participants(city.database, {BUS, 31337}) == tuple(
        each.row for each in held.participants if each.row.code == BUS
    )
    assert load_names(city.database, [("line", 1), ("station", 1)]) == tuple(
        each.row for each in held.names
    )
    assert load_names(city.database, []) == ()
