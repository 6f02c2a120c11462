"""The key service in this process: single operations, each for the usages that allow it.

Decides whether a key may do what is asked. Leaves holding keys to the vault, the bulk proof to
`proof`, and every formula to the suites of `cardcore.crypto`.
"""

import hmac
import warnings

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cardcore import scp03
from cardcore.crypto import SUITES, pboc_3des
from cardcore.errors import CryptogramError, KeyUsageError, UnknownKeyError
from cardcore.keys import (
    Algorithm,
    InsecureKeyServiceWarning,
    IssuerChannelKeys,
    Key,
    KeyRef,
    KeyUsage,
    TacColumn,
)
from hsm_sim.proof import prove_column
from hsm_sim.vault import CHANNEL_USAGES, KeyVault, check_value

_SUITE = SUITES[Algorithm.PBOC_3DES]
#: Keys of the card: they live in it, made from a master by its serial.
_CARD_USAGES = frozenset(KeyUsage) - {KeyUsage.FILE_SIGNING}
#: Keys that open a session between card and terminal or host; a TAC key signs and never opens.
_SESSION_USAGES = frozenset({KeyUsage.PURCHASE, KeyUsage.LOAD})
_SIGNING_USAGES = frozenset({KeyUsage.FILE_SIGNING})
_AUTHENTICATION_USAGES = frozenset(
    {KeyUsage.INTERNAL_AUTHENTICATION, KeyUsage.EXTERNAL_AUTHENTICATION}
)
#: Keys of secure messaging: of UPDATE and BLOCK, and of the PIN commands.
_MESSAGE_USAGES = frozenset({KeyUsage.FILE_MAINTENANCE, KeyUsage.PIN_UNBLOCK, KeyUsage.PIN_RELOAD})
_BLOCK = 8


