"""What of a file was signed, as columns for the key service: by cards, and by PSAMs.

Decides which bytes of which rows are asked about under which kind of key of which city, and the
digest by which two records are known to be copies. Leaves labels of keys and what an answer is
worth to `proof`.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cardcore.keys import AuthenticationColumn, RecordMacColumn, TacColumn
from cardcore.records import record as layout
from cardcore.records.kinds import Evidence, MacProfile, RecordKind
from cardcore.records.tac import (
    AUTHENTICATION_TAG,
    CHALLENGE_BYTES,
    DIGEST_TAG,
    RECORD_DIGEST_BYTES,
    tac_message_slices,
)
from settlement.facts.cells import (
    Bytes,
    cells_of,
    last_bytes,
    record_rows,
)
from settlement.facts.ownership import cards_by_city
from settlement.registry.placing import PlacedNumbers


@dataclass(frozen=True, slots=True)
class Cryptograms:
    """What the key service is asked about: rows of a file whose cards signed alike, with the keys
    of one application of one city.
    """

    application: int
    city: str
    rows: NDArray[np.int64]
    column: TacColumn | AuthenticationColumn


def cryptograms(
    records: bytes, placed: Sequence[PlacedNumbers], own_city: str
) -> tuple[Cryptograms, ...]:
    """What cards signed, by application and city: debits, loads, and what a card authenticated.
    Debits and loads have messages of different lengths. `placed` say whose card numbers are whose.

    Rows of kinds for which no card signed, of kinds that are none, and of nobody's cards are in no
    part.
    """
    rows = record_rows(records)
    kinds = rows[:, layout.FIELD["kind"].offset]
    applications = rows[:, layout.FIELD["application"].offset]
    parts = []
    for application in np.unique(applications).tolist():
        of_application = applications == application
        for evidence, members in _SIGNED:
            numbers = np.flatnonzero(of_application & np.isin(kinds, members))
            if not len(numbers):
                continue
            signed = rows[numbers]
            for city, cards in cards_by_city(signed, application, placed, own_city):
                column = _signed_column(signed[cards], evidence, load=RecordKind.LOAD in members)
                parts.append(Cryptograms(application, city, numbers[cards], column))
    return tuple(parts)


#: Kinds whose cryptograms are made alike.
_SIGNED: tuple[tuple[Evidence, tuple[RecordKind, ...]], ...] = (
    (
        Evidence.TAC,
        tuple(each for each in RecordKind if each.moves_purse and each is not RecordKind.LOAD),
    ),
    (Evidence.TAC, (RecordKind.LOAD,)),
    (
        Evidence.AUTHENTICATION,
        tuple(each for each in RecordKind if each.evidence is Evidence.AUTHENTICATION),
    ),
)


def _signed_column(
    rows: Bytes, evidence: Evidence, *, load: bool
) -> TacColumn | AuthenticationColumn:
    tac = layout.FIELD["tac"]
    signed = rows[:, tac.offset : tac.offset + evidence.cryptogram_bytes].tobytes()
    algorithms = cells_of(rows, layout.FIELD["algorithm"]).tobytes()
    key_versions = cells_of(rows, layout.FIELD["key_version"]).tobytes()
    # Cards are diversified by the last eight bytes of their application serial.
    factors = last_bytes(rows, layout.FIELD["card_number"])
    if evidence is Evidence.AUTHENTICATION:
        return AuthenticationColumn(algorithms, key_versions, factors, _challenges(rows), signed)
    slices = tac_message_slices(load=load)
    messages = np.hstack([rows[:, start:end] for start, end in slices]).tobytes()
    message_bytes = sum(end - start for start, end in slices)
    return TacColumn(algorithms, key_versions, factors, messages, message_bytes, signed)


def record_macs(records: bytes) -> tuple[NDArray[np.int64], RecordMacColumn]:
    """The rows that carry a record MAC, and what the key service is asked about them."""
    rows = record_rows(records)
    numbers = np.flatnonzero(rows[:, layout.FIELD["mac_profile"].offset] != MacProfile.NONE)
    rows = rows[numbers]
    high, low = digest_halves(rows.tobytes())
    return numbers, RecordMacColumn(
        algorithms=cells_of(rows, layout.FIELD["mac_algorithm"]).tobytes(),
        key_versions=cells_of(rows, layout.FIELD["mac_key_version"]).tobytes(),
        profiles=cells_of(rows, layout.FIELD["mac_profile"]).tobytes(),
        # PSAMs are diversified by the last eight bytes of their own number.
        factors=last_bytes(rows, layout.FIELD["psam"]),
        digests=np.stack((high, low), axis=1).astype(">u8").tobytes(),
        macs=cells_of(rows, layout.FIELD["mac"]).tobytes(),
    )


def _challenges(rows: Bytes) -> bytes:
    """What each card was asked to answer: `authentication_challenge` of every row."""
    bodies = [AUTHENTICATION_TAG + row.tobytes() for row in rows[:, : layout.BODY_END]]
    return b"".join(hashlib.sha256(body).digest()[:CHALLENGE_BYTES] for body in bodies)


def digest_halves(records: bytes) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """`record_digest` of every record in two halves: copies of one record have the same.

    The one loop over records in the normal path: 0.9 microseconds each, and no vectorised hash
    would withstand a sender who makes two records collide.
    """
    size, end, sha256, kept = layout.RECORD_BYTES, layout.DIGEST_END, hashlib.sha256, 16
    assert kept == RECORD_DIGEST_BYTES
    joined = b"".join(
        [
            sha256(DIGEST_TAG + records[start : start + end]).digest()[:kept]
            for start in range(0, len(records), size)
        ]
    )
    halves = np.frombuffer(joined, ">u8").astype(np.uint64).reshape(-1, 2)
    return halves[:, 0].copy(), halves[:, 1].copy()
