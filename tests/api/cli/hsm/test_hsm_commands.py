"""`onecard hsm`: a whole ceremony as custodians hold it, from files and at a terminal."""

import getpass
import json
import os
import pty
import select
import stat
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from api.cli.frame.program import app
from api.cli.frame.secrets import ask_secret
from api.cli.hsm import device as hsm_device
from api.composition import city_key_refs
from api.settings import SettingsRefusedError
from cardcore.keys import KeyUsage
from cardcore.schemes.catalogue import SCHEMES
from cardcore.text import Text
from hsm_sim.device.custodians import custody
from hsm_sim.device.device import Device
from hsm_sim.device.inspection import look
from hsm_sim.keys.published_keys import public_test_keys
from tests.hsm_sim.device.devices import files_with, found_in, key_check_value

RUNNER = CliRunner()
PINS = {"keeper-a": b"first pin 11", "keeper-b": b"second pin 22", "keeper-c": b"third pin 333"}
SHEETS = {
    "keeper-a": bytes.fromhex("5D0C4A1B7F92E63841D8B3FC20961E57"),
    "keeper-c": bytes.fromhex("8A4C1F60B3D97E25E15B3C98F2067AD4"),
}
WIDE = {"COLUMNS": "200"}


@pytest.fixture(autouse=True)
def cheap_pins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(custody, "SCRYPT_COST", 16)
    monkeypatch.setattr(hsm_device, "harden_process", lambda: None)


class Room:
    """A room with a device in it, and what its custodians carry: sheets and PINs in files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.device = folder / "device"
        self.said = b""
        for role, pin in PINS.items():
            self.file(f"{role}.pin", pin.decode() + "\n")
        for role, sheet in SHEETS.items():
            self.file(f"{role}.sheet", sheet.hex(" ", 4) + "\n")

    def file(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    def pins(self, *roles: str) -> list[str]:
        names = roles or tuple(PINS)[:2]
        return [
            word for role in names for word in ("--pin-file", f"{role}={self.folder / role}.pin")
        ]

    def sheets(self, *roles: str, kind: str = "sheet") -> list[str]:
        names = roles or tuple(SHEETS)
        return [
            word
            for role in names
            for word in ("--component", f"{role}={self.folder / role}.{kind}")
        ]

    def new_sheets(self, kind: str) -> tuple[list[str], str, list[bytes]]:
        """Components of a new transport or backup key: options, the key's check value, bytes."""
        parts = {}
        for role in ("keeper-a", "keeper-b"):
            out = self.folder / f"{role}.{kind}"
            self.ceremony("component", "--usage", "transport", "--out", out)
            assert stat.S_IMODE(out.stat().st_mode) == 0o600
            parts[role] = bytes.fromhex(out.read_text().split()[0])
        return self.sheets(*parts, kind=kind), key_check_value(parts), list(parts.values())

    def say(self, *words: str | Path, exit_code: int = 0, at: Path | None = None) -> str:
        """One command on the device; gives everything it said, on one line."""
        arguments = ["hsm", *map(str, words), "--device", str(at or self.device)]
        result = RUNNER.invoke(app, arguments, env=WIDE)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        self.said += result.output.encode() + result.stdout.encode() + result.stderr.encode()
        assert result.exit_code == exit_code, result.output
        return " ".join(result.output.split())

    def ceremony(self, *words: str | Path, exit_code: int = 0, at: Path | None = None) -> str:
        return self.say("ceremony", *words, *self.pins(), exit_code=exit_code, at=at)

    def json(self, *words: str | Path, at: Path | None = None) -> dict[str, Any]:
        arguments = ["hsm", *map(str, words), "--json", "--device", str(at or self.device)]
        result = RUNNER.invoke(app, arguments)
        assert result.exit_code == 0, result.output
        document = json.loads(result.stdout)
        assert isinstance(document, dict)
        return document

    def keys(self, at: Path | None = None) -> dict[str, tuple[str, str]]:
        return {e["key"]: (e["state"], e["check_value"]) for e in self.json("keys", at=at)["keys"]}

    def last_day(self, name: str) -> str:
        return next(str(e["valid_to"]) for e in self.json("keys")["keys"] if e["key"] == name)

    def init(self, at: Path | None = None) -> str:
        names = [word for role in PINS for word in ("--custodian", role)]
        return self.say("ceremony", "init", *names, *self.pins(*PINS), at=at)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    made = Room(tmp_path)
    made.init()
    return made


