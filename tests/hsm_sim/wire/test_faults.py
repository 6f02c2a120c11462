"""A key service that is slow, stuck, killed or absent, and clients that mean no good."""

import os
import random
import signal
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from cardcore.errors import KeyServiceError, KeyServiceUnavailableError
from cardcore.keys import KeyDescription, KeyRef, KeyUsage, TacColumn
from hsm_sim.operations import KeyOperations
from hsm_sim.wire import client, messages
from hsm_sim.wire.addresses import UnixAddress
from hsm_sim.wire.client import RemoteKeyService
from hsm_sim.wire.desk import CHANNELS_MAX
from hsm_sim.wire.events import EventKind
from hsm_sim.wire.frames import LENGTH, encode_frame
from hsm_sim.wire.listeners import ListenError, listen_unix
from hsm_sim.wire.server import ServerLimits
from hsm_sim.wire.streams import Deadline, receive_frame
from tests.hsm_sim.serving import KeyServiceProcess
from tests.hsm_sim.wire.house import (
    DATA,
    FACTOR,
    LABEL,
    SIGNING,
    House,
    a_column,
    a_house,
    a_vault,
    card_ref,
    until,
)

VAULT = a_vault()
LOCAL = KeyOperations(VAULT)
TAC = card_ref(KeyUsage.TAC)
QUICK = ServerLimits(message_seconds=0.4, handshake_seconds=0.4)


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyServiceProcess]:
    with KeyServiceProcess(VAULT, tmp_path_factory.mktemp("service")) as process:
        yield process


def in_thread(act: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """Start it, and where its answer or its error will be."""
    found: list[object] = []

    def work() -> None:
        try:
            found.append(act())
        except KeyServiceUnavailableError as error:
            found.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    return thread, found


def a_stream(house: House) -> socket.socket:
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    stream.connect(str(house.path))
    stream.settimeout(10)
    return stream


# The server is away.


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
    process.send(signal.SIGSTOP)  # the request arrives and is not answered
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
    process.send(signal.SIGSTOP)
    begin = time.monotonic()
    with pytest.raises(KeyServiceUnavailableError, match=r"no answer within 0.3 seconds"):
        service.check_value(TAC, FACTOR)
    assert time.monotonic() - begin < 5
    process.send(signal.SIGCONT)
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


# The clients.


def test_a_channel_is_open_on_the_connection_that_opened_it_only(tmp_path: Path) -> None:
    with a_house(tmp_path, VAULT) as house, a_stream(house) as mine, a_stream(house) as other:

        def ask(
            stream: socket.socket, operation: messages.Operation[Any], *arguments: object
        ) -> object:
            stream.sendall(messages.encode_request(1, operation, arguments))
            answer = receive_frame(stream, Deadline(5))
            assert answer is not None
            return messages.decode_answer(answer, 1, operation)

        handles = [
            ask(mine, messages.OPEN_CHANNEL, LABEL, 1, FACTOR, bytes(16))
            for _ in range(CHANNELS_MAX + 1)
        ]
        expected = LOCAL.open_channel(LABEL, 1, FACTOR, bytes(16)).cryptogram(0)
        assert ask(mine, messages.CHANNEL_CRYPTOGRAM, handles[-1], 0) == expected
        # The oldest gave way; to another connection none of them exists.
        for stream, handle in ((mine, handles[0]), (other, handles[-1]), (other, 0)):
            with pytest.raises(KeyServiceError, match="not open on this connection"):
                ask(stream, messages.CHANNEL_CRYPTOGRAM, handle, 0)


def test_the_socket_is_for_its_owner_only(tmp_path: Path) -> None:
    with a_house(tmp_path, VAULT) as house:
        assert stat.S_IMODE(house.path.stat().st_mode) == 0o600
    assert not house.path.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_is_turned_away_even_where_the_socket_lets_him_in(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents[:-1]):
        if not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o011)
    with a_house(tmp_path, VAULT) as house:
        house.path.chmod(0o666)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.setuid(65534)
                stream = a_stream(house)
                stream.sendall(messages.encode_request(1, messages.PUBLIC_KEY, [SIGNING]))
                code = 0 if stream.recv(1) == b"" else 2
            except ConnectionError:
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert "user 65534 is not the user" in house.wait_for(EventKind.TURNED_AWAY).why


