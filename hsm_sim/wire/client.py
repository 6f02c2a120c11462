"""The key service in another process, as whoever needs keys sees it.

Decides that any trouble on the way is `KeyServiceUnavailableError` with a sentence that says what
to do, and how a large column is cut into requests. Leaves one connection to `connection`, and
channels and PSAMs to `remote`.
"""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from cardcore.errors import KeyServiceUnavailableError
from cardcore.keys import (
    AuthenticationColumn,
    DaySeal,
    IssuerChannelKeys,
    Key,
    KeyDescription,
    KeyRef,
    KeyUsage,
    RecordMacColumn,
    SealStanding,
    TacColumn,
)
from cardcore.text import Text
from hsm_sim.psam import KeySlot, PsamProfile
from hsm_sim.wire.codec import messages
from hsm_sim.wire.codec.values import COLUMN_BYTES_MAX, COLUMN_ROWS_MAX
from hsm_sim.wire.links.addresses import Address
from hsm_sim.wire.links.connection import Connection
from hsm_sim.wire.remote import RemoteChannel, RemotePsam

TIMEOUT_SECONDS = 30.0
#: Silent connections kept for the next call.
_IDLE_MAX = 8

T = TypeVar("T")
AnyColumn = TypeVar("AnyColumn", TacColumn, RecordMacColumn, AuthenticationColumn)


