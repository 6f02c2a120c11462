"""The secure channel of personalisation, SCP03 (GlobalPlatform Amendment D), both ends of it.

Decides how a channel is opened, how commands and answers are wrapped, and what a wrong cryptogram
leads to. Leaves the keys to `ChannelKeys` (a key service on one end, the card on the other), and
what the commands inside do to the card. State goes in and state comes out; nothing is kept.

A channel is opened by INITIALIZE UPDATE (both sides show a challenge, the card a cryptogram) and
EXTERNAL AUTHENTICATE (the host shows its cryptogram and chooses the level). From then on every
command carries a C-MAC chained to the one before, so none can be left out, repeated or moved:

=====  ====================================================================
level  protection
=====  ====================================================================
01     C-MAC: eight bytes behind the command data
03     and the command data are enciphered
11     as 01, and the answer carries an R-MAC
33     as 03, the answer carries an R-MAC and its data are enciphered
=====  ====================================================================

On the card a command whose C-MAC does not hold ends the channel. On the host an answer whose
R-MAC does not hold is a `CryptogramError`, and the channel must not be used again.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

from cardcore.apdu import STATUS_BYTES, CommandApdu, ResponseApdu, StatusWord
from cardcore.errors import CryptogramError, DecodeError, KeyUsageError
from cardcore.keys import ChannelKeys, Key, KeyUsage
from cardcore.text import Text

BLOCK = 16
MAC_BYTES = CHALLENGE_BYTES = CRYPTOGRAM_BYTES = 8
CHECK_VALUE_BYTES = 3
_CHAIN_START = bytes(BLOCK)
#: Derivation constants (Amendment D, table 4-1).
_CARD_CRYPTOGRAM, _HOST_CRYPTOGRAM, _CARD_CHALLENGE = 0x00, 0x01, 0x02
_S_ENC, _S_MAC, _S_RMAC = 0x04, 0x06, 0x07
#: Ours: a card's static keys from the master, under a constant the standard leaves unused.
_STATIC = 0xF0
SCP_ID = 0x03
#: Parameter i: pseudo-random challenge, R-MAC and R-ENC.
SCP_PARAMETER = 0x70
INS_INITIALIZE_UPDATE, INS_EXTERNAL_AUTHENTICATE = 0x50, 0x82
SECURE = 0x04  # the bit of CLA that says so
_HEADER_BYTES = 5  # of a command that has data: CLA, INS, P1, P2, Lc
_DATA_BYTES_MAX = 255
#: What the block of a command's counter has set in it for the answer (Amendment D §6.2.7).
_RESPONSE = 0x80 << 8 * (BLOCK - 1)
_OK_BYTES = StatusWord.OK.to_bytes(STATUS_BYTES, "big")
#: Behind the data of a protected answer: R-MAC and status word.
_ENDING_BYTES = MAC_BYTES + STATUS_BYTES
#: What pads data whose length leaves so much over whole blocks: 80 and zeros.
_PADDING = tuple(b"\x80".ljust(BLOCK - rest, b"\x00") for rest in range(BLOCK))
#: Beside 9000, the first bytes of the status words whose answers are protected.
_WARNINGS = (0x62, 0x63)


class Level(IntEnum):
    """What one bit of a security level asks for."""

    C_MAC = 0x01  # 命令带 MAC
    C_ENC = 0x02  # 命令加密
    R_MAC = 0x10  # 应答带 MAC
    R_ENC = 0x20  # 应答加密


_C_ENC, _R_MAC, _R_ENC = int(Level.C_ENC), int(Level.R_MAC), int(Level.R_ENC)
#: The levels that P1 of EXTERNAL AUTHENTICATE may ask for.
LEVELS = frozenset({0x01, 0x03, 0x11, 0x33})


def derive(key: bytes, constant: int, context: bytes, length: int) -> bytes:
    """Key derivation of Amendment D §4.1.5: AES-CMAC in counter mode, one block of it.

    >>> k = bytes.fromhex("404142434445464748494A4B4C4D4E4F")
    >>> context = bytes.fromhex("0807060504030201A3F5F144D19BE66E")
    >>> derive(k, 0x04, context, 16).hex()
    '852d207b7cc8c880231edfd5c644cfb1'
    """
    assert length <= BLOCK, length
    return cmac(key, derivation_data(constant, context, length))[:length]


def derivation_data(constant: int, context: bytes, length: int) -> bytes:
    """What `derive` takes the CMAC of; a device that keeps the key does the same inside."""
    head = bytes(11) + bytes((constant, 0)) + (8 * length).to_bytes(2, "big")
    return head + b"\x01" + context


def cmac(key: bytes, data: bytes) -> bytes:
    """AES-CMAC (NIST SP 800-38B), 16 bytes."""
    mac = CMAC(algorithms.AES(key))
    mac.update(data)
    return mac.finalize()


def static_key(master: bytes, factor: bytes) -> bytes:
    """A card's own static key from a master key by 8 bytes of its own. Our rule: no public one is
    for AES; a channel made under another issuer's rule needs only other static keys.
    """
    return cmac(master, static_key_data(factor))


def static_key_data(factor: bytes) -> bytes:
    """What `static_key` takes the CMAC of under the master."""
    return derivation_data(_STATIC, factor, BLOCK)


def card_challenge(enc_key: Key, sequence: int, aid: bytes) -> bytes:
    """The card's pseudo-random challenge: nobody but the key holders can tell the next.

    >>> k = Key(KeyUsage.CHANNEL_ENC, bytes.fromhex("404142434445464748494A4B4C4D4E4F"))
    >>> card_challenge(k, 0x2A, bytes.fromhex("A000000018434D08090A0B0C000000")).hex()
    'a3f5f144d19be66e'
    """
    context = sequence.to_bytes(3, "big") + aid
    return derive(enc_key.value, _CARD_CHALLENGE, context, CHALLENGE_BYTES)


@dataclass(frozen=True, slots=True)
class StaticKeys:
    """The three static keys of a card, of one version. `KeyUsageError` for a key of another use."""

    enc: Key
    mac: Key
    dek: Key

    def __post_init__(self) -> None:
        usages = (KeyUsage.CHANNEL_ENC, KeyUsage.CHANNEL_MAC, KeyUsage.CHANNEL_DEK)
        for key, usage in zip((self.enc, self.mac, self.dek), usages, strict=True):
            if key.usage is not usage or len(key.value) != BLOCK:
                raise KeyUsageError(f"a channel needs a {usage} key of {BLOCK} bytes")


class SessionKeys:
    """`ChannelKeys` over key bytes: inside the card, and inside a key service.

    >>> SessionKeys(Key(KeyUsage.CHANNEL_ENC, bytes(16)), Key(KeyUsage.CHANNEL_MAC, bytes(16)),
    ...             bytes(16))
    SessionKeys(hidden)
    """

    __slots__ = ("_command_mac", "_context", "_enc", "_mac", "_response_mac", "_vector")

    def __init__(self, enc: Key, mac: Key, context: bytes) -> None:
        assert len(context) == 2 * CHALLENGE_BYTES, len(context)
        self._context = context
        self._mac = derive(mac.value, _S_MAC, context, BLOCK)
        # Contexts are made once: a card takes some fifty commands to be personalised.
        self._command_mac = CMAC(algorithms.AES(self._mac))
        self._response_mac = CMAC(algorithms.AES(derive(mac.value, _S_RMAC, context, BLOCK)))
        self._enc = algorithms.AES(derive(enc.value, _S_ENC, context, BLOCK))
        # Amendment D §6.2.6: one block under ECB makes the vector; S305 is about whole messages.
        self._vector = Cipher(self._enc, modes.ECB()).encryptor().update  # noqa: S305 - one block

    def __repr__(self) -> str:
        return "SessionKeys(hidden)"

    def cryptogram(self, constant: int) -> bytes:
        """See `cardcore.keys.ChannelKeys`."""
        return derive(self._mac, constant, self._context, CRYPTOGRAM_BYTES)

    def command_mac(self, data: bytes) -> bytes:
        """See `cardcore.keys.ChannelKeys`."""
        mac = self._command_mac.copy()
        mac.update(data)
        return mac.finalize()

    def response_mac(self, data: bytes) -> bytes:
        """See `cardcore.keys.ChannelKeys`."""
        mac = self._response_mac.copy()
        mac.update(data)
        return mac.finalize()

    def encipher(self, counter: bytes, data: bytes) -> bytes:
        """See `cardcore.keys.ChannelKeys`."""
        return Cipher(self._enc, modes.CBC(self._vector(counter))).encryptor().update(data)

    def decipher(self, counter: bytes, data: bytes) -> bytes:
        """See `cardcore.keys.ChannelKeys`."""
        return Cipher(self._enc, modes.CBC(self._vector(counter))).decryptor().update(data)


def key_wrapper(dek: Key) -> Callable[[bytes], bytes]:
    """Enciphers keys under a static DEK (AES-CBC, vector zero, Amendment D §6.2.8). A key is one
    block here, and the first block of a chain from a vector of zeros is the cipher alone, so one
    that was made ready serves for all keys of a channel.

    >>> dek = Key(KeyUsage.CHANNEL_DEK, bytes(range(16)))
    >>> key_unwrapper(dek)(key_wrapper(dek)(bytes(16))) == bytes(16)
    True
    """
    cipher = Cipher(algorithms.AES(dek.value), modes.ECB())  # noqa: S305 - one block each
    return cipher.encryptor().update


def key_unwrapper(dek: Key) -> Callable[[bytes], bytes]:
    """The other way. What comes out is checked by its check value, never by the cipher."""
    cipher = Cipher(algorithms.AES(dek.value), modes.ECB())  # noqa: S305 - one block each
    return cipher.decryptor().update


class InitializeResponse(NamedTuple):
    """Answer to INITIALIZE UPDATE, 32 bytes."""

    diversification: bytes  # 10 bytes: the chip's own number, by which its static keys are made
    key_version: int
    card_challenge: bytes
    cryptogram: bytes
    sequence: int

    def encode(self) -> bytes:
        """The bytes the card answers with."""
        return b"".join(
            (
                self.diversification,
                bytes((self.key_version, SCP_ID, SCP_PARAMETER)),
                self.card_challenge,
                self.cryptogram,
                self.sequence.to_bytes(3, "big"),
            )
        )

    @classmethod
    def decode(cls, data: bytes) -> "InitializeResponse":
        """Read the answer; `DecodeError` when its length or protocol is another."""
        if len(data) != 32:
            raise DecodeError("INITIALIZE UPDATE", len(data), f"{len(data)} bytes, not 32")
        if data[11] != SCP_ID:
            raise DecodeError("INITIALIZE UPDATE", 11, f"protocol {data[11]:02X}, not 03")
        sequence = int.from_bytes(data[29:], "big")
        return cls(data[:10], data[10], data[13:21], data[21:29], sequence)


class Channel(NamedTuple):
    """An open channel, the same on both ends: keys, level, MAC chain, commands so far."""

    keys: ChannelKeys
    level: int
    chain: bytes
    counter: int = 0

    def __repr__(self) -> str:
        return f"Channel(level {self.level:02X}, {self.counter} commands, hidden)"


class Opening(NamedTuple):
    """Between the card's answer to INITIALIZE UPDATE and EXTERNAL AUTHENTICATE."""

    keys: ChannelKeys
    sequence: int