@pytest.mark.parametrize("sent", [b"\x00", b"\x00\x00\x00\x20", b"\x00\x00\x00\x20\x01\x00"])
def test_a_message_sent_slowly_ends_its_connection_and_no_other(
    tmp_path: Path, sent: bytes
) -> None:
    with a_house(tmp_path, VAULT, limits=QUICK) as house, a_stream(house) as slow:
        slow.sendall(sent)
        assert house.service().check_value(TAC, FACTOR) == LOCAL.check_value(TAC, FACTOR)
        assert slow.recv(1) == b""
        assert "not complete within 0.4 seconds" in house.wait_for(EventKind.REFUSED).why


def test_a_message_drop_by_drop_is_over_at_the_deadline_all_the_same(tmp_path: Path) -> None:
    message = messages.encode_request(1, messages.PUBLIC_KEY, [SIGNING])
    begin = time.monotonic()
    with a_house(tmp_path, VAULT, limits=QUICK) as house, a_stream(house) as slow:
        with pytest.raises(ConnectionError):  # noqa: PT012 - it breaks somewhere in there
            for byte in message:
                slow.sendall(bytes((byte,)))
                time.sleep(0.05)
        assert house.wait_for(EventKind.REFUSED).what == "a message"
    assert time.monotonic() - begin < 0.05 * len(message)


def test_a_half_sent_message_is_logged_and_changes_nothing(tmp_path: Path) -> None:
    message = messages.encode_request(1, messages.PUBLIC_KEY, [SIGNING])
    with a_house(tmp_path, VAULT) as house:
        for count, length in enumerate((1, 4, 5, len(message) - 1), start=1):
            with a_stream(house) as stream:
                stream.sendall(message[:length])
            assert "half sent" in house.wait_for(EventKind.REFUSED, count).why
        assert house.service().public_key(SIGNING) == LOCAL.public_key(SIGNING)


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (LENGTH.pack(0xFFFFFFFF), "4294967295 bytes"),
        (LENGTH.pack(0), "0 bytes"),
        (LENGTH.pack(7) + b"\x02\x00\x00\x00\x02{}", "version 2"),
        (LENGTH.pack(7) + b"\x01\x00\x00\x00\x02[]", "not a JSON object"),
        (b"GET / HTTP/1.1\r\n\r\n", "bytes"),
    ],
)
def test_a_message_that_is_none_is_answered_by_name_and_ends_the_connection(
    tmp_path: Path, sent: bytes, why: str
) -> None:
    with a_house(tmp_path, VAULT) as house, a_stream(house) as stream:
        stream.sendall(sent)
        answer = receive_frame(stream, Deadline(5))
        assert answer is not None
        assert answer.header["error"] == "KeyServiceError"
        assert why in str(answer.header["message"])
        assert stream.recv(1) == b""
        assert why in house.wait_for(EventKind.REFUSED).why


def test_a_request_that_is_none_is_answered_by_name_and_the_connection_goes_on(
    tmp_path: Path,
) -> None:
    with a_house(tmp_path, VAULT) as house, a_stream(house) as stream:
        wrong = encode_frame({"id": 5, "operation": "drop\nkeys", "arguments": []})
        stream.sendall(wrong + messages.encode_request(6, messages.PUBLIC_KEY, [SIGNING]))
        refused, answer = (receive_frame(stream, Deadline(5)) for _ in range(2))
        assert refused is not None
        assert answer is not None
        assert (refused.header["id"], refused.header["error"]) == (5, "KeyServiceError")
        assert messages.decode_answer(answer, 6, messages.PUBLIC_KEY) == LOCAL.public_key(SIGNING)
        assert "\n" not in str(house.wait_for(EventKind.REFUSED))


def test_any_bytes_are_answered_or_ended_and_the_next_client_is_served(tmp_path: Path) -> None:
    dice = random.Random(1)
    message = messages.encode_request(1, messages.PUBLIC_KEY, [SIGNING])
    with a_house(tmp_path, VAULT) as house:
        for _ in range(60):
            sent = bytearray(message if dice.random() < 0.7 else dice.randbytes(40))
            for _ in range(dice.randrange(1, 4)):
                sent[dice.randrange(len(sent))] = dice.randrange(256)
            with a_stream(house) as stream, suppress(ConnectionError):
                stream.sendall(sent[: dice.randrange(1, len(sent) + 1)])
                stream.shutdown(socket.SHUT_WR)
                while stream.recv(4096):
                    pass
        assert house.service().public_key(SIGNING) == LOCAL.public_key(SIGNING)
    assert house.said(EventKind.FAILED) == []
    assert house.said(EventKind.REFUSED)


