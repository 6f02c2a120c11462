"""What an insider with the folder can do to the audit log, and that `verify` names it."""

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from settlement.days.closing import ClosedDay
from settlement.errors import AuditEntryError
from settlement.people.actions import Action, Actor
from settlement.people.person import NewPerson
from settlement.people.roles import Role
from settlement.people.signing import SigningKey, make_credential
from settlement.registry.book import Dated
from settlement.registry.rows import NameRow
from settlement.rulings.book import Proposal
from settlement.rulings.kinds import RulingKind
from settlement.rulings.log import LOG_START, Act, LogEntry, NewEntry, RulingsEnd, statement_of
from settlement.rulings.proposals import Answer
from settlement.seal import canonical_json, link
from settlement.service.clear import run_clearing
from settlement.service.close import close_day
from settlement.service.ruling.people import renew_secret
from settlement.store.days import load_closed_days
from settlement.store.registry import register
from settlement.store.rulings import add_entry, load_log, load_rulings
from settlement.verification.audit_log import verify_audit_log
from settlement.verification.findings import Findings
from tests.settlement.device_files import DAY, NOW, Street
from tests.settlement.rulings.crew import ADA, BO, CAI, CHEAP, DAN, EVE, enrolled
from tests.settlement.rulings.desk import Desk, refusal
from tests.settlement.service.test_service import ENGINE, KEYS, close, receive
from tests.settlement.verification.insider import act as act_past_triggers
from tests.settlement.verification.test_verify import check

SKIP = RulingKind.FILES_SKIP
HOLE = "sequence/7/2"
LATER = NOW + timedelta(hours=1)


@pytest.fixture
def ruled(desk: Desk) -> Desk:
    """A city in which something was ruled."""
    street = Street()
    card = street.card(1)
    files = [street.file([card.load(5000)]), *(street.file([card.bus()]) for _ in range(2))]
    receive(desk.city, files[0], files[2])
    desk.rule(SKIP, HOLE, by=CAI, second=DAN)
    return desk


def found(desk: Desk) -> list[str]:
    findings = Findings()
    verify_audit_log(desk.city, findings)
    return [f"{each.where.en}: {each.text.en}" for each in findings.found]


def add(desk: Desk, what: NewEntry, key: SigningKey) -> int:
    """Past the office: an entry that nobody decided."""
    return desk.city.database.write(lambda connection: add_entry(connection, what, key)).number


def proposal(by: str, item: str = HOLE) -> NewEntry:
    """As the office writes it when somebody proposes."""
    made = Proposal(0, SKIP, (item,), "lost", "", 1, 0, None, by, NOW, NOW + timedelta(days=7))
    return NewEntry(Act.PROPOSE, by, NOW, made.content())


def test_what_the_office_wrote_is_proven(ruled: Desk) -> None:
    assert found(ruled) == []


COLUMNS = ("act", "by", "at", "content", "signature", "previous_hash", "hash")


@pytest.mark.parametrize("column", COLUMNS)
def test_a_row_that_was_altered_in_the_database_is_named(ruled: Desk, column: str) -> None:
    values = {"act": "decline", "at": "1999-01-01 00:00:00.000000", "by": ADA}
    value = values.get(column, f"substr({column}, 2) || '0'")
    new = f"'{value}'" if column in values else value
    number = len(load_log(ruled.city.database))
    assert act_past_triggers(
        ruled.city.folder, f"UPDATE audit_log SET {column} = {new} WHERE number = {number}"
    )
    assert any(each.startswith(f"audit_log, row {number}: ") for each in found(ruled))


@pytest.mark.parametrize("what", ["role", "public_key", "name"])
def test_a_person_who_was_altered_in_the_database_is_named(ruled: Desk, what: str) -> None:
    """Their role, or their key for one that the insider knows; the chain made again behind it."""
    number = next(each.number for each in load_log(ruled.city.database) if _adds(each, EVE))
    stranger = make_credential("the secret of a stranger", b"x" * 16, CHEAP)[1]
    new = {"role": Role.SUPERVISOR.value, "public_key": stranger.public_key, "name": "mallory"}

    def alter(entry: LogEntry) -> NewEntry:
        content = entry.what.content
        if entry.number != number:
            return entry.what
        details = {**content["details"], what: new[what]}
        return replace(entry.what, content={**content, "details": details})

    rewrite(ruled, alter)
    assert any("was not signed by ada" in each for each in found(ruled))


def _adds(entry: LogEntry, name: str) -> bool:
    details = entry.what.content.get("details")
    return isinstance(details, dict) and details.get("name") == name


