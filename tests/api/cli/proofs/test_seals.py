"""Seals on the command line: carried, printed and compared; and a last day that is deleted."""

import base64
import json
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from api.cli.proof import sealed_sentence
from cardcore.text import Language
from settlement.day_seals import written_seal
from settlement.verification.findings import SealCheck, Verification
from tests.api.cli.test_city_language import one_language, said
from tests.api.cli.test_command_line import outbox, run, run_json

pytestmark = pytest.mark.filterwarnings("ignore::cardcore.keys.InsecureKeyServiceWarning")
FIRST, SECOND = "2026-09-01", "2026-09-02"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two closed days."""
    base = tmp_path_factory.mktemp("demo")
    arguments = ("demo", "--cards", "12", "--headless", "--workers", "1")
    run(*arguments, "--days", "2", "--data", base / "city")
    yield base
    shutil.rmtree(base)


@pytest.fixture
def city(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made / "city", tmp_path / "city")
    return tmp_path / "city"


def newest(city: Path) -> dict[str, Any]:
    seal: dict[str, Any] = run_json("days", "list", "--data", city)["newest_seal"]
    return seal


def delete_the_last_day(city: Path) -> None:
    with closing(sqlite3.connect(city / "control.sqlite")) as database, database:
        triggers = database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (name,) in triggers.fetchall():
            database.execute(f"DROP TRIGGER {name}")
        of_day = f"settlement_day = '{SECOND}'"
        database.execute(
            f"DELETE FROM postings WHERE entry IN (SELECT number FROM entries WHERE {of_day})"
        )
        database.execute(f"UPDATE files SET settlement_day = NULL WHERE {of_day}")
        for table in ("entries", "positions", "gaps", "discounts", "days"):
            database.execute(f"DELETE FROM {table} WHERE {of_day}")


def lose_a_file(city: Path) -> None:
    with closing(sqlite3.connect(city / "control.sqlite")) as database, database:
        query = "SELECT content_hash FROM files WHERE settlement_day IS NULL LIMIT 1"
        ((name,),) = database.execute(query).fetchall()
        for table in ("facts", "file_terminals", "files"):
            database.execute(f"DELETE FROM {table} WHERE content_hash = '{name}'")


def test_every_answer_and_statement_carries_the_newest_seal(city: Path) -> None:
    seal = newest(city)
    assert (seal["label"], seal["number"], seal["settlement_day"]) == ("demo", 2, SECOND)
    assert seal["written"] == written_seal(2, seal["seal"])
    answers = run_json("files", "add", outbox(city)[0], "--data", city)["files"]
    assert [each["newest_seal"] for each in answers] == [seal]
    listed = run_json("files", "list", "--data", city)
    assert all(each["newest_seal"] == seal for each in (*listed["files"], *listed["refused"]))
    name = answers[0]["content_hash"]
    shown = run_json("days", "show", FIRST, "--data", city)["signed"]
    assert (shown["number"], shown["settlement_day"]) == (1, FIRST)
    for command in (
        ("files", "show", name), ("clear", "--settlement-day", FIRST),
        ("close", "--settlement-day", FIRST), ("verify", "--workers", "1"),
        ("demo", "--cards", "12", "--days", "2", "--workers", "1"),
    ):  # fmt: skip
        assert run_json(*command, "--data", city)["newest_seal"] == seal, command


def test_close_days_and_verify_print_the_seal_as_people_write_it_down(
    city: Path, language: Language
) -> None:
    written = newest(city)["written"]
    for command in (
        ("close", "--settlement-day", SECOND), ("days", "list"), ("days", "show", SECOND),
        ("verify", "--workers", "1"), ("files", "add", str(outbox(city)[0])),
    ):  # fmt: skip
        text = said(*command, "--data", city)
        assert written in text, command
        one_language(text, language, str(city))


def test_verify_takes_witnesses_and_what_was_written_down(city: Path, tmp_path: Path) -> None:
    kept = tmp_path / "acknowledgement.json"
    kept.write_text(json.dumps(run_json("files", "add", outbox(city)[0], "--data", city)), "utf-8")
    written = newest(city)["written"]
    shown = ("--witness", kept, "--expect-seal", written.lower().replace("-", " "))
    found = run_json("verify", *shown, "--data", city)
    assert (found["findings"], found["seals_shown"], found["seals_registered"]) == ([], 2, True)


def test_the_last_closed_day_deleted_is_found_and_the_other_seal_refused(
    city: Path, tmp_path: Path, language: Language
) -> None:
    kept = tmp_path / "statement.json"
    command = ("close", "--settlement-day", SECOND, "--data", city)
    kept.write_text(json.dumps(run_json(*command)), "utf-8")
    delete_the_last_day(city)
    text = said("verify", "--workers", "1", "--witness", kept, "--data", city, exit_code=1)
    ends = "ends with day number 1" if language is Language.EN else "止于第 1 日"
    assert ends in text
    assert kept.name in text
    one_language(text, language, str(city), kept.name)
    lose_a_file(city)
    sealed = (city / "seals" / f"{SECOND}.json").read_bytes()
    text = said("close", "--data", city, exit_code=1)
    assert "`onecard verify`" in text
    one_language(text, language, str(city))
    refusal = run_json("close", "--data", city, exit_code=1)["refusal"]
    assert refusal == "SEALED_OTHERWISE"
    assert (city / "seals" / f"{SECOND}.json").read_bytes() == sealed
    # By the number that somebody wrote down alone.
    written = json.loads(kept.read_bytes())["newest_seal"]["written"]
    text = said("verify", "--workers", "1", "--expect-seal", written, "--data", city, exit_code=1)
    assert written in text


@pytest.mark.parametrize(
    ("option", "value", "word"),
    [
        ("--expect-seal", "seven", "7:4KQ8"),
        ("--expect-seal", "2:0000-0000-0000-0000-0000-0000", "2:0000"),
        ("--witness", "nowhere.json", "nowhere.json"),
        ("--witness", "text", "`onecard files add --json`"),
        ("--witness", "none", "`onecard close --json`"),
        ("--witness", "forged", "ONECARD_KEY_SERVICE"),
        ("--witness", "stranger", "ONECARD_KEY_SERVICE"),
    ],
)
def test_what_is_no_seal_of_this_city_is_refused_before_anything_is_checked(
    city: Path, tmp_path: Path, language: Language, option: str, value: str, word: str
) -> None:
    seal = newest(city)
    documents = {
        "text": "no JSON",
        "none": json.dumps({"files": [{"newest_seal": None}], "days": 2}),
        "forged": json.dumps(seal | {"seal": "0" * 64}),
        "stranger": json.dumps([[seal | {"label": "shenzhen"}]]),
    }
    if value in documents:
        (tmp_path / value).write_text(documents[value], "utf-8")
        value = str(tmp_path / value)
    text = said("verify", option, value, "--data", city, exit_code=2)
    assert option in text
    assert word in text
    one_language(text, language, str(tmp_path), str(city), value)


def test_a_close_that_somebody_else_began_says_whose_it_was(city: Path, language: Language) -> None:
    delete_the_last_day(city)
    text = said("close", "--by", "韩梅梅", "--data", city)
    assert "simulation" in text
    assert "韩梅梅" not in text
    one_language(text, language, str(city), "simulation")


def test_without_a_register_verify_says_that_only_witnesses_can_tell(language: Language) -> None:
    """As over a bare token."""
    bare = Verification((), 0, 0, SealCheck(None, is_registered=False))
    for shown in (0, 2):
        text = sealed_sentence(bare, shown)
        assert "`onecard verify --witness`" in text
        one_language(text, language)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here")
@pytest.mark.parametrize("is_true", [True, False])
def test_a_participant_proves_a_seal_with_openssl_and_the_public_key_alone(
    city: Path,
    tmp_path: Path,
    is_true: bool,  # noqa: FBT001 - the other half of the proof
) -> None:
    seal = newest(city)
    (key,) = run_json("city", "keys", "--data", city)["seal_keys"]
    assert key["key"] == f"day-seal/{seal['label']}/v{seal['key_version']}"
    # RFC 8410: the head of a public key of Ed25519.
    der = bytes.fromhex("302a300506032b6570032100" + key["public_key"])
    pem = (
        f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(der).decode()}\n-----END PUBLIC KEY-----\n"
    )
    (tmp_path / "key.pem").write_text(pem, "ascii")
    (tmp_path / "signature").write_bytes(bytes.fromhex(seal["signature"]))
    number = seal["number"] if is_true else seal["number"] + 1
    lines = ("onecard day seal", seal["label"], number, seal["settlement_day"], seal["seal"])
    (tmp_path / "message").write_text("".join(f"{line}\n" for line in lines), "ascii")
    done = subprocess.run(
        ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", "key.pem", "-in", "message",
         "-sigfile", "signature"],
        cwd=tmp_path, capture_output=True, check=False,
    )  # fmt: skip
    assert (b"Verified Successfully" in done.stdout) is is_true
    assert (done.returncode == 0) is is_true
