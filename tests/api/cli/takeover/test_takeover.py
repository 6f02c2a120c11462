"""`onecard takeover`: what is open of a takeover, and old lists taken in line by line."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.cli.frame.program import app
from cardcore.text import Language, spoken
from tests.api.cli.test_command_line import run, run_json
from tests.settlement.device_files import METRO, make_office
from tests.settlement.takeover.old_centre import CENTRE
from tests.settlement.takeover.world import TakenOver
from tests.support.languages import assert_one_language

NUMBERS = [f"{number:020}" for number in range(1, 9)]


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A city after its first day: a card in the file, one in none, one that contradicts it."""
    folder = tmp_path_factory.mktemp("taken") / "city"
    with make_office(folder) as city:
        world = TakenOver(city)
        known, unopened, richer = (world.old_card(number, 3_000) for number in range(1, 4))
        world.hand_over([known, richer])
        richer.balance_fen += 700
        world.ask(richer)
        rides = [known.bus(), unopened.bus()]
        world.close(rides)
    return folder, [f"0000000000b1-{serial:08}" for serial in (1, 2)]


def in_both(*arguments: object, exit_code: int = 0) -> list[str]:
    """What a command says in each language, held to it."""
    found = []
    for language in Language:
        with spoken(language):
            result = CliRunner().invoke(app, [str(each) for each in arguments])
        assert result.exit_code == exit_code, result.output
        assert_one_language(result.output, language, ["巴士集团", "老中心", "一号线", "李雷"])
        found.append(result.output)
    return found


def test_the_list_names_unopened_and_disputed_cards_with_amount_and_age(
    taken: tuple[Path, list[str]], tmp_path: Path
) -> None:
    folder, _ = taken
    shown = run_json("takeover", "list", "--data", folder, "--unmask")
    assert [(each["card_number"], each["standing"], each["amount_fen"], each["age_days"])
            for each in shown["cards"]] == [
        (f"{2:020}", "unopened", 160, 0), (f"{3:020}", "disputed", 3_000, 0)
    ]  # fmt: skip
    assert (shown["opened_purses"], shown["opened_fen"], shown["due_fen"]) == (2, 6_000, 160)
    assert shown["cards"][0]["item"].startswith("opening/")
    for text in in_both("takeover", "list", "--data", folder, "--csv", tmp_path / "list.csv"):
        assert (f"{2:020}" in text, "1.60" in text) == (False, True)
    assert "1.60" in (tmp_path / "list.csv").read_text("utf-8-sig")


def test_the_float_shows_openings_apart(taken: tuple[Path, list[str]]) -> None:
    folder, _ = taken
    shown = run_json("float", "--data", folder)
    assert (shown["holds"], shown["opened_fen"], shown["due_fen"]) == (True, 6_000, 160)
    english = in_both("float", "--data", folder)
    assert any("openings still to be told" in text for text in english)
    assert any("老中心" in text for text in english)
    in_both("days", "show", "2018-09-01", "--data", folder)


def test_the_history_of_a_ride_says_that_its_card_is_unopened(
    taken: tuple[Path, list[str]],
) -> None:
    folder, (known, unopened) = taken
    steps = run_json("explain", unopened, "--data", folder)["copies"][0]["steps"]
    assert steps[-1]["data"] == {
        "standing": "unopened", "centre": CENTRE, "amount_fen": 160, "since": "2018-09-01"
    }  # fmt: skip
    assert any("unopened" in text for text in in_both("explain", unopened, "--data", folder))
    steps = run_json("explain", known, "--data", folder)["copies"][0]["steps"]
    assert steps[-1]["data"]["standing"] == "handed"


def test_before_a_day_is_closed_the_list_names_the_next_command(tmp_path: Path) -> None:
    with make_office(tmp_path / "city"):
        pass
    for text in in_both("takeover", "list", "--data", tmp_path / "city", exit_code=1):
        assert "onecard close" in text


