"""TLS 1.3 with certificates on both sides, and its refusals in words.

Decides versions, that nobody without a certificate of the right authority gets in, and how a
refused handshake is told. Leaves sockets to `listeners` and `client`.
"""

import ssl
from pathlib import Path

from hsm_sim.wire.links.addresses import TlsAddress


class TlsSetupError(ValueError):
    """Certificate, key or authority cannot be used; the message names the file."""


def server_context(certificate: Path, private_key: Path, clients_authority: Path) -> ssl.SSLContext:
    """For the key service: clients must show a certificate of `clients_authority`.

    Raises `TlsSetupError`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _load(context, certificate, private_key, clients_authority)
    # No session is taken up again: every connection shows its certificate.
    context.num_tickets = 0
    return context


def client_context(address: TlsAddress) -> ssl.SSLContext:
    """For a client: the key service must show a certificate for the host it is called by.

    Raises `TlsSetupError`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _load(context, address.certificate, address.private_key, address.authority)
    return context


def _load(context: ssl.SSLContext, certificate: Path, private_key: Path, authority: Path) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    for path in (certificate, private_key, authority):
        if not path.is_file():
            raise TlsSetupError(f"{path}: there is no such file; it must be a PEM file")
    try:
        # A password is never asked for: a service has nobody at its terminal.
        context.load_cert_chain(certificate, private_key, password=b"")
    except (ssl.SSLError, ValueError):
        raise TlsSetupError(
            f"{certificate} and {private_key} are not a certificate and its key in PEM, "
            "without a password"
        ) from None
    try:
        context.load_verify_locations(authority)
    except ssl.SSLError:
        raise TlsSetupError(f"{authority}: not a certificate in PEM") from None


def refusal(error: ssl.SSLError) -> str:
    """Why a handshake failed, in words: `certificate has expired`, `unknown ca`."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return str(error.verify_message)
    # An error that Python raises itself, before any TLS was spoken, has no reason.
    words = (getattr(error, "reason", None) or "no TLS is spoken").lower().replace("_", " ")
    return (
        words.removeprefix("tlsv13 alert ")
        .removeprefix("tlsv1 alert ")
        .removeprefix("sslv3 alert ")
    )


def peer_subject(stream: ssl.SSLSocket) -> tuple[tuple[str, str], ...]:
    """Whose certificate the other side showed: the subject's attributes, names and values."""
    certificate = stream.getpeercert() or {}
    return tuple(
        entry
        for part in certificate.get("subject", ())
        for entry in part
        if isinstance(entry, tuple)
    )
