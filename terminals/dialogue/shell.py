"""The shell of dialogues: what speaks to card and PSAM and keeps what came of it in the journal.

Decides when records are signed, and that an event is kept once. Leaves what is said to the
dialogues, and whether an event may happen to whoever asks for it.
"""

from datetime import datetime

from cardcore.apdu import ResponseApdu
from terminals.device import Device
from terminals.dialogue.record_mac import RecordKey, find_record_key, sign_record
from terminals.dialogue.sign import EventRequest, sign_event
from terminals.dialogue.talking import ForPsam, Said, carry
from terminals.errors import CardRemovedError, JournalFullError
from terminals.journal.journal import Journal, RequestKey
from terminals.journal.macs import finished_records, store_macs, wants_mac
from terminals.link.connection import (
    CardConnection,
    Peer,
    RecordingConnection,
    Trace,
    exchange,
)
from terminals.taps import TapOutcome, TapResult

#: Records signed in one step of the journal.
RECORDS_AT_ONCE = 500


class RecordSigner:
    """Signs the finished records of one terminal with its PSAM."""

    def __init__(self, device: Device, journal: Journal, psam: CardConnection) -> None:
        self._device = device
        self._journal = journal
        self._psam = psam
        self._key: RecordKey | None = None
        self._signs = True  # until the PSAM has said that it does not
        self._after = 0

    def sign(self) -> int:
        """Sign what is unsigned; how many were. Ends early where the PSAM makes no MAC: the rest is
        tried again at the next call.
        """
        device, count = self._device, 0
        # The PSAM may have got a newer key since, and signs under its newest.
        self._key = None
        try:
            while self._signs:
                rows = finished_records(
                    self._journal, device.terminal, self._after, RECORDS_AT_ONCE
                )
                if not rows:
                    break
                signed = [
                    (position, data, self._signed(data))
                    for _, position, data in rows
                    if wants_mac(data, device.psam)
                ]
                done = [(at, before, after) for at, before, after in signed if after is not None]
                count += store_macs(self._journal, done) if done else 0
                if len(done) < len(signed):
                    break
                self._after = rows[-1][0]
        except CardRemovedError:
            pass  # the PSAM is gone: its next tap says so, and records wait for no MAC
        return count

    def _signed(self, data: bytes) -> bytes | None:
        if self._key is None and self._signs:
            device = self._device
            self._key = carry(find_record_key(device.psam_factor, device.pboc), self._say)
            self._signs = self._key is not None
        return None if self._key is None else carry(sign_record(data, self._key), self._say)

    def _say(self, said: Said) -> ResponseApdu:
        return exchange(self._psam, said.command)


class EventRecorder:
    """Makes the records of one terminal in which no purse moves, with its PSAM."""

    def __init__(self, device: Device, journal: Journal, psam: CardConnection) -> None:
        self._device = device
        self._journal = journal
        self._psam = psam

    def record(
        self, request: EventRequest, now: datetime, card: CardConnection | None = None
    ) -> TapResult:
        """Make one record at `now`, the city's wall clock, and keep it before it is given back.

        `card` is the card in the field, of an event that asks one. A request that has its record
        gets it again without a word to anybody. Faults of PSAM and journal are raised; an event
        that did not come to its end left nothing in the journal.
        """
        assert (card is None) == (request.card is not None), request
        device = self._device
        key = RequestKey(request.request_id, request.content_hash(device.terminal))
        known = self._journal.find_answer(key)
        if known is not None and not known.same_content:
            return TapResult(TapOutcome.REQUEST_DIFFERS)
        if known is not None and known.outcome is not None:
            return TapResult(known.outcome, known.record)
        trace = Trace()
        psam = RecordingConnection(self._psam, Peer.PSAM, trace)
        field = psam if card is None else RecordingConnection(card, Peer.CARD, trace)

        def say(said: Said) -> ResponseApdu:
            return exchange(psam if isinstance(said, ForPsam) else field, said.command)

        try:
            signed = carry(
                sign_event(request, device, self._journal.next_serial(device.terminal), now), say
            )
            if signed.record is None:
                assert signed.refusal is not None
                return TapResult(signed.refusal)
            self._journal.store_event(key, signed.record, trace.take())
        except CardRemovedError:
            return TapResult(TapOutcome.CARD_REMOVED)
        except JournalFullError:
            return TapResult(TapOutcome.JOURNAL_FULL)
        return TapResult(TapOutcome.APPROVED, signed.record)
