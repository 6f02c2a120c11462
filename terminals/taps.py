"""What a tap asks for and how it can end.

Decides the values that go into and come out of a tap: the fare, the place, the request, the closed
list of outcomes, the states a tap has in the journal. Leaves how an outcome is reached to the
session and how it is kept to the journal.
"""

import hashlib
from collections.abc import Container
from dataclasses import dataclass
from datetime import date
from enum import IntEnum

from cardcore.concession import Concession
from cardcore.records.record import TransactionRecord
from cardcore.text import Text


class TapOutcome(IntEnum):
    """How a tap ended, in order of precedence: the first that holds is given.

    Numbers are stored in journals and never used again for something else. The precedence of the
    refusals is the order in which a session comes to know of them.
    """

    APPROVED = 0  # 成功: charged or loaded, and in the journal
    RECOVERED = 1  # 补全: an earlier torn tap did this already; nothing more was charged
    REQUEST_DIFFERS = 10  # 请求编号冲突: the id was used before, for other content or another card
    UNRESOLVED = 11  # 无法确认: it was torn, and its card can no longer say whether it was done
    CARD_REMOVED = 20  # 请重新刷卡: torn out; whatever was open is settled on its next visit
    CARD_UNREADABLE = 21  # 无法读卡: not a card of this kind, or a damaged one
    CARD_BLOCKED = 22  # 已锁卡
    CARD_NOT_ENABLED = 23  # 未启用
    CARD_NOT_YET_VALID = 24  # 未到启用日
    CARD_EXPIRED = 25  # 已过期
    CARD_HOTLISTED = 26  # 黑名单卡
    CARD_NOT_INTEROPERABLE = 27  # 非互联互通卡: another city's card that does not travel
    ALREADY_INSIDE = 28  # 重复进站
    NOT_INSIDE = 29  # 无进站信息
    INSUFFICIENT_FUNDS = 30  # 余额不足
    CARD_LIMIT = 31  # 超限: counter used up, or amount above the card's maximum
    CARD_KEY_UNKNOWN = 32  # 密钥或算法不支持: a key or algorithm this terminal has no partner for
    CARD_REFUSED = 33  # 卡片拒绝: any other status word; the trace has it
    JOURNAL_FULL = 40  # 流水已满: no room for the intent, so the card was not debited
    HOST_UNAVAILABLE = 41  # 主机无应答: the load host did not answer; nothing was loaded
    CARD_FORGED = 42  # 伪卡: its MAC does not hold

    @property
    def text(self) -> Text:
        """For people."""
        return _TEXTS[self]

    @property
    def done(self) -> bool:
        """Whether the passenger or customer has what was asked for: open the gate."""
        return self in {TapOutcome.APPROVED, TapOutcome.RECOVERED}

    @property
    def retry_may_help(self) -> bool:
        """Whether presenting the same card with the same request can end otherwise soon."""
        return self in _TRANSIENT