def test_a_whole_ceremony_from_files_leaves_no_clear_secret_anywhere(
    room: Room, tmp_path: Path
) -> None:
    zmk, tac = "transport/bank/v1", "tac/demo/v1"
    zmk_sheets, expected, parts = room.new_sheets("zmk")
    room.ceremony("load", zmk, *zmk_sheets, "--expect", expected, "--activate")
    tac_value = key_check_value(SHEETS, KeyUsage.TAC)
    said = room.ceremony("load", tac, *room.sheets(), "--expect", tac_value, "--exportable")
    assert f"Loaded {tac} (TAC): pboc-3des, prepared" in said
    room.ceremony("activate", tac)
    room.ceremony("generate", "tac/union/v1", "--activate", "--algorithm", "sm4", "--levels", "2")
    room.ceremony("derive", "tac/union/v1", "--as", "tac/issuer/v1", "--factor", "01011000FFFFFFFF")
    room.ceremony("generate", "file-signing/sender-7/v1", "--algorithm", "sm2")
    room.ceremony("validity", "tac/issuer/v1", "--from", "2030-01-01", "--until", "2039-12-31")
    room.say("rotate", "tac/demo", "--overlap-days", "7", *room.pins())
    said = room.say("export", tac, "--under", zmk, "--out", tmp_path / "tac.block", *room.pins())
    letter = f"`--as {tac} --expect {tac_value} --until {room.last_day(tac)}`"
    assert f"Tell the partner by a letter of its own: {letter}" in said
    backup = tmp_path / "all.backup"
    bak_sheets, bak_expected, bak_parts = room.new_sheets("bak")
    said = room.ceremony("backup", "--out", backup, *zmk_sheets, "--expect", expected, exit_code=1)
    assert f"{zmk}: is held here and is no backup key" in said
    room.ceremony("backup", "--out", backup, *bak_sheets, "--expect", bak_expected)
    other = tmp_path / "other"
    room.init(at=other)
    room.ceremony("restore", backup, *bak_sheets, "--expect", bak_expected, at=other)
    assert room.keys(other) == room.keys()

    third = tmp_path / "third"
    room.init(at=third)
    room.ceremony("load", zmk, *zmk_sheets, "--expect", expected, "--activate", at=third)
    named = ("--as", tac, "--expect", tac_value, "--until", room.last_day(tac))
    room.say("import", tmp_path / "tac.block", "--under", zmk, *named, *room.pins(), at=third)
    assert room.keys(third)[tac] == ("prepared", tac_value)

    with_secrets = Device.open(room.device, dict(list(PINS.items())[:2]))
    secrets = [*PINS.values(), *SHEETS.values(), *parts, *bak_parts, with_secrets.storage_key]
    secrets += [each.value for each in with_secrets.vault.entries() if each.value]
    assert len(secrets) == 3 + 2 + 2 + 2 + 1 + 6
    room.ceremony("destroy", tac, "--yes")
    room.ceremony("destroy", "tac/demo/v2", "--yes")
    room.say("keys")
    room.say("ceremony", "log")
    assert room.keys()[tac] == ("destroyed", tac_value)
    for secret in secrets:
        for folder in (room.device, other, third):
            assert files_with(secret, folder) == []
        for shown in (room.said, backup.read_bytes(), (tmp_path / "tac.block").read_bytes()):
            assert not found_in(secret, shown)
    assert "entries hold" in room.ceremony("log", "--verify")


def test_what_shows_a_secret_is_noticed(tmp_path: Path) -> None:
    secret = SHEETS["keeper-a"]
    texts = (secret.hex().encode(), secret.hex(" ").upper().encode(), repr(secret).encode())
    for number, text in enumerate((secret, *texts)):
        (tmp_path / f"{number}").write_bytes(b"x" + text + b"y")
    assert len(files_with(secret, tmp_path)) == 4


def test_a_list_of_keys_says_everything_that_may_be_shown(room: Room) -> None:
    room.ceremony("generate", "tac/union/v1", "--activate", "--exportable", "--levels", "2")
    room.ceremony("derive", "tac/union/v1", "--as", "tac/issuer/v3", "--factor", "00" * 8)
    document = room.json("keys")
    assert document["custodians"] == list(PINS)
    assert document["is_demonstration"] is False
    issuer = document["keys"][0]
    assert issuer | {"check_value": ""} == {
        "key": "tac/issuer/v3", "usage": "tac", "usage_zh": "交易认证码", "label": "issuer",
        "version": 3, "algorithm": "pboc-3des", "state": "prepared", "valid_from": None,
        "valid_to": None, "parent": "tac/union/v1", "levels": 1, "check_value": "",
        "tr31_usage": "E0", "is_exportable": False,
    }  # fmt: skip
    said = room.say("keys")
    for word in ("tac/issuer/v3", "TAC", "prepared", issuer["check_value"], "E0", "exportable"):
        assert word in said


