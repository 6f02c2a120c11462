"""What a terminal decides by itself: whether a card may pass, what became of a torn tap, what is
written on the card and what stands in the record.

Pure functions over values. Leaves the order of steps to `flow` and the fare to the scheme.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import Enum, auto

from cardcore.apdu import StatusWord
from cardcore.applets.catalogue import APPLICATIONS, application_named
from cardcore.crypto import suite_algorithm
from cardcore.errors import DecodeError
from cardcore.layouts.transit import (
    LogRecord,
    TransitRecord,
    TransitStatus,
    TripRecord,
)
from cardcore.limits import COUNTER_MAX
from cardcore.records.kinds import Funding, RecordFlag, RecordKind, TransactionType
from cardcore.records.payloads import NO_TERMINAL, LoadPayload, decode_payload
from cardcore.records.record import COUNTER_NOT_READ, TransactionRecord
from terminals.device import Device
from terminals.tap.commands import Initialised
from terminals.tap.face import CardFace
from terminals.tap.role import DeviceRole
from terminals.taps import TapOutcome, TapRequest

#: How long after a tear a tap of the same card at the same device, for the same amount, is taken
#: as the second try of the same wish. A passenger told to tap again does so within seconds; a ride
#: back on the same bus comes later.
SECOND_TRY_SECONDS_MAX = 120
#: Types that count with the online counter (圈存, 圈提, 修改透支限额); all others are offline.
ONLINE_TYPES = frozenset({0x01, 0x02, 0x03, 0x07})

_SELECT_REFUSALS: dict[int, TapOutcome] = {
    StatusWord.FUNCTION_NOT_SUPPORTED: TapOutcome.CARD_BLOCKED,
    StatusWord.FILE_INVALIDATED: TapOutcome.CARD_BLOCKED,
    StatusWord.APPLICATION_PERMANENTLY_BLOCKED: TapOutcome.CARD_BLOCKED,
}
_PURSE_REFUSALS: dict[int, TapOutcome] = {
    StatusWord.FUNCTION_NOT_SUPPORTED: TapOutcome.CARD_BLOCKED,
    StatusWord.APPLICATION_PERMANENTLY_BLOCKED: TapOutcome.CARD_BLOCKED,
    StatusWord.INSUFFICIENT_FUNDS: TapOutcome.INSUFFICIENT_FUNDS,
    StatusWord.COUNTER_OR_AMOUNT_LIMIT: TapOutcome.CARD_LIMIT,
    StatusWord.PURSE_KEY_INDEX_WRONG: TapOutcome.CARD_KEY_UNKNOWN,
}
#: Words a card gives before it has written anything. After any other word of refusal (a memory
#: failure, a word no standard names) the purse may have moved, so the tap stays open.
UNTOUCHED_WORDS: AbstractSet[int] = frozenset(
    {
        *(StatusWord.WRONG_LENGTH, StatusWord.STATE_INVALID, StatusWord.SECURITY_NOT_SATISFIED),
        *(StatusWord.CONDITIONS_NOT_SATISFIED, StatusWord.DATA_WRONG, StatusWord.P1P2_WRONG),
        *(StatusWord.FUNCTION_NOT_SUPPORTED, StatusWord.INS_NOT_SUPPORTED),
        *(StatusWord.CLA_NOT_SUPPORTED, *_PURSE_REFUSALS, StatusWord.PURSE_MAC_WRONG),
    }
)

#: Words by which a PSAM says that it has no key for the card's version or algorithm.
PSAM_KNOWS_NO_KEY: AbstractSet[int] = frozenset(
    {StatusWord.KEY_NOT_FOUND, StatusWord.PURSE_KEY_INDEX_WRONG, StatusWord.DATA_WRONG}
)


@dataclass(frozen=True, slots=True)
class AskedPurse:
    """A purse a card is asked for: its application, and one of its names on cards."""

    application: int
    aid: bytes


def asked_purses(
    role: DeviceRole, device: Device, request: TapRequest, torn: int | None = None
) -> tuple[AskedPurse, ...]:
    """What a card is asked for, in order: the purses of the role, each under all its names. A
    request may name one of them. Raises `ValueError` for one that the role does not take.

    A request that was torn (`torn` is the code of its purse) goes on with that purse and no other,
    whatever order of purses the device was told since: money may have left it.
    """
    if torn is not None:
        return tuple(AskedPurse(torn, aid) for aid in APPLICATIONS[torn].aids)
    taken = device.purses.get(role.device_name, role.applications)
    if request.application and request.application not in taken:
        raise ValueError(f"role {role.name} takes {', '.join(taken)}, not {request.application!r}")
    names = (request.application,) if request.application else taken
    return tuple(
        AskedPurse(application.code, aid)
        for application in map(application_named, names)
        for aid in application.aids
    )


def check_payload(role: DeviceRole, request: TapRequest) -> None:
    """That the payload is one of the role's kind. `ValueError` that says what is wrong with it."""
    try:
        payload = decode_payload(role.kind, request.payload)
    except DecodeError as error:
        raise ValueError(f"request {request.request_id}: {error}") from error
    if isinstance(payload, LoadPayload):
        names_debit = payload.debit_terminal != NO_TERMINAL and payload.debit_serial > 0
        if names_debit is not (payload.funding is Funding.REFUND):
            raise ValueError(
                f"request {request.request_id}: a refund names the debit it gives back, "
                "terminal and serial, and no other load does"
            )


