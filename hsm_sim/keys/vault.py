"""Keys by usage, label and version in this process's memory, and their check values.

Decides which key a name means, how a key's life goes, and what may be shown of it. Leaves what is
done with a key to `operations`, and how keys arrive to the ceremonies of `device`.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cardcore.chip import scp03
from cardcore.crypto import SUITES, day_seals, signatures
from cardcore.errors import (
    CryptogramError,
    KeyServiceError,
    KeyStateError,
    KeyUsageError,
    UnknownKeyError,
    UnknownKeyVersionError,
)
from cardcore.keys import Algorithm, Key, KeyDescription, KeyRef, KeyState, KeyUsage
from cardcore.text import Text
from hsm_sim.keys import masters
from hsm_sim.keys.masters import FACTOR_BYTES, LEVELS_MAX, CardKeyHandle
from hsm_sim.proof.circuits.bitslice import Words
from hsm_sim.proof.derivation import card_key_column

MASTER_KEY_BYTES = 16  # two-key triple DES (JR/T 0025), SM4, AES-128
TRANSPORT_KEY_BYTES = 32  # AES-256: no weaker than anything it carries
CHECK_VALUE_BYTES = 3
#: Keys of the secure channel: AES, whatever the suite of a card's other keys is.
CHANNEL_USAGES = frozenset({KeyUsage.CHANNEL_ENC, KeyUsage.CHANNEL_MAC, KeyUsage.CHANNEL_DEK})
#: Keys of the card: they live in it, made from a master by its serial.
CARD_USAGES = frozenset(KeyUsage) - {
    KeyUsage.FILE_SIGNING,
    KeyUsage.DATA_ENCRYPTION,
    KeyUsage.TRANSPORT,
    KeyUsage.RECORD_MAC,
    KeyUsage.DAY_SEAL,
}
#: Keys that sign: their bytes are a seed, and what is shown of them comes from the public half.
SIGNING_USAGES = frozenset({KeyUsage.FILE_SIGNING, KeyUsage.DAY_SEAL})
#: Keys from which others are diversified: those of cards, and the one that is a PSAM's own.
DIVERSIFIED_USAGES = CARD_USAGES | {KeyUsage.RECORD_MAC}
#: A record, a card and the PSAM's INIT_SAM_FOR_PURCHASE name a version in one byte.
VERSION_MAX = 255
_STATES = tuple(KeyState)


def key_algorithms(usage: KeyUsage) -> tuple[Algorithm, ...]:
    """What a key of that usage may be, the usual one first.

    >>> [each.name for each in key_algorithms(KeyUsage.FILE_SIGNING)]
    ['ED25519', 'SM2']
    """
    if usage is KeyUsage.FILE_SIGNING:
        return Algorithm.ED25519, Algorithm.SM2
    if usage is KeyUsage.DAY_SEAL:
        return (day_seals.ALGORITHM,)
    if usage in CHANNEL_USAGES or usage is KeyUsage.TRANSPORT:
        return (Algorithm.AES,)
    if usage is KeyUsage.DATA_ENCRYPTION:
        return Algorithm.AES, Algorithm.SM4
    return Algorithm.PBOC_3DES, Algorithm.SM4, Algorithm.AES


def key_bytes(usage: KeyUsage) -> int:
    """How long a key of that usage is, in bytes.

    >>> key_bytes(KeyUsage.TAC), key_bytes(KeyUsage.FILE_SIGNING)
    (16, 32)
    """
    if usage in SIGNING_USAGES:
        return signatures.SECRET_BYTES
    return TRANSPORT_KEY_BYTES if usage is KeyUsage.TRANSPORT else MASTER_KEY_BYTES


def check_value(key: Key, algorithm: Algorithm | None = None) -> str:
    """Key check value (密钥校验值): six hexadecimal digits that two people may read to each other.

    A key enciphers a block of zeros and shows the first three bytes; a key of the secure channel
    a block of 01 (GlobalPlatform). A signing key shows the first three bytes of SHA-256 over its
    public key: its seed encrypts nothing.

    >>> check_value(Key(KeyUsage.TAC, bytes.fromhex("404142434445464748494A4B4C4D4E4F")))
    '8BAF47'
    """
    algorithm = algorithm or key_algorithms(key.usage)[0]
    if key.usage in SIGNING_USAGES:
        shown = hashlib.sha256(signatures.public_key(algorithm, key.value)).digest()
    elif key.usage is KeyUsage.TRANSPORT:
        # AES-256, which no card's suite takes.
        cipher = Cipher(algorithms.AES(key.value), modes.ECB())  # noqa: S305 - one block
        shown = cipher.encryptor().update(bytes(16))
    else:
        shown = card_check_value(key.usage, key.value, algorithm)
    return shown[:CHECK_VALUE_BYTES].hex().upper()


def card_check_value(usage: KeyUsage, secret: bytes, algorithm: Algorithm) -> bytes:
    """The three bytes of a key that cards have, as the cards show them."""
    if usage in CHANNEL_USAGES:
        return scp03.check_value(secret)
    return SUITES[algorithm].check_value(secret)


def checked_algorithm(ref: KeyRef, algorithm: Algorithm | None) -> Algorithm:
    """What a key of that name shall be, the usual one when none is named.

    Raises `KeyServiceError` for a version that does not fit one byte, or an algorithm that the
    usage does not allow.
    """
    if not 0 <= ref.version <= VERSION_MAX:
        raise KeyServiceError(
            Text(f"{ref}：版本须为 0 至 {VERSION_MAX}", f"{ref}: a version is 0 to {VERSION_MAX}")
        )
    allowed = key_algorithms(ref.usage)
    algorithm = algorithm or allowed[0]
    if algorithm not in allowed:
        names = ", ".join(each.name for each in allowed)
        raise KeyServiceError(
            Text(
                f"{ref}：不能用 {algorithm.name}；可用 {names}",
                f"{ref}: cannot be {algorithm.name}; it may be {names}",
            )
        )
    return algorithm


def check_key_bytes(ref: KeyRef, algorithm: Algorithm, value: bytes) -> None:
    """Raises `KeyServiceError` when these bytes cannot be a key of that name."""
    if len(value) != key_bytes(ref.usage):
        raise KeyServiceError(
            Text(
                f"{ref}：{len(value)} 字节，应为 {key_bytes(ref.usage)} 字节",
                f"{ref}: {len(value)} bytes, not {key_bytes(ref.usage)}",
            )
        )
    if ref.usage in SIGNING_USAGES and not signatures.is_secret(algorithm, value):
        raise KeyServiceError(
            Text(
                f"{ref}：这些字节不是 {algorithm.name} 密钥",
                f"{ref}: these bytes are no {algorithm.name} key",
            )
        )


def check_key_levels(ref: KeyRef, levels: int) -> None:
    """Raises `KeyServiceError` for a number of levels (分散级数) no key of that name can have."""
    if not 1 <= levels <= LEVELS_MAX:
        raise KeyServiceError(
            Text(
                f"{ref}：到卡片密钥 {levels} 级，应为 1 至 {LEVELS_MAX} 级",
                f"{ref}: {levels} levels to a card's key, not 1 to {LEVELS_MAX}",
            )
        )
    if levels > 1 and ref.usage not in CARD_USAGES:
        raise KeyServiceError(
            Text(
                f"{ref}：不产生卡片密钥，分散级数只能是 1",
                f"{ref}: makes no card's key, so it stands at no level above one",
            )
        )


def check_same_levels(held: KeyDescription, levels: int) -> None:
    """Raises `KeyServiceError` when a key held is said to stand at another level."""
    if held.levels != levels:
        raise KeyServiceError(
            Text(
                f"{held.ref}：持有时的分散级数是 {held.levels}，不是 {levels}",
                f"{held.ref}: is held with {held.levels} levels to a card's key, not {levels}",
            )
        )


def moved_description(description: KeyDescription, state: KeyState) -> KeyDescription:
    """A key moved on in its life; `KeyStateError` for a way back."""
    if _STATES.index(state) < _STATES.index(description.state):
        now = description.state
        raise KeyStateError(
            Text(
                f"{description.ref}：{now.text.zh}，不能再变为{state.text.zh}",
                f"{description.ref}: is {now.text.en} and cannot become {state.text.en} again",
            )
        )
    return replace(description, state=state)


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """A key and what is known of it. A destroyed key has no value any more."""

    description: KeyDescription
    value: bytes | None = field(repr=False)


class KeyVault:
    """Master keys and signing keys in this process's memory, several versions side by side.

    Its text form names keys and never shows one:

    >>> ref = KeyRef(KeyUsage.TAC, "shenzhen", 1)
    >>> KeyVault({ref: bytes.fromhex("404142434445464748494A4B4C4D4E4F")})
    KeyVault(tac/shenzhen/v1)
    """

    def __init__(self, keys: Mapping[KeyRef, bytes]) -> None:
        self._entries: dict[KeyRef, KeyEntry] = {}
        for ref, value in keys.items():
            self.install(ref, value)

    def __repr__(self) -> str:
        return f"KeyVault({', '.join(str(ref) for ref in self.refs())})"

    def install(
        self,
        ref: KeyRef,
        value: bytes,
        algorithm: Algorithm | None = None,
        *,
        state: KeyState = KeyState.ACTIVE,
        valid_from: date | None = None,
        valid_to: date | None = None,
        parent: KeyRef | None = None,
        levels: int = 1,
    ) -> KeyDescription:
        """Put a key under its name. The same bytes again change nothing.

        Raises `KeyServiceError` for a wrong length, algorithm or number of levels, a version that
        does not fit one byte, or other bytes or levels under a name already taken: cards in the
        field hold keys made from the old.
        """
        algorithm = checked_algorithm(ref, algorithm)
        check_key_bytes(ref, algorithm, value)
        check_key_levels(ref, levels)
        shown = check_value(Key(ref.usage, value), algorithm)
        made = KeyDescription(ref, algorithm, state, shown, valid_from, valid_to, parent, levels)
        held = self._entries.setdefault(ref, KeyEntry(made, bytes(value)))
        if (held.value, held.description.algorithm) != (value, algorithm):
            raise KeyServiceError(
                Text(
                    f"{ref}：此名称下持有或曾持有另一把密钥：`onecard hsm keys`",
                    f"{ref}: another key is held under this name, or was: `onecard hsm keys`",
                )
            )
        check_same_levels(held.description, levels)
        return held.description

    def restore(self, entry: KeyEntry) -> None:
        """Put back an entry as it was kept, destroyed ones as well; the name must be free."""
        assert entry.description.ref not in self._entries, entry.description.ref
        self._entries[entry.description.ref] = entry

    def take_over(self, entries: Iterable[KeyEntry]) -> None:
        """Hold exactly these from now on, all at once: a ceremony changed what is kept while
        this vault was in use.
        """
        self._entries = {entry.description.ref: entry for entry in entries}

    def move(self, ref: KeyRef, state: KeyState) -> KeyDescription:
        """Move a key on in its life; destroying it forgets its bytes.

        Raises `KeyStateError` for a way back.
        """
        entry = self._entry(ref)
        value = None if state is KeyState.DESTROYED else entry.value
        moved = KeyEntry(moved_description(entry.description, state), value)
        self._entries[ref] = moved
        return moved.description

    def key(self, ref: KeyRef) -> Key:
        """The key of that name.

        Raises `UnknownKeyVersionError` when other versions of it are held, `UnknownKeyError` when
        none is, `KeyStateError` when it is destroyed.
        """
        value = self._entry(ref).value
        if value is None:
            raise KeyStateError(Text(f"{ref}：已销毁", f"{ref}: is destroyed"))
        return Key(ref.usage, value)

    def entries(self) -> tuple[KeyEntry, ...]:
        """Every entry, in order of names."""
        return tuple(self._entries[ref] for ref in sorted(self._entries))

    def versions(self, usage: KeyUsage, label: str) -> tuple[int, ...]:
        """Versions held, ascending."""
        return tuple(
            entry.description.ref.version
            for entry in self.entries()
            if (entry.description.ref.usage, entry.description.ref.label) == (usage, label)
            and entry.value is not None
        )

    def refs(self) -> tuple[KeyRef, ...]:
        """The names of every key, in order."""
        return tuple(sorted(self._entries))

    def descriptions(self) -> tuple[KeyDescription, ...]:
        """See `hsm_sim.keys.masters.MasterKeys`."""
        return tuple(entry.description for entry in self.entries())

    def describe(self, ref: KeyRef) -> KeyDescription:
        """See `hsm_sim.keys.masters.MasterKeys`."""
        return self._entry(ref).description

    def card_key(self, ref: KeyRef, factor: bytes) -> CardKeyHandle:
        """See `hsm_sim.keys.masters.MasterKeys`."""
        masters.check_factor(self._entry(ref).description, factor)
        return self._derived(ref, factor)

    def sealing_key(self, ref: KeyRef, number: str) -> CardKeyHandle:
        """See `hsm_sim.keys.masters.MasterKeys`."""
        levels = self._entry(ref).description.levels
        return self._derived(ref, masters.sealing_factor(number, levels))

    def _derived(self, ref: KeyRef, factor: bytes) -> CardKeyHandle:
        entry = self._entry(ref)
        described, value = entry.description, entry.value
        if value is None:
            raise KeyStateError(Text(f"{ref}：已销毁", f"{ref}: is destroyed"))
        # Two levels (二级分散): the issuer's factor stands last and is applied first.
        for start in range(len(factor) - FACTOR_BYTES, -1, -FACTOR_BYTES):
            part = factor[start : start + FACTOR_BYTES]
            value = _diversified(described, value, part)
        return CardKeyInMemory(ref.usage, value, described.algorithm)

    def key_below(self, ref: KeyRef, factor: bytes) -> bytes:
        """The master one level below a master, for a ceremony; a key service has no way here.

        `factor` is the issuer's 8 bytes. Raises `KeyUsageError` when a card's key would come out.
        """
        key, described = self.key(ref), self.describe(ref)
        if described.levels == 1:
            raise KeyUsageError(
                Text(
                    f"{ref}：其下是卡片密钥，没有主密钥",
                    f"{ref}: below it are the keys of cards, and no master",
                )
            )
        return _diversified(described, key.value, factor)

    def card_key_column(self, ref: KeyRef, factors: Words) -> Words:
        """See `hsm_sim.keys.masters.MasterKeys`."""
        key, described = self.key(ref), self.describe(ref)
        masters.check_levels(described, FACTOR_BYTES)
        return card_key_column(described.algorithm, key.value, factors)

    def sign(self, ref: KeyRef, message: bytes) -> bytes:
        """See `hsm_sim.keys.masters.MasterKeys`."""
        return signatures.sign(self.describe(ref).algorithm, self.key(ref).value, message)

    def public_key(self, ref: KeyRef) -> bytes:
        """See `hsm_sim.keys.masters.MasterKeys`."""
        return signatures.public_key(self.describe(ref).algorithm, self.key(ref).value)

    def encipher_data(self, ref: KeyRef, nonce: bytes, data: bytes, context: bytes) -> bytes:
        """See `hsm_sim.keys.masters.MasterKeys`."""
        value = self.key(ref).value
        if self.describe(ref).algorithm is not Algorithm.SM4:
            return AESGCM(value).encrypt(nonce, data, context)
        encryptor = Cipher(algorithms.SM4(value), modes.GCM(nonce)).encryptor()
        encryptor.authenticate_additional_data(context)
        return encryptor.update(data) + encryptor.finalize() + encryptor.tag

    def decipher_data(self, ref: KeyRef, nonce: bytes, data: bytes, context: bytes) -> bytes:
        """See `hsm_sim.keys.masters.MasterKeys`."""
        value = self.key(ref).value
        try:
            if self.describe(ref).algorithm is not Algorithm.SM4:
                return AESGCM(value).decrypt(nonce, data, context)
            decryptor = Cipher(algorithms.SM4(value), modes.GCM(nonce, data[-16:])).decryptor()
            decryptor.authenticate_additional_data(context)
            return decryptor.update(data[:-16]) + decryptor.finalize()
        except (InvalidTag, ValueError) as error:
            raise CryptogramError(
                Text(
                    f"{ref}：数据不是当初加密的数据", f"{ref}: the data are not what was enciphered"
                )
            ) from error

    def _entry(self, ref: KeyRef) -> KeyEntry:
        held = self._entries.get(ref)
        if held is not None:
            return held
        versions = self.versions(ref.usage, ref.label)
        if versions:
            raise UnknownKeyVersionError(
                Text(
                    f"{ref}：未持有此版本；持有的版本：{'、'.join(map(str, versions))}",
                    f"{ref}: not held, versions held are {versions}",
                )
            )
        raise UnknownKeyError(
            Text(f"{ref}：没有此密钥的任何版本", f"{ref}: no version of this key is held")
        )


def _diversified(key: KeyDescription, value: bytes, factor: bytes) -> bytes:
    """One level down (分散)."""
    if key.ref.usage in CHANNEL_USAGES:
        return scp03.static_key(value, factor)
    return SUITES[key.algorithm].diversify(value, factor)


class CardKeyInMemory(NamedTuple):
    """See `hsm_sim.keys.masters.CardKeyHandle`: the suite over key bytes."""

    usage: KeyUsage
    secret: bytes
    algorithm: Algorithm

    def __repr__(self) -> str:
        return f"CardKeyInMemory({self.usage}, hidden)"

    def value(self) -> bytes:
        """See the protocol."""
        return self.secret

    def check_value(self) -> bytes:
        """See the protocol."""
        return card_check_value(self.usage, self.secret, self.algorithm)

    def authenticate(self, challenge: bytes) -> bytes:
        """See the protocol."""
        return SUITES[self.algorithm].authenticate(self.secret, challenge)

    def encipher(self, blocks: bytes) -> bytes:
        """See the protocol."""
        return SUITES[self.algorithm].encipher(self.secret, blocks)

    def session_mac(self, session_input: bytes, data: bytes) -> bytes:
        """See the protocol."""
        suite = SUITES[self.algorithm]
        return suite.session_mac(suite.session_key(self.secret, session_input), data)

    def message_mac(self, challenge: bytes, data: bytes) -> bytes:
        """See the protocol."""
        return SUITES[self.algorithm].message_mac(self.secret, challenge, data)

    def record_mac(self, digest: bytes) -> bytes:
        """See the protocol."""
        return SUITES[self.algorithm].record_mac(self.secret, digest)
