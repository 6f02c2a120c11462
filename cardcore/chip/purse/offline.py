"""The purse of an application: its state, and what it answers to purchase, cash and proof.

Decides, over frozen values, whether a transaction may start and what it leaves behind: state, log
record, cryptograms (JR/T 0025, purse part). Leaves transactions with the host to
`cardcore.chip.purse.online`, files, commit and the wire to the card, and which bytes stand under a
MAC to `cardcore.crypto.cryptograms`. A refusal is the status word itself.

A purse is the electronic purse (电子钱包 EP) or the deposit book (电子存折 ED); each has its own
balance, counters and proofs. Type 08, purchase on credit, is never written: a purchase that uses
the overdraft keeps its type, since the terminal that must name the type under MAC1 cannot know.

Two counters: the online one counts loads, unloads and changes of the overdraft limit, the offline
one purchases and cash. INITIALIZE shows the current value; the log record, the cryptograms and
the proof of the transaction carry that value, and completing it adds 1. GET TRANSACTION PROVE
therefore asks by the number in the log record. (Some gates ask with the next number; that reading
is not supported, since it would let one counter name two transactions.)
"""

import hmac
import struct
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import ClassVar

from cardcore import digits
from cardcore.apdu import StatusWord
from cardcore.chip.cardkeys import CardKey
from cardcore.crypto import cryptograms
from cardcore.limits import COUNTER_MAX, OVERDRAFT_LIMIT_MAX_FEN, PURSE_FIELD_MAX_FEN

_PROOF = struct.Struct(">BH4s4s")
_STATE = struct.Struct(">iIIHH")
_LIMITS = struct.Struct(">IIII")
_REQUEST = struct.Struct(">BI6s")
_OVERDRAFT_REQUEST = struct.Struct(">B6s")
_LOG = struct.Struct(">H3sIB6s7s")  # EF18, see layout.LogRecord
REQUEST_BYTES = _REQUEST.size
OVERDRAFT_REQUEST_BYTES = _OVERDRAFT_REQUEST.size
CREDIT_BYTES = 11  # date 4, time 3, MAC2 4
OVERDRAFT_BYTES = 14  # limit 3, date 4, time 3, MAC2 4
DEBIT_BYTES = 15  # terminal sequence 4, date 4, time 3, MAC1 4


class PurseKind(IntEnum):
    """P2 of purse commands, and the file id of that purse, which nobody may read."""

    DEPOSIT = 1  # 电子存折 ED; needs the PIN
    WALLET = 2  # 电子钱包 EP


#: The purse file of an application with an electronic purse.
FID_PURSE = int(PurseKind.WALLET)


class PurseType(IntEnum):
    """Transaction types as log, MAC and TAC carry them (交易类型标识)."""

    DEPOSIT_LOAD = 1  # 存折圈存
    LOAD = 2  # 钱包圈存
    UNLOAD = 3  # 圈提
    CASH = 4  # 取现
    DEPOSIT_PURCHASE = 5  # 存折消费
    PURCHASE = 6  # 钱包消费
    OVERDRAFT = 7  # 修改透支限额
    COMPOSITE = 9  # 复合应用消费


@dataclass(frozen=True, slots=True)
class Proof:
    """What GET TRANSACTION PROVE gives for the last transaction of a counter.

    `mac` is MAC2: of a purchase the card's own, of a load the host's that the card accepted. Of
    an unload it is MAC3.
    """

    transaction_type: int = 0  # 0: none yet
    counter: int = 0
    mac: bytes = bytes(4)
    tac: bytes = bytes(4)

    def encode(self) -> bytes:
        """11 bytes."""
        return _PROOF.pack(self.transaction_type, self.counter, self.mac, self.tac)


