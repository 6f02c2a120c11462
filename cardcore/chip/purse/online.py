"""Transactions of a purse that the host takes part in: load, unload and the overdraft limit.

Decides, like `cardcore.chip.purse.offline` and over its values, whether one may start and what it
leaves behind. Leaves purchase, cash and the proof of all of them to `cardcore.chip.purse.offline`.

All three use the online counter and the same order of MACs: MAC1 shows the card to the host, MAC2
the host to the card. A MAC that does not hold changes nothing.
"""

import hmac
from dataclasses import replace

from cardcore import digits
from cardcore.apdu import StatusWord
from cardcore.chip.cardkeys import CardKey
from cardcore.chip.purse.offline import (
    Completed,
    Initialized,
    Pending,
    Proof,
    PurseState,
    PurseType,
    Request,
    key_shown,
    log_record,
)
from cardcore.crypto import cryptograms
from cardcore.limits import COUNTER_MAX, OVERDRAFT_LIMIT_MAX_FEN


def initialize_load(
    state: PurseState, kind: PurseType, request: Request, keys: tuple[CardKey, CardKey], dice: bytes
) -> StatusWord | Initialized:
    """INITIALIZE FOR LOAD (圈存初始化). `keys` are the LOAD and the TAC key, `dice` 4 bytes.

    Refusals in order: 9402 counter exhausted, 9402 the card would hold more than it may.
    """
    if state.online_counter >= COUNTER_MAX:
        return StatusWord.COUNTER_OR_AMOUNT_LIMIT
    if state.balance_fen + request.amount_fen > state.balance_max_fen:
        return StatusWord.COUNTER_OR_AMOUNT_LIMIT
    return _initialize_online(state, Pending(kind, request, *keys, dice))


def initialize_unload(
    state: PurseState, request: Request, keys: tuple[CardKey, CardKey], dice: bytes
) -> StatusWord | Initialized:
    """INITIALIZE FOR UNLOAD (圈提初始化); `keys` are the UNLOAD and the TAC key.

    Refusals in order: 9402 counter exhausted, 9401 more than the balance: credit is not unloaded.
    """
    if state.online_counter >= COUNTER_MAX:
        return StatusWord.COUNTER_OR_AMOUNT_LIMIT
    if request.amount_fen > state.balance_fen:
        return StatusWord.INSUFFICIENT_FUNDS
    return _initialize_online(state, Pending(PurseType.UNLOAD, request, *keys, dice))


def _initialize_online(state: PurseState, pending: Pending) -> Initialized:
    """Answer of INITIALIZE FOR LOAD and FOR UNLOAD, 16 bytes."""
    request = pending.request
    terms = (request.amount_fen, pending.transaction_type, request.terminal)
    mac1 = pending.key.suite.session_mac(
        _online_session_key(state, pending),
        cryptograms.load_mac1_message(state.available_fen, *terms),
    )
    head = state.available_fen.to_bytes(4, "big") + state.online_counter.to_bytes(2, "big")
    return Initialized(head + key_shown(pending) + mac1, pending)


def initialize_overdraft(
    state: PurseState, request: Request, keys: tuple[CardKey, CardKey], dice: bytes
) -> StatusWord | Initialized:
    """INITIALIZE FOR UPDATE (修改透支限额初始化), 19 bytes; 9402 counter exhausted."""
    if state.online_counter >= COUNTER_MAX:
        return StatusWord.COUNTER_OR_AMOUNT_LIMIT
    pending = Pending(PurseType.OVERDRAFT, request, *keys, dice)
    message = cryptograms.overdraft_mac1_message(
        state.available_fen, state.overdraft_limit_fen, PurseType.OVERDRAFT, request.terminal
    )
    mac1 = pending.key.suite.session_mac(_online_session_key(state, pending), message)
    head = state.available_fen.to_bytes(4, "big") + state.online_counter.to_bytes(2, "big")
    limit = state.overdraft_limit_fen.to_bytes(3, "big")
    return Initialized(head + limit + key_shown(pending) + mac1, pending)