def initialize_update(key_version: int, host_challenge: bytes) -> CommandApdu:
    """The command that opens.

    >>> initialize_update(0x30, bytes.fromhex("0807060504030201")).encode().hex()
    '8050300008080706050403020100'
    """
    assert len(host_challenge) == CHALLENGE_BYTES, len(host_challenge)
    return CommandApdu(0x80, INS_INITIALIZE_UPDATE, key_version, 0, host_challenge, le=256)


def open_by_card(
    static: StaticKeys,
    *,
    key_version: int,
    diversification: bytes,
    sequence: int,
    aid: bytes,
    host_challenge: bytes,
) -> tuple[InitializeResponse, Opening]:
    """The card's side of INITIALIZE UPDATE. `sequence` must never repeat after a channel opened."""
    challenge = card_challenge(static.enc, sequence, aid)
    keys = SessionKeys(static.enc, static.mac, host_challenge + challenge)
    cryptogram = keys.cryptogram(_CARD_CRYPTOGRAM)
    response = InitializeResponse(diversification, key_version, challenge, cryptogram, sequence)
    return response, Opening(keys, sequence)


def authenticate_by_host(
    keys: ChannelKeys, response: InitializeResponse, level: int
) -> tuple[bytes, Channel]:
    """The host's side: check the card, answer with EXTERNAL AUTHENTICATE.

    Raises `CryptogramError` when the card does not hold the keys.
    """
    assert level in LEVELS, level
    if not hmac.compare_digest(keys.cryptogram(_CARD_CRYPTOGRAM), response.cryptogram):
        raise CryptogramError(
            Text(
                "卡片密文不符：卡内是别的密钥",
                "the card's cryptogram does not hold: it has other keys",
            )
        )
    plain = CommandApdu(
        0x80, INS_EXTERNAL_AUTHENTICATE, level, 0, keys.cryptogram(_HOST_CRYPTOGRAM)
    )
    command, channel = wrap_command(Channel(keys, Level.C_MAC, _CHAIN_START), plain)
    return command, Channel(keys, level, channel.chain)


