import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.support.contracts import is_inside, pure_places, shells_of_pure_places
from tests.support.shared import REPOSITORY
from tests.support.tree import PACKAGES, module_of, name_of, package_files, parse, text_files

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 450
FOLDER_MODULES_MAX = 12
BANNED_IN_PURE_CODE = {
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today",
    "time.time", "time.time_ns", "time.monotonic", "time.perf_counter", "time.sleep",
    "os.urandom", "os.environ", "os.getenv", "secrets.token_bytes", "random.random",
    "uuid.uuid1", "uuid.uuid4", "uuid1", "uuid4", "open", "input", "print",
}  # fmt: skip
# Written in two parts, so that this file does not find itself.
UNFINISHED = re.compile(r"\b(TO" + "DO|FIX" + "ME|XX" + "X|HA" + r"CK)\b")
MACHINE_PATH = re.compile(r"(?<![\w.>*])/(wo" + "rk|ho" + "me|ro" + "ot|op" + "t|Us" + r"ers)/\w")
INDEX_ADDRESS = re.compile(
    r"index-" + r"url|find-" + r"links|trusted-" + r"host|://[^\s)]*/sim" + r"ple\b|py" + r"pi\.org"
    r"|pythonhos" + "ted"
)


def lines_matching(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{name_of(path)}:{number}: {line.strip()}"
        for path in text_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]


def is_pure(path: Path) -> bool:
    """Where nothing may ask the clock, the dice or the operating system: time and randomness
    arrive as arguments. Which places those are stands in the contracts on imports.
    """
    module = module_of(path)
    return is_inside(module, pure_places()) and not is_inside(module, shells_of_pure_places())


def dotted_name(node: ast.expr) -> str:
    """`datetime.now` for both `datetime.now()` and `datetime.datetime.now()`."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted_name(node.value).rpartition('.')[2]}.{node.attr}"
    return ""


def banned_uses(tree: ast.AST) -> list[tuple[int, str]]:
    return sorted(
        (node.lineno, name)
        for node in ast.walk(tree)
        if isinstance(node, ast.Name | ast.Attribute)
        and (name := dotted_name(node)) in BANNED_IN_PURE_CODE
    )


def test_nothing_is_left_unfinished() -> None:
    assert lines_matching(UNFINISHED) == []


def test_no_path_of_a_machine_is_written_down() -> None:
    assert lines_matching(MACHINE_PATH) == []


def test_no_address_of_a_package_index_is_written_down() -> None:
    assert lines_matching(INDEX_ADDRESS) == []


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (UNFINISHED, "# TO" + "DO: later"),
        (MACHINE_PATH, "folder = '/ho" + "me/somebody/city'"),
        (INDEX_ADDRESS, "--extra-index-" + "url=x"),
        (INDEX_ADDRESS, "see https://packages.example/sim" + "ple/"),
    ],
)
def test_each_pattern_finds_what_it_forbids(pattern: re.Pattern[str], line: str) -> None:
    assert pattern.search(line)


def test_functions_fit_on_a_screen() -> None:
    too_long = [
        f"{name_of(path)}:{node.lineno} {node.name} ({size} lines)"
        for path in package_files()
        for node in ast.walk(parse(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (size := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES_MAX
    ]
    assert too_long == []


def test_a_file_holds_one_idea() -> None:
    sizes = {name_of(p): len(p.read_text(encoding="utf-8").splitlines()) for p in package_files()}
    assert {name: size for name, size in sizes.items() if size > FILE_LINES_MAX} == {}


def test_a_folder_is_read_at_a_glance() -> None:
    modules = Counter(
        path.parent
        for name in (*PACKAGES, "tests")
        for path in (REPOSITORY / name).rglob("*.py")
        if path.name != "__init__.py"
    )
    crowded = {name_of(p): n for p, n in modules.items() if n > FOLDER_MODULES_MAX}
    assert crowded == {}


def test_every_module_says_what_it_decides() -> None:
    silent = [
        name_of(p) for p in package_files() if not (ast.get_docstring(parse(p)) or "").strip()
    ]
    assert silent == []


def test_pure_places_are_found() -> None:
    pure = {name_of(path) for path in package_files() if is_pure(path)}
    assert {"cardcore/money.py", "settlement/days/closing.py", "terminals/tap/session.py"} <= pure
    assert pure.isdisjoint({"terminals/tap/terminal.py", "settlement/store/days.py"})


def test_pure_code_asks_neither_clock_nor_dice_nor_system() -> None:
    found = [
        f"{name_of(path)}:{line} {name}"
        for path in package_files()
        if is_pure(path)
        for line, name in banned_uses(parse(path))
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    ["datetime.datetime.now()", "x = date.today", "from uuid import uuid4; uuid4()", "print(1)"],
)
def test_a_banned_call_is_found_however_it_is_spelled(source: str) -> None:
    assert banned_uses(ast.parse(source))


def test_only_the_command_line_prints() -> None:
    printing = [
        f"{name_of(path)}:{node.lineno}"
        for path in package_files()
        if not name_of(path).startswith("api/")
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Call) and dotted_name(node.func) == "print"
    ]
    assert printing == []
