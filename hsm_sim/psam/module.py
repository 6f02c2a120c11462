"""The PSAM (销售点终端安全存取模块): the purchase key inside a terminal, one APDU in, one out.

Decides MAC1 and MAC2 of a purchase and the sequence number under them (JR/T 0025, PSAM part).
Leaves money, dates and cards to the terminal, and the keeping of its image to whoever builds it.

It holds the purchase master key and makes each card's key from the card's serial. Whoever asks
for a transaction gets a number never given before: INIT_SAM_FOR_PURCHASE adds 1 to the sequence,
and a MAC1 or MAC2 made for one number is worth nothing for another.

Power loss. Numbers are reserved in the non-volatile image in runs of `SEQUENCES_RESERVED`, and the
one now in use is kept in volatile memory only. A PSAM that wakes up from its image goes on after
the whole run, so it may skip numbers and never repeats one. The image must be stored whenever
`generation` has grown, before the answer that came with it is passed on; that is once in a run.

Answers come at once with their data and 9000; there is no GET RESPONSE. Any string of bytes has a
status word for an answer, and a refused command changes nothing.
"""

import hashlib
import hmac
import struct
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from cardcore import cryptograms
from cardcore.apdu import CommandApdu, ResponseApdu, StatusWord
from cardcore.crypto import SUITES, Suite
from cardcore.digits import decode_bcd, decode_date, encode_bcd, encode_date
from cardcore.errors import DecodeError, KeyServiceError, UnknownKeyError
from cardcore.keys import Algorithm, Key, KeyRef, KeyUsage
from cardcore.records import TransactionType
from hsm_sim.vault import KeyVault, check_value

SEQUENCES_RESERVED = 64
SEQUENCE_MAX = 0xFFFF_FFFF
MAIN_FILE, APPLICATION = 0x3F00, 0xDF01
PUBLIC_INFORMATION, TERMINAL_INFORMATION, APPLICATION_INFORMATION = 0x15, 0x16, 0x17
#: EF15 after the serial: version, key-card type, command set, issuer's own FCI byte.
_PUBLIC_TAIL = bytes((0x01, 0x01, 0x00, 0x00))
#: The algorithm a card names: JR/T 0025 writes 00 for triple DES, the JT/T 978 upload code is 01.
_SUITES = {0x00: SUITES[Algorithm.PBOC_3DES], 0x01: SUITES[Algorithm.PBOC_3DES]}
_TYPES = frozenset({TransactionType.PURCHASE, TransactionType.COMPOSITE})

_INIT_DATA = struct.Struct(">4sHIB7sBB8s")  # 28 bytes, Lc 1C
_IMAGE = struct.Struct(">4s10s6s8s4s4sBIBB")
_MAGIC = b"OCP1"
_SEAL_BYTES = 8


@dataclass(frozen=True, slots=True)
class PsamProfile:
    """What is written into a PSAM for its life. Raises `ValueError` for what does not fit."""

    terminal: str  # 12 hexadecimal digits, EF16
    number: str  # 20 digits, EF15
    issuer: bytes  # 8 bytes, EF17
    valid_from: date
    valid_to: date
    key_index: int  # of the purchase key, EF17
    key_label: str  # whose purchase keys it holds

    def __post_init__(self) -> None:
        if len(bytes.fromhex(self.terminal)) != 6:
            raise ValueError(f"terminal {self.terminal!r} is not 12 hexadecimal digits")
        if len(self.number) != 20 or decode_bcd(encode_bcd(self.number, 10)) != self.number:
            raise ValueError(f"PSAM number {self.number!r} is not 20 digits")
        if len(self.issuer) != 8 or not 0 <= self.key_index <= 0xFF:
            raise ValueError("the issuer is 8 bytes, the key index one")

    def files(self) -> dict[tuple[int, int], bytes]:
        """Directory and short identifier to content: EF15 and EF16 in the MF, EF17 in the ADF."""
        # EF17: key index, issuer, the user of the application (here the issuer), first, last day.
        dates = encode_date(self.valid_from) + encode_date(self.valid_to)
        application = bytes((self.key_index,)) + self.issuer + self.issuer + dates
        return {
            (MAIN_FILE, PUBLIC_INFORMATION): encode_bcd(self.number, 10) + _PUBLIC_TAIL,
            (MAIN_FILE, TERMINAL_INFORMATION): bytes.fromhex(self.terminal),
            (APPLICATION, APPLICATION_INFORMATION): application,
        }


class _InitData(NamedTuple):
    """The data of INIT_SAM_FOR_PURCHASE, as the card and the terminal gave it."""

    random: bytes
    card_counter: int
    amount_fen: int
    transaction_type: int
    time: bytes
    key_version: int
    algorithm: int
    factor: bytes


def _refuse(status: StatusWord, detail: int = 0) -> ResponseApdu:
    return ResponseApdu(b"", status + detail)


