"""The tariff recheck (V16, V17): which class of the scheme explains each charged fare.

Decides the fare class and its notes for every distinct combination that occurs; there are some
hundreds where there are millions of records, so the scheme's own function decides each of them,
the same function the terminals charge by. Leaves which sectors ask it to their rules, and joining
the answers back to `bucket`.
"""

from dataclasses import dataclass

from cardcore.concession import Concession
from cardcore.records.kinds import RecordKind
from cardcore.schemes import FareClass, Scheme
from settlement.dispositions import Note

#: Class codes of decisions: 0 is no fare (a load, an entry, a purchase outside transport).
NOT_A_FARE = 0
UNEXPLAINED = 255
NO_NOTE = Note(0)
FARE_CLASSES = {
    1 + 2 * concession + transfer: FareClass(concession, transfer=transfer)
    for concession in Concession
    for transfer in (False, True)
}
_CODES = {fare_class: code for code, fare_class in FARE_CLASSES.items()}


@dataclass(frozen=True, slots=True)
class Fare:
    """What a record says of its fare; amounts in fen, `transfer` is the record's mark."""

    kind: RecordKind
    tariff_fen: int
    amount_fen: int
    transfer: bool
    concession: Concession


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a rule says of a fare: the code of its class, and notes for an auditor."""

    fare_class: int = NOT_A_FARE
    notes: Note = NO_NOTE


def class_name(code: int) -> str:
    """Name of a class code for reports.

    >>> class_name(2), class_name(UNEXPLAINED), class_name(NOT_A_FARE)
    ('adult_transfer', 'unexplained', 'no_fare')
    """
    if code in FARE_CLASSES:
        return FARE_CLASSES[code].name
    return "unexplained" if code == UNEXPLAINED else "no_fare"


def explain_by_tariff(fare: Fare, scheme: Scheme) -> Explanation:
    """What the scheme's tariff says of a fare.

    Above the full tariff no class is looked for: that is a note of its own, OVERCHARGED.
    """
    if fare.amount_fen > fare.tariff_fen:
        return Explanation(UNEXPLAINED, Note.OVERCHARGED)
    fare_class = scheme.explain_fare(
        fare.kind, fare.tariff_fen, fare.amount_fen, transfer_mark=fare.transfer
    )
    if fare_class is None:
        return Explanation(UNEXPLAINED, Note.FARE_UNEXPLAINED)
    if fare.kind is RecordKind.ENTRY:
        return Explanation()
    notes = NO_NOTE
    if fare_class.transfer and not fare.transfer:
        notes |= Note.TRANSFER_MARK_MISSING
    if not _explains_itself(fare, scheme):
        notes |= Note.CLASS_DIFFERS
    return Explanation(_CODES[fare_class], notes)


def _explains_itself(fare: Fare, scheme: Scheme) -> bool:
    """Whether the record's own concession explains the fare, with or without a transfer."""
    return any(
        scheme.fare_fen(fare.kind, fare.tariff_fen, each) == fare.amount_fen
        for each in scheme.classes[fare.transfer]
        if each.concession is fare.concession
    )
