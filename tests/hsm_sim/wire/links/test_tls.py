"""TLS with certificates on both sides: who is not known is refused, and both sides say why."""

import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from cardcore.errors import KeyServiceUnavailableError
from hsm_sim.keys.operations import KeyOperations
from hsm_sim.wire.client import RemoteKeyService
from hsm_sim.wire.codec import messages
from hsm_sim.wire.events import EventKind
from hsm_sim.wire.links.addresses import AddressError, TlsAddress, read_host_port
from hsm_sim.wire.links.listeners import ListenError, listen_tls
from hsm_sim.wire.links.tls import TlsSetupError, client_context, server_context
from hsm_sim.wire.server import ServerLimits
from tests.hsm_sim.wire.key_server import SIGNING, KeyServer, a_key_server, a_vault, until
from tests.hsm_sim.wire.links.certificates import SERVICE, Authority, Paper
from tests.support.patience import SOON_S

VAULT = a_vault()
KEY = KeyOperations(VAULT).public_key(SIGNING)


@dataclass(frozen=True)
class Street:
    """A key server over TLS, what gets in, and where the papers come from."""

    served: KeyServer
    city: Authority
    server: Paper
    address: TlsAddress

    def shows(self, paper: Paper) -> RemoteKeyService:
        address = replace(
            self.address, certificate=paper.certificate, private_key=paper.private_key
        )
        return RemoteKeyService(address, 5)


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Street]:
    city = Authority(tmp_path, "city")
    server, mine = city.issue("keys", usages=SERVICE), city.issue("clearing-1")
    context = server_context(server.certificate, server.private_key, city.path)
    listener = listen_tls("127.0.0.1", 0, context)
    limits = ServerLimits(handshake_seconds=0.5)
    address = TlsAddress("127.0.0.1", listener.port, mine.certificate, mine.private_key, city.path)
    with a_key_server(tmp_path, VAULT, further=(listener,), limits=limits) as served:
        yield Street(served, city, server, address)


def refused(street: Street, service: RemoteKeyService, why: str, logged: str) -> None:
    with pytest.raises(KeyServiceUnavailableError, match=why) as error:
        service.public_key(SIGNING)
    assert "look at the certificates" in str(error.value)
    assert logged in street.served.wait_for(EventKind.TURNED_AWAY).why.en


def test_a_client_with_a_certificate_of_the_city_is_served_and_named_in_the_log(
    street: Street,
) -> None:
    service = RemoteKeyService(street.address, 5)
    assert service.public_key(SIGNING) == KEY
    assert (
        "commonName=clearing-1 at 127.0.0.1:" in street.served.wait_for(EventKind.CONNECTED).who.en
    )
    service.close()


def test_a_client_without_a_certificate_is_refused(street: Street) -> None:
    context = ssl.create_default_context(cafile=street.city.path)
    with (
        socket.create_connection(("127.0.0.1", street.address.port), timeout=SOON_S) as stream,
        context.wrap_socket(stream, server_hostname="127.0.0.1") as secured,
    ):
        secured.sendall(messages.encode_request(1, messages.PUBLIC_KEY, [SIGNING]))
        with pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):
            secured.recv(1)
    why = street.served.wait_for(EventKind.TURNED_AWAY).why.en
    assert "peer did not return a certificate" in why


def test_a_client_of_another_authority_is_refused(street: Street, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "elsewhere").issue("clearing-1")
    refused(street, street.shows(stranger), "TLS: unknown ca", "unable to get local issuer")


def test_a_client_whose_certificate_has_expired_is_refused(street: Street) -> None:
    late = street.city.issue("late", days=-1)
    refused(street, street.shows(late), "certificate expired", "certificate has expired")


def test_a_server_of_another_authority_gets_no_request(street: Street, tmp_path: Path) -> None:
    address = replace(street.address, authority=Authority(tmp_path, "elsewhere").path)
    refused(street, RemoteKeyService(address, 5), "TLS: self-signed", "unknown ca")