class RemoteKeyService:
    """`cardcore.keys.KeyService` in the process at an address.

    Threads may share it, each call has a connection to itself, and a forked process makes its
    own. A connection that died is replaced at the next call. A request lasts at most
    `timeout_seconds`; every one may be repeated.
    """

    def __init__(self, address: Address, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._address = address
        self._timeout_seconds = timeout_seconds
        # A list is taken from and put back to in one step each, so it needs no lock; a lock held
        # by another thread at a fork would stay locked in the child for ever.
        self._idle: list[Connection] = []

    def __repr__(self) -> str:
        return f"RemoteKeyService({self._address})"

    def close(self) -> None:
        """End the connections nobody uses. A later call opens a new one."""
        while self._idle:
            self._idle.pop().close()

    def describe_keys(
        self, usage: KeyUsage | None = None, label: str | None = None
    ) -> tuple[KeyDescription, ...]:
        """See the port."""
        return self.ask(messages.DESCRIBE_KEYS, usage, label)

    def derive_card_key(self, ref: KeyRef, factor: bytes) -> Key:
        """See the port."""
        return Key(ref.usage, self.ask(messages.DERIVE_CARD_KEY, ref, factor))

    def open_channel(
        self, label: str, version: int, factor: bytes, context: bytes
    ) -> IssuerChannelKeys:
        """See the port. The session keys stay in the server and die with the channel's own
        connection, which ends with this object.
        """
        connection = self._connect()
        arguments = (label, version, factor, context)
        try:
            handle = connection.ask(messages.OPEN_CHANNEL, arguments, self._timeout_seconds)
        except BaseException:
            connection.close()
            raise
        return RemoteChannel(connection, handle, self._timeout_seconds)

    def check_value(self, ref: KeyRef, factor: bytes) -> bytes:
        """See the port."""
        return self.ask(messages.CHECK_VALUE, ref, factor)

    def authenticate(self, ref: KeyRef, factor: bytes, challenge: bytes) -> bytes:
        """See the port."""
        return self.ask(messages.AUTHENTICATE, ref, factor, challenge)

    def message_mac(self, ref: KeyRef, factor: bytes, challenge: bytes, data: bytes) -> bytes:
        """See the port."""
        return self.ask(messages.MESSAGE_MAC, ref, factor, challenge, data)

    def session_mac(self, ref: KeyRef, factor: bytes, session_input: bytes, data: bytes) -> bytes:
        """See the port."""
        return self.ask(messages.SESSION_MAC, ref, factor, session_input, data)

    def verify_session_mac(
        self, ref: KeyRef, factor: bytes, session_input: bytes, data: bytes, mac: bytes
    ) -> None:
        """See the port."""
        self.ask(messages.VERIFY_SESSION_MAC, ref, factor, session_input, data, mac)

    def prove_tacs(self, label: str, column: TacColumn) -> bytes:
        """See the port. A large column goes in several requests; the answer is one."""
        return self._prove(messages.PROVE_TACS, label, column)

    def prove_record_macs(self, label: str, column: RecordMacColumn) -> bytes:
        """See the port; cut as TACs are."""
        return self._prove(messages.PROVE_RECORD_MACS, label, column)

    def prove_authentications(self, label: str, column: AuthenticationColumn) -> bytes:
        """See the port; cut as TACs are."""
        return self._prove(messages.PROVE_AUTHENTICATIONS, label, column)

    def _prove(self, operation: messages.Operation[bytes], label: str, column: AnyColumn) -> bytes:
        reasons = b"".join(self.ask(operation, label, part) for part in cut_column(column))
        if len(reasons) != len(column):
            raise KeyServiceUnavailableError(
                Text(
                    f"{self._address}：{len(column)} 行只有 {len(reasons)} 个应答；那里服务的不是"
                    "本版本的密钥服务",
                    f"{self._address}: {len(reasons)} answers for {len(column)} rows; what serves "
                    "there is not a key service of this version",
                )
            )
        return reasons

    def sign(self, ref: KeyRef, message: bytes) -> bytes:
        """See the port."""
        return self.ask(messages.SIGN, ref, message)

    def public_key(self, ref: KeyRef) -> bytes:
        """See the port."""
        return self.ask(messages.PUBLIC_KEY, ref)

    def seal_day(self, ref: KeyRef, seal: DaySeal) -> bytes:
        """See the port."""
        return self.ask(messages.SEAL_DAY, ref, seal)

    def sealed_days(self, label: str) -> SealStanding:
        """See the port."""
        return self.ask(messages.SEALED_DAYS, label)

    def encipher_data(self, ref: KeyRef, data: bytes, context: bytes) -> bytes:
        """See the port."""
        return self.ask(messages.ENCIPHER_DATA, ref, data, context)

    def decipher_data(self, ref: KeyRef, data: bytes, context: bytes) -> bytes:
        """See the port."""
        return self.ask(messages.DECIPHER_DATA, ref, data, context)

    def make_psam(self, profile: PsamProfile, further: Iterable[KeySlot] = ()) -> RemotePsam:
        """A new PSAM in the server; see `hsm_sim.psam.make_psam`."""
        return RemotePsam(self.ask, self.ask(messages.PSAM_MAKE, profile, tuple(further)))

    def wake_psam(self, image: bytes) -> RemotePsam:
        """A PSAM after power came back. Raises `KeyServiceError` for an image that cannot wake."""
        return RemotePsam(self.ask, self.ask(messages.PSAM_WAKE, image))

    def renew_psam(self, image: bytes) -> RemotePsam:
        """A PSAM with the keys in use now; see `hsm_sim.psam.renew_psam`."""
        return RemotePsam(self.ask, self.ask(messages.PSAM_RENEW, image))

    def ask(self, operation: messages.Operation[T], *arguments: object) -> T:
        """One request on a connection of its own, and the answer to it."""
        connection = self._take()
        try:
            answer = connection.ask(operation, arguments, self._timeout_seconds)
        finally:
            if connection.is_open and len(self._idle) < _IDLE_MAX:
                self._idle.append(connection)
            else:
                connection.close()
        return answer

    def _take(self) -> Connection:
        """A silent connection that still stands, or a new one."""
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:
                break  # another thread was quicker
            if connection.is_fresh():
                return connection
            connection.close()
        return self._connect()

    def _connect(self) -> Connection:
        return Connection(self._address, self._timeout_seconds)


def cut_column(column: AnyColumn) -> Iterator[AnyColumn]:
    """A column in pieces of one request each, in order; an empty column is one piece."""
    row_bytes = sum(column.row_bytes.values())
    rows = min(COLUMN_ROWS_MAX, max(1, COLUMN_BYTES_MAX // row_bytes))
    for start in range(0, max(1, len(column)), rows):
        yield column.part(start, start + rows)
