"""The states of a tap and what may follow what. All order of a transaction stands in this file.

Two rules of the file. Everything that changes the order of steps lives here, as data; and this
file knows no byte: what is said in a state stands in `steps`, what it looks like on the wire in
`commands.py`.

Theory of operation
===================

A session never does anything itself. It is in a state; the state says what has to be done next
(a command for the card or the PSAM, a question to the load host, a row for the journal); the
caller does it and hands the result back; the result becomes a signal; and state and signal
together give the next state. A pair that does not stand in the table is a bug and stops the
program: there is no default.

Three parts follow one another.

1. *Knowing the card.* SELECTING asks for the purses of the role in turn, and reads EF15 out of the
   FCI of the first that is there, so the card number is known after one command. FINDING asks the
   journal whether a tap of this purse was torn here. READING_LOG reads the card's newest log
   record: it fills the previous transaction of the record, and it is how a torn tap is judged.

2. *Settling a torn tap.* Only when FINDING found one. The log says whether the purse moved. It did:
   PROVING fetches MAC2 and TAC (GET TRANSACTION PROVE) and the record is completed. It did not:
   the intent is voided. The log has moved on so far that nobody can say: the intent lapses. This
   comes before every check of the new tap, because a hotlisted or expired card still owes or is
   owed its last ride. When the torn tap and this one are the same wish, that record answers this
   request too, and the card is not charged again.

3. *The tap itself*, along the path of its flow. The intent is durable before the command that moves
   money (COMMITTING); the record follows it. A card torn out before COMMITTING leaves nothing; one
   torn out in it, or a power loss after the intent, leaves the tap open for part 2 of a later
   visit.

The flows differ only in their paths::

    PURCHASE  shop: simple purchase                          5 commands to the card
    RIDE      bus: composite purchase with a trip record     6
    GATE      metro: the transit record is read and written  8
    LOAD      kiosk: the load host instead of a PSAM         5
"""

from collections.abc import Mapping
from enum import Enum, auto
from itertools import pairwise


class State(Enum):
    """What a session is waiting for."""

    SELECTING = auto()  # 选择应用
    FINDING = auto()  # 查未了交易
    READING_LOG = auto()  # 读交易明细
    PROVING = auto()  # 取交易认证
    CHECKING_PROOF = auto()  # 核验认证
    STORING_RECOVERY = auto()  # 存补全记录
    VOIDING = auto()  # 作废
    LAPSING = auto()  # 失效
    FORGING = auto()  # 记伪卡
    READING_PROPERTIES = auto()  # 读管理信息
    READING_TRANSIT = auto()  # 读复合交易记录
    INITIALISING = auto()  # 交易初始化
    AUTHORISING = auto()  # PSAM 或主机认证
    WRITING_TRANSIT = auto()  # 写复合交易记录
    WRITING_TRIP = auto()  # 写乘车记录
    STORING_INTENT = auto()  # 存意图
    COMMITTING = auto()  # 扣款或圈存
    VERIFYING = auto()  # 验 MAC2
    STORING_RECORD = auto()  # 存记录
    DONE = auto()  # 结束


class Signal(Enum):
    """What the result of a step means for the order of steps."""

    GOOD = auto()  # 正常: as hoped
    ABSENT = auto()  # 无此应用: the card has no such application; another one may be asked for
    REFUSED = auto()  # 拒绝: the tap ends with a refusal; nothing has to be put right
    MOVED = auto()  # 已扣款: the log shows that the torn tap was done
    NOT_MOVED = auto()  # 未扣款: the log shows that it was not
    OLDER = auto()  # 需查更早的明细: an older log record has to be looked at
    UNKNOWN = auto()  # 明细已被覆盖: the log does not reach back that far
    CHECKABLE = auto()  # 可由 PSAM 核验: proven, and the PSAM still holds the other half
    UNDONE = auto()  # 卡片拒绝扣款: the card refused the command that moves money
    FORGED = auto()  # 伪卡: the card's MAC does not hold
    ANSWERED = auto()  # 请求已有答复: this request has its answer


class Flow(Enum):
    """A kind of transaction."""

    PURCHASE = auto()  # 普通消费
    RIDE = auto()  # 乘车
    GATE = auto()  # 过闸
    LOAD = auto()  # 圈存


