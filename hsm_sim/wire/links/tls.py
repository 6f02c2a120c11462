"""TLS 1.3 with certificates on both sides, and its refusals in words.

Decides versions, that nobody without a certificate of the right authority gets in, and how a
refused handshake is told. Leaves sockets to `listeners` and `client`.
"""

import hashlib
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cardcore.text import Text, text_of
from hsm_sim.wire.links.addresses import TlsAddress
from hsm_sim.wire.links.purpose import CertificateError, Place, check_purpose


class TlsSetupError(ValueError):
    """Certificate, key or authority cannot be used; the message names the file."""


def server_context(certificate: Path, private_key: Path, clients_authority: Path) -> ssl.SSLContext:
    """For the key service: clients must show a certificate of `clients_authority`.

    Raises `TlsSetupError`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _load(context, certificate, private_key, clients_authority)
    _check_own(certificate, Place.SERVICE)
    # No session is taken up again: every connection shows its certificate.
    context.num_tickets = 0
    return context


def client_context(address: TlsAddress) -> ssl.SSLContext:
    """For a client: the key service must show a certificate for the host it is called by.

    Raises `TlsSetupError`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _load(context, address.certificate, address.private_key, address.authority)
    _check_own(address.certificate, Place.CLIENT)
    return context


def _load(context: ssl.SSLContext, certificate: Path, private_key: Path, authority: Path) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    for path in (certificate, private_key, authority):
        if not path.is_file():
            raise TlsSetupError(
                Text(
                    f"{path}：没有这个文件；须为 PEM 文件",
                    f"{path}: there is no such file; it must be a PEM file",
                )
            )
    try:
        # A password is never asked for: a service has nobody at its terminal.
        context.load_cert_chain(certificate, private_key, password=b"")
    except (ssl.SSLError, ValueError):
        raise TlsSetupError(
            Text(
                f"{certificate} 与 {private_key} 不是无口令的 PEM 证书及其私钥",
                f"{certificate} and {private_key} are not a certificate and its key in PEM, "
                "without a password",
            )
        ) from None
    try:
        context.load_verify_locations(authority)
    except ssl.SSLError:
        raise TlsSetupError(
            Text(
                f"{authority}：不是 PEM 证书；请用 --clients-ca 另指文件",
                f"{authority}: not a certificate in PEM; name another file with --clients-ca",
            )
        ) from None


def _check_own(path: Path, place: Place) -> None:
    """What the other side would refuse is said here, where somebody can do something about it."""
    shown = x509.load_pem_x509_certificates(path.read_bytes())[0].public_bytes(Encoding.DER)
    try:
        check_purpose(shown, place)
    except CertificateError as error:
        said = text_of(error)
        raise TlsSetupError(Text(f"{path}：{said.zh}", f"{path}: {said.en}")) from None


#: What the library says in English; it has more sentences than anybody meets.
_REFUSALS_ZH = {
    "certificate has expired": "证书已过期",
    "certificate expired": "证书已过期",
    "certificate is not yet valid": "证书尚未生效",
    "certificate revoked": "证书已吊销",
    "certificate required": "须出示证书",
    "certificate unknown": "证书不被接受",
    "bad certificate": "证书不被接受",
    "certificate verify failed": "证书验证不通过",
    "self-signed certificate": "证书是自签名的",
    "self-signed certificate in certificate chain": "证书链中有自签名证书",
    "unable to get local issuer certificate": "找不到签发该证书的机构",
    "unknown ca": "签发机构不受信任",
    "peer did not return a certificate": "对方没有出示证书",
    "wrong version number": "对方说的不是 TLS",
    "no tls is spoken": "对方说的不是 TLS",
    "http request": "对方说的是 HTTP，不是 TLS",
    "protocol version": "TLS 版本不被接受",
    "unsupported protocol": "TLS 版本不被接受",
    "handshake failure": "握手不成",
    "unexpected eof while reading": "对方中途断开",
    "decrypt error": "对方的签名不符",
}
_WRONG_HOST = 62  # X509_V_ERR_HOSTNAME_MISMATCH
_WRONG_ADDRESS = 64  # X509_V_ERR_IP_ADDRESS_MISMATCH


def refusal(error: ssl.SSLError) -> Text:
    """Why a handshake failed: `certificate has expired`, `unknown ca`."""
    if isinstance(error, ssl.SSLCertVerificationError):
        words = str(error.verify_message)
        if error.verify_code in {_WRONG_HOST, _WRONG_ADDRESS}:
            return Text("证书上的主机名与所连的主机不符", words)
    else:
        # An error that Python raises itself, before any TLS was spoken, has no reason.
        words = (getattr(error, "reason", None) or "no TLS is spoken").lower().replace("_", " ")
        for alert in ("tlsv13 alert ", "tlsv1 alert ", "sslv3 alert "):
            words = words.removeprefix(alert)
    return Text(_REFUSALS_ZH.get(words.lower(), f"握手不成，原因 `{words}`"), words)


def peer_subject(stream: ssl.SSLSocket) -> tuple[tuple[str, str], ...]:
    """Whose certificate the other side showed: the subject's attributes, names and values."""
    certificate = stream.getpeercert() or {}
    return tuple(
        entry
        for part in certificate.get("subject", ())
        for entry in part
        if isinstance(entry, tuple)
    )


def peer_fingerprint(stream: ssl.SSLSocket) -> str:
    """SHA-256 of the certificate the other side showed, 64 hexadecimal digits."""
    certificate = stream.getpeercert(binary_form=True)
    return hashlib.sha256(certificate).hexdigest() if certificate else ""