def test_one_custodian_alone_does_nothing_and_neither_does_one_twice(room: Room) -> None:
    command = ("ceremony", "generate", "tac/demo/v1")
    alone = room.pins("keeper-a")
    for pins in (alone, alone + alone):
        assert "two different custodians open a device, and 1 came" in room.say(
            *command, *pins, exit_code=1
        )
    assert room.keys() == {}
    log = room.json("ceremony", "log")
    assert [entry["outcome"] for entry in log["entries"]] == ["done", "refused", "refused"]


def test_a_wrong_pin_five_times_locks_the_two_who_came_and_a_third_unlocks(room: Room) -> None:
    room.file("keeper-b.pin", "not the pin")
    for left in (4, 3, 2, 1, 0):
        said = room.ceremony("generate", "tac/demo/v1", exit_code=1)
        assert f"wrong PIN, whose is not known; {left} tries left" in said
    locked = "keeper-a and keeper-b: locked"
    assert locked in room.ceremony("generate", "tac/demo/v1", exit_code=1)
    assert room.json("keys")["locked"] == ["keeper-a+keeper-b"]
    assert locked in room.say("keys")
    new = room.file("new.pin", "quite another pin\n")
    others = room.pins("keeper-a", "keeper-c")
    room.say("ceremony", "new-pin", "keeper-b", "--new-pin-file", f"keeper-b={new}", *others)
    new.rename(room.folder / "keeper-b.pin")
    room.ceremony("generate", "tac/demo/v1")
    assert not found_in(b"not the pin", (room.device / "log.jsonl").read_bytes() + room.said)


def test_a_component_that_is_not_the_one_on_the_sheet_is_refused(room: Room) -> None:
    room.file("keeper-a.sheet", SHEETS["keeper-a"].hex() + "\n123456\n")
    said = room.ceremony("load", "tac/demo/v1", *room.sheets(), "--expect", "00", exit_code=1)
    assert "key component: check value: 541EE7" in said
    last = room.json("ceremony", "log")["entries"][-1]
    assert (last["action"], last["outcome"], last["key"]) == ("load", "refused", "tac/demo/v1")
    room.file("keeper-a.sheet", SHEETS["keeper-a"].hex())
    said = room.ceremony("load", "tac/demo/v1", *room.sheets(), "--expect", "000000", exit_code=1)
    assert "not the one expected" in said
    assert room.keys() == {}


def test_a_rotation_may_bring_its_key_on_sheets(room: Room) -> None:
    room.ceremony("generate", "tac/demo/v1", "--activate")
    expected = key_check_value(SHEETS, KeyUsage.TAC)
    words = ("rotate", "tac/demo", *room.sheets(), *room.pins())
    said = room.say(*words, "--expect", expected, "--on", "2099-01-01")
    assert "Rotated tac/demo/v2 (TAC): pboc-3des, prepared" in said
    assert room.keys()["tac/demo/v2"] == ("prepared", expected)
    assert "is the next version already" in room.say(*words, "--expect", expected, exit_code=1)
    assert "no version is held" in room.say("rotate", "load/demo", *room.pins(), exit_code=1)


def test_a_key_block_altered_by_one_character_is_not_imported(room: Room, tmp_path: Path) -> None:
    room.ceremony("generate", "transport/bank/v1", "--activate")
    room.ceremony("generate", "tac/demo/v1", "--exportable")
    block = tmp_path / "block"
    under = ("--under", "transport/bank/v1")
    room.say("export", "tac/demo/v1", *under, "--out", block, *room.pins())
    text = block.read_text()
    block.write_text(text[:90] + ("0" if text[90] != "0" else "1") + text[91:])
    held = room.keys()
    assert "key block: mac: does not hold" in room.say(
        "import",
        block,
        *under,
        "--as",
        "tac/demo/v1",
        "--expect",
        "123456",
        *room.pins(),
        exit_code=1,
    )
    assert room.keys() == held


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("generate", "tac"), "not the name of a key"),
        (("generate", "sun/demo/v1"), "not the name of a key"),
        (("generate", "tac/demo/v256"), "not the name of a key"),
        (("generate", "tac/demo/v1", "--algorithm", "rsa"), "may be pboc-3des, sm4, aes"),
        (("derive", "tac/a/v1", "--as", "tac/b/v1", "--factor", "xy"), "16 hexadecimal digits"),
        (("restore", "nowhere"), "no file that can be read as text"),
        (("load", "tac/demo/v1", "--component", "0011223344"), "is given as NAME=PATH"),
        (("load", "tac/demo/v1"), "--component NAME=PATH"),
        (("destroy", "tac/demo/v1"), "--yes"),
    ],
)
def test_words_that_make_no_sense_are_usage_and_change_nothing(
    room: Room, words: tuple[str, ...], message: str
) -> None:
    before = look(room.device)
    said = room.ceremony(*words, exit_code=2)
    assert message in said
    assert "0011223344" not in said
    after = look(room.device)
    assert (after.keys, after.custody) == (before.keys, before.custody)


