import ast
import importlib
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from enum import Enum
from typing import Any

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from api.cli import app
from tests.support.shared import REPOSITORY
from tests.support.tree import (
    document,
    name_of,
    package_files,
    parse,
    script_files,
    section,
    table_rows,
    text_files,
)

READMES = ("README.md", "README.zh.md")
FILE_NAME = re.compile(r"`((?:cardcore|terminals|settlement|api|hsm_sim)/[\w/]+\.(?:py|sql))`")
COMMAND = re.compile(r"\b(make [a-z][a-z-]+|onecard [a-z][a-z-]+)\b")
LINK = re.compile(r"\]\((?!https?://)([^)#]+)(?:#[^)]*)?\)")
CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)


def commands_in(text: str) -> set[str]:
    return {command for code in CODE.findall(text) for command in COMMAND.findall(code)}


def test_every_file_has_its_place_in_the_architecture() -> None:
    named = set(FILE_NAME.findall(document("docs/architecture.md")))
    there = {name_of(path) for path in (*package_files(), *script_files())}
    assert (there - named, named - there) == (set(), set())


@pytest.mark.parametrize("package", ["cardcore", "terminals", "settlement"])
def test_the_reading_list_of_a_package_names_every_file_and_folder_in_it(package: str) -> None:
    words = ast.get_docstring(parse(REPOSITORY / package / "__init__.py")) or ""
    listed = set(re.findall(r"\b([a-z_][a-z_0-9]*(?:\.py|/))", words))
    modules = [path for path in package_files() if path.parts[len(REPOSITORY.parts)] == package]
    inside = [path.relative_to(REPOSITORY / package) for path in modules]
    there = {path.name if len(path.parts) == 1 else f"{path.parts[0]}/" for path in inside}
    scripts = {"sql/"} if package == "settlement" else set()
    assert listed == (there | scripts) - {"__init__.py"}


def enumerations() -> Iterator[type[Enum]]:
    for path in package_files():
        if name_of(path).startswith(("api/", "hsm_sim/")) or "migrations" in path.parts:
            continue
        module: Any = importlib.import_module(
            name_of(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        )
        for value in vars(module).values():
            is_enumeration = isinstance(value, type) and issubclass(value, Enum)
            if is_enumeration and value.__module__ == module.__name__:
                yield value


def test_every_enumeration_and_its_values_stand_in_the_glossary() -> None:
    rows = list(table_rows(section(document("docs/architecture.md"), "## Values 取值")))
    documented = {row[0].strip("`"): set(re.findall(r"`(\w+)`", row[1])) for row in rows}
    kinds = set(enumerations())
    count = Counter(kind.__name__ for kind in kinds)
    there = {
        # Two of one name are told apart by their modules.
        kind.__name__
        if count[kind.__name__] == 1
        else f"{kind.__module__.rpartition('.')[2]}.{kind.__name__}": set(kind.__members__)
        for kind in kinds
    }
    assert len(there) == len(kinds) == len(rows)
    assert documented == there


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
    named = {word for word in commands_in(document("README.md")) if word.startswith("onecard ")}
    assert named == {f"onecard {name}" for name in group.commands}


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
