"""The command line: exit codes, one JSON object, bad input that changes nothing."""

import fcntl
import json
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from api.cli.frame.faults import is_interruption, sentence_of
from api.cli.frame.program import app
from cardcore.text import Language, spoken
from settlement.dispositions import Reason
from tests.support.shared import SHARED, needs_shared

RUNNER = CliRunner()
HEADER = (
    "card_no,deal_date,deal_type,deal_money,deal_value,equ_no,company_name,station,car_no,"
    "conn_mark,close_date\n"
)
BUS_ROW = (
    "FHEFIHBJC,2018-09-01 09:33:50,巴士,160,200,231017343,巴士集团,M506,01620D,0,"
    "2018-09-01 00:00:00\n"
)


def run(*arguments: str | Path, exit_code: int = 0) -> str:
    result = RUNNER.invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == exit_code, result.output
    return result.stdout if exit_code == 0 else result.output


def run_json(*arguments: str | Path, exit_code: int = 0) -> dict[str, Any]:
    result = RUNNER.invoke(app, [*(str(argument) for argument in arguments), "--json"])
    assert result.exit_code == exit_code, result.output
    document = json.loads(result.stdout)
    assert isinstance(document, dict)
    return document


@pytest.fixture(scope="module")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("demo") / "city"
    run("demo", "--cards", "40", "--days", "2", "--headless", "--workers", "1", "--data", folder)
    yield folder
    shutil.rmtree(folder)


def outbox(folder: Path) -> list[Path]:
    """What the collectors sent, and the load host of its log."""
    return sorted((folder / "outbox").rglob("*.oc[bl]"))


def copy_of_registry(source: Path, target: Path) -> None:
    registry = target.with_suffix(".registry")
    run("city", "export", registry, "--data", source)
    run("city", "init", "--scheme", "demo", "--registry", registry, "--data", target)


def test_the_same_seed_is_the_same_city(demo_folder: Path, tmp_path: Path) -> None:
    arguments = ("demo", "--cards", "40", "--days", "2", "--workers", "1")
    again = run_json(*arguments, "--data", demo_folder)
    other = run_json(*arguments, "--data", tmp_path / "other")
    assert again["output_hash"] == other["output_hash"]
    assert again["float_fen"] == again["card_balance_fen"] > 0
    assert again["records"] == sum(
        again[name] for name in ("accepted", "duplicates", "suspended", "claims", "rejected")
    )


def test_a_close_says_who_closed_and_takes_the_name_from_the_environment(
    demo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_of_registry(demo_folder, tmp_path / "city")
    run("files", "add", *outbox(demo_folder), "--data", tmp_path / "city")
    refused = run("close", "--data", tmp_path / "city", "--by", "two\nlines", exit_code=2)
    assert "--by: a name is one line" in refused
    monkeypatch.setenv("ONECARD_BY", "韩梅梅")
    closed = run_json("close", "--data", tmp_path / "city")
    assert closed["closed_by"] == "person:韩梅梅"
    (day,) = run_json("days", "list", "--data", tmp_path / "city")["days"]
    shown = run_json("days", "show", day["settlement_day"], "--data", tmp_path / "city")
    assert day["closed_by"] == shown["closed_by"] == "person:韩梅梅"
    assert "韩梅梅" in run("days", "show", day["settlement_day"], "--data", tmp_path / "city")


def test_another_plan_is_refused_in_a_folder_that_holds_one(demo_folder: Path) -> None:
    message = run("demo", "--cards", "41", "--data", demo_folder, exit_code=1)
    assert "another virtual city" in message.replace("\n", " ")


def test_a_second_city_with_the_default_folder_gets_one_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first = run_json("demo", "--cards", "3", "--days", "1", "--workers", "1")
    second = run_json("demo", "--cards", "4", "--days", "1", "--workers", "1")
    assert first["data"] == "onecard-data"
    assert Path(second["data"]).parent == Path("onecard-data")


@pytest.mark.parametrize("workers", ["1", "2", "4"])
def test_files_in_another_order_and_twice_with_any_workers_give_the_same_bytes(
    demo_folder: Path, tmp_path: Path, workers: str
) -> None:
    expected = run_json("clear", "--settlement-day", "2026-09-02", "--data", demo_folder)
    city = tmp_path / "other"
    copy_of_registry(demo_folder, city)
    first_day = [path for path in outbox(demo_folder) if path.stem.endswith("00000001")]
    second_day = [path for path in outbox(demo_folder) if path not in first_day]
    assert first_day
    assert second_day
    for day, files in (("2026-09-01", first_day), ("2026-09-02", second_day)):
        run_json("files", "add", *reversed(files), "--data", city)
        again = run_json("files", "add", *files, "--data", city)
        assert {each["answer"] for each in again["files"]} == {"already_received"}
        run_json("clear", "--settlement-day", day, "--workers", workers, "--data", city)
        run("close", "--settlement-day", day, "--workers", workers, "--data", city)
    result = run_json("clear", "--settlement-day", "2026-09-02", "--data", city)
    assert result["output_hash"] == expected["output_hash"]
    assert all(run_json("verify", "--data", city)["invariants"].values())


def test_two_drives_of_one_folder_are_told_apart(demo_folder: Path) -> None:
    lock = demo_folder / "world" / "driving.lock"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        arguments = ("--cards", "40", "--days", "2", "--data", demo_folder)
        assert "another process is at work" in run("demo", *arguments, exit_code=1)


def test_a_damaged_settings_file_is_not_taken_for_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "city.json").write_text("{", encoding="utf-8")
    message = run("verify", "--data", tmp_path, exit_code=1)
    assert "city.json" in message
    assert "onecard demo" not in message


