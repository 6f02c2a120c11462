"""Commands of a city say everything in one language, and every refusal names what to do next."""

import json
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.cli.frame.program import app
from cardcore.text import Language
from settlement.city import open_city
from settlement.store.files import load_file_lines
from tests.api.cli.test_command_line import copy_of_registry, outbox, run, run_json
from tests.support.languages import assert_one_language

#: What participants of the demonstration are called, and what people wrote as their reasons.
NAMES = (
    "机关食堂",
    "示例地铁",
    "便民超市",
    "示例公交",
    "市民卡服务网点",
    "新车",
    "李雷",
    "韩梅梅",
    "a plan of this scheme",
    "two lines",
)
DAY = "2026-09-01"
T = "0000000000d1"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("demo") / "city"
    run("demo", "--cards", "12", "--days", "1", "--headless", "--workers", "1", "--data", folder)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def city(made: Path, tmp_path: Path) -> Path:
    """A closed day, and a file that was refused."""
    shutil.copytree(made, tmp_path / "city")
    return tmp_path / "city"


def said(*arguments: str | Path, exit_code: int = 0) -> str:
    """All that a command says, on both streams."""
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == exit_code, result.output
    return result.output


def one_language(text: str, language: Language, *names: str) -> None:
    assert text.strip()
    assert_one_language(text, language, (*NAMES, *names))


def altered(city: Path, to: Path) -> Path:
    data = bytearray(outbox(city)[0].read_bytes())
    data[100] ^= 1
    to.write_bytes(data)
    return to


def record_of(city: Path) -> str:
    """A record that the city holds: the first load of the log."""
    records = run_json("loads", "show", "1", "--data", city)["records"]
    return str(records[0])


