"""Sockets that are waited at, and who may speak there.

Decides who is let in: on a Unix socket the user the service runs as, under TLS whoever has a
certificate of the clients' authority. Nobody else is, whatever is spoken there. Leaves what is said
to `server`, and what each may do to `rights`.
"""

import fcntl
import os
import socket
import ssl
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from cardcore.errors import system_words
from cardcore.text import Text, text_of
from hsm_sim.wire.access.rights import Peer, certificate_peer
from hsm_sim.wire.codec.streams import Deadline, close_gently
from hsm_sim.wire.links.addresses import PATH_BYTES_MAX
from hsm_sim.wire.links.purpose import CertificateError, Place, check_days, check_purpose, utc_now
from hsm_sim.wire.links.revocation import RevocationList, RevokedError
from hsm_sim.wire.links.tls import peer_fingerprint, peer_subject, refusal

_BACKLOG = 64
_CREDENTIALS = struct.Struct("iII")  # struct ucred: process, user, group


class Dialect(StrEnum):
    """What is spoken at a listener."""

    FRAMES = "frames"  # our own: `frames` and `messages`
    HOST_COMMANDS = "host-commands"  # a length of two bytes and a command: `host_commands`


class ListenError(OSError):
    """A place that cannot be listened at; the message says what to do."""


