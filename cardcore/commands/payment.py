"""The commands of the purse: GET BALANCE, INITIALIZE, CREDIT, DEBIT, the CAPP cache, PROVE.

Decides form, order and file side of every purse command (JR/T 0025). Leaves money and
cryptograms to `cardcore.purse`.
"""

from collections.abc import Callable

from cardcore import purse
from cardcore.access import Access
from cardcore.apdu import CommandApdu, StatusWord
from cardcore.cardkeys import FID_KEYS, CardKey, key_prefix
from cardcore.commands import CachedRecord, Context, Handler, Reply, Session
from cardcore.keys import KeyUsage
from cardcore.layout import Sfi
from cardcore.limits import CAPP_RECORDS_MAX
from cardcore.records import TransactionType
from cardcore.tree import ElementaryFile, Structure

#: P2 of purse commands: the electronic purse. No card of ours has the deposit book (存折, 01).
_EP = 0x02


def _purse(card: Context) -> tuple[ElementaryFile, purse.PurseState] | None:
    """Purse file and state of the current application, None when it has no purse."""
    file = card.files.child(card.session.directory, purse.FID_PURSE)
    if not isinstance(file, ElementaryFile):
        return None
    return file, purse.PurseState.decode(card.files.body(file))


def _key(card: Context, usage: KeyUsage, index: int) -> CardKey | None:
    file = card.files.child(card.session.directory, FID_KEYS)
    assert isinstance(file, ElementaryFile), "a purse without a key file"
    prefix = key_prefix(usage, index)
    for record in card.files.records(file):
        if record.startswith(prefix):
            return CardKey.decode(record)
    return None


def get_balance(card: Context, apdu: CommandApdu) -> StatusWord | Reply:
    """GET BALANCE: P1 00 what can be spent, 01 overdraft limit, 02 overdraft used, 03 purse."""
    found = _purse(card)
    if apdu.p1 > 0x03 or apdu.p2 != _EP:
        return StatusWord.P1P2_WRONG
    if apdu.data:
        return StatusWord.WRONG_LENGTH
    if found is None:
        return StatusWord.CONDITIONS_NOT_SATISFIED
    _, state = found
    amounts = (
        state.available_fen,
        state.overdraft_limit_fen,
        state.overdraft_used_fen,
        max(0, state.balance_fen),
    )
    return Reply(amounts[apdu.p1].to_bytes(4, "big"))


def initialize(card: Context, apdu: CommandApdu) -> StatusWord | Reply:
    """INITIALIZE FOR LOAD (P1 00), PURCHASE (01), CAPP PURCHASE (03).

    Refusals in order: P1 P2, length, no purse, 9403, then those of `cardcore.purse`.
    """
    if apdu.p1 not in (0x00, 0x01, 0x03) or apdu.p2 != _EP:
        return StatusWord.P1P2_WRONG
    if len(apdu.data) != purse.REQUEST_BYTES:
        return StatusWord.WRONG_LENGTH
    found = _purse(card)
    if found is None:
        return StatusWord.CONDITIONS_NOT_SATISFIED
    _, state = found
    request = purse.Request.decode(apdu.data)
    usage = KeyUsage.LOAD if apdu.p1 == 0x00 else KeyUsage.PURCHASE
    key = _key(card, usage, request.key_index)
    tac_key = _key(card, KeyUsage.TAC, request.key_index)
    if key is None or tac_key is None:
        return StatusWord.PURSE_KEY_INDEX_WRONG
    random = card.random(4)
    if apdu.p1 == 0x00:
        decision = purse.initialize_load(state, request, key, tac_key, random)
    else:
        decision = purse.initialize_purchase(
            state, request, key, tac_key, random, composite=apdu.p1 == 0x03
        )
    if isinstance(decision, StatusWord):
        return decision
    current = card.session
    return Reply(
        decision.response, session=Session(current.directory, current.file, decision.pending)
    )


