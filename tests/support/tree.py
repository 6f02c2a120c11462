"""The repository as the house rules see it: its packages, its texts, the tables in them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.support.shared import REPOSITORY

PACKAGES = ("cardcore", "terminals", "settlement", "api", "hsm_sim")
_TEXT_SUFFIXES = {".py", ".md", ".toml", ".txt", ".yaml", ".html", ".css", ".js", ".mako", ".sql"}


def package_files() -> list[Path]:
    """Every Python file of the product."""
    return _inside_packages("*.py")


def script_files() -> list[Path]:
    """Every SQL file of the product."""
    return _inside_packages("*.sql")


def _inside_packages(pattern: str) -> list[Path]:
    return sorted(path for name in PACKAGES for path in (REPOSITORY / name).rglob(pattern))


def text_files() -> list[Path]:
    """Every text of the repository, whoever wrote it; nothing that a tool made."""
    folders = (*PACKAGES, "tests", "docs", "benchmarks")
    inside = (path for name in folders for path in (REPOSITORY / name).rglob("*"))
    named = (REPOSITORY / name for name in ("Makefile", ".ci/run", ".gitignore"))
    at_top = (path for path in REPOSITORY.iterdir() if not path.name.startswith("_"))
    texts = {path for path in (*inside, *at_top) if path.suffix in _TEXT_SUFFIXES} | set(named)
    return sorted(path for path in texts if path.is_file())


def name_of(path: Path) -> str:
    """A path as the documents write it."""
    return path.relative_to(REPOSITORY).as_posix()


def module_of(path: Path) -> str:
    """A Python file as an import names it."""
    name = name_of(path).removesuffix(".py").removesuffix("/__init__")
    return name.replace("/", ".")


def parse(path: Path) -> ast.Module:
    """The syntax tree of a Python file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def document(name: str) -> str:
    """The text of a document named from the root of the repository."""
    return (REPOSITORY / name).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """What stands under a Markdown heading, until the next one of the same or a higher level."""
    level = heading.split(" ", maxsplit=1)[0]
    start = re.search(rf"^{re.escape(heading)}$", text, re.MULTILINE)
    assert start, f"no heading {heading!r}"
    end = re.search(rf"^#{{1,{len(level)}}} ", text[start.end() :], re.MULTILINE)
    return text[start.end() :][: end.start() if end else None]


def table_rows(text: str) -> Iterator[list[str]]:
    """The rows of every Markdown table in a text, without head and rule, cells stripped."""
    lines = text.splitlines()
    for index, line in enumerate(lines):
        is_rule = bool(re.fullmatch(r"\|[-:| ]+\|", line))
        is_head = index + 1 < len(lines) and bool(re.fullmatch(r"\|[-:| ]+\|", lines[index + 1]))
        if line.startswith("|") and not is_rule and not is_head:
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