def authenticate_by_card(opening: Opening, apdu: CommandApdu) -> Channel | StatusWord:
    """The card's side of EXTERNAL AUTHENTICATE.

    Refusals in order: 6A86 a level that is none, 6700 length, 6300 host cryptogram, 6988 C-MAC.
    """
    if apdu.p1 not in LEVELS or apdu.p2:
        return StatusWord.P1P2_WRONG
    if len(apdu.data) != CRYPTOGRAM_BYTES + MAC_BYTES:
        return StatusWord.WRONG_LENGTH
    expected = opening.keys.cryptogram(_HOST_CRYPTOGRAM)
    if not hmac.compare_digest(expected, apdu.data[:CRYPTOGRAM_BYTES]):
        return StatusWord.HOST_CRYPTOGRAM_WRONG
    opened = unwrap_command(Channel(opening.keys, Level.C_MAC, _CHAIN_START), apdu.encode())
    if isinstance(opened, StatusWord):
        return opened
    return Channel(opening.keys, apdu.p1, opened[1].chain)


# Commands and answers are wrapped into bytes and out of bytes, not from one object into another:
# a card that is made exchanges some fifty, on both ends.


def wrap_command(channel: Channel, apdu: CommandApdu) -> tuple[bytes, Channel]:
    """A protected command as it is sent, with the channel as it is from then on.

    Raises `ValueError` when the protected data no longer fit a short APDU.
    """
    keys, level, chain, counter = channel
    cla, ins, p1, p2, data, le = apdu
    counter += 1
    if level & _C_ENC and data:
        data = keys.encipher(counter.to_bytes(BLOCK, "big"), data + _PADDING[len(data) % BLOCK])
    length = len(data) + MAC_BYTES
    if length > _DATA_BYTES_MAX:
        raise ValueError(f"{len(apdu.data)} bytes are more than one protected command carries")
    sent = bytes((cla | SECURE, ins, p1, p2, length)) + data
    chain = keys.command_mac(chain + sent)
    sent += chain[:MAC_BYTES]
    if le is not None:
        # What comes back is longer than what was asked for, so Le asks for all there is.
        sent += b"\x00" if level & _R_MAC else bytes((le & 0xFF,))
    return sent, Channel(keys, level, chain, counter)


