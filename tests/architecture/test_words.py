"""Every message of the program, in both languages: each stands whole in one place, in each alone.

The sources are read and not run: whatever the program can say is a `Text` or goes through `words`.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cardcore.text import Language
from tests.support.languages import assert_one_language
from tests.support.tree import name_of, package_files

CHINESE = re.compile("[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]")
MAKERS = {"Text", "words"}
#: What stands in a sentence for a value.
VALUE = "\u2026"
#: Rows of a table in both languages, each made into a `Text`.
ROWS = {"cardcore/layouts/labels.py"}
ENGLISH = re.compile(r"(?<![-`/.])\b[a-z]{4,}\b")


def literal(node: ast.expr) -> str | None:
    """A text as it is written, with a mark for each value; None where it is not written here."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(each.value) if isinstance(each, ast.Constant) else VALUE for each in node.values
        )
    return None


def docstrings(tree: ast.AST) -> set[int]:
    return {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }


def messages(tree: ast.AST) -> Iterator[tuple[int, ast.expr, ast.expr]]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name), args=[zh, en]) if name in MAKERS:
                yield node.lineno, zh, en


SOURCES = [path for path in package_files() if path.suffix == ".py"]


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_every_message_is_said_whole_in_either_language(path: Path) -> None:
    for line, zh, en in messages(ast.parse(path.read_text(encoding="utf-8"))):
        for node, language in ((zh, Language.ZH), (en, Language.EN)):
            said = literal(node)
            if said is None or not said.replace(VALUE, "").strip():
                continue
            try:
                assert_one_language(said, language)
            except AssertionError as error:
                raise AssertionError(f"{name_of(path)}:{line}: {error}") from None
        told = [literal(each) for each in (zh, en)]
        assert all(told) or not any(told) or None in told, f"{name_of(path)}:{line}: one is empty"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_line_mixes_the_languages(path: Path) -> None:
    """Outside of messages Chinese stands alone: a name of data, or a part of a message."""
    if name_of(path) in ROWS:
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    allowed = docstrings(tree)
    for _, zh, _ in messages(tree):
        allowed |= {id(each) for each in ast.walk(zh)}
    stray = [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and CHINESE.search(node.value)
        and ENGLISH.search(node.value)
        and id(node) not in allowed
    ]
    assert stray == [], name_of(path)
