"""One connection's requests: asked of the key service, answered or refused.

Decides which operation is done by what, that a channel belongs to the connection that opened it,
and that every refusal is logged and answered by name. Leaves who may do what to `rights`, keys to
`operations`, PSAMs to `psams`, bytes to `messages`.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cardcore.errors import CardcoreError, KeyServiceError, KeyServiceUnavailableError
from cardcore.keys import IssuerChannelKeys, Key, KeyService
from cardcore.text import Text, text_of
from hsm_sim.hardening import class_and_place
from hsm_sim.keys.masters import MasterKeys
from hsm_sim.wire.codec import messages
from hsm_sim.wire.codec.frames import Frame
from hsm_sim.wire.events import Event, EventKind, Log, plain
from hsm_sim.wire.psams import HostedPsams
from hsm_sim.wire.rights import Peer, Rights

#: A client has one channel a connection; session keys nobody uses any more do not pile up.
CHANNELS_MAX = 4


@dataclass(frozen=True, slots=True)
class ServedKeys:
    """What is served: operations for everybody, and the masters that PSAMs are made from."""

    service: KeyService
    masters: MasterKeys


@dataclass(frozen=True, slots=True)
class Shared:
    """What all connections share. `keys` is asked at every request: ceremonies change keys.

    Without `rights` everybody who was let in may do everything.
    """

    keys: Callable[[], ServedKeys]
    log: Log
    proofs: threading.BoundedSemaphore  # columns proven at once: each takes memory and a core
    rights: Rights | None = None
    psams: HostedPsams = field(default_factory=HostedPsams)


class Dispatcher:
    """The place where one connection is served. One thread uses it."""

    def __init__(self, shared: Shared, peer: Peer) -> None:
        self._shared = shared
        self._peer = peer
        self._channels: OrderedDict[int, IssuerChannelKeys] = OrderedDict()
        self._channels_opened = 0

    def answer(self, frame: Frame) -> bytes:
        """The answer to one message, whatever it says."""
        number, what = messages.request_number(frame), Text("一条消息", "a message")
        try:
            if self._shared.rights:
                self._shared.rights.check_peer(self._peer)
            request = messages.decode_request(frame)
            what = plain(request.operation.name)
            if self._shared.rights:
                self._shared.rights.check(self._peer, request.operation, request.arguments)
            result = self._do(request.operation, request.arguments)
            return messages.encode_result(number, request.operation, result)
        except CardcoreError as error:
            why = text_of(error)
            named = Text(why.zh, f"{type(error).__name__}: {why.en}")
            self._log(EventKind.REFUSED, what, named)
            return messages.encode_error(number, error)
        except Exception as error:  # noqa: BLE001 - a fault of ours must not end the service
            self._log(EventKind.FAILED, what, plain(class_and_place(error)))
            return messages.encode_error(
                number,
                KeyServiceUnavailableError(
                    Text(
                        f"密钥服务执行 {what.zh} 时出错，其日志写明何处。什么都没有做。",
                        f"the key service failed inside {what.en}; its log says where. Nothing "
                        "was done.",
                    )
                ),
            )

    def _log(self, kind: EventKind, what: Text, why: Text) -> None:
        self._shared.log(Event(kind, self._peer.shown, what, why))

    def _do(self, operation: messages.Operation[Any], arguments: tuple[Any, ...]) -> object:
        name, keys = operation.name, self._shared.keys()
        if name.startswith("channel_"):
            handle, *rest = arguments
            return getattr(self._channel(handle), name.removeprefix("channel_"))(*rest)
        if name.startswith("psam_"):
            return self._ask_psam(operation, arguments, keys.masters)
        service = keys.service
        if operation is messages.OPEN_CHANNEL:
            return self._open_channel(service.open_channel(*arguments))
        if operation in messages.PROOFS:
            with self._shared.proofs:
                return getattr(service, name)(*arguments)
        result = getattr(service, name)(*arguments)
        # The usage of a card's key is that of the master the client named.
        return result.value if isinstance(result, Key) else result

    def _ask_psam(
        self,
        operation: messages.Operation[Any],
        arguments: tuple[Any, ...],
        masters: MasterKeys,
    ) -> object:
        psams, (first, *rest) = self._shared.psams, arguments
        if operation is messages.PSAM_TRANSMIT:
            return psams.transmit(first, *rest)
        if operation is messages.PSAM_RESET:
            psams.reset(first)
            return None
        if operation is messages.PSAM_WAKE:
            return psams.wake(masters, first)
        if operation is messages.PSAM_RENEW:
            return psams.renew(masters, first)
        return psams.make(masters, first, *rest)

    def _open_channel(self, channel: IssuerChannelKeys) -> int:
        self._channels_opened += 1
        self._channels[self._channels_opened] = channel
        if len(self._channels) > CHANNELS_MAX:
            self._channels.popitem(last=False)
        return self._channels_opened

    def _channel(self, handle: int) -> IssuerChannelKeys:
        channel = self._channels.get(handle)
        if channel is None:
            raise KeyServiceError(
                Text(
                    f"本连接没有打开通道 {handle}",
                    f"channel {handle} is not open on this connection",
                )
            )
        return channel
