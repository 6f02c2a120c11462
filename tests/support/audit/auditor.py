"""The decision over every record, day after day, by the words of the rules and one at a time.

Decides disposition and reason of every record, who is paid, and what is remembered. Leaves sums to
`books`. R1 to R3, R7 and R9 stand where they are applied.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from types import MappingProxyType

from cardcore.records.kinds import RecordFlag, Sector
from tests.support.audit.books import stretches_of
from tests.support.audit.known import NOBODYS, OURS, Known
from tests.support.audit.proof import MacProof, TacProof, prove_mac, prove_tac
from tests.support.audit.words import (
    WAITING_CLAIMS,
    Disposition,
    Entry,
    Identity,
    Note,
    Purse,
    Reason,
    Sent,
)

_UNPROVEN = {
    TacProof.ALGORITHM_UNKNOWN: Reason.ALGORITHM_UNKNOWN,
    TacProof.VERSION_UNKNOWN: Reason.KEY_VERSION_UNKNOWN,
}


class Auditor:
    """Settles day after day and remembers everything that stands."""

    def __init__(self) -> None:
        #: What was decided, the last word on each record: (file, row) to entry.
        self.decided: dict[tuple[int, int], Entry] = {}
        #: What statements proved first and its own TAC afterwards.
        self._signed_later: set[tuple[Purse, bool, bytes]] = set()

    @property
    def kept(self) -> list[Entry]:
        """What stands: paid, held, or a claim that waits."""
        return [entry for entry in self.decided.values() if entry.is_kept]

    def settle(
        self,
        day: date,
        known: Known,
        files: Iterable[Sent],
        again: Collection[tuple[int, int]] = (),
        rulings: Mapping[tuple[int, int], Reason] = MappingProxyType({}),
    ) -> dict[tuple[int, int], Entry]:
        """Judge a day's files, and anew the records of earlier days that `again` names, or on which
        two people ruled: RELEASED or RETURNED.
        """
        ruled = self._ruled_as_it_stands(again, rulings)
        fresh = [Entry.of(sent, n) for sent in files for n in range(len(sent.records))]
        taken_up = sorted({*again, *rulings} - ruled.keys())
        entries = fresh + [self.decided.pop(key).again() for key in taken_up]
        left = [entry for entry in entries if _may_come_in(entry, known)]
        for entry in left:
            entry.mac = prove_mac(known, entry.sound, entry.data)
        proven = {entry.key for entry in left if _is_proven(entry, known)}
        opened = {_signed_day(entry, known) for entry in left if entry.key in proven}
        looked_up = [
            entry for entry in self.decided.values() if _is_looked_up(entry, known, opened)
        ]
        left = self._without_copies(left, looked_up)
        self._without_claims_on_what_is_proven(left, looked_up)
        left = self._without_variants([entry for entry in left if entry.key in proven])
        times = self._effective_times(left)
        for entry in left:
            entry.reason = _judge(entry, known, day, times[entry.key])
            if entry.is_booked:
                _note(entry)
            # What its cause holds no longer is not people's to rule on.
            if entry.reason.disposition is Disposition.SUSPENDED:
                entry.reason = rulings.get(entry.key, entry.reason)
        self.decided |= {entry.key: entry for entry in entries}
        back = self._taken_back()
        self.decided |= {entry.key: entry for entry in back}
        stated = self._proven_by_statements(day, known)
        self.decided |= {entry.key: entry for entry in stated}
        return {entry.key: entry for entry in [*entries, *back, *stated]} | ruled

    def _ruled_as_it_stands(
        self, again: Collection[tuple[int, int]], rulings: Mapping[tuple[int, int], Reason]
    ) -> dict[tuple[int, int], Entry]:
        """What statements proved has no TAC to be judged by again: a ruling changes its reason."""
        ruled = {}
        for key, reason in rulings.items():
            entry = self.decided[key]
            if Note.STATEMENT_PROVEN in entry.notes and key not in again:
                ruled[key] = replace(entry, reason=reason, is_again=True, was_booked=True)
        self.decided |= ruled
        return ruled

    def may_be_judged_otherwise(self, day: date, known: Known) -> set[tuple[int, int]]:
        """Records of earlier days for which something came that they wait for: a key, a
        registration, their day.
        """
        return {
            key
            for key, entry in self.decided.items()
            if entry.record is not None and _has_news(entry, known, day)
        }

    def _proven_by_statements(self, day: date, known: Known) -> list[Entry]:
        """R4: torn debits that two statements of their card fall short by, each the only claim
        between them, once no file is expected any more.
        """
        found: list[Entry] = []
        waiting = WAITING_CLAIMS - {Reason.FOREIGN_CARD}  # which is of no card of ours
        every = list(self.decided.values())
        # What stands is no claim any more, and what was taken back is never proven so again.
        settled = {e.movement for e in every if e.is_booked or Note.TAKEN_BACK in e.notes}
        claims = [
            each
            for each in every
            if each.reason in waiting
            and each.city == OURS
            and not each.is_load
            and each.movement not in settled
        ]
        for purse in sorted({entry.purse for entry in claims}):
            booked = [e for e in self.decided.values() if e.is_booked and e.purse == purse]
            for since, until, price_fen in stretches_of(booked):
                inside = _rivals(
                    [e for e in claims if e.purse == purse and since <= e.witnessed < until], known
                )
                is_late = known.business_day(until) + timedelta(days=known.late_days) < day
                if not is_late or len(inside) != 1 or inside[0].sound.amount_fen != price_fen:
                    continue
                (claim,) = inside
                if price_fen and claim.reason is Reason.TAC_MISSING:
                    entry = claim.again()
                    entry.reason = _judge(entry, known, day, entry.sound.time)
                    entry.notes = {Note.STATEMENT_PROVEN}
                    _note(entry)
                    found.append(entry)
        return found

    def _taken_back(self) -> list[Entry]:
        """R4: where a TAC proves another debit, what statements proved there was not what was
        missing: more has been paid than the card spent, and the torn one steps back.
        """
        found = []
        for entry in self.decided.values():
            if not entry.is_booked or Note.STATEMENT_PROVEN not in entry.notes:
                continue
            booked = [e for e in self.decided.values() if e.is_booked and e.purse == entry.purse]
            is_overpaid = any(
                price_fen < 0 and since <= entry.witnessed < until
                for since, until, price_fen in stretches_of(booked)
            )
            if is_overpaid and entry.movement not in self._signed_later:
                claim = entry.again()
                claim.reason, claim.notes = Reason.TAC_MISSING, {Note.TAKEN_BACK}
                found.append(claim)
        return found

    def _without_copies(self, entries: Sequence[Entry], looked_up: Sequence[Entry]) -> list[Entry]:
        """The same bytes stand once, whatever MAC is behind them: those that stood already, else
        those whose MAC holds, else the first by name of file. What waits is always known.
        """
        waiting = (entry for entry in self.kept if _waits(entry))
        standing = {entry.digest for entry in (*waiting, *looked_up) if entry.is_kept}
        first: dict[bytes, Entry] = {}

        def rank(entry: Entry) -> tuple[bool, int, tuple[int, int]]:
            return not entry.is_again, entry.mac_rank, entry.key

        for entry in sorted(entries, key=rank):
            if entry.digest in standing or entry.digest in first:
                entry.reason = Reason.DUPLICATE
            else:
                first[entry.digest] = entry
        return list(first.values())

    def _without_variants(self, entries: Sequence[Entry]) -> list[Entry]:
        """R1: what a card signed once is booked once, for ever, whatever else differs. Of several
        stands the one booked before, else one whose MAC holds, else the smallest digest.
        """
        standing = [entry for entry in self.decided.values() if entry.is_booked]
        booked = {entry.identity for entry in standing}
        # Without a TAC, by statements: whose TAC comes later is that movement.
        stated = {entry.movement for entry in standing if entry.identity is None}
        self._signed_later |= stated & {entry.movement for entry in entries}
        first: dict[Identity | None, Entry] = {}

        def rank(entry: Entry) -> tuple[bool, int, bytes]:
            return not entry.was_booked, entry.mac_rank, entry.digest

        for entry in sorted(entries, key=rank):
            if entry.identity in booked or entry.movement in stated or entry.identity in first:
                entry.reason = Reason.VARIANT
            else:
                first[entry.identity] = entry
        return list(first.values())

    def _without_claims_on_what_is_proven(
        self, entries: Sequence[Entry], looked_up: Sequence[Entry]
    ) -> None:
        """R1: a torn record without TAC of what a card proved is that movement, and no claim."""
        proven = {
            each.identity[:3]
            for each in [*looked_up, *entries]
            if each.identity and (each in entries or each.is_booked)
        }
        for entry in entries:
            if entry.reason is Reason.TAC_MISSING and entry.movement in proven:
                entry.reason = Reason.VARIANT

    def _effective_times(self, entries: Sequence[Entry]) -> dict[tuple[int, int], datetime]:
        """R9: within one PSAM the signed sequence orders debits. One that is dated before another
        of a lower sequence is judged as of that later time. A clock that is ahead says nothing.
        Nor does a sequence that no card signed. Which PSAM it was only its own MAC proves (§2): a
        record without one may be of any PSAM of its terminal, and is believed to be of none.
        """
        seen = [e for e in self.decided.values() if e.is_booked and e.identity] + list(entries)
        seen = [each for each in seen if not each.is_load and not each.is_clock_ahead]
        times = {}
        for entry in entries:
            record = entry.sound
            earlier = [
                each.sound.time
                for each in seen
                if each.sound.terminal == record.terminal
                and each.sound.psam_sequence < record.psam_sequence
                and entry.proven_psam in {None, each.proven_psam}
            ]
            times[entry.key] = record.time if entry.is_load else max([record.time, *earlier])
        return times


def _signed_day(entry: Entry, known: Known) -> tuple[str, date]:
    """Which card, and which day it signed."""
    return entry.sound.card_number[-16:], known.business_day(entry.sound.time)


def _is_looked_up(entry: Entry, known: Known, opened: Collection[tuple[str, date]]) -> bool:
    """R1: junk opens no day. Of a card what is settled of a day is looked up where the card proved
    something of that day today; and what statements proved, always.
    """
    if entry.record is None or not entry.is_booked:
        return False
    return Note.STATEMENT_PROVEN in entry.notes or _signed_day(entry, known) in opened


def _waits(entry: Entry) -> bool:
    """Whether it is carried along from day to day until something clears it up."""
    return entry.reason in WAITING_CLAIMS or entry.reason.disposition is Disposition.SUSPENDED


def _may_come_in(entry: Entry, known: Known) -> bool:
    """A record that is none, and one that is not its sender's to deliver (R7), have no effect."""
    if entry.record is None:
        entry.reason = Reason.FORMAT_WRONG
        return False
    day = known.business_day(entry.record.time)
    # What stands in suspense was taken when nobody was its collector: it stays taken.
    if not entry.was_booked and not known.may_deliver(
        entry.participant, entry.record.terminal, day
    ):
        entry.reason = Reason.NOT_YOUR_TERMINAL
        return False
    return True