def test_a_changed_participant_is_found_by_verify(demo_folder: Path, tmp_path: Path) -> None:
    city = tmp_path / "city"
    shutil.copytree(demo_folder, city)
    with closing(sqlite3.connect(city / "control.sqlite")) as database:
        database.execute("DROP TRIGGER registry_changes_refuse_update")
        database.execute(
            "UPDATE registry_changes SET content = replace(content, '501', '502')"
            " WHERE kind = 'participant' AND subject = '501'"
        )
        assert database.total_changes == 1
        database.commit()
    findings = run_json("verify", "--data", city, exit_code=1)["findings"]
    assert any(each["where"].startswith("registry_changes, row") for each in findings)


def test_a_damaged_file_gets_a_named_answer_and_exit_1(demo_folder: Path, tmp_path: Path) -> None:
    city = tmp_path / "other"
    copy_of_registry(demo_folder, city)
    good = outbox(demo_folder)[0]
    data = bytearray(good.read_bytes())
    data[100] ^= 1
    bad = tmp_path / "bad.ocb"
    bad.write_bytes(data)
    answer = run_json("files", "add", bad, "--data", city, exit_code=1)["files"][0]
    assert answer["answer"] == "altered"
    assert run_json("files", "list", "--data", city)["files"] == []
    assert run_json("files", "add", good, "--data", city)["files"][0]["answer"] == "accepted"


def test_one_changed_byte_of_a_raw_file_is_found_by_verify(
    demo_folder: Path, tmp_path: Path
) -> None:
    city = tmp_path / "city"
    shutil.copytree(demo_folder, city)
    assert all(run_json("verify", "--data", city)["invariants"].values())
    raw = min((city / "raw").rglob("*.ocb"))
    data = bytearray(raw.read_bytes())
    data[300] ^= 0x40
    raw.write_bytes(data)
    result = run_json("verify", "--data", city, exit_code=1)
    assert not all(result["invariants"].values())
    assert any(raw.stem[:12] in each["where"] for each in result["findings"])


def test_a_torn_tap_is_explained_from_its_apdus_to_the_position(demo_folder: Path) -> None:
    suggested = run("demo", "--cards", "40", "--days", "2", "--data", demo_folder)
    record = suggested.split("explain ")[1].split()[0]
    text = run("explain", record, "--data", demo_folder)
    for word in ("SELECT", "GET TRANSACTION PROVE", "TAC", "sealed", "operator/"):
        assert word in text
    document = run_json("explain", record, "--data", demo_folder)
    assert document["apdus"], record
    with spoken(Language.ZH):
        assert "取交易认证" in run("explain", record, "--data", demo_folder)
        assert run_json("explain", record, "--data", demo_folder) == document
    run("explain", "000000000000-00000001", "--data", demo_folder, exit_code=1)
    with spoken(Language.ZH):
        in_chinese = run_json("explain", record, "--data", demo_folder)
    assert in_chinese == run_json("explain", record, "--data", demo_folder)


