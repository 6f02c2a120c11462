"""A second settlement, slow and plain: one record at a time, dictionaries, no SQL, no arrays.

It decides every record by the documented order of precedence and knows of each card only which
counters have been seen. Where the product orders movements and prices gaps, the auditor needs to
know nothing of order: the float is loads less debits, whatever came first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from cardcore.errors import RecordFormatError
from cardcore.keys import ProofReason
from cardcore.records.kinds import RecordFlag, RecordKind, Sector
from cardcore.records.record import TransactionRecord, decode_record
from cardcore.schemes import Scheme
from settlement.dispositions import Disposition, Note, Reason

END_OF_DAY = time(23, 59, 59)
PROOF_REASONS = {
    ProofReason.UNKNOWN_ALGORITHM: Reason.ALGORITHM_UNKNOWN,
    ProofReason.UNKNOWN_VERSION: Reason.KEY_VERSION_UNKNOWN,
    ProofReason.WRONG_VERSION: Reason.KEY_VERSION_WRONG,
}


@dataclass
class Entry:
    """One record on its way through the rules."""

    data: bytes
    proof: ProofReason
    file: int
    row: int
    received: datetime
    record: TransactionRecord | None = None
    #: Of a closed day, taken up again; and whether it was in the card's chain then.
    reviewed: bool = False
    linked: bool = False
    reason: Reason = Reason.NONE
    chained: bool = False
    notes: Note = field(default_factory=lambda: Note(0))

    @property
    def sound(self) -> TransactionRecord:
        assert self.record is not None
        return self.record

    @property
    def card_key(self) -> tuple[str, bool, int]:
        return self.sound.card_number, self.sound.is_load, self.sound.counter

    @property
    def terminal_key(self) -> tuple[str, int]:
        return self.sound.terminal, self.sound.terminal_serial


class Auditor:
    """Settles day after day and remembers everything."""

    def __init__(
        self, scheme: Scheme, terminals: Mapping[str, int], hotlist: Mapping[str, int]
    ) -> None:
        self.scheme = scheme
        self.terminals = dict(terminals)
        self.hotlist = dict(hotlist)
        self.past: list[Entry] = []
        self.float_fen = 0

    def waiting(self) -> dict[tuple[int, int], Entry]:
        """Suspended records that a key or a registry entry may still clear up."""
        return {(each.file, each.row): each for each in self.past if each.reason.retry_may_help}

    def settle(
        self,
        day: date,
        files: Mapping[int, Sequence[tuple[bytes, ProofReason]]],
        again: Mapping[tuple[int, int], ProofReason] | None = None,
        received: datetime | None = None,
    ) -> dict[tuple[int, int], Entry]:
        """Judge a day's records, and anew those of earlier days in `again`. The day's files came in
        at its end, unless `received` says when.
        """
        received = received or datetime.combine(day, END_OF_DAY)
        entries = [
            Entry(data, proof, file, row, received)
            for file in sorted(files)
            for row, (data, proof) in enumerate(files[file])
        ]
        waiting = self.waiting()
        for key, proof in (again or {}).items():
            old = waiting[key]
            self.past.remove(old)
            self.float_fen -= self.worth_fen(old)
            entries.append(
                Entry(old.data, proof, *key, old.received, None, reviewed=True, linked=old.chained),
            )
        for entry in entries:
            try:
                entry.record = decode_record(entry.data)
            except RecordFormatError:
                entry.reason = Reason.FORMAT_WRONG
        sound = [entry for entry in entries if entry.record is not None]
        self._mark_duplicates(sound)
        for entry in sound:
            if entry.reason is Reason.NONE:
                self._judge_alone(entry)
        self._mark_serials(sound)
        self._mark_counters(sound)
        for entry in sound:
            if entry.reason is Reason.NONE:
                self._judge_last(entry, day)
            entry.chained |= entry.linked
            if entry.reason.disposition in {Disposition.ACCEPTED, Disposition.SUSPENDED}:
                self._note(entry)
        self.past += [each for each in sound if each.reason is not Reason.DUPLICATE]
        self.float_fen += sum(self.worth_fen(entry) for entry in sound)
        return {(entry.file, entry.row): entry for entry in entries}

    @staticmethod
    def worth_fen(entry: Entry) -> int:
        """What a record moves in the float (I3)."""
        if entry.reason.disposition not in {Disposition.ACCEPTED, Disposition.SUSPENDED}:
            return 0
        if not entry.sound.is_load:
            return -entry.sound.amount_fen
        accepted = entry.reason is Reason.NONE
        return entry.sound.amount_fen if accepted or entry.chained else 0

    def seen(self) -> dict[tuple[str, bool], set[int]]:
        """Counters in the chain by card and kind."""
        found: dict[tuple[str, bool], set[int]] = {}
        for entry in self.past:
            if entry.chained:
                card, is_load, counter = entry.card_key
                found.setdefault((card, is_load), set()).add(counter)
        return found

    def missing(self) -> dict[tuple[int, int], set[int]]:
        """Counters below the highest seen that nobody delivered, by card and kind."""
        return {
            (int(card), int(is_load)): holes
            for (card, is_load), counters in self.seen().items()
            if (holes := set(range(max(counters))) - counters)
        }

    def _mark_duplicates(self, sound: Sequence[Entry]) -> None:
        settled = {entry.data for entry in self.past}
        best: dict[bytes, Entry] = {}
        for entry in sound:
            first = best.get(entry.data)
            if first is None or (not entry.reviewed, entry.proof) < (
                not first.reviewed,
                first.proof,
            ):
                best[entry.data] = entry
        for entry in sound:
            if entry.data in settled or best[entry.data] is not entry:
                entry.reason = Reason.DUPLICATE

    def _judge_alone(self, entry: Entry) -> None:
        record = entry.sound
        change_fen = record.amount_fen if record.is_load else -record.amount_fen
        balanced = record.balance_before_fen + change_fen == record.balance_after_fen
        untold = RecordFlag.TAC_MISSING in record.flags
        if entry.proof in PROOF_REASONS:
            entry.reason = PROOF_REASONS[entry.proof]
        elif untold:
            entry.reason = Reason.TAC_MISSING
        elif entry.proof is ProofReason.WRONG:
            entry.reason = Reason.TAC_WRONG
        elif self.terminals.get(record.terminal) != record.operator:
            entry.reason = Reason.TERMINAL_UNKNOWN
        elif not balanced:
            entry.reason = Reason.BALANCE_BROKEN
        proven = entry.proof is ProofReason.PROVEN and not untold and balanced
        entry.chained = proven and not entry.linked

    def _mark_serials(self, sound: Sequence[Entry]) -> None:
        clean = [entry for entry in sound if entry.reason is Reason.NONE]
        rivals = [e for e in self.past if e.reason >= Reason.TERMINAL_SERIAL_REUSED]
        contents: dict[tuple[str, int], set[bytes]] = {}
        for entry in [*clean, *rivals]:
            contents.setdefault(entry.terminal_key, set()).add(entry.data)
        for entry in clean:
            if len(contents[entry.terminal_key]) > 1:
                entry.reason = Reason.TERMINAL_SERIAL_REUSED

    def _mark_counters(self, sound: Sequence[Entry]) -> None:
        clean: dict[tuple[str, bool, int], int] = {}
        linked: dict[tuple[str, bool, int], int] = {}
        candidates = [entry for entry in sound if entry.chained]
        for entry in candidates:
            linked[entry.card_key] = linked.get(entry.card_key, 0) + 1
            if entry.reason is Reason.NONE:
                clean[entry.card_key] = clean.get(entry.card_key, 0) + 1
        taken = {e.card_key for e in self.past if e.reason >= Reason.CARD_COUNTER_REUSED}
        seen = self.seen()
        for entry in sound:
            if entry.linked:
                card, is_load, counter = entry.card_key
                seen.setdefault((card, is_load), set()).add(counter)
                if entry.reason is Reason.NONE and entry.card_key in taken:
                    entry.reason = Reason.CARD_COUNTER_REUSED
        for entry in candidates:
            is_clean = entry.reason is Reason.NONE
            key = entry.card_key
            if is_clean and (clean[key] > 1 or key in taken):
                entry.reason, entry.chained = Reason.CARD_COUNTER_REUSED, False
                continue
            rivals = clean.get(key, 0) if clean.get(key, 0) or is_clean else linked[key]
            if rivals > 1 or (not is_clean and clean.get(key, 0)):
                entry.chained = False
                continue
            counters = seen.get(key[:2], set())
            if key[2] in counters or (counters and key[2] < max(counters)):
                holes = set(range(max(counters))) - counters
                if key[2] not in holes:
                    entry.chained = False
                    if is_clean:
                        entry.reason = Reason.CARD_COUNTER_REGRESSED

    def _judge_last(self, entry: Entry, day: date) -> None:
        record = entry.sound
        listed = self.hotlist.get(record.card_number)
        is_ahead = record.time > entry.received + timedelta(days=1)
        if is_ahead and self.scheme.business_day(record.time) > day:
            entry.reason = Reason.CLOCK_AHEAD
        elif listed is not None and listed <= record.hotlist_version:
            entry.reason = Reason.HOTLISTED
        elif (
            record.sector == Sector.TRANSIT
            and not record.is_load
            and record.amount_fen > record.tariff_fen
        ):
            entry.reason = Reason.OVERCHARGED

    def _note(self, entry: Entry) -> None:
        record = entry.sound
        listed = self.hotlist.get(record.card_number)
        if record.kind in {RecordKind.ENTRY, RecordKind.EXIT} and record.station == 0:
            entry.notes |= Note.STATION_MISSING
        if listed is not None and listed > record.hotlist_version:
            entry.notes |= Note.HOTLISTED_LATE
        if RecordFlag.RECOVERED in record.flags:
            entry.notes |= Note.RECOVERED
        if record.sector == Sector.TRANSIT and not record.is_load:
            self._note_fare(entry)

    def _note_fare(self, entry: Entry) -> None:
        record = entry.sound
        mark = RecordFlag.TRANSFER in record.flags
        explaining = [
            each
            for each in self.scheme.classes[mark]
            if self.scheme.fare_fen(record.kind, record.tariff_fen, each) == record.amount_fen
        ]
        if not explaining:
            if record.amount_fen <= record.tariff_fen:
                entry.notes |= Note.FARE_UNEXPLAINED
        elif record.kind is not RecordKind.ENTRY:
            if explaining[0].transfer and not mark:
                entry.notes |= Note.TRANSFER_MARK_MISSING
            if record.concession not in {each.concession for each in explaining}:
                entry.notes |= Note.CLASS_DIFFERS
