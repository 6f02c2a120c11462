"""The commands of the purse: GET BALANCE, INITIALIZE, CREDIT, DEBIT, the CAPP cache, PROVE.

Decides form, order and file side of every purse command (JR/T 0025). Leaves money and
cryptograms to `cardcore.chip.purse.offline` and `cardcore.chip.purse.online`. P2 01 is the deposit
book, which asks for the PIN, 02 the electronic purse, which does not.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from cardcore import digits
from cardcore.apdu import CommandApdu, StatusWord
from cardcore.chip.access import Condition, ConditionKind
from cardcore.chip.cardkeys import FID_KEYS, CardKey, key_prefix
from cardcore.chip.commands import CachedRecord, Context, Handler, Reply
from cardcore.chip.commands.security import holds
from cardcore.chip.purse import offline as purse
from cardcore.chip.purse import online as purse_online
from cardcore.chip.purse.offline import PurseKind, PurseState, PurseType
from cardcore.chip.tree import ElementaryFile, Structure
from cardcore.keys import KeyUsage
from cardcore.layouts.transit import Sfi
from cardcore.limits import CAPP_RECORDS_MAX

_PIN = Condition(ConditionKind.PIN)
_DAY = slice(4, 8)  # of DEBIT, behind the terminal's sequence number
_VALID_TO = slice(24, 28)  # of EF15


class _Operation(NamedTuple):
    """What P1 of INITIALIZE asks for, with the type it has in either purse."""

    usage: KeyUsage
    types: Mapping[PurseKind, PurseType]


_OPERATIONS = {
    0x00: _Operation(
        KeyUsage.LOAD,
        {PurseKind.DEPOSIT: PurseType.DEPOSIT_LOAD, PurseKind.WALLET: PurseType.LOAD},
    ),
    0x01: _Operation(
        KeyUsage.PURCHASE,
        {PurseKind.DEPOSIT: PurseType.DEPOSIT_PURCHASE, PurseKind.WALLET: PurseType.PURCHASE},
    ),
    0x02: _Operation(KeyUsage.PURCHASE, {PurseKind.DEPOSIT: PurseType.CASH}),
    0x03: _Operation(KeyUsage.PURCHASE, {PurseKind.WALLET: PurseType.COMPOSITE}),
    0x04: _Operation(KeyUsage.OVERDRAFT, {PurseKind.DEPOSIT: PurseType.OVERDRAFT}),
    0x05: _Operation(KeyUsage.UNLOAD, {PurseKind.DEPOSIT: PurseType.UNLOAD}),
}
_LOADS = frozenset({PurseType.DEPOSIT_LOAD, PurseType.LOAD})
_DEBITS = frozenset(
    {PurseType.DEPOSIT_PURCHASE, PurseType.PURCHASE, PurseType.CASH, PurseType.COMPOSITE}
)
_KINDS = tuple(PurseKind)
_PURSE_OF = {
    kind: purse_kind
    for operation in _OPERATIONS.values()
    for purse_kind, kind in operation.types.items()
}


def _purse(card: Context, p2: int) -> StatusWord | tuple[ElementaryFile, PurseState]:
    """Purse file and state. 6A86 another P2 or a purse this application has not, 6985 it has
    none, 6982 the PIN is missing.
    """
    if p2 not in _KINDS:
        return StatusWord.P1P2_WRONG
    directory = card.session.directory
    file = card.files.child(directory, p2)
    # The MF has a file with the id of the deposit book, its DIR.
    if not isinstance(file, ElementaryFile) or directory is card.files.root:
        other = card.files.child(directory, PurseKind.DEPOSIT + PurseKind.WALLET - p2)
        absent = other is None or directory is card.files.root
        return StatusWord.CONDITIONS_NOT_SATISFIED if absent else StatusWord.P1P2_WRONG
    if p2 == PurseKind.DEPOSIT and not holds(card, _PIN):
        return StatusWord.SECURITY_NOT_SATISFIED
    return file, PurseState.decode(card.files.body(file))


def _key(card: Context, usage: KeyUsage, index: int) -> CardKey | None:
    file = card.files.child(card.session.directory, FID_KEYS)
    if not isinstance(file, ElementaryFile):
        return None
    prefix = key_prefix(usage, index)
    for record in card.files.records(file):
        if record.startswith(prefix):
            return CardKey.decode(record)
    return None


def get_balance(card: Context, apdu: CommandApdu) -> StatusWord | Reply:
    """GET BALANCE: P1 00 what can be spent, 01 overdraft limit, 02 overdraft used, 03 purse."""
    if apdu.p1 > 0x03 or apdu.p2 not in _KINDS:
        return StatusWord.P1P2_WRONG
    if apdu.data:
        return StatusWord.WRONG_LENGTH
    found = _purse(card, apdu.p2)
    if isinstance(found, StatusWord):
        return found
    _, state = found
    amounts = (
        state.available_fen,
        state.overdraft_limit_fen,
        state.overdraft_used_fen,
        max(0, state.balance_fen),
    )
    return Reply(amounts[apdu.p1].to_bytes(4, "big"))


def initialize(card: Context, apdu: CommandApdu) -> StatusWord | Reply:
    """INITIALIZE FOR LOAD (P1 00), PURCHASE (01), CASH WITHDRAW (02), CAPP PURCHASE (03), UPDATE
    of the overdraft limit (04) and UNLOAD (05).

    Refusals in order: P1 P2, length, no purse, PIN, 9403, then those of
    `cardcore.chip.purse.offline`.
    """
    operation = _OPERATIONS.get(apdu.p1)
    if operation is None or apdu.p2 not in operation.types:
        return StatusWord.P1P2_WRONG
    kind = operation.types[PurseKind(apdu.p2)]
    overdraft = kind is PurseType.OVERDRAFT
    length = purse.OVERDRAFT_REQUEST_BYTES if overdraft else purse.REQUEST_BYTES
    if len(apdu.data) != length:
        return StatusWord.WRONG_LENGTH
    found = _purse(card, apdu.p2)
    if isinstance(found, StatusWord):
        return found
    read = purse.Request.decode_overdraft if overdraft else purse.Request.decode
    request = read(apdu.data)
    key = _key(card, operation.usage, request.key_index)
    tac_key = _key(card, KeyUsage.TAC, request.key_index)
    if key is None or tac_key is None:
        return StatusWord.PURSE_KEY_INDEX_WRONG
    decision = _initialized(found[1], kind, request, (key, tac_key), card.random(4))
    if isinstance(decision, StatusWord):
        return decision
    session = card.session.idle()._replace(pending=decision.pending)
    return Reply(decision.response, session=session)


def _initialized(
    state: PurseState,
    kind: PurseType,
    request: purse.Request,
    keys: tuple[CardKey, CardKey],
    dice: bytes,
) -> StatusWord | purse.Initialized:
    if kind in _LOADS:
        return purse_online.initialize_load(state, kind, request, keys, dice)
    if kind is PurseType.UNLOAD:
        return purse_online.initialize_unload(state, request, keys, dice)
    if kind is PurseType.OVERDRAFT:
        return purse_online.initialize_overdraft(state, request, keys, dice)
    return purse.initialize_purchase(state, kind, request, keys, dice)


def update_capp(card: Context, apdu: CommandApdu) -> StatusWord | Reply:
    """UPDATE CAPP DATA CACHE: keep a record until DEBIT; P1 its identifier, 00 to append."""
    pending = card.session.pending
    if pending is None or pending.transaction_type is not PurseType.COMPOSITE:
        return StatusWord.CONDITIONS_NOT_SATISFIED
    if apdu.p2 & 0x07 or not apdu.p2:
        return StatusWord.P1P2_WRONG
    file = card.files.by_sfi(card.session.directory, apdu.p2 >> 3)
    if file is None:
        return StatusWord.FILE_NOT_FOUND
    if not file.update.mentions((ConditionKind.COMPOSITE,)):
        return StatusWord.SECURITY_NOT_SATISFIED
    if len(card.session.cached) >= CAPP_RECORDS_MAX:
        return StatusWord.NO_SPACE
    number = _place(card, file, apdu)
    if isinstance(number, StatusWord):
        return number
    cached = CachedRecord(file, number, apdu.data)
    return Reply(session=card.session._replace(cached=(*card.session.cached, cached)))


def _place(card: Context, file: ElementaryFile, apdu: CommandApdu) -> StatusWord | int:
    """Number of the record the data will stand in, 0 for a new one. The data starts with the
    identifier of the record it replaces and may leave out the record's end.
    """
    if file.structure is Structure.CYCLIC:
        if apdu.p1:
            return StatusWord.P1P2_WRONG
        return 0 if len(apdu.data) == file.size else StatusWord.WRONG_LENGTH
    numbers = card.files.identified(file, apdu.p1)
    old = card.files.record(file, numbers[0]) if numbers else None
    if old is None:
        return StatusWord.RECORD_NOT_FOUND
    size = file.identifier_bytes
    if not size <= len(apdu.data) <= len(old):
        return StatusWord.WRONG_LENGTH
    return numbers[0] if apdu.data[:size] == old[:size] else StatusWord.DATA_WRONG


def credit(card: Context, apdu: CommandApdu) -> StatusWord | Reply:
    """CREDIT FOR LOAD."""
    if apdu.p1 or apdu.p2:
        return StatusWord.P1P2_WRONG
    if len(apdu.data) != purse.CREDIT_BYTES:
        return StatusWord.WRONG_LENGTH
    return _complete(card, _LOADS, purse_online.complete_load, apdu.data)


def debit(card: Context, apdu: CommandApdu) -> StatusWord | Reply:
    """DEBIT FOR PURCHASE, CAPP PURCHASE and CASH WITHDRAW (P1 01), FOR UNLOAD (P1 03). 6A80 for a
    debit that is dated after the card's own last day, then those of the purse.
    """
    if apdu.p1 not in (0x01, 0x03) or apdu.p2:
        return StatusWord.P1P2_WRONG
    if len(apdu.data) != (purse.DEBIT_BYTES if apdu.p1 == 0x01 else purse.CREDIT_BYTES):
        return StatusWord.WRONG_LENGTH
    if apdu.p1 == 0x01:
        if card.session.pending is not None and not _is_before_the_end(card, apdu.data[_DAY]):
            return Reply(sw=StatusWord.DATA_WRONG, session=card.session.idle())
        return _complete(card, _DEBITS, purse.complete_purchase, apdu.data)
    return _complete(card, frozenset({PurseType.UNLOAD}), purse_online.complete_unload, apdu.data)


def _is_before_the_end(card: Context, day: bytes) -> bool:
    """Whether a debit is dated before the card ends. The card has no clock, and all days before the
    last one it has seen count as that one, so a day far ahead would jam the limit. EF15 has the
    last day of the card at the same place in both forms; one that is no day bounds nothing.
    """
    public = card.files.by_sfi(card.session.directory, Sfi.PUBLIC)
    last = b"" if public is None else card.files.body(public)[_VALID_TO]
    return day <= last or not digits.is_date(last)


def update_overdraft(card: Context, apdu: CommandApdu) -> StatusWord | Reply:
    """UPDATE OVERDRAW LIMIT."""
    if apdu.p1 or apdu.p2:
        return StatusWord.P1P2_WRONG
    if len(apdu.data) != purse.OVERDRAFT_BYTES:
        return StatusWord.WRONG_LENGTH
    return _complete(
        card, frozenset({PurseType.OVERDRAFT}), purse_online.complete_overdraft, apdu.data
    )


def _complete(
    card: Context,
    kinds: frozenset[PurseType],
    decide: Callable[[PurseState, purse.Pending, bytes], StatusWord | purse.Completed],
    data: bytes,
) -> StatusWord | Reply:
    """End a transaction: balance, counter, proof, log and cached records in one commit.

    6985 when no transaction of these types is pending. A wrong MAC ends the transaction too, so
    that nobody guesses twice against one random.
    """
    pending = card.session.pending
    if pending is None or pending.transaction_type not in kinds:
        return StatusWord.CONDITIONS_NOT_SATISFIED
    file = card.files.child(card.session.directory, _PURSE_OF[pending.transaction_type])
    assert isinstance(file, ElementaryFile), "a transaction without a purse"
    state = PurseState.decode(card.files.body(file))
    idle = card.session.idle()
    decision = decide(state, pending, data)
    if isinstance(decision, StatusWord):
        return Reply(sw=decision, session=idle)
    changes: dict[int, bytes] = {}
    card.files.write_body(file, decision.state.encode(), changes)
    log = card.files.by_sfi(card.session.directory, Sfi.LOG)
    assert log is not None, "a purse without a log"
    card.files.append(log, decision.log, changes)
    for cached in card.session.cached:
        if cached.number:
            card.files.write_record(cached.file, cached.number, cached.data, changes)
        else:
            card.files.append(cached.file, cached.data, changes)
    return Reply(decision.response, session=idle, changes=changes)


def prove(card: Context, apdu: CommandApdu) -> StatusWord | Reply:
    """GET TRANSACTION PROVE: P2 transaction type, data the counter of its log record."""
    if apdu.p1:
        return StatusWord.P1P2_WRONG
    if len(apdu.data) != 2:
        return StatusWord.WRONG_LENGTH
    counter = int.from_bytes(apdu.data, "big")
    directory = card.session.directory
    files = [card.files.child(directory, kind) for kind in _KINDS]
    found = [file for file in files if isinstance(file, ElementaryFile)]
    if not found or directory is card.files.root:
        return StatusWord.CONDITIONS_NOT_SATISFIED
    for file in found:
        proof = purse.prove(PurseState.decode(card.files.body(file)), apdu.p2, counter)
        if proof is not None:
            return Reply(proof)
    return StatusWord.NO_TRANSACTION_PROOF


HANDLERS: dict[tuple[int, int], Handler] = {
    (0x80, 0x5C): get_balance,
    (0x80, 0x50): initialize,
    (0x80, 0x52): credit,
    (0x80, 0x54): debit,
    (0x80, 0x58): update_overdraft,
    (0x80, 0xDC): update_capp,
    (0x80, 0x5A): prove,
}
#: Commands that do not interrupt a pending transaction, even when they are refused.
CONTINUING = frozenset({(0x80, 0x52), (0x80, 0x54), (0x80, 0x58), (0x80, 0xDC)})
