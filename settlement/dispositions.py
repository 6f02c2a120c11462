"""The closed words of settlement: what became of a record, why, and what else is worth noting.

Decides the order of precedence of reasons and what each means for the money; leaves finding them
to `settlement.reconciliation`. Numbers are stored for ever and never used again.

Two rules above all. What the card signed is paid once, whatever else a record says: a byte that
nobody signed is worth a note, and never a reason. What no card signed moves nothing: it is a claim.
"""

from enum import IntEnum, IntFlag
from typing import NamedTuple

from cardcore.keys import ProofReason
from cardcore.text import Text


class Disposition(IntEnum):
    """What became of a record (处理结果). Every record has exactly one (I9)."""

    ACCEPTED = 1  # 正常: posted
    DUPLICATE = 2  # 重复: the same movement stands already; no money
    SUSPENDED = 3  # 可疑: the card has proven it; its money is held until somebody decides
    REJECTED = 4  # 拒付: damaged, or not this sender's to deliver; no money
    CLAIM = 5  # 主张: nobody's card has proven it; no money, but its amount and age are shown

    @property
    def text(self) -> Text:
        """For people."""
        return _DISPOSITION_TEXTS[self]

    @property
    def is_posted(self) -> bool:
        """Whether the money of such a record stands in the ledger."""
        return self in {Disposition.ACCEPTED, Disposition.SUSPENDED}


class Reason(IntEnum):
    """Why a record was not simply accepted, in order of precedence: the first reason that holds is
    the record's only one; NONE stands last. The numbers are kept for ever, and say nothing of the
    order; those that are missing belong to reasons that hold nothing any more.
    """

    FORMAT_WRONG = 1
    NOT_YOUR_TERMINAL = 16
    DUPLICATE = 2
    FOREIGN_CARD = 17
    ALGORITHM_UNKNOWN = 3
    KEY_VERSION_UNKNOWN = 4
    TAC_MISSING = 6
    TAC_WRONG = 7
    VARIANT = 18
    TERMINAL_UNKNOWN = 8
    CLOCK_AHEAD = 13
    HOTLISTED = 14
    CENTRE_PENDING = 19
    RETURNED = 20
    RELEASED = 21
    NONE = 99

    @property
    def disposition(self) -> Disposition:
        """What the reason means for the record."""
        return _RULES[self].disposition

    @property
    def waits(self) -> bool:
        """Whether the record is kept to be decided again: its cause may go away by itself (a key, a
        registry entry, a day or a statement of the card that comes late), or people may rule on it.
        """
        return _RULES[self].waits

    @property
    def text(self) -> Text:
        """For people."""
        return _RULES[self].text

    @property
    def remedy(self) -> Text:
        """What would clear it up, for people."""
        return _RULES[self].remedy


def proof_text(proof: ProofReason) -> Text:
    """How a TAC, or what stands for one, was judged, for people."""
    return _PROOF_TEXTS[proof]


class Verdict(IntEnum):
    """What two people ruled of a suspended record (裁定)."""

    RELEASE = 1  # 放行: it is paid as if nothing had held it
    RETURN = 2  # 退还: it pays nobody, and its money is held for the holder


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
    KEY_VERSION_MISNAMED = 128  # 密钥版本不符: the TAC holds, but under another registered version
    BALANCE_BROKEN = 256  # 余额不符: balances and amount of the record do not agree
    TERMINAL_SERIAL_REUSED = 512  # 终端流水号重用: another movement carries this terminal serial
    CARD_COUNTER_REUSED = 1024  # 卡计数器重用: another movement of the card carries this counter
    CARD_COUNTER_REGRESSED = 2048  # 卡计数器倒退: the counter lies behind and fills no open gap
    OVERCHARGED = 4096  # 超票价扣款: charged above the full tariff
    CLAIMS_DIFFER = 8192  # 与登记不符: operator, sector or tariff are not those known
    STATEMENT_PROVEN = 16384  # 余额证实: no TAC, but what the card stated later proves it
    TAKEN_BACK = 32768  # 已冲回: no record posted; another debit proved to be in its place

    @property
    def text(self) -> Text:
        """One note, for people."""
        return _NOTE_TEXTS[self]


class _Rule(NamedTuple):
    disposition: Disposition
    waits: bool
    text: Text
    remedy: Text


_HELD, _CLAIM = Disposition.SUSPENDED, Disposition.CLAIM
_REFUSED, _AGAIN = Disposition.REJECTED, Disposition.DUPLICATE

_NOTHING = Text("无", "nothing")
_KEY = Text("密钥服务有了该密钥，自动复核", "once the key service holds the key it is judged again")