def test_a_terminal_that_cannot_hide_what_is_typed_is_not_typed_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def shows_all(_: str) -> str:
        warnings.warn("Can not control echo on the terminal.", getpass.GetPassWarning, stacklevel=1)
        return "typed for all to see"

    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(getpass, "getpass", shows_all)
    with pytest.raises(typer.Exit) as caught:
        ask_secret(Text("PIN", "PIN"), "--pin-file NAME=PATH")
    assert caught.value.exit_code == 2


def test_no_file_is_overwritten(room: Room, tmp_path: Path) -> None:
    out = room.file("letter.txt", "dear")
    for words in (
        ("ceremony", "backup", "--out", out),
        ("ceremony", "component", "--usage", "tac", "--out", out),
        ("export", "tac/demo/v1", "--under", "transport/bank/v1", "--out", out),
    ):
        assert "exists already" in room.say(*words, *room.pins(), exit_code=2)
    assert out.read_text() == "dear"
    assert "holds a device already" in room.say(
        "ceremony", "init", *room.pins(*PINS), "--custodian", "keeper-a", exit_code=1
    )
    assert "one custodian is named twice" in room.say(
        "ceremony", "init", "--custodian", "a", "--custodian", "a", exit_code=2, at=tmp_path / "x"
    )


def test_no_device_is_said_in_a_sentence(tmp_path: Path) -> None:
    room = Room(tmp_path)
    for words in (("keys",), ("ceremony", "log"), ("ceremony", "generate", "tac/demo/v1")):
        assert "make one with `onecard hsm ceremony init`" in room.say(
            *words, exit_code=1, at=tmp_path / "nowhere"
        )


def test_a_tampered_log_is_found_by_anybody(room: Room) -> None:
    room.ceremony("generate", "tac/demo/v1")
    log = room.device / "log.jsonl"
    before = log.read_text()
    log.write_text(before.replace("tac/demo/v1", "tac/demo/v9"))
    assert "log entry 3: does not have the hash" in room.say("ceremony", "log", exit_code=1)
    result = RUNNER.invoke(
        app, ["hsm", "ceremony", "log", "--verify", "--json", "--device", str(room.device)]
    )
    assert (result.exit_code, json.loads(result.stdout)["holds"]) == (1, False)
    log.write_text("".join(before.splitlines(keepends=True)[:-1]))
    said = room.say("ceremony", "log", "--verify")
    assert "3 entries hold" in said, "the last one stands in the device's file too"
    head = said.split()[-1]
    room.say("ceremony", "log", "--verify", "--head", head[:16])
    room.say("ceremony", "log", "--verify", "--head", "ab" * 32, exit_code=1)


def test_a_device_is_destroyed_only_by_its_own_name(room: Room) -> None:
    room.ceremony("generate", "tac/demo/v1")
    assert "nothing was destroyed" in room.ceremony("destroy-device", "--yes", "no", exit_code=1)
    device_id = room.json("keys")["device"]
    room.ceremony("destroy-device", "--yes", device_id)
    assert "was destroyed" in room.ceremony("generate", "tac/demo/v2", exit_code=1)
    assert room.keys()["tac/demo/v1"][0] == "destroyed"
    assert room.json("keys")["is_destroyed"]
    assert "entries hold" in room.say("ceremony", "log", "--verify")