@dataclass(frozen=True, slots=True)
class PurseState:
    """Everything the purse remembers. A balance below zero is overdraft in use (透支).

    A limit of 0 is none. `day` is the date of the last purchase as its four bytes say it, and
    `day_spent_fen` what was spent on that day; a purse without that limit keeps neither.
    """

    balance_fen: int
    balance_max_fen: int
    overdraft_limit_fen: int = 0
    online_counter: int = 0
    offline_counter: int = 0
    online_proof: Proof = Proof()
    offline_proof: Proof = Proof()
    SIZE: ClassVar[int] = _STATE.size + 2 * _PROOF.size + _LIMITS.size

    purchase_max_fen: int = 0
    day_max_fen: int = 0
    day: int = 0
    day_spent_fen: int = 0

    @property
    def available_fen(self) -> int:
        """What can be spent, free overdraft included. Never negative, so bit 31 stays clear."""
        return self.balance_fen + self.overdraft_limit_fen

    @property
    def overdraft_used_fen(self) -> int:
        """How much of the overdraft is in use."""
        return max(0, -self.balance_fen)

    @property
    def is_sound(self) -> bool:
        """Whether every amount the state can lead to fits its field."""
        fits = self.overdraft_limit_fen <= OVERDRAFT_LIMIT_MAX_FEN
        return fits and -self.overdraft_limit_fen <= self.balance_fen <= self.balance_max_fen <= (
            PURSE_FIELD_MAX_FEN
        )

    def spending(self, amount_fen: int, day: int) -> "PurseState | None":
        """The state with that much more spent on a day, or None when it is over the day's limit.

        A day before the last one counts as the last one: a terminal whose clock is behind must
        not open the limit again. The host's date, at the next load, puts a wrong day right.
        """
        if not self.day_max_fen:
            return self
        spent_fen = amount_fen + (self.day_spent_fen if day <= self.day else 0)
        if spent_fen > self.day_max_fen:
            return None
        return replace(self, day=max(day, self.day), day_spent_fen=spent_fen)

    def encode(self) -> bytes:
        """54 bytes, the content of the purse file.

        >>> state = PurseState(1000, 100_000, offline_counter=7)
        >>> PurseState.decode(state.encode()) == state
        True
        """
        head = _STATE.pack(
            self.balance_fen,
            self.balance_max_fen,
            self.overdraft_limit_fen,
            self.online_counter,
            self.offline_counter,
        )
        limits = _LIMITS.pack(self.purchase_max_fen, self.day_max_fen, self.day, self.day_spent_fen)
        return head + self.online_proof.encode() + self.offline_proof.encode() + limits

    @classmethod
    def decode(cls, data: bytes) -> "PurseState":
        """Read the purse file, which only this card has written."""
        at = _STATE.size
        online = Proof(*_PROOF.unpack_from(data, at))
        offline = Proof(*_PROOF.unpack_from(data, at + _PROOF.size))
        limits = _LIMITS.unpack_from(data, at + 2 * _PROOF.size)
        return cls(*(*_STATE.unpack_from(data), online, offline, *limits))


@dataclass(frozen=True, slots=True)
class Request:
    """Data of INITIALIZE: which key, how much, at which terminal."""

    key_index: int
    amount_fen: int
    terminal: bytes  # 6 bytes

    @classmethod
    def decode(cls, data: bytes) -> "Request":
        """Read the 11 bytes of the command."""
        return cls(*_REQUEST.unpack(data))

    @classmethod
    def decode_overdraft(cls, data: bytes) -> "Request":
        """Read the 7 bytes of INITIALIZE FOR UPDATE, which names no amount."""
        key_index, terminal = _OVERDRAFT_REQUEST.unpack(data)
        return cls(key_index, 0, terminal)


@dataclass(frozen=True, slots=True)
class Pending:
    """A transaction between INITIALIZE and its end. Lives in volatile memory only."""

    transaction_type: PurseType
    request: Request
    key: CardKey
    tac_key: CardKey
    random: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Initialized:
    """INITIALIZE was accepted: the answer, and what the card has to keep in mind."""

    response: bytes
    pending: Pending


@dataclass(frozen=True, slots=True)
class Completed:
    """The transaction is decided: state, log record and answer, to be written all together."""

    state: PurseState
    log: bytes
    response: bytes


