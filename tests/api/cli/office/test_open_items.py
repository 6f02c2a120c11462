"""`onecard records`, `claims` and the other lists: what is open, what may be ruled, in one language."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cardcore.text import Language, spoken
from settlement.reports.open_items.nouns import NOUNS
from tests.api.cli.test_city_language import NAMES
from tests.api.cli.test_command_line import run
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
    reasons = [word for noun in NOUNS.values() for word in noun.reasons]
    fields = [field.name for noun in NOUNS.values() for field in noun.fields]
    assert_one_language(text, language, (*NAMES, *ROLES, *reasons, *fields))


def listed(folder: Path, name: str, *options: str) -> dict[str, object]:
    said: dict[str, object] = json.loads(run(name, "list", "--json", *options, "--data", folder))
    return said


@pytest.mark.parametrize("name", NOUNS)
def test_each_list_and_its_items_speak_one_language(
    folder: Path, name: str, language: Language
) -> None:
    one_language(run(name, "list", "--data", folder), language)
    one_language(run(name, "list", "--help"), language)
    lines = json.loads(run(name, "list", "--json", "--data", folder))[name]
    for line in lines[:3]:
        shown = run(name, "show", line["item"], "--data", folder)
        one_language(shown, language)
        for kind in NOUNS[name].rules:
            proposed = f"onecard approvals propose {kind} {line['item']} --by NAME --why REASON"
            assert (proposed in shown) is not bool(line["rulings"])


@pytest.mark.parametrize("name", NOUNS)
def test_table_file_and_json_say_the_same(folder: Path, name: str, tmp_path: Path) -> None:
    said = listed(folder, name, "--per-page", "1000")
    path = tmp_path / "list.csv"
    shown = run(name, "list", "--csv", str(path), "--per-page", "1000", "--data", folder)
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))[1:]
    lines = said[name]
    assert isinstance(lines, list)
    assert [row[0] for row in rows] == [line["item"] for line in lines]
    assert all(line["item"] in shown for line in lines)
    assert said["count"] == len(lines)


def test_a_page_says_how_many_there_are(folder: Path) -> None:
    said = listed(folder, "records", "--per-page", "2", "--page", "2")
    assert (said["count"], said["pages"], said["page"]) == (4, 2, 2)
    assert "4 in all" in run("records", "list", "--per-page", "1", "--data", folder)


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
    assert "records.release" in shown
    assert "records.return" not in shown


MISTAKES = {
    "a column that is none": ("records", "list", "--sort", "colour"),
    "a reason that is none": ("claims", "list", "--reason", "bad luck"),
    "no day": ("gaps", "list", "--from", "yesterday"),
    "no card": ("records", "list", "--card", "12x"),
    "page nought": ("records", "list", "--page", "0"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_and_says_what_there_is(
    folder: Path, mistake: str, language: Language
) -> None:
    one_language(run(*MISTAKES[mistake], "--data", folder, exit_code=2), language)


def test_what_is_not_there_names_the_list(folder: Path, language: Language) -> None:
    said = run("records", "show", "record/0000000000000000/9", "--data", folder, exit_code=1)
    one_language(said, language)
    assert "`onecard records list --all`" in said
