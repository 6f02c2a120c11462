"""Clients that mean no good, or are many; and how the service begins and ends."""

import os
import random
import signal
import socket
import stat
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from cardcore.errors import KeyServiceError, KeyServiceUnavailableError
from cardcore.keys import KeyDescription, KeyUsage, TacColumn
from hsm_sim.keys.operations import KeyOperations
from hsm_sim.wire.client import RemoteKeyService
from hsm_sim.wire.codec import messages
from hsm_sim.wire.codec.frames import LENGTH, encode_frame
from hsm_sim.wire.codec.streams import Deadline, receive_frame
from hsm_sim.wire.dispatch import CHANNELS_MAX
from hsm_sim.wire.events import EventKind
from hsm_sim.wire.links.addresses import UnixAddress
from hsm_sim.wire.links.listeners import ListenError, listen_unix
from hsm_sim.wire.server import ServerLimits
from tests.hsm_sim.wire.key_server import (
    DATA,
    FACTOR,
    LABEL,
    SIGNING,
    a_column,
    a_key_server,
    a_stream,
    a_vault,
    card_ref,
    in_thread,
)
from tests.hsm_sim.wire.serving import KeyServiceProcess
from tests.support.patience import SOON_S

VAULT = a_vault()
LOCAL = KeyOperations(VAULT)
TAC = card_ref(KeyUsage.TAC)
QUICK = ServerLimits(message_seconds=0.4, handshake_seconds=0.4)


def test_a_channel_is_open_on_the_connection_that_opened_it_only(tmp_path: Path) -> None:
    with (
        a_key_server(tmp_path, VAULT) as served,
        a_stream(served) as mine,
        a_stream(served) as other,
    ):

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
    with a_key_server(tmp_path, VAULT) as served:
        assert stat.S_IMODE(served.path.stat().st_mode) == 0o600
    assert not served.path.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_is_turned_away_even_where_the_socket_lets_him_in(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents[:-1]):
        if not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o011)
    with a_key_server(tmp_path, VAULT) as served:
        served.path.chmod(0o666)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.setuid(65534)
                stream = a_stream(served)
                stream.sendall(messages.encode_request(1, messages.PUBLIC_KEY, [SIGNING]))
                code = 0 if stream.recv(1) == b"" else 2
            except ConnectionError:
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert "user 65534 is not the user" in served.wait_for(EventKind.TURNED_AWAY).why.en


@pytest.mark.parametrize("sent", [b"\x00", b"\x00\x00\x00\x20", b"\x00\x00\x00\x20\x01\x00"])
def test_a_message_sent_slowly_ends_its_connection_and_no_other(
    tmp_path: Path, sent: bytes
) -> None:
    with a_key_server(tmp_path, VAULT, limits=QUICK) as served, a_stream(served) as slow:
        slow.sendall(sent)
        assert served.service().check_value(TAC, FACTOR) == LOCAL.check_value(TAC, FACTOR)
        assert slow.recv(1) == b""
        assert "not complete within 0.4 seconds" in served.wait_for(EventKind.REFUSED).why.en


def test_a_message_drop_by_drop_is_over_at_the_deadline_all_the_same(tmp_path: Path) -> None:
    message = messages.encode_request(1, messages.PUBLIC_KEY, [SIGNING])
    begin = time.monotonic()
    with a_key_server(tmp_path, VAULT, limits=QUICK) as served, a_stream(served) as slow:
        with pytest.raises(ConnectionError):  # noqa: PT012 - it breaks somewhere in there
            for byte in message:
                slow.sendall(bytes((byte,)))
                time.sleep(0.05)
        assert served.wait_for(EventKind.REFUSED).what.en == "a message"
    assert time.monotonic() - begin < 0.05 * len(message)


def test_a_half_sent_message_is_logged_and_changes_nothing(tmp_path: Path) -> None:
    message = messages.encode_request(1, messages.PUBLIC_KEY, [SIGNING])
    with a_key_server(tmp_path, VAULT) as served:
        for count, length in enumerate((1, 4, 5, len(message) - 1), start=1):
            with a_stream(served) as stream:
                stream.sendall(message[:length])
            assert "half sent" in served.wait_for(EventKind.REFUSED, count).why.en
        assert served.service().public_key(SIGNING) == LOCAL.public_key(SIGNING)


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
    with a_key_server(tmp_path, VAULT) as served, a_stream(served) as stream:
        stream.sendall(sent)
        answer = receive_frame(stream, Deadline(5))
        assert answer is not None
        assert answer.header["error"] == "KeyServiceError"
        assert why in str(answer.header["message"])
        assert stream.recv(1) == b""
        assert why in served.wait_for(EventKind.REFUSED).why.en


def test_a_request_that_is_none_is_answered_by_name_and_the_connection_goes_on(
    tmp_path: Path,
) -> None:
    with a_key_server(tmp_path, VAULT) as served, a_stream(served) as stream:
        wrong = encode_frame({"id": 5, "operation": "drop\nkeys", "arguments": []})
        stream.sendall(wrong + messages.encode_request(6, messages.PUBLIC_KEY, [SIGNING]))
        refused, answer = (receive_frame(stream, Deadline(5)) for _ in range(2))
        assert refused is not None
        assert answer is not None
        assert (refused.header["id"], refused.header["error"]) == (5, "KeyServiceError")
        assert messages.decode_answer(answer, 6, messages.PUBLIC_KEY) == LOCAL.public_key(SIGNING)
        assert "\n" not in str(served.wait_for(EventKind.REFUSED))


