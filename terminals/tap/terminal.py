"""One terminal: carries a session between card, PSAM, load host and journal.

Decides nothing about a tap; it does what the session asks and hands the result back. Leaves the
waiting for cards and the showing of outcomes to the device.
"""

from dataclasses import dataclass
from datetime import datetime

from cardcore.digits import decode_bcd
from cardcore.schemes import Scheme
from terminals.device import Device, PbocKey
from terminals.dialogue.shell import RecordSigner
from terminals.errors import CardRemovedError, JournalFullError, PsamFaultError
from terminals.journal.journal import Journal, RequestKey
from terminals.link.connection import CardConnection, Peer, RecordingConnection, Trace, exchange
from terminals.partners.ports import Authoriser, LoadQuestion
from terminals.tap import commands
from terminals.tap.actions import (
    Action,
    FindIntent,
    Finish,
    Reply,
    StoreEnd,
    StoreIntent,
    StoreRecord,
    StoreVoid,
    TapContext,
    ToCard,
    ToPsam,
)
from terminals.tap.decisions import asked_purses, check_payload
from terminals.tap.flow import State
from terminals.tap.role import DeviceRole
from terminals.tap.session import Session
from terminals.taps import Hotlist, TapOutcome, TapRequest, TapResult


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a terminal is: 12 hexadecimal digits, the PSAM's 20 digits, the purchase key's index."""

    terminal: str
    psam: str
    key_index: int


def read_psam(psam: CardConnection) -> Identity:
    """Ask a PSAM who it is; raises `PsamFaultError` when it does not say."""
    answers = []
    for command, size in (
        (commands.read_psam_serial(), 14),
        (commands.read_psam_terminal(), 6),
        (commands.select_psam_application(), 0),
        (commands.read_psam_application(), 25),
    ):
        response = exchange(psam, command)
        if not response.ok or len(response.data) != size:
            raise PsamFaultError(command.encode().hex().upper(), response.sw)
        answers.append(response.data)
    serial, terminal, _, application = answers
    return Identity(terminal.hex(), decode_bcd(serial[:10]), application[0])


def make_device(
    identity: Identity,
    scheme: Scheme,
    operator: int,
    hotlist: Hotlist,
    pboc: PbocKey | None = None,
) -> Device:
    """A terminal of an operator in a city."""
    return Device(
        terminal=identity.terminal,
        psam=identity.psam,
        key_index=identity.key_index,
        operator=operator,
        issuer=scheme.issuer,
        city_code=scheme.city_code,
        tariff_version=scheme.tariff_version,
        hotlist=hotlist,
        purses=scheme.purses,
        pboc=pboc,
    )


@dataclass(frozen=True, slots=True)
class _Visit:
    """A card in the field, and what is said to it."""

    card: RecordingConnection
    psam: RecordingConnection | None
    trace: Trace
    key: RequestKey


class Terminal:
    """A device of one role. `partner` is what that role names: its PSAM, or what stands behind it.
    A journal may serve several terminals, one tap at a time.
    """

    def __init__(
        self,
        role: DeviceRole,
        device: Device,
        journal: Journal,
        partner: CardConnection | Authoriser | None,
    ) -> None:
        self.device = device
        self._role = role
        self._journal = journal
        self._psam = partner if isinstance(partner, CardConnection) else None
        self._authoriser = partner if isinstance(partner, Authoriser) else None
        self._psam_sequence: int | None = None
        self._signer = None if self._psam is None else RecordSigner(device, journal, self._psam)

    def tap(self, card: CardConnection, request: TapRequest, now: datetime) -> TapResult:
        """Do one tap with the card in the field at `now`, the city's wall clock.

        A request that already has its answer gets it again without a word to the card. Faults of
        PSAM and journal are raised; what was open then is settled on the card's next visit.
        `ValueError` for a request that names a purse the role does not take, or has a payload that
        its records do not carry.
        """
        key = RequestKey(
            request.request_id, request.content_hash(self._role.device_name, self.device.terminal)
        )
        known = self._journal.find_answer(key)
        if known is not None and not known.same_content:
            return TapResult(TapOutcome.REQUEST_DIFFERS)
        if known is not None and known.outcome is not None:
            return TapResult(known.outcome, known.record)
        check_payload(self._role, request)
        context = TapContext(
            role=self._role,
            purses=asked_purses(
                self._role, self.device, request, None if known is None else known.application
            ),
            device=self.device,
            request=request,
            time=now.replace(microsecond=0),
            torn_card=None if known is None else known.card_number,
            psam_sequence=self._psam_sequence,
        )
        trace = Trace()
        psam = None if self._psam is None else RecordingConnection(self._psam, Peer.PSAM, trace)
        visit = _Visit(RecordingConnection(card, Peer.CARD, trace), psam, trace, key)
        return self._run(Session(context), visit)

    def sign_records(self) -> int:
        """Let the PSAM sign the finished records it has not signed yet; how many it signed.

        For the time after a tap's answer was shown, and before files are planned. A record whose
        PSAM is gone, or signs none, goes up without a MAC; loads need none. From then on the answer
        to a repeated request carries the MAC too.
        """
        return 0 if self._signer is None else self._signer.sign()

    def _run(self, session: Session, visit: _Visit) -> TapResult:
        try:
            while not isinstance(action := session.action(), Finish):
                session.answer(self._do(action, visit))
        except CardRemovedError:
            return TapResult(TapOutcome.CARD_REMOVED)
        except JournalFullError:
            if session.state is State.STORING_RECORD:
                # The money has moved. The intent is durable and the next visit completes it, but
                # whoever runs this terminal must hear of it now.
                raise
            return TapResult(TapOutcome.JOURNAL_FULL)
        finally:
            self._psam_sequence = session.psam_sequence
        return action.result

    def _do(self, action: Action, visit: _Visit) -> Reply:
        journal, trace = self._journal, visit.trace
        match action:
            case ToCard(command):
                return exchange(visit.card, command)
            case ToPsam(command):
                assert visit.psam is not None, "a role that asks a PSAM has one"
                return exchange(visit.psam, command)
            case LoadQuestion():
                assert self._authoriser is not None, "a role that asks for leave has whom to ask"
                return self._authoriser.authorise(action)
            case FindIntent(card_number, application):
                return journal.open_intent(card_number, application)
            case StoreIntent(draft):
                return journal.store_intent(visit.key, draft, trace.take())
            case StoreRecord(tap, outcome, record, also_answers):
                other = visit.key if also_answers else None
                return journal.store_record(tap, outcome, record, trace.take(), other)
            case StoreVoid(tap):
                journal.store_void(tap, trace.take())
            case StoreEnd(tap, state, outcome):
                journal.store_end(tap, state, outcome, trace.take())
            case Finish():
                raise AssertionError(action)
        return None
