"""Names of keys, and the port through which everything else uses them.

Decides how a key is named, what it may be used for and which operations exist. Leaves how keys
are held, derived and guarded to the key service behind the port (`hsm_sim`, or a real device).
Master keys never cross this border; derived card keys cross it only to be put into a card.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Protocol


class KeyUsage(StrEnum):
    """What a key may be used for; a key has exactly one usage."""

    PURCHASE = "purchase"  # 消费密钥 DPK: session key of purchase and composite purchase
    LOAD = "load"  # 圈存密钥 DLK: session key of load
    TAC = "tac"  # 交易认证码密钥 DTK: the card's signature under a transaction
    FILE_MAINTENANCE = "file-maintenance"  # 应用维护密钥 DAMK: secure messaging of UPDATE and BLOCK
    FILE_SIGNING = "file-signing"  # 文件签名: Ed25519 under batch files
    UNLOAD = "unload"  # 圈提密钥 DULK: session key of unload
    OVERDRAFT = "overdraft"  # 修改透支限额密钥 DUK: session key of the overdraft limit
    PIN_UNBLOCK = "pin-unblock"  # PIN 解锁密钥 DPUK
    PIN_RELOAD = "pin-reload"  # PIN 重装密钥 DRPK
    INTERNAL_AUTHENTICATION = "internal-authentication"  # 内部认证密钥: the card proves itself
    EXTERNAL_AUTHENTICATION = "external-authentication"  # 外部认证密钥: the reader proves itself
    CHANNEL_ENC = "channel-enc"  # SCP03 Key-ENC: enciphers the secure channel
    CHANNEL_MAC = "channel-mac"  # SCP03 Key-MAC: proves every command in it
    CHANNEL_DEK = "channel-dek"  # SCP03 Key-DEK: enciphers keys inside commands


@dataclass(frozen=True, slots=True, order=True)
class KeyRef:
    """The name of a key: usage, label (city or issuer, or the sender of files) and version.

    >>> str(KeyRef(KeyUsage.TAC, "shenzhen", 1))
    'tac/shenzhen/v1'
    """

    usage: KeyUsage
    label: str
    version: int

    def __str__(self) -> str:
        return f"{self.usage}/{self.label}/v{self.version}"


@dataclass(frozen=True, slots=True, repr=False)
class Key:
    """Key bytes with their usage. They exist inside the key service and inside a card only.

    >>> Key(KeyUsage.TAC, bytes(16))
    Key(tac, 16 bytes, hidden)
    """

    usage: KeyUsage
    value: bytes

    def __repr__(self) -> str:
        return f"Key({self.usage}, {len(self.value)} bytes, hidden)"


class Algorithm(IntEnum):
    """Algorithm id of a suite, as the record and the card carry it (JT/T 978 upload code)."""

    PBOC_3DES = 1
    SM4 = 4
    AES = 5  # ours: the field names no code for it


class ProofReason(IntEnum):
    """Answer for one row of a column of TACs. Order of precedence, highest number first."""

    PROVEN = 0
    WRONG = 1  # no version of the key proves it
    WRONG_VERSION = 2  # proven, but under another version than the record names
    UNKNOWN_VERSION = 3  # the named version is not held
    UNKNOWN_ALGORITHM = 4


@dataclass(frozen=True, slots=True)
class TacColumn:
    """A column of TACs to prove in one call. Every field is the rows' bytes one after another.

    Sizes for n rows: `algorithms` n, `key_versions` n, `factors` 8n (last 8 bytes of the
    application serial), `messages` n * message_bytes, `tacs` 4n. Messages are unpadded.
    """

    algorithms: bytes
    key_versions: bytes
    factors: bytes
    messages: bytes
    message_bytes: int
    tacs: bytes

    def __post_init__(self) -> None:
        rows = len(self.algorithms)
        sizes = (len(self.key_versions), len(self.factors), len(self.messages), len(self.tacs))
        assert sizes == (rows, 8 * rows, self.message_bytes * rows, 4 * rows), (rows, sizes)

    def __len__(self) -> int:
        return len(self.algorithms)


class ChannelKeys(Protocol):
    """The session keys of one secure channel (SCP03): usable, and never visible."""

    def cryptogram(self, constant: int) -> bytes:
        """8 bytes under S-MAC over both challenges."""
        ...

    def command_mac(self, data: bytes) -> bytes:
        """AES-CMAC under S-MAC, all 16 bytes."""
        ...

    def response_mac(self, data: bytes) -> bytes:
        """AES-CMAC under S-RMAC, all 16 bytes."""
        ...

    def encipher(self, counter: bytes, data: bytes) -> bytes:
        """AES-CBC under S-ENC; the first vector is the enciphered 16-byte counter."""
        ...

    def decipher(self, counter: bytes, data: bytes) -> bytes:
        """The other way."""
        ...


class IssuerChannelKeys(ChannelKeys, Protocol):
    """The issuer's end of a channel, which can also send keys into the card."""

    def wrapped_card_key(self, ref: KeyRef, factor: bytes) -> bytes:
        """A card's own key, enciphered so that only this card can read it: 16 bytes."""
        ...


