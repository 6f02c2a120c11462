"""What may be done with a key: single operations, each for the usages and states that allow it.

Decides whether a key may do what is asked. Leaves where keys live to `masters`, so that every
provider refuses the same; leaves the bulk proof to `proof`, and every formula to the suites of
`cardcore.crypto`.
"""

import hmac
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime

from cardcore.chip import scp03
from cardcore.crypto.day_seals import seal_message
from cardcore.errors import (
    CryptogramError,
    KeyStateError,
    KeyUsageError,
    UnknownKeyError,
)
from cardcore.keys import (
    AuthenticationColumn,
    DaySeal,
    IssuerChannelKeys,
    Key,
    KeyDescription,
    KeyRef,
    KeyState,
    KeyUsage,
    RecordMacColumn,
    SealStanding,
    TacColumn,
)
from cardcore.text import Text
from hsm_sim.keys.masters import CardKeyHandle, MasterKeys
from hsm_sim.keys.seal_register import SealRegister
from hsm_sim.keys.vault import CARD_USAGES, CHANNEL_USAGES
from hsm_sim.proof.bundles import prove_authentications, prove_record_macs
from hsm_sim.proof.column import prove_column
from hsm_sim.proof.reasons import ProofKey

NONCE_BYTES = 12  # GCM, NIST SP 800-38D
#: Keys that open a session between card and terminal or host; a TAC key signs and never opens.
#: A purchase has a PSAM, so no host makes a MAC of one.
_SESSION_USAGES = frozenset({KeyUsage.LOAD})
_SIGNING_USAGES = frozenset({KeyUsage.FILE_SIGNING})
#: What signs days signs nothing else: its register would be worth nothing.
_SEALING_USAGES = frozenset({KeyUsage.DAY_SEAL})
_DATA_USAGES = frozenset({KeyUsage.DATA_ENCRYPTION})
_AUTHENTICATION_USAGES = frozenset(
    {KeyUsage.INTERNAL_AUTHENTICATION, KeyUsage.EXTERNAL_AUTHENTICATION}
)
#: Keys of secure messaging: UPDATE and BLOCK of a card, APPLICATION UNBLOCK of a PSAM.
_MESSAGE_USAGES = frozenset({KeyUsage.FILE_MAINTENANCE})
_BLOCK = 8

#: From TAC keys by version and a column to a reason a row.
Prove = Callable[[Mapping[int, ProofKey], TacColumn], bytes]


#: What an operation does to the world, and so in which states a key may do it. Something new: a
#: card, a signature, enciphered data.
_MAKE = frozenset({KeyState.ACTIVE})
#: To go on with what was made before.
_GO_ON = frozenset({KeyState.ACTIVE, KeyState.RETIRING})


def today_here() -> date:
    """The day on this machine, UTC: validity is counted in whole days."""
    return datetime.now(UTC).date()


def state_on(key: KeyDescription, day: date) -> KeyState:
    """The state in force on a day: outside its validity an active key is prepared or retiring."""
    if key.state is KeyState.ACTIVE:
        if key.valid_from is not None and day < key.valid_from:
            return KeyState.PREPARED
        if key.valid_to is not None and day > key.valid_to:
            return KeyState.RETIRING
    return key.state