def test_any_bytes_are_answered_or_ended_and_the_next_client_is_served(tmp_path: Path) -> None:
    dice = random.Random(1)
    message = messages.encode_request(1, messages.PUBLIC_KEY, [SIGNING])
    with a_key_server(tmp_path, VAULT) as served:
        for _ in range(60):
            sent = bytearray(message if dice.random() < 0.7 else dice.randbytes(40))
            for _ in range(dice.randrange(1, 4)):
                sent[dice.randrange(len(sent))] = dice.randrange(256)
            with a_stream(served) as stream, suppress(ConnectionError):
                stream.sendall(sent[: dice.randrange(1, len(sent) + 1)])
                stream.shutdown(socket.SHUT_WR)
                while stream.recv(4096):
                    pass
        assert served.service().public_key(SIGNING) == LOCAL.public_key(SIGNING)
    assert served.said(EventKind.FAILED) == []
    assert served.said(EventKind.REFUSED)


def test_a_fault_inside_is_unavailable_and_tells_nobody_a_value(tmp_path: Path) -> None:
    class Failing(KeyOperations):
        def describe_keys(self, *_: object) -> tuple[KeyDescription, ...]:
            raise ValueError("secret " + "5" * 32)

    with a_key_server(tmp_path, VAULT, service=Failing(VAULT)) as served:
        service = served.service()
        with pytest.raises(
            KeyServiceUnavailableError, match="failed inside describe_keys"
        ) as error:
            service.describe_keys()
        assert service.public_key(SIGNING) == LOCAL.public_key(SIGNING)
        failed = served.wait_for(EventKind.FAILED)
        assert failed.why.en.startswith("ValueError at test_clients.py:")
        assert "555" not in str(failed) + str(error.value)
        service.close()


def test_when_a_client_has_all_its_places_its_longest_silent_gives_way(tmp_path: Path) -> None:
    with a_key_server(tmp_path, VAULT, limits=ServerLimits(connections_a_client=3)) as served:
        silent = []
        for count in range(1, 4):
            silent.append(a_stream(served))
            served.wait_for(EventKind.CONNECTED, count)
            time.sleep(0.02)
        service = served.service()
        assert service.public_key(SIGNING) == LOCAL.public_key(SIGNING)
        assert silent[0].recv(1) == b""
        for stream in silent[1:]:
            stream.sendall(messages.encode_request(1, messages.PUBLIC_KEY, [SIGNING]))
            assert receive_frame(stream, Deadline(5)) is not None
        for stream in silent:
            stream.close()
        service.close()


def test_a_client_that_takes_no_answer_is_given_up(tmp_path: Path) -> None:
    with a_key_server(tmp_path, VAULT, limits=QUICK) as served, a_stream(served) as deaf:
        large = messages.encode_request(1, messages.ENCIPHER_DATA, [DATA, bytes(8_000_000), b""])
        deaf.sendall(large)
        assert "not complete" in served.wait_for(EventKind.REFUSED).why.en
        assert served.service().public_key(SIGNING) == LOCAL.public_key(SIGNING)


# Beginning and end.


def test_two_key_services_cannot_serve_at_one_socket(tmp_path: Path) -> None:
    with a_key_server(tmp_path, VAULT) as served:
        with pytest.raises(ListenError, match="another key service serves there"):
            listen_unix(served.path)
        assert served.service().public_key(SIGNING) == LOCAL.public_key(SIGNING)


def test_a_socket_that_cannot_be_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path, why in (
        (tmp_path / "file", "no socket"),
        (tmp_path / "absent" / "socket", "folder"),
        (tmp_path / "file" / "socket", "folder"),
        (tmp_path / ("x" * 120), "too long"),
    ):
        with pytest.raises(ListenError, match=why):
            listen_unix(path)
    assert (tmp_path / "file").read_text() == "x"
    with pytest.raises(KeyServiceUnavailableError, match="path is too long for a socket"):
        RemoteKeyService(UnixAddress(tmp_path / ("x" * 120))).public_key(SIGNING)


def test_told_to_stop_it_finishes_what_runs_and_takes_nothing_new(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    class Slow(KeyOperations):
        def prove_tacs(self, label: str, column: TacColumn) -> bytes:
            begun.set()
            assert go_on.wait(SOON_S)
            return super().prove_tacs(label, column)

    column = a_column(30)
    with a_key_server(tmp_path, VAULT, service=Slow(VAULT)) as served:
        silent = a_stream(served)
        service = served.service()
        thread, found = in_thread(lambda: service.prove_tacs(LABEL, column))
        assert begun.wait(SOON_S)
        stopping = threading.Timer(0.1, go_on.set)
        stopping.start()
    # The block is left when the server has ended.
    thread.join()
    assert found == [LOCAL.prove_tacs(LABEL, column)]
    assert silent.recv(1) == b""
    silent.close()
    with pytest.raises(KeyServiceUnavailableError):
        service.public_key(SIGNING)
    assert served.said(EventKind.STOPPED)


def test_terminated_it_ends_with_code_0_and_leaves_no_socket(tmp_path: Path) -> None:
    with KeyServiceProcess(VAULT, tmp_path) as process:
        process.service().public_key(SIGNING)
        assert process.end(signal.SIGTERM) == 0
        assert not process.path.exists()
        words = process.log.read_text().splitlines()
        assert words[0].startswith("started: unix:")
        assert words[-1].startswith("stopped: unix:")