_S, _G = State, Signal

#: Parts 1 and 2, and every way off the path. The same for all flows.
BRANCHES: Mapping[State, Mapping[Signal, State]] = {
    _S.SELECTING: {_G.GOOD: _S.FINDING, _G.ABSENT: _S.SELECTING, _G.REFUSED: _S.DONE},
    _S.FINDING: {_G.GOOD: _S.READING_LOG, _G.REFUSED: _S.DONE},
    _S.READING_LOG: {
        _G.GOOD: _S.READING_PROPERTIES,
        _G.REFUSED: _S.DONE,
        _G.MOVED: _S.PROVING,
        _G.NOT_MOVED: _S.VOIDING,
        _G.OLDER: _S.READING_LOG,
        _G.UNKNOWN: _S.LAPSING,
    },
    _S.PROVING: {_G.GOOD: _S.STORING_RECOVERY, _G.CHECKABLE: _S.CHECKING_PROOF},
    _S.CHECKING_PROOF: {_G.GOOD: _S.STORING_RECOVERY, _G.FORGED: _S.FORGING},
    _S.STORING_RECOVERY: {_G.GOOD: _S.READING_PROPERTIES, _G.ANSWERED: _S.DONE},
    _S.VOIDING: {_G.GOOD: _S.READING_PROPERTIES, _G.REFUSED: _S.DONE},
    _S.LAPSING: {_G.GOOD: _S.READING_PROPERTIES, _G.REFUSED: _S.DONE},
    _S.FORGING: {_G.REFUSED: _S.DONE},
    _S.READING_PROPERTIES: {_G.REFUSED: _S.DONE},
    _S.READING_TRANSIT: {_G.REFUSED: _S.DONE},
    _S.INITIALISING: {_G.REFUSED: _S.DONE},
    _S.AUTHORISING: {_G.REFUSED: _S.DONE},
    _S.WRITING_TRANSIT: {_G.REFUSED: _S.DONE},
    _S.WRITING_TRIP: {_G.REFUSED: _S.DONE},
    _S.STORING_INTENT: {_G.REFUSED: _S.DONE},
    # Without UNDONE the card left it open whether money moved, and the intent stays open too.
    _S.COMMITTING: {_G.UNDONE: _S.VOIDING, _G.REFUSED: _S.DONE},
    _S.VERIFYING: {_G.FORGED: _S.FORGING},
}

#: Part 3: the states a good tap goes through, by flow.
PATHS: Mapping[Flow, tuple[State, ...]] = {
    Flow.PURCHASE: (
        *(_S.READING_PROPERTIES, _S.INITIALISING, _S.AUTHORISING, _S.STORING_INTENT),
        *(_S.COMMITTING, _S.VERIFYING, _S.STORING_RECORD, _S.DONE),
    ),
    Flow.RIDE: (
        *(_S.READING_PROPERTIES, _S.INITIALISING, _S.AUTHORISING, _S.WRITING_TRIP),
        *(_S.STORING_INTENT, _S.COMMITTING, _S.VERIFYING, _S.STORING_RECORD, _S.DONE),
    ),
    Flow.GATE: (
        *(_S.READING_PROPERTIES, _S.READING_TRANSIT, _S.INITIALISING, _S.AUTHORISING),
        *(_S.WRITING_TRANSIT, _S.WRITING_TRIP, _S.STORING_INTENT),
        *(_S.COMMITTING, _S.VERIFYING, _S.STORING_RECORD, _S.DONE),
    ),
    Flow.LOAD: (
        *(_S.READING_PROPERTIES, _S.INITIALISING, _S.AUTHORISING, _S.STORING_INTENT),
        *(_S.COMMITTING, _S.STORING_RECORD, _S.DONE),
    ),
}


def _whole_table(path: tuple[State, ...]) -> dict[State, dict[Signal, State]]:
    table = {state: dict(branches) for state, branches in BRANCHES.items()}
    for state, following in pairwise(path):
        table.setdefault(state, {})[Signal.GOOD] = following
    return table


#: The whole machine: flow, state, signal to next state. A missing entry is the error.
TRANSITIONS: Mapping[Flow, Mapping[State, Mapping[Signal, State]]] = {
    flow: _whole_table(path) for flow, path in PATHS.items()
}
