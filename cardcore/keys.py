"""Names of keys, and the port through which everything else uses them.

Decides how a key is named, what it may be used for and which operations exist. Leaves how keys
are held, derived and guarded to the key service behind the port (`hsm_sim`, or a real device).
Master keys never cross this border; derived card keys cross it only to be put into a card.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import IntEnum, StrEnum
from typing import NamedTuple, Protocol, Self

from cardcore.text import Text


class KeyUsage(StrEnum):
    """What a key may be used for; a key has exactly one usage."""

    # Names of keys are looked up by it at every use of one: as quick as the text it is.
    __hash__ = str.__hash__

    PURCHASE = "purchase"  # 消费密钥 DPK: session key of purchase and composite purchase
    LOAD = "load"  # 圈存密钥 DLK: session key of load
    TAC = "tac"  # 交易认证码密钥 DTK: the card's signature under a transaction
    FILE_MAINTENANCE = "file-maintenance"  # 应用维护密钥 DAMK: secure messaging of UPDATE and BLOCK
    FILE_SIGNING = "file-signing"  # 文件签名: Ed25519 or SM2 under batch files
    UNLOAD = "unload"  # 圈提密钥 DULK: session key of unload
    OVERDRAFT = "overdraft"  # 修改透支限额密钥 DUK: session key of the overdraft limit
    PIN_UNBLOCK = "pin-unblock"  # PIN 解锁密钥 DPUK
    PIN_RELOAD = "pin-reload"  # PIN 重装密钥 DRPK
    INTERNAL_AUTHENTICATION = "internal-authentication"  # 内部认证密钥: the card proves itself
    EXTERNAL_AUTHENTICATION = "external-authentication"  # 外部认证密钥: the reader proves itself
    RECORD_MAC = "record-mac"  # 交易记录鉴别密钥: a PSAM's signature under a whole record
    CHANNEL_ENC = "channel-enc"  # 安全通道加密密钥: SCP03 Key-ENC: enciphers the secure channel
    CHANNEL_MAC = "channel-mac"  # 安全通道认证密钥: SCP03 Key-MAC: proves every command in it
    CHANNEL_DEK = "channel-dek"  # 通道数据加密密钥: SCP03 Key-DEK: enciphers keys inside commands
    DATA_ENCRYPTION = "data-encryption"  # 数据加密密钥: data at rest, enciphered and proven
    TRANSPORT = "transport"  # 传输密钥 ZMK: wraps keys on their way between two devices
    DAY_SEAL = "day-seal"  # 日封存密钥: Ed25519 under closed days, one a day number

    @property
    def use(self) -> Text:
        """What the key is for, in a sentence; the name of a key has the word itself."""
        return _USAGES[self]


class KeyRef(NamedTuple):
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
    """What a key is for by its mathematics. A key has exactly one; its version names it.

    The symmetric ones are suites, and their number is the algorithm id that record and card carry
    (JT/T 978 upload code).
    """

    __hash__ = int.__hash__  # suites are looked up by it: as quick as the number it is

    PBOC_3DES = 1  # 三重 DES
    SM2 = 2  # 国密 SM2: signs files
    SM4 = 4  # 国密 SM4
    AES = 5  # AES 算法: ours: the field names no code for it
    ED25519 = 6  # Ed25519 签名: ours; signs files

    @property
    def label(self) -> str:
        """As people write it, in every language: `pboc-3des`."""
        return self.name.lower().replace("_", "-")


class KeyState(StrEnum):
    """Where a key stands in its life; it only ever moves down this list."""

    __hash__ = str.__hash__  # asked at every use of a key

    PREPARED = "prepared"  # 待启用: held and shown, for nothing yet
    ACTIVE = "active"  # 启用: makes cards, signs, enciphers, and everything below
    RETIRING = "retiring"  # 退役中: cards in the field go on; proves, verifies, deciphers
    DESTROYED = "destroyed"  # 已销毁: its name and check value are all that is left

    @property
    def text(self) -> Text:
        """For people."""
        return _STATES[self]


_USAGES = {
    KeyUsage.PURCHASE: Text("消费", "purchase"),
    KeyUsage.LOAD: Text("圈存", "load"),
    KeyUsage.TAC: Text("交易认证码", "TAC"),
    KeyUsage.FILE_MAINTENANCE: Text("应用维护", "file maintenance"),
    KeyUsage.FILE_SIGNING: Text("文件签名", "file signing"),
    KeyUsage.UNLOAD: Text("圈提", "unload"),
    KeyUsage.OVERDRAFT: Text("修改透支限额", "overdraft"),
    KeyUsage.PIN_UNBLOCK: Text("PIN 解锁", "PIN unblock"),
    KeyUsage.PIN_RELOAD: Text("PIN 重装", "PIN reload"),
    KeyUsage.INTERNAL_AUTHENTICATION: Text("内部认证", "internal authentication"),
    KeyUsage.EXTERNAL_AUTHENTICATION: Text("外部认证", "external authentication"),
    KeyUsage.RECORD_MAC: Text("交易记录鉴别", "record MAC"),
    KeyUsage.CHANNEL_ENC: Text("安全通道加密", "channel encryption"),
    KeyUsage.CHANNEL_MAC: Text("安全通道认证", "channel MAC"),
    KeyUsage.CHANNEL_DEK: Text("通道数据加密", "channel data encryption"),
    KeyUsage.DATA_ENCRYPTION: Text("数据加密", "data encryption"),
    KeyUsage.TRANSPORT: Text("传输", "transport"),
    KeyUsage.DAY_SEAL: Text("日封存", "day seal"),
}
_STATES = {
    KeyState.PREPARED: Text("待启用", "prepared"),
    KeyState.ACTIVE: Text("启用", "active"),
    KeyState.RETIRING: Text("退役中", "retiring"),
    KeyState.DESTROYED: Text("已销毁", "destroyed"),
}


@dataclass(frozen=True, slots=True)
class KeyDescription:
    """What may be shown of a key to anybody. `state` is the one in force on the day of asking.

    `check_value` is six hexadecimal digits. `valid_from` and `valid_to` are the first and the last
    day on which it is active; None: no bound. `parent` is the key it was diversified from.
    `levels` (分散级数) is how often it is diversified to make a card's key: once for an issuer's
    master, twice for the scheme's, three times for one above that. A key that makes none has 1.
    """

    ref: KeyRef
    algorithm: Algorithm
    state: KeyState
    check_value: str
    valid_from: date | None = None
    valid_to: date | None = None
    parent: KeyRef | None = None
    levels: int = 1


class DaySeal(NamedTuple):
    """What is signed when a city closes a settlement day (日封存): its number (the city's first day
    is 1, the next is 2), the day, and the SHA-256 of all that was closed.
    """

    number: int
    day: date
    digest: bytes


class SealStanding(NamedTuple):
    """What a key service has sealed for a city. Without a register (`is_kept`) it seals whatever it
    is asked to and remembers nothing.
    """

    is_kept: bool
    newest: DaySeal | None = None


class ProofReason(IntEnum):
    """Answer for one row of a column of cryptograms. What holds under any version held is one of
    the first two; the others are told apart by what the row names, highest number first.
    """

    PROVEN = 0  # 认证通过
    WRONG_VERSION = 2  # 密钥版本不符: proven, but under another version than the row names
    WRONG = 1  # 认证不符: no version of the key proves it
    UNKNOWN_VERSION = 3  # 密钥版本未知: the named version is not held
    UNKNOWN_ALGORITHM = 4  # 算法未知: or, of a record MAC, no such profile


class _Column(ABC):
    """A column of cryptograms to prove in one call. Every field is the rows' bytes one after
    another; `ValueError` when they are not of so many rows.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def row_bytes(self) -> Mapping[str, int]:
        """Field to its bytes a row, in the order of the fields; the first has one."""

    @property
    def parts(self) -> tuple[bytes, ...]:
        """The fields in their order."""
        return tuple(getattr(self, name) for name in self.row_bytes)

    def __post_init__(self) -> None:
        rows = len(self)
        for (name, size), part in zip(self.row_bytes.items(), self.parts, strict=True):
            if len(part) != size * rows:
                raise ValueError(f"{name}: {len(part)} bytes, not {size} for each of {rows} rows")

    def __len__(self) -> int:
        return len(self.parts[0])

    def part(self, start: int, stop: int) -> Self:
        """Some of the rows, as a slice takes them."""
        sizes = self.row_bytes.items()
        fields = {name: getattr(self, name)[size * start : size * stop] for name, size in sizes}
        return replace(self, **fields)  # type: ignore[type-var]