def complete_load(state: PurseState, pending: Pending, data: bytes) -> StatusWord | Completed:
    """CREDIT FOR LOAD (圈存): 6A80 no moment of the calendar, 9302 when MAC2 does not hold."""
    request, time, mac2 = pending.request, data[:7], data[7:]
    if not digits.is_time(time):
        return StatusWord.DATA_WRONG
    terms = (request.amount_fen, pending.transaction_type, request.terminal, time)
    if not _mac2_holds(state, pending, cryptograms.load_mac2_message(*terms), mac2):
        return StatusWord.PURSE_MAC_WRONG
    counter, today = state.online_counter, int.from_bytes(time[:4], "big")
    loaded = replace(
        state,
        balance_fen=state.balance_fen + request.amount_fen,
        online_counter=counter + 1,
        day=min(state.day, today),
        day_spent_fen=state.day_spent_fen if state.day <= today else 0,
    )
    message = cryptograms.load_tac_message(loaded.available_fen, counter, *terms)
    return _completed_online(loaded, pending, counter, time, message, mac2)


def complete_unload(state: PurseState, pending: Pending, data: bytes) -> StatusWord | Completed:
    """DEBIT FOR UNLOAD (圈提): 6A80 and 9302 as in a load. The answer is MAC3."""
    request, time, mac2 = pending.request, data[:7], data[7:]
    if not digits.is_time(time):
        return StatusWord.DATA_WRONG
    terms = (request.amount_fen, pending.transaction_type, request.terminal, time)
    if not _mac2_holds(state, pending, cryptograms.load_mac2_message(*terms), mac2):
        return StatusWord.PURSE_MAC_WRONG
    counter = state.online_counter
    balance_fen = state.balance_fen - request.amount_fen
    after = replace(state, balance_fen=balance_fen, online_counter=counter + 1)
    mac3 = pending.key.suite.session_mac(
        _online_session_key(state, pending),
        cryptograms.unload_mac3_message(after.available_fen, counter, *terms),
    )
    message = cryptograms.load_tac_message(after.available_fen, counter, *terms)
    done = _completed_online(after, pending, counter, time, message, mac3)
    return replace(done, response=mac3)


def complete_overdraft(state: PurseState, pending: Pending, data: bytes) -> StatusWord | Completed:
    """UPDATE OVERDRAW LIMIT (修改透支限额). The log carries the new limit as its amount.

    Refusals in order: 6A80 no moment of the calendar, 9302 MAC2 does not hold, 9402 the limit is
    over the highest one or below the overdraft in use.
    """
    limit_fen, time, mac2 = int.from_bytes(data[:3], "big"), data[3:10], data[10:]
    if not digits.is_time(time):
        return StatusWord.DATA_WRONG
    terms = (limit_fen, PurseType.OVERDRAFT, pending.request.terminal, time)
    if not _mac2_holds(state, pending, cryptograms.overdraft_mac2_message(*terms), mac2):
        return StatusWord.PURSE_MAC_WRONG
    if not state.overdraft_used_fen <= limit_fen <= OVERDRAFT_LIMIT_MAX_FEN:
        return StatusWord.COUNTER_OR_AMOUNT_LIMIT
    counter = state.online_counter
    after = replace(state, overdraft_limit_fen=limit_fen, online_counter=counter + 1)
    message = cryptograms.overdraft_tac_message(after.available_fen, counter, *terms)
    logged = replace(pending, request=replace(pending.request, amount_fen=limit_fen))
    return _completed_online(after, logged, counter, time, message, mac2)


def _mac2_holds(state: PurseState, pending: Pending, message: bytes, mac2: bytes) -> bool:
    expected = pending.key.suite.session_mac(_online_session_key(state, pending), message)
    return hmac.compare_digest(expected, mac2)


def _completed_online(
    after: PurseState, pending: Pending, counter: int, time: bytes, message: bytes, mac: bytes
) -> Completed:
    """Proof, log record and TAC of a transaction that the host took part in."""
    tac = pending.tac_key.suite.tac(pending.tac_key.key.value, message)
    proven = replace(after, online_proof=Proof(pending.transaction_type, counter, mac, tac))
    return Completed(proven, log_record(proven, counter, pending, time), tac)


def _online_session_key(state: PurseState, pending: Pending) -> bytes:
    return pending.key.suite.session_key(
        pending.key.key.value,
        cryptograms.load_session_input(pending.random, state.online_counter),
    )
