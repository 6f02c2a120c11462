"""`onecard records`, `claims` and the other lists: what stands open, and what may be done."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.tables import Fen
from cardcore.text import Language, spoken
from settlement.reports.open_items.nouns import NOUNS
from settlement.reports.open_items.values import FieldKind
from settlement.service.receive import receive_file
from tests.api.cli.test_city_language import NAMES
from tests.api.cli.test_command_line import run
from tests.settlement.device_files import NOW, key_service, make_office
from tests.settlement.rulings.crew import ROLES
from tests.settlement.rulings.open_city import make_open_city
from tests.support.languages import assert_one_language

CARD = f"{1:020}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("lists") / "city"
    make_open_city(made)
    return made


@pytest.fixture(params=list(Language))
def language(request: pytest.FixtureRequest) -> Iterator[Language]:
    with spoken(request.param):
        yield request.param


def one_language(text: str, language: Language) -> None:
    assert text.strip()
    reasons = [reason.name for noun in NOUNS.values() for reason in noun.reasons]
    fields = [field.name for noun in NOUNS.values() for field in noun.fields]
    operators = ("巴士集团", "深圳通客服")
    assert_one_language(text, language, (*NAMES, *ROLES, *operators, "root", *reasons, *fields))


def listed(folder: Path, name: str, *options: str) -> dict[str, object]:
    said: dict[str, object] = json.loads(run(name, "list", "--json", *options, "--data", folder))
    return said


@pytest.mark.parametrize("name", NOUNS)
def test_each_list_and_its_items_speak_one_language(
    folder: Path, name: str, language: Language
) -> None:
    one_language(run(name, "list", "--data", folder), language)
    one_language(run(name, "list", "--page", "9", "--data", folder), language)
    lines = json.loads(run(name, "list", "--json", "--data", folder))[name]
    for line in lines[:2]:
        shown = run(name, "show", line["item"], "--data", folder)
        one_language(shown, language)
        document = json.loads(run(name, "show", line["item"], "--json", "--data", folder))
        assert {**document, **line} == document
        for typed in document["actions"]:
            assert f"`{typed}`" in shown
        assert bool(document["actions"]) is not (bool(line["rulings"]) or not NOUNS[name].rules)


@pytest.mark.parametrize("name", NOUNS)
def test_table_file_and_json_say_the_same(folder: Path, name: str, tmp_path: Path) -> None:
    said = listed(folder, name, "--per-page", "1000")
    path = tmp_path / "list.csv"
    shown = run(name, "list", "--csv", str(path), "--per-page", "1000", "--data", folder)
    with path.open(encoding="utf-8-sig", newline="") as file:
        head, *rows = csv.reader(file)
    printed = [line.split("\t") for line in shown.splitlines()]
    at = printed.index(head)
    assert printed[at + 1 : at + 1 + len(rows)] == rows
    fields = [each for each in NOUNS[name].fields if not each.is_detail]
    lines = said[name]
    assert isinstance(lines, list)
    assert said["count"] == len(lines) == len(rows)
    for line, row in zip(lines, rows, strict=True):
        for field, cell in zip(fields, row, strict=False):
            value = line[field.name]
            if field.kind is FieldKind.AMOUNT and value is not None:
                value = Fen(value).plain
            if field.kind is FieldKind.PARTICIPANT and value is not None:
                value = f"{line[f'{field.name}_name'] or ''} {value}".strip()
            assert cell == ("" if value is None else str(value)), field.name


def test_a_page_says_how_many_there_are(folder: Path) -> None:
    said = listed(folder, "records", "--per-page", "2", "--page", "2")
    assert (said["count"], said["pages"], said["page"]) == (4, 2, 2)
    shown = run("records", "list", "--per-page", "1", "--data", folder)
    assert "4 in all" in shown
    assert "page 1 of 4" in shown
    assert "there are 4" in run(
        "records", "list", "--per-page", "1", "--page", "5", "--data", folder
    )


def test_card_numbers_are_masked_unless_they_are_asked_for(folder: Path) -> None:
    for name in ("records", "claims", "gaps", "alarms", "cases"):
        assert CARD[:16] not in run(name, "list", "--data", folder)
        assert CARD[:16] not in run(name, "list", "--json", "--data", folder)
    assert CARD in run("records", "list", "--unmask", "--data", folder)


def test_a_load_is_not_returned(folder: Path) -> None:
    lines = listed(folder, "records", "--reason", "hotlisted")["records"]
    assert isinstance(lines, list)
    (load,) = [each for each in lines if each["amount_fen"] == 5000]
    shown = run("records", "show", load["item"], "--data", folder)
    assert "propose records.release" in shown
    assert "propose records.return" not in shown
    assert "it can only be released" in shown


MISTAKES = {
    "a column that is none": ("records", "list", "--sort", "colour"),
    "a reason that is none": ("claims", "list", "--reason", "misfortune"),
    "no day": ("gaps", "list", "--from", "yesterday"),
    "no card": ("records", "list", "--card", "12x"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_and_says_what_there_is(
    folder: Path, mistake: str, language: Language
) -> None:
    one_language(run(*MISTAKES[mistake], "--data", folder, exit_code=2), language)


def test_what_is_not_there_names_the_list(folder: Path, language: Language) -> None:
    said = run("records", "show", "record/0000000000000000/9", "--data", folder, exit_code=1)
    one_language(said, language)
    assert "`onecard records list`" in said


def test_what_nothing_answers_is_a_sentence(
    folder: Path, tmp_path: Path, language: Language
) -> None:
    city = tmp_path / "city"
    with make_office(city, bucket_count=1):
        pass
    for name in NOUNS:
        said = run(name, "list", "--data", city)
        one_language(said, language)
        assert str(NOUNS[name].empty) in said
        assert json.loads(run(name, "list", "--json", "--data", city))[name] == []
    said = run("gaps", "list", "--card", "9", "--data", folder)
    one_language(said, language)
    assert "`onecard gaps list`" in said


def test_a_city_without_people_says_that_it_takes_two(tmp_path: Path, language: Language) -> None:
    with make_office(tmp_path / "city", bucket_count=1) as city:
        receive_file(city, b"nothing", key_service(), NOW)
    said = run("refusals", "show", "refusal/1", "--data", tmp_path / "city")
    one_language(said, language)
    assert "--founding`" in said
