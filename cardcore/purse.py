"""The electronic purse (电子钱包): what it answers to load, purchase and composite purchase.

Decides, over frozen values, whether a transaction may start and what it leaves behind: state, log
record, cryptograms (JR/T 0025, purse part). Leaves files, commit and the wire to the card, and
which bytes stand under a MAC to `cardcore.cryptograms`. A refusal is the status word itself.

Two counters: the online one counts loads, the offline one purchases of both kinds. INITIALIZE
shows the current value; the log record, the cryptograms and the proof of the transaction carry
that value, and completing it adds 1. GET TRANSACTION PROVE therefore asks by the number in the
log record. (Some gates ask with the next number; that reading is not supported, since it would
let one counter name two transactions.)
"""

import hmac
import struct
from dataclasses import dataclass, field, replace

from cardcore import cryptograms
from cardcore.apdu import StatusWord
from cardcore.cardkeys import CardKey
from cardcore.limits import COUNTER_MAX
from cardcore.records import TransactionType

_PROOF = struct.Struct(">BH4s4s")
_STATE = struct.Struct(">iIIHH")
_REQUEST = struct.Struct(">BI6s")
_LOG = struct.Struct(">H3sIB6s7s")  # EF18, see layout.LogRecord
#: The purse of an application; an internal file that nobody may read.
FID_PURSE = 0x0002
REQUEST_BYTES = _REQUEST.size
CREDIT_BYTES = 11  # date 4, time 3, MAC2 4
DEBIT_BYTES = 15  # terminal sequence 4, date 4, time 3, MAC1 4


@dataclass(frozen=True, slots=True)
class Proof:
    """What GET TRANSACTION PROVE gives for the last transaction of a counter.

    `mac` is MAC2: of a purchase the card's own, of a load the host's that the card accepted.
    """

    transaction_type: int = TransactionType.NONE
    counter: int = 0
    mac: bytes = bytes(4)
    tac: bytes = bytes(4)

    def encode(self) -> bytes:
        """11 bytes."""
        return _PROOF.pack(self.transaction_type, self.counter, self.mac, self.tac)


