"""A key service that is slow, stuck, killed or absent: unavailable, and never a wrong answer."""

import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cardcore.errors import KeyServiceError, KeyServiceUnavailableError
from cardcore.keys import KeyRef, KeyUsage
from hsm_sim.keys.operations import KeyOperations
from hsm_sim.wire import client
from hsm_sim.wire.client import RemoteKeyService
from hsm_sim.wire.codec import messages
from hsm_sim.wire.codec.frames import encode_frame
from hsm_sim.wire.codec.streams import Deadline, receive_frame
from hsm_sim.wire.links.addresses import UnixAddress
from hsm_sim.wire.server import ServerLimits
from tests.hsm_sim.wire.key_server import (
    FACTOR,
    LABEL,
    a_column,
    a_vault,
    card_ref,
    in_thread,
    until,
)
from tests.hsm_sim.wire.serving import KeyServiceProcess

VAULT = a_vault()
LOCAL = KeyOperations(VAULT)
TAC = card_ref(KeyUsage.TAC)
QUICK = ServerLimits(message_seconds=0.4, handshake_seconds=0.4)


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyServiceProcess]:
    with KeyServiceProcess(VAULT, tmp_path_factory.mktemp("service")) as process:
        yield process


def test_an_absent_key_service_is_unavailable_and_says_how_to_start_it(tmp_path: Path) -> None:
    service = RemoteKeyService(UnixAddress(tmp_path / "nothing"), 1)
    with pytest.raises(KeyServiceUnavailableError, match="start it with `onecard hsm serve`"):
        service.check_value(TAC, FACTOR)


def test_a_key_service_killed_between_two_calls_is_unavailable_until_it_is_back(
    process: KeyServiceProcess,
) -> None:
    service = process.service()
    expected = service.check_value(TAC, FACTOR)
    process.end(signal.SIGKILL)
    for _ in range(2):
        with pytest.raises(KeyServiceUnavailableError, match="start it"):
            service.check_value(TAC, FACTOR)
    process.start()
    assert service.check_value(TAC, FACTOR) == expected
    service.close()


def test_a_key_service_killed_in_the_middle_of_a_request_is_unavailable_and_the_call_repeats(
    process: KeyServiceProcess,
) -> None:
    service = process.service()
    service.check_value(TAC, FACTOR)
    with process.paused():
        thread, found = in_thread(lambda: service.check_value(TAC, FACTOR))
        time.sleep(0.1)
        assert found == []
        process.end(signal.SIGKILL)
    thread.join()
    assert isinstance(found[0], KeyServiceUnavailableError)
    assert "repeat when it serves again" in str(found[0])
    process.start()
    assert service.check_value(TAC, FACTOR) == LOCAL.check_value(TAC, FACTOR)
    service.close()


def test_a_key_service_killed_in_the_middle_of_a_column_gives_no_verdict_on_any_row(
    process: KeyServiceProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    column = a_column(400)
    monkeypatch.setattr(client, "COLUMN_ROWS_MAX", 10)
    asked = []
    service = process.service()
    ask = service.ask

    def kill_half_way(operation: messages.Operation[bytes], *arguments: object) -> bytes:
        asked.append(operation.name)
        if len(asked) == 20:
            process.end(signal.SIGKILL)
        return ask(operation, *arguments)

    monkeypatch.setattr(service, "ask", kill_half_way)
    with pytest.raises(KeyServiceUnavailableError):
        service.prove_tacs(LABEL, column)
    assert len(asked) == 20
    process.start()
    assert service.prove_tacs(LABEL, column) == LOCAL.prove_tacs(LABEL, column)
    service.close()


def test_a_key_service_that_is_stuck_is_unavailable_in_time_and_usable_again(
    process: KeyServiceProcess,
) -> None:
    service = process.service(timeout_seconds=0.3)
    expected = service.check_value(TAC, FACTOR)
    begin = time.monotonic()
    unavailable = pytest.raises(KeyServiceUnavailableError, match=r"no answer within 0.3 seconds")
    with process.paused(), unavailable:
        service.check_value(TAC, FACTOR)
    assert time.monotonic() - begin < 5
    # The late answer to the first request must not be taken for that to the second.
    other = bytes(8)
    slow = process.service()
    assert slow.check_value(TAC, other) == LOCAL.check_value(TAC, other) != expected
    assert slow.check_value(TAC, FACTOR) == expected
    slow.close()
    service.close()


def test_a_channel_dies_with_its_server_and_another_one_can_be_opened(
    process: KeyServiceProcess,
) -> None:
    service = process.service()
    channel = service.open_channel(LABEL, 1, FACTOR, bytes(16))
    channel.cryptogram(0)
    process.restart()
    for _ in range(2):
        with pytest.raises(KeyServiceUnavailableError):
            channel.cryptogram(0)
    again = service.open_channel(LABEL, 1, FACTOR, bytes(16))
    local = LOCAL.open_channel(LABEL, 1, FACTOR, bytes(16))
    assert again.cryptogram(0) == local.cryptogram(0)
    service.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        encode_frame({"id": 1, "result": None}, [b"four"]),
        encode_frame({"id": 2, "result": None}, [b"abc"]),
        encode_frame({"id": 1, "error": "OSError", "message": "x"}),
        encode_frame({"id": 1, "result": None}, [b"abc"])[:-1],
        b"\x00\x00",
        b"",
    ],
)
def test_whatever_else_answers_there_is_unavailable(tmp_path: Path, answer: bytes) -> None:
    path = tmp_path / "keys.socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as waiting:
        waiting.bind(str(path))
        waiting.listen()
        service = RemoteKeyService(UnixAddress(path), 5)
        thread, found = in_thread(lambda: service.check_value(TAC, FACTOR))
        stream, _ = waiting.accept()
        receive_frame(stream, Deadline(5))
        stream.sendall(answer)
        stream.close()
        thread.join()
        assert isinstance(found[0], KeyServiceUnavailableError)
        assert str(found[0]).startswith(f"unix:{path}: ")


def test_no_key_byte_is_in_what_the_process_writes(process: KeyServiceProcess) -> None:
    service = process.service()
    derived = service.derive_card_key(TAC, FACTOR).value
    for label in (LABEL, "elsewhere"):
        for usage in KeyUsage:
            ref = KeyRef(usage, label, 3)
            for act in (service.public_key, lambda ref: service.check_value(ref, FACTOR)):
                with pytest.raises(KeyServiceError):
                    act(ref)
    until(lambda: "UnknownKeyVersionError" in process.log.read_text())
    written = process.log.read_bytes()
    values = [entry.value for entry in VAULT.entries() if entry.value] + [derived]
    for value in values:
        for shown in (value, value.hex().encode(), value.hex().upper().encode()):
            assert shown not in written
    service.close()