class TurnedAwayError(Exception):
    """Somebody who is not let in, and why."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that waits for connections."""

    stream: socket.socket
    dialect: Dialect
    context: ssl.SSLContext | None = None
    revoked: RevocationList | None = None
    now: Callable[[], datetime] = utc_now
    #: Where it is, also when it is closed.
    name: str = field(init=False)
    #: The file of a Unix socket that was made here: device and inode.
    made: tuple[int, int] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        place = self.stream.getsockname()
        if isinstance(place, str):
            name = f"unix:{place}"
            object.__setattr__(self, "made", _identity(Path(place)))
        else:
            name = f"tls:{place[0]}:{place[1]}"
        object.__setattr__(self, "name", name)

    def __str__(self) -> str:
        return self.name

    @property
    def port(self) -> int:
        """The port of a TCP listener."""
        return int(self.stream.getsockname()[1])

    def accept(self) -> tuple[socket.socket, str]:
        """A connection that has proven nothing yet, and the machine it comes from. Under TLS it is
        one already, so that whoever holds it can end it in the middle of its handshake.

        Raises `OSError`.
        """
        stream, place = self.stream.accept()
        stream.setblocking(True)
        if self.context is None:
            return stream, ""
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        secured = self.context.wrap_socket(stream, server_side=True, do_handshake_on_connect=False)
        return secured, str(place[0])

    def check(self, stream: socket.socket) -> None:
        """Raises `TurnedAwayError` when the certificate of whoever is there has expired by now, is
        revoked, or is no client's.
        """
        if not isinstance(stream, ssl.SSLSocket):
            return
        shown = stream.getpeercert(binary_form=True) or b""
        try:
            check_purpose(shown, Place.CLIENT)
            check_days(shown, self.now())
            if self.revoked is not None:
                self.revoked.check(shown)
        except (CertificateError, RevokedError) as error:
            raise TurnedAwayError(text_of(error)) from None

    def close(self) -> None:
        """Stop waiting; a Unix socket vanishes from its folder. Once is as good as twice.

        A socket is removed by who made it: what stands there now may be a successor's. It is looked
        at while ours is open, since until then nobody else's file has its inode.
        """
        if self.stream.fileno() < 0:
            return
        name = self.stream.getsockname()
        if isinstance(name, str) and self.made is not None and _identity(Path(name)) == self.made:
            with suppress(FileNotFoundError):
                Path(name).unlink()
        self.stream.close()


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells this file from another one at its path; None when there is none."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """One service at a time looks for a leftover and puts its socket there: of two that start at
    once, the second would remove what the first has just made.
    """
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise ListenError(_unusable(folder, error)) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def listen_unix(path: Path, dialect: Dialect = Dialect.FRAMES) -> Listener:
    """Wait at a socket in the file system, for this user only (mode 0600).

    A socket that a killed service left behind is taken over. Raises `ListenError`.
    """
    if len(os.fsencode(path)) > PATH_BYTES_MAX:
        raise ListenError(
            Text(
                f"{path}：作为套接字路径过长，至多 {PATH_BYTES_MAX} 字节；请用 --socket 另指一个",
                f"{path}: too long for a socket, at most {PATH_BYTES_MAX} bytes; name another "
                "with --socket",
            )
        )
    with _alone_in(path.parent):
        _clear(path)
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # The mode is right from the first moment on; it is put back for what else writes files.
        mask = os.umask(0o177)
        try:
            stream.bind(str(path))
        except OSError as error:
            stream.close()
            raise ListenError(_unusable(path, error)) from None
        finally:
            os.umask(mask)
        stream.listen(_BACKLOG)
        return Listener(stream, dialect)


def _unusable(path: Path, error: OSError) -> Text:
    said = system_words(error)
    return Text(
        f"{path}：{said.zh}。目录存在且可写吗？",
        f"{path}: {said.en}. Is the folder there and writable?",
    )


def _clear(path: Path) -> None:
    """Remove what a killed service left behind."""
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return  # what is wrong with the folder is said when the socket is made
    if not stat.S_ISSOCK(mode):
        raise ListenError(
            Text(
                f"{path}：已有同名文件，且不是套接字；请用 --socket 另指一个",
                f"{path}: there is a file of that name, and it is no socket; name another with "
                "--socket",
            )
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise ListenError(
        Text(
            f"{path}：另一密钥服务已在此服务；请先停止它",
            f"{path}: another key service serves there already; stop it first",
        )
    )


def listen_tls(
    host: str,
    port: int,
    context: ssl.SSLContext,
    dialect: Dialect = Dialect.FRAMES,
    revoked: RevocationList | None = None,
) -> Listener:
    """Wait at a TCP port under TLS. Raises `ListenError`."""
    return Listener(_bind(host, port), dialect, context, revoked)


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        host.encode("idna")
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (UnicodeError, socket.gaierror):
        raise ListenError(
            Text(
                f"{host}:{port}：不是主机名；例如 127.0.0.1:9443",
                f"{host}:{port}: that is no name of a host; for example 127.0.0.1:9443",
            )
        ) from None
    except OSError as error:
        raise ListenError(
            Text(
                f"{host}:{port}：{system_words(error).zh}。端口被占用了吗？",
                f"{host}:{port}: {system_words(error).en}. Is the port taken?",
            )
        ) from None


def admit(stream: socket.socket, deadline: Deadline) -> Peer:
    """Who is there. Raises `TurnedAwayError`; the connection is closed then."""
    if not isinstance(stream, ssl.SSLSocket):
        process, user, _ = _CREDENTIALS.unpack(
            stream.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        )
        if user != os.geteuid():
            stream.close()
            raise TurnedAwayError(
                Text(
                    f"用户 {user} 不是密钥服务的用户",
                    f"user {user} is not the user of the key service",
                )
            )
        shown = Text(f"用户 {user}，进程 {process}", f"user {user}, process {process}")
        return Peer(shown, (f"user:{user}",))
    where = peer_name(stream)
    try:
        stream.settimeout(deadline.left_seconds())
        stream.do_handshake()
    except OSError as error:
        close_gently(stream)
        why = refusal(error) if isinstance(error, ssl.SSLError) else system_words(error)
        raise TurnedAwayError(
            Text(f"{where.zh}：TLS：{why.zh}", f"{where.en}: TLS: {why.en}")
        ) from None
    return certificate_peer(peer_subject(stream), where, peer_fingerprint(stream))


def peer_name(stream: socket.socket) -> Text:
    """Where a connection comes from, as far as the system knows."""
    try:
        name = stream.getpeername()
    except OSError:
        return Text("已离开的一方", "nobody any more")
    shown = f"{name[0]}:{name[1]}" if isinstance(name, tuple) else "unix"
    return Text(shown, shown)
