"""How a load stands between log, record and card, in words.

Decides the closed list of standings and what each asks of people. Leaves finding them to
`settlement.loads.decide`.
"""

from enum import Enum
from typing import NamedTuple

from cardcore.text import Text


class LoadStanding(Enum):
    """What is known of a load. Numbers say nothing and are not stored."""

    CONFIRMED = 1
    VOID = 2
    RECORDED = 3
    ALLOWED_ONLY = 4
    SEVERAL_CLAIM = 5
    UNEXPLAINED = 6
    NEVER_ALLOWED = 7
    CLAIMED_ONLY = 8
    LOG_AWAITED = 9

    @property
    def text(self) -> Text:
        """For people."""
        return _WORDS[self].text

    @property
    def meaning(self) -> Text:
        """What it means, in a sentence."""
        return _WORDS[self].meaning

    @property
    def advice(self) -> Text:
        """What to do."""
        return _WORDS[self].advice

    @property
    def is_alarm(self) -> bool:
        """Whether it cannot be: money on a card that no load host allowed."""
        return self in {LoadStanding.UNEXPLAINED, LoadStanding.NEVER_ALLOWED}


class LoadEvidence(Enum):
    """What a standing follows from."""

    NONE = Text("无", "nothing yet")
    TAC = Text("交易认证码", "the TAC of this load")
    OTHER_TAC = Text("同序号另一笔的认证码", "the TAC of another load with this counter")
    LATER_MAC1 = Text("卡片后续 MAC1", "a later MAC1 of the card, in the log")
    LATER_TAC = Text("卡片后续认证码", "the TAC of a later load")

    @property
    def text(self) -> Text:
        """For people."""
        return self.value


class _Words(NamedTuple):
    text: Text
    meaning: Text
    advice: Text


_WORDS = {
    LoadStanding.CONFIRMED: _Words(
        Text("已确认", "confirmed"),
        Text("卡片已证明该笔圈存发生", "the card has proven it, by a TAC or by its next statement"),
        Text(
            "有记录则无须处理；无记录则照样计入代理，并向其索取文件",
            "nothing where there is a record; where there is none it is billed all the same: ask "
            "the agent for the file",
        ),
    ),
    LoadStanding.VOID: _Words(
        Text("未发生", "void"),
        Text(
            "卡片后来以同一序号再次圈存，本笔未发生",
            "the card came again with the same counter: this one did not come about",
        ),
        Text("有记录者为不实申报，查问代理", "with a record: the claim is false, ask the agent"),
    ),
    LoadStanding.RECORDED: _Words(
        Text("有记录未证明", "recorded, not proven"),
        Text(
            "主机已授权，代理有记录，但认证码不成立或缺失",
            "allowed and in a record whose TAC does not hold; the card has said nothing since",
        ),
        Text("等待卡片下次圈存", "wait for the card's next load, which decides"),
    ),
    LoadStanding.ALLOWED_ONLY: _Words(
        Text("仅授权", "allowed only"),
        Text(
            "主机已授权，既无记录，卡片也未再出现",
            "allowed; no record came, and the card has said nothing since",
        ),
        Text(
            "催代理上传；久无结果由两人解除", "ask the agent for its files; if old, two release it"
        ),
    ),
    LoadStanding.SEVERAL_CLAIM: _Words(
        Text("多笔争一", "one of several"),
        Text(
            "卡片只发生一笔，而同序号有几笔不同的授权",
            "one load came about, and several that differ were allowed for this counter",
        ),
        Text("向各代理索取记录，由认证码定", "ask the agents for records: a TAC decides"),
    ),
    LoadStanding.UNEXPLAINED: _Words(
        Text("余额矛盾", "contradiction: balance"),
        Text(
            "卡片余额高于任何授权所能解释",
            "the card then held more than any load allowed for this counter explains",
        ),
        Text("报警，立案核查卡片与密钥", "alarm: look into card, kiosk and keys"),
    ),
    LoadStanding.NEVER_ALLOWED: _Words(
        Text("未经授权", "contradiction: never allowed"),
        Text("钱已入卡，而主机从未授权", "money came onto a card, and no load host allowed it"),
        Text("报警，立案核查主机与圈存密钥", "alarm: look into load host and load keys"),
    ),
    LoadStanding.CLAIMED_ONLY: _Words(
        Text("仅申报", "claim only"),
        Text(
            "记录未证明，主机也未授权，不值分文",
            "a record that proves nothing, of a load nobody allowed: worth nothing",
        ),
        Text("查问代理", "ask the agent"),
    ),
    LoadStanding.LOG_AWAITED: _Words(
        Text("待日志", "log awaited"),
        Text("已有记录，日志尚未到该时", "recorded; the load log does not reach so far yet"),
        Text("催主机上传日志", "have the load host send its log"),
    ),
}
assert set(_WORDS) == set(LoadStanding)