_TEXTS = {
    TapOutcome.APPROVED: Text("成功", "approved"),
    TapOutcome.RECOVERED: Text("补全", "recovered: done by an earlier torn tap"),
    TapOutcome.REQUEST_DIFFERS: Text(
        "请求编号冲突", "this request was made before, for another tap"
    ),
    TapOutcome.UNRESOLVED: Text("无法确认", "the card can no longer say whether it was done"),
    TapOutcome.CARD_REMOVED: Text("卡已移走，请重新刷卡", "the card was taken away; tap again"),
    TapOutcome.CARD_UNREADABLE: Text("无法读卡", "the card cannot be read"),
    TapOutcome.CARD_BLOCKED: Text("已锁卡", "the card is blocked"),
    TapOutcome.CARD_NOT_ENABLED: Text("卡未启用", "the card is not enabled"),
    TapOutcome.CARD_NOT_YET_VALID: Text("卡未到启用日", "the card is not valid yet"),
    TapOutcome.CARD_EXPIRED: Text("卡已过期", "the card has expired"),
    TapOutcome.CARD_HOTLISTED: Text("黑名单卡", "the card is on the hotlist"),
    TapOutcome.CARD_NOT_INTEROPERABLE: Text(
        "非互联互通卡", "a card of another city that does not travel"
    ),
    TapOutcome.ALREADY_INSIDE: Text("重复进站", "it has entered already"),
    TapOutcome.NOT_INSIDE: Text("无进站信息", "it has not entered"),
    TapOutcome.INSUFFICIENT_FUNDS: Text("余额不足", "the balance is not enough"),
    TapOutcome.CARD_LIMIT: Text("超过卡的限额", "beyond what the card takes"),
    TapOutcome.CARD_KEY_UNKNOWN: Text("密钥或算法不支持", "its key or algorithm is not known here"),
    TapOutcome.CARD_REFUSED: Text("卡片拒绝", "the card refuses"),
    TapOutcome.JOURNAL_FULL: Text("流水已满", "the journal is full"),
    TapOutcome.HOST_UNAVAILABLE: Text("主机无应答", "the load host does not answer"),
    TapOutcome.CARD_FORGED: Text("伪卡", "the card is forged"),
}
assert set(_TEXTS) == set(TapOutcome)
_TRANSIENT = frozenset(
    {
        TapOutcome.CARD_REMOVED,
        TapOutcome.CARD_UNREADABLE,
        TapOutcome.JOURNAL_FULL,
        TapOutcome.HOST_UNAVAILABLE,
    }
)


@dataclass(frozen=True, slots=True)
class Fare:
    """What the fare rule decided. The terminal charges it and does not judge it.

    For a load, `charged_fen` is the amount to put on the card and `tariff_fen` the cash taken.
    """

    tariff_fen: int
    charged_fen: int
    concession: Concession = Concession.ADULT
    transfer: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where the terminal is now: a bus terminal is signed on to another line during the day."""

    line: int = 0
    station: int = 0
    vehicle: int = 0


@dataclass(frozen=True, slots=True)
class TapRequest:
    """One tap as the device asks for it. `request_id` is the caller's own and names it for ever:
    the same id with the same content gives the first answer back, and charges nothing.
    `application` names the purse, where the device leaves the choice to whoever asks; else it is
    the first the card has.
    """

    request_id: str
    fare: Fare
    place: Place
    business_day: date
    payload: bytes = b""
    application: str = ""

    def content_hash(self, role: str, terminal: str) -> bytes:
        """SHA-256 over everything asked for, and at which device."""
        fare, place = self.fare, self.place
        content = (
            *(role, terminal, fare.tariff_fen, fare.charged_fen, int(fare.concession)),
            *(fare.transfer, place.line, place.station, place.vehicle),
            *(self.business_day.isoformat(), self.payload.hex()),
            # A request from before there was a choice keeps its hash.
            *([self.application] if self.application else []),
        )
        return hashlib.sha256("|".join(map(str, content)).encode()).digest()


@dataclass(frozen=True, slots=True)
class TapResult:
    """The end of a tap. There is a record exactly when money or a gate moved."""

    outcome: TapOutcome
    record: TransactionRecord | None = None


@dataclass(frozen=True, slots=True)
class Hotlist:
    """Cards to refuse (黑名单), by card number, and the version of that list."""

    version: int = 0
    cards: Container[str] = frozenset()


class TapState(IntEnum):
    """Where a tap stands; the numbers are those of the table `taps`."""

    OPEN = 1  # 灰记录
    RECORDED = 2  # 已成记录
    VOID = 3  # 作废
    LAPSED = 4  # 失效
    FORGED = 5  # 伪卡


@dataclass(frozen=True, slots=True)
class Intent:
    """A torn tap whose card is here again. `draft` is its record without serial and TAC."""

    tap: int
    request_id: str
    draft: TransactionRecord
