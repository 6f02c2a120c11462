"""Facts: the records of one batch file as columns, and as Parquet in buckets by card.

Decides how 256 bytes become columns, which field of a record is damaged (exactly as
`cardcore.records.record.decode_record` would say) and in which bucket a card lives. Leaves what a
record is worth to `settlement.reconciliation`. Everything is read by
`cardcore.records.record.FIELDS`, all rows of a field at once; the raw file stays the only truth,
facts can always be made again from it.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cardcore.applets.catalogue import APPLICATIONS
from cardcore.application import NO_APPLICATION
from cardcore.errors import DecodeError, RecordFormatError
from cardcore.keys import AuthenticationColumn, ProofReason, RecordMacColumn, TacColumn
from cardcore.layouts import fixed
from cardcore.layouts.fixed import Field
from cardcore.records import record as layout
from cardcore.records.kinds import Evidence, MacProfile, RecordKind
from cardcore.records.tac import (
    AUTHENTICATION_TAG,
    CHALLENGE_BYTES,
    DIGEST_TAG,
    RECORD_DIGEST_BYTES,
    tac_message_slices,
)
from settlement.facts import columnar

Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Moments = NDArray[np.datetime64]

#: Names of the format faults by number, in the order in which `decode_record` looks.
FORMAT_FAULTS = (
    *("", "version", *(field.name for field in layout.FIELDS)),
    *("payload", "reserved", "cryptogram", "version has no application"),
    # What no codec can know, and so `decode_record` does not say: an application nobody has.
    "unknown application",
)

#: Odd, from the golden ratio: spreads consecutive card numbers evenly over the top bits.
_BUCKET_FACTOR = np.uint64(0x9E3779B97F4A7C15)

#: Fields that become columns of their own name; the others are read from the raw file.
_COLUMNS = (
    "kind", "sector", "flags", "issuer", "card_number", "card_kind", "concession",
    "balance_before_fen", "balance_after_fen", "online_counter", "amount_fen",
    "transaction_type", "terminal", "psam_sequence", "time", "offline_counter", "tariff_fen",
    "terminal_serial", "operator", "line", "station", "vehicle", "business_day",
    "previous_type", "previous_counter", "tariff_version", "hotlist_version", "application",
    "mac2_check", "mac_profile",
)  # fmt: skip
#: Two BCD digits as a number, and whether a byte is two digits at all.
_PAIR = np.array([byte // 16 * 10 + byte % 16 for byte in range(256)], np.int32)
_IS_PAIR = np.array([byte // 16 <= 9 and byte % 16 <= 9 for byte in range(256)])

#: Answers that mean: this TAC cannot be judged with the keys held now.
UNJUDGED = (ProofReason.UNKNOWN_VERSION, ProofReason.UNKNOWN_ALGORITHM)

#: Where in a byte of proof the judgement of the record MAC begins.
PROOF_BITS, PROOF_MASK = 4, 0x0F

_FACT_QUERY = "SELECT * REPLACE (CAST(business_day AS DATE) AS business_day) FROM fact ORDER BY row"


@dataclass(frozen=True, slots=True)
class RecordColumns:
    """n records as arrays of n rows.

    `format_fault` indexes `FORMAT_FAULTS`, 0 is sound. `columns` has the fields that settlement
    asks for: integers as they stand in the record (ids of up to 8 bytes as numbers, the card
    number as its decimal value), times as datetime64[us], days too. In a damaged field times are
    NaT and card numbers 0, integers whatever the bytes say.
    """

    format_fault: Bytes
    record_hash_high: NDArray[np.uint64]
    record_hash_low: NDArray[np.uint64]
    columns: dict[str, NDArray[np.generic]]

    def __len__(self) -> int:
        return len(self.format_fault)


@dataclass(frozen=True, slots=True)
class FactFile:
    """The facts of one batch file (named by its SHA-256) for one bucket. `unjudged` counts the
    sound rows whose TAC could not be judged.
    """

    content_hash: str
    bucket: int
    rows: int
    sha256: str
    path: Path
    unjudged: int


def record_rows(records: bytes) -> Bytes:
    """Concatenated records as an array of n rows of 256 bytes; nothing is copied."""
    assert len(records) % layout.RECORD_BYTES == 0, len(records)
    return np.frombuffer(records, np.uint8).reshape(-1, layout.RECORD_BYTES)


def record_columns(records: bytes) -> RecordColumns:
    """Read n * 256 bytes."""
    # Column by column in memory: every field is then read at once.
    rows = np.asfortranarray(record_rows(records))
    high, low = _hash_halves(records)
    columns: dict[str, NDArray[np.generic]] = {}
    for name in _COLUMNS:
        cells = _cells(rows, layout.FIELD[name])
        if name == "time":
            columns[name] = _moments(cells)[1]
        elif name == "business_day":
            columns[name] = _days(cells)[1]
        elif name == "card_number":
            columns[name] = _card_numbers(cells)
        else:
            columns[name] = _unsigned(cells)
    return RecordColumns(_format_faults(rows), high, low, columns)


@dataclass(frozen=True, slots=True)
class Cryptograms:
    """What the key service is asked about: rows of a file whose cards signed alike, with the keys
    of one application.
    """

    application: int
    rows: NDArray[np.int64]
    column: TacColumn | AuthenticationColumn


def cryptograms(records: bytes) -> tuple[Cryptograms, ...]:
    """What cards signed, by application: debits, loads, and what a card authenticated. Debits and
    loads have messages of different lengths.

    Rows of kinds for which no card signed, and of kinds that are none, are in no part.
    """
    rows = record_rows(records)
    kinds = rows[:, layout.FIELD["kind"].offset]
    applications = rows[:, layout.FIELD["application"].offset]
    parts = []
    for application in np.unique(applications).tolist():
        of_application = applications == application
        for evidence, members in _SIGNED:
            numbers = np.flatnonzero(of_application & np.isin(kinds, members))
            if len(numbers):
                column = _signed_column(rows[numbers], evidence, load=RecordKind.LOAD in members)
                parts.append(Cryptograms(application, numbers, column))
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
    algorithms = _cells(rows, layout.FIELD["algorithm"]).tobytes()
    key_versions = _cells(rows, layout.FIELD["key_version"]).tobytes()
    # Cards are diversified by the last eight bytes of their application serial.
    factors = _last_bytes(rows, layout.FIELD["card_number"])
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
    high, low = _hash_halves(rows.tobytes())
    return numbers, RecordMacColumn(
        algorithms=_cells(rows, layout.FIELD["mac_algorithm"]).tobytes(),
        key_versions=_cells(rows, layout.FIELD["mac_key_version"]).tobytes(),
        profiles=_cells(rows, layout.FIELD["mac_profile"]).tobytes(),
        # PSAMs are diversified by the last eight bytes of their own number.
        factors=_last_bytes(rows, layout.FIELD["psam"]),
        digests=np.stack((high, low), axis=1).astype(">u8").tobytes(),
        macs=_cells(rows, layout.FIELD["mac"]).tobytes(),
    )


def _last_bytes(rows: Bytes, field: Field) -> bytes:
    end = field.offset + field.length
    return rows[:, end - 8 : end].tobytes()


def _challenges(rows: Bytes) -> bytes:
    """What each card was asked to answer: `authentication_challenge` of every row."""
    bodies = [AUTHENTICATION_TAG + row.tobytes() for row in rows[:, : layout.BODY_END]]
    return b"".join(hashlib.sha256(body).digest()[:CHALLENGE_BYTES] for body in bodies)


def bucket_of(card_numbers: NDArray[np.uint64], bucket_count: int) -> NDArray[np.uint64]:
    """The bucket of each card: the top bits of a multiplicative hash.

    >>> bucket_of(np.array([0, 1, 2, 3], np.uint64), 4).tolist()
    [0, 2, 0, 3]
    """
    bits = bucket_count.bit_length() - 1
    assert bucket_count == 1 << bits, f"{bucket_count} buckets: not a power of two"
    if bits == 0:
        return np.zeros_like(card_numbers)
    return (card_numbers * _BUCKET_FACTOR) >> np.uint64(64 - bits)


def fact_columns(records: bytes, proof: bytes) -> dict[str, NDArray[np.generic]]:
    """The columns of facts in their order: row, hash, proof, format fault, then the fields.

    `proof` is one byte a record, as `facts.proof.Proof.packed` makes it.
    """
    table = record_columns(records)
    assert len(proof) == len(table), (len(proof), len(table))
    answers = np.frombuffer(proof, np.uint8)
    return {
        "row": np.arange(len(table), dtype=np.uint32),
        "record_hash_high": table.record_hash_high,
        "record_hash_low": table.record_hash_low,
        "proof": answers & PROOF_MASK,
        "record_mac": answers >> PROOF_BITS,
        "format_fault": table.format_fault,
        **table.columns,
    }


def write_facts(
    records: bytes, proof: bytes, content_hash: str, bucket_count: int, folder: Path
) -> tuple[FactFile, ...]:
    """Write `folder/<bucket>.parquet` for every bucket that has rows, and say what was written.

    The bytes depend on the arguments only, so writing again after a crash, or on another machine,
    gives the same files.
    """
    columns = fact_columns(records, proof)
    folder.mkdir(parents=True, exist_ok=True)
    buckets = bucket_of(columns["card_number"].astype(np.uint64), bucket_count)
    unjudged = np.isin(columns["proof"], UNJUDGED) & (columns["format_fault"] == 0)
    written = []
    with columnar.connect(folder) as connection:
        for bucket in np.unique(buckets).tolist():
            rows = np.flatnonzero(buckets == bucket)
            columnar.register(
                connection, "fact", {name: column[rows] for name, column in columns.items()}
            )
            path = folder / f"{bucket:04}.parquet"
            digest = columnar.write_parquet(connection, _FACT_QUERY, path)
            missing = int(np.count_nonzero(unjudged[rows]))
            written.append(FactFile(content_hash, bucket, len(rows), digest, path, missing))
    return tuple(written)


def _hash_halves(records: bytes) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
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


def _cells(rows: Bytes, field: Field) -> Bytes:
    return rows[:, field.offset : field.offset + field.length]


def _unsigned(cells: Bytes) -> NDArray[np.generic]:
    """Big-endian integers of 1 to 8 bytes in the smallest native type that holds them."""
    length = cells.shape[1]
    width = next(width for width in (1, 2, 4, 8) if width >= length)
    wide = np.zeros((len(cells), width), np.uint8)
    wide[:, width - length :] = cells
    return wide.view(f">u{width}")[:, 0].astype(f"u{width}")


def _are_digits(cells: Bytes) -> Mask:
    """Per row whether every half-byte is a decimal digit."""
    sound: Mask = np.all(_IS_PAIR[cells], axis=1)
    return sound


def _card_numbers(cells: Bytes) -> NDArray[np.uint64]:
    number = np.zeros(len(cells), np.uint64)
    for column in range(cells.shape[1]):
        number = number * np.uint64(100) + _PAIR[cells[:, column]].astype(np.uint64)
    number[~(_are_digits(cells) & (cells[:, 0] >> 4 == 0))] = 0
    return number


def _days(cells: Bytes) -> tuple[Mask, Moments]:
    """Per row whether YYYYMMDD is a day of the calendar, and midnight of it, else NaT."""
    pairs = _PAIR[cells]
    year, month, day = pairs[:, 0] * 100 + pairs[:, 1], pairs[:, 2], pairs[:, 3]
    sound = _are_digits(cells)
    sound &= (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    months = ((np.where(sound, year, 1970) - 1970) * 12 + np.where(sound, month, 1) - 1).astype(
        "M8[M]"
    )
    days = months.astype("M8[D]") + np.where(sound, day, 1) - 1
    sound &= days.astype("M8[M]") == months  # the 31st of a shorter month runs into the next
    moments = days.astype("M8[us]")
    moments[~sound] = np.datetime64("NaT")
    return sound, moments


def _moments(cells: Bytes) -> tuple[Mask, Moments]:
    """Per row whether YYYYMMDDHHMMSS is a moment, and that moment, else NaT."""
    sound, moments = _days(cells[:, :4])
    clock = _PAIR[cells[:, 4:]]
    hour, minute, second = clock[:, 0], clock[:, 1], clock[:, 2]
    sound &= _are_digits(cells[:, 4:]) & (hour <= 23) & (minute <= 59) & (second <= 59)
    moments = moments + (hour * 3600 + minute * 60 + second).astype("m8[s]")
    moments[~sound] = np.datetime64("NaT")
    return sound, moments


def _sound(cells: Bytes, field: Field) -> Mask:
    """Per row whether the field decodes: the same answer as `field.coding.decode`."""
    coding = field.coding
    if coding is fixed.DATE:
        return _days(cells)[0]
    if coding is layout.TIME:
        return _moments(cells)[0]
    if coding is layout.TIME_OR_ZERO:
        return _moments(cells)[0] | ~cells.any(axis=1)
    if coding is layout.BCD:
        return _are_digits(cells)
    if coding is layout.CARD:
        return _are_digits(cells) & (cells[:, 0] < 0x10)
    if coding in {fixed.UINT, fixed.BYTES, fixed.HEX}:
        return np.ones(len(cells), np.bool_)
    # What is left are enumerations of one byte: ask the coding about all 256 values once.
    assert field.length == 1, field
    return _decodable(field)[cells[:, 0]]


def _decodable(field: Field) -> Mask:
    answers = []
    for value in range(256):
        try:
            field.coding.decode(bytes((value,)))
        except (DecodeError, ValueError):
            answers.append(False)
        else:
            answers.append(True)
    return np.array(answers)


def _format_faults(rows: Bytes) -> Bytes:
    """Index into `FORMAT_FAULTS` of the first damaged field of every row (V01)."""
    versions = rows[:, 0]
    sound = [
        np.isin(versions, list(layout.BYTES_OF_VERSION)),
        *(_sound(_cells(rows, field), field) for field in layout.FIELDS),
        *_behind_the_fields(rows),
        np.isin(rows[:, layout.FIELD["application"].offset], _APPLICATION_CODES),
    ]
    assert len(sound) == len(FORMAT_FAULTS) - 1
    faults = np.zeros(len(rows), np.uint8)
    # From the last to the first: the first fault is written last and stays.
    for number in range(len(sound), 0, -1):
        faults[~sound[number - 1]] = number
    return faults


def _behind_the_fields(rows: Bytes) -> tuple[Mask, Mask, Mask, Mask]:
    """Per row whether payload, what is reserved, the cryptogram and an old version are sound.

    Most records carry no payload, no authentication and are of the newest version: only the others
    are looked at one by one, with the very function that reads a record.
    """
    is_old = rows[:, 0] == layout.V1_VERSION
    kinds = rows[:, layout.FIELD["kind"].offset]
    body = rows[:, layout.PAYLOAD_AT : layout.BODY_END]
    tac = layout.FIELD["tac"]
    behind_tac = rows[:, tac.offset + Evidence.TAC.cryptogram_bytes : tac.offset + tac.length]
    is_plain = np.isin(kinds, _PURSE_KINDS) & ~body.any(axis=1) & ~behind_tac.any(axis=1)
    has_new = rows[:, tac.offset + tac.length :].any(axis=1)
    has_new |= rows[:, layout.FIELD["application"].offset] != 0
    is_plain &= ~(is_old & has_new)
    masks = tuple(np.ones(len(rows), np.bool_) for _ in range(4))
    for number in np.flatnonzero(~is_plain).tolist():
        try:
            layout.decode_record(rows[number].tobytes())
        except RecordFormatError as error:
            if error.field in _BEHIND:
                masks[_BEHIND[error.field]][number] = False
    payload, reserved, cryptogram, version = masks
    return payload, reserved, cryptogram, version


#: Which of the four faults behind the fields an error names.
_BEHIND = {"payload": 0, "reserved": 1, "cryptogram": 2, "version": 3}
_PURSE_KINDS = tuple(each for each in RecordKind if each.moves_purse)
_APPLICATION_CODES = (*APPLICATIONS, NO_APPLICATION)
