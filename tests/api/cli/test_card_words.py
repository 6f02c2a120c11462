"""Every application of a citizen card in words of both languages; numbers of people are masked."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.cli.card.applications import FileInWords, fields_of, read_in_words
from api.cli.card.text import show_files, shown_fields, words_document
from api.cli.frame.program import app
from cardcore.applets import catalogue, health
from cardcore.applets.health import TABLES
from cardcore.applets.social_security import HOLDER, ISSUE
from cardcore.chip.card import Card
from cardcore.layouts.labels import LABELS, PERSONAL
from cardcore.layouts.library import LoanRecord, ReaderInformation
from cardcore.text import Language, spoken
from terminals.link.connection import InProcessConnection
from tests.cardcore.applets.citizen_chips import HEALTH, chip, packages, secrets
from tests.support.languages import assert_one_language
from tests.support.shared import SHARED, needs_shared

RUNNER = CliRunner()
RESIDENT = "110101199003070011"


@pytest.fixture
def card() -> Card:
    return chip(*packages())


def read(card: Card, name: str) -> list[FileInWords]:
    return list(read_in_words(InProcessConnection(card), name))


@pytest.mark.parametrize(
    ("name", "chinese", "english"),
    [
        (
            "health",
            {"持卡人身份", "急救信息", "ABO 血型", "未开放"},
            {"holder", "what an emergency needs", "closed"},
        ),
        ("library", {"读者证号", "读者信息", "未开放"}, {"reader's number", "loans", "closed"}),
        ("purse", {"卡号：", "公共信息"}, {"card number: ", "public information"}),
        (
            "social_security",
            {"姓名：张三", "社会保障号码", "出生日期"},
            {"name: 张三", "social security number", "born on"},
        ),
        (
            "transit",
            {"卡号：", "卡种", "省级代码", "持卡人信息", "未开放"},
            {"card number: ", "province", "travels: yes", "closed"},
        ),
    ],
)
@pytest.mark.parametrize("language", Language)
def test_every_application_is_read_in_words(
    card: Card,
    capsys: pytest.CaptureFixture[str],
    language: Language,
    name: str,
    chinese: set[str],
    english: set[str],
) -> None:
    application = catalogue.application_named(name)
    with spoken(language):
        show_files(application.title, read(card, name), unmask=False)
        title = str(application.title)
    said = capsys.readouterr().out
    assert title in said
    for each in chinese if language is Language.ZH else english:
        assert each in said
    # What is written on the card is said as it is.
    assert_one_language(said, language, ["张三"])
    assert RESIDENT not in said
    assert not any(number in said for number in ("03105840000000000017", "SZ0000123456"))


def test_numbers_are_whole_only_when_asked_for() -> None:
    card = chip(health.package(replace(HEALTH, is_holder_free=True), secrets(health.KEYS)))
    for unmask in (False, True):
        document = words_document(read(card, "health"), unmask=unmask)
        holder = next(each for each in document if each["title_zh"] == "持卡人身份")
        [fields] = holder["records"]
        assert fields["name"] == "张三"
        assert fields["resident_id"] == (RESIDENT if unmask else "**************0011")


def test_every_field_of_every_application_has_a_label_in_both_languages() -> None:
    names = {field.name for layout in (ReaderInformation, LoanRecord) for field in layout.FIELDS}
    for table in (*TABLES.values(), ISSUE, HOLDER):
        names |= set(table.places)
    assert names <= LABELS.keys()
    assert LABELS.keys() >= PERSONAL
    assert all(text.zh and text.en for text in LABELS.values())


def test_a_card_without_the_application_has_no_files_of_it(card: Card) -> None:
    assert read(card, "benefit") == []
    assert fields_of("nothing", 0x15, [bytes(30)]) == []
    assert fields_of("library", 0x15, [b"short"]) == []


def test_a_masked_field_keeps_its_end_and_others_all() -> None:
    fields = {"card_number": "A12345678", "name": "张三", "balance_fen": 5}
    assert shown_fields(fields, unmask=False) == {**fields, "card_number": "*****5678"}


@needs_shared
def test_explain_masks_card_numbers_unless_asked(tmp_path: Path) -> None:
    data = str(tmp_path / "city")
    taps = str(SHARED / "cases" / "csv_operator.csv")
    assert RUNNER.invoke(app, ["replay", taps, "--data", data]).exit_code == 0
    listed = RUNNER.invoke(app, ["files", "list", "--data", data, "--json"])
    assert listed.exit_code == 0
    record = "000900000001-00000001"

    def explain(*options: str) -> str:
        result = RUNNER.invoke(app, ["explain", record, "--data", data, *options])
        assert result.exit_code == 0, result.output
        return result.stdout

    whole: dict[str, Any] = json.loads(explain("--json", "--unmask"))
    text = explain("--unmask") + json.dumps(whole)
    numbers = {each["data"]["card_number"] for copy in whole["copies"]
               for each in copy["steps"] if "card_number" in each["data"]}  # fmt: skip
    assert numbers
    for number in numbers:
        assert number[-16:] in text.replace(" ", "")
        masked = explain() + explain("--json")
        assert number[-16:] not in masked.replace(" ", "")
        assert number[-4:] in masked.replace(" ", "")
