"""TACs and record MACs, proven by `cryptography` and the formulas of the documents alone.

Decides which signature holds under which key (`docs/keys.md`, `docs/formats.md`, `docs/psam.md`).
"""

import hashlib
from enum import IntEnum
from functools import lru_cache

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES128, SM4
from cryptography.hazmat.primitives.cmac import CMAC

from cardcore.records.kinds import MacProfile, RecordKind
from cardcore.records.record import FIELD, TransactionRecord
from tests.support.audit.known import Known, MacKey, TacKey

#: Numbers of suites in records.
TRIPLE_DES, SM4_SUITE, AES_SUITE = 1, 4, 5
ALGORITHMS = {TRIPLE_DES, SM4_SUITE, AES_SUITE}
_BLOCK_CIPHERS = {SM4_SUITE: SM4, AES_SUITE: AES128}


class TacProof(IntEnum):
    """What the keys say of a TAC."""

    HOLDS = 0
    HOLDS_UNDER_ANOTHER = 1
    ALGORITHM_UNKNOWN = 2
    VERSION_UNKNOWN = 3
    HOLDS_NOT = 4


class MacProof(IntEnum):
    """What a record MAC is worth, the best first."""

    HELD = 0
    HELD_WEAKLY = 1
    NOTHING = 2  # none, or not to be judged
    WRONG = 3


def prove_tac(known: Known, record: TransactionRecord, data: bytes, city: str) -> TacProof:
    """Under the keys of that city and no other's: under the version the record names, else under
    any other that is registered, for which one it names nobody signed.
    """
    whose = (record.application, city)
    keys = [key for key in known.tac_keys if (key.application, key.city) == whose]
    holding = [key for key in keys if _tac_holds(key, record, data)]
    named = (record.key_version, record.algorithm)
    if any((key.version, key.algorithm) == named for key in holding):
        return TacProof.HOLDS
    if holding:
        return TacProof.HOLDS_UNDER_ANOTHER
    if keys and record.algorithm not in ALGORITHMS:
        return TacProof.ALGORITHM_UNKNOWN
    held = {key.version for key in keys if key.value is not None}
    is_one_lost = any(key.value is None for key in keys)
    if record.key_version not in held or is_one_lost:
        return TacProof.VERSION_UNKNOWN
    return TacProof.HOLDS_NOT


def message_of(record: TransactionRecord, data: bytes) -> bytes:
    """What a card signs of its purse (JR/T 0025)."""
    names = ["amount_fen", "transaction_type", "terminal", "psam_sequence", "time"]
    if record.kind is RecordKind.LOAD:
        names = [
            "balance_after_fen", "online_counter", "amount_fen", "transaction_type", "terminal",
            "time",
        ]  # fmt: skip
    return b"".join(data[FIELD[n].offset : FIELD[n].offset + FIELD[n].length] for n in names)


def digest_of(data: bytes) -> bytes:
    """The digest of a record: everything before its MAC."""
    return hashlib.sha256(b"onecard record 2\x00" + data[:240]).digest()[:16]


def prove_mac(known: Known, record: TransactionRecord, data: bytes) -> MacProof:
    """A record MAC under the key of the PSAM that the record names."""
    if record.mac_profile is MacProfile.NONE:
        return MacProof.NOTHING
    named = (record.mac_key_version, record.mac_algorithm)
    keys = [key for key in known.mac_keys if (key.version, key.algorithm) == named]
    if not keys:
        return MacProof.NOTHING
    if record.mac != mac_of(keys[0], record.psam, record.mac_profile, data):
        return MacProof.WRONG
    return MacProof.HELD if record.mac_profile is MacProfile.FIXED else MacProof.HELD_WEAKLY


def mac_of(key: MacKey, psam: str, profile: MacProfile, data: bytes) -> bytes:
    """The 16 bytes that a PSAM's MAC takes in a record."""
    own = _diversified(key.value, bytes.fromhex(psam)[-8:], key.algorithm)
    digest = digest_of(data)
    full = (
        _retail(own, digest) if key.algorithm == TRIPLE_DES else _cmac(own, digest, key.algorithm)
    )
    size = 4 if profile is MacProfile.PBOC else len(full)
    return full[:size].ljust(16, b"\x00")


def _tac_holds(key: TacKey, record: TransactionRecord, data: bytes) -> bool:
    if key.value is None:
        return False
    own = _diversified(key.value, bytes.fromhex(record.card_number)[-8:], key.algorithm)
    message = message_of(record, data)
    if key.algorithm == TRIPLE_DES:
        folded = bytes(left ^ right for left, right in zip(own[:8], own[8:], strict=True))
        return _chain(folded, message)[:4] == record.tac
    return _cmac(own, message, key.algorithm)[:4] == record.tac


@lru_cache(maxsize=4096)
def _diversified(master: bytes, factor: bytes, algorithm: int) -> bytes:
    block = factor + bytes(0xFF - each for each in factor)
    if algorithm == TRIPLE_DES:
        cipher = Cipher(TripleDES(master + master[:8]), modes.ECB())
    else:
        cipher = Cipher(_BLOCK_CIPHERS[algorithm](master), modes.ECB())
    return cipher.encryptor().update(block)


def _chain(key: bytes, message: bytes) -> bytes:
    """The last block of a single-DES chain over the message, 80 and zeros."""
    padded = message + b"\x80" + bytes(-(len(message) + 1) % 8)
    return Cipher(TripleDES(key * 3), modes.CBC(bytes(8))).encryptor().update(padded)[-8:]


def _retail(key: bytes, message: bytes) -> bytes:
    """ISO 9797-1, algorithm 3."""
    left, right = key[:8], key[8:]
    inner = Cipher(TripleDES(right * 3), modes.ECB()).decryptor().update(_chain(left, message))
    return Cipher(TripleDES(left * 3), modes.ECB()).encryptor().update(inner)


def _cmac(key: bytes, message: bytes, algorithm: int) -> bytes:
    mac = CMAC(_BLOCK_CIPHERS[algorithm](key))
    mac.update(message)
    return mac.finalize()
