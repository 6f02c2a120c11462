"""One connection of a client: a request out, its answer in, or a sentence why not.

Decides what is said of every trouble on the way, and that after one the connection is not used
again: what would arrive next may belong to the request before. Leaves when to connect to `client`.
"""

import os
import socket
import ssl
import struct
import threading
from collections.abc import Sequence
from typing import TypeVar

from cardcore.errors import CardcoreError, KeyServiceUnavailableError, system_words
from cardcore.text import Text, text_of
from hsm_sim.wire.codec.frames import Frame, MessageError
from hsm_sim.wire.codec.messages import REQUEST_ID_MAX, Operation, decode_answer, encode_request
from hsm_sim.wire.codec.streams import Deadline, has_news, receive_frame, send_all
from hsm_sim.wire.links.addresses import PATH_BYTES_MAX, Address, TlsAddress, UnixAddress
from hsm_sim.wire.links.purpose import CertificateError, Place, check_purpose
from hsm_sim.wire.links.tls import TlsSetupError, client_context, refusal

_CREDENTIALS = struct.Struct("iII")
T = TypeVar("T")


class Connection:
    """An open connection. Raises `KeyServiceUnavailableError` when there is none to be had."""

    def __init__(self, address: Address, timeout_seconds: float) -> None:
        self._address = address
        self._process = os.getpid()
        self._number = 0
        # Two threads may share a channel, and with it this connection.
        self._lock = threading.Lock()
        self.is_open = True
        deadline = Deadline(timeout_seconds)
        try:
            if isinstance(address, UnixAddress):
                self._stream = _connect_unix(address, deadline)
            else:
                self._stream = _connect_tls(address, deadline)
        except (OSError, CertificateError, TlsSetupError, UnicodeError) as error:
            raise self._unavailable(error, timeout_seconds) from None

    def __del__(self) -> None:
        # Nobody is left who could use it; the server forgets what belonged to it.
        if getattr(self, "_stream", None) is not None:
            self.close()

    def close(self) -> None:
        """End it. In a forked child this leaves the parent's alone."""
        self.is_open = False
        self._stream.close()

    def is_fresh(self) -> bool:
        """Whether a request may go out on it: of this process, not ended, nothing left over."""
        return self.is_open and self._process == os.getpid() and not has_news(self._stream)

    def ask(
        self, operation: Operation[T], arguments: Sequence[object], timeout_seconds: float
    ) -> T:
        """The result; raises what the key service raised, or `KeyServiceUnavailableError`.

        Raises `MessageError`, with nothing sent, for a request that fits no message.
        """
        with self._lock:
            if not self.is_open or self._process != os.getpid():
                raise KeyServiceUnavailableError(
                    Text(
                        f"{self._address}：此通道的连接已断；请另开一个",
                        f"{self._address}: the connection of this channel is over; open another "
                        "one",
                    )
                )
            self._number = self._number % REQUEST_ID_MAX + 1
            request = encode_request(self._number, operation, arguments)
            # Until the answer was read whole, what arrives next may be a part of it.
            self.is_open = False
            deadline = Deadline(timeout_seconds)
            try:
                send_all(self._stream, request, deadline)
                frame = receive_frame(self._stream, deadline)
            except (OSError, MessageError) as error:
                raise self._unavailable(error, timeout_seconds) from None
            if frame is None:
                raise self._unavailable(ConnectionResetError(), timeout_seconds)
            return self._read(frame, operation)

    def _read(self, frame: Frame, operation: Operation[T]) -> T:
        try:
            answer = decode_answer(frame, self._number, operation)
        except MessageError as error:
            raise self._unavailable(error, 0) from None
        except CardcoreError:
            # Refused by name, and the connection is as good as before.
            self.is_open = frame.header["id"] == self._number
            raise
        self.is_open = True
        return answer

    def _unavailable(self, error: Exception, timeout_seconds: float) -> KeyServiceUnavailableError:
        """What to do about it, in a sentence."""
        match error:
            case FileNotFoundError() | ConnectionRefusedError():
                why = Text(
                    "那里没有密钥服务；请启动：`onecard hsm serve`",
                    "no key service listens there; start it with `onecard hsm serve`",
                )
            case PermissionError():
                why = _denied(error)
            case TimeoutError():
                why = Text(
                    f"{timeout_seconds:g} 秒内没有应答；它正忙或卡住：稍后重试，并查看其日志",
                    f"no answer within {timeout_seconds:g} seconds; it is busy or stuck: repeat "
                    "later, and look at its log",
                )
            case OSError() if _is_too_long(self._address):
                why = Text(
                    f"作为套接字路径过长，至多 {PATH_BYTES_MAX} 字节",
                    f"the path is too long for a socket, at most {PATH_BYTES_MAX} bytes",
                )
            case ssl.SSLError():
                said = refusal(error)
                why = Text(
                    f"TLS：{said.zh}；请检查双方的证书",
                    f"TLS: {said.en}; look at the certificates of both sides",
                )
            case TlsSetupError() | CertificateError():
                why = text_of(error)
            case UnicodeError() | socket.gaierror():
                why = Text("不是主机名", "that is no name of a host")
            case MessageError():
                said = text_of(error)
                why = Text(
                    f"那里应答的不是本版本的密钥服务（{said.zh}）",
                    f"what answers there is not a key service of this version ({said.en})",
                )
            case ConnectionError():
                why = Text(
                    "它断开了连接、被停止或终止；待其恢复服务后重试",
                    "it ended the connection, was stopped or killed; repeat when it serves again",
                )
            case OSError():
                said = system_words(error)
                why = Text(
                    f"{said.zh}；待其恢复服务后重试", f"{said.en}; repeat when it serves again"
                )
            case _:
                why = Text("连不上；待其恢复服务后重试", "cannot be reached; repeat when it serves")
        return KeyServiceUnavailableError(
            Text(f"{self._address}：{why.zh}", f"{self._address}: {why.en}")
        )


def _denied(error: PermissionError) -> Text:
    """The system says so, or that the socket is somebody else's."""
    said = text_of(error) if error.errno is None else system_words(error)
    return Text(f"{said.zh}；请以同一用户运行双方", f"{said.en}; run both as the same user")


def _is_too_long(address: Address) -> bool:
    """A system call says of such a path that something failed, and not what."""
    return isinstance(address, UnixAddress) and len(os.fsencode(address.path)) > PATH_BYTES_MAX


def _connect_unix(address: UnixAddress, deadline: Deadline) -> socket.socket:
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        stream.settimeout(deadline.left_seconds())
        stream.connect(str(address.path))
        _check_owner(stream)
    except BaseException:
        stream.close()
        raise
    return stream


def _check_owner(stream: socket.socket) -> None:
    """Card keys come back on this socket: nobody else's program may pose as the key service."""
    _, user, _ = _CREDENTIALS.unpack(
        stream.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    )
    if user not in {os.geteuid(), 0}:
        raise PermissionError(Text(f"用户 {user} 在那里监听", f"user {user} listens there"))


def _connect_tls(address: TlsAddress, deadline: Deadline) -> socket.socket:
    context = client_context(address)
    stream = socket.create_connection((address.host, address.port), timeout=deadline.left_seconds())
    try:
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream.settimeout(deadline.left_seconds())
        secured = context.wrap_socket(stream, server_hostname=address.host)
    except BaseException:
        stream.close()
        raise
    try:
        check_purpose(secured.getpeercert(binary_form=True) or b"", Place.SERVICE)
    except CertificateError:
        secured.close()
        raise
    return secured
