"""`onecard hsm serve` as a user starts it: a device, two custodians, a socket, a signal."""

import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.cli.frame.program import app
from api.cli.hsm import serve as hsm_serve
from cardcore.crypto import SUITES
from cardcore.errors import KeyRightError, KeyServiceUnavailableError, UnknownKeyVersionError
from cardcore.keys import Algorithm, KeyRef, KeyState, KeyUsage, TacColumn
from cardcore.text import Language, spoken
from hsm_sim.device.inspection import log_lines
from hsm_sim.keys.operations import KeyOperations
from hsm_sim.keys.published_keys import published_key, published_vault
from hsm_sim.proof.workers import SHARED_ROWS_MIN
from hsm_sim.wire.client import RemoteKeyService
from hsm_sim.wire.links.addresses import TlsAddress, UnixAddress
from tests.hsm_sim.wire.key_server import FACTOR, until
from tests.hsm_sim.wire.links.certificates import SERVICE, Authority
from tests.support.languages import assert_one_language
from tests.support.patience import SLOW_S, SOON_S
from tests.support.shared import REPOSITORY

ONECARD = [sys.executable, "-c", "from api.cli import main; main()"]
TAC = KeyRef(KeyUsage.TAC, "demo", 1)
ROLES = ("custodian-1", "custodian-2", "custodian-3")