@pytest.mark.parametrize(
    ("mishap", "reason", "note", "account"),
    [
        ("forged", Reason.TAC_WRONG, "", ""),
        ("replayed", Reason.DUPLICATE, "", "operator/"),  # the other copy is paid
        ("torn", Reason.NONE, "torn tap, proven later", "operator/"),
        ("hotlisted", Reason.HOTLISTED, "", "suspense/"),
    ],
)
def test_what_went_wrong_in_the_demonstration_is_explained_with_what_would_change_it(
    demo_folder: Path, mishap: str, reason: Reason, note: str, account: str
) -> None:
    arguments = ("demo", "--cards", "40", "--days", "2", "--data", demo_folder)
    became = run_json(*arguments)["mishaps"][mishap]
    assert (became["disposition"], became["reason"]) == (reason.disposition.name, reason.name)
    text = run("explain", became["record"], "--data", demo_folder)
    assert reason.disposition.text.en in text
    assert note in text
    if reason is not Reason.NONE:
        assert f"{reason.text.en} (what would change that: {reason.remedy.en})" in text
    assert account in text if account else "no money is posted for it" in text


def test_the_demonstration_shows_its_mishaps_and_that_the_float_holds(demo_folder: Path) -> None:
    shown = run("demo", "--cards", "40", "--days", "2", "--data", demo_folder)
    document = run_json("demo", "--cards", "40", "--days", "2", "--data", demo_folder)
    assert set(document["mishaps"]) == {"forged", "replayed", "torn", "hotlisted"}
    for each in document["mishaps"].values():
        assert each["record"] in shown
    assert "The proof holds" in shown
    paid = sum(line["charged_fen"] for line in document["operators"].values())
    held = sum(document["suspense"].values())
    assert held > 0
    assert document["float_fen"] == sum(document["loads"].values()) - paid - held
    # What is made up is claimed, and in no sum.
    forged = document["mishaps"]["forged"]
    assert (document["claims"], document["claims_fen"]) == (1, forged["amount_fen"])


def test_explain_writes_no_journal_and_goes_on_without_a_damaged_one(
    demo_folder: Path, tmp_path: Path
) -> None:
    """It opened the journal as its terminals do: made an older one today's under their hands, and
    ended with a traceback where it was damaged.
    """
    suggested = run("demo", "--cards", "40", "--days", "2", "--data", demo_folder)
    record = suggested.split("explain ")[1].split()[0]
    city = tmp_path / "city"
    shutil.copytree(demo_folder, city)
    journals = [each for each in (city / "terminals").glob("*.sqlite") if each.stem.isdigit()]
    for path in journals:
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA user_version = 2")
    before = {path: path.read_bytes() for path in journals}
    assert "SELECT" in run("explain", record, "--data", city)
    assert {path: path.read_bytes() for path in journals} == before
    for path in journals:
        path.write_bytes(b"no journal" + before[path][10:])
    text = RUNNER.invoke(app, ["explain", record, "--data", str(city)]).output
    assert "cannot be read" in text
    assert "operator/" in text


@pytest.mark.parametrize("serial", ["9" * 20, "4294967296", "0000000\uff11", "-1", ""])
def test_what_is_no_record_id_is_named(demo_folder: Path, serial: str) -> None:
    assert "is no record id" in run(
        "explain", f"000000000001-{serial}", "--data", demo_folder, exit_code=2
    )


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("replay", "nowhere.csv"), "no such file"),
        (("files", "add", "nowhere.ocb"), "no such file"),
        (("clear", "--settlement-day", "yesterday"), "is not a date"),
        (("verify",), "no city here"),
        (("clear",), "no city here"),
    ],
)
def test_usage_errors_end_with_2_and_asentence_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], word: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert word in run(*arguments, exit_code=2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "row", [BUS_ROW.replace("巴士,", "轮渡,"), BUS_ROW.replace(",160,", ",1 60,")]
)
def test_a_wrong_tap_file_ends_with_2_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: str
) -> None:
    monkeypatch.chdir(tmp_path)
    taps = tmp_path / "taps.csv"
    taps.write_text(HEADER + BUS_ROW + row, encoding="utf-8")
    assert "line 3, column" in run("replay", taps, exit_code=2)
    assert list(tmp_path.iterdir()) == [taps]


