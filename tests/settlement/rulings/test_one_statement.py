"""One person with a secret, the folder and a clock: what each lie in the audit log comes to."""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from settlement.city import open_city
from settlement.errors import AuditEntryError
from settlement.people.actions import Action, ActorError
from settlement.people.person import NewPerson
from settlement.people.roles import Role
from settlement.people.signing import make_credential
from settlement.people.tries import TRIES_MAX
from settlement.registry.book import NewChange, since_ever
from settlement.registry.proposed import change_documents
from settlement.registry.rows import HotlistRow, NameRow
from settlement.rulings.book import Proposal
from settlement.rulings.kinds import RulingKind
from settlement.rulings.log import Act, NewEntry
from settlement.rulings.proof import prove_log
from settlement.rulings.proposals import OVERLAP_MAX, Answer, Request
from settlement.rulings.subjects import Subject, SubjectError
from settlement.seal import Sealable
from settlement.service.ruling.acting import Approved
from settlement.service.ruling.people import found_office, renew_secret
from settlement.service.ruling.showing import Shown
from settlement.service.ruling.standings import read_standing
from settlement.store.files import load_file_lines
from settlement.store.registry import register
from settlement.store.rulings import add_entry, load_book, load_log, load_proven_book
from tests.settlement.device_files import CLERK, NOW, Street, make_office
from tests.settlement.rulings.crew import ADA, BO, CAI, CHEAP, DAN, EVE, FAY, enrolled, new_person
from tests.settlement.rulings.desk import Desk, refusal
from tests.settlement.service.test_service import close, receive
from tests.settlement.verification.insider import act as act_past_triggers

ADD, SKIP, RELEASE = RulingKind.PEOPLE_ADD, RulingKind.FILES_SKIP, RulingKind.RECORDS_RELEASE
HOLE = "sequence/7/2"
WEEK = timedelta(days=7)


@pytest.fixture
def record(desk: Desk) -> str:
    """A record whose money is held: its card was stolen."""
    street = Street()
    card = street.card(1)
    row = since_ever(HotlistRow(card.number, 1))
    register(desk.city.database, row, Action(CLERK, NOW - timedelta(days=40), "stolen"))
    receive(desk.city, street.file([card.load(5000), card.bus()]))
    close(desk.city)
    (line,) = load_file_lines(desk.city.database)
    return f"record/{line.file.content_hash[:16]}/1"


def write(desk: Desk, what: NewEntry) -> int:
    """Past the office: an entry that nobody decided, signed by the person it names."""
    key = enrolled(what.by)[0]
    return desk.city.database.write(lambda connection: add_entry(connection, what, key)).number


def skipping(desk: Desk, by: str = CAI) -> dict[str, Any]:
    """What the office writes of a proposal."""
    made = Proposal(0, SKIP, (HOLE,), "lost", "", 1, 0, None, by, desk.now, desk.now + WEEK)
    return made.content()


def adding(
    name: str, role: Role = Role.SUPERVISOR, secret: str = "a secret of its own"
) -> Sealable:
    return NewPerson(
        name, role, make_credential(secret, name.encode().ljust(16)[:16], CHEAP)[1]
    ).content()


def is_stopped(desk: Desk, number: int) -> bool:
    """Nobody decides by the log, the entry is named, and it is no ruling."""
    for load in (load_book, load_proven_book):
        with pytest.raises(AuditEntryError) as told:
            load(desk.city.database)
        assert told.value.number == number
    return number in {each.number for each in prove_log(load_log(desk.city.database))}


# Items and details are one statement


def test_takeover(desk: Desk) -> None:
    """One person is shown, and another's key replaced."""
    mallory = make_credential("ada knows this one", b"m" * 16, CHEAP)[1]
    details = NewPerson(DAN, Role.SUPERVISOR, mallory).content()
    before = load_log(desk.city.database)
    made = desk.propose(ADD, "person/guo", by=ADA, details=details)
    assert refusal(made) is Answer.NOT_TO_RULE_ON
    assert refusal(desk.propose(ADD, "person/dan", by=ADA, details=details)) is Answer.NAME_TAKEN
    assert load_log(desk.city.database) == before
    content = {**skipping(desk), "kind": "people.add", "subjects": ["person/guo"]}
    number = write(desk, NewEntry(Act.PROPOSE, ADA, desk.now, {**content, "details": details}))
    assert is_stopped(desk, number)