def test_a_fault_inside_is_unavailable_and_tells_nobody_a_value(tmp_path: Path) -> None:
    class Failing(KeyOperations):
        def describe_keys(self, *_: object) -> tuple[KeyDescription, ...]:
            raise ValueError("secret " + "5" * 32)

    with a_house(tmp_path, VAULT, service=Failing(VAULT)) as house:
        service = house.service()
        with pytest.raises(
            KeyServiceUnavailableError, match="failed inside describe_keys"
        ) as error:
            service.describe_keys()
        assert service.public_key(SIGNING) == LOCAL.public_key(SIGNING)
        failed = house.wait_for(EventKind.FAILED)
        assert failed.why.startswith("ValueError at test_faults.py:")
        assert "555" not in str(failed) + str(error.value)
        service.close()


def test_when_every_place_is_taken_the_longest_silent_gives_way(tmp_path: Path) -> None:
    with a_house(tmp_path, VAULT, limits=ServerLimits(connections_max=3)) as house:
        silent = []
        for count in range(1, 4):
            silent.append(a_stream(house))
            house.wait_for(EventKind.CONNECTED, count)
            time.sleep(0.02)
        service = house.service()
        assert service.public_key(SIGNING) == LOCAL.public_key(SIGNING)
        assert silent[0].recv(1) == b""
        for stream in silent[1:]:
            stream.sendall(messages.encode_request(1, messages.PUBLIC_KEY, [SIGNING]))
            assert receive_frame(stream, Deadline(5)) is not None
        for stream in silent:
            stream.close()
        service.close()


def test_a_client_that_takes_no_answer_is_given_up(tmp_path: Path) -> None:
    with a_house(tmp_path, VAULT, limits=QUICK) as house, a_stream(house) as deaf:
        large = messages.encode_request(1, messages.ENCIPHER_DATA, [DATA, bytes(8_000_000), b""])
        deaf.sendall(large)
        assert "not complete" in house.wait_for(EventKind.REFUSED).why
        assert house.service().public_key(SIGNING) == LOCAL.public_key(SIGNING)


# Beginning and end.


def test_two_key_services_cannot_serve_at_one_socket(tmp_path: Path) -> None:
    with a_house(tmp_path, VAULT) as house:
        with pytest.raises(ListenError, match="another key service serves there"):
            listen_unix(house.path)
        assert house.service().public_key(SIGNING) == LOCAL.public_key(SIGNING)


def test_a_socket_that_cannot_be_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path, why in (
        (tmp_path / "file", "no socket"),
        (tmp_path / "absent" / "socket", "folder"),
        (tmp_path / ("x" * 120), "too long"),
    ):
        with pytest.raises(ListenError, match=why):
            listen_unix(path)
    assert (tmp_path / "file").read_text() == "x"


def test_told_to_stop_it_finishes_what_runs_and_takes_nothing_new(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    class Slow(KeyOperations):
        def prove_tacs(self, label: str, column: TacColumn) -> bytes:
            begun.set()
            assert go_on.wait(10)
            return super().prove_tacs(label, column)

    column = a_column(30)
    with a_house(tmp_path, VAULT, service=Slow(VAULT)) as house:
        silent = a_stream(house)
        service = house.service()
        thread, found = in_thread(lambda: service.prove_tacs(LABEL, column))
        assert begun.wait(10)
        stopping = threading.Timer(0.1, go_on.set)
        stopping.start()
    # The house is left when the server has ended.
    thread.join()
    assert found == [LOCAL.prove_tacs(LABEL, column)]
    assert silent.recv(1) == b""
    silent.close()
    with pytest.raises(KeyServiceUnavailableError):
        service.public_key(SIGNING)
    assert house.said(EventKind.STOPPED)


def test_terminated_it_ends_with_code_0_and_leaves_no_socket(tmp_path: Path) -> None:
    with KeyServiceProcess(VAULT, tmp_path) as process:
        process.service().public_key(SIGNING)
        assert process.end(signal.SIGTERM) == 0
        assert not process.path.exists()
        words = process.log.read_text().splitlines()
        assert words[0].startswith("started: unix:")
        assert words[-1].startswith("stopped: unix:")


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
