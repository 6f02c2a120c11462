import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.contracts import contracts
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


# An import that each contract forbids.
FORBIDDEN = (
    ("cardcore/records/record.py", "settlement", "Shells import the core"),
    ("terminals/tap/session.py", "settlement", "Shells import the core"),
    ("cardcore/applets/library.py", "cardcore.issuing", "Rooms of cardcore"),
    ("cardcore/layouts/transit.py", "cardcore.chip.memory", "Rooms of cardcore"),
    ("cardcore/dumps/parts.py", "cardcore.records.record", "Rooms of cardcore"),
    ("terminals/journal/journal.py", "terminals.link.pcsc", "Rooms of terminals"),
    ("terminals/tap/flow.py", "terminals.roles.bus", "Rooms of terminals"),
    ("settlement/ledger/entries.py", "settlement.days.closing", "Rooms of settlement"),
    ("settlement/intake/decide.py", "settlement.ledger.entries", "Rooms of settlement"),
    ("settlement/store/days.py", "settlement.service.close", "Rooms of settlement"),
    ("settlement/verification/days.py", "settlement.reports.history", "Rooms of settlement"),
    ("hsm_sim/proof/cmac.py", "hsm_sim.keys.vault", "Rooms of hsm_sim"),
    ("api/simulation/plan.py", "api.cli.frame.session", "Rooms of api"),
    ("settlement/intake/decide.py", "hsm_sim", "Only the composition root names"),
    ("api/bench/tap.py", "hsm_sim", "Only the composition root names"),
    ("cardcore/money.py", "sqlite3", "Pure core"),
    ("settlement/ledger/entries.py", "settlement.store", "Pure rooms of settlement"),
    ("settlement/clearing/tally.py", "duckdb", "Pure rooms of settlement"),
    ("terminals/tap/session.py", "sqlite3", "Pure rooms of terminals"),
    ("terminals/roles/bus.py", "terminals.link.connection", "Pure rooms of terminals"),
    ("terminals/roles/bus.py", "terminals.tap.terminal", "A tap and its roles do not know"),
    ("cardcore/applets/library.py", "cardcore.applets.transit", "Applets do not know each"),
    ("terminals/roles/bus.py", "terminals.roles.shop", "Roles do not know each other"),
    ("api/settings.py", "smartcard", "pyscard lives in one file"),
    ("terminals/link/vpcd.py", "smartcard", "pyscard lives in one file"),
    ("hsm_sim/keys/vault.py", "pkcs11", "python-pkcs11 lives in one folder"),
    ("settlement/facts/columns.py", "sqlalchemy", "SQLAlchemy lives in the store"),
    ("api/cli/files.py", "settlement.store.files", "The api reads through reports"),
    ("settlement/reports/days.py", "settlement.service.close", "Reports only read"),
    ("settlement/engine/local.py", "ray", "Drivers of clusters have files of their own"),
)


def test_every_contract_is_shown_to_bite() -> None:
    names = [each["name"] for each in contracts()]
    shown = {word for _, _, word in FORBIDDEN}
    assert [name for name in names if not name.startswith(tuple(shown))] == []


def test_a_new_file_has_to_be_given_its_place(copy: Path) -> None:
    stranger = copy / "settlement" / "miscellaneous.py"
    stranger.write_text("", encoding="utf-8")
    try:
        outcome = lint(copy)
    finally:
        stranger.unlink()
    assert outcome.returncode != 0
    assert "settlement.miscellaneous" in outcome.stdout + outcome.stderr


@pytest.mark.parametrize(("importer", "imported", "contract"), FORBIDDEN)
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
