"""No log, no service: what happens to requests and to entries while the log cannot be written."""

import errno
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from cardcore.errors import KeyServiceUnavailableError
from cardcore.keys import KeyRef, KeyService, KeyUsage
from hsm_sim.device import device as devices
from hsm_sim.device.inspection import log_lines, prove_log
from hsm_sim.wire.events import Event, EventKind, plain
from hsm_sim.wire.served_device import ServedDevice
from tests.hsm_sim.device.devices import add, make
from tests.hsm_sim.psam import psams
from tests.hsm_sim.wire.key_server import FACTOR, a_served_device

Trouble = Callable[[Path], AbstractContextManager[None]]
USAGES = (KeyUsage.PURCHASE, KeyUsage.LOAD, KeyUsage.TAC, KeyUsage.FILE_MAINTENANCE)
CHANNEL = (KeyUsage.CHANNEL_ENC, KeyUsage.CHANNEL_MAC, KeyUsage.CHANNEL_DEK)


def ref(usage: KeyUsage) -> KeyRef:
    return KeyRef(usage, psams.LABEL, 1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "device"


@pytest.fixture
def served(folder: Path, monkeypatch: pytest.MonkeyPatch) -> ServedDevice:
    monkeypatch.setattr(devices, "SERVED_LOCK_SECONDS", 0.05)
    device = make(folder)
    for usage in (*USAGES, *CHANNEL):
        add(device, ref(usage))
    return ServedDevice(device, lambda _: None)


@contextmanager
def held_lock(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder / "lock", os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def log_gone(folder: Path) -> Iterator[None]:
    (folder / "log.jsonl").rename(folder / "log.away")
    try:
        yield
    finally:
        (folder / "log.away").rename(folder / "log.jsonl")


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """A disk that takes no more, told to root as well: its mode alone stops root from nothing."""
    opened = os.open

    def refused(path: str | Path, flags: int, mode: int = 0o777) -> int:
        if Path(path) == folder / "log.jsonl" and flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return opened(path, flags, mode)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", refused)
        yield


TROUBLES: list[Trouble] = [held_lock, read_only]
Act = Callable[[KeyService], object]
MACS: list[Act] = [
    lambda keys: keys.session_mac(ref(KeyUsage.LOAD), FACTOR, bytes(8), b"data"),
    lambda keys: keys.message_mac(ref(KeyUsage.FILE_MAINTENANCE), FACTOR, bytes(4), b"data"),
    lambda keys: keys.derive_card_key(ref(KeyUsage.TAC), FACTOR),
    lambda keys: keys.open_channel(psams.LABEL, 1, FACTOR, bytes(16)),
]


@pytest.mark.parametrize("trouble", TROUBLES)
def test_without_a_log_no_key_and_no_mac_leaves_the_service(
    served: ServedDevice, folder: Path, trouble: Trouble
) -> None:
    with a_served_device(served, folder.parent) as service:
        channel = service.open_channel(psams.LABEL, 1, FACTOR, bytes(16))
        psam = service.make_psam(psams.PROFILE)
        for act in MACS:
            act(service)
        with trouble(folder):
            refused: list[Act] = [
                *MACS,
                lambda _: channel.wrapped_card_keys((ref(KeyUsage.TAC),), FACTOR),
                lambda _: channel.command_mac(b"data"),
                lambda _: psam.transmit(psams.initialise().encode()),
                lambda keys: keys.describe_keys(),
            ]
            for act in refused:
                with pytest.raises(KeyServiceUnavailableError, match="no log, no service"):
                    act(service)
        for act in MACS:
            act(service)
    prove_log(folder)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_what_happened_meanwhile_stands_in_the_log_when_it_can_be_written_again(
    served: ServedDevice, folder: Path, trouble: Trouble
) -> None:
    with trouble(folder):
        for number in range(3):
            served.log(Event(EventKind.TURNED_AWAY, plain(f"somebody {number}")))
        # Of what was not given out nothing is to be said.
        with pytest.raises(KeyServiceUnavailableError, match="no log, no service"):
            served.log(Event(EventKind.DONE, plain("bureau"), plain("derive_card_key")))
        with pytest.raises(KeyServiceUnavailableError, match="no log, no service"):
            served.keys()
    served.keys()
    told = [str(line["reason"]) for line in log_lines(folder) if "serve" in str(line["action"])]
    assert told == [f"somebody {number}" for number in range(3)]
    prove_log(folder)


def test_who_connects_in_vain_meanwhile_fills_no_memory_and_is_counted(
    served: ServedDevice, folder: Path
) -> None:
    with read_only(folder):
        for number in range(1_250):
            served.log(Event(EventKind.TURNED_AWAY, plain(f"somebody {number}")))
    served.keys()
    served.log(Event(EventKind.STOPPED, plain("here")))
    lines = log_lines(folder)
    assert "1010 more left out" in str(lines[-2]["reason"])
    assert str(lines[-3]["reason"]) == "somebody 239"
    prove_log(folder)


def test_a_full_disk_is_no_place_for_a_log(
    served: ServedDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = os.statvfs("/")
    full = os.statvfs_result((*found[:3], 0, 0, *found[5:10]))
    monkeypatch.setattr(os, "fstatvfs", lambda _: full)
    with pytest.raises(KeyServiceUnavailableError, match="no log, no service"):
        served.keys()


def test_a_log_that_is_gone_closes_the_service_for_good_and_says_why(
    served: ServedDevice, folder: Path
) -> None:
    """Whoever removes it has something to hide: it takes two custodians to serve again."""
    with log_gone(folder):
        for _ in range(2):
            with pytest.raises(KeyServiceUnavailableError, match="no log, no service"):
                served.keys()
            served.log(Event(EventKind.REFUSED, plain("somebody")))
    with pytest.raises(KeyServiceUnavailableError, match="the log was cut"):
        served.keys()


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_host_gets_no_key_either(served: ServedDevice, folder: Path, trouble: Trouble) -> None:
    made = b"0001A00FFFS#72T2B00E00%00"
    assert served.host_answer(plain("host"), made)[4:8] == b"A100"
    with (
        trouble(folder),
        pytest.raises(KeyServiceUnavailableError, match="no log, no service"),
    ):
        served.host_answer(plain("host"), made)
    told = [line for line in log_lines(folder) if line["action"] == "serve done"]
    assert len(told) == 1


def cut(folder: Path) -> None:
    os.truncate(folder / "log.jsonl", (folder / "log.jsonl").stat().st_size // 2)


def emptied(folder: Path) -> None:
    os.truncate(folder / "log.jsonl", 0)


def overwritten(folder: Path) -> None:
    (folder / "log.jsonl").write_bytes(b"x" * (folder / "log.jsonl").stat().st_size)


def replaced(folder: Path) -> None:
    (folder / "log.jsonl").unlink()
    (folder / "log.jsonl").write_bytes(b"")


def linked_to_nowhere(folder: Path) -> None:
    (folder / "log.jsonl").unlink()
    (folder / "log.jsonl").symlink_to("/dev/null")


def linked_to_itself(folder: Path) -> None:
    (folder / "log.jsonl").rename(folder / "log.away")
    (folder / "log.jsonl").symlink_to("log.away")


def a_pipe(folder: Path) -> None:
    (folder / "log.jsonl").unlink()
    os.mkfifo(folder / "log.jsonl")


def end_changed(folder: Path) -> None:
    document = json.loads((folder / "device.json").read_text())
    document["log"]["count"] -= 1
    (folder / "device.json").write_text(json.dumps(document))


def end_and_log_of_before(folder: Path) -> None:
    lines = (folder / "log.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "log.jsonl").write_bytes(b"".join(lines[:-1]))
    end_changed(folder)


@pytest.mark.parametrize(
    "attack",
    [
        cut, emptied, overwritten, replaced, linked_to_nowhere, linked_to_itself, a_pipe,
        end_changed, end_and_log_of_before,
    ],
)  # fmt: skip
def test_a_log_swapped_under_the_service_ends_it_at_the_next_request(
    served: ServedDevice, folder: Path, attack: Callable[[Path], None]
) -> None:
    with a_served_device(served, folder.parent) as service:
        MACS[0](service)
        attack(folder)
        for act in MACS:
            with pytest.raises(
                KeyServiceUnavailableError, match=r"no log, no service|device.s file was altered"
            ):
                act(service)


def test_a_log_copied_back_whole_is_proven_and_serves_on(
    served: ServedDevice, folder: Path
) -> None:
    with a_served_device(served, folder.parent) as service:
        MACS[0](service)
        content = (folder / "log.jsonl").read_bytes()
        (folder / "log.jsonl").unlink()
        (folder / "log.jsonl").write_bytes(content)
        MACS[0](service)
        MACS[2](service)
    prove_log(folder)
