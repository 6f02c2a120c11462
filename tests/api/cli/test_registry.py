"""`onecard registry`: two languages, one JSON object, bad input that changes nothing."""

from pathlib import Path

import pytest

from tests.api.cli.test_command_line import run, run_json

T = "0000000000d1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run("city", "init", "--scheme", "demo", "--data", tmp_path / "city", "--by", "李雷")
    return tmp_path / "city"


def registry(folder: Path, *arguments: str | Path, exit_code: int = 0) -> str:
    said = run("registry", *arguments, "--data", folder, exit_code=exit_code)
    return " ".join(said.split())


def test_a_terminal_from_its_first_day_to_its_last(folder: Path) -> None:
    terminal = ("terminal", f"terminal={T}", "participant=101", "role=bus")
    registry(folder, "add", *terminal, "--from", "2026-01-01", "--why", "新车 new bus")
    registry(
        folder, "change", "terminal", T, "participant=201", "--from", "2026-07-01", "--why", "sold"
    )
    registry(folder, "end", "terminal", T, "--on", "2026-12-31", "--why", "scrapped", "--by", "韩")
    rows = run_json("registry", "list", "terminal", "--data", folder)["rows"]
    days = [(each["participant"], each["valid_from"], each["valid_to"]) for each in rows]
    assert days == [("101", "2026-01-01", "2026-06-30"), ("201", "2026-07-01", "2026-12-31")]
    for day, expected in (("2026-06-30", ["101"]), ("2027-01-01", [])):
        on_day = run_json("registry", "list", "terminal", "--on", day, "--data", folder)["rows"]
        assert [each["participant"] for each in on_day] == expected
    changes = run_json("registry", "list", "terminal", T, "--data", folder)["changes"]
    assert [each["why"] for each in changes] == ["新车 new bus", "sold", "scrapped"]
    assert changes[-1]["by"] == "person:韩"
    assert changes[-1]["row"] is None
    assert "scrapped" in registry(folder, "list", "terminal", T)


