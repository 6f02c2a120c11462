"""The audit log in the database: in order, each once, for whoever reads on where it stopped."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from settlement.errors import AuditEntryError
from settlement.rulings.kinds import RulingKind
from settlement.rulings.log import LOG_START, Act, NewEntry, RulingsEnd, end_of
from settlement.rulings.proposals import Request, Standing, decide_proposal
from settlement.store.database import Database
from settlement.store.rulings import (
    add_entry,
    load_book,
    load_log,
    load_rulings,
    load_rulings_about,
    rulings_end,
)
from tests.settlement.rulings.crew import (
    ADA,
    BO,
    CAI,
    DAN,
    MONDAY,
    ORIGIN,
    WEEK,
    enrolled,
    new_person,
)
from tests.settlement.verification.test_verify import tamper


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database.sqlite(tmp_path / "control.sqlite") as opened:
        for name in (ADA, BO):
            content = {**new_person(name).content(), **(ORIGIN.content() if name == ADA else {})}
            act(opened, NewEntry(Act.FOUND, name, MONDAY, content))
        for name in (CAI, DAN):
            details = new_person(name).content()
            rule(opened, Request(RulingKind.PEOPLE_ADD, (f"person/{name}",), "hired", details))
        yield opened


def act(database: Database, what: NewEntry) -> int:
    key = enrolled(what.by)[0]
    return database.write(lambda connection: add_entry(connection, what, key)).number


def rule(database: Database, request: Request, by: str = ADA, second: str = BO) -> int:
    book = load_book(database)
    standing = Standing("", 1)
    made = decide_proposal(book, request, book.people[by], standing, MONDAY, WEEK)
    assert isinstance(made, NewEntry), made
    return act(database, NewEntry(Act.APPROVE, second, MONDAY, {}, act(database, made)))


def skip(database: Database, sequence: int) -> int:
    subject = f"sequence/101/{sequence}"
    return rule(database, Request(RulingKind.FILES_SKIP, (subject,), "lost"), CAI, DAN)


def test_whoever_reads_on_gets_each_ruling_once(database: Database) -> None:
    before = rulings_end(database)
    numbers = [skip(database, each) for each in (7, 8, 9)]
    middle, end = numbers[1], rulings_end(database).count
    first = load_rulings(database, before.count, middle)
    second = load_rulings(database, middle, end)
    assert [each.number for each in (*first, *second)] == numbers
    assert [each.subjects for each in second] == [("sequence/101/9",)]
    assert load_rulings(database, end, end) == ()
    assert tuple(load_book(database).rulings()) == load_rulings(database, 0, end)
    assert first[0].approved_at == MONDAY
    assert (first[0].proposed_by, first[0].approved_by, first[0].why) == (CAI, DAN, "lost")


def test_what_was_ruled_about_items_is_found_by_them(database: Database) -> None:
    skip(database, 7)
    found = load_rulings_about(database, ["sequence/101/7", "sequence/101/8"])
    assert list(found) == ["sequence/101/7"]
    assert found["sequence/101/7"][0].kind is RulingKind.FILES_SKIP


def test_the_log_ends_with_its_last_link(tmp_path: Path, database: Database) -> None:
    assert rulings_end(database) == end_of(load_log(database)[-1])
    with Database.sqlite(tmp_path / "empty.sqlite") as empty:
        assert rulings_end(empty) == LOG_START == RulingsEnd()


def test_a_proposal_is_answered_once_whoever_writes(database: Database) -> None:
    answered = skip(database, 7) - 1
    for again in (Act.APPROVE, Act.DECLINE):
        with pytest.raises(IntegrityError):
            act(database, NewEntry(again, BO, MONDAY, {}, answered))
    assert rulings_end(database).count == answered + 1


@pytest.mark.parametrize("statement", ["UPDATE audit_log SET by = 'x'", "DELETE FROM audit_log"])
def test_the_log_is_append_only(database: Database, statement: str) -> None:
    before = load_log(database)
    with pytest.raises(IntegrityError, match="append-only"):
        database.write(lambda connection: connection.execute(text(statement)))
    assert load_log(database) == before


@pytest.mark.parametrize(
    "change",
    [
        "content = '{}'",
        "content = '['",
        "act = 'nothing'",
        "proposal = 1",
    ],
)
def test_an_entry_that_nobody_can_have_written_is_named(
    tmp_path: Path, database: Database, change: str
) -> None:
    last = rulings_end(database).count
    number = last - 1 if change.startswith("content") else last
    tamper(tmp_path, f"UPDATE audit_log SET {change} WHERE number = {number}")
    with pytest.raises(AuditEntryError) as error:
        load_book(database)
    assert str(number) in str(error.value) or error.value.number == last