def update_capp(card: Context, apdu: CommandApdu) -> StatusWord | Reply:
    """UPDATE CAPP DATA CACHE: keep a record until DEBIT; P1 its identifier, 00 to append."""
    pending = card.session.pending
    if pending is None or pending.transaction_type is not TransactionType.COMPOSITE:
        return StatusWord.CONDITIONS_NOT_SATISFIED
    if apdu.p2 & 0x07 or not apdu.p2:
        return StatusWord.P1P2_WRONG
    file = card.files.by_sfi(card.session.directory, apdu.p2 >> 3)
    if file is None:
        return StatusWord.FILE_NOT_FOUND
    if file.update != Access.COMPOSITE:
        return StatusWord.SECURITY_NOT_SATISFIED
    if len(card.session.cached) >= CAPP_RECORDS_MAX:
        return StatusWord.NO_SPACE
    number = _place(card, file, apdu)
    if isinstance(number, StatusWord):
        return number
    cached = CachedRecord(file, number, apdu.data)
    current = card.session
    return Reply(
        session=Session(current.directory, current.file, pending, (*current.cached, cached))
    )


def _place(card: Context, file: ElementaryFile, apdu: CommandApdu) -> StatusWord | int:
    """Number of the record the data will stand in, 0 for a new one. The data starts with the
    identifier of the record it replaces and may leave out the record's end.
    """
    if file.structure is Structure.CYCLIC:
        if apdu.p1:
            return StatusWord.P1P2_WRONG
        return 0 if len(apdu.data) == file.size else StatusWord.WRONG_LENGTH
    number = card.files.identified(file, apdu.p1)
    old = None if number is None else card.files.record(file, number)
    if number is None or old is None:
        return StatusWord.RECORD_NOT_FOUND
    size = file.identifier_bytes
    if not size <= len(apdu.data) <= len(old):
        return StatusWord.WRONG_LENGTH
    return number if apdu.data[:size] == old[:size] else StatusWord.DATA_WRONG


def credit(card: Context, apdu: CommandApdu) -> StatusWord | Reply:
    """CREDIT FOR LOAD."""
    if apdu.p1 or apdu.p2:
        return StatusWord.P1P2_WRONG
    if len(apdu.data) != purse.CREDIT_BYTES:
        return StatusWord.WRONG_LENGTH
    pending = card.session.pending
    if pending is None or pending.transaction_type is not TransactionType.LOAD:
        return StatusWord.CONDITIONS_NOT_SATISFIED
    return _complete(card, purse.complete_load, pending, apdu.data)


def debit(card: Context, apdu: CommandApdu) -> StatusWord | Reply:
    """DEBIT FOR PURCHASE and FOR CAPP PURCHASE."""
    if apdu.p1 != 0x01 or apdu.p2:
        return StatusWord.P1P2_WRONG
    if len(apdu.data) != purse.DEBIT_BYTES:
        return StatusWord.WRONG_LENGTH
    pending = card.session.pending
    if pending is None or pending.transaction_type is TransactionType.LOAD:
        return StatusWord.CONDITIONS_NOT_SATISFIED
    return _complete(card, purse.complete_purchase, pending, apdu.data)


def _complete(
    card: Context,
    decide: Callable[[purse.PurseState, purse.Pending, bytes], StatusWord | purse.Completed],
    pending: purse.Pending,
    data: bytes,
) -> Reply:
    """End a transaction: balance, counter, proof, log and cached records in one commit.

    A wrong MAC ends the transaction too, so that nobody guesses twice against one random.
    """
    found = _purse(card)
    assert found is not None, "a transaction without a purse"
    file, state = found
    idle = Session(card.session.directory, card.session.file)
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
    found = _purse(card)
    if found is None:
        return StatusWord.CONDITIONS_NOT_SATISFIED
    proof = purse.prove(found[1], apdu.p2, int.from_bytes(apdu.data, "big"))
    return StatusWord.NO_TRANSACTION_PROOF if proof is None else Reply(proof)


HANDLERS: dict[tuple[int, int], Handler] = {
    (0x80, 0x5C): get_balance,
    (0x80, 0x50): initialize,
    (0x80, 0x52): credit,
    (0x80, 0x54): debit,
    (0x80, 0xDC): update_capp,
    (0x80, 0x5A): prove,
}
#: Commands that do not interrupt a pending transaction, even when they are refused.
CONTINUING = frozenset({(0x80, 0x52), (0x80, 0x54), (0x80, 0xDC)})
