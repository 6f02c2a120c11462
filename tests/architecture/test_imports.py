import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.shared import REPOSITORY
from tests.support.tree import PACKAGES

# A process of its own: import-linter imports the packages of the folder it runs in.
LINT = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(LINT, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    shutil.copy(REPOSITORY / "pyproject.toml", folder)
    for name in PACKAGES:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / name, folder / name, ignore=ignore)
    return folder


def test_every_contract_on_the_direction_of_imports_is_kept() -> None:
    outcome = lint(REPOSITORY)
    assert outcome.returncode == 0, outcome.stdout


@pytest.mark.parametrize(
    ("importer", "imported", "contract"),
    [
        ("cardcore/money.py", "sqlite3", "The core does no I/O"),
        ("cardcore/records/record.py", "settlement", "Shells import the core"),
        ("terminals/tap/session.py", "settlement", "Shells import the core"),
        ("settlement/intake/decide.py", "hsm_sim", "Only the composition root names"),
        ("settlement/facts/columns.py", "sqlalchemy", "SQLAlchemy lives in the store"),
        ("settlement/ledger/entries.py", "settlement.store", "Decisions of settlement do no I/O"),
        ("terminals/tap/session.py", "sqlite3", "The session and its roles do no I/O"),
        ("cardcore/applets/library.py", "cardcore.applets.transit", "Applets do not know each"),
        ("api/settings.py", "smartcard", "pyscard lives in one file"),
        ("terminals/link/vpcd.py", "smartcard", "pyscard lives in one file"),
        ("hsm_sim/keys/vault.py", "pkcs11", "python-pkcs11 lives in one folder"),
        ("api/cli/files.py", "settlement.store.files", "The api reads through reports"),
        ("settlement/reports/days.py", "settlement.service.close", "Reports only read"),
        ("settlement/engine/local.py", "ray", "Drivers of clusters have files of their own"),
    ],
)
def test_a_forbidden_import_breaks_its_contract(
    copy: Path, importer: str, imported: str, contract: str
) -> None:
    file = copy / importer
    before = file.read_text(encoding="utf-8")
    file.write_text(f"{before}\nimport {imported}\n", encoding="utf-8")
    try:
        outcome = lint(copy)
    finally:
        file.write_text(before, encoding="utf-8")
    assert outcome.returncode != 0
    broken = [line for line in outcome.stdout.splitlines() if " BROKEN" in line]
    assert any(line.startswith(contract) for line in broken), outcome.stdout
