"""A role, its application and its partner are one new file each: nothing else is touched."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.shared import REPOSITORY

HERE = Path(__file__).parent
PLACES = {
    "applet.py": "cardcore/applets/cinema.py",
    "roles.py": "terminals/roles/cinema.py",
    "partner.py": "terminals/partners/cinema.py",
}


def test_a_role_with_its_own_application_and_partner_is_three_new_files(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for package in ("cardcore", "terminals", "hsm_sim"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / package, tree / package, ignore=ignore)
    before = {each: each.read_bytes() for each in tree.rglob("*") if each.is_file()}
    for source, place in PLACES.items():
        assert not (tree / place).exists()
        shutil.copy(HERE / source, tree / place)
    shutil.copy(HERE / "drive.py", tree / "drive.py")
    done = subprocess.run(
        [sys.executable, "-B", "drive.py", str(tmp_path)],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "box-office 4001 CARD_LIMIT",
        "box-office 8000 APPROVED",
        "cinema-door 4000 APPROVED",
        "cinema-door 4001 INSUFFICIENT_FUNDS",
        "LOAD 40 8000 PROVEN NONE",
        "PURCHASE 40 4000 PROVEN FIXED",
    ]
    assert {each: each.read_bytes() for each in before} == before