def test_a_valid_person_is_not_replaced_when_the_log_is_read(desk: Desk) -> None:
    """Two who agree to put their own key in the place of a third person's."""
    content = {
        **skipping(desk), "kind": "people.add", "subjects": ["person/dan"],
        "details": adding(DAN, secret="another key for dan"),
    }  # fmt: skip
    number = write(desk, NewEntry(Act.PROPOSE, ADA, desk.now, content))
    write(desk, NewEntry(Act.APPROVE, BO, desk.now, {}, number))
    with pytest.raises(AuditEntryError, match="a person is called so already"):
        load_book(desk.city.database)
    with pytest.raises(AuditEntryError, match=f"row {number}: .* a person is called so already"):
        load_proven_book(desk.city.database)


def test_registry_other_subject(desk: Desk) -> None:
    (row,) = since_ever(NameRow("line", 9, "九号线"))
    change = NewChange("name", "line/9", row.row, row.valid_from, row.valid_to)
    documents = change_documents([change])
    for items in (["registry/name/line/1"], ["registry/name/line/9", f"day/{NOW.date()}"]):
        made = desk.propose(RulingKind.REGISTRY_CHANGE, *items, by=CAI, details=documents)
        assert refusal(made) is Answer.NOT_TO_RULE_ON


def test_day_by_people(desk: Desk) -> None:
    items = ["person/gus", f"day/{NOW.date()}"]
    made = desk.propose(ADD, *items, by=ADA, details=adding("gus"))
    assert refusal(made) is Answer.NOT_TO_RULE_ON


def test_payout_doubled_subjects(desk: Desk, record: str) -> None:
    assert refusal(desk.propose(RELEASE, record, record, by=CAI)) is Answer.NOT_TO_RULE_ON


# Count and sum are what they are


@pytest.mark.parametrize("lie", [{"sum_fen": 9_999_999}, {"sum_fen": 0}, {"count": 2}])
def test_payout_lie(desk: Desk, record: str, lie: dict[str, int]) -> None:
    """The second person sees another sum than that of the record."""
    standing = read_standing(desk.city, desk.book, Request(RELEASE, (record,), "x"))
    made = Proposal(
        0, RELEASE, (record,), "x", standing.state, standing.count, standing.sum_fen, None, CAI,
        desk.now, desk.now + WEEK,
    )  # fmt: skip
    content = {**made.content(), **lie}
    number = write(desk, NewEntry(Act.PROPOSE, CAI, desk.now, content))
    before = load_log(desk.city.database)
    assert refusal(desk.approve(number, DAN)) is Answer.CHANGED_SINCE
    assert load_log(desk.city.database) == before


@pytest.mark.parametrize(
    "lie",
    [
        {"sum_fen": 2**63}, {"sum_fen": 2**62}, {"sum_fen": True}, {"sum_fen": "160"},
        {"sum_fen": 1.5}, {"sum_fen": None}, {"count": -1}, {"count": 100_001}, {"count": True},
        {"subjects": ["garbage"]}, {"subjects": []}, {"subjects": [7]}, {"subjects": HOLE},
        {"subjects": ["sequence/9999999999999999999/1"]}, {"subjects": [HOLE, HOLE]},
        {"subjects": [f"person/{EVE}"]}, {"why": "x\x1b[2J"}, {"why": "x" * 501}, {"why": 7},
        {"details": []}, {"state": 1}, {"expires_at": "soon"}, {"expires_at": None},
        {"expires_at": "9999-12-31T23:59:59+00:00"}, {"expires_at": "2018-09-01T00:00:00"},
    ],
    ids=str,
)  # fmt: skip
def test_types(desk: Desk, lie: dict[str, Any]) -> None:
    """No run, no close and nobody is left to stumble over it: the entry is named."""
    entry = NewEntry(Act.PROPOSE, CAI, desk.now, {**skipping(desk), **lie})
    assert is_stopped(desk, write(desk, entry))


@pytest.mark.parametrize(
    "text",
    ["sequence/9999999999999999999/1", "day/2018-13-45", "register/2018-02-30/0000000a0001"],
)
def test_garbage_subjects(desk: Desk, text: str) -> None:
    with pytest.raises(SubjectError):
        Subject.parse(text)
    kind = {"sequence": SKIP, "day": RulingKind.DAYS_CLOSE}.get(text.partition("/")[0])
    kind = kind or RulingKind.REGISTERS_ACKNOWLEDGE
    assert refusal(desk.propose(kind, text, by=CAI)) is Answer.NOT_TO_RULE_ON


