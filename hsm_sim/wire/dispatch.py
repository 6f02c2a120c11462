"""One connection's requests: asked of the key service, answered or refused.

Decides which operation is done by what, that a channel belongs to the connection that opened it and
to one card, that a key leaves and a PSAM gets power only when that is in the log, and that every
refusal is logged and answered by name. Leaves who may do what to `rights`, keys to
`operations`, PSAMs to `psams`, bytes to `messages`.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cardcore.errors import (
    CardcoreError,
    CryptogramError,
    KeyRightError,
    KeyServiceError,
    KeyServiceUnavailableError,
)
from cardcore.keys import DaySeal, IssuerChannelKeys, Key, KeyRef, KeyService
from cardcore.text import Text, text_of
from hsm_sim.hardening import class_and_place
from hsm_sim.keys.masters import FACTOR_BYTES, MasterKeys
from hsm_sim.keys.operations import today_here
from hsm_sim.psam.image import PsamImage, decode_image
from hsm_sim.wire.access.budgets import GUESSES_A_CARD, GUESSES_A_CLIENT, Budgets, Judged
from hsm_sim.wire.access.duties import PSAM_POWER, RELEASES
from hsm_sim.wire.access.rights import Peer, Permit, Rights, open_permit
from hsm_sim.wire.codec import messages
from hsm_sim.wire.codec.frames import Frame
from hsm_sim.wire.codec.messages import PsamAnswer
from hsm_sim.wire.events import Event, EventKind, Log, plain
from hsm_sim.wire.psams import HostedPsams

#: Names of keys in one entry of the log, whose reason is cut after some hundred characters.
KEYS_AN_ENTRY = 6
#: A client has one channel a connection; session keys nobody uses any more do not pile up.
CHANNELS_MAX = 4


@dataclass(frozen=True, slots=True)
class ServedKeys:
    """What is served: operations for everybody, and the masters that PSAMs are made from."""

    service: KeyService
    masters: MasterKeys


@dataclass(slots=True)
class _OpenChannel:
    """A channel with one chip, and the one card whose keys go through it."""

    keys: IssuerChannelKeys
    label: str
    chip: str
    card: bytes | None = None


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
    budgets: Budgets = field(default_factory=lambda: Budgets(today_here))


class Dispatcher:
    """The place where one connection is served. One thread uses it."""

    def __init__(self, shared: Shared, peer: Peer) -> None:
        self._shared = shared
        self._peer = peer
        self._channels: OrderedDict[int, _OpenChannel] = OrderedDict()
        self._channels_opened = 0

    def answer(self, frame: Frame) -> bytes:
        """The answer to one message, whatever it says."""
        number, what = messages.request_number(frame), Text("一条消息", "a message")
        try:
            if self._shared.rights:
                self._shared.rights.check_peer(self._peer)
            request = messages.decode_request(frame)
            what = plain(request.operation.name)
            permit = self._permit(request)
            result = self._do(permit, request.operation, request.arguments)
            if request.operation in RELEASES:
                self._release(permit, request)
            elif isinstance(result, PsamAnswer) and request.operation in PSAM_POWER:
                self._tell_psam(request.operation, decode_image(result.image))
            elif request.operation is messages.SEAL_DAY:
                self._sealed(*request.arguments)
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

    def _release(self, permit: Permit, request: messages.Request) -> None:
        """Count and log keys before they leave; when either is refused they do not."""
        *_, named, factor = request.arguments
        refs = (named,) if isinstance(named, KeyRef) else tuple(named)
        card, chip = factor.hex().upper(), ""
        if request.operation is messages.CHANNEL_WRAPPED_CARD_KEYS:
            channel = self._channels[request.arguments[0]]
            chip = channel.chip
            self._shared.budgets.bind_chip(permit.client, f"{channel.label} {chip}", factor)
        self._shared.budgets.spend_keys(permit.client, permit.allowances)
        for start in range(0, len(refs), KEYS_AN_ENTRY):
            names = ", ".join(str(ref) for ref in refs[start : start + KEYS_AN_ENTRY])
            told = Text(f"{names}，给卡片 {card}", f"{names} for card {card}")
            if chip:
                told = Text(f"{told.zh}，经芯片 {chip}", f"{told.en} in chip {chip}")
            self._log(EventKind.DONE, plain(request.operation.name), told)

    def _tell_psam(self, operation: messages.Operation[Any], image: PsamImage) -> None:
        """Which PSAM is there since now, with what: before the answer, as with keys that leave."""
        profile, usages = image.profile, sorted({slot.ref.usage for slot, _ in image.keys})
        self._log(
            EventKind.DONE,
            plain(operation.name),
            Text(
                f"PSAM {profile.number}，终端 {profile.terminal}，标签 {profile.key_label}，第 "
                f"{image.writes} 号映像，密钥：{'、'.join(each.use.zh for each in usages)}",
                f"PSAM {profile.number} at terminal {profile.terminal}, label "
                f"{profile.key_label}, image {image.writes}, keys {', '.join(usages)}",
            ),
        )

    def _sealed(self, ref: KeyRef, seal: DaySeal) -> None:
        """What the log says of a seal before it leaves: the register can be held against it."""
        said = f"{ref}: day number {seal.number}, {seal.day}: {seal.digest.hex()}"
        self._log(EventKind.DONE, plain(messages.SEAL_DAY.name), plain(said))

    def _permit(self, request: messages.Request) -> Permit:
        rights = self._shared.rights
        if rights is None:
            return open_permit(self._peer)
        return rights.check(self._peer, request.operation, request.arguments)

    def _do(
        self, permit: Permit, operation: messages.Operation[Any], arguments: tuple[Any, ...]
    ) -> object:
        name, keys = operation.name, self._shared.keys()
        if name.startswith("channel_"):
            handle, *rest = arguments
            channel = self._channel(handle)
            if operation is messages.CHANNEL_WRAPPED_CARD_KEYS:
                _bind_to_card(channel, rest[-1])
            return getattr(channel.keys, name.removeprefix("channel_"))(*rest)
        if name.startswith("psam_"):
            return self._ask_psam(permit, operation, arguments, keys.masters)
        service = keys.service
        if operation is messages.OPEN_CHANNEL:
            label, _, chip, _ = arguments
            opened = service.open_channel(*arguments)
            return self._open_channel(_OpenChannel(opened, label, chip.hex().upper()))
        if operation in messages.PROOFS:
            self._shared.budgets.check_guesses(permit.client)
            with self._shared.proofs:
                reasons = getattr(service, name)(*arguments)
            return self._judged(permit, name, arguments, reasons)
        if operation is messages.VERIFY_SESSION_MAC:
            self._verify(permit, service, *arguments)
            return None
        result = getattr(service, name)(*arguments)
        # The usage of a card's key is that of the master the client named.
        return result.value if isinstance(result, Key) else result

    def _verify(
        self, permit: Permit, service: KeyService, ref: KeyRef, factor: bytes, *rest: bytes
    ) -> None:
        """A MAC that does not hold is a guess about its card, counted as a row of a proof is."""
        budgets, of, card = self._shared.budgets, f"verify_session_mac {ref}", factor[:FACTOR_BYTES]
        budgets.check_guesses(permit.client)
        budgets.check_card(permit.client, of, card)
        try:
            service.verify_session_mac(ref, factor, *rest)
        except CryptogramError:
            judged = budgets.count_wrong(permit.client, of, card)
            self._alarm(permit, "verify_session_mac", ref.label, judged)
            raise

    def _alarm(self, permit: Permit, name: str, label: str, judged: Judged) -> None:
        """Say what is alarming: one card asked about too often, or too many asked about at all."""
        told = [
            Text(
                f"{permit.client}：今日关于 {label} 的卡片 {shown} 不成立的答案超过 "
                f"{GUESSES_A_CARD} 个：有人在试，或文件中满是伪造记录；请查明",
                f"{permit.client}: more than {GUESSES_A_CARD} answers about card {shown} of "
                f"{label} did not hold today: somebody is guessing, or a file is full of forged "
                "records; find out which",
            )
            for shown in (card.hex().upper() for card in judged.alarming)
        ]
        if count := judged.alarming_guesses:
            told.append(
                Text(
                    f"{permit.client}：今日共有 {count} 个答案不成立，限 {GUESSES_A_CLIENT} 个："
                    f"有人在许多卡片上各试几次，或缺一把密钥；请查明",
                    f"{permit.client}: {count} answers did not hold today, over all cards, of "
                    f"{GUESSES_A_CLIENT}: somebody tries a little of each, or a key is missing; "
                    "find out which",
                )
            )
        for each in told:
            self._log(EventKind.ALARM, plain(name), each)

    def _judged(
        self, permit: Permit, name: str, arguments: tuple[Any, ...], reasons: bytes
    ) -> bytes:
        """The answers of a proof, as far as this client's guesses leave any to be given."""
        label, column = arguments
        of = f"{name} {label}"
        judged = self._shared.budgets.judge(permit.client, of, column.factors, reasons)
        self._alarm(permit, name, label, judged)
        return judged.reasons

    def _ask_psam(
        self,
        permit: Permit,
        operation: messages.Operation[Any],
        arguments: tuple[Any, ...],
        masters: MasterKeys,
    ) -> object:
        psams = self._shared.psams
        if operation in PSAM_POWER:
            self._shared.budgets.spend_psam(permit.client)
        if operation is messages.PSAM_TRANSMIT:
            return psams.transmit(permit, *arguments)
        if operation is messages.PSAM_RESET:
            psams.reset(permit, *arguments)
            return None
        if operation is messages.PSAM_WAKE:
            return psams.wake(permit, masters, *arguments)
        if operation is messages.PSAM_RENEW:
            return psams.renew(permit, masters, *arguments)
        return psams.make(permit, masters, *arguments)

    def _open_channel(self, channel: _OpenChannel) -> int:
        self._channels_opened += 1
        self._channels[self._channels_opened] = channel
        if len(self._channels) > CHANNELS_MAX:
            self._channels.popitem(last=False)
        return self._channels_opened

    def _channel(self, handle: int) -> _OpenChannel:
        channel = self._channels.get(handle)
        if channel is None:
            raise KeyServiceError(
                Text(
                    f"本连接没有打开通道 {handle}",
                    f"channel {handle} is not open on this connection",
                )
            )
        return channel


def _bind_to_card(channel: _OpenChannel, card: bytes) -> None:
    """One channel is one chip, and one chip is one card: keys of a second are refused."""
    if channel.card is None:
        channel.card = card
    elif channel.card != card:
        raise KeyRightError(
            Text(
                f"此通道已用于卡片 {channel.card.hex().upper()}：一个芯片只装一张卡的密钥；"
                "下一张卡请另开通道",
                f"this channel is card {channel.card.hex().upper()}'s: one chip gets the keys of "
                "one card; open another channel for the next",
            )
        )
