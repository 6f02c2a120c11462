"""A certificate speaks on its days alone, also on an open connection, and in its own place."""

import socket
import ssl
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from cardcore.errors import KeyServiceUnavailableError
from hsm_sim.keys.operations import KeyOperations
from hsm_sim.wire.client import RemoteKeyService
from hsm_sim.wire.events import EventKind
from hsm_sim.wire.links.addresses import TlsAddress
from hsm_sim.wire.links.listeners import listen_tls
from hsm_sim.wire.links.tls import TlsSetupError, server_context
from tests.hsm_sim.wire.key_server import SIGNING, a_key_server, a_vault
from tests.hsm_sim.wire.links.certificates import CLIENT, SERVICE, Authority, Paper
from tests.support.patience import SOON_S

VAULT = a_vault()
KEY = KeyOperations(VAULT).public_key(SIGNING)


@pytest.fixture
def city(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "city")


def raw_context(side: int, paper: Paper, city: Authority) -> ssl.SSLContext:
    """As a thief makes one: nothing of ours looks at the certificate."""
    context = ssl.SSLContext(side)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(paper.certificate, paper.private_key)
    context.load_verify_locations(city.path)
    return context


@pytest.mark.parametrize("days", [2, -3.5])
def test_a_certificate_that_expires_is_cut_in_its_open_connection(
    tmp_path: Path, city: Authority, days: float
) -> None:
    """The handshake looked at its days, and an open connection was answered for ever."""
    now = [datetime.now(UTC)]
    paper, mine = city.issue("keys", usages=SERVICE), city.issue("bus")
    context = server_context(paper.certificate, paper.private_key, city.path)
    listener = replace(listen_tls("127.0.0.1", 0, context), now=lambda: now[0])
    with a_key_server(tmp_path, VAULT, further=(listener,)) as served:
        address = TlsAddress(
            "127.0.0.1", listener.port, mine.certificate, mine.private_key, city.path
        )
        service = RemoteKeyService(address, SOON_S)
        assert service.public_key(SIGNING) == KEY
        now[0] += timedelta(days=days)
        for _ in range(2):
            with pytest.raises(KeyServiceUnavailableError):
                service.public_key(SIGNING)
        assert "is not valid now" in served.wait_for(EventKind.TURNED_AWAY).why.en
        service.close()


@pytest.mark.parametrize("usages", [(), CLIENT])
def test_a_clients_certificate_does_not_play_the_key_service(
    city: Authority, usages: Sequence[x509.ObjectIdentifier]
) -> None:
    """A thief of one without extended key usage answered in the key service's place."""
    thief, mine = city.issue("thief", usages=usages), city.issue("clearing")
    context = raw_context(ssl.PROTOCOL_TLS_SERVER, thief, city)
    with socket.create_server(("127.0.0.1", 0)) as waits:

        def answer() -> None:
            stream, _ = waits.accept()
            try:
                with context.wrap_socket(stream, server_side=True) as secured:
                    secured.recv(1)
            except OSError:
                stream.close()

        thread = threading.Thread(target=answer)
        thread.start()
        port = waits.getsockname()[1]
        address = TlsAddress("127.0.0.1", port, mine.certificate, mine.private_key, city.path)
        with pytest.raises(KeyServiceUnavailableError, match=r"serverAuth|certificate purpose"):
            RemoteKeyService(address, SOON_S).public_key(SIGNING)
        thread.join(SOON_S)
        assert not thread.is_alive()


@pytest.mark.parametrize("usages", [(), SERVICE, (*SERVICE, *CLIENT)])
def test_the_key_service_answers_no_certificate_that_is_not_a_clients_alone(
    tmp_path: Path, city: Authority, usages: Sequence[x509.ObjectIdentifier]
) -> None:
    paper, other = city.issue("keys", usages=SERVICE), city.issue("bus", usages=usages)
    listener = listen_tls(
        "127.0.0.1", 0, server_context(paper.certificate, paper.private_key, city.path)
    )
    with a_key_server(tmp_path, VAULT, further=(listener,)) as served:
        context = raw_context(ssl.PROTOCOL_TLS_CLIENT, other, city)
        with socket.create_connection(("127.0.0.1", listener.port), SOON_S) as stream:
            secured = context.wrap_socket(stream, server_hostname="127.0.0.1")
            with pytest.raises(OSError):  # noqa: PT012, PT011 - or the end
                if secured.recv(1) == b"":
                    raise ConnectionResetError
            secured.close()
        why = served.wait_for(EventKind.TURNED_AWAY).why.en
        assert "no client's" in why or "TLS" in why


def test_each_side_is_told_of_its_own_certificate_before_it_is_shown(city: Authority) -> None:
    client, both = city.issue("bus"), (ExtendedKeyUsageOID.SERVER_AUTH, *CLIENT)
    with pytest.raises(TlsSetupError, match="is no key service's"):
        server_context(client.certificate, client.private_key, city.path)
    paper = city.issue("two", usages=both)
    address = TlsAddress("127.0.0.1", 1, paper.certificate, paper.private_key, city.path)
    with pytest.raises(KeyServiceUnavailableError, match="must not have serverAuth"):
        RemoteKeyService(address, SOON_S).public_key(SIGNING)