def initialize_purchase(
    state: PurseState, kind: PurseType, request: Request, keys: tuple[CardKey, CardKey], dice: bytes
) -> StatusWord | Initialized:
    """INITIALIZE FOR PURCHASE (消费初始化), CAPP PURCHASE (复合应用消费初始化) and CASH WITHDRAW
    (取现初始化), 15 bytes; `keys` are the PURCHASE and the TAC key.

    Refusals in order: 9402 counter exhausted, 9402 over the limit of one purchase or of a whole
    day, 9401 more than balance and free overdraft.
    """
    if state.offline_counter >= COUNTER_MAX:
        return StatusWord.COUNTER_OR_AMOUNT_LIMIT
    for limit_fen in (state.purchase_max_fen, state.day_max_fen):
        if limit_fen and request.amount_fen > limit_fen:
            return StatusWord.COUNTER_OR_AMOUNT_LIMIT
    if request.amount_fen > state.available_fen:
        return StatusWord.INSUFFICIENT_FUNDS
    pending = Pending(kind, request, *keys, dice)
    head = state.available_fen.to_bytes(4, "big") + state.offline_counter.to_bytes(2, "big")
    limit = state.overdraft_limit_fen.to_bytes(3, "big")
    return Initialized(head + limit + key_shown(pending), pending)


def key_shown(pending: Pending) -> bytes:
    """Key version, algorithm and random as INITIALIZE shows them."""
    return bytes((pending.key.version, pending.key.algorithm)) + pending.random


def complete_purchase(state: PurseState, pending: Pending, data: bytes) -> StatusWord | Completed:
    """DEBIT FOR PURCHASE, CAPP PURCHASE and CASH WITHDRAW (消费, 取现).

    Refusals in order: 6A80 no moment of the calendar, 9302 MAC1 does not hold, 9402 over the limit
    of that day.
    """
    request, suite = pending.request, pending.key.suite
    sequence, time, mac1 = int.from_bytes(data[:4], "big"), data[4:11], data[11:]
    if not digits.is_time(time):
        return StatusWord.DATA_WRONG
    counter = state.offline_counter
    session_key = suite.session_key(
        pending.key.key.value,
        cryptograms.purchase_session_input(pending.random, counter, sequence),
    )
    terms = (request.amount_fen, pending.transaction_type, request.terminal)
    expected = suite.session_mac(session_key, cryptograms.purchase_mac1_message(*terms, time))
    if not hmac.compare_digest(expected, mac1):
        return StatusWord.PURSE_MAC_WRONG
    spent = state.spending(request.amount_fen, int.from_bytes(time[:4], "big"))
    if spent is None:
        return StatusWord.COUNTER_OR_AMOUNT_LIMIT
    mac2 = suite.session_mac(session_key, cryptograms.purchase_mac2_message(request.amount_fen))
    tac = pending.tac_key.suite.tac(
        pending.tac_key.key.value, cryptograms.purchase_tac_message(*terms, sequence, time)
    )
    after = replace(
        spent,
        balance_fen=state.balance_fen - request.amount_fen,
        offline_counter=counter + 1,
        offline_proof=Proof(pending.transaction_type, counter, mac2, tac),
    )
    return Completed(after, log_record(after, counter, pending, time), tac + mac2)


def prove(state: PurseState, transaction_type: int, counter: int) -> bytes | None:
    """GET TRANSACTION PROVE (取交易认证): MAC and TAC of the last transaction of either counter,
    when it is of that type and its log record carries that counter; else None.
    """
    for proof in (state.offline_proof, state.online_proof):
        if proof.transaction_type and (proof.transaction_type, proof.counter) == (
            transaction_type,
            counter,
        ):
            return proof.mac + proof.tac
    return None


def log_record(after: PurseState, counter: int, pending: Pending, time: bytes) -> bytes:
    """The 23 bytes of EF18."""
    request = pending.request
    return _LOG.pack(
        counter,
        after.overdraft_used_fen.to_bytes(3, "big"),
        request.amount_fen,
        pending.transaction_type,
        request.terminal,
        time,
    )
