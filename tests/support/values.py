"""The page of closed enumerations, written from the code: `make values` makes `docs/values.md` new.

Decides what stands on the page: every enumeration of cardcore, terminals and settlement, its
numbers where they are stored or sent, and its Chinese words. Words come from the member's `Text`,
or from the comment behind the member. Those of `hsm_sim` stand in the documents about keys.
"""

import ast
import importlib
import re
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from cardcore.text import Text
from tests.support.shared import REPOSITORY
from tests.support.tree import module_of, name_of, package_files, parse

PAGE = "docs/values.md"
_HEAD = """# Values 取值

Closed enumerations, with their numbers where they are stored or sent. A number is never used again
for something else. Where the order is a precedence, the first that holds is given; the docstring
says so. Those of `hsm_sim` are in [keys.md](keys.md), [psam.md](psam.md) and
[formats.md](formats.md).

This page is written by `make values` from the code; a test compares.

| enumeration | in | values |
|---|---|---|
"""
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
#: What follows the word in a comment is said in English.
_END_OF_WORD = re.compile(r"[:;,] ")


def enumerations() -> Iterator[type[Enum]]:
    """Every enumeration of the three packages, by module, in the order of the code."""
    for path in package_files():
        if name_of(path).startswith(("api/", "hsm_sim/")) or "migrations" in path.parts:
            continue
        module: Any = importlib.import_module(module_of(path))
        for value in dict.fromkeys(
            each for each in vars(module).values() if isinstance(each, type)
        ):
            if issubclass(value, Enum) and value.__module__ == module.__name__:
                yield value


def words(kind: type[Enum]) -> Mapping[str, str]:
    """The Chinese word of each member; empty where none is written."""
    if hasattr(kind, "text"):
        return {each.name: each.text.zh for each in kind}
    if all(isinstance(each.value, Text) for each in kind):
        return {each.name: each.value.zh for each in kind}
    written = _members(kind)
    return {name: written[name][1] for name in kind.__members__}


def page() -> str:
    """The whole page."""
    return _HEAD + "".join(_row(kind) for kind in enumerations())


def _row(kind: type[Enum]) -> str:
    said, written = words(kind), _members(kind)
    values = " · ".join(
        " ".join(filter(None, (f"`{name}`", _number(member, written[name][0]), said[name])))
        for name, member in kind.__members__.items()
    )
    return f"| `{kind.__name__}` | `{kind.__module__}` | {values} |\n"


def _number(member: Enum, source: str) -> str:
    """The number of a member as the code writes it; texts and internal values have none."""
    if not isinstance(member.value, int) or source.startswith("auto"):
        return ""
    return source.removeprefix("0x") if source.startswith("0x") else str(member.value)


def _members(kind: type[Enum]) -> Mapping[str, tuple[str, str]]:
    """The value of each member as it is written, and the Chinese word in the comment behind it."""
    path = REPOSITORY / (kind.__module__.replace(".", "/") + ".py")
    if not path.exists():
        path = path.with_suffix("") / "__init__.py"
    lines = path.read_text(encoding="utf-8").splitlines()
    found = next(
        node
        for node in ast.walk(parse(path))
        if isinstance(node, ast.ClassDef) and node.name == kind.__name__
    )
    members = {}
    for node in found.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            written, _, comment = lines[(node.end_lineno or node.lineno) - 1].partition("  # ")
            word = _END_OF_WORD.split(comment)[0]
            source = written.partition(" = ")[2]
            members[node.targets[0].id] = source, word if _CHINESE.search(word) else ""
    return members


if __name__ == "__main__":
    (REPOSITORY / PAGE).write_text(page(), encoding="utf-8")