def funding_of(request: TapRequest) -> LoadPayload:
    """Whose money a load is; cash where the request does not say."""
    payload = decode_payload(RecordKind.LOAD, request.payload)
    return payload if isinstance(payload, LoadPayload) else LoadPayload(Funding.CASH)


def refuse_selection(sw: int) -> TapOutcome:
    """What a refused SELECT means."""
    return _SELECT_REFUSALS.get(sw, TapOutcome.CARD_UNREADABLE)


def refuse_purse_word(sw: int) -> TapOutcome:
    """What a refused purse command means."""
    return _PURSE_REFUSALS.get(sw, TapOutcome.CARD_REFUSED)


def refuse_card(face: CardFace, device: Device, today: date) -> TapOutcome | None:
    """Whether the card may pass, before its purse is touched; None when it may.

    Order: enabled, valid from, valid to, hotlist, interoperability.
    """
    if not face.is_enabled:
        return TapOutcome.CARD_NOT_ENABLED
    if today < face.valid_from:
        return TapOutcome.CARD_NOT_YET_VALID
    if today > face.valid_to:
        return TapOutcome.CARD_EXPIRED
    if face.card_number in device.hotlist.cards:
        return TapOutcome.CARD_HOTLISTED
    # A card at home needs no leave to travel.
    if face.issuer != device.issuer and not face.interoperable:
        return TapOutcome.CARD_NOT_INTEROPERABLE
    return None


def broken_sequence(kind: RecordKind, transit: TransitRecord) -> TapOutcome | None:
    """Which way entry and exit do not follow one another; None when they do."""
    inside = transit.status == TransitStatus.INSIDE
    if kind is RecordKind.ENTRY and inside:
        return TapOutcome.ALREADY_INSIDE
    if kind is RecordKind.EXIT and not inside:
        return TapOutcome.NOT_INSIDE
    return None


def is_later(counter: int, than: int) -> bool:
    """Whether one counter of a purse comes after another, which is not far from it. On cards that
    go on after 65535 the next one is 1.

    >>> is_later(8, 7), is_later(7, 8), is_later(1, 65_535), is_later(65_535, 1)
    (True, False, True, False)
    """
    return 0 < (counter - than) % COUNTER_MAX <= COUNTER_MAX // 2


class Verdict(Enum):
    """What a log record says of a torn tap."""

    MOVED = auto()  # 已扣款
    NOT_MOVED = auto()  # 未扣款
    OLDER = auto()  # 需查更早的明细


def judge_torn_tap(draft: TransactionRecord, log: LogRecord | None) -> Verdict:
    """Whether the purse moved for a torn tap, by one record of the card's log, newest first.

    Loads and debits share the log with a counter each. The card writes log and balance in one
    step, so the newest record of the tap's own counter decides: an earlier one means that ours
    was never used, the same counter tells by whom it was used. None stands for "no more records".
    """
    if log is None or log.transaction_type == TransactionType.NONE:
        return Verdict.NOT_MOVED
    own_counter = (log.transaction_type in ONLINE_TYPES) is draft.is_load
    if not own_counter or is_later(log.counter, draft.counter):
        return Verdict.OLDER
    ours = (log.counter, log.terminal, log.time, log.amount_fen)
    is_ours = ours == (draft.counter, draft.terminal, draft.time, draft.amount_fen)
    return Verdict.MOVED if is_ours else Verdict.NOT_MOVED


def is_second_try(
    draft: TransactionRecord, role: DeviceRole, terminal: str, request: TapRequest, now: datetime
) -> bool:
    """Whether a new request is the second try of a torn tap, asked for under another id."""
    wish = (draft.terminal, draft.kind, draft.amount_fen, draft.tariff_fen)
    same_wish = wish == (terminal, role.kind, request.fare.charged_fen, request.fare.tariff_fen)
    age = now - draft.time
    return same_wish and timedelta(0) <= age <= timedelta(seconds=SECOND_TRY_SECONDS_MAX)


