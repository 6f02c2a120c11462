"""What can be ruled on: one table of kinds.

Decides what each is called, what it is about, and which right asks for it and which answers. Leaves
what a ruling does to whoever reads it: a clearing run, an intake, the registry.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from cardcore.text import Text
from settlement.people.roles import Right


class RulingKind(StrEnum):
    """What is ruled, as `noun.verb`."""

    RECORDS_RELEASE = "records.release"
    RECORDS_RETURN = "records.return"
    CLAIMS_WRITE_OFF = "claims.write-off"
    GAPS_WRITE_OFF = "gaps.write-off"
    LOADS_RELEASE = "loads.release"
    SERIALS_SKIP = "serials.skip"
    FILES_SKIP = "files.skip"
    FILES_SET_ASIDE = "files.set-aside"
    FILES_TAKE_BACK = "files.take-back"
    ALARMS_ACKNOWLEDGE = "alarms.acknowledge"
    REFUSALS_ACKNOWLEDGE = "refusals.acknowledge"
    REGISTERS_ACKNOWLEDGE = "registers.acknowledge"
    CASES_SETTLE = "cases.settle"
    REGISTRY_CHANGE = "registry.change"
    DAYS_CLOSE = "days.close"
    PEOPLE_ADD = "people.add"
    PEOPLE_END = "people.end"
    PEOPLE_UNLOCK = "people.unlock"

    @property
    def text(self) -> Text:
        """For people."""
        return KINDS[self].title

    @property
    def rule(self) -> "KindRule":
        """All that the table says of it."""
        return KINDS[self]


@dataclass(frozen=True, slots=True)
class KindRule:
    """What is known of a kind: what it is called, the noun of its subjects, who may ask and who may
    answer, and whether money moves by it.
    """

    title: Text
    noun: str
    propose: Right
    approve: Right
    moves_money: bool = False


KINDS: Mapping[RulingKind, KindRule] = {
    RulingKind.RECORDS_RELEASE: KindRule(
        Text("放行可疑记录", "release suspended records"), "record",
        Right.RECORDS_PROPOSE, Right.RECORDS_APPROVE, moves_money=True,
    ),
    RulingKind.RECORDS_RETURN: KindRule(
        Text("可疑记录退还持卡人", "return suspended records to their holders"), "record",
        Right.RECORDS_PROPOSE, Right.RECORDS_APPROVE, moves_money=True,
    ),
    RulingKind.CLAIMS_WRITE_OFF: KindRule(
        Text("核销主张", "write off claims"), "record",
        Right.CLAIMS_PROPOSE, Right.CLAIMS_APPROVE,
    ),
    RulingKind.GAPS_WRITE_OFF: KindRule(
        Text("核销缺口", "write off gaps"), "gap",
        Right.GAPS_PROPOSE, Right.GAPS_APPROVE,
    ),
    RulingKind.LOADS_RELEASE: KindRule(
        Text("解除未证实的充值", "release loads that nothing confirmed"), "load",
        Right.LOADS_PROPOSE, Right.LOADS_APPROVE,
    ),
    RulingKind.SERIALS_SKIP: KindRule(
        Text("跳过遗失的终端流水号", "skip lost serials of a terminal"), "serials",
        Right.SERIALS_PROPOSE, Right.SERIALS_APPROVE,
    ),
    RulingKind.FILES_SKIP: KindRule(
        Text("跳过发送方遗失的文件", "skip lost files of a sender"), "sequence",
        Right.FILES_PROPOSE, Right.FILES_APPROVE,
    ),
    RulingKind.FILES_SET_ASIDE: KindRule(
        Text("搁置文件", "set files aside"), "file",
        Right.FILES_PROPOSE, Right.FILES_APPROVE,
    ),
    RulingKind.FILES_TAKE_BACK: KindRule(
        Text("取回被搁置的文件", "take back files that were set aside"), "file",
        Right.FILES_PROPOSE, Right.FILES_APPROVE,
    ),
    RulingKind.ALARMS_ACKNOWLEDGE: KindRule(
        Text("确认告警", "acknowledge alarms"), "record",
        Right.ALARMS_PROPOSE, Right.ALARMS_APPROVE,
    ),
    RulingKind.REFUSALS_ACKNOWLEDGE: KindRule(
        Text("确认拒收", "acknowledge refusals"), "refusal",
        Right.REFUSALS_PROPOSE, Right.REFUSALS_APPROVE,
    ),
    RulingKind.REGISTERS_ACKNOWLEDGE: KindRule(
        Text("确认计数器差异", "acknowledge register differences"), "register",
        Right.REGISTERS_PROPOSE, Right.REGISTERS_APPROVE,
    ),
    RulingKind.CASES_SETTLE: KindRule(
        Text("了结个案", "settle cases"), "case",
        Right.CASES_PROPOSE, Right.CASES_APPROVE, moves_money=True,
    ),
    RulingKind.REGISTRY_CHANGE: KindRule(
        Text("变更登记簿", "change the registry"), "registry",
        Right.REGISTRY_PROPOSE, Right.REGISTRY_APPROVE,
    ),
    RulingKind.DAYS_CLOSE: KindRule(
        Text("关闭超出范围的日", "close a day that is out of bounds"), "day",
        Right.DAYS_PROPOSE, Right.DAYS_APPROVE,
    ),
    RulingKind.PEOPLE_ADD: KindRule(
        Text("增加人员", "add a person"), "person",
        Right.PEOPLE_PROPOSE, Right.PEOPLE_APPROVE,
    ),
    RulingKind.PEOPLE_END: KindRule(
        Text("终止人员", "end a person"), "person",
        Right.PEOPLE_PROPOSE, Right.PEOPLE_APPROVE,
    ),
    RulingKind.PEOPLE_UNLOCK: KindRule(
        Text("解锁人员", "unlock a person"), "person",
        Right.PEOPLE_PROPOSE, Right.PEOPLE_APPROVE,
    ),
}  # fmt: skip
assert set(KINDS) == set(RulingKind)