def test_a_csv_file_goes_out_and_comes_in_again(folder: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "participants.csv"
    run("registry", "list", "participant", "--csv", sheet, "--data", folder)
    text = sheet.read_text("utf-8-sig")
    sheet.write_text(text + "601,新商户,operator,merchant,2026-01-01,\n", encoding="utf-8")
    said = registry(folder, "import", "participant", sheet, "--why", "a merchant more")
    assert said == "participant 601: name=新商户, kind=operator, sector=merchant 2026-01-01 - …"
    again = run_json("registry", "import", "participant", sheet, "--why", "again", "--data", folder)
    assert again == {"changed": 0, "rows": [], "notes": []}


LISTED = "0310" + "0" * 15 + "1"


def listed_csv(folder: Path, sheet: Path) -> str:
    run("registry", "list", "hotlist", "--csv", sheet, "--data", folder)
    return sheet.read_text("utf-8-sig")


def test_nobody_states_when_a_card_was_told_to_be_listed(folder: Path, tmp_path: Path) -> None:
    said = registry(folder, "add", "hotlist", f"card_number={LISTED}", "version=1",
                    "published=2018-09-01", "--why", "x", exit_code=2)  # fmt: skip
    assert "published" in said
    sheet = tmp_path / "hotlist.csv"
    header = "card_number,version,published,valid_from,valid_to\n"
    sheet.write_text(f"{header}{LISTED},1,2018-09-01,2018-09-01,\n", encoding="utf-8")
    said = registry(folder, "import", "hotlist", sheet, "--why", "x", exit_code=1)
    assert "hotlist.csv:2 published: when it was told is for the registry to say" in said
    assert run_json("registry", "list", "hotlist", "--data", folder)["rows"] == []
    # Dated back, it is told today; the file that goes out comes in again, and cannot move that.
    sheet.write_text(f"{header}{LISTED},1,,2018-09-01,\n", encoding="utf-8")
    registry(folder, "import", "hotlist", sheet, "--why", "stolen long ago")
    text = listed_csv(folder, tmp_path / "first.csv")
    today = text.splitlines()[1].split(",")[2]
    assert text == f"{header}{LISTED},1,{today},2018-09-01,\n"
    assert today > "2018-09-01"
    sheet.write_text(text, encoding="utf-8")
    again = run_json("registry", "import", "hotlist", sheet, "--why", "again", "--data", folder)
    assert again["changed"] == 0
    sheet.write_text(text.replace(today, "2018-09-01"), encoding="utf-8")
    registry(folder, "import", "hotlist", sheet, "--why", "x", exit_code=1)
    assert listed_csv(folder, tmp_path / "then.csv") == text


def test_a_city_taken_over_keeps_when_its_cards_were_told_to_be_listed(
    folder: Path, tmp_path: Path
) -> None:
    registry(folder, "add", "hotlist", f"card_number={LISTED}", "version=1", "--why", "lost")
    exported, other = tmp_path / "registry", tmp_path / "other"
    run("city", "export", exported, "--data", folder)
    # The day of telling in the old city is long gone when it is taken over.
    document = exported.read_text(encoding="utf-8")
    told = run_json("registry", "list", "hotlist", "--data", folder)["rows"][0]["published"]
    exported.write_text(document.replace(told, "2018-09-01"), encoding="utf-8")
    run("city", "init", "--scheme", "demo", "--registry", exported, "--data", other)
    row = run_json("registry", "list", "hotlist", "--data", other)["rows"][0]
    assert row["published"] == "2018-09-01"
    # Said otherwise of the same days, it was told then all the same.
    registry(other, "change", "hotlist", LISTED, "version=2", "--from", "2018-09-01",
             "--to", "2018-12-31", "--why", "an older list", exit_code=0)  # fmt: skip
    rows = run_json("registry", "list", "hotlist", "--data", other)["rows"]
    assert {each["published"] for each in rows} == {"2018-09-01"}
    assert run_json("verify", "--data", other)["findings"] == []


def test_a_half_good_file_is_refused_with_line_and_column(folder: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "t.csv"
    sheet.write_text(f"terminal,participant,role\n{T},101,bus\nd2,101,bus\n", encoding="utf-8")
    said = registry(folder, "import", "terminal", sheet, "--why", "x", exit_code=1)
    assert "t.csv:3 terminal: a terminal of 12 hexadecimal digits is needed" in said.replace(
        str(tmp_path) + "/", ""
    )
    assert "Nothing was changed; mend these lines" in said
    assert run_json("registry", "list", "terminal", "--data", folder)["rows"] == []


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (["list", "tram"], 2, "there is no kind of rows"),
        (["list", "terminal", T], 1, "never registered"),
        (["add", "terminal", f"terminal={T}", "participant=101", "--why", "x"], 2,
         "role is missing"),
        (["add", "terminal", "terminal=d1", "--why", "x"], 2,
         "terminal: a terminal of 12 hexadecimal"),
        (["add", "terminal", f"terminal={T}", "colour=1", "--why", "x"], 2,
         "write each field once"),
        (["add", "hotlist", f"card_number={'1' * 20}", "version=1", "--why", ""], 2,
         "a reason is needed"),
        (["add", "hotlist", f"card_number={'1' * 20}", "version=1", "--why", "x", "--from", "1.1."],
         2, "--from"),
        (["add", "terminal", f"terminal={T}", "participant=999", "role=bus", "--why", "x"],
         1, "a participant it names is not registered"),
        (["end", "participant", "777", "--why", "x"], 1, "it is not registered on that day"),
        (["change", "participant", "101", "name=示例公交", "--why", "x"], 1, "it reads so already"),
        (["import", "terminal", "nowhere.csv", "--why", "x"], 2, "nowhere.csv"),
    ],
)  # fmt: skip
def test_what_is_refused_is_said_and_changes_nothing(
    folder: Path, arguments: list[str], exit_code: int, said: str
) -> None:
    before = run("city", "export", folder / "before.json", "--data", folder)
    assert said in registry(folder, *arguments, exit_code=exit_code)
    assert run("city", "export", folder / "after.json", "--data", folder)
    assert (folder / "before.json").read_bytes() == (folder / "after.json").read_bytes()
    assert before


def test_a_refusal_has_its_name_in_json(folder: Path) -> None:
    answer = run_json(
        "registry", "end", "participant", "777", "--why", "x", "--data", folder, exit_code=1
    )
    assert (answer["changed"], answer["refusal"]) == (0, "NOT_REGISTERED")


def test_a_city_of_ones_own_scheme_is_made_from_its_file(tmp_path: Path) -> None:
    wrong = tmp_path / "own.toml"
    wrong.write_text('name = "own"\ncolour = 1\n', encoding="utf-8")
    said = run("city", "init", "--scheme", wrong, "--data", tmp_path / "city", exit_code=2)
    assert "own.toml:2: colour" in "".join(said.split("\n"))
    assert not (tmp_path / "city").exists()