#: file | its lines, those from the second on with the reason's column
LISTS = {
    "terminals": f"""terminal,participant,role,valid_from
0000000000e1,{METRO},metro_gate,2018-09-01
0000000000e2,77,metro_gate,2018-09-01
not-a-terminal,{METRO},metro_gate,2018-09-01
0000000000e3,{METRO},metro_gate,2018-09-01
""",
    "hotlist": f"""card_number,version,published
{NUMBERS[0]},3,2018-08-01
{NUMBERS[1]},three,2018-08-01
123,3,2018-08-01
""",
    "cards": f"""card_number,key_version,valid_from,valid_to
{NUMBERS[0]},1,,2018-08-31
{NUMBERS[0]},2,2018-09-01,
{NUMBERS[1]},2,,2018-08-31
{NUMBERS[1]},2,2018-09-01,2018-09-30
{NUMBERS[1]},1,2018-10-01,
{NUMBERS[2]},1
{NUMBERS[3]},1,,
""",
}


@pytest.fixture
def lists(tmp_path: Path) -> list[str | Path]:
    found: list[str | Path] = []
    for name, text in LISTS.items():
        (tmp_path / f"{name}.csv").write_text(text, "utf-8")
        found += [f"--{name}", tmp_path / f"{name}.csv"]
    return [*found, "--rejects", tmp_path / "rejects.csv", "--why", "taken over"]


def test_good_lines_come_in_and_the_others_stand_in_a_file_with_their_reasons(
    tmp_path: Path, lists: list[str | Path]
) -> None:
    folder = tmp_path / "city"
    with make_office(folder):
        pass
    said = run_json("takeover", "import", *lists, "--data", folder, exit_code=1)
    assert (said["changed"], said["rejected"]) == (2 + 1 + 3, 2 + 2 + 4)
    rows = (tmp_path / "rejects.csv").read_text("utf-8-sig").splitlines()
    assert [row.split(",")[:3] for row in rows] == [
        ["kind", "line", "column"],
        ["terminal", "3", "participant"], ["terminal", "4", "terminal"],
        ["hotlist", "3", "version"], ["hotlist", "4", "card_number"],
        ["card", "4", ""], ["card", "5", "key_version"], ["card", "6", ""], ["card", "7", ""],
    ]  # fmt: skip
    assert f"{NUMBERS[1]},1,2018-10-01" in rows[7]
    # Who was told of a listed card before the takeover is believed.
    listed = run_json("registry", "list", "hotlist", "--data", folder, "--unmask")["rows"]
    assert [(each["card_number"], each["published"]) for each in listed] == [
        (NUMBERS[0], "2018-08-01")
    ]
    cards = run_json("registry", "list", "card", "--data", folder, "--unmask")["rows"]
    assert [each["key_version"] for each in cards] == ["1", "2", "1"]


def test_the_same_lists_again_change_nothing_and_each_language_has_its_reasons(
    tmp_path: Path, lists: list[str | Path]
) -> None:
    folder = tmp_path / "city"
    with make_office(folder):
        pass
    first = run_json("takeover", "import", *lists, "--data", folder, exit_code=1)
    again = run_json("takeover", "import", *lists, "--data", folder, exit_code=1)
    assert (again["changed"], again["faults"]) == (0, first["faults"])
    for language, reason in zip(Language, ("更高", "higher"), strict=True):
        with spoken(language):
            result = CliRunner().invoke(
                app, ["takeover", "import", *map(str, lists), "--data", str(folder)]
            )
        assert_one_language(result.output, language)
        assert reason in (tmp_path / "rejects.csv").read_text("utf-8-sig")


def test_a_number_of_an_old_card_is_given_out_again_only_under_a_higher_key_version(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "city"
    with make_office(folder):
        pass
    card = ("card", f"card_number={NUMBERS[0]}")
    add = ("registry", "add", *card, "--data", folder, "--why", "reissued")
    run(*add, "key_version=1", "--from", "2018-01-01", "--to", "2018-08-31")
    for version in (0, 1):
        said = run(*add, f"key_version={version}", "--from", "2018-09-01", exit_code=1)
        assert "higher key version" in " ".join(said.split())
    run(*add, "key_version=2", "--from", "2018-09-01")


def test_what_cannot_be_taken_in_at_all_is_said_and_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "city"
    with make_office(folder):
        pass
    rest = ("--rejects", tmp_path / "r.csv", "--why", "w", "--data", folder)
    in_both("takeover", "import", *rest, exit_code=2)
    in_both("takeover", "import", "--cards", tmp_path / "none.csv", *rest, exit_code=2)
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("card,version\n1,2\n", "utf-8")
    in_both("takeover", "import", "--cards", wrong, *rest, exit_code=1)
    assert not run_json("registry", "list", "card", "--data", folder)["rows"]
