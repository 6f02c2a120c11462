"""What comes next is new files: a role with an application and a partner of its own, and a new
sector, are four of them, driven from the first APDU to the ledger, and no other file is touched.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.shared import REPOSITORY
from tests.support.tree import PACKAGES

HERE = Path(__file__).parent / "growth"
PLACES = {
    "applet.py": "cardcore/applets/swimming.py",
    "partner.py": "terminals/partners/swimming_club.py",
    "roles.py": "terminals/roles/pool.py",
    "sector.py": "settlement/sectors/swimming.py",
}
#: What drives the card there, and no part of the product.
DRIVER = ("tests/__init__.py", "tests/support", "tests/architecture/growth")
APPLICATION, SECTOR = 41, 88
OWN_LABEL = "lakeside-swimming"


def hashes(folder: Path) -> dict[str, str]:
    """Every file of the five packages, by its path."""
    files = (path for name in PACKAGES for path in (folder / name).rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The five packages as they are, and four files more."""
    folder = tmp_path_factory.mktemp("grown") / "tree"
    ignore = shutil.ignore_patterns("__pycache__")
    for name in (*PACKAGES, *DRIVER):
        if (REPOSITORY / name).is_dir():
            shutil.copytree(REPOSITORY / name, folder / name, ignore=ignore)
        else:
            (folder / name).parent.mkdir(parents=True)
            shutil.copy(REPOSITORY / name, folder / name)
    for source, place in PLACES.items():
        assert not (folder / place).exists()
        shutil.copy(HERE / source, folder / place)
    return folder


@pytest.fixture(scope="module")
def driven(tree: Path) -> Mapping[str, Any]:
    """What came of the drive, in a process that sees the copy and not the repository."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.architecture.growth.drive", str(tree.parent)],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: Mapping[str, Any] = json.loads(done.stdout)
    return found


def test_four_files_are_new_and_no_other_is_touched(tree: Path, driven: Mapping[str, Any]) -> None:
    assert driven["origin"].startswith(str(tree))
    before, after = hashes(REPOSITORY), hashes(tree)
    assert after.keys() - before.keys() == set(PLACES.values())
    assert {name: after[name] for name in before} == before


def test_the_new_files_keep_every_contract_on_imports(tree: Path) -> None:
    shutil.copy(REPOSITORY / "pyproject.toml", tree)
    lint = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    outcome = subprocess.run(lint, cwd=tree, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stdout


def test_the_desk_asks_its_own_partner_and_the_gate_its_psam(driven: Mapping[str, Any]) -> None:
    assert driven["taps"] == [
        "pool-desk 30001 CARD_LIMIT",  # only the club says so: the purse would take it
        "pool-desk 10000 APPROVED",
        "pool-gate 3001 RECOVERED",
        "pool-gate 2999 APPROVED",
        "pool-gate 4001 INSUFFICIENT_FUNDS",
    ]
    assert driven["allowed"] == [[APPLICATION, 10_000]]


def test_the_records_name_application_and_sector_and_prove_under_its_own_label_alone(
    driven: Mapping[str, Any],
) -> None:
    assert driven["records"] == [
        ["LOAD", APPLICATION, SECTOR, 10_000, 0],
        ["PURCHASE", APPLICATION, SECTOR, 3_001, 0],
        ["PURCHASE", APPLICATION, SECTOR, 2_999, 1],
    ]
    assert driven["proofs"] == [["PROVEN", "WRONG"]] * 3
    assert OWN_LABEL in driven["keys"]


def test_the_day_closes_and_its_money_is_shared_by_the_new_rule(
    driven: Mapping[str, Any],
) -> None:
    totals = driven["totals"]
    assert driven["answers"] == ["ACCEPTED"]
    assert len(set(driven["output_hashes"])) == 1
    assert (totals["records"], totals["accepted"], totals["gaps_open"]) == (3, 3, 0)
    assert (totals["float_fen"], totals["card_balance_fen"]) == (4_000, 4_000)
    assert totals["notes"] == {"recovered": 1}
    whole = {
        "taps": 2, "tariff_fen": 6_000, "charged_fen": 6_000, "loads": 1, "load_fen": 10_000
    }  # fmt: skip
    assert driven["applications"] == driven["sectors"] == {"swimming": whole}
    # A fifth of each ticket, not of their sum: 600 of 3001 and 599 of 2999.
    assert {account: fen for account, fen in driven["balances"].items() if fen} == {
        "card_float": -4_000,
        "load_agent/601": 10_000,
        "operator/101": -1_199,
        "operator/601": -4_801,
    }


def test_everything_is_verified_from_the_raw_bytes(driven: Mapping[str, Any]) -> None:
    assert driven["findings"] == []
    assert driven["invariants"] == {f"I{number}": True for number in range(1, 11)}


def test_the_history_of_a_ticket_tells_the_purse_and_every_share(
    driven: Mapping[str, Any],
) -> None:
    _, ticket, _ = driven["histories"]
    steps = {name: (text, data) for name, text, data in ticket}
    text, data = steps["tap"]
    assert "card 03103310000000000041 (swimming): purchase at 湖滨泳池" in text
    assert (data["application"], data["sector"]) == (APPLICATION, SECTOR)
    assert steps["tac"][1] == {"proof": "PROVEN"}
    assert steps["card"][1]["joins"]
    assert steps["decision"][1]["disposition"] == "ACCEPTED"
    assert steps["ledger"][1]["postings"] == {
        "card_float": 3_001,
        "operator/101": -600,
        "operator/601": -2_401,
    }