def rewrite(desk: Desk, alter: Callable[[LogEntry], NewEntry]) -> None:
    """The insider writes the whole log anew: true links, and the signatures that were there."""
    end = LOG_START
    rows = []
    for entry in load_log(desk.city.database):
        what = alter(entry)
        statement = statement_of(entry.number, what, end.hash)
        hash_ = link(end.hash, [statement, entry.signature])
        content = canonical_json(what.content).decode()
        rows.append((content, what.by, hash_, end.hash, entry.number))
        end = RulingsEnd(entry.number, hash_)
    with closing(sqlite3.connect(desk.city.folder / "control.sqlite")) as connection:
        connection.execute("DROP TRIGGER audit_log_refuse_update")
        connection.executemany(
            "UPDATE audit_log SET content = ?, by = ?, hash = ?, previous_hash = ? "
            "WHERE number = ?",
            rows,
        )
        connection.commit()


def test_a_ruling_row_that_was_inserted_in_the_database_is_named(ruled: Desk) -> None:
    """By somebody with the folder and no secret: with a key of their own, in another's name."""
    stranger = make_credential("the secret of a stranger", b"x" * 16, CHEAP)[0]
    number = add(ruled, proposal(CAI, "sequence/7/5"), stranger)
    add(ruled, NewEntry(Act.APPROVE, DAN, NOW, {}, number), stranger)
    said = found(ruled)
    assert any(f"row {number}: was not signed by cai" in each for each in said), said
    assert any(f"row {number + 1}: was not signed by dan" in each for each in said), said


def test_a_signature_that_is_replayed_behind_another_entry_is_named(ruled: Desk) -> None:
    """The very act again, as its person signed it, at another place of the log."""
    log = load_log(ruled.city.database)
    signature = log[-2].signature
    add(ruled, log[-2].what, enrolled(CAI)[0])
    number = len(log) + 1
    act_past_triggers(
        ruled.city.folder,
        f"UPDATE audit_log SET signature = '{signature}' WHERE number = {number}",
    )
    rewrite(ruled, lambda entry: entry.what)
    assert found(ruled) == [f"audit_log, row {number}: was not signed by cai with the key of then"]


#: What one person does past the office, with their own secret and the folder in hand.
ALONE: dict[str, Callable[[Desk], tuple[int, str]]] = {
    "approves what they proposed": lambda desk: (
        add(
            desk,
            NewEntry(Act.APPROVE, DAN, NOW, {}, add(desk, proposal(DAN), enrolled(DAN)[0])),
            enrolled(DAN)[0],
        ),
        "nobody approves what they proposed",
    ),
    "approves what is no proposal": lambda desk: (
        add(desk, NewEntry(Act.APPROVE, DAN, NOW, {}, 1), enrolled(DAN)[0]),
        "there is no such proposal",
    ),
    "approves without the right": lambda desk: (
        add(
            desk,
            NewEntry(Act.APPROVE, EVE, NOW, {}, add(desk, proposal(CAI), enrolled(CAI)[0])),
            enrolled(EVE)[0],
        ),
        "the role of this person does not allow it",
    ),
    "proposes without the right": lambda desk: (
        add(desk, proposal(EVE), enrolled(EVE)[0]),
        "the role of this person does not allow it",
    ),
    "approves out of date": lambda desk: (
        add(
            desk,
            NewEntry(
                Act.APPROVE,
                DAN,
                NOW + timedelta(days=8),
                {},
                add(desk, proposal(CAI), enrolled(CAI)[0]),
            ),
            enrolled(DAN)[0],
        ),
        "the proposal has expired",
    ),
    "founds once more": lambda desk: (
        add(desk, NewEntry(Act.FOUND, "zoe", NOW, _zoe()), _zoes_key()),
        "the office is founded",
    ),
}


def _zoes_key() -> SigningKey:
    return make_credential("the secret of zoe", b"z" * 16, CHEAP)[0]


def _zoe() -> Mapping[str, Any]:
    _, credential = make_credential("the secret of zoe", b"z" * 16, CHEAP)
    return NewPerson("zoe", Role.SUPERVISOR, credential).content()


@pytest.mark.parametrize("what", ALONE)
def test_one_person_with_the_folder_makes_no_ruling(ruled: Desk, what: str) -> None:
    number, words = ALONE[what](ruled)
    said = found(ruled)
    assert any(each.startswith(f"audit_log, row {number}: ") and words in each for each in said)


def test_an_act_of_a_person_who_was_ended_is_named(ruled: Desk) -> None:
    ruled.rule(RulingKind.PEOPLE_END, f"person/{CAI}", by=ADA, second=BO)
    number = add(ruled, proposal(CAI), enrolled(CAI)[0])
    assert found(ruled) == [f"audit_log, row {number}: this person acts no more: cai"]


