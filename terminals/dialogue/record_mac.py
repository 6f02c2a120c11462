"""A finished record gets the MAC of its PSAM, after the tap and off its time.

Decides under which key, and which bytes of the record change. Leaves when it is done, and which
records may still change, to the shell and the journal.

Two profiles (docs/psam.md). `fixed`: the key is fixed to the PSAM's own number, and the PSAM says
which key it is. `pboc`, for PSAMs of the field that do not know RECORD MAC: a delivered key makes
4 bytes, and another PSAM could have made them; the record says so. Such a PSAM cannot say which
key it has, so whoever fits it into a terminal does (`PbocKey`).

The same record under the same key has the same MAC, so one that was lost is made again.
"""

from dataclasses import dataclass

from cardcore.apdu import StatusWord
from cardcore.crypto import SUITES
from cardcore.keys import Algorithm
from cardcore.records.kinds import MacProfile
from cardcore.records.record import DIGEST_END, FIELD, RECORD_BYTES
from cardcore.records.tac import record_digest
from terminals.device import PbocKey
from terminals.dialogue import commands
from terminals.dialogue.talking import Dialogue, ForPsam

_PBOC_MAC_BYTES = 4


@dataclass(frozen=True, slots=True)
class RecordKey:
    """Under what a PSAM signs records. `factor` is its own, the last 8 bytes of its number."""

    profile: MacProfile
    algorithm: Algorithm
    version: int
    factor: bytes


def find_record_key(factor: bytes, pboc: PbocKey | None) -> Dialogue[RecordKey | None]:
    """Under what this PSAM signs, or None when it signs no records."""
    answer = yield ForPsam(commands.ask_record_key())
    if answer.ok and len(answer.data) == 2 and answer.data[0] in SUITES:
        algorithm, version = answer.data
        return RecordKey(MacProfile.FIXED, Algorithm(algorithm), version, factor)
    if answer.sw == StatusWord.INS_NOT_SUPPORTED and pboc is not None:
        return RecordKey(MacProfile.PBOC, pboc.algorithm, pboc.number, factor)
    return None


def sign_record(data: bytes, key: RecordKey) -> Dialogue[bytes | None]:
    """An encoded record with its MAC; None when the PSAM makes none."""
    assert len(data) == RECORD_BYTES, len(data)
    body = bytearray(data[:DIGEST_END])
    for name, value in (
        ("mac_profile", key.profile),
        ("mac_algorithm", key.algorithm),
        ("mac_key_version", key.version),
    ):
        body[FIELD[name].offset] = value
    digest = record_digest(bytes(body).ljust(RECORD_BYTES, b"\x00"))
    if key.profile is MacProfile.FIXED:
        answer = yield ForPsam(commands.record_mac(digest))
        whole = answer.ok and len(answer.data) in {8, 16}
    else:
        answer = yield ForPsam(commands.deliver_mac_key(key.version, key.factor))
        if not answer.ok:
            return None
        block = SUITES[key.algorithm].block_bytes
        answer = yield ForPsam(commands.cipher_mac(_padded(digest, block)))
        whole = answer.ok and len(answer.data) == _PBOC_MAC_BYTES
    if not whole:
        return None
    return bytes(body) + answer.data.ljust(RECORD_BYTES - DIGEST_END, b"\x00")


def _padded(message: bytes, block: int) -> bytes:
    """80 and zeros to whole blocks (ISO/IEC 9797-1, method 2).

    >>> _padded(b"ab", 8).hex()
    '6162800000000000'
    """
    return (message + b"\x80").ljust(-(-(len(message) + 1) // block) * block, b"\x00")