def _is_proven(entry: Entry, known: Known) -> bool:
    """R3: what is not proven by a key of the city whose card it says to be is a claim. A partner's
    waits for its centre while the key that it names is not held here.
    """
    record = entry.sound
    entry.city = _city_of(entry, known)
    if entry.city == NOBODYS:
        entry.reason = Reason.FOREIGN_CARD
        return False
    entry.centre = known.centres.get(entry.city, 0)
    entry.tac = prove_tac(known, record, entry.data, entry.city)
    if entry.tac in {TacProof.HOLDS, TacProof.HOLDS_UNDER_ANOTHER}:
        entry.identity = (*entry.movement, record.tac)
        return True
    if entry.tac in _UNPROVEN and entry.centre:
        entry.reason = Reason.FOREIGN_CARD
        return False
    is_told_missing = RecordFlag.TAC_MISSING in record.flags or not any(record.tac)
    missing = Reason.TAC_MISSING if is_told_missing else Reason.TAC_WRONG
    entry.reason = _UNPROVEN.get(entry.tac, missing)
    return False


def _city_of(entry: Entry, known: Known) -> str:
    """Whose card it says to be, by the day that was signed."""
    record = entry.sound
    day = known.business_day(record.time)
    return known.city_of(record.application, record.issuer, record.card_number, day)


