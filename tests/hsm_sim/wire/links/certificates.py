"""Authorities and certificates made for a test, in PEM files."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_NOW = datetime.now(UTC)
CLIENT = (ExtendedKeyUsageOID.CLIENT_AUTH,)
SERVICE = (ExtendedKeyUsageOID.SERVER_AUTH,)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass(frozen=True)
class Paper:
    """A certificate and its key."""

    certificate: Path
    private_key: Path


class Authority:
    """Signs certificates; `path` is its own."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.path = self._write(name, self._build(name, self._key, authority=True))

    def issue(
        self, name: str, *, days: int = 1, usages: Sequence[x509.ObjectIdentifier] = CLIENT
    ) -> Paper:
        """A certificate for `name` at 127.0.0.1, a client's unless said; one of -1 days has
        expired.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        built = self._build(name, key, days=days, usages=usages)
        certificate = self._write(f"{self._name}-{name}", built)
        private_key = certificate.with_suffix(".key")
        private_key.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        return Paper(certificate, private_key)

    def revoke(self, path: Path, *papers: Paper, hours: int = 24, begins: int = -2) -> None:
        """Put its list of revoked certificates there, as one act."""
        now = datetime.now(UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(_name(self._name))
            .last_update(now + timedelta(hours=begins))
            .next_update(now + timedelta(hours=hours))
        )
        for paper in papers:
            shown = x509.load_pem_x509_certificate(paper.certificate.read_bytes())
            revoked = x509.RevokedCertificateBuilder(shown.serial_number, now)
            builder = builder.add_revoked_certificate(revoked.build())
        new = path.with_suffix(".new")
        new.write_bytes(builder.sign(self._key, SHA256()).public_bytes(Encoding.PEM))
        new.replace(path)

    def _build(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey,
        *,
        authority: bool = False,
        days: int = 1,
        usages: Sequence[x509.ObjectIdentifier] = (),
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name(self._name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_NOW - timedelta(days=3))
            .not_valid_after(_NOW + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if not authority:
            address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
            builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
        if usages:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        return builder.sign(self._key, SHA256())

    def _write(self, name: str, certificate: x509.Certificate) -> Path:
        path = self._folder / f"{name}.pem"
        path.write_bytes(certificate.public_bytes(Encoding.PEM))
        return path