def _macs(
    suite: Suite, key: Key, terminal: bytes, sequence: int, request: _InitData
) -> tuple[bytes, bytes]:
    """MAC1 for the card, and the MAC2 that only this card can answer with."""
    card_key = suite.diversify(key.value, request.factor)
    session_key = suite.session_key(
        card_key,
        cryptograms.purchase_session_input(request.random, request.card_counter, sequence),
    )
    mac1_message = cryptograms.purchase_mac1_message(
        request.amount_fen, request.transaction_type, terminal, request.time
    )
    mac2_message = cryptograms.purchase_mac2_message(request.amount_fen)
    mac1, mac2 = (suite.session_mac(session_key, each) for each in (mac1_message, mac2_message))
    return mac1, mac2


class Psam:
    """One PSAM. `make_psam` makes a new one, `from_image` wakes one up.

    `keys` are the purchase master keys it holds, by version. They do not leave it: the image
    names them by label, version and check value only.
    """

    def __init__(self, profile: PsamProfile, keys: dict[int, Key], sequence: int) -> None:
        assert sequence % SEQUENCES_RESERVED == 0, sequence
        self._profile = profile
        self._files = profile.files()
        self._keys = keys
        self._reserved = sequence
        self._sequence = sequence
        self.reset()

    def __repr__(self) -> str:
        return f"Psam({self._profile.number}, terminal {self._profile.terminal})"

    def reset(self) -> None:
        """Power on: the application is selected, no transaction is open."""
        # The application is the one implicitly selected after a reset (ISO/IEC 7816-4), so a
        # terminal that never selects anything works as well as one that selects both.
        self._directory = APPLICATION
        self._pending_mac2: bytes | None = None

    @property
    def generation(self) -> int:
        """How often the image has changed; store it before passing on the answer that did it."""
        return self._reserved // SEQUENCES_RESERVED

    def transmit(self, command: bytes) -> bytes:
        """The answer to one command: data and status word."""
        try:
            apdu = CommandApdu.decode(command)
        except DecodeError:
            return _refuse(StatusWord.WRONG_LENGTH).encode()
        match apdu.cla, apdu.ins:
            case 0x00, 0xA4:
                response = self._select(apdu)
            case 0x00, 0xB0:
                response = self._read_binary(apdu)
            case 0x80, 0x70:
                response = self._initialise_purchase(apdu)
            case 0x80, 0x72:
                response = self._credit_purchase(apdu)
            case 0x00 | 0x80, _:
                response = _refuse(StatusWord.INS_NOT_SUPPORTED)
            case _:
                response = _refuse(StatusWord.CLA_NOT_SUPPORTED)
        return response.encode()

    def _select(self, command: CommandApdu) -> ResponseApdu:
        """SELECT by identifier: the MF or the application. An open transaction is given up."""
        if (command.p1, command.p2) != (0x00, 0x00):
            return _refuse(StatusWord.P1P2_WRONG)
        if len(command.data) != 2:
            return _refuse(StatusWord.WRONG_LENGTH)
        identifier = int.from_bytes(command.data, "big")
        if identifier not in {MAIN_FILE, APPLICATION}:
            return _refuse(StatusWord.FILE_NOT_FOUND)
        self._directory = identifier
        self._pending_mac2 = None
        return ResponseApdu(b"", StatusWord.OK)

    def _read_binary(self, command: CommandApdu) -> ResponseApdu:
        """READ BINARY by short identifier and offset. The MF's files show everywhere."""
        if command.p1 & 0xE0 != 0x80:
            return _refuse(StatusWord.P1P2_WRONG)
        if command.data:
            return _refuse(StatusWord.WRONG_LENGTH)
        short = command.p1 & 0x1F
        content = self._files.get((self._directory, short), self._files.get((MAIN_FILE, short)))
        if content is None:
            return _refuse(StatusWord.FILE_NOT_FOUND)
        rest = content[command.p2 :]
        if not rest:
            return _refuse(StatusWord.OFFSET_WRONG)
        # No Le and Le 00 ask for all there is.
        wanted = len(rest) if command.le is None or command.le == 256 else command.le
        if wanted > len(rest):
            return _refuse(StatusWord.LE_WRONG, len(rest))
        return ResponseApdu(rest[:wanted], StatusWord.OK)

    def _initialise_purchase(self, command: CommandApdu) -> ResponseApdu:
        """INIT_SAM_FOR_PURCHASE: a new sequence number and MAC1 under it."""
        if (command.p1, command.p2) != (0x00, 0x00):
            return _refuse(StatusWord.P1P2_WRONG)
        if len(command.data) != _INIT_DATA.size:
            return _refuse(StatusWord.WRONG_LENGTH)
        if command.le not in {None, 256, 8}:
            return _refuse(StatusWord.LE_WRONG, 8)
        if self._directory != APPLICATION:
            return _refuse(StatusWord.CONDITIONS_NOT_SATISFIED)
        request = _InitData(*_INIT_DATA.unpack(command.data))
        suite = _SUITES.get(request.algorithm)
        if suite is None or request.transaction_type not in _TYPES:
            return _refuse(StatusWord.DATA_WRONG)
        key = self._keys.get(request.key_version)
        if key is None:
            return _refuse(StatusWord.PURSE_KEY_INDEX_WRONG)
        if self._sequence == SEQUENCE_MAX // SEQUENCES_RESERVED * SEQUENCES_RESERVED:
            return _refuse(StatusWord.COUNTER_OR_AMOUNT_LIMIT)
        if self._sequence == self._reserved:
            self._reserved += SEQUENCES_RESERVED
        self._sequence += 1
        terminal = self._files[MAIN_FILE, TERMINAL_INFORMATION]
        mac1, self._pending_mac2 = _macs(suite, key, terminal, self._sequence, request)
        return ResponseApdu(self._sequence.to_bytes(4, "big") + mac1, StatusWord.OK)

    def _credit_purchase(self, command: CommandApdu) -> ResponseApdu:
        """CREDIT_SAM_FOR_PURCHASE: the card proves that it was debited. One try a transaction."""
        if (command.p1, command.p2) != (0x00, 0x00):
            return _refuse(StatusWord.P1P2_WRONG)
        if len(command.data) != 4:
            return _refuse(StatusWord.WRONG_LENGTH)
        if self._pending_mac2 is None:
            return _refuse(StatusWord.CONDITIONS_NOT_SATISFIED)
        # Whatever the answer, the transaction is over: a MAC2 cannot be guessed by trying.
        expected, self._pending_mac2 = self._pending_mac2, None
        if not hmac.compare_digest(expected, command.data):
            return _refuse(StatusWord.PURSE_MAC_WRONG)
        return ResponseApdu(b"", StatusWord.OK)

    def image(self) -> bytes:
        """Everything that survives power loss, without a key byte.

        Layout: magic 4, number 10, terminal 6, issuer 8, valid from 4, to 4, key index 1,
        sequence reserved 4, versions 1, length of label 1; label; version 1 and check value 3 of
        each key; first 8 bytes of SHA-256 over all before.
        """
        profile, label = self._profile, self._profile.key_label.encode()
        body = _IMAGE.pack(
            _MAGIC,
            encode_bcd(profile.number, 10),
            bytes.fromhex(profile.terminal),
            profile.issuer,
            encode_date(profile.valid_from),
            encode_date(profile.valid_to),
            profile.key_index,
            self._reserved,
            len(self._keys),
            len(label),
        )
        keys = (
            bytes((version,)) + bytes.fromhex(check_value(key))
            for version, key in sorted(self._keys.items())
        )
        body += label + b"".join(keys)
        return body + hashlib.sha256(body).digest()[:_SEAL_BYTES]

    @classmethod
    def from_image(cls, image: bytes, vault: KeyVault) -> "Psam":
        """Wake a PSAM up; its keys are taken from the vault by name.

        Raises `DecodeError` for a damaged image, `UnknownKeyError` for a key the vault does not
        hold, `KeyServiceError` when the vault holds another key under the name.
        """
        body, seal = image[:-_SEAL_BYTES], image[-_SEAL_BYTES:]
        if len(body) < _IMAGE.size or hashlib.sha256(body).digest()[:_SEAL_BYTES] != seal:
            raise DecodeError("PSAM image", len(image), "the check sum does not hold")
        magic, number, terminal, issuer, first, last, index, reserved, count, size = (
            _IMAGE.unpack_from(body)
        )
        held = body[_IMAGE.size + size :]
        if magic != _MAGIC or reserved % SEQUENCES_RESERVED or len(held) != 4 * count:
            raise DecodeError("PSAM image", 0, "not an image of this version")
        label = body[_IMAGE.size : _IMAGE.size + size].decode()
        keys: dict[int, Key] = {}
        for version, shown in struct.iter_unpack("B3s", held):
            ref = KeyRef(KeyUsage.PURCHASE, label, version)
            keys[version] = vault.key(ref)
            if check_value(keys[version]) != shown.hex().upper():
                raise KeyServiceError(f"{ref}: the vault's key is not the one in this PSAM")
        profile = PsamProfile(
            terminal.hex(),
            decode_bcd(number),
            issuer,
            decode_date(first),
            decode_date(last),
            index,
            label,
        )
        return cls(profile, keys, reserved)


def make_psam(profile: PsamProfile, vault: KeyVault) -> Psam:
    """A new PSAM with every version of its label's purchase key that the vault holds.

    Raises `UnknownKeyError` when there is none.
    """
    versions = vault.versions(KeyUsage.PURCHASE, profile.key_label)
    refs = [KeyRef(KeyUsage.PURCHASE, profile.key_label, version) for version in versions]
    if not refs:
        raise UnknownKeyError(f"{KeyUsage.PURCHASE}/{profile.key_label}: no version is held")
    return Psam(profile, {ref.version: vault.key(ref) for ref in refs}, sequence=0)