def _judge(entry: Entry, known: Known, day: date, effective: datetime) -> Reason:
    """What a proven movement that stands may do, and for whom."""
    record = entry.sound
    business_day, effective_day = known.business_day(record.time), known.business_day(effective)
    row = known.row_on(record.terminal, effective_day)
    entry.terminal = row
    if row is None:
        # Nobody is registered as its owner: held under whoever sent it.
        entry.payee = entry.participant
        return Reason.TERMINAL_UNKNOWN
    entry.payee = row.owner
    entry.sector = known.sectors[row.owner] if row.sector is None else row.sector
    if entry.is_clock_ahead and business_day > day:
        return Reason.CLOCK_AHEAD
    if known.is_listed(entry.city, entry.purse.factor, effective_day, record.hotlist_version):
        return Reason.HOTLISTED
    # I3: its centre owes it, and pays when it answers. Every record the auditor proves moves a
    # purse.
    return Reason.CENTRE_PENDING if entry.centre else Reason.NONE


def _note(entry: Entry) -> None:
    record = entry.sound
    change_fen = record.amount_fen if entry.is_load else -record.amount_fen
    if record.balance_before_fen + change_fen != record.balance_after_fen:
        entry.notes.add(Note.BALANCE_BROKEN)
    if entry.tac is TacProof.HOLDS_UNDER_ANOTHER:
        entry.notes.add(Note.KEY_VERSION_MISNAMED)
    # Of a terminal that nobody knows there is only the record's word.
    sector = record.sector if entry.sector is None else entry.sector
    is_ride = sector == Sector.TRANSIT and not entry.is_load
    if is_ride and record.amount_fen > record.tariff_fen:
        entry.notes.add(Note.OVERCHARGED)
    if entry.mac is MacProof.WRONG:
        entry.notes.add(Note.RECORD_MAC_WRONG)
    if entry.terminal and (record.operator, record.sector) != (entry.payee, entry.sector):
        entry.notes.add(Note.CLAIMS_DIFFER)