_RULES = {
    Reason.FORMAT_WRONG: _Rule(
        _REFUSED,
        False,
        Text("格式错误", "a field of the record is damaged"),
        Text("由终端重新上送原记录", "the terminal sends the record as it wrote it"),
    ),
    Reason.NOT_YOUR_TERMINAL: _Rule(
        _REFUSED,
        True,
        Text("非本方终端", "the sender does not collect for that terminal"),
        Text(
            "由该终端的采集方上送，或登记该发送方为采集方",
            "its collector sends it, or the registry names this sender as collector",
        ),
    ),
    Reason.DUPLICATE: _Rule(
        _AGAIN, False, Text("重复记录", "the same bytes stand already"), _NOTHING
    ),
    Reason.FOREIGN_CARD: _Rule(
        _CLAIM,
        True,
        Text(
            "非本市卡号，本地无其密钥",
            "a card of another issuer whose keys are not held here: it waits for its centre",
        ),
        Text(
            "其发卡中心应答，或登记该号段并持有其密钥",
            "its issuer's centre answers, or its numbers are registered and its key is held",
        ),
    ),
    Reason.ALGORITHM_UNKNOWN: _Rule(
        _CLAIM, True, Text("算法未知", "no suite is held for the record's algorithm"), _KEY
    ),
    Reason.KEY_VERSION_UNKNOWN: _Rule(
        _CLAIM, True, Text("密钥版本未知", "the key version the record names is not held"), _KEY
    ),
    Reason.TAC_MISSING: _Rule(
        _CLAIM,
        True,
        Text("缺少交易认证码", "the tap was torn and the card could not prove it"),
        Text(
            "该卡下次刷卡时补证，或其后的余额陈述证实",
            "the card proves it at its next visit, or what it states later does",
        ),
    ),
    Reason.TAC_WRONG: _Rule(
        _CLAIM,
        False,
        Text("交易认证码错误", "no key proves the record's TAC"),
        Text("上送卡片真正签过的记录", "a record that the card did sign"),
    ),
    Reason.VARIANT: _Rule(
        _AGAIN,
        False,
        Text("同一交易的异本", "the card signed this movement once; another record of it stands"),
        _NOTHING,
    ),
    Reason.TERMINAL_UNKNOWN: _Rule(
        _HELD,
        True,
        Text("终端未登记", "the terminal is not registered on that day"),
        Text("登记该终端，自动复核", "once the terminal is registered it is judged again"),
    ),
    Reason.CLOCK_AHEAD: _Rule(
        _HELD,
        True,
        Text("终端时钟超前", "the time lies after the receipt, and its day has not come"),
        Text("到该日自动复核", "once its day comes it is judged again"),
    ),
    Reason.HOTLISTED: _Rule(
        _HELD,
        True,
        Text("黑名单卡", "the card was on the list that the terminal had to have"),
        Text("由两人裁定", "two people rule on it"),
    ),
    Reason.CENTRE_PENDING: _Rule(
        _HELD,
        True,
        Text("待发卡中心应答", "a card of another issuer paid; its centre has not answered"),
        Text("其发卡中心应答", "its issuer's centre answers"),
    ),
    # What two people ruled of suspended money. Nothing undoes it but another entry.
    Reason.RETURNED: _Rule(
        Disposition.ACCEPTED,
        False,
        Text("裁定退还持卡人", "two people ruled: it pays nobody, and is held for the holder"),
        _NOTHING,
    ),
    Reason.RELEASED: _Rule(
        Disposition.ACCEPTED, False, Text("裁定放行", "two people ruled: it is paid"), _NOTHING
    ),
    Reason.NONE: _Rule(Disposition.ACCEPTED, False, Text("正常", "accepted"), _NOTHING),
}

_DISPOSITION_TEXTS = {
    Disposition.ACCEPTED: Text("正常", "accepted"),
    Disposition.DUPLICATE: Text("重复", "duplicate"),
    Disposition.SUSPENDED: Text("可疑", "suspended"),
    Disposition.REJECTED: Text("拒付", "rejected"),
    Disposition.CLAIM: Text("主张", "claim"),
}

_PROOF_TEXTS = {
    ProofReason.PROVEN: Text("成立", "holds"),
    ProofReason.WRONG: Text("不成立", "does not hold under any key"),
    ProofReason.WRONG_VERSION: Text("密钥版本不符", "holds only under another key version"),
    ProofReason.UNKNOWN_VERSION: Text(
        "密钥版本未知", "cannot be judged: its key version is not held"
    ),
    ProofReason.UNKNOWN_ALGORITHM: Text("算法未知", "cannot be judged: its algorithm is not held"),
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
    Note.KEY_VERSION_MISNAMED: Text(
        "密钥版本不符", "the TAC holds under another key version than the record names"
    ),
    Note.BALANCE_BROKEN: Text("余额不符", "balance before, amount and balance after do not agree"),
    Note.TERMINAL_SERIAL_REUSED: Text(
        "终端流水号重用", "another movement carries its terminal serial"
    ),
    Note.CARD_COUNTER_REUSED: Text(
        "卡计数器重用（疑似伪卡）", "another movement of the card carries its counter"
    ),
    Note.CARD_COUNTER_REGRESSED: Text(
        "卡计数器倒退", "the card counter lies behind and fills no open gap"
    ),
    Note.OVERCHARGED: Text("超票价扣款", "charged above the full tariff"),
    Note.CLAIMS_DIFFER: Text(
        "与登记不符", "operator, sector or tariff of the record are not those known of the terminal"
    ),
    Note.STATEMENT_PROVEN: Text("余额证实", "proven by what the card stated later"),
    Note.TAKEN_BACK: Text("已冲回", "taken back: the card has proven another debit in its place"),
}
assert set(_RULES) == set(Reason)
assert set(_DISPOSITION_TEXTS) == set(Disposition)
assert set(_PROOF_TEXTS) == set(ProofReason)
assert set(_SEGMENT_TEXTS) == set(SegmentKind)
assert set(_NOTE_TEXTS) == set(Note)
