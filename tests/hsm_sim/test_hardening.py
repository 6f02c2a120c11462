"""The process that holds keys: no core dump, nothing for others, no value in a traceback."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hsm_sim.hardening import class_and_place
from tests.hsm_sim.wire.key_server import SIGNING, a_vault
from tests.hsm_sim.wire.serving import KeyServiceProcess
from tests.support.shared import REPOSITORY

CHILD = """
import ctypes, os, sys, threading
from pathlib import Path
from hsm_sim.hardening import harden_process
harden_process()
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))  # PR_GET_DUMPABLE
Path(sys.argv[1]).write_text("x")
def fail(key):
    raise ValueError(f"the key is {key}")
thread = threading.Thread(target=fail, args=("secret-in-thread",))
thread.start(); thread.join()
fail("secret-in-main")
"""


def test_a_hardened_process_shows_nothing_of_what_it_holds(tmp_path: Path) -> None:
    file = tmp_path / "file"
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(file)],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == "0\n"
    assert done.stderr == "failed: ValueError at <string>:9\n" * 2
    assert "secret" not in done.stdout + done.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_serving_process_leaves_no_core_and_lets_nobody_read_its_memory(
    tmp_path: Path,
) -> None:
    with KeyServiceProcess(a_vault(), tmp_path) as process:
        process.service().public_key(SIGNING)
        limits = Path(f"/proc/{process.pid}/limits").read_text().splitlines()
        assert [line.split()[-3:-1] for line in limits if "core file" in line] == [["0", "0"]]
        # Of a process that is not dumpable everything in /proc belongs to root (proc(5)).
        assert Path(f"/proc/{process.pid}/mem").stat().st_uid == 0
        if os.geteuid() != 0:
            with pytest.raises(PermissionError):
                Path(f"/proc/{process.pid}/environ").read_bytes()


def test_a_fault_is_told_by_class_and_place_only() -> None:
    try:
        int("secret")
    except ValueError as error:
        told = class_and_place(error)
    assert told.startswith("ValueError at test_hardening.py:")
    assert class_and_place(KeyError("secret")) == "KeyError"