@dataclass(frozen=True, slots=True)
class TacColumn(_Column):
    """TACs of purses. `factors` are the last 8 bytes of the cards' application serials; messages
    are unpadded.

    >>> len(TacColumn(bytes(3), bytes(3), bytes(24), bytes(66), 22, bytes(12)).part(1, 9))
    2
    """

    algorithms: bytes = field(repr=False)
    key_versions: bytes = field(repr=False)
    factors: bytes = field(repr=False)
    messages: bytes = field(repr=False)
    message_bytes: int
    tacs: bytes = field(repr=False)

    @property
    def row_bytes(self) -> Mapping[str, int]:
        """See the base."""
        head = {"algorithms": 1, "key_versions": 1, "factors": 8}
        return {**head, "messages": self.message_bytes, "tacs": 4}


@dataclass(frozen=True, slots=True)
class RecordMacColumn(_Column):
    """Record MACs. `factors` are the last 8 bytes of the PSAMs' numbers, `profiles` how each was
    made (`cardcore.records.kinds.MacProfile`), `macs` as they stand in the record: with zeros
    behind what the profile and the suite give.
    """

    algorithms: bytes = field(repr=False)
    key_versions: bytes = field(repr=False)
    profiles: bytes = field(repr=False)
    factors: bytes = field(repr=False)
    digests: bytes = field(repr=False)
    macs: bytes = field(repr=False)

    @property
    def row_bytes(self) -> Mapping[str, int]:
        """See the base."""
        head = {"algorithms": 1, "key_versions": 1, "profiles": 1, "factors": 8}
        return {**head, "digests": 16, "macs": 16}