def onecard(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*ONECARD, *map(str, arguments)], cwd=REPOSITORY, capture_output=True, text=True,
        stdin=subprocess.DEVNULL, timeout=SLOW_S, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demonstration device and the PINs of its custodians, in files."""
    folder = tmp_path_factory.mktemp("device")
    for role in ROLES:
        (folder / role).write_text(f"pin of {role}\n")
        (folder / role).chmod(0o600)
    done = onecard(
        "hsm", "ceremony", "init", "--device", folder / "device", "--public-test-keys", "demo",
        *pins(folder, 3),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def pins(folder: Path, count: int = 2) -> list[str]:
    return [word for role in ROLES[:count] for word in ("--pin-file", f"{role}={folder / role}")]


def a_long_column() -> TacColumn:
    """Long enough to be handed round to workers; every hundredth row, of one card, is proven."""
    rows = SHARED_ROWS_MIN + 100
    suite = SUITES[Algorithm.PBOC_3DES]
    key = suite.diversify(published_key(TAC), FACTOR)
    messages = [row.to_bytes(22, "big") for row in range(rows)]
    tacs = [
        suite.tac(key, text) if row % 100 == 0 else bytes(4) for row, text in enumerate(messages)
    ]
    cards = [FACTOR if row % 100 == 0 else row.to_bytes(8, "big") for row in range(rows)]
    return TacColumn(
        b"\x01" * rows, b"\x01" * rows, b"".join(cards), b"".join(messages), 22, b"".join(tacs)
    )


class Served:
    """The command, running; everything it says is kept in a file."""

    def __init__(self, home: Path, *arguments: str | Path) -> None:
        self.path = home / "keys.socket"
        self._said = home / "said"
        with self._said.open("wb") as said:
            self.child = subprocess.Popen(
                [*ONECARD, "hsm", "serve", "--device", home / "device", "--socket", self.path,
                 *pins(home), *map(str, arguments)],
                cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said,
            )  # fmt: skip
        until(lambda: self.child.poll() is not None or "ready" in self.said(), 60)
        assert self.child.poll() is None, self.said()

    def said(self) -> str:
        return self._said.read_text()

    def place(self, pattern: str) -> str:
        found = re.search(pattern, self.said())
        assert found, self.said()
        return found[1]


@contextmanager
def served(home: Path, *arguments: str | Path) -> Iterator[Served]:
    running = Served(home, *arguments)
    try:
        yield running
    finally:
        running.child.terminate()
        output, _ = running.child.communicate(timeout=SOON_S)
        assert output == b""


def test_a_device_is_served_until_it_is_told_to_stop(home: Path) -> None:
    with served(home) as running:
        service = RemoteKeyService(UnixAddress(running.path), 20)
        assert len(service.describe_keys()) > 40
        with pytest.raises(UnknownKeyVersionError):
            service.check_value(KeyRef(KeyUsage.TAC, "demo", 9), FACTOR)
        service.close()
        assert "keys, at unix:" in running.said()
        limits = Path(f"/proc/{running.child.pid}/limits").read_text()
        assert re.search(r"Max core file size\s+0\s+0", limits)
        assert Path(f"/proc/{running.child.pid}/mem").stat().st_uid == 0
        running.child.send_signal(signal.SIGINT)  # as Ctrl-C at the terminal
        assert running.child.wait(SOON_S) == 0
        assert not running.path.exists()
    actions = [str(line) for line in log_lines(home / "device")]
    kept = "\n".join(actions)
    assert "serve started" in kept
    assert "serve stopped" in kept
    assert "tac/demo/v9" in kept
    assert onecard("hsm", "ceremony", "log", "--verify", "--device", home / "device",
                   *pins(home)).returncode == 0  # fmt: skip
    everything = running.said().encode() + b"".join(
        path.read_bytes() for path in (home / "device").rglob("*") if path.is_file()
    )
    for role in ROLES:
        assert f"pin of {role}".encode() not in everything
    for usage in KeyUsage:
        value = published_key(KeyRef(usage, "demo", 1))
        for shown in (value, value.hex().encode(), value.hex().upper().encode()):
            assert shown not in everything


def test_a_ceremony_while_it_serves_takes_effect_at_the_next_request(home: Path) -> None:
    with served(home) as running:
        service = RemoteKeyService(UnixAddress(running.path), 20)
        before = service.describe_keys(KeyUsage.TAC, "demo")
        assert [(each.ref.version, each.state) for each in before] == [(1, KeyState.ACTIVE)]
        rotated = onecard("hsm", "rotate", "tac/demo", "--device", home / "device", *pins(home))
        assert rotated.returncode == 0, rotated.stderr
        after = service.describe_keys(KeyUsage.TAC, "demo")
        assert [each.ref.version for each in after] == [1, 2]
        assert service.check_value(KeyRef(KeyUsage.TAC, "demo", 2), FACTOR)
        service.close()


def test_it_serves_under_tls_and_takes_host_commands_beside(home: Path, tmp_path: Path) -> None:
    city = Authority(tmp_path, "city")
    server, mine = city.issue("keys", usages=SERVICE), city.issue("clearing")
    arguments = (
        "--tls", "127.0.0.1:0", "--certificate", server.certificate, "--key", server.private_key,
        "--clients-ca", city.path, "--host-commands", tmp_path / "host.socket", "--workers", "2",
    )  # fmt: skip
    with served(home, *arguments) as running:
        address = TlsAddress(
            "127.0.0.1", int(running.place(r"tls:127\.0\.0\.1:(\d+)")),
            mine.certificate, mine.private_key, city.path,
        )  # fmt: skip
        service = RemoteKeyService(address, 20)
        assert service.check_value(TAC, FACTOR)
        column = a_long_column()
        local = KeyOperations(published_vault([TAC]))
        assert service.prove_tacs("demo", column) == local.prove_tacs("demo", column)
        service.close()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
            stream.settimeout(SOON_S)
            stream.connect(str(tmp_path / "host.socket"))
            for message, answer in ((b"0042B20004ping", b"0042B300ping"), (b"0042ZZ", b"0042Z[68")):
                stream.sendall(struct.pack(">H", len(message)) + message)
                assert stream.recv(200)[2:] == answer
            stream.sendall(b"\x00\x03abc")
            assert stream.recv(200) == b""
        assert "commonName=clearing" in running.said()
    assert "ZZ: 68: is not among the commands" in "\n".join(map(str, log_lines(home / "device")))


def test_a_device_that_vanishes_makes_the_service_unavailable_and_no_key_unknown(
    tmp_path: Path, home: Path
) -> None:
    for name in ROLES:
        shutil.copy(home / name, tmp_path / name)
    shutil.copytree(home / "device", tmp_path / "device")
    with served(tmp_path) as running:
        service = RemoteKeyService(UnixAddress(running.path), 20)
        assert service.check_value(TAC, FACTOR)
        destroyed = tmp_path / "device" / "device.json"
        content = bytearray(destroyed.read_bytes())
        content[len(content) // 2] ^= 1
        destroyed.with_suffix(".new").write_bytes(content)
        destroyed.with_suffix(".new").replace(destroyed)
        for _ in range(2):
            with pytest.raises(KeyServiceUnavailableError, match="device cannot be read"):
                service.check_value(TAC, FACTOR)
        service.close()


def a_rights_file(path: Path, duties: str = '"proving"', mode: int = 0o600) -> Path:
    path.write_text(f'[[right]]\nwho = "user:{os.geteuid()}"\nduties = [{duties}]\n')
    path.chmod(mode)
    return path


def test_a_rights_file_binds_everybody_and_what_is_refused_stands_in_the_devices_log(
    home: Path, tmp_path: Path
) -> None:
    with served(home, "--rights", a_rights_file(tmp_path / "rights.toml")) as running:
        service = RemoteKeyService(UnixAddress(running.path), 20)
        assert len(service.describe_keys()) > 40
        assert service.prove_tacs("demo", TacColumn(b"", b"", b"", b"", 22, b"")) == b""
        with pytest.raises(KeyRightError, match="may not do derive_card_key, the duty key-release"):
            service.derive_card_key(TAC, FACTOR)
        service.close()
        assert f"rights: user:{os.geteuid()}\n" in running.said()
        assert "no rights file" not in running.said()
    kept = "\n".join(map(str, log_lines(home / "device")))
    assert "derive_card_key: KeyRightError: user:" in kept
    assert re.search(r"serve started.*rights: user:", kept)


def test_without_a_rights_file_it_says_that_whoever_is_let_in_may_use_every_key(
    home: Path,
) -> None:
    with served(home) as running:
        assert "no rights file: whoever is let in may use every key" in running.said()


@pytest.mark.parametrize(
    ("duties", "mode", "why"),
    [
        ('"printing"', 0o600, "right 1, duties: printing is none of proving"),
        ('"data', 0o600, "line 3"),
        ('"data"', 0o620, "others may write it; take that away with chmod go-w"),
        ('"data"', 0o602, "others may write it; take that away with chmod go-w"),
    ],
)
def test_a_rights_file_that_cannot_be_believed_serves_nothing_and_asks_for_no_pin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, duties: str, mode: int, why: str
) -> None:
    refused_rights(a_rights_file(tmp_path / "rights.toml", duties, mode), monkeypatch, why)


def test_what_is_no_rights_file_serves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused_rights(tmp_path / "absent.toml", monkeypatch, "no such file")
    refused_rights(tmp_path, monkeypatch, "is a folder")
    os.mkfifo(tmp_path / "pipe", 0o600)
    refused_rights(tmp_path / "pipe", monkeypatch, "is no plain file")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    (tmp_path / "bytes").chmod(0o600)
    refused_rights(tmp_path / "bytes", monkeypatch, "no text in UTF-8")
    theirs = a_rights_file(tmp_path / "theirs.toml")
    if os.geteuid() == 0:
        os.chown(theirs, 65534, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 65534)
    refused_rights(theirs, monkeypatch, "could change it")


@pytest.mark.parametrize("language", Language)
def test_production_serves_nobody_without_a_rights_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: Language
) -> None:
    monkeypatch.setattr(hsm_serve, "harden_process", lambda: None)
    monkeypatch.setenv("ONECARD_ENVIRONMENT", "production")
    place = tmp_path / "keys.socket"
    with spoken(language):
        done = CliRunner().invoke(app, ["hsm", "serve", "--socket", str(place)])
    assert done.exit_code == 2
    assert "--rights " in done.stderr
    assert_one_language(done.stderr, language)
    assert not place.exists()


def refused_rights(path: Path, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    monkeypatch.setattr(hsm_serve, "harden_process", lambda: None)
    place = path.parent / "keys.socket"
    words = ["hsm", "serve", "--socket", str(place), "--rights", str(path)]
    done = CliRunner().invoke(app, words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"{path}: " in done.stderr
    assert why in done.stderr
    assert not place.exists()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "--socket PATH"),
        (("--tls", "127.0.0.1:0"), "--certificate, --key and --clients-ca"),
        (
            ("--socket", "HERE/x", "--host-commands", "0.0.0.0:1500"),
            "--host-commands HOST:PORT need",
        ),
        (("--socket", "HERE/x", "--host-commands", "1500"), "HOST:PORT"),
        (("--socket", "HERE/x", "--revoked", "HERE/list"), "say it with --clients-ca"),
        (("--socket", "HERE/absent/keys.socket"), "Is the folder there"),
    ],
    ids=range(6),
)
def test_a_place_that_cannot_be_served_is_usage_before_any_pin_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], why: str
) -> None:
    # In this process, which must stay as it is.
    monkeypatch.setattr(hsm_serve, "harden_process", lambda: None)
    words = [each.replace("HERE", str(tmp_path)) for each in arguments]
    done = CliRunner().invoke(app, ["hsm", "serve", *words])
    assert (done.exit_code, done.stdout) == (2, "")
    assert why in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_host_commands_are_refused_by_name_in_production(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hsm_serve, "harden_process", lambda: None)
    monkeypatch.setenv("ONECARD_ENVIRONMENT", "production")
    words = ["--socket", str(tmp_path / "x"), "--host-commands", str(tmp_path / "host")]
    done = CliRunner().invoke(app, ["hsm", "serve", "--rights", "absent", *words])
    assert done.exit_code == 2
    assert "production takes no host commands (--host-commands)" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_pin_serves_nothing(home: Path, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text("not it\n")
    (tmp_path / "wrong").chmod(0o600)
    wrong = ["--pin-file", f"{ROLES[0]}={tmp_path / 'wrong'}", *pins(home, 2)[2:]]
    place = tmp_path / "keys.socket"
    done = onecard("hsm", "serve", "--device", home / "device", "--socket", place, *wrong)
    assert (done.returncode, done.stdout) == (1, "")
    assert not place.exists()
    assert "not it" not in done.stderr
