"""An auditor that shares a rule with the product would share its mistakes."""

import ast
import sys
from pathlib import Path

from tests.support.shared import REPOSITORY
from tests.support.tree import parse

_FOLDER = REPOSITORY / "tests" / "support" / "audit"
#: The record's codec, and the library whose primitives prove a TAC.
_ALLOWED = ("cardcore.records", "cardcore.errors", "cryptography", "tests.support.audit")


def _imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module, path
            found.add(node.module)
    return found


def test_the_auditor_shares_nothing_with_the_product_but_the_records_codec() -> None:
    files = sorted(_FOLDER.glob("*.py"))
    imported = {name for path in files for name in _imported(path)}
    foreign = {name for name in imported if name.split(".")[0] not in sys.stdlib_module_names}
    assert {name for name in foreign if not name.startswith(_ALLOWED)} == set()
    assert any(name.startswith("cryptography") for name in foreign)
    # What the codec itself needs is all of cardcore that comes along.
    assert not any(name.startswith("cardcore.records.tac") for name in foreign)
