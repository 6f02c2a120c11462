"""`onecard close` names what it goes on without, and what a day out of bounds needs."""

from pathlib import Path

from tests.api.cli.test_command_line import copy_of_registry, outbox, run, run_json


def test_a_mistyped_day_says_what_to_do_and_a_damaged_file_is_named(tmp_path: Path) -> None:
    source, city = tmp_path / "source", tmp_path / "city"
    run("demo", "--cards", "4", "--days", "1", "--headless", "--workers", "1", "--data", source)
    copy_of_registry(source, city)
    run("files", "add", *outbox(source), "--data", city)
    mistyped = ("close", "--settlement-day", "2099-01-01", "--data", city, "--by", "李雷")
    refused = run(*mistyped, exit_code=1)
    assert "beyond tomorrow" in refused
    assert "--second" in refused
    assert "a second person" in run(*mistyped, "--second", "李雷", exit_code=2)
    assert "--second: a name is one line" in run(*mistyped, "--second", "two\nlines", exit_code=2)
    outside = ("close", "--settlement-day", "9999-12-31", "--data", city, "--by", "李雷")
    refused = run(*outside, "--second", "韩梅梅", exit_code=1)
    assert "does not live on this day" in refused
    assert "--second" not in refused
    assert "beyond tomorrow" in run(
        "clear", "--settlement-day", "2099-01-01", "--data", city, exit_code=1
    )
    assert run_json("days", "list", "--data", city)["days"] == []
    raw = min((city / "raw").rglob("*.ocb"))
    raw.write_bytes(raw.read_bytes()[:-1])
    cleared = run_json("clear", "--data", city)
    assert cleared["set_aside"][0]["why"] == "raw_damaged"
    assert cleared["set_aside"][0]["content_hash"] == raw.stem
    closed = run_json("close", "--data", city, "--by", "李雷", "--second", "韩梅梅")
    assert closed["set_aside"] == cleared["set_aside"]
    assert (closed["closed_by"], closed["confirmed_by"]) == ("person:李雷", "person:韩梅梅")
    shown = run_json("days", "show", closed["settlement_day"], "--data", city)
    assert shown["set_aside"] == closed["set_aside"]
    said = run("close", "--data", city, exit_code=1)
    assert "every file that waits to be cleared was set aside" in said
    assert raw.stem[:12] in said
    assert "send this very file again" in said