class KeyService(Protocol):
    """The only way to use a key. Card keys are derived from a master by the card's `factor`,
    the last 8 bytes of its application serial (`reference` JR/T 0025 one-level diversification).

    Every operation raises `UnknownKeyError` or `KeyUsageError` for a key that is not held or not
    for it, and `KeyServiceUnavailableError` when the device does not answer.
    """

    def derive_card_key(self, ref: KeyRef, factor: bytes) -> Key:
        """A card's own key, to be written into that card at personalisation."""
        ...

    def open_channel(
        self, label: str, version: int, factor: bytes, context: bytes
    ) -> IssuerChannelKeys:
        """Session keys of a secure channel with the chip whose own number gives `factor` (8 bytes)
        under both challenges, host first (16 bytes).
        """
        ...

    def check_value(self, ref: KeyRef, factor: bytes) -> bytes:
        """3 bytes by which a card's own key is recognised and nothing else learnt."""
        ...

    def authenticate(self, ref: KeyRef, factor: bytes, challenge: bytes) -> bytes:
        """A challenge of 8 bytes under a card's authentication key: 8 bytes. What EXTERNAL
        AUTHENTICATE sends, and what INTERNAL AUTHENTICATE must answer.
        """
        ...

    def message_mac(self, ref: KeyRef, factor: bytes, challenge: bytes, data: bytes) -> bytes:
        """4-byte MAC of secure messaging over a command, under the card's challenge."""
        ...

    def encipher_message(self, ref: KeyRef, factor: bytes, blocks: bytes) -> bytes:
        """Whole blocks of command data enciphered for secure messaging, or a PIN to unblock."""
        ...

    def session_mac(self, ref: KeyRef, factor: bytes, session_input: bytes, data: bytes) -> bytes:
        """4-byte MAC over `data` under the session key made from `session_input` (8 bytes)."""
        ...

    def verify_session_mac(
        self, ref: KeyRef, factor: bytes, session_input: bytes, data: bytes, mac: bytes
    ) -> None:
        """Compare in constant time; raises `CryptogramError` when the MAC does not hold."""
        ...

    def prove_tacs(self, label: str, column: TacColumn) -> bytes:
        """Prove a column of TACs; one `ProofReason` byte a row, in the order of the rows."""
        ...

    def sign(self, ref: KeyRef, message: bytes) -> bytes:
        """64-byte Ed25519 signature."""
        ...

    def public_key(self, ref: KeyRef) -> bytes:
        """32-byte Ed25519 public key of a FILE_SIGNING key."""
        ...


class InsecureKeyServiceWarning(UserWarning):
    """A key service that holds keys in this process's memory is in use. Never in production."""
