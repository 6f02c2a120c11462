"""The second listener: a length of two bytes, a host command, an answer framed alike."""

import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from cardcore.text import Text
from hsm_sim.wire.codec.streams import Deadline, receive_exactly
from hsm_sim.wire.events import EventKind
from hsm_sim.wire.links.listeners import (
    Dialect,
    Listener,
    ListenError,
    listen_loopback,
    listen_unix,
)
from hsm_sim.wire.server import ServerLimits
from tests.hsm_sim.wire.key_server import KeyServer, a_key_server, a_vault
from tests.support.patience import SOON_S

asked: list[tuple[Text, bytes]] = []


def echo(who: Text, message: bytes) -> bytes:
    asked.append((who, message))
    return b"answer to " + message


@pytest.fixture
def street(tmp_path: Path) -> Iterator[tuple[KeyServer, Listener]]:
    asked.clear()
    listener = listen_loopback("127.0.0.1", 0)
    unix = listen_unix(tmp_path / "host.socket", Dialect.HOST_COMMANDS)
    limits = ServerLimits(message_seconds=0.4)
    with a_key_server(
        tmp_path, a_vault(), further=(listener, unix), limits=limits, host_answer=echo
    ) as served:
        yield served, listener


def framed(message: bytes) -> bytes:
    return struct.pack(">H", len(message)) + message


def test_commands_are_answered_in_order_on_one_connection(
    street: tuple[KeyServer, Listener],
) -> None:
    with socket.create_connection(("127.0.0.1", street[1].port), timeout=SOON_S) as stream:
        stream.sendall(framed(b"0000NC") + framed(b"0001NC"))
        expected = framed(b"answer to 0000NC") + framed(b"answer to 0001NC")
        assert receive_exactly(stream, len(expected), Deadline(5)) == expected
    assert [message for _, message in asked] == [b"0000NC", b"0001NC"]
    assert asked[0][0].en.startswith("127.0.0.1:")


def test_a_unix_socket_speaks_it_too(street: tuple[KeyServer, Listener]) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
        stream.connect(str(street[0].path.with_name("host.socket")))
        stream.sendall(framed(b"0000NC"))
        assert stream.recv(100) == framed(b"answer to 0000NC")


@pytest.mark.parametrize("sent", [b"\x00", b"\x00\x10", b"\x00\x10half"])
def test_a_half_sent_command_is_over_at_its_deadline_or_end(
    street: tuple[KeyServer, Listener], sent: bytes
) -> None:
    served, listener = street
    with socket.create_connection(("127.0.0.1", listener.port), timeout=SOON_S) as stream:
        stream.sendall(sent)
        assert stream.recv(1) == b""
    assert "not complete" in served.wait_for(EventKind.REFUSED).why.en
    with socket.create_connection(("127.0.0.1", listener.port), timeout=SOON_S) as stream:
        stream.sendall(sent)
    assert "half sent" in served.wait_for(EventKind.REFUSED, 2).why.en
    assert asked == []


def test_an_empty_command_reaches_the_parser_as_what_it_is(
    street: tuple[KeyServer, Listener],
) -> None:
    with socket.create_connection(("127.0.0.1", street[1].port), timeout=SOON_S) as stream:
        stream.sendall(framed(b""))
        assert stream.recv(100) == framed(b"answer to ")


def test_host_commands_are_for_this_machine_only() -> None:
    for host in ("0.0.0.0", "192.0.2.1", "::"):
        with pytest.raises(ListenError, match="this machine only"):
            listen_loopback(host, 0)