def test_a_device_of_public_test_keys_has_all_of_a_city_and_is_never_for_production(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = Room(tmp_path)
    names = ("--custodian", "keeper-a", "--custodian", "keeper-b")
    words = ("ceremony", "init", "--public-test-keys", "shenzhen", *names, *room.pins())
    assert "no scheme" in room.say("ceremony", "init", "--public-test-keys", "x", exit_code=2)
    assert "public test keys" in room.say(*words)
    opened = Device.open(room.device, {role: PINS[role] for role in ("keeper-a", "keeper-b")})
    assert set(opened.vault.refs()) == set(city_key_refs(SCHEMES["shenzhen"]))
    assert set(public_test_keys(opened.vault)) == set(opened.vault.refs())
    assert "public test keys, which anybody can compute" in room.say("keys")
    monkeypatch.setenv("ONECARD_ENVIRONMENT", "production")
    with pytest.raises(SettingsRefusedError, match="production refuses public test keys"):
        room.ceremony("generate", "tac/demo/v9")
    with pytest.raises(SettingsRefusedError, match="production refuses public test keys"):
        room.say(*words, at=tmp_path / "another")


def test_production_works_with_a_device_of_real_keys(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONECARD_ENVIRONMENT", "production")
    room.ceremony("generate", "tac/demo/v1")
    assert set(room.keys()) == {"tac/demo/v1"}


class Terminal:
    """A terminal with a person at it: waits for a question, types an answer."""

    def __init__(self, *words: str) -> None:
        self.screen = b""
        self._process, self._terminal = pty.fork()
        if self._process == 0:
            code = "import sys; from api.cli import main; sys.argv[0] = 'onecard'; main()"
            environment = {**os.environ, "COLUMNS": "200", "TERM": "dumb", "ONECARD_LANG": "en"}
            os.execve(sys.executable, [sys.executable, "-c", code, "hsm", *words], environment)

    def answer(self, question: str, text: str) -> None:
        seen = len(self.screen)
        while question.encode() not in self.screen[seen:]:
            assert self._read(), self.screen.decode()
        os.write(self._terminal, text.encode() + b"\n")

    def end(self) -> int:
        while self._read():
            pass
        os.close(self._terminal)
        return os.waitstatus_to_exitcode(os.waitpid(self._process, 0)[1])

    def _read(self) -> bool:
        if not select.select([self._terminal], [], [], 60)[0]:
            return False
        try:
            piece = os.read(self._terminal, 4096)
        except OSError:  # the other end is closed
            return False
        self.screen += piece
        return bool(piece)


def test_at_a_terminal_pins_and_components_are_typed_without_echo(tmp_path: Path) -> None:
    place = ("--device", str(tmp_path / "device"))
    pins = {"kim": "pin of kim 1", "lee": "pin of lee 2"}
    names = ("--custodian", "kim", "--custodian", "lee")
    first = Terminal("ceremony", "init", *names, *place)
    for role, pin in pins.items():
        first.answer(f"New PIN of {role}", pin)
        first.answer("The same again", pin)
    assert first.end() == 0, first.screen.decode()

    sheets = {"kim": SHEETS["keeper-a"], "lee": SHEETS["keeper-c"]}
    second = Terminal("ceremony", "load", "tac/demo/v1", *place)
    for role, pin in pins.items():
        second.answer("Custodian (kim, lee)", role)
        second.answer(f"PIN of {role}", pin)
    for role, sheet in sheets.items():
        second.answer(f"Component of {role}", sheet.hex(" ", 2))
        second.answer("the check value on the sheet", "y")
    second.answer("the key's check value", "y")
    assert second.end() == 0, second.screen.decode()
    shown = key_check_value(sheets, KeyUsage.TAC)
    assert f"tac/demo/v1 (TAC): pboc-3des, prepared, check value {shown}" in (
        second.screen.decode()
    )

    third = Terminal("ceremony", "destroy", "tac/demo/v1", *place)
    for role, pin in pins.items():
        third.answer("Custodian (kim, lee)", role)
        third.answer(f"PIN of {role}", pin)
    third.answer("Destroy tac/demo/v1", "n")
    assert third.end() == 1
    assert b"not confirmed; nothing was changed" in third.screen
    screens = first.screen + second.screen + third.screen
    for secret in (*(pin.encode() for pin in pins.values()), *sheets.values()):
        assert not found_in(secret, screens)
        assert secret.hex(" ", 2).encode() not in screens
        assert files_with(secret, tmp_path) == []


def test_a_key_that_arrives_is_named_by_the_custodians_and_not_by_its_block(
    room: Room, tmp_path: Path
) -> None:
    room.ceremony("generate", "transport/bank/v1", "--activate")
    room.ceremony("generate", "purchase/demo/v1", "--activate", "--exportable")
    block, under = tmp_path / "block", ("--under", "transport/bank/v1")
    room.say("export", "purchase/demo/v1", *under, "--out", block, *room.pins())
    shown = room.keys()["purchase/demo/v1"][1]
    for arguments, exit_code, why in (
        ((), 2, "--as"),
        (("--as", "load/demo/v1"), 2, "say it with --expect KCV"),
        (("--as", "load/demo/v1", "--expect", shown), 1, "holds purchase/demo/v1, not load"),
        (("--as", "purchase/demo/v1", "--expect", "123456"), 1, "not the one expected"),
    ):
        said = room.say("import", block, *under, *arguments, *room.pins(), exit_code=exit_code)
        assert why in said