def transit_record(
    role: DeviceRole,
    device: Device,
    request: TapRequest,
    answer: Initialised,
    before: TransitRecord,
    now: datetime,
) -> TransitRecord:
    """EF1A as the gate leaves it. The card has one byte for a line; the record has all of it."""
    operator = device.operator.to_bytes(4, "big") + b"\xff" * 4
    station = f"{request.place.station:016x}"
    line = request.place.line & 0xFF
    if role.kind is RecordKind.ENTRY:
        return replace(
            before,
            transaction_serial=answer.counter,
            status=TransitStatus.INSIDE,
            entry_city=device.city_code,
            entry_operator=operator,
            entry_station=station,
            entry_device=device.terminal.zfill(16),
            entry_time=now,
            entry_line=line,
            entry_amount_fen=request.fare.charged_fen,
            entry_balance_fen=answer.balance_fen,
        )
    return replace(
        before,
        transaction_serial=answer.counter,
        status=TransitStatus.OUTSIDE,
        exit_city=device.city_code,
        exit_operator=operator,
        exit_station=station,
        exit_device=device.terminal.zfill(16),
        exit_time=now,
        exit_line=line,
        actual_amount_fen=request.fare.charged_fen,
    )


def trip_record(
    role: DeviceRole, device: Device, request: TapRequest, answer: Initialised, now: datetime
) -> TripRecord:
    """EF1E as gate and bus append it. Line, station and operator are two bytes there."""
    assert role.trip_type is not None, role
    assert role.industry is not None, role
    return TripRecord(
        trip_type=role.trip_type,
        terminal=device.terminal.zfill(16),
        industry=role.industry,
        line=request.place.line & 0xFFFF,
        station=request.place.station & 0xFFFF,
        operator=device.operator & 0xFFFF,
        amount_fen=request.fare.charged_fen,
        balance_fen=answer.balance_fen - request.fare.charged_fen,
        time=now,
        city=device.city_code,
        # An acquirer is written as an issuer is, with the first half-byte 1.
        acquirer=bytes((0x10 | device.issuer[0] & 0x0F,)) + device.issuer[1:],
    )


@dataclass(frozen=True, slots=True)
class Seen:
    """What the session has read by the time the intent is made."""

    application: int
    face: CardFace
    log: LogRecord | None
    transit: TransitRecord | None
    answer: Initialised
    psam_sequence: int
    sequence_broken: bool


def draft_record(
    role: DeviceRole, device: Device, request: TapRequest, seen: Seen, now: datetime
) -> TransactionRecord:
    """The record as it will be; its serial, its TAC and what a later visit adds are still zero.

    The card may show triple DES as 00 or 01; the record names the suite and always says 01.
    """
    fare, place, answer, log = request.fare, request.place, seen.answer, seen.log
    load = role.kind is RecordKind.LOAD
    flags = RecordFlag.TRANSFER if fare.transfer else RecordFlag(0)
    if seen.sequence_broken:
        flags |= RecordFlag.SEQUENCE_EXEMPT
    algorithm = suite_algorithm(answer.algorithm)
    assert algorithm is not None, "refused at INITIALIZE"
    came_in = seen.transit if role.kind is RecordKind.EXIT and not seen.sequence_broken else None
    return TransactionRecord(
        kind=role.kind,
        sector=role.sector,
        flags=flags,
        issuer=seen.face.issuer,
        card_number=seen.face.card_number,
        card_kind=seen.face.card_kind,
        concession=fare.concession,
        balance_before_fen=answer.balance_fen,
        balance_after_fen=answer.balance_fen + (fare.charged_fen if load else -fare.charged_fen),
        online_counter=answer.counter if load else COUNTER_NOT_READ,
        amount_fen=fare.charged_fen,
        transaction_type=role.transaction_type,
        terminal=device.terminal,
        psam_sequence=seen.psam_sequence,
        time=now,
        offline_counter=COUNTER_NOT_READ if load else answer.counter,
        tariff_fen=fare.tariff_fen,
        psam=device.psam,
        terminal_serial=0,
        operator=device.operator,
        line=place.line,
        station=place.station,
        vehicle=place.vehicle,
        business_day=request.business_day,
        entry_terminal=came_in.entry_device[-12:] if came_in else NO_TERMINAL,
        entry_time=came_in.entry_time if came_in else None,
        entry_station=int(came_in.entry_station[-8:], 16) if came_in else 0,
        previous_type=log.transaction_type if log else TransactionType.NONE,
        previous_counter=log.counter if log else 0,
        previous_amount_fen=log.amount_fen if log else 0,
        previous_terminal=log.terminal if log else NO_TERMINAL,
        previous_time=log.time if log else None,
        tariff_version=device.tariff_version,
        hotlist_version=device.hotlist.version,
        algorithm=algorithm,
        key_version=answer.key_version,
        key_index=device.key_index,
        tac=bytes(4),
        payload=request.payload,
        application=seen.application,
    )
