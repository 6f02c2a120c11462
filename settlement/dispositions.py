"""The closed words of settlement: what became of a record, why, and what else is worth noting.

Decides the order of precedence of reasons and what each means for the money; leaves finding them
to `settlement.reconciliation`. Numbers are stored for ever and never used again.

The one rule above all: a reason that sets two records against each other (a serial or counter
used twice) counts only records that passed everything before it, so a forged record never
suspends a true one.
"""

from enum import IntEnum, IntFlag
from typing import NamedTuple

from cardcore.text import Text


class Disposition(IntEnum):
    """What became of a record (处理结果). Every record has exactly one (I9)."""

    ACCEPTED = 1  # 正常: posted
    DUPLICATE = 2  # 重复: the same bytes came before; no money
    SUSPENDED = 3  # 可疑: a debit's money is held until somebody decides
    REJECTED = 4  # 拒付: proven wrong; no money

    @property
    def text(self) -> Text:
        """For people."""
        return _DISPOSITION_TEXTS[self]


class Reason(IntEnum):
    """Why a record was not simply accepted. Order of precedence is the order of the numbers:
    the first reason that holds is the record's only one; NONE stands last.
    """

    FORMAT_WRONG = 1
    DUPLICATE = 2
    ALGORITHM_UNKNOWN = 3
    KEY_VERSION_UNKNOWN = 4
    KEY_VERSION_WRONG = 5
    TAC_MISSING = 6
    TAC_WRONG = 7
    TERMINAL_UNKNOWN = 8
    BALANCE_BROKEN = 9
    TERMINAL_SERIAL_REUSED = 10
    CARD_COUNTER_REUSED = 11
    CARD_COUNTER_REGRESSED = 12
    CLOCK_AHEAD = 13
    HOTLISTED = 14
    OVERCHARGED = 15
    NONE = 99

    @property
    def disposition(self) -> Disposition:
        """What the reason means for the record."""
        return _RULES[self].disposition

    @property
    def retry_may_help(self) -> bool:
        """Whether the cause may go away by itself: a key, a registry entry or a day that comes
        late.
        """
        return _RULES[self].retry_may_help

    @property
    def text(self) -> Text:
        """For people."""
        return _RULES[self].text


class GapState(IntEnum):
    """Whether something is still missing in a card's chain."""

    OPEN = 1  # 未补
    FILLED = 2  # 已补


class SegmentKind(IntEnum):
    """What an open segment (陈述区间) between two statements of a purse says."""

    MISSING_DEBITS = 1  # 缺失扣款: more left the card than was posted
    MISSING_LOADS = 2  # 缺失充值: load counters are missing, and perhaps their money
    CONTRADICTION = 3  # 矛盾: what cannot be, whatever is missing

    @property
    def text(self) -> Text:
        """For people."""
        return _SEGMENT_TEXTS[self]


class RecordMac(IntEnum):
    """How the record MAC was judged. It binds whoever collected the record to one story; it never
    holds money that the card has proven.
    """

    NONE = 0  # 无鉴别码: the record carries none
    HELD = 1  # 鉴别通过: made by this very PSAM
    HELD_WEAKLY = 2  # 弱鉴别通过: made by a PSAM, perhaps by another one (profile pboc)
    WRONG = 3  # 鉴别不符: a byte was changed after the terminal, or it was never made
    UNJUDGED = 4  # 暂不能鉴别: its key version or algorithm is not held


class Note(IntFlag):
    """What else is worth an auditor's look in a record that is settled all the same."""

    TRANSFER_MARK_MISSING = 1  # 无联程标记: only a transfer explains the fare, but none is marked
    STATION_MISSING = 2  # 无站点: a metro entry or exit that names no station
    FARE_UNEXPLAINED = 4  # 票价不明: below the tariff, and no class of the scheme explains it
    CLASS_DIFFERS = 8  # 优惠类别不符: explained only by another concession than the record's
    HOTLISTED_LATE = 16  # 挂失在后: the card is listed, but the terminal could not yet know
    RECOVERED = 32  # 补全: the tap was torn and proven at the card's next visit
    RECORD_MAC_WRONG = 64  # 记录鉴别不符: bytes nobody's card signed were changed on the way

    @property
    def text(self) -> Text:
        """One note, for people."""
        return _NOTE_TEXTS[self]