class KeyOperations:
    """`cardcore.keys.KeyService` over master keys, wherever they live.

    `prove` is `prove_column`, or the same on several processes (`hsm_sim.proof.workers`). Without
    a register of day `seals` any day is sealed, as a bare token would sign it.
    """

    def __init__(
        self,
        masters: MasterKeys,
        today: Callable[[], date] = today_here,
        prove: Prove = prove_column,
        seals: SealRegister | None = None,
    ) -> None:
        self._masters = masters
        self._today = today
        self._prove = prove
        self._seals = seals

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._masters!r})"

    def describe_keys(
        self, usage: KeyUsage | None = None, label: str | None = None
    ) -> tuple[KeyDescription, ...]:
        """See the port."""
        today = self._today()
        return tuple(
            replace(each, state=state_on(each, today))
            for each in self._masters.descriptions()
            if usage in {None, each.ref.usage} and label in {None, each.ref.label}
        )

    def derive_card_key(self, ref: KeyRef, factor: bytes) -> Key:
        """See the port. The key has 16 bytes."""
        return Key(ref.usage, self._new_card_key(ref, factor).value())

    def open_channel(
        self, label: str, version: int, factor: bytes, context: bytes
    ) -> IssuerChannelKeys:
        """See the port."""
        enc, mac, dek = (
            Key(usage, self._channel_key(KeyRef(usage, label, version), factor).value())
            for usage in (KeyUsage.CHANNEL_ENC, KeyUsage.CHANNEL_MAC, KeyUsage.CHANNEL_DEK)
        )
        return _IssuerChannel(enc, mac, dek, context, self._new_card_key)

    def check_value(self, ref: KeyRef, factor: bytes) -> bytes:
        """See the port."""
        usages, operation = CARD_USAGES, Text("核对卡片", "be recognised in a card")
        return self._card_key(ref, factor, usages, _GO_ON, operation).check_value()

    def authenticate(self, ref: KeyRef, factor: bytes, challenge: bytes) -> bytes:
        """See the port."""
        assert len(challenge) == _BLOCK, len(challenge)
        usages = _AUTHENTICATION_USAGES
        key = self._card_key(ref, factor, usages, _GO_ON, Text("认证", "authenticate"))
        return key.authenticate(challenge)

    def message_mac(self, ref: KeyRef, factor: bytes, challenge: bytes, data: bytes) -> bytes:
        """See the port. The challenge has 4 or 8 bytes."""
        assert len(challenge) in (4, _BLOCK), len(challenge)
        key = self._card_key(
            ref, factor, _MESSAGE_USAGES, _GO_ON, Text("保护报文", "protect a message")
        )
        return key.message_mac(challenge, data)

    def session_mac(self, ref: KeyRef, factor: bytes, session_input: bytes, data: bytes) -> bytes:
        """See the port. The session input is 8 bytes, the MAC 4."""
        assert len(session_input) == _BLOCK, len(session_input)
        key = self._card_key(
            ref, factor, _SESSION_USAGES, _GO_ON, Text("建立会话", "open a session")
        )
        return key.session_mac(session_input, data)

    def verify_session_mac(
        self, ref: KeyRef, factor: bytes, session_input: bytes, data: bytes, mac: bytes
    ) -> None:
        """See the port."""
        if not hmac.compare_digest(self.session_mac(ref, factor, session_input, data), mac):
            raise CryptogramError(Text(f"{ref}：MAC 不符", f"{ref}: the MAC does not hold"))

    def prove_tacs(self, label: str, column: TacColumn) -> bytes:
        """See the port and `hsm_sim.proof`."""
        usage = KeyUsage.TAC
        return self._prove(self._proof_keys(usage, label, self.describe_keys(usage, label)), column)

    def prove_record_macs(self, label: str, column: RecordMacColumn) -> bytes:
        """See the port. A PSAM has no calendar and makes MACs under a key whose first day is still
        to come, so the proof looks at the state alone, too.
        """
        usage = KeyUsage.RECORD_MAC
        described = (
            each
            for each in self._masters.descriptions()
            if (each.ref.usage, each.ref.label) == (usage, label)
        )
        return prove_record_macs(self._proof_keys(usage, label, described), column)

    def prove_authentications(self, label: str, column: AuthenticationColumn) -> bytes:
        """See the port."""
        usage = KeyUsage.INTERNAL_AUTHENTICATION
        described = self.describe_keys(usage, label)
        return prove_authentications(self._proof_keys(usage, label, described), column)

    def _proof_keys(
        self, usage: KeyUsage, label: str, described: Iterable[KeyDescription]
    ) -> Mapping[int, ProofKey]:
        """The keys a column is proven under, by version.

        A label without any raises `UnknownKeyError`: the caller asked for a city that is not this
        one, and its records are no worse for it. A version not held, not active yet or destroyed
        is the answer `UNKNOWN_VERSION` of the rows that name it. So is a master of the scheme: a
        column brings one factor a card.
        """
        near = [each for each in described if each.levels == 1]
        if not near:
            raise UnknownKeyError(
                Text(
                    f"{usage}/{label}：没有一个版本是比卡片高一级的主密钥",
                    f"{usage}/{label}: no version is held that stands one level above its cards",
                )
            )
        return {
            each.ref.version: ProofKey(
                each.algorithm,
                lambda factors, ref=each.ref: self._masters.card_key_column(ref, factors),  # type: ignore[misc]
            )
            for each in near
            if each.state in _GO_ON
        }

    def sign(self, ref: KeyRef, message: bytes) -> bytes:
        """See the port."""
        # A file planned under a version that has been rotated since is still signed with it.
        self._permit(ref, _SIGNING_USAGES, _GO_ON, Text("签名文件", "sign files"))
        return self._masters.sign(ref, message)

    def public_key(self, ref: KeyRef) -> bytes:
        """See the port."""
        usages = _SIGNING_USAGES | _SEALING_USAGES
        self._permit(ref, usages, _GO_ON, Text("验证文件", "prove files"))
        return self._masters.public_key(ref)

    def seal_day(self, ref: KeyRef, seal: DaySeal) -> bytes:
        """See the port. The register has the seal before there is a signature."""
        # A close that was cut off goes on under the version it began with.
        self._permit(ref, _SEALING_USAGES, _GO_ON, Text("封存清算日", "seal days"))
        if self._seals is not None:
            self._seals.enter(ref.label, seal)
        return self._masters.sign(ref, seal_message(ref.label, seal))

    def sealed_days(self, label: str) -> SealStanding:
        """See the port."""
        if self._seals is None:
            return SealStanding(is_kept=False)
        return SealStanding(is_kept=True, newest=self._seals.newest(label))

    def encipher_data(self, ref: KeyRef, data: bytes, context: bytes) -> bytes:
        """See the port."""
        self._permit(ref, _DATA_USAGES, _MAKE, Text("加密数据", "encipher data"))
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._masters.encipher_data(ref, nonce, data, context)

    def decipher_data(self, ref: KeyRef, data: bytes, context: bytes) -> bytes:
        """See the port."""
        self._permit(ref, _DATA_USAGES, _GO_ON, Text("解密数据", "decipher data"))
        nonce, sealed = data[:NONCE_BYTES], data[NONCE_BYTES:]
        return self._masters.decipher_data(ref, nonce, sealed, context)

    def _new_card_key(self, ref: KeyRef, factor: bytes) -> CardKeyHandle:
        self._permit(ref, CARD_USAGES, _MAKE, Text("写入卡片", "be put into a card"))
        return self._masters.card_key(ref, factor)

    def _channel_key(self, ref: KeyRef, factor: bytes) -> CardKeyHandle:
        return self._card_key(
            ref, factor, CHANNEL_USAGES, _GO_ON, Text("建立安全通道", "open a channel")
        )

    def _card_key(
        self,
        ref: KeyRef,
        factor: bytes,
        usages: frozenset[KeyUsage],
        states: frozenset[KeyState],
        operation: Text,
    ) -> CardKeyHandle:
        self._permit(ref, usages, states, operation)
        # Masters refuse a factor of another level than the key's themselves: a PSAM asks them too.
        return self._masters.card_key(ref, factor)

    def _permit(
        self, ref: KeyRef, usages: frozenset[KeyUsage], states: frozenset[KeyState], operation: Text
    ) -> None:
        """Named and held, then of the right use, then in the right state."""
        described = self._masters.describe(ref)
        if ref.usage not in usages:
            raise KeyUsageError(
                Text(
                    f"{ref}：{ref.usage.use.zh}密钥不能用于{operation.zh}",
                    f"{ref}: a {ref.usage} key may not {operation.en}",
                )
            )
        state = described.state
        if described.valid_from is not None or described.valid_to is not None:
            state = state_on(described, self._today())
        if state not in states:
            raise KeyStateError(
                Text(
                    f"{ref}：{state.text.zh}，不能用于{operation.zh}",
                    f"{ref}: is {state.text.en} and may not {operation.en}",
                )
            )


class _IssuerChannel(scp03.SessionKeys):
    """Session keys that stay in the service, and the DEK that keys travel under."""

    __slots__ = ("_new_card_key", "_wrap")

    def __init__(
        self,
        enc: Key,
        mac: Key,
        dek: Key,
        context: bytes,
        new_card_key: Callable[[KeyRef, bytes], CardKeyHandle],
    ) -> None:
        super().__init__(enc, mac, context)
        self._wrap = scp03.key_wrapper(dek)
        self._new_card_key = new_card_key

    def wrapped_card_keys(self, refs: Sequence[KeyRef], factor: bytes) -> bytes:
        """See `cardcore.keys.IssuerChannelKeys`."""
        sent: list[bytes] = []
        for ref in refs:
            key = self._new_card_key(ref, factor)
            sent += (self._wrap(key.value()), key.check_value())
        return b"".join(sent)