def test_the_largest_number_of_the_store_is_a_number() -> None:
    assert Subject.parse(f"sequence/{2**63 - 1}/1").parts == (str(2**63 - 1), "1")


# Times never go back


def test_expired_backdated(desk: Desk, record: str) -> None:
    number = desk.proposed(RELEASE, record, by=CAI)
    desk.wait(timedelta(days=30))
    assert refusal(desk.approve(number, DAN)) is Answer.EXPIRED
    desk.proposed(RulingKind.PEOPLE_UNLOCK, f"person/{EVE}", by=ADA)
    desk.wait(-timedelta(days=30))
    before = load_log(desk.city.database)
    credential = make_credential("another secret of dan", b"s" * 16, CHEAP)[1]
    for answer in (
        desk.approve(number, DAN),
        desk.decline(number, DAN),
        desk.propose(RELEASE, record, by=CAI),
        renew_secret(desk.city, desk.shown(DAN), credential, desk.now),
    ):
        assert refusal(answer) is Answer.CLOCK_BEHIND
    assert load_log(desk.city.database) == before
    write(desk, NewEntry(Act.APPROVE, DAN, desk.now, {}, number))
    (fault,) = prove_log(load_log(desk.city.database))
    assert "the time lies before that of the last act" in fault.text.en


def test_whoever_acts_while_another_types_is_not_kept_out(desk: Desk) -> None:
    """Two desks, and the one whose clock was read first comes second."""
    number = desk.proposed(RulingKind.PEOPLE_UNLOCK, f"person/{EVE}", by=ADA)
    last = desk.now
    desk.wait(-OVERLAP_MAX)
    approved = desk.approve(number, BO)
    assert isinstance(approved, Approved)
    assert approved.ruling.approved_at == last


def test_far_expiry(desk: Desk, record: str) -> None:
    """A proposal that stands open longer than the rules of the city let it."""
    standing = read_standing(desk.city, desk.book, Request(RELEASE, (record,), "x"))
    made = Proposal(
        0, RELEASE, (record,), "x", standing.state, 1, standing.sum_fen, None, CAI, desk.now,
        desk.now + timedelta(days=366),
    )  # fmt: skip
    number = write(desk, NewEntry(Act.PROPOSE, CAI, desk.now, made.content()))
    desk.wait(timedelta(days=300))
    assert refusal(desk.approve(number, DAN)) is Answer.NOT_TO_RULE_ON
    longer = replace(made, expires_at=NOW + timedelta(days=36500)).content()
    assert is_stopped(desk, write(desk, NewEntry(Act.PROPOSE, CAI, desk.now, longer)))


# One public key and one name are one person


def test_same_key_two_people(desk: Desk) -> None:
    cais = enrolled(CAI)[1]
    again = NewPerson("hal", Role.SUPERVISOR, cais)
    made = desk.propose(ADD, "person/hal", by=ADA, details=again.content())
    assert refusal(made) is Answer.KEY_TAKEN
    desk.rule(RulingKind.PEOPLE_END, f"person/{CAI}", by=ADA, second=BO)
    made = desk.propose(ADD, "person/hal", by=ADA, details=again.content())
    assert refusal(made) is Answer.KEY_TAKEN, "also a key that somebody had"
    renewed = renew_secret(desk.city, desk.shown(DAN), cais, desk.now)
    assert refusal(renewed) is Answer.KEY_TAKEN
    desk.enrol(CAI)  # the same person by the same name


def test_two_who_are_one_are_not_in_the_log(desk: Desk) -> None:
    content = {
        **skipping(desk), "kind": "people.add", "subjects": ["person/hal"],
        "details": {**new_person(CAI).content(), "name": "hal"},
    }  # fmt: skip
    number = write(desk, NewEntry(Act.PROPOSE, ADA, desk.now, content))
    (fault,) = prove_log(load_log(desk.city.database))
    assert (fault.number, fault.text.en.count("another person's")) == (number, 1)