class _Rule(NamedTuple):
    disposition: Disposition
    retry_may_help: bool
    text: Text


_HELD, _REFUSED = Disposition.SUSPENDED, Disposition.REJECTED

_RULES = {
    Reason.FORMAT_WRONG: _Rule(
        _REFUSED, False, Text("格式错误", "a field of the record is damaged")
    ),
    Reason.DUPLICATE: _Rule(
        Disposition.DUPLICATE, False, Text("重复记录", "the same bytes were settled before")
    ),
    Reason.ALGORITHM_UNKNOWN: _Rule(
        _HELD, True, Text("算法未知", "no suite is held for the record's algorithm")
    ),
    Reason.KEY_VERSION_UNKNOWN: _Rule(
        _HELD, True, Text("密钥版本未知", "the key version the record names is not held")
    ),
    Reason.KEY_VERSION_WRONG: _Rule(
        _HELD, False, Text("密钥版本不符", "the TAC holds, but under another key version")
    ),
    Reason.TAC_MISSING: _Rule(
        _HELD, False, Text("缺少交易认证码", "the tap was torn and the card could not prove it")
    ),
    Reason.TAC_WRONG: _Rule(
        _REFUSED, False, Text("交易认证码错误", "no key proves the record's TAC")
    ),
    Reason.TERMINAL_UNKNOWN: _Rule(
        _HELD, True, Text("终端未登记", "the terminal is not registered for that operator")
    ),
    Reason.BALANCE_BROKEN: _Rule(
        _HELD, False, Text("余额不符", "balance before, amount and balance after do not agree")
    ),
    Reason.TERMINAL_SERIAL_REUSED: _Rule(
        _HELD, False, Text("终端流水号重用", "two different records carry one terminal serial")
    ),
    Reason.CARD_COUNTER_REUSED: _Rule(
        _HELD,
        False,
        Text("卡计数器重用（疑似伪卡）", "two different records carry one card counter"),
    ),
    Reason.CARD_COUNTER_REGRESSED: _Rule(
        _HELD, False, Text("卡计数器倒退", "the card counter lies behind and fills no open gap")
    ),
    Reason.CLOCK_AHEAD: _Rule(
        _HELD,
        True,
        Text(
            "终端时钟超前", "the transaction time lies after the receipt, and its day has not come"
        ),
    ),
    Reason.HOTLISTED: _Rule(_HELD, False, Text("黑名单卡", "the terminal's list named the card")),
    Reason.OVERCHARGED: _Rule(_HELD, False, Text("超票价扣款", "charged above the full tariff")),
    Reason.NONE: _Rule(Disposition.ACCEPTED, False, Text("正常", "accepted")),
}

_DISPOSITION_TEXTS = {
    Disposition.ACCEPTED: Text("正常", "accepted"),
    Disposition.DUPLICATE: Text("重复", "duplicate"),
    Disposition.SUSPENDED: Text("可疑", "suspended"),
    Disposition.REJECTED: Text("拒付", "rejected"),
}

_SEGMENT_TEXTS = {
    SegmentKind.MISSING_DEBITS: Text("缺失扣款", "missing debits"),
    SegmentKind.MISSING_LOADS: Text("缺失充值", "missing loads"),
    SegmentKind.CONTRADICTION: Text("矛盾", "contradiction"),
}

_NOTE_TEXTS = {
    Note.TRANSFER_MARK_MISSING: Text("无联程标记", "transfer discount without the mark"),
    Note.STATION_MISSING: Text("无站点", "metro record without a station"),
    Note.FARE_UNEXPLAINED: Text("票价不明", "no fare class explains the charge"),
    Note.CLASS_DIFFERS: Text("优惠类别不符", "explained by another fare class"),
    Note.HOTLISTED_LATE: Text("挂失在后", "the card was listed after the terminal's list"),
    Note.RECOVERED: Text("补全", "torn tap, proven later"),
    Note.RECORD_MAC_WRONG: Text("记录鉴别不符", "the record MAC does not hold"),
}
assert set(_RULES) == set(Reason)
assert set(_DISPOSITION_TEXTS) == set(Disposition)
assert set(_SEGMENT_TEXTS) == set(SegmentKind)
assert set(_NOTE_TEXTS) == set(Note)
