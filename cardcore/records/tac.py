"""What is signed of a record: by the card, with a purse and without, and by the PSAM.

Decides the bytes only. Leaves keys to the key service, and what a signature is worth to settlement.
The bytes are read at fixed offsets of an encoded record (`docs/formats.md`).
"""

import hashlib

from cardcore.records.kinds import RecordKind
from cardcore.records.record import BODY_END, DIGEST_END, FIELD, RECORD_BYTES

#: Set the digests of this product apart from whatever else a card or PSAM may be asked to sign.
AUTHENTICATION_TAG = b"onecard authentication 2\x00"
DIGEST_TAG = b"onecard record 2\x00"
CHALLENGE_BYTES, RECORD_DIGEST_BYTES = 8, 16


def tac_message(data: bytes) -> bytes:
    """The bytes under the TAC of an encoded record, unpadded (JR/T 0025; `docs/formats.md`).

    Load: balance after, online counter, amount, type, terminal, date, time (24 bytes).
    Every debit: amount, type, terminal, PSAM sequence, date, time (22 bytes).
    """
    load = data[FIELD["kind"].offset] == RecordKind.LOAD
    return b"".join(data[start:end] for start, end in tac_message_slices(load=load))


def tac_message_slices(*, load: bool) -> tuple[tuple[int, int], ...]:
    """Which bytes of an encoded record stand under its TAC: (start, end) pairs in order."""
    psam_sequence, end = FIELD["psam_sequence"], FIELD["offline_counter"].offset
    if load:
        return (
            (FIELD["balance_after_fen"].offset, psam_sequence.offset),
            (FIELD["time"].offset, end),
        )
    return ((FIELD["amount_fen"].offset, end),)


def authentication_challenge(data: bytes) -> bytes:
    """What a card is asked to answer where no purse moves: 8 bytes, in the form of INTERNAL
    AUTHENTICATE that cards in the field understand. They stand for every byte before the
    cryptogram, the PSAM's sequence number among them.

    >>> authentication_challenge(bytes(256)).hex()
    '7a5d9cb4d5f7e3b0'
    """
    assert len(data) == RECORD_BYTES, len(data)
    return hashlib.sha256(AUTHENTICATION_TAG + data[:BODY_END]).digest()[:CHALLENGE_BYTES]


def record_digest(data: bytes) -> bytes:
    """Every byte of an encoded record before its MAC, in 16 bytes. What the record MAC stands over,
    and by what two copies of one record are known to be the same.

    >>> record_digest(bytes(256)).hex()
    'e95a56b5bf5af994f474d914bb906c22'
    """
    assert len(data) == RECORD_BYTES, len(data)
    return hashlib.sha256(DIGEST_TAG + data[:DIGEST_END]).digest()[:RECORD_DIGEST_BYTES]