def unwrap_command(channel: Channel, command: bytes) -> tuple[CommandApdu, Channel] | StatusWord:
    """Check and open a protected command on the card. `DecodeError` when it is no APDU.

    Refusals, each of which ends the channel: 6987 no MAC at all, 6988 a MAC or a padding that
    does not hold.
    """
    keys, level, chain, counter = channel
    end = _HEADER_BYTES + command[4] if len(command) > _HEADER_BYTES else 0
    if not _HEADER_BYTES < end <= len(command) <= end + 1:
        CommandApdu.decode(command)  # raises, unless it is one without data
    if end < _HEADER_BYTES + MAC_BYTES or not command[0] & SECURE:
        return StatusWord.MAC_MISSING
    data_end = end - MAC_BYTES
    chain = keys.command_mac(chain + command[:data_end])
    if not hmac.compare_digest(chain[:MAC_BYTES], command[data_end:end]):
        return StatusWord.MAC_WRONG
    counter += 1
    data = command[_HEADER_BYTES:data_end]
    if level & _C_ENC and data:
        plain = _decipher(keys, counter.to_bytes(BLOCK, "big"), data)
        if plain is None:
            return StatusWord.MAC_WRONG
        data = plain
    cla, ins, p1, p2 = command[:4]
    le = None if len(command) == end else command[end] or 256
    opened = CommandApdu(cla & ~SECURE, ins, p1, p2, data, le)
    return opened, Channel(keys, level, chain, counter)


