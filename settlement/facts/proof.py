"""Proof of a whole file: what cards signed as columns to the key service, an answer byte a record.

Decides under which label the cards of each application are proven, and which of the key service's
answers are believed. Leaves which bytes are signed to the record, what an answer means to
reconciliation, and keys to the key service.

The city knows its TAC keys by their check values (密钥校验值). A key service that was loaded with
other bytes, or lacks a version, must never make a record look forged, so

* no answer is believed under a version that is held with another check value than registered,
* that a TAC is wrong, or of another version, is believed only when the named version is registered
  and every registered version that was not destroyed is held as registered,
* that it holds is believed also under a version not registered yet; a key that proves most of the
  records of a file that name it has shown that it is the cards' key, and is registered so.

Whatever is not believed becomes `UNKNOWN_VERSION`: the record is held until it can be judged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cardcore.applets.catalogue import APPLICATIONS
from cardcore.errors import KeyServiceUnavailableError
from cardcore.key_labels import application_label
from cardcore.keys import KeyDescription, KeyService, KeyState, KeyUsage, ProofReason
from cardcore.records import record as layout
from cardcore.records.kinds import Evidence
from settlement.facts.columns import UNJUDGED, Cryptograms, cryptograms, record_rows
from settlement.registry import TacKeyRow

Answers = NDArray[np.uint8]
#: Which keys prove what a card signed.
_USAGES = {
    Evidence.TAC: KeyUsage.TAC,
    Evidence.AUTHENTICATION: KeyUsage.INTERNAL_AUTHENTICATION,
}


@dataclass(frozen=True, slots=True)
class Proof:
    """One `ProofReason` byte a record, and the keys not registered yet that showed themselves."""

    answers: bytes
    shown: tuple[TacKeyRow, ...] = ()


def prove_records(
    records: bytes, key_service: KeyService, city: str, registered: Sequence[TacKeyRow]
) -> Proof:
    """Prove 256-byte records, in their order. `city` is the label of the city's keys.

    Each application has keys of its own: a TAC made by one purse of a card is no TAC of another. A
    record of a kind for which no card signs has nothing to prove here and is answered PROVEN.

    Raises what the port raises: `UnknownKeyError` when no TAC key of the city's transit application
    is held, for then this is another city's key service; `KeyServiceUnavailableError` when the
    service does not answer, or changed its keys meanwhile.
    """
    rows = record_rows(records)
    answers = np.full(len(rows), ProofReason.PROVEN, np.uint8)
    shown: list[TacKeyRow] = []
    for part in cryptograms(records):
        application = APPLICATIONS.get(part.application)
        if application is None:  # damaged: nothing is asked of its proof
            continue
        label = application_label(city, application.key_ending)
        if application.key_ending and not key_service.describe_keys(_USAGES[part.evidence], label):
            answers[part.rows] = ProofReason.UNKNOWN_VERSION
            continue
        proof = _prove_part(part, key_service, label, rows, registered)
        answers[part.rows] = np.frombuffer(proof.answers, np.uint8)
        shown += proof.shown
    return Proof(answers.tobytes(), tuple(dict.fromkeys(shown)))


def _prove_part(
    part: Cryptograms,
    key_service: KeyService,
    label: str,
    rows: Answers,
    registered: Sequence[TacKeyRow],
) -> Proof:
    usage = _USAGES[part.evidence]
    held = key_service.describe_keys(usage, label)
    proven = key_service.prove_tacs(label, part.column)
    assert len(proven) == len(part.rows), (len(proven), len(part.rows))
    if key_service.describe_keys(usage, label) != held:
        raise KeyServiceUnavailableError(f"the keys of {label} changed while records were proven")
    known = {each.version: each for each in registered if each.label == label}
    versions = rows[part.rows, layout.FIELD["key_version"].offset]
    return _believe(np.frombuffer(proven, np.uint8), versions, held, known)


def tac_keys(key_service: KeyService, label: str) -> tuple[TacKeyRow, ...]:
    """The TAC keys of a city that its key service holds, as they would be registered."""
    held = key_service.describe_keys(KeyUsage.TAC, label)
    return tuple(
        _row(each) for each in held if each.levels == 1 and each.state is not KeyState.DESTROYED
    )


def _row(key: KeyDescription) -> TacKeyRow:
    return TacKeyRow(key.ref.label, key.ref.version, int(key.algorithm), key.check_value)


def _believe(
    answers: Answers,
    versions: Answers,
    held: Sequence[KeyDescription],
    known: Mapping[int, TacKeyRow],
) -> Proof:
    """The answers as far as the keys behind them are known to be the city's."""
    # A master of the scheme proves no TAC of a card.
    there = {each.ref.version: _row(each) for each in held if each.levels == 1}
    other = [v for v, row in known.items() if v in there and there[v] != row]
    is_whole = not other and all(version in there for version in known)
    judged = ~np.isin(answers, UNJUDGED)
    holds = answers == ProofReason.PROVEN
    shown = tuple(
        row
        for version, row in there.items()
        if version not in known and _shows(versions == version, judged, holds)
    )
    shown_versions = [row.version for row in shown]
    believed = holds & ~np.isin(versions, other)
    if is_whole:
        believed |= np.isin(versions, [*known, *shown_versions])
    answers = np.where(judged & ~believed, np.uint8(ProofReason.UNKNOWN_VERSION), answers)
    return Proof(answers.astype(np.uint8).tobytes(), shown)


def _shows(named: NDArray[np.bool_], judged: NDArray[np.bool_], holds: NDArray[np.bool_]) -> bool:
    """Whether most of the records that name a version are proven by it."""
    proven, asked = np.count_nonzero(named & holds), np.count_nonzero(named & judged)
    return bool(2 * proven > asked)
