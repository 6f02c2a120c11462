"""Whether a certificate may speak now, and in whose place.

Decides by its days, which TLS looks at in a handshake and never again, and by its extended key
usage (RFC 5280 §4.2.1.12): the key service has `serverAuth`, a client `clientAuth` and not that.
TLS lets a certificate without that extension pass for both, so a client's thief could answer in the
key service's place. Leaves who signed it to TLS, and whether it is revoked to `revocation`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from cardcore.text import Text

#: More than connect at once.
_READ_MAX = 1024


class Place(Enum):
    """On whose side a certificate is shown."""

    SERVICE = "service"
    CLIENT = "client"


class CertificateError(Exception):
    """A certificate that may not speak; the message says why, and what to ask its authority for."""


@dataclass(frozen=True, slots=True)
class _Read:
    number: str
    begins: datetime
    ends: datetime
    usages: frozenset[ObjectIdentifier]


def utc_now() -> datetime:
    """The clock that certificates are judged by."""
    return datetime.now(UTC)


def check_days(shown: bytes, now: datetime) -> None:
    """Raises `CertificateError` for a certificate, in DER, that has expired or not begun."""
    read = _read(shown)
    if not read.begins <= now <= read.ends:
        first, last = (f"{each:%Y-%m-%dT%H:%M:%SZ}" for each in (read.begins, read.ends))
        raise CertificateError(
            Text(
                f"证书 {read.number} 不在有效期内（{first} 至 {last}）；请换新证书",
                f"certificate {read.number} is not valid now ({first} to {last}); get a new one",
            )
        )


def check_purpose(shown: bytes, place: Place) -> None:
    """Raises `CertificateError` for a certificate, in DER, that is for another place than this."""
    read = _read(shown)
    serves = ExtendedKeyUsageOID.SERVER_AUTH in read.usages
    if place is Place.SERVICE and not serves:
        raise CertificateError(
            Text(
                f"证书 {read.number} 不是密钥服务的：扩展密钥用法须有 serverAuth",
                f"certificate {read.number} is no key service's: its extended key usage needs "
                "serverAuth",
            )
        )
    if place is Place.CLIENT and (serves or ExtendedKeyUsageOID.CLIENT_AUTH not in read.usages):
        raise CertificateError(
            Text(
                f"证书 {read.number} 不是客户端的：扩展密钥用法须有 clientAuth，不得有 serverAuth",
                f"certificate {read.number} is no client's: its extended key usage needs "
                "clientAuth, and must not have serverAuth",
            )
        )


@lru_cache(maxsize=_READ_MAX)
def _read(shown: bytes) -> _Read:
    """Asked before every request, and always the same."""
    try:
        certificate = x509.load_der_x509_certificate(shown)
        usages = frozenset(
            certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        )
    except x509.ExtensionNotFound:
        usages = frozenset()
    except ValueError:
        raise CertificateError(Text("读不出证书", "that certificate cannot be read")) from None
    return _Read(
        f"{certificate.serial_number:x}",
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
        usages,
    )