def wrap_response(channel: Channel, response: ResponseApdu) -> bytes:
    """A protected answer as the card sends it. An error is only its status word (Amendment D
    §6.2.5).
    """
    keys, level, chain, counter = channel
    data, sw = response
    ending = sw.to_bytes(STATUS_BYTES, "big")
    if not level & _R_MAC or (ending != _OK_BYTES and ending[0] not in _WARNINGS):
        return data + ending
    if level & _R_ENC and data:
        data = keys.encipher(
            (_RESPONSE | counter).to_bytes(BLOCK, "big"), data + _PADDING[len(data) % BLOCK]
        )
    mac = keys.response_mac(chain + data + ending)
    return data + mac[:MAC_BYTES] + ending


def unwrap_response(channel: Channel, answer: bytes) -> ResponseApdu:
    """Check and open an answer on the host, with the channel as it was after the command.

    Raises `CryptogramError` when its R-MAC is missing or does not hold, `DecodeError` when it has
    not even a status word.
    """
    keys, level, chain, counter = channel
    ending = answer[-STATUS_BYTES:]
    if ending != _OK_BYTES and (len(ending) < STATUS_BYTES or ending[0] not in _WARNINGS):
        return ResponseApdu.decode(answer)
    if not level & _R_MAC:
        return ResponseApdu.decode(answer)
    data = answer[:-_ENDING_BYTES]
    expected = keys.response_mac(chain + data + ending)
    if not hmac.compare_digest(expected[:MAC_BYTES], answer[-_ENDING_BYTES:-STATUS_BYTES]):
        raise CryptogramError(
            Text("卡片应答的 R-MAC 不符", "the R-MAC of the card's answer does not hold")
        )
    if level & _R_ENC and data:
        plain = _decipher(keys, (_RESPONSE | counter).to_bytes(BLOCK, "big"), data)
        if plain is None:
            raise CryptogramError(
                Text("卡片应答的填充不对", "the card's answer is not padded as it must be")
            )
        data = plain
    return ResponseApdu(data, int.from_bytes(ending, "big"))


def _decipher(keys: ChannelKeys, counter: bytes, data: bytes) -> bytes | None:
    """The plain data, or None when length or padding is wrong."""
    if len(data) % BLOCK:
        return None
    marked = keys.decipher(counter, data).rstrip(b"\x00")
    return marked[:-1] if marked.endswith(b"\x80") else None


def check_value(key: bytes) -> bytes:
    """The first 3 bytes of a block of 01 under an AES key (GlobalPlatform §B.6).

    >>> check_value(bytes(range(16))).hex()
    'c35280'
    """
    cipher = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305 - one block
    return cipher.encryptor().update(b"\x01" * BLOCK)[:CHECK_VALUE_BYTES]
