"""The second listener: a length of two bytes, a host command, an answer framed alike."""

import socket
import ssl
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
    listen_tls,
    listen_unix,
)
from hsm_sim.wire.links.tls import server_context
from hsm_sim.wire.server import ServerLimits
from tests.hsm_sim.wire.key_server import KeyServer, a_key_server, a_vault
from tests.hsm_sim.wire.links.certificates import SERVICE, Authority
from tests.support.patience import SOON_S

asked: list[tuple[Text, bytes]] = []


def echo(who: Text, message: bytes) -> bytes:
    asked.append((who, message))
    return b"answer to " + message


@pytest.fixture
def street(tmp_path: Path) -> Iterator[tuple[KeyServer, Listener]]:
    asked.clear()
    city = Authority(tmp_path, "city")
    papers = city.issue("keys", usages=SERVICE), city.issue("host")
    context = server_context(papers[0].certificate, papers[0].private_key, city.path)
    listener = listen_tls("127.0.0.1", 0, context, Dialect.HOST_COMMANDS)
    unix = listen_unix(tmp_path / "host.socket", Dialect.HOST_COMMANDS)
    limits = ServerLimits(message_seconds=0.4)
    with a_key_server(
        tmp_path, a_vault(), further=(unix, listener), limits=limits, host_answer=echo
    ) as served:
        yield served, unix


def at(unix: Listener) -> socket.socket:
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    stream.settimeout(SOON_S)
    stream.connect(str(unix).removeprefix("unix:"))
    return stream


def framed(message: bytes) -> bytes:
    return struct.pack(">H", len(message)) + message


def test_commands_are_answered_in_order_on_one_connection(
    street: tuple[KeyServer, Listener],
) -> None:
    with at(street[1]) as stream:
        stream.sendall(framed(b"0000NC") + framed(b"0001NC"))
        expected = framed(b"answer to 0000NC") + framed(b"answer to 0001NC")
        assert receive_exactly(stream, len(expected), Deadline(5)) == expected
    assert [message for _, message in asked] == [b"0000NC", b"0001NC"]
    assert asked[0][0].en.startswith("user ")


def test_a_client_with_a_certificate_speaks_it_and_one_without_is_turned_away(
    street: tuple[KeyServer, Listener], tmp_path: Path
) -> None:
    port = street[0].listeners[-1].port
    with socket.create_connection(("127.0.0.1", port), timeout=SOON_S) as stream:
        stream.sendall(framed(b"0000NC"))
        assert stream.recv(100) in {b"", b"\x15\x03\x01\x00\x02\x02F"}  # an alert, no answer
    assert "TLS" in street[0].wait_for(EventKind.TURNED_AWAY).why.en
    context = ssl.create_default_context(cafile=str(tmp_path / "city.pem"))
    context.load_cert_chain(tmp_path / "city-host.pem", tmp_path / "city-host.key")
    with (
        socket.create_connection(("127.0.0.1", port), timeout=SOON_S) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as stream,
    ):
        stream.sendall(framed(b"0000NC"))
        expected = framed(b"answer to 0000NC")
        assert receive_exactly(stream, len(expected), Deadline(5)) == expected
    assert [who.en.partition(" at ")[0] for who, _ in asked] == ["commonName=host"]


def test_64_one_byte_connections_do_not_lock_out_the_next(
    street: tuple[KeyServer, Listener],
) -> None:
    half = [at(street[1]) for _ in range(64)]
    for stream in half:
        stream.sendall(b"\x00")
    with at(street[1]) as stream:
        stream.sendall(framed(b"0000NC"))
        assert stream.recv(100) == framed(b"answer to 0000NC")
    for stream in half:
        stream.close()


@pytest.mark.parametrize("sent", [b"\x00", b"\x00\x10", b"\x00\x10half"])
def test_a_half_sent_command_is_over_at_its_deadline_or_end(
    street: tuple[KeyServer, Listener], sent: bytes
) -> None:
    served, listener = street
    with at(listener) as stream:
        stream.sendall(sent)
        assert stream.recv(1) == b""
    assert "not complete" in served.wait_for(EventKind.REFUSED).why.en
    with at(listener) as stream:
        stream.sendall(sent)
    assert "half sent" in served.wait_for(EventKind.REFUSED, 2).why.en
    assert asked == []


def test_an_empty_command_reaches_the_parser_as_what_it_is(
    street: tuple[KeyServer, Listener],
) -> None:
    with at(street[1]) as stream:
        stream.sendall(framed(b""))
        assert stream.recv(100) == framed(b"answer to ")
