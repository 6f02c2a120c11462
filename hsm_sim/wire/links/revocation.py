"""The revocation list (吊销列表): certificates refused although their authority signed them.

Decides whether a certificate may still speak, by a file of lists (CRL, RFC 5280) that is looked at
anew at every request. Leaves who asks to `server`. It fails closed: without a list of the authority
that signed a certificate, valid now and signed by it, that certificate is refused by name.
"""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from cardcore.errors import system_words
from cardcore.text import Text

#: How long a list may be good for: an older one put back is found out when it ends.
LIST_DAYS_MAX = timedelta(days=90)


class RevokedError(Exception):
    """A certificate that may not speak, or a list that cannot say so; the message says which."""


def _now() -> datetime:
    return datetime.now(UTC)


class RevocationList:
    """The lists in one PEM file, of the authorities in another. Threads share it."""

    def __init__(self, path: Path, authorities: Path, now: Callable[[], datetime] = _now) -> None:
        self._path = path
        self._authorities = x509.load_pem_x509_certificates(authorities.read_bytes())
        self._now = now
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._lists: tuple[x509.CertificateRevocationList, ...] = ()

    def check(self, certificate: bytes) -> None:
        """Raises `RevokedError` for a certificate that is revoked, and where no list can tell."""
        shown = x509.load_der_x509_certificate(certificate)
        lists = [each for each in self._read() if each.issuer == shown.issuer]
        if not lists:
            raise self._refused(
                "没有签发该证书机构的吊销列表", "no list of who signed that certificate"
            )
        for each in lists:
            self._check_days(each)
            if each.get_revoked_certificate_by_serial_number(shown.serial_number) is not None:
                number = f"{shown.serial_number:x}"
                raise RevokedError(
                    Text(f"证书 {number} 已吊销", f"certificate {number} is revoked")
                )

    def check_all(self) -> None:
        """Raises `RevokedError` unless there is a valid list of every authority."""
        lists = self._read()
        for each in lists:
            self._check_days(each)
        if {each.subject for each in self._authorities} - {each.issuer for each in lists}:
            raise self._refused("有机构没有吊销列表", "an authority has no list there")

    def _check_days(self, read: x509.CertificateRevocationList) -> None:
        _check_days(self._path, read, self._now())

    def _read(self) -> tuple[x509.CertificateRevocationList, ...]:
        with self._lock:
            try:
                status = self._path.stat()
                seen = status.st_ino, status.st_size, status.st_mtime_ns
                if seen != self._seen:
                    self._lists = self._parsed()
                    self._seen = seen
            except OSError as error:
                self._seen = None
                said = system_words(error)
                raise self._refused(said.zh, said.en) from None
            return self._lists

    def _parsed(self) -> tuple[x509.CertificateRevocationList, ...]:
        self._seen = None
        lists = _read_lists(self._path)
        for each in lists:
            if not any(self._is_signed_by(each, signer) for signer in self._authorities):
                raise self._refused("不是客户端机构签发的", "not signed by the clients' authority")
        return lists

    @staticmethod
    def _is_signed_by(read: x509.CertificateRevocationList, signer: x509.Certificate) -> bool:
        key = signer.public_key()
        try:
            return read.issuer == signer.subject and read.is_signature_valid(key)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            return False

    def _refused(self, zh: str, en: str) -> RevokedError:
        return _refused(self._path, zh, en)


def check_lists(path: Path, now: datetime) -> None:
    """Raises `RevokedError` unless every list of a file can be read and is valid now, whoever
    signed it.
    """
    try:
        for each in _read_lists(path):
            _check_days(path, each, now)
    except OSError as error:
        said = system_words(error)
        raise _refused(path, said.zh, said.en) from None


def _read_lists(path: Path) -> tuple[x509.CertificateRevocationList, ...]:
    """Raises `RevokedError`, and `OSError` for a file that cannot be read."""
    begin = b"-----BEGIN X509 CRL-----"
    head, *parts = path.read_bytes().split(begin)
    try:
        lists = tuple(x509.load_pem_x509_crl(begin + part) for part in parts)
        for each in lists:
            # Parsed lazily: a damaged one shows itself here and not at a request.
            list(each)
    except ValueError:
        lists = ()
    # A critical extension may take certificates out of the list's reach.
    if any(extension.critical for each in lists for extension in each.extensions):
        lists = ()
    if not lists or head.strip():
        raise _refused(path, "已损坏或不是 PEM 吊销列表", "damaged, or no revocation list in PEM")
    return lists


def _check_days(path: Path, read: x509.CertificateRevocationList, now: datetime) -> None:
    until = read.next_update_utc
    if until is None or not read.last_update_utc <= now < until:
        end = "?" if until is None else f"{until:%Y-%m-%dT%H:%M:%SZ}"
        raise _refused(
            path,
            f"不在有效期内（至 {end}）；请放入新列表",
            f"not valid now (it ends {end}); put a new one there",
        )
    if until - read.last_update_utc > LIST_DAYS_MAX:
        days = LIST_DAYS_MAX.days
        raise _refused(
            path,
            f"有效期超过 {days} 天：其后吊销的证书可能无人得知；请放入有效期较短的列表",
            f"good for more than {days} days: whoever keeps a newer one from coming here would "
            "never be noticed; put one there that ends sooner",
        )


def _refused(path: Path, zh: str, en: str) -> RevokedError:
    return RevokedError(Text(f"吊销列表 {path}：{zh}", f"revocation list {path}: {en}"))