def _has_news(entry: Entry, known: Known, day: date) -> bool:
    """Whether what a record waits for has come."""
    record = entry.sound
    business_day = known.business_day(record.time)
    match entry.reason:
        case Reason.NOT_YOUR_TERMINAL:
            return known.may_deliver(entry.participant, record.terminal, business_day)
        case Reason.FOREIGN_CARD:
            city = _city_of(entry, known)
            if city in {NOBODYS, OURS}:
                return city == OURS
            return prove_tac(known, record, entry.data, city) not in _UNPROVEN
        case Reason.ALGORITHM_UNKNOWN | Reason.KEY_VERSION_UNKNOWN:
            return prove_tac(known, record, entry.data, _city_of(entry, known)) not in _UNPROVEN
        case Reason.TERMINAL_UNKNOWN:
            return known.row_on(record.terminal, business_day) is not None
        case Reason.CLOCK_AHEAD:
            return business_day <= day
        case _:
            return False


def _rivals(claims: Sequence[Entry], known: Known) -> list[Entry]:
    """R4: who claims a debit. R1: variants of one movement are one, the smallest digest. A terminal
    that nobody registered is no rival of a registered one.
    """
    movements: dict[tuple[Purse, bool, bytes], Entry] = {}
    # One that waits for a key proves nothing by statements.
    for each in sorted(claims, key=lambda e: (e.reason is not Reason.TAC_MISSING, e.digest)):
        movements.setdefault(each.movement, each)
    several = list(movements.values())
    registered = [
        each
        for each in several
        if known.row_on(each.sound.terminal, known.business_day(each.sound.time)) is not None
    ]
    return registered or several
