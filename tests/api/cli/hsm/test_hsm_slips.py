"""`onecard hsm` in hasty hands: files others may read, a name twice, half a disk, half a log."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from api.cli.frame.program import app
from api.cli.hsm import device as hsm_device
from hsm_sim.device.custodians import custody
from tests.api.cli.hsm.test_hsm_commands import RUNNER, SHEETS, WIDE, Room
from tests.support.shared import REPOSITORY


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(custody, "SCRYPT_COST", 16)
    monkeypatch.setattr(hsm_device, "harden_process", lambda: None)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    made = Room(tmp_path)
    made.init()
    return made


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_pin_or_a_component_that_others_may_read_is_not_taken(room: Room, mode: int) -> None:
    (room.folder / "keeper-b.pin").chmod(mode)
    assert "chmod 600" in room.ceremony("generate", "tac/demo/v1", exit_code=2)
    (room.folder / "keeper-b.pin").chmod(0o600)
    (room.folder / "keeper-c.sheet").chmod(mode)
    load = ("load", "tac/demo/v1", *room.sheets(), "--expect", "000000")
    assert "chmod 600" in room.ceremony(*load, exit_code=2)
    assert room.keys() == {}


def test_one_custodian_does_not_bring_two_components(room: Room) -> None:
    """The second would silently take the place of the first."""
    again = room.file("again.sheet", "00112233445566778899AABBCCDDEEFF\n")
    twice = ("--component", f"keeper-a={again}", *room.sheets())
    said = room.ceremony("load", "tac/demo/v1", *twice, "--expect", "000000", exit_code=1)
    assert "keeper-a: two different files are given for one custodian" in said
    other = tuple(word.replace("keeper-c.pin", "keeper-a.pin") for word in room.pins("keeper-c"))
    said = room.say("ceremony", "generate", "tac/demo/v1", *room.pins(), *other, exit_code=1)
    assert "two different custodians open a device, and 3 came" in said
    assert room.keys() == {}


@pytest.mark.parametrize("algorithm", ["pboc-3des", "sm4", "aes"])
def test_components_made_here_load_the_key_they_were_made_for(room: Room, algorithm: str) -> None:
    of = ("--algorithm", algorithm)
    for role in SHEETS:
        (room.folder / f"{role}.sheet").unlink()
        out = room.folder / f"{role}.sheet"
        room.ceremony("component", "--usage", "tac", "--out", out, *of)
    load = ("load", "tac/demo/v1", *of, *room.sheets())
    said = room.ceremony(*load, "--expect", "000000", exit_code=1)
    shown = said.split("the key has check value ")[1][:6]
    room.ceremony(*load, "--expect", shown)
    assert room.keys() == {"tac/demo/v1": ("prepared", shown)}


def test_a_check_value_is_not_expected_of_a_random_key(room: Room) -> None:
    room.ceremony("generate", "tac/demo/v1", "--activate")
    held = room.keys()
    said = room.say("rotate", "tac/demo", "--expect", "ABCDEF", *room.pins(), exit_code=2)
    assert "--expect is for components" in said
    assert room.keys() == held


def test_an_overlap_without_end_is_refused_in_a_sentence_and_logged(room: Room) -> None:
    room.ceremony("generate", "tac/demo/v1", "--activate")
    held = room.keys()
    words = ("rotate", "tac/demo", "--overlap-days", "99999999999")
    assert "on no day of the calendar" in room.say(*words, *room.pins(), exit_code=1)
    assert room.json("ceremony", "log")["entries"][-1]["outcome"] == "refused"
    assert room.keys() == held


def test_a_disk_that_is_full_leaves_no_half_a_component(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = room.folder / "new.sheet"
    component = ("ceremony", "component", "--usage", "tac", "--out", str(out), *room.pins())
    fsync = os.fsync

    def full(descriptor: int) -> None:
        if os.fstat(descriptor).st_ino == (out.stat().st_ino if out.exists() else 0):
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            room.say(*component, exit_code=1)
    assert not out.exists()
    room.say(*component)


def test_a_log_whose_seal_is_forged_is_not_said_to_hold(room: Room) -> None:
    """Without PINs nobody can tell; with them the one answer says what is true."""
    file = room.device / "device.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "seal": "00" * 32}))
    words = ["hsm", "ceremony", "log", "--verify", "--json", "--device", str(room.device)]
    assert json.loads(RUNNER.invoke(app, words).stdout)["holds"] is True
    result = RUNNER.invoke(app, [*words, *room.pins()], env=WIDE)
    document = json.loads(result.stdout)
    assert (result.exit_code, document["holds"]) == (1, False)
    assert "was altered" in document["fault"]


def test_of_two_custodians_a_locked_one_has_nobody_to_ask(room: Room) -> None:
    at = room.folder / "pair"
    both = ("--custodian", "keeper-a", "--custodian", "keeper-b")
    room.say("ceremony", "init", *both, *room.pins(), at=at)
    room.file("keeper-b.pin", "not the pin")
    for _ in range(5):
        room.ceremony("generate", "tac/demo/v1", exit_code=1, at=at)
    said = room.ceremony("generate", "tac/demo/v1", exit_code=1, at=at)
    assert "nobody is left to give a new one" in said


@pytest.mark.parametrize("command", ["ceremony init", "ceremony generate tac/demo/v1", "serve"])
def test_what_holds_pins_leaves_no_core_and_lets_nobody_read_its_memory(
    tmp_path: Path, command: str
) -> None:
    """A ceremony as well as serving: from before the first file with a PIN is read."""
    socket = ("--socket", "keys.socket") if command == "serve" else ()
    code = """
import ctypes, resource, sys
from api.cli.frame.program import app
from api.cli.hsm import device as hsm_device

PR_GET_DUMPABLE = 3
def read_files(values):
    dumpable = ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0)
    print(resource.getrlimit(resource.RLIMIT_CORE), dumpable, sys.excepthook is sys.__excepthook__)
    raise SystemExit

hsm_device._read_files = read_files
app(["hsm", *sys.argv[1:]])
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, *command.split(), *socket], cwd=tmp_path,
        capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    assert done.stdout == "(0, 0) 0 False\n", done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "gbk", "utf-8"])
def test_a_terminal_without_the_characters_ends_nothing_half_way(room: Room, encoding: str) -> None:
    """A folder whose name is no text, and a terminal that cannot show 中文."""
    at = os.fsencode(room.folder) + b"/\xff\xe5"
    names = [word for role in ("keeper-a", "keeper-b") for word in ("--custodian", role)]
    words: list[str | bytes] = ["hsm", "ceremony", "init", *names, *room.pins(), "--device", at]
    done = subprocess.run(
        [sys.executable, "-c", "from api.cli import main; main()", *words],
        capture_output=True, check=False, cwd=REPOSITORY,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\\udcff" in done.stdout