@dataclass(frozen=True, slots=True)
class AuthenticationColumn(_Column):
    """Answers of cards to INTERNAL AUTHENTICATE. `factors` as in `TacColumn`."""

    algorithms: bytes = field(repr=False)
    key_versions: bytes = field(repr=False)
    factors: bytes = field(repr=False)
    challenges: bytes = field(repr=False)
    answers: bytes = field(repr=False)

    @property
    def row_bytes(self) -> Mapping[str, int]:
        """See the base."""
        head = {"algorithms": 1, "key_versions": 1, "factors": 8}
        return {**head, "challenges": 8, "answers": 8}


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

    def wrapped_card_keys(self, refs: Sequence[KeyRef], factor: bytes) -> bytes:
        """A card's own keys as PUT KEY carries them, one after another: of each 16 bytes,
        enciphered so that only this card can read them, and 3 of its check value.
        """
        ...


class KeyService(Protocol):
    """The only way to use a key. Card keys are derived from a master by the card's `factor`, the
    last 8 bytes of its application serial (JR/T 0025, one-level diversification 一级分散). Under a
    master of the scheme, the issuer's factor of 8 bytes follows it (二级分散): first the issuer's
    key is derived, then the card's. A factor has 8 bytes for each of the key's `levels`; with
    another number of them nothing is derived, for what came out would be no card's key.

    Every operation raises `UnknownKeyError`, `KeyUsageError` or `KeyStateError` for a key that is
    not held, not for it (or not at that level), or not in the state for it, and
    `KeyServiceUnavailableError` when the device does not answer.
    """

    def describe_keys(
        self, usage: KeyUsage | None = None, label: str | None = None
    ) -> tuple[KeyDescription, ...]:
        """Every key held or destroyed, of that usage and label if named, in order of names."""
        ...

    def derive_card_key(self, ref: KeyRef, factor: bytes) -> Key:
        """A card's own key, to be written into that card at personalisation."""
        ...

    def open_channel(
        self, label: str, version: int, factor: bytes, context: bytes
    ) -> IssuerChannelKeys:
        """Session keys of a secure channel with the chip whose own number gives `factor`, under
        both challenges, host first (16 bytes).
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
        """4-byte MAC of secure messaging over a command, under the challenge of a card or PSAM."""
        ...

    def session_mac(self, ref: KeyRef, factor: bytes, session_input: bytes, data: bytes) -> bytes:
        """4-byte MAC of a load over `data`, under the session key made from `session_input` (8
        bytes). A purchase has a PSAM.
        """
        ...

    def verify_session_mac(
        self, ref: KeyRef, factor: bytes, session_input: bytes, data: bytes, mac: bytes
    ) -> None:
        """Compare in constant time; raises `CryptogramError` when the MAC does not hold."""
        ...

    def prove_tacs(self, label: str, column: TacColumn) -> bytes:
        """Prove a column of TACs; one `ProofReason` byte a row, in the order of the rows."""
        ...

    def prove_record_macs(self, label: str, column: RecordMacColumn) -> bytes:
        """The same for the MACs of PSAMs under whole records. No other operation takes such a key:
        outside a PSAM nobody makes one.
        """
        ...

    def prove_authentications(self, label: str, column: AuthenticationColumn) -> bytes:
        """The same for the answers of cards to INTERNAL AUTHENTICATE, under the
        INTERNAL_AUTHENTICATION keys of that label; the formula is that of `authenticate`.
        """
        ...

    def sign(self, ref: KeyRef, message: bytes) -> bytes:
        """64-byte signature: Ed25519, or SM2 with SM3 (r and s), as the key's algorithm says."""
        ...

    def public_key(self, ref: KeyRef) -> bytes:
        """Public key of a FILE_SIGNING or DAY_SEAL key: 32 bytes of Ed25519, or 65 of SM2 (04, x,
        y).
        """
        ...

    def seal_day(self, ref: KeyRef, seal: DaySeal) -> bytes:
        """64-byte signature under a closed day (`cardcore.crypto.day_seals`), the same for the same
        seal. A register keeps one seal a number and label: the next number and a later day, or the
        same seal again; anything else raises `SealRefusedError`.
        """
        ...

    def sealed_days(self, label: str) -> SealStanding:
        """How far the days of a label are sealed. It is no secret, and needs no key."""
        ...

    def encipher_data(self, ref: KeyRef, data: bytes, context: bytes) -> bytes:
        """Data at rest under a DATA_ENCRYPTION key: nonce 12, cipher text, tag 16 (GCM).

        `context` is not stored and must be the same again: data cannot change places.
        """
        ...

    def decipher_data(self, ref: KeyRef, data: bytes, context: bytes) -> bytes:
        """The other way; `CryptogramError` when data or context are not what was enciphered."""
        ...


class InsecureKeyServiceWarning(UserWarning):
    """A key service that holds keys in this process's memory is in use. Never in production."""
