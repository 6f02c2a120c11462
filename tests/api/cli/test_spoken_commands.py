"""Demonstration, replay, cards and measurements say everything in one language, refusals too."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.cli.frame.program import app
from api.simulation.taps import TAP_KINDS
from cardcore.text import Language, spoken
from tests.api.cli.test_city_language import NAMES, said
from tests.api.simulation.test_taps_file import write
from tests.support.languages import assert_one_language
from tests.support.shared import VECTORS, needs_shared

pytestmark = pytest.mark.filterwarnings("ignore::cardcore.keys.InsecureKeyServiceWarning")
#: What follows a demonstration, and what it names.
DEMO_NAMES = (*NAMES, "verify", "float", "explain", "files list")
FCI = "6F318408A000000632010105A5259F0801029F0C1E"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small city; driven again it says the same."""
    folder = tmp_path_factory.mktemp("spoken") / "city"
    said("demo", "--cards", "12", "--days", "1", "--workers", "1", "--data", folder)
    return folder


def test_the_demonstration_speaks_one_language(made: Path, language: Language) -> None:
    text = said("demo", "--cards", "12", "--days", "1", "--workers", "1", "--data", made)
    assert_one_language(text, language, (*DEMO_NAMES, str(made)))
    titles = [line for line in text.splitlines() if line.startswith("# ")]
    assert len(titles) == len(set(titles)) >= 5, "each table says which it is"


def test_a_drive_in_a_city_of_another_plan_says_what_to_do(made: Path, language: Language) -> None:
    text = said("demo", "--cards", "13", "--days", "1", "--data", made, exit_code=1)
    assert "--data" in text
    assert_one_language(text, language, (*DEMO_NAMES, str(made)))


REFUSED = {
    "scheme": ("replay", "taps.csv", "--scheme", "atlantis"),
    "no-taps": ("replay", "none.csv"),
    "taps-json": ("replay", "list.json"),
    "bench-taps": ("bench", "replay", "none.csv"),
    "bench-scheme": ("bench", "replay", "none.csv", "--scheme", "atlantis"),
    "bench-product": ("bench", "personalise", "--product", "spoon"),
    "bench-shape": ("bench", "shapes", "--shape", "triangle"),
    "no-dump": ("card", "parse", "none.json"),
    "no-json": ("card", "parse", "notes.txt"),
    "list": ("card", "parse", "list.json"),
    "file": ("card", "read", "nothing"),
    "file-digits": ("card", "read", "123"),
    "application": ("card", "read", "log", "--application", "x"),
    "whole-application": ("card", "read", "--application", "x"),
    "no-hex": ("card", "apdu", "0020zz"),
    "short": ("card", "apdu", "0020"),
    "no-script": ("card", "trace", "none.txt"),
    "nowhere": ("card", "serve"),
    "product": ("card", "serve", "--vpcd", "--product", "spoon"),
    "watch-json": ("card", "list", "--watch", "--json"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_every_refusal_speaks_one_language_on_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: Language, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("not json", "utf-8")
    (tmp_path / "list.json").write_text("[]", "utf-8")
    text = said(*REFUSED[name], exit_code=2)
    assert len(text.splitlines()) == 1
    assert_one_language(text, language)


def test_more_than_a_card_may_hold_is_refused_in_one_language(language: Language) -> None:
    balance = ("--product", "anonymous", "--balance", "100001")
    assert_one_language(said("card", "serve", "--vpcd", *balance, exit_code=1), language)


@pytest.mark.parametrize(
    "row",
    [
        {"deal_money": "9.5"}, {"deal_money": ""}, {"company_name": "公" * 41}, {"equ_no": "x"},
        {"deal_type": "轮渡"}, {"deal_date": "soon"}, {"conn_mark": "2"}, {"card_no": "-"},
        {"station": "a\x1bb"}, {"deal_date": "2010-09-01 07:00:00"},
    ],
)  # fmt: skip
def test_every_mistake_of_a_tap_file_is_said_in_one_language(
    tmp_path: Path, language: Language, row: dict[str, str]
) -> None:
    path = write(tmp_path, {}, {}, {}, row)
    text = said("replay", path, "--data", tmp_path / "city", exit_code=2)
    assert "docs/replay-file.md" in text
    assert_one_language(text, language, (*TAP_KINDS, *row.values(), "公" * 40, str(path)))
    assert not (tmp_path / "city").exists()


def test_what_of_a_dump_is_damaged_or_unread_is_said_in_one_language(
    tmp_path: Path, language: Language
) -> None:
    path = tmp_path / "dump.json"
    dump = {
        "fci": FCI,
        "file15": "00" * 8 + "ab" * 10,
        "balance_p1_00": "80001388",
        "balance_p1_01": "0000zz",
        "rec18": "",
        "records18": ["0001", "00" * 23],
        "app": [{"appFci": FCI}],
    }
    path.write_text(json.dumps(dump), "utf-8")
    text = said("card", "parse", path)
    assert text.count("✗") >= 4
    assert_one_language(text, language)
    path.write_text(json.dumps({"tagId": "01020304", "app": [{"appFci": FCI}]}), "utf-8")
    assert_one_language(said("card", "parse", path, exit_code=1), language, (str(path),))


@needs_shared
@pytest.mark.parametrize("name", ["tunion_cards", "city_cards", "tunion_trips"])
def test_published_cards_are_shown_in_one_language(language: Language, name: str) -> None:
    published = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))
    entries = published.get("cards") or published["records"]
    names = [each["name"] for each in entries if "name" in each]
    labels = ("MF ", "T-Union", "City Union", published.get("source", ""))
    assert_one_language(
        said("card", "parse", VECTORS / f"{name}.json"), language, [*names, *labels]
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("tac", "--records", "1000"), ("tap", "--taps", "100"), ("personalise", "--cards", "1"),
        ("shapes", "--size", "20", "--shape", "honest"),
    ],
    ids=lambda each: each[0],
)  # fmt: skip
def test_every_measurement_speaks_one_language(
    language: Language, arguments: tuple[str, ...]
) -> None:
    text = said("bench", *arguments)
    assert text.startswith("# ")
    assert_one_language(text, language, ("libcrypto",))


def test_documents_are_the_same_in_every_language(tmp_path: Path) -> None:
    path = tmp_path / "dump.json"
    path.write_text(json.dumps({"fci": FCI, "balance_p1_00": "0000zz", "rec18": ""}), "utf-8")
    told = set()
    for each in Language:
        with spoken(each):
            told.add(CliRunner().invoke(app, ["card", "parse", str(path), "--json"]).stdout)
    assert len(told) == 1
