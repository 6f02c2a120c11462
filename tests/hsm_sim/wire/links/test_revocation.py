"""A stolen certificate that was revoked: refused while the service runs, its connection is cut."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cardcore.errors import KeyServiceUnavailableError
from hsm_sim.keys.operations import KeyOperations
from hsm_sim.wire.client import RemoteKeyService
from hsm_sim.wire.events import EventKind
from hsm_sim.wire.links.addresses import TlsAddress
from hsm_sim.wire.links.listeners import listen_tls
from hsm_sim.wire.links.revocation import RevocationList, RevokedError
from hsm_sim.wire.links.tls import server_context
from tests.hsm_sim.wire.key_server import SIGNING, KeyServer, a_key_server, a_vault
from tests.hsm_sim.wire.links.certificates import SERVICE, Authority, Paper
from tests.support.patience import SOON_S

VAULT = a_vault()
KEY = KeyOperations(VAULT).public_key(SIGNING)


@pytest.fixture
def city(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "city")


@pytest.fixture
def bus(city: Authority) -> Paper:
    return city.issue("bus")


@pytest.fixture
def served(tmp_path: Path, city: Authority) -> Iterator[KeyServer]:
    path, papers = tmp_path / "revoked.pem", city.issue("keys", usages=SERVICE)
    city.revoke(path)
    context = server_context(papers.certificate, papers.private_key, city.path)
    revoked = RevocationList(path, city.path)
    revoked.check_all()
    listener = listen_tls("127.0.0.1", 0, context, revoked=revoked)
    with a_key_server(tmp_path, VAULT, further=(listener,)) as server:
        yield server


def client(served: KeyServer, city: Authority, paper: Paper) -> RemoteKeyService:
    port = served.listeners[-1].port
    return RemoteKeyService(
        TlsAddress("127.0.0.1", port, paper.certificate, paper.private_key, city.path), SOON_S
    )


def test_a_revoked_certificate_is_cut_in_its_open_connection_and_refused_at_the_next(
    served: KeyServer, city: Authority, bus: Paper, tmp_path: Path
) -> None:
    stolen, other = client(served, city, bus), client(served, city, city.issue("clearing"))
    assert stolen.public_key(SIGNING) == other.public_key(SIGNING) == KEY
    city.revoke(tmp_path / "revoked.pem", bus)
    for _ in range(2):
        with pytest.raises(KeyServiceUnavailableError):
            stolen.public_key(SIGNING)
    assert "is revoked" in served.wait_for(EventKind.TURNED_AWAY).why.en
    assert other.public_key(SIGNING) == KEY
    for each in (stolen, other):
        each.close()


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        ("damaged", "damaged"),
        ("empty", "damaged"),
        ("removed", "no such file"),
        ("expired", "not valid now"),
        ("early", "not valid now"),
        ("foreign", "not signed by the clients' authority"),
    ],
)
def test_a_list_that_cannot_tell_refuses_everybody_by_name_until_there_is_a_good_one(
    served: KeyServer, city: Authority, bus: Paper, tmp_path: Path, harm: str, why: str
) -> None:
    path = tmp_path / "revoked.pem"
    service = client(served, city, bus)
    assert service.public_key(SIGNING) == KEY
    match harm:
        case "damaged":
            path.write_bytes(path.read_bytes()[:100])
        case "empty":
            path.write_bytes(b"")
        case "removed":
            path.unlink()
        case "expired":
            city.revoke(path, hours=-1)
        case "early":
            city.revoke(path, hours=50, begins=2)
        case _:
            (tmp_path / "other").mkdir()
            Authority(tmp_path / "other", "city").revoke(path)
    with pytest.raises(KeyServiceUnavailableError):
        service.public_key(SIGNING)
    assert why in served.wait_for(EventKind.TURNED_AWAY).why.en
    city.revoke(path)
    assert service.public_key(SIGNING) == KEY
    service.close()


def test_a_list_that_expires_while_nobody_touches_it_is_no_list_any_more(
    city: Authority, bus: Paper, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    city.revoke(tmp_path / "revoked.pem")
    revoked = RevocationList(tmp_path / "revoked.pem", city.path, lambda: now)
    revoked.check(der(bus))
    now += timedelta(days=2)
    with pytest.raises(RevokedError, match="put a new one there"):
        revoked.check(der(bus))


def test_a_certificate_of_an_authority_without_a_list_is_refused(
    city: Authority, tmp_path: Path
) -> None:
    other = Authority(tmp_path, "other")
    both = tmp_path / "both.pem"
    both.write_bytes(city.path.read_bytes() + other.path.read_bytes())
    city.revoke(tmp_path / "revoked.pem")
    revoked = RevocationList(tmp_path / "revoked.pem", both)
    with pytest.raises(RevokedError, match="no list of who signed"):
        revoked.check(der(other.issue("bus")))
    with pytest.raises(RevokedError, match="an authority has no list"):
        revoked.check_all()


def der(paper: Paper) -> bytes:
    certificate = x509.load_pem_x509_certificate(paper.certificate.read_bytes())
    return certificate.public_bytes(Encoding.DER)