def test_acts_before_a_secret_was_changed_are_proven_under_the_key_of_then(ruled: Desk) -> None:
    key, credential = make_credential("another secret of dan", b"s" * 16, CHEAP)
    renew_secret(ruled.city, ruled.shown(DAN), credential, NOW)
    assert found(ruled) == []
    number = add(ruled, proposal(DAN), enrolled(DAN)[0])
    assert found(ruled) == [f"audit_log, row {number}: was not signed by dan with the key of then"]
    assert key.public_key == credential.public_key


@pytest.mark.parametrize("count", [1, 2])
def test_a_log_that_was_cut_behind_a_closed_day_is_named(
    ruled: Desk, tmp_path: Path, count: int
) -> None:
    close(ruled.city)
    last = len(load_log(ruled.city.database)) - count
    act_past_triggers(ruled.city.folder, f"DELETE FROM audit_log WHERE number > {last}")
    assert any(f"and has {last}" in each for each in found(ruled))
    assert not check(tmp_path / "city").is_sound


def test_a_log_that_was_written_anew_behind_a_closed_day_is_named(
    ruled: Desk, tmp_path: Path
) -> None:
    """Two people who take back together what they did: their signatures hold, the seal does not."""
    close(ruled.city)
    act_past_triggers(ruled.city.folder, "DELETE FROM audit_log WHERE number > 10")
    for name, item in ((CAI, "sequence/7/8"), (CAI, "sequence/7/9")):
        add(ruled, proposal(name, item), enrolled(name)[0])
    assert not check(tmp_path / "city").is_sound


def test_a_change_of_the_registry_that_one_person_made_alone_is_named(ruled: Desk) -> None:
    register(
        ruled.city.database,
        [Dated(NameRow("line", 9, "九号线"))],
        Action(Actor(CAI), LATER, "alone"),
    )
    (said,) = found(ruled)
    assert "name line/9: cai changed it alone, without a ruling" in said


def test_a_day_that_two_closed_without_a_ruling_is_named(ruled: Desk) -> None:
    closed = close_day(ruled.city, None, KEYS, ENGINE, LATER, Actor(CAI))
    assert isinstance(closed, ClosedDay)
    act_past_triggers(ruled.city.folder, "UPDATE days SET confirmed_by = 'person:dan'")
    assert found(ruled) == [
        f"days row {DAY}: was closed by two, and the audit log has no such ruling"
    ]


def test_a_wrong_secret_that_was_taken_out_is_named(ruled: Desk) -> None:
    for guess in ("wrong by a lot", "wrong by a little"):
        assert refusal(ruled.show(DAN, guess)) is Answer.SECRET_WRONG
    assert found(ruled) == []
    act_past_triggers(ruled.city.folder, "DELETE FROM wrong_secrets WHERE number = 1")
    assert found(ruled) == ["wrong_secrets, row 1: is gone: a wrong secret was taken out"]


def test_nothing_is_decided_by_a_ruling_that_nobody_signed(ruled: Desk) -> None:
    """Not only found afterwards: no run reads it, no day is closed over it, nobody acts on it."""
    number = ruled.proposed(RulingKind.PEOPLE_UNLOCK, f"person/{EVE}", by=ADA)
    stranger = make_credential("the secret of a stranger", b"x" * 16, CHEAP)[0]
    add(ruled, NewEntry(Act.APPROVE, BO, NOW, {}, number), stranger)
    log = load_log(ruled.city.database)
    for decide in (
        lambda: load_rulings(ruled.city.database, 0, len(log)),
        lambda: run_clearing(ruled.city, None, KEYS, ENGINE, NOW, Actor(CAI)),
        lambda: close_day(ruled.city, None, KEYS, ENGINE, NOW, Actor(CAI)),
        lambda: ruled.show(CAI),
    ):
        with pytest.raises(AuditEntryError, match=rf"row {len(log)}: .* was not signed by bo"):
            decide()
    assert load_closed_days(ruled.city.database) == ()
    assert load_log(ruled.city.database) == log


def test_nothing_is_decided_by_a_log_that_was_cut_behind_a_closed_day(ruled: Desk) -> None:
    """A city that forgot its people would let anybody act alone."""
    close(ruled.city)
    act_past_triggers(ruled.city.folder, "DELETE FROM audit_log")
    with pytest.raises(AuditEntryError, match=r"row 1: .* a closed day covers it"):
        ruled.found()
    with pytest.raises(AuditEntryError):
        close_day(ruled.city, None, KEYS, ENGINE, LATER, Actor(CAI), second=Actor(DAN))
    assert load_log(ruled.city.database) == ()


def test_a_log_that_was_proven_once_is_proven_again_when_it_was_altered(ruled: Desk) -> None:
    assert load_rulings(ruled.city.database, 0, 99)
    act_past_triggers(ruled.city.folder, "UPDATE audit_log SET by = 'dan' WHERE by = 'cai'")
    with pytest.raises(AuditEntryError):
        load_rulings(ruled.city.database, 0, 99)