def test_a_server_under_another_name_gets_no_request(street: Street) -> None:
    service = RemoteKeyService(replace(street.address, host="localhost"), 5)
    with pytest.raises(KeyServiceUnavailableError, match="localhost"):
        service.public_key(SIGNING)


def test_tls_before_1_3_is_refused(street: Street) -> None:
    context = client_context(street.address)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection(("127.0.0.1", street.address.port), timeout=SOON_S) as stream,
        pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"),
    ):
        context.wrap_socket(stream, server_hostname="127.0.0.1")
    assert "unsupported protocol" in street.served.wait_for(EventKind.TURNED_AWAY).why.en


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01"])
def test_whoever_speaks_no_tls_or_stops_in_the_handshake_is_turned_away(
    street: Street, sent: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", street.address.port), timeout=SOON_S) as stream:
        stream.sendall(sent)
        while stream.recv(100):
            pass
    assert "TLS: " in street.served.wait_for(EventKind.TURNED_AWAY).why.en
    assert RemoteKeyService(street.address, 5).public_key(SIGNING) == KEY


def test_files_that_are_no_certificates_are_named_in_the_refusal(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "city")
    paper, other = authority.issue("one"), authority.issue("two")
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    wrong = [
        (tmp_path / "absent.pem", paper.private_key, authority.path, "absent.pem: there is no"),
        (text, paper.private_key, authority.path, "text.pem and"),
        (paper.certificate, other.private_key, authority.path, "are not a certificate and its"),
        (paper.certificate, paper.private_key, text, "text.pem: not a certificate"),
    ]
    for certificate, private_key, clients, why in wrong:
        with pytest.raises(TlsSetupError, match=why):
            server_context(certificate, private_key, clients)
        service = RemoteKeyService(TlsAddress("127.0.0.1", 1, certificate, private_key, clients), 1)
        with pytest.raises(KeyServiceUnavailableError, match=why):
            service.public_key(SIGNING)


@pytest.mark.parametrize("host", ["钥匙" * 40, "钥匙.."])
def test_what_is_no_name_of_a_host_is_said_on_both_sides(tmp_path: Path, host: str) -> None:
    authority = Authority(tmp_path, "city")
    paper, serving = authority.issue("one"), authority.issue("keys", usages=SERVICE)
    papers = (paper.certificate, paper.private_key, authority.path)
    with pytest.raises(ListenError, match="no name of a host"):
        listen_tls(host, 0, server_context(serving.certificate, serving.private_key, papers[2]))
    with pytest.raises(KeyServiceUnavailableError, match="no name of a host"):
        RemoteKeyService(TlsAddress(host, 1, *papers), 1).public_key(SIGNING)


def test_a_port_that_is_taken_is_refused_with_a_sentence(street: Street) -> None:
    context = server_context(street.server.certificate, street.server.private_key, street.city.path)
    with pytest.raises(ListenError, match="Is the port taken"):
        listen_tls("127.0.0.1", street.address.port, context)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "9443",
        ":9443",
        "host:",
        "host:x",
        "host:65536",
        "host:-1",
        "host:" + "9" * 5000,
        "host:９",
    ],
)
def test_a_text_that_is_no_host_and_port_is_refused(text: str) -> None:
    with pytest.raises(AddressError, match=r"127\.0\.0\.1:9443"):
        read_host_port(text)


def test_somebody_still_in_the_handshake_when_the_service_stops_is_turned_away(
    tmp_path: Path,
) -> None:
    city = Authority(tmp_path, "city")
    server = city.issue("keys", usages=SERVICE)
    listener = listen_tls(
        "127.0.0.1", 0, server_context(server.certificate, server.private_key, city.path)
    )
    limits = ServerLimits(handshake_seconds=0.2)
    with (
        a_key_server(tmp_path, VAULT, further=(listener,), limits=limits) as served,
        socket.create_connection(("127.0.0.1", listener.port), timeout=SOON_S),
    ):
        until(lambda: any("_serve_connection" in each.name for each in threading.enumerate()))
    # The block is left when every connection has ended.
    assert served.said(EventKind.TURNED_AWAY)[0].who.en == listener.name