def test_refound_before_a_seal(desk: Desk) -> None:
    """Whoever empties the log and founds anew is not both of the first two with one secret."""
    act_past_triggers(desk.city.folder, "DELETE FROM audit_log")
    key, credential = make_credential("mallory's own secret", b"m" * 16, CHEAP)
    first = NewPerson("mallory", Role.ADMINISTRATOR, credential)
    second = NewPerson("mallory2", Role.SECURITY_OFFICER, credential)
    found_office(desk.city, first, key, desk.now)
    assert refusal(found_office(desk.city, second, key, desk.now)) is Answer.KEY_TAKEN


LOOKALIKES = ("DAN", "ｄａｎ", "Dan")


@pytest.mark.parametrize("name", LOOKALIKES)
def test_a_name_that_is_read_as_another_is_taken(desk: Desk, name: str) -> None:
    made = desk.propose(ADD, f"person/{name}", by=ADA, details=adding(name))
    assert refusal(made) is Answer.NAME_TAKEN


def test_a_compatibility_ideograph_is_no_other_name(desk: Desk) -> None:
    desk.rule(ADD, "person/李雷", by=ADA, second=BO, details=adding("李雷"))
    twin = "\uf9e1雷"
    made = desk.propose(ADD, f"person/{twin}", by=ADA, details=adding(twin, secret="of the twin"))
    assert refusal(made) is Answer.NAME_TAKEN


@pytest.mark.parametrize(
    "code", [0xFE0F, 0x3164, 0x034F, 0x180B, 0x2800, 0x115F, 0xE0100, 0x0378, 0x00AD, 0x200B]
)
def test_lookalike(code: int) -> None:
    with pytest.raises(ActorError):
        adding(f"dan{chr(code)}")


@pytest.mark.parametrize("code", [0x0430, 0x03B1])
def test_a_word_is_written_in_one_alphabet(code: int) -> None:
    with pytest.raises(ActorError, match="two scripts"):
        adding(f"d{chr(code)}n")
    assert adding(f"dan {chr(code)}"), "but two words may be of two"


# A log is that of one city


def rows(folder: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "control.sqlite")) as connection:
        return connection.execute("SELECT * FROM audit_log ORDER BY number").fetchall()


def put(folder: Path, log: list[tuple[Any, ...]]) -> None:
    with closing(sqlite3.connect(folder / "control.sqlite")) as connection:
        connection.executemany(f"INSERT INTO audit_log VALUES ({','.join('?' * 9)})", log)
        connection.commit()


def test_other_citys_log(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Approvals of people of another city, carried into one that has none."""
    later = Action(CLERK, datetime(2018, 8, 1, tzinfo=UTC), "another day")
    monkeypatch.setattr("tests.settlement.device_files.ACTION", later)
    with make_office(tmp_path / "other", bucket_count=1) as other:
        assert not load_book(other.database).needs_two
        put(tmp_path / "other", rows(desk.city.folder))
        for load in (load_log, load_book, load_proven_book):
            with pytest.raises(AuditEntryError, match="in another city"):
                load(other.database)


def test_copy_for_training(desk: Desk, founded: Path, tmp_path: Path) -> None:
    """A copy that the same people founded anew: nothing they did there holds here."""
    shutil.copytree(founded, tmp_path / "training")
    act_past_triggers(tmp_path / "training", "DELETE FROM audit_log")
    with open_city(tmp_path / "training") as training:
        practice = Desk(training)
        practice.found()
        practice.enrol(CAI, DAN, EVE, FAY)
        practice.rule(RulingKind.PEOPLE_UNLOCK, f"person/{EVE}", by=ADA, second=BO)
    carried = rows(tmp_path / "training")[len(rows(desk.city.folder)) :]
    assert len(carried) == 2
    put(desk.city.folder, carried)
    with pytest.raises(AuditEntryError):
        load_proven_book(desk.city.database)


# A lock that has run out


def test_lock_everybody(desk: Desk) -> None:
    """One wrong secret a week does not keep somebody out for ever."""
    for count in range(TRIES_MAX):
        desk.show(DAN, f"a wrong guess {count}")
        desk.wait(timedelta(minutes=40))
    assert refusal(desk.show(DAN)) is Answer.PERSON_LOCKED
    desk.wait(timedelta(days=7))
    assert refusal(desk.show(DAN, "one more wrong guess")) is Answer.SECRET_WRONG
    assert isinstance(desk.show(DAN), Shown)
