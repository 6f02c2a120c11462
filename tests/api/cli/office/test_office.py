"""`onecard people`, `approvals` and `audit`: two people at the command line, and whoever tries."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cardcore.text import Language, spoken
from settlement.city import open_city
from settlement.people.tries import FREE_TRIES, TRIES_MAX
from settlement.store.rulings import load_log
from tests.api.cli.office.conftest import Office
from tests.api.cli.test_city_language import NAMES
from tests.api.cli.test_command_line import run, run_json
from tests.settlement.rulings.crew import ADA, BO, CAI, DAN, EVE, ROLES, secret_of
from tests.settlement.verification.insider import act
from tests.support.languages import assert_one_language

HOLE = "sequence/7/2"
SKIP = ("approvals", "propose", "files.skip", HOLE, "--why", "遗失")


@pytest.fixture(params=list(Language))
def language(request: pytest.FixtureRequest) -> Iterator[Language]:
    with spoken(request.param):
        yield request.param


def one_language(text: str, language: Language, *names: str) -> None:
    assert text.strip()
    assert_one_language(text, language, (*NAMES, *ROLES, "遗失", *names))


def log_of(office: Office) -> int:
    with open_city(office.folder, to_read=True) as city:
        return len(load_log(city.database))


def proposed(office: Office, by: str = CAI) -> str:
    return str(json.loads(office.run(*SKIP, "--json", by=by))["number"])


def test_two_people_skip_a_lost_file(office: Office, language: Language) -> None:
    assert "waiting" in office.run("files", "list") or language is Language.ZH
    told = office.run(*SKIP, by=CAI)
    one_language(told, language)
    number = proposed(office)  # the same again
    assert f"`onecard approvals approve {number}`" in told
    one_language(office.run("approvals", "list"), language)
    shown = office.run("approvals", "show", number)
    one_language(shown, language)
    assert HOLE in shown
    one_language(office.run("approvals", "approve", number, by=DAN), language)
    again = office.run("approvals", "approve", number, by=DAN)
    assert ("nothing was changed" in again) is (language is Language.EN)
    one_language(again, language)
    files = json.loads(run("files", "list", "--json", "--data", office.folder))["files"]
    assert len(files) == 2
    said = office.run("approvals", "list")
    one_language(said, language)
    assert "`onecard approvals list --all`" in said
    one_language(office.run("approvals", "list", "--all"), language)
    one_language(office.run("audit", "list"), language)
    one_language(office.run("audit", "check"), language)
    one_language(office.run("people", "list"), language)


REFUSED = {
    "by the same person": (("approvals", "approve", "{number}"), CAI),
    "without the right": (("approvals", "approve", "{number}"), EVE),
    "by the administrator": (("approvals", "approve", "{number}"), ADA),
    "of nothing": (("approvals", "approve", "99"), DAN),
    "shown of nothing": (("approvals", "show", "99"), None),
    "by a stranger": (("approvals", "approve", "{number}"), "mallory"),
    "proposed by others": (SKIP, DAN),
    "of what is there": (
        ("approvals", "propose", "files.skip", "sequence/7/1", "--why", "遗失"),
        CAI,
    ),
    "a name that is taken": (
        ("people", "add", DAN, "--role", "operator", "--why", "遗失", "--new-secret-file", "NEW"),
        ADA,
    ),
    "the last two": (("people", "end", BO, "--why", "遗失"), ADA),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_refusal_says_what_to_do_and_changes_nothing(
    office: Office, language: Language, what: str
) -> None:
    number = proposed(office)
    before = log_of(office)
    arguments, by = REFUSED[what]
    office.secret_file("mallory", "a secret of mallory")
    words = [each.format(number=number) for each in arguments]
    words = [str(office.secret_file("new")) if each == "NEW" else each for each in words]
    said = office.run(*words, by=by, exit_code=1)
    one_language(said, language, "mallory", str(office.secrets))
    assert "`onecard " in said or "`item`" in said
    assert log_of(office) == before


MISTAKEN = {
    "kind": (("approvals", "propose", "files.eat", HOLE, "--why", "遗失"), 2),
    "kind of its own": (("approvals", "propose", "people.add", "person/x", "--why", "遗失"), 2),
    "item": (("approvals", "propose", "files.skip", "sequence/x", "--why", "遗失"), 2),
    "another noun": (("approvals", "propose", "files.skip", "refusal/1", "--why", "遗失"), 2),
    "no reason": (("approvals", "propose", "files.skip", HOLE, "--why", ""), 2),
    "name": (("people", "end", " x", "--why", "遗失"), 2),
}


@pytest.mark.parametrize("what", MISTAKEN)
def test_a_mistake_is_said_on_one_line(office: Office, language: Language, what: str) -> None:
    arguments, exit_code = MISTAKEN[what]
    said = office.run(*arguments, by=CAI, exit_code=exit_code)
    one_language(said, language)
    assert len(said.strip().splitlines()) == 1


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o700])
def test_a_secret_file_that_others_can_read_is_refused(
    office: Office, language: Language, mode: int
) -> None:
    path = office.secret_file(CAI, mode=mode)
    before = log_of(office)
    said = office.run(*SKIP, by=CAI, exit_code=2)
    one_language(said, language, str(path))
    assert "chmod 600" in said
    assert log_of(office) == before


def test_a_secret_file_that_is_a_folder_or_missing_or_no_text_is_refused(
    office: Office, language: Language
) -> None:
    (office.secrets / CAI).unlink()
    one_language(office.run(*SKIP, by=CAI, exit_code=2), language, str(office.secrets))
    (office.secrets / CAI).mkdir()
    one_language(office.run(*SKIP, by=CAI, exit_code=2), language, str(office.secrets))
    (office.secrets / CAI).rmdir()
    office.secret_file(CAI).write_bytes(b"\xff\xfe")
    one_language(office.run(*SKIP, by=CAI, exit_code=2), language, str(office.secrets))


def test_the_secret_of_another_person_is_counted_and_the_person_locked(
    office: Office, language: Language
) -> None:
    number = proposed(office)
    office.secret_file(DAN, secret_of(CAI))
    for _ in range(FREE_TRIES):
        said = office.run("approvals", "approve", number, by=DAN, exit_code=1)
        one_language(said, language)
    office.secret_file(DAN)
    waits = office.run("approvals", "approve", number, by=DAN, exit_code=1)
    one_language(waits, language)
    one_language(office.run("people", "list"), language)
    for _ in range(FREE_TRIES, TRIES_MAX):
        act(
            office.folder,
            "INSERT INTO wrong_secrets SELECT NULL, person, '2020-01-01 00:00:00', log_count "
            "FROM wrong_secrets LIMIT 1",
        )
    locked = office.run("approvals", "approve", number, by=DAN, exit_code=1)
    one_language(locked, language)
    assert "`onecard people unlock`" in locked
    one_language(office.run("people", "list"), language)
    told = office.run("people", "unlock", DAN, "--why", "遗失", "--json", by=BO)
    office.run("approvals", "approve", str(json.loads(told)["number"]), by=ADA)
    office.run("approvals", "approve", number, by=DAN)


def test_a_new_person_chooses_a_secret_that_will_do(office: Office, language: Language) -> None:
    path = office.secret_file("zoe", "short")
    asked = ("people", "add", "zoe", "--role", "operator", "--why", "遗失", "--new-secret-file")
    said = office.run(*asked, path, by=ADA, exit_code=2)
    one_language(said, language, "zoe", str(path))
    office.secret_file("zoe", "long enough for zoe")
    told = office.run(*asked, path, by=ADA)
    one_language(told, language, "zoe")
    number = told.split("`")[1].split()[-1]
    one_language(office.run("approvals", "show", number), language, "zoe")
    office.run("approvals", "approve", number, by=BO)
    people = json.loads(office.run("people", "list", "--json"))["people"]
    assert people[-1]["name"] == "zoe"
    assert people[-1]["role"] == "operator"


def test_a_proposal_is_taken_back_by_whoever_made_it(office: Office, language: Language) -> None:
    number = proposed(office)
    one_language(office.run("approvals", "decline", number, by=CAI), language)
    said = office.run("approvals", "approve", number, by=DAN, exit_code=1)
    one_language(said, language)


def test_a_log_that_was_altered_is_named(office: Office, language: Language) -> None:
    proposed(office)
    act(office.folder, "UPDATE audit_log SET content = '{}' WHERE number = 3")
    one_language(office.run("audit", "list"), language)
    said = office.run("audit", "check", exit_code=1)
    one_language(said, language)
    assert ("entry 3: " in said) is (language is Language.EN)
    found = run_json("audit", "check", "--data", office.folder, exit_code=1)
    assert found["faults"][0]["number"] == 3


def test_the_first_two_found_the_office(tmp_path: Path, language: Language) -> None:
    folder = tmp_path / "city"
    run("city", "init", "--scheme", "demo", "--data", folder)
    office = Office(folder, tmp_path)
    one_language(office.run("people", "list"), language)
    one_language(office.run("audit", "list"), language)
    first = office.secret_file("first", "the secret of the first")
    second = office.secret_file("second", "the secret of the second")
    found = ("people", "add", "--founding", "--new-secret-file")
    one_language(office.run(*found, first, ADA, "--role", "administrator"), language)
    said = office.run(*found, second, BO, "--role", "supervisor", exit_code=1)
    one_language(said, language)
    one_language(office.run(*found, second, BO, "--role", "security-officer"), language)
    said = office.run(*found, second, CAI, "--role", "operator", exit_code=1)
    one_language(said, language)
    office.secret_file(ADA, "the secret of the first")
    one_language(office.run("people", "secret", "--new-secret-file", second, by=ADA), language)
    said = office.run("people", "secret", "--new-secret-file", second, by=ADA, exit_code=1)
    one_language(said, language)


def test_without_a_terminal_and_without_a_file_nothing_is_asked(
    office: Office, language: Language
) -> None:
    said = run(*SKIP, "--by", CAI, "--data", office.folder, exit_code=2)
    one_language(said, language)
    assert "--secret-file" in said


def test_the_registry_changes_by_proposal(office: Office, language: Language) -> None:
    add = ("registry", "add", "name", "kind=line", "code=9", "text=9", "--why", "遗失")
    told = office.run(*add, by=CAI)
    one_language(told, language, "name")
    number = told.split("`")[1].split()[-1]
    assert run_json("registry", "list", "name", "--data", office.folder)["rows"][-1]["code"] != "9"
    shown = office.run("approvals", "show", number)
    one_language(shown, language, "name", "text")
    assert "text=9" in shown
    office.run("approvals", "approve", number, by=DAN)
    rows = run_json("registry", "list", "name", "--data", office.folder)["rows"]
    assert [each["code"] for each in rows] == ["1", "9"]
    for change in (
        ("registry", "change", "name", "line/9", "text=10", "--why", "遗失"),
        ("registry", "end", "name", "line/9", "--why", "遗失"),
    ):
        one_language(office.run(*change, by=CAI), language, "name")
    refused = office.run("registry", "end", "name", "line/7", "--why", "x", by=CAI, exit_code=1)
    one_language(refused, language, "name")
    sheet = office.secrets / "names.csv"
    run("registry", "list", "name", "--csv", sheet, "--data", office.folder)
    sheet.write_text(sheet.read_text("utf-8-sig") + "line,10,10,,\n", encoding="utf-8")
    imported = ("registry", "import", "name", sheet, "--why", "遗失")
    one_language(office.run(*imported, by=CAI), language, "name")
    sheet.write_text("kind,code\n", encoding="utf-8")
    one_language(office.run(*imported, by=CAI, exit_code=1), language, str(sheet), "name", "text")
    assert len(run_json("registry", "list", "name", "--data", office.folder)["rows"]) == 2


def test_keys_are_registered_by_proposal(office: Office, language: Language) -> None:
    told = office.run("city", "keys", "--register", by=CAI)
    assert "`onecard approvals approve" in told
    one_language(told, language)


def test_a_second_name_closes_nothing_where_people_have_secrets(
    office: Office, language: Language
) -> None:
    day = ("--settlement-day", "2029-01-01")
    said = run("close", *day, "--second", "x", "--data", office.folder, exit_code=2)
    one_language(said, language)
    said = run("close", *day, "--data", office.folder, exit_code=1)
    one_language(said, language)
    assert "`onecard approvals propose days.close day/YYYY-MM-DD`" in said


def test_files_are_asked_for_by_sender_and_standing_and_what_is_missing_is_named(
    office: Office, language: Language
) -> None:
    said = office.run("files", "list", "--standing", "waiting")
    one_language(said, language)
    assert f"`onecard approvals propose files.skip {HOLE}`" in said
    listed = json.loads(office.run("files", "list", "--sender", "7", "--json"))
    assert (len(listed["files"]), listed["missing"]) == (2, [HOLE])
    assert json.loads(office.run("files", "list", "--sender", "8", "--json"))["files"] == []
    settled = json.loads(office.run("files", "list", "--standing", "settled", "--json"))
    assert settled["files"] == []
    one_language(
        office.run("files", "list", "--standing", "lost", exit_code=2),
        language,
        "waiting",
        "ready",
        "settled",
        "set-aside",
    )
    number = proposed(office)
    office.run("approvals", "approve", number, by=DAN)
    assert json.loads(office.run("files", "list", "--json"))["missing"] == []