def test_the_former_name_of_the_settlement_day_is_taken_and_told(tmp_path: Path) -> None:
    run("city", "init", "--data", tmp_path / "city")
    arguments = ("clear", "--business-day", "2026-09-01", "--data", str(tmp_path / "city"))
    result = RUNNER.invoke(app, [*arguments, "--json"])
    assert json.loads(result.stdout)["settlement_day"] == "2026-09-01"
    assert result.stderr.count("--settlement-day") == 1
    assert "--business-day" not in run("clear", "--help")


def _sqlite_interrupted() -> None:
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    threading.Timer(0.2, connection.interrupt).start()
    connection.execute(
        "WITH RECURSIVE a(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM a) SELECT count(*) FROM a"
    ).fetchall()


def _duckdb_interrupted() -> None:
    connection = duckdb.connect()
    threading.Timer(0.2, connection.interrupt).start()
    connection.execute(_ENDLESS).fetchall()


def _duckdb_stopped_at_the_keyboard() -> None:
    # Its words and its type for Ctrl-C: there is no moment at which it surely looks for signals.
    raise RuntimeError("Query interrupted")


_ENDLESS = "SELECT count(*) FROM range(100000000000) a, range(100000) b"


@pytest.mark.parametrize(
    "stop", [_sqlite_interrupted, _duckdb_interrupted, _duckdb_stopped_at_the_keyboard]
)
def test_a_statement_stopped_half_way_is_an_interruption(stop: Callable[[], None]) -> None:
    with pytest.raises(Exception, match=r"(?i)interrupted") as told:
        stop()
    assert is_interruption(told.value)


def test_an_error_that_only_speaks_of_interruptions_is_none() -> None:
    door = RuntimeError("the door was interrupted")
    assert not is_interruption(door)
    assert sentence_of(door) is None


@needs_shared
def test_a_file_of_an_operator_that_no_scheme_lists_is_replayed_to_the_fen(tmp_path: Path) -> None:
    taps, folder = SHARED / "cases" / "csv_operator.csv", tmp_path / "city"
    first = run_json("replay", taps, "--data", folder)
    assert first["operators"] == {"金华南巴士": {"taps": 1, "tariff_fen": 800, "charged_fen": 595}}
    assert (first["suspended"], first["rejected"]) == (0, 0)
    assert all(run_json("verify", "--data", folder)["invariants"].values())
    assert run_json("replay", taps, "--data", folder) == first


def test_nothing_ready_is_a_refusal_not_a_fault(tmp_path: Path) -> None:
    run("city", "init", "--data", tmp_path / "city")
    assert "no complete file waits" in run("close", "--data", tmp_path / "city", exit_code=1)
    refused = run_json("clear", "--data", tmp_path / "city", exit_code=1)
    assert refused["refusal"] == "NOTHING_READY"


def test_a_record_that_nobody_sent_is_said_to_be_nowhere(demo_folder: Path) -> None:
    said = run("explain", "0" * 12 + "-00000001", "--data", demo_folder, exit_code=1)
    assert str(demo_folder) in said
    assert "onecard files list" in said


def test_a_registry_file_that_is_none_is_named_and_nothing_is_made(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.registry"
    wrong.write_text("no registry", "utf-8")
    for path in (wrong, tmp_path / "absent"):
        said = run("city", "init", "--registry", path, "--data", tmp_path / "city", exit_code=2)
        assert said.startswith(f"{path}: ")
        assert not (tmp_path / "city").exists()


def test_production_refuses_public_test_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONECARD_ENVIRONMENT", "production")
    result = RUNNER.invoke(app, ["doctor"])
    assert "production refuses" in str(result.exception)


def test_bench_tap_names_its_baseline() -> None:
    document = run_json("bench", "tap", "--taps", "100")
    assert document["apdus"] == 6
    assert 0 < document["p50_ms"] <= document["p99_ms"]
    assert document["ratio"] > 0


def test_doctor_names_what_it_examined(tmp_path: Path) -> None:
    checks = run_json("doctor", "--data", tmp_path / "none")["checks"]
    assert {"Python", "SQLite", "duckdb"} <= {each["what"] for each in checks}
    assert all(each["good"] for each in checks)


def test_bench_personalise_says_what_part_of_it_is_cryptography() -> None:
    document = run_json("bench", "personalise", "--cards", "2", "--product", "anonymous")
    assert document["commands"] > 2
    assert document["ratio"] > 1
    run("bench", "personalise", "--product", "gold", exit_code=2)
