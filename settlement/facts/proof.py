"""Proof of a whole file: what cards signed as columns to the key service, an answer byte a record.

Decides under which label the cards of each application are proven, and which of the key service's
answers are believed. Leaves which bytes are signed to the record, whose numbers are whose to the
registry, what an answer means to reconciliation, and keys to the key service.

A card number belongs to the keys of one city, ours or a partner's, and is proven under no other
label. Nobody is asked about numbers that are nobody's: they become `UNKNOWN_VERSION` as well, and
wait until they are somebody's.

The city knows its TAC keys by their check values (密钥校验值). A key service that was loaded with
other bytes, or lacks a version, must never make a record look forged, so

* no answer is believed under a version that is held with another check value than registered,
* that a TAC is wrong is believed only when the named version is registered and every registered
  version that was not destroyed is held as registered,
* that it holds under another version than the named one is believed only when every version that is
  held is registered, and held as registered,
* that it holds is believed also under a version not registered yet; a key that proves most of the
  records of a file that name it has shown that it is the cards' key, and is registered so,
* nothing is believed of a version whose registration people ended, and it does not show itself:
  what names it waits until somebody registers it again.

Whatever is not believed becomes `UNKNOWN_VERSION`: the record is held until it can be judged.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cardcore.applets.catalogue import APPLICATIONS
from cardcore.errors import KeyServiceUnavailableError
from cardcore.key_labels import application_label, indexed_label
from cardcore.keys import (
    AuthenticationColumn,
    KeyDescription,
    KeyService,
    KeyState,
    KeyUsage,
    ProofReason,
    RecordMacColumn,
    TacColumn,
)
from cardcore.records import record as layout
from cardcore.records.kinds import Evidence, MacProfile, RecordKind
from cardcore.text import Text
from settlement.dispositions import RecordMac
from settlement.facts.cells import record_rows
from settlement.facts.columns import PROOF_BITS, UNJUDGED
from settlement.facts.signed import cryptograms, record_macs
from settlement.registry.placing import PlacedNumbers
from settlement.registry.rows import TacKeyRow

Answers = NDArray[np.uint8]
#: A key as the registry names it: label and version.
KeyName = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Proof:
    """One `ProofReason` and one `RecordMac` byte a record, and the keys not registered yet that
    showed themselves.
    """

    answers: bytes
    record_macs: bytes
    shown: tuple[TacKeyRow, ...] = ()

    @property
    def packed(self) -> bytes:
        """Both in one byte a record, as facts are made of."""
        macs = np.frombuffer(self.record_macs, np.uint8)
        return (np.frombuffer(self.answers, np.uint8) | macs << PROOF_BITS).tobytes()


@dataclass(frozen=True, slots=True)
class _Believed:
    """The answers of one kind of key, as far as they are believed."""

    answers: Answers
    shown: tuple[TacKeyRow, ...] = ()


def prove_records(
    records: bytes,
    key_service: KeyService,
    city: str,
    registered: Sequence[TacKeyRow],
    ended: Collection[KeyName] = (),
    numbers: Sequence[PlacedNumbers] = (),
) -> Proof:
    """Prove 256-byte records, in their order. `city` is the label of the city's keys, `ended` are
    keys that were registered and are no more. `numbers` say whose card numbers are whose; those of
    an application of which we have none are all ours.

    Each application has keys of its own: a TAC made by one purse of a card is no TAC of another. A
    record of a kind for which no card signs is as good as its record MAC.

    Raises what the port raises: `UnknownKeyError` when no TAC key of the city's transit application
    is held, for then this is another city's key service; `KeyServiceUnavailableError` when the
    service does not answer, or changed its keys meanwhile.
    """
    rows = record_rows(records)
    if not len(rows):
        return Proof(b"", b"")
    answers = np.full(len(rows), ProofReason.WRONG, np.uint8)
    shown: list[TacKeyRow] = []
    asked = _Asked(key_service, registered, ended)
    macs, mac_answers, shown_macs = _prove_record_macs(records, rows, asked, city)
    is_bare = np.isin(rows[:, layout.FIELD["kind"].offset], _UNSIGNED_KINDS)
    answers[is_bare] = mac_answers[is_bare]
    is_signed = np.isin(rows[:, layout.FIELD["kind"].offset], _SIGNED_KINDS)
    is_applied = np.isin(rows[:, layout.FIELD["application"].offset], list(APPLICATIONS))
    answers[is_signed & is_applied] = ProofReason.UNKNOWN_VERSION
    for part in cryptograms(records, numbers, city):
        application = APPLICATIONS.get(part.application)
        if application is None:  # damaged: nothing is asked of its proof
            continue
        label = application_label(part.city, application.key_ending)
        versions = rows[part.rows, layout.FIELD["key_version"].offset]
        if isinstance(part.column, TacColumn):
            may_lack = bool(application.key_ending) or part.city != city
            proof = asked.tacs(label, part.column, versions, may_lack=may_lack)
        elif application.authentication_index is None:
            # No card of this application signs such an event.
            answers[part.rows] = ProofReason.WRONG
            continue
        else:
            label = indexed_label(label, application.authentication_index)
            proof = asked.authentications(label, part.column, versions)
        answers[part.rows] = proof.answers
        shown += proof.shown
    return Proof(answers.tobytes(), macs.tobytes(), tuple(dict.fromkeys((*shown, *shown_macs))))


#: Kinds of which nothing but the record MAC is ours to judge.
_UNSIGNED_KINDS = tuple(
    each for each in RecordKind if each.evidence in {Evidence.RECORD_MAC, Evidence.FOREIGN}
)


#: Kinds for which a card signs.
_SIGNED_KINDS = tuple(each for each in RecordKind if each not in _UNSIGNED_KINDS)


def _prove_record_macs(
    records: bytes, rows: Answers, asked: "_Asked", city: str
) -> tuple[Answers, Answers, tuple[TacKeyRow, ...]]:
    """A `RecordMac` a row, the same as a `ProofReason` (WRONG where there is none), and the keys
    that showed themselves.
    """
    macs = np.full(len(rows), RecordMac.NONE, np.uint8)
    answers = np.full(len(rows), ProofReason.WRONG, np.uint8)
    numbers, column = record_macs(records)
    if not len(numbers):
        return macs, answers, ()
    proof = asked.record_macs(city, column, rows[numbers, layout.FIELD["mac_key_version"].offset])
    weak = rows[numbers, layout.FIELD["mac_profile"].offset] == MacProfile.PBOC
    macs[numbers] = np.select(
        [np.isin(proof.answers, UNJUDGED), proof.answers != ProofReason.PROVEN, weak],
        [RecordMac.UNJUDGED, RecordMac.WRONG, RecordMac.HELD_WEAKLY],
        RecordMac.HELD,
    )
    answers[numbers] = proof.answers
    return macs, answers, proof.shown


class _Asked:
    """The key service, asked about whole columns, and what is believed of it."""

    def __init__(
        self,
        key_service: KeyService,
        registered: Sequence[TacKeyRow],
        ended: Collection[KeyName],
    ) -> None:
        self._service = key_service
        self._registered = registered
        self._ended = ended

    def tacs(
        self, label: str, column: TacColumn, versions: Answers, *, may_lack: bool
    ) -> _Believed:
        """`may_lack`: a city whose key service has no such key at all waits for it."""
        return self._ask(
            KeyUsage.TAC,
            label,
            versions,
            lambda: self._service.prove_tacs(label, column),
            may_lack=may_lack,
        )

    def authentications(
        self, label: str, column: AuthenticationColumn, versions: Answers
    ) -> _Believed:
        """What cards answered to INTERNAL AUTHENTICATE."""
        return self._ask(
            KeyUsage.INTERNAL_AUTHENTICATION,
            label,
            versions,
            lambda: self._service.prove_authentications(label, column),
        )

    def record_macs(self, label: str, column: RecordMacColumn, versions: Answers) -> _Believed:
        """What PSAMs said of whole records."""
        return self._ask(
            KeyUsage.RECORD_MAC,
            label,
            versions,
            lambda: self._service.prove_record_macs(label, column),
        )

    def _ask(
        self,
        usage: KeyUsage,
        label: str,
        versions: Answers,
        prove: Callable[[], bytes],
        *,
        may_lack: bool = True,
    ) -> _Believed:
        held = self._service.describe_keys(usage, label)
        if not held and may_lack:
            return _Believed(np.full(len(versions), ProofReason.UNKNOWN_VERSION, np.uint8))
        proven = prove()
        assert len(proven) == len(versions), (len(proven), len(versions))
        if self._service.describe_keys(usage, label) != held:
            raise KeyServiceUnavailableError(
                Text(
                    f"验证记录期间 {label} 的密钥发生变化",
                    f"the keys of {label} changed while records were proven",
                )
            )
        name = registered_label(usage, label)
        known = {each.version: each for each in self._registered if each.label == name}
        ended = {version for label, version in self._ended if label == name}
        return _believe(np.frombuffer(proven, np.uint8), versions, held, known, ended)


def registered_label(usage: KeyUsage, label: str) -> str:
    """Under which label the registry knows a key by its check value: TAC keys under their own,
    others with their usage before it.

    >>> registered_label(KeyUsage.TAC, "demo"), registered_label(KeyUsage.RECORD_MAC, "demo")
    ('demo', 'record-mac/demo')
    """
    return label if usage is KeyUsage.TAC else f"{usage}/{label}"


def tac_keys(key_service: KeyService, label: str) -> tuple[TacKeyRow, ...]:
    """The TAC keys of a label that a key service holds, as they would be registered."""
    return _held_keys(key_service, KeyUsage.TAC, label)


def signing_keys(key_service: KeyService, city: str) -> tuple[TacKeyRow, ...]:
    """Every key under which cards and PSAMs of a city sign, as far as its key service holds it, as
    it would be registered: TACs first, each application's, then answers of cards and record MACs.
    """
    labels = {each: application_label(city, each.key_ending) for each in APPLICATIONS.values()}
    rows = [row for label in labels.values() for row in tac_keys(key_service, label)]
    for each, label in labels.items():
        if each.authentication_index is not None:
            own = indexed_label(label, each.authentication_index)
            rows += _held_keys(key_service, KeyUsage.INTERNAL_AUTHENTICATION, own)
    return (*rows, *_held_keys(key_service, KeyUsage.RECORD_MAC, city))


def _held_keys(key_service: KeyService, usage: KeyUsage, label: str) -> tuple[TacKeyRow, ...]:
    held = key_service.describe_keys(usage, label)
    return tuple(
        _row(each) for each in held if each.levels == 1 and each.state is not KeyState.DESTROYED
    )


def _row(key: KeyDescription) -> TacKeyRow:
    label = registered_label(key.ref.usage, key.ref.label)
    return TacKeyRow(label, key.ref.version, int(key.algorithm), key.check_value)


def _believe(
    answers: Answers,
    versions: Answers,
    held: Sequence[KeyDescription],
    known: Mapping[int, TacKeyRow],
    ended: Collection[int],
) -> _Believed:
    """The answers as far as the keys behind them are known to be the city's."""
    ended = [version for version in ended if version not in known]
    # A master of the scheme proves no TAC of a card.
    there = {each.ref.version: _row(each) for each in held if each.levels == 1}
    other = [v for v, row in known.items() if v in there and there[v] != row]
    is_whole = not other and all(version in there for version in known)
    judged = ~np.isin(answers, UNJUDGED)
    holds = answers == ProofReason.PROVEN
    shown = tuple(
        row
        for version, row in there.items()
        if version not in known
        and version not in ended
        and _shows(versions == version, judged, holds)
    )
    shown_versions = [row.version for row in shown]
    believed = holds & ~np.isin(versions, [*other, *ended])
    misnamed = answers == ProofReason.WRONG_VERSION
    trusted = [*known, *shown_versions]
    if is_whole:
        believed |= np.isin(versions, trusted) & ~misnamed
    # It holds under a version that nobody named: one of the city's, where no other is held.
    if not other and all(version in trusted for version in there):
        believed |= misnamed
    answers = np.where(judged & ~believed, np.uint8(ProofReason.UNKNOWN_VERSION), answers)
    return _Believed(answers.astype(np.uint8), shown)


def _shows(named: NDArray[np.bool_], judged: NDArray[np.bool_], holds: NDArray[np.bool_]) -> bool:
    """Whether most of the records that name a version are proven by it."""
    proven, asked = np.count_nonzero(named & holds), np.count_nonzero(named & judged)
    return bool(2 * proven > asked)