@pytest.mark.parametrize(
    "arguments",
    [
        ("files", "list"), ("days", "list"), ("days", "show", DAY), ("loads", "list"),
        ("loads", "list", "--unmatched"), ("loads", "show", "1"), ("float",), ("doctor",),
        ("verify", "--workers", "1"), ("city", "keys"), ("clear", "--settlement-day", DAY),
        ("close", "--settlement-day", DAY), ("registry", "list", "terminal"),
        ("registry", "list", "participant", "101"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_every_command_of_a_city_says_all_in_one_language(
    city: Path, language: Language, arguments: tuple[str, ...]
) -> None:
    one_language(said(*arguments, "--data", city), language, str(city))


def test_a_history_is_told_in_one_language(city: Path, language: Language) -> None:
    one_language(said("explain", record_of(city), "--data", city), language)


@pytest.mark.parametrize(
    ("arguments", "exit_code", "following"),
    [
        (("close",), 1, "`onecard files add`"),
        (("close", "--settlement-day", "yesterday"), 2, "YYYY-MM-DD"),
        (("close", "--settlement-day", "2099-01-01"), 1, "--second"),
        (("close", "--by", "李雷", "--second", "李雷"), 2, "--second"),
        (("close", "--by", "two\nlines"), 2, "--by"),
        (("clear", "--settlement-day", "2026-01-01"), 1, "`onecard days list`"),
        (("days", "show", "2026-08-01"), 1, "`onecard days list`"),
        (("days", "show", "soon"), 2, "YYYY-MM-DD"),
        (("files", "add", "nowhere.ocb"), 2, "`ls`"),
        (("files", "show", "zz"), 1, "`onecard files list`"),
        (("loads", "show", "99999"), 1, "`onecard loads list`"),
        (("loads", "list", "--from", "soon"), 2, "YYYY-MM-DD"),
        (("explain", "what"), 2, "`onecard files list`"),
        (("explain", "0" * 12 + "-00000001"), 1, "`onecard files list`"),
        (("registry", "list", "tram"), 2, "participant"),
        (("registry", "list", "terminal", T), 1, "`onecard registry list terminal`"),
        (("registry", "add", "terminal", f"terminal={T}", "--why", "x"), 2, "participant=…"),
        (("registry", "add", "terminal", "terminal=d1", "--why", "x"), 2, "terminal"),
        (("registry", "add", "terminal", "colour=1", "--why", "x"), 2, "role=…"),
        (("registry", "end", "participant", "777", "--why", "x"), 1, "`onecard registry list`"),
        (("registry", "end", "participant", "777", "--why", ""), 2, "--why"),
        (("registry", "import", "terminal", "nowhere.csv", "--why", "x"), 2, "--csv FILE"),
        (("city", "init"), 2, "--data"),
        (("city", "init", "--scheme", "nowhere.toml"), 2, "nowhere.toml"),
        (("city", "init", "--registry", "nowhere"), 2, "`onecard city export`"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)  # fmt: skip
def test_every_refusal_names_what_to_do_and_changes_nothing(
    city: Path,
    language: Language,
    arguments: tuple[str, ...],
    exit_code: int,
    following: str,
) -> None:
    if "--registry" in arguments:
        wrong = city.parent / "wrong"
        wrong.write_text("no registry", "utf-8")
        arguments = tuple(str(wrong) if each == "nowhere" else each for each in arguments)
    before = (city / "control.sqlite").read_bytes()
    text = said(*arguments, "--data", city, exit_code=exit_code)
    assert following in text
    one_language(text, language, str(city.parent), str(city))
    assert (city / "control.sqlite").read_bytes() == before


def test_a_refused_file_is_listed_with_when_whom_and_why(
    city: Path, tmp_path: Path, language: Language
) -> None:
    bad = altered(city, tmp_path / "bad.ocb")
    text = said("files", "add", bad, "--data", city, exit_code=1)
    assert "`onecard files list`" in text
    one_language(text, language, str(tmp_path))
    refused = run_json("files", "list", "--data", city)["refused"]
    assert [each["answer"] for each in refused] == ["altered"]
    text = said("files", "list", "--data", city)
    one_language(text, language)
    (line,) = [each for each in text.splitlines() if refused[0]["content_hash"][:12] in each]
    cells = line.split("\t")
    assert cells[0] == str(refused[0]["sender"])
    assert refused[0]["received_at"][:16] in cells[7]
    why = "content and trailer do not agree" if language is Language.EN else "内容与文件尾不符"
    assert why in cells[8]
    text = said("files", "show", refused[0]["content_hash"][:12], "--data", city)
    assert why in text
    one_language(text, language)


def test_a_refusal_that_was_kept_in_one_language_is_still_read(city: Path, tmp_path: Path) -> None:
    run("files", "add", altered(city, tmp_path / "bad.ocb"), "--data", city, exit_code=1)
    with closing(sqlite3.connect(city / "control.sqlite")) as database:
        database.execute("DROP TRIGGER IF EXISTS refusals_refuse_update")
        database.execute("UPDATE refusals SET detail = 'as it was said before'")
        database.commit()
    (refused,) = run_json("files", "list", "--data", city)["refused"]
    assert refused["detail"] == "as it was said before"


def test_a_kept_file_is_shown_in_words(city: Path, language: Language) -> None:
    with open_city(city, to_read=True) as opened:
        name = load_file_lines(opened.database)[0].file.content_hash
    text = said("files", "show", name[:12], "--data", city)
    assert name in text
    assert "ACCEPTED" not in text
    one_language(text, language)


def test_verify_says_in_one_line_what_it_proved_and_how_strongly(
    city: Path, language: Language
) -> None:
    good = said("verify", "--workers", "1", "--data", city).splitlines()[-1]
    assert good.startswith("✓")
    assert ("public test keys" if language is Language.EN else "公开测试密钥") in good
    raw = min((city / "raw").rglob("*.ocb"))
    data = bytearray(raw.read_bytes())
    data[300] ^= 0x40
    raw.write_bytes(data)
    with closing(sqlite3.connect(city / "control.sqlite")) as database:
        database.execute("DROP TRIGGER entries_refuse_update")
        database.execute("UPDATE entries SET settlement_day = '2026-08-01' WHERE number = 1")
        database.execute("DROP TRIGGER positions_refuse_update")
        database.execute("UPDATE positions SET net_fen = net_fen + 1")
        database.commit()
    text = said("verify", "--workers", "1", "--data", city, exit_code=1)
    one_language(text, language)
    (last,) = [line for line in text.splitlines() if line.startswith("✗")]
    assert "`onecard verify`" in last
    assert "`onecard files add`" in text
    assert "Error" not in text


def test_a_float_that_does_not_hold_is_said_in_one_language(city: Path, language: Language) -> None:
    with closing(sqlite3.connect(city / "control.sqlite")) as database:
        for table in ("runs", "postings"):
            database.execute(f"DROP TRIGGER IF EXISTS {table}_refuse_update")
        database.execute("UPDATE postings SET amount_fen = amount_fen + 1")
        database.commit()
    text = said("float", "--data", city, exit_code=1)
    one_language(text, language)
    assert "`onecard verify`" in text


def test_a_sheet_with_faults_is_said_in_one_language(
    city: Path, tmp_path: Path, language: Language
) -> None:
    sheet = tmp_path / "t.csv"
    rows = f"terminal,participant,role\n{T},101,bus\nd2,101,bus\n{T},101,公交\n"
    sheet.write_text(rows, encoding="utf-8")
    arguments = ("registry", "import", "terminal", sheet, "--why", "x", "--data", city)
    text = said(*arguments, exit_code=1)
    assert f"{sheet}:3" in text
    one_language(text, language, str(tmp_path))


def test_a_registry_that_changes_is_said_in_one_language(city: Path, language: Language) -> None:
    options = ("--why", "新车", "--data", city, "--by", "李雷")
    row = ("terminal", f"terminal={T}", "participant=101", "role=bus", "--from", "2026-08-01")
    for arguments in (
        ("add", *row),
        ("change", "terminal", T, "participant=201", "--from", "2026-10-01"),
        ("end", "terminal", T, "--on", "2026-12-31"),
    ):
        one_language(said("registry", *arguments, *options), language)
    one_language(said("registry", "list", "terminal", T, "--data", city), language)
    # Twice the same is no change.
    text = said("registry", "end", "terminal", T, "--on", "2026-12-31", *options, exit_code=1)
    one_language(text, language)


@pytest.mark.parametrize(
    ("arguments", "rows"),
    [
        (("days", "list"), 1),
        (("days", "show", DAY), 8),
        (("clear", "--settlement-day", DAY), 8),
        (("close", "--settlement-day", DAY), 8),
        (("verify", "--workers", "1"), 10),
        (("loads", "list"), 16),
        (("files", "list"), 6),
        (("float",), 10),
        (("city", "keys"), 10),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_is_listed_can_be_had_as_csv(
    city: Path, tmp_path: Path, arguments: tuple[str, ...], rows: int
) -> None:
    said(*arguments, "--csv", tmp_path / "out.csv", "--data", city)
    written = (tmp_path / "out.csv").read_bytes()
    assert written.startswith(b"\xef\xbb\xbf")
    assert len(written.decode("utf-8-sig").splitlines()) == rows + 1


def test_a_kept_file_of_a_load_log_stands_among_the_files(city: Path, language: Language) -> None:
    (log,) = run_json("files", "list", "--data", city)["load_logs"]
    assert (log["is_waiting"], log["answer"], log["sequence"]) == (False, "accepted", 1)
    for text in (
        said("files", "list", "--data", city),
        said("files", "show", log["content_hash"][:10], "--data", city),
    ):
        one_language(text, language)
        assert log["issuer"] in text
        assert {"zh": "圈存授权日志，已生效", "en": "load log, in use"}[language] in text
    document = run_json("files", "show", log["content_hash"], "--data", city)
    assert document["record_count"] == log["record_count"] > 0


def test_a_registry_is_not_written_over_what_is_there(
    city: Path, tmp_path: Path, language: Language
) -> None:
    there = tmp_path / "registry"
    there.write_text("somebody's")
    text = said("city", "export", there, "--data", city, exit_code=2)
    one_language(text, language)
    assert there.read_text() == "somebody's"


def test_where_all_loads_match_there_is_a_sentence_and_no_empty_table(
    city: Path, language: Language
) -> None:
    text = said("loads", "list", "--unmatched", "--data", city)
    one_language(text, language)
    assert {"zh": "全部相符", "en": "everything matches"}[language] in text
    assert {"zh": "日志编号", "en": "log entry"}[language] not in text


def test_a_day_ends_with_dispositions_and_positions_as_the_demonstration_does(
    made: Path, tmp_path: Path
) -> None:
    copy_of_registry(made, tmp_path / "other")
    run("files", "add", *outbox(made), "--data", tmp_path / "other")
    cleared = said("clear", "--workers", "1", "--data", tmp_path / "other")
    closed = said("close", "--workers", "1", "--data", tmp_path / "other")
    shown = run("demo", "--cards", "12", "--days", "1", "--workers", "1", "--data", made)
    for line in (
        "disposition\tcount\tamount",
        "participant\ttaps\ttariff\tcharged\towed to it",
        "示例地铁\t18\t32.00\t23.50\t23.50",
        "all cards: the float\t\t\t\t968.18",
    ):
        assert line in cleared
        assert line in closed
        assert line in shown
    assert "onecard close" in cleared
    assert "is closed" in closed


def test_what_the_json_of_keys_says_stays_as_it_was(city: Path) -> None:
    keys = json.loads(run("city", "keys", "--json", "--data", city))["keys"]
    assert {each["standing"] for each in keys} == {"as registered 相符", "not registered 未登记"}


@pytest.mark.parametrize(
    ("arguments", "following"),
    [
        (("files", "list"), "`onecard files add`"),
        (("days", "list"), "`onecard close`"),
        (("loads", "list"), "`onecard files add FILE.ocl`"),
        (("registry", "list", "psam"), "`onecard registry add psam`"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_a_list_with_nothing_in_it_is_a_sentence_that_names_the_next_command(
    tmp_path: Path, language: Language, arguments: tuple[str, ...], following: str
) -> None:
    made = json.loads(run("city", "init", "--json", "--data", tmp_path / "city"))
    assert made == {"city": "demo", "data": str(tmp_path / "city"), "buckets": 4}
    text = said(*arguments, "--csv", tmp_path / "out.csv", "--data", tmp_path / "city")
    assert following in text
    assert "\t" not in text
    one_language(text, language)
    assert (tmp_path / "out.csv").read_text("utf-8-sig").count("\n") == 1


def test_a_card_number_is_masked_unless_it_is_asked_for(city: Path, language: Language) -> None:
    number = run_json("loads", "show", "1", "--unmask", "--data", city)["card_number"]
    assert len(number) == 20
    assert number.isdigit()
    row = (f"card_number={number}", "version=1", "--why", "lost")
    run("registry", "add", "hotlist", *row, "--data", city)
    for arguments in (("loads", "list"), ("loads", "show", "1"), ("registry", "list", "hotlist")):
        for form in ((), ("--json",)):
            whole = said(*arguments, *form, "--unmask", "--data", city)
            text = said(*arguments, *form, "--data", city)
            assert number in whole
            assert text == re.sub(r"\b\d{16}(?=\d{4}\b)", "*" * 16, whole)
            if not form:
                one_language(text, language)
