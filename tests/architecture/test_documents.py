import re
import tomllib
from pathlib import Path

import pytest
from typer import Context
from typer.core import TyperGroup
from typer.main import get_command

from api.cli.frame.program import app
from tests.support import values
from tests.support.shared import REPOSITORY
from tests.support.tree import (
    document,
    name_of,
    package_files,
    script_files,
    section,
    table_rows,
    text_files,
)

READMES = ("README.md", "README.zh.md")
FILE_NAME = re.compile(r"`((?:cardcore|terminals|settlement|api|hsm_sim)/[\w/]+\.(?:py|sql))`")
MAPPED_KINDS = ("py", "sql", "toml", "c")
MAP_LINE = re.compile(r"^ {4}(\S+(?:, \S+)*)  +\S", re.MULTILINE)
ROOMS = [path.parent for path in package_files() if path.name == "__init__.py"]
TEST_NAME = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
ATTACKS = "## Attacks, rules and tests 攻击、规则与测试"
COMMAND = re.compile(r"\b(make [a-z][a-z-]+|onecard [a-z][a-z-]+)\b")
LINK = re.compile(r"\]\((?!https?://)([^)#]+)(?:#[^)]*)?\)")
CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)


def commands_in(text: str) -> set[str]:
    return {command for code in CODE.findall(text) for command in COMMAND.findall(code)}


def test_every_file_named_in_the_architecture_is_there() -> None:
    named = set(FILE_NAME.findall(document("docs/architecture.md")))
    there = {name_of(path) for path in (*package_files(), *script_files())}
    assert named - there == set()
    assert len(named) > 50


@pytest.mark.parametrize("room", ROOMS, ids=name_of)
def test_the_map_of_a_room_names_every_file_and_folder_in_it(room: Path) -> None:
    # As it stands in the file: newer versions of Python take the indent out of docstrings.
    words = (room / "__init__.py").read_text(encoding="utf-8").split('"""')[1]
    names = (line.split(", ") for line in MAP_LINE.findall(words))
    listed = {name for each in names for name in each}
    files = {path.name for path in room.iterdir() if path.suffix.removeprefix(".") in MAPPED_KINDS}
    folders = {f"{path.name}/" for path in room.iterdir() if path.is_dir()} - {"__pycache__/"}
    assert (files | folders) - {"__init__.py"} == listed


@pytest.mark.parametrize(("page", "count"), [("docs/keys.md", 19), ("docs/clearing.md", 30)])
def test_every_attack_has_its_rule_and_tests_that_are_there(page: str, count: int) -> None:
    rows = list(table_rows(section(document(page), ATTACKS)))
    assert len(rows) >= count
    for attack, rule, tests in rows:
        assert attack
        assert rule
        named = TEST_NAME.findall(tests)
        assert named, attack
        assert TEST_NAME.sub("", tests).split() == [], tests
        for file, name in named:
            text = (REPOSITORY / file).read_text(encoding="utf-8")
            assert re.search(rf"^def {name}\(", text, re.MULTILINE), f"{file}::{name}"


def test_the_page_of_values_is_what_the_code_says() -> None:
    assert document(values.PAGE) == values.page(), "make values writes it anew"


def test_every_value_has_a_chinese_word() -> None:
    silent = [
        f"{kind.__name__}.{name}"
        for kind in values.enumerations()
        for name, word in values.words(kind).items()
        if not word
    ]
    assert silent == []


def test_every_term_of_the_glossary_has_a_chinese_word_and_a_name() -> None:
    rows = list(table_rows(section(document("docs/architecture.md"), "## Glossary 术语")))
    assert len(rows) > 40
    for english, chinese, name, _ in rows:
        assert re.search(r"[\u4e00-\u9fff]", chinese), english
        assert name.startswith("`"), english
    assert len({row[0] for row in rows}) == len(rows)


def test_every_name_of_the_glossary_is_found_in_the_code() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in package_files())
    words = set(re.findall(r"\w+", code))
    rows = table_rows(section(document("docs/architecture.md"), "## Glossary 术语"))
    names = {name for row in rows for name in re.findall(r"`([\w.]+)`", row[2])}
    assert {name for name in names if name.rpartition(".")[2] not in words} == set()


def test_both_readmes_name_the_same_commands() -> None:
    english, chinese = (commands_in(document(name)) for name in READMES)
    assert english == chinese
    assert {"make demo", "make test"} <= english


def test_the_readme_lists_exactly_the_commands_there_are() -> None:
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    there_are = group.list_commands(Context(group))
    named = {word for word in commands_in(document("README.md")) if word.startswith("onecard ")}
    assert named == {f"onecard {name}" for name in there_are}


def test_every_target_named_in_a_document_is_in_the_makefile_with_a_word_of_help() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## \S", document("Makefile"), re.MULTILINE))
    named = set().union(*(commands_in(document(n)) for n in (*READMES, "CONTRIBUTING.md")))
    assert {word.removeprefix("make ") for word in named if word.startswith("make ")} <= targets
    phony = set(re.findall(r"^([a-z-]+):", document("Makefile"), re.MULTILINE))
    assert phony - targets == {"dev-setup", "apt-packages", "python-is-new-enough"}


def test_what_checks_every_change_is_the_command_of_the_readme() -> None:
    assert "\nmake test\n" in document(".ci/run")


def test_every_link_of_a_document_leads_to_a_file() -> None:
    broken = [
        f"{name_of(path)} -> {target}"
        for path in text_files()
        if path.suffix == ".md"
        for target in LINK.findall(path.read_text(encoding="utf-8"))
        if not (path.parent / target).exists()
    ]
    assert broken == []


def test_every_dependency_is_pinned_to_one_version() -> None:
    pins = document("constraints.txt").splitlines()
    assert [line for line in pins if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []
    assert pins == sorted(pins, key=str.lower)
    project = tomllib.loads(document("pyproject.toml"))["project"]
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *(each for extra in extras for each in extra)]
    pinned = {line.split("==")[0].lower() for line in pins}
    assert {re.split(r"[<>=\[; ]", each)[0].lower() for each in wanted} <= pinned


def test_every_decision_follows_the_template() -> None:
    template = headings("docs/adr/0000-template.md")
    assert len(template) == 5
    decisions = set(re.findall(r"\(adr/([\w-]+\.md)\)", document("docs/architecture.md")))
    assert decisions == {each.name for each in (REPOSITORY / "docs/adr").glob("*.md")}
    for name in sorted(decisions):
        assert headings(f"docs/adr/{name}") == template, name


def headings(name: str) -> list[str]:
    return re.findall(r"^## (.+)$", document(name), re.MULTILINE)
