"""A channel and a PSAM whose keys stay in the server.

Decides what they do when the connection died: a channel is over, as its session keys are, and
whoever personalises opens another one; a PSAM has lost power and wakes up from its image.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from cardcore.errors import KeyServiceUnavailableError
from cardcore.keys import KeyRef
from hsm_sim.wire.codec import messages
from hsm_sim.wire.codec.messages import Operation, PsamAnswer
from hsm_sim.wire.links.connection import Connection

T = TypeVar("T")


class Ask(Protocol):
    """One request to the key service."""

    def __call__(self, operation: Operation[T], *arguments: object) -> T:
        """The answer; raises what the port raises."""
        ...


class RemoteChannel:
    """`cardcore.keys.IssuerChannelKeys` over the connection that opened it."""

    def __init__(self, connection: Connection, handle: int, timeout_seconds: float) -> None:
        self._connection = connection
        self._handle = handle
        self._timeout_seconds = timeout_seconds

    def __repr__(self) -> str:
        return f"RemoteChannel({self._handle}, hidden)"

    def cryptogram(self, constant: int) -> bytes:
        """See the port."""
        return self._ask(messages.CHANNEL_CRYPTOGRAM, constant)

    def command_mac(self, data: bytes) -> bytes:
        """See the port."""
        return self._ask(messages.CHANNEL_COMMAND_MAC, data)

    def response_mac(self, data: bytes) -> bytes:
        """See the port."""
        return self._ask(messages.CHANNEL_RESPONSE_MAC, data)

    def encipher(self, counter: bytes, data: bytes) -> bytes:
        """See the port."""
        return self._ask(messages.CHANNEL_ENCIPHER, counter, data)

    def decipher(self, counter: bytes, data: bytes) -> bytes:
        """See the port."""
        return self._ask(messages.CHANNEL_DECIPHER, counter, data)

    def wrapped_card_keys(self, refs: Sequence[KeyRef], factor: bytes) -> bytes:
        """See the port."""
        return self._ask(messages.CHANNEL_WRAPPED_CARD_KEYS, refs, factor)

    def _ask(self, operation: Operation[T], *arguments: object) -> T:
        return self._connection.ask(operation, (self._handle, *arguments), self._timeout_seconds)


class RemotePsam:
    """A PSAM in the server, used as `hsm_sim.psam.Psam` is.

    After `KeyServiceUnavailableError` nobody knows whether the last command was done: the next
    one meets a PSAM woken up from the last image, as after a power cut.
    """

    def __init__(self, ask: Ask, made: PsamAnswer) -> None:
        self._ask = ask
        # Ours: the server's count begins again when it wakes the PSAM up, this one only grows.
        self._generation = 0
        self._image = made.image
        self._power_on(made)

    def __repr__(self) -> str:
        return f"RemotePsam(generation {self._generation})"

    @property
    def generation(self) -> int:
        """See `Psam`: store the image when it has grown, before the answer is passed on."""
        return self._generation

    def image(self) -> bytes:
        """See `Psam`."""
        return self._image

    def reset(self) -> None:
        """See `Psam`."""
        self._with_power(lambda handle: self._ask(messages.PSAM_RESET, handle))

    def transmit(self, command: bytes) -> bytes:
        """See `Psam`; raises `KeyServiceUnavailableError` when the key service does not answer."""
        said = self._with_power(
            lambda handle: self._ask(messages.PSAM_TRANSMIT, handle, command, self._told)
        )
        if said.image:
            self._keep(said)
        return said.answer

    def _keep(self, said: PsamAnswer) -> None:
        self._told = said.generation
        self._generation += said.image != self._image
        self._image = said.image

    def _power_on(self, made: PsamAnswer) -> None:
        self._handle: bytes | None = made.answer
        self._keep(made)

    def _with_power(self, use: Callable[[bytes], T]) -> T:
        if self._handle is None:
            self._power_on(self._ask(messages.PSAM_WAKE, self._image))
        assert self._handle is not None
        try:
            return use(self._handle)
        except KeyServiceUnavailableError:
            self._handle = None
            raise
