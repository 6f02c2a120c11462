"""Where a key service is: a Unix socket of this machine, or a TLS port with certificates.

Decides how an address is written and read. Leaves connecting to `client`, waiting to `listeners`.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from cardcore.text import Text, shorten

PATH_BYTES_MAX = 107  # sun_path of unix(7), with its end
_PORT = re.compile(r"[0-9]{1,5}")


class AddressError(ValueError):
    """A text that names no key service; the message says how one is written."""


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A socket in the file system, for programs of one user of one machine."""

    path: Path

    def __str__(self) -> str:
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True)
class TlsAddress:
    """A TCP port under TLS 1.3. Files in PEM: this side's certificate with its chain, the key of
    it, and the authority that signs the other side's.
    """

    host: str
    port: int
    certificate: Path
    private_key: Path
    authority: Path

    def __str__(self) -> str:
        return f"tls:{self.host}:{self.port}"


Address = UnixAddress | TlsAddress


def read_host_port(text: str) -> tuple[str, int]:
    """Host and port; port 0 lets the system choose one. Raises `AddressError`.

    >>> read_host_port("127.0.0.1:9443"), read_host_port("[::1]:0")
    (('127.0.0.1', 9443), ('::1', 0))
    """
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not _PORT.fullmatch(port) or int(port) > 0xFFFF:
        raise AddressError(
            Text(
                f"{shorten(text)} 不是 HOST:PORT；例如 127.0.0.1:9443",
                f"{shorten(text)} is not HOST:PORT; for example 127.0.0.1:9443",
            )
        )
    return host, int(port)