@dataclass(frozen=True, slots=True)
class PurseState:
    """Everything the purse remembers. A balance below zero is overdraft in use (透支)."""

    balance_fen: int
    balance_max_fen: int
    overdraft_limit_fen: int = 0
    online_counter: int = 0
    offline_counter: int = 0
    online_proof: Proof = Proof()
    offline_proof: Proof = Proof()

    @property
    def available_fen(self) -> int:
        """What can be spent, free overdraft included. Never negative, so bit 31 stays clear."""
        return self.balance_fen + self.overdraft_limit_fen

    @property
    def overdraft_used_fen(self) -> int:
        """How much of the overdraft is in use."""
        return max(0, -self.balance_fen)

    def encode(self) -> bytes:
        """38 bytes, the content of the purse file.

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
        return head + self.online_proof.encode() + self.offline_proof.encode()

    @classmethod
    def decode(cls, data: bytes) -> "PurseState":
        """Read the purse file, which only this card has written."""
        online = Proof(*_PROOF.unpack_from(data, _STATE.size))
        offline = Proof(*_PROOF.unpack_from(data, _STATE.size + _PROOF.size))
        balance, balance_max, overdraft_limit, loads, purchases = _STATE.unpack_from(data)
        return cls(balance, balance_max, overdraft_limit, loads, purchases, online, offline)


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


@dataclass(frozen=True, slots=True)
class Pending:
    """A transaction between INITIALIZE and its end. Lives in volatile memory only."""

    transaction_type: TransactionType
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


def initialize_load(
    state: PurseState, request: Request, key: CardKey, tac_key: CardKey, random: bytes
) -> StatusWord | Initialized:
    """INITIALIZE FOR LOAD (圈存初始化). `random` has 4 bytes.

    Refusals in order: 9402 counter exhausted, 9402 the card would hold more than it may.
    """
    if state.online_counter >= COUNTER_MAX:
        return StatusWord.COUNTER_OR_AMOUNT_LIMIT
    if state.balance_fen + request.amount_fen > state.balance_max_fen:
        return StatusWord.COUNTER_OR_AMOUNT_LIMIT
    pending = Pending(TransactionType.LOAD, request, key, tac_key, random)
    mac1 = key.suite.session_mac(
        _load_session_key(state, pending),
        cryptograms.load_mac1_message(
            state.available_fen, request.amount_fen, TransactionType.LOAD, request.terminal
        ),
    )
    response = b"".join(
        (
            state.available_fen.to_bytes(4, "big"),
            state.online_counter.to_bytes(2, "big"),
            bytes((key.version, key.algorithm)),
            random,
            mac1,
        )
    )
    return Initialized(response, pending)


def initialize_purchase(
    state: PurseState,
    request: Request,
    key: CardKey,
    tac_key: CardKey,
    random: bytes,
    *,
    composite: bool,
) -> StatusWord | Initialized:
    """INITIALIZE FOR PURCHASE (消费初始化) and FOR CAPP PURCHASE (复合应用消费初始化).

    Refusals in order: 9402 counter exhausted, 9401 more than balance and free overdraft.
    """
    if state.offline_counter >= COUNTER_MAX:
        return StatusWord.COUNTER_OR_AMOUNT_LIMIT
    if request.amount_fen > state.available_fen:
        return StatusWord.INSUFFICIENT_FUNDS
    kind = TransactionType.COMPOSITE if composite else TransactionType.PURCHASE
    response = b"".join(
        (
            state.available_fen.to_bytes(4, "big"),
            state.offline_counter.to_bytes(2, "big"),
            state.overdraft_limit_fen.to_bytes(3, "big"),
            bytes((key.version, key.algorithm)),
            random,
        )
    )
    return Initialized(response, Pending(kind, request, key, tac_key, random))


def complete_load(state: PurseState, pending: Pending, data: bytes) -> StatusWord | Completed:
    """CREDIT FOR LOAD (圈存): 9302 when MAC2 does not hold."""
    request, suite = pending.request, pending.key.suite
    time, mac2 = data[:7], data[7:]
    terms = (request.amount_fen, pending.transaction_type, request.terminal, time)
    expected = suite.session_mac(
        _load_session_key(state, pending), cryptograms.load_mac2_message(*terms)
    )
    if not hmac.compare_digest(expected, mac2):
        return StatusWord.PURSE_MAC_WRONG
    counter = state.online_counter
    loaded = replace(
        state,
        balance_fen=state.balance_fen + request.amount_fen,
        online_counter=counter + 1,
    )
    tac = pending.tac_key.suite.tac(
        pending.tac_key.key.value,
        cryptograms.load_tac_message(loaded.available_fen, counter, *terms),
    )
    after = replace(loaded, online_proof=Proof(pending.transaction_type, counter, mac2, tac))
    return Completed(after, _log(after, counter, pending, time), tac)


def complete_purchase(state: PurseState, pending: Pending, data: bytes) -> StatusWord | Completed:
    """DEBIT FOR PURCHASE or CAPP PURCHASE (消费): 9302 when MAC1 does not hold."""
    request, suite = pending.request, pending.key.suite
    sequence, time, mac1 = int.from_bytes(data[:4], "big"), data[4:11], data[11:]
    counter = state.offline_counter
    session_key = suite.session_key(
        pending.key.key.value,
        cryptograms.purchase_session_input(pending.random, counter, sequence),
    )
    terms = (request.amount_fen, pending.transaction_type, request.terminal)
    expected = suite.session_mac(session_key, cryptograms.purchase_mac1_message(*terms, time))
    if not hmac.compare_digest(expected, mac1):
        return StatusWord.PURSE_MAC_WRONG
    mac2 = suite.session_mac(session_key, cryptograms.purchase_mac2_message(request.amount_fen))
    tac = pending.tac_key.suite.tac(
        pending.tac_key.key.value, cryptograms.purchase_tac_message(*terms, sequence, time)
    )
    after = replace(
        state,
        balance_fen=state.balance_fen - request.amount_fen,
        offline_counter=counter + 1,
        offline_proof=Proof(pending.transaction_type, counter, mac2, tac),
    )
    return Completed(after, _log(after, counter, pending, time), tac + mac2)


def prove(state: PurseState, transaction_type: int, counter: int) -> bytes | None:
    """GET TRANSACTION PROVE (取交易认证): MAC and TAC of the last load or the last purchase, when
    it is of that type and its log record carries that counter; else None.
    """
    for proof in (state.offline_proof, state.online_proof):
        if proof.transaction_type and (proof.transaction_type, proof.counter) == (
            transaction_type,
            counter,
        ):
            return proof.mac + proof.tac
    return None


def _load_session_key(state: PurseState, pending: Pending) -> bytes:
    return pending.key.suite.session_key(
        pending.key.key.value,
        cryptograms.load_session_input(pending.random, state.online_counter),
    )


def _log(after: PurseState, counter: int, pending: Pending, time: bytes) -> bytes:
    request = pending.request
    return _LOG.pack(
        counter,
        after.overdraft_used_fen.to_bytes(3, "big"),
        request.amount_fen,
        pending.transaction_type,
        request.terminal,
        time,
    )