class InProcessKeyService:
    """`cardcore.keys.KeyService` over a vault in this process's memory.

    For tests and the demo: whoever can read the process can read the keys, so it warns with
    `InsecureKeyServiceWarning` whenever one is made.
    """

    def __init__(self, vault: KeyVault) -> None:
        warnings.warn(
            "the key service holds its keys in this process's memory: tests and demos only",
            InsecureKeyServiceWarning,
            stacklevel=2,
        )
        self._vault = vault

    def __repr__(self) -> str:
        return f"InProcessKeyService({self._vault!r})"

    def derive_card_key(self, ref: KeyRef, factor: bytes) -> Key:
        """See the port. The factor is 8 bytes, the key 16."""
        return self._card_key(ref, factor, _CARD_USAGES, "be put into a card")

    def open_channel(
        self, label: str, version: int, factor: bytes, context: bytes
    ) -> IssuerChannelKeys:
        """See the port."""
        usages = (KeyUsage.CHANNEL_ENC, KeyUsage.CHANNEL_MAC, KeyUsage.CHANNEL_DEK)
        enc, mac, dek = (
            self._card_key(KeyRef(usage, label, version), factor, CHANNEL_USAGES, "open a channel")
            for usage in usages
        )
        return _IssuerChannel(enc, mac, dek, context, self)

    def check_value(self, ref: KeyRef, factor: bytes) -> bytes:
        """See the port."""
        return bytes.fromhex(check_value(self.derive_card_key(ref, factor)))

    def authenticate(self, ref: KeyRef, factor: bytes, challenge: bytes) -> bytes:
        """See the port."""
        assert len(challenge) == _BLOCK, len(challenge)
        key = self._card_key(ref, factor, _AUTHENTICATION_USAGES, "authenticate")
        return pboc_3des.encrypt_ecb(key.value, challenge)

    def message_mac(self, ref: KeyRef, factor: bytes, challenge: bytes, data: bytes) -> bytes:
        """See the port. The challenge has 4 or 8 bytes."""
        assert len(challenge) in (4, _BLOCK), len(challenge)
        key = self._card_key(ref, factor, _MESSAGE_USAGES, "protect a message")
        return _SUITE.message_mac(key.value, challenge, data)

    def encipher_message(self, ref: KeyRef, factor: bytes, blocks: bytes) -> bytes:
        """See the port."""
        assert not len(blocks) % _BLOCK, len(blocks)
        key = self._card_key(ref, factor, _MESSAGE_USAGES, "protect a message")
        return pboc_3des.encrypt_ecb(key.value, blocks)

    def session_mac(self, ref: KeyRef, factor: bytes, session_input: bytes, data: bytes) -> bytes:
        """See the port. The session input is 8 bytes, the MAC 4."""
        assert (len(factor), len(session_input)) == (8, 8), (len(factor), len(session_input))
        master = self._key(ref, _SESSION_USAGES, "open a session")
        card_key = _SUITE.diversify(master.value, factor)
        return _SUITE.session_mac(_SUITE.session_key(card_key, session_input), data)

    def verify_session_mac(
        self, ref: KeyRef, factor: bytes, session_input: bytes, data: bytes, mac: bytes
    ) -> None:
        """See the port."""
        if not hmac.compare_digest(self.session_mac(ref, factor, session_input, data), mac):
            raise CryptogramError(f"{ref}: the MAC does not hold")

    def prove_tacs(self, label: str, column: TacColumn) -> bytes:
        """See the port and `hsm_sim.proof`.

        A label without any TAC key raises `UnknownKeyError`: the caller asked for a city that is
        not this one, and its records are no worse for it. A version not held is the answer
        `UNKNOWN_VERSION` of the rows that name it.
        """
        versions = self._vault.versions(KeyUsage.TAC, label)
        if not versions:
            raise UnknownKeyError(f"{KeyUsage.TAC}/{label}: no version of this key is held")
        refs = (KeyRef(KeyUsage.TAC, label, version) for version in versions)
        return prove_column({ref.version: self._vault.key(ref).value for ref in refs}, column)

    def sign(self, ref: KeyRef, message: bytes) -> bytes:
        """See the port."""
        return self._signing_key(ref).sign(message)

    def public_key(self, ref: KeyRef) -> bytes:
        """See the port."""
        return self._signing_key(ref).public_key().public_bytes_raw()

    def _signing_key(self, ref: KeyRef) -> Ed25519PrivateKey:
        seed = self._key(ref, _SIGNING_USAGES, "sign files")
        return Ed25519PrivateKey.from_private_bytes(seed.value)

    def _card_key(
        self, ref: KeyRef, factor: bytes, usages: frozenset[KeyUsage], operation: str
    ) -> Key:
        """A card's own key. Its master is a triple DES key, or an AES key of the channel."""
        assert len(factor) == _BLOCK, len(factor)
        master = self._key(ref, usages, operation)
        if ref.usage in CHANNEL_USAGES:
            return Key(ref.usage, scp03.static_key(master.value, factor))
        return Key(ref.usage, _SUITE.diversify(master.value, factor))

    def _key(self, ref: KeyRef, usages: frozenset[KeyUsage], operation: str) -> Key:
        key = self._vault.key(ref)
        if key.usage not in usages:
            raise KeyUsageError(f"{ref}: a {key.usage} key may not {operation}")
        return key


class _IssuerChannel(scp03.SessionKeys):
    """Session keys that stay in the service, and the DEK that keys travel under."""

    __slots__ = ("_dek", "_service")

    def __init__(
        self, enc: Key, mac: Key, dek: Key, context: bytes, service: InProcessKeyService
    ) -> None:
        super().__init__(enc, mac, context)
        self._dek = dek
        self._service = service

    def wrapped_card_key(self, ref: KeyRef, factor: bytes) -> bytes:
        """See `cardcore.keys.IssuerChannelKeys`."""
        return scp03.wrap_key(self._dek, self._service.derive_card_key(ref, factor).value)
