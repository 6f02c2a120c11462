"""What people may do: rights, and the roles that hold them.

Decides which role may ask for what and which may answer it. Leaves the two being two different
people to `settlement.rulings.proposals`. Whoever reads needs no right: whoever may open the folder
reads it.
"""

from collections.abc import Mapping
from enum import StrEnum

from cardcore.text import Text


class Right(StrEnum):
    """What somebody may do, as `scope:action`."""

    ALARMS_APPROVE = "alarms:approve"
    ALARMS_PROPOSE = "alarms:propose"
    CASES_APPROVE = "cases:approve"
    CASES_PROPOSE = "cases:propose"
    CLAIMS_APPROVE = "claims:approve"
    CLAIMS_PROPOSE = "claims:propose"
    DAYS_APPROVE = "days:approve"
    DAYS_PROPOSE = "days:propose"
    FILES_APPROVE = "files:approve"
    FILES_PROPOSE = "files:propose"
    GAPS_APPROVE = "gaps:approve"
    GAPS_PROPOSE = "gaps:propose"
    LOADS_APPROVE = "loads:approve"
    LOADS_PROPOSE = "loads:propose"
    PEOPLE_APPROVE = "people:approve"
    PEOPLE_PROPOSE = "people:propose"
    RECORDS_APPROVE = "records:approve"
    RECORDS_PROPOSE = "records:propose"
    REFUSALS_APPROVE = "refusals:approve"
    REFUSALS_PROPOSE = "refusals:propose"
    REGISTERS_APPROVE = "registers:approve"
    REGISTERS_PROPOSE = "registers:propose"
    REGISTRY_APPROVE = "registry:approve"
    REGISTRY_PROPOSE = "registry:propose"
    SERIALS_APPROVE = "serials:approve"
    SERIALS_PROPOSE = "serials:propose"

    @property
    def text(self) -> Text:
        """For people.

        >>> print(Right.FILES_APPROVE.text)
        answer what is asked about files
        """
        scope, action = self.value.split(":")
        about = _SCOPES[scope]
        if action == "propose":
            return Text(f"提请{about.zh}", f"ask about {about.en}")
        return Text(f"批准{about.zh}", f"answer what is asked about {about.en}")


_SCOPES = {
    "alarms": Text("告警", "alarms"),
    "cases": Text("个案", "cases"),
    "claims": Text("主张", "claims"),
    "days": Text("清算日", "days"),
    "files": Text("文件", "files"),
    "gaps": Text("缺口", "gaps"),
    "loads": Text("充值", "loads"),
    "people": Text("人员", "people"),
    "records": Text("记录", "records"),
    "refusals": Text("拒收", "refusals"),
    "registers": Text("计数器", "registers"),
    "registry": Text("登记簿", "the registry"),
    "serials": Text("流水号", "serials"),
}
assert set(_SCOPES) == {each.value.partition(":")[0] for each in Right}


class Role(StrEnum):
    """What somebody is in the office."""

    OPERATOR = "operator"  # 清算员
    SUPERVISOR = "supervisor"  # 清算主管
    SECURITY_OFFICER = "security-officer"  # 安全员
    AUDITOR = "auditor"  # 审计员
    ADMINISTRATOR = "administrator"  # 系统管理员

    @property
    def text(self) -> Text:
        """For people."""
        return _TEXTS[self]

    @property
    def rights(self) -> frozenset[Right]:
        """What a person of this role may do.

        >>> Right.PEOPLE_PROPOSE in Role.ADMINISTRATOR.rights, len(Role.AUDITOR.rights)
        (True, 0)
        """
        return RIGHTS[self]


_TEXTS = {
    Role.OPERATOR: Text("清算员", "clearing operator"),
    Role.SUPERVISOR: Text("清算主管", "clearing supervisor"),
    Role.SECURITY_OFFICER: Text("安全员", "security officer"),
    Role.AUDITOR: Text("审计员", "auditor"),
    Role.ADMINISTRATOR: Text("系统管理员", "administrator"),
}
assert set(_TEXTS) == set(Role)

_PEOPLE = frozenset({Right.PEOPLE_PROPOSE, Right.PEOPLE_APPROVE})
_ASKED_FOR = frozenset(each for each in Right if each.value.endswith(":propose")) - _PEOPLE
_ANSWERED = frozenset(each for each in Right if each.value.endswith(":approve")) - _PEOPLE

#: Who clears does not say who clears; who says that clears nothing. The auditor changes nothing.
RIGHTS: Mapping[Role, frozenset[Right]] = {
    Role.OPERATOR: _ASKED_FOR,
    Role.SUPERVISOR: _ASKED_FOR | _ANSWERED,
    Role.SECURITY_OFFICER: _PEOPLE | {Right.REGISTRY_APPROVE},
    Role.AUDITOR: frozenset(),
    Role.ADMINISTRATOR: _PEOPLE,
}
assert set(RIGHTS) == set(Role)

#: The first two of a city, in either order: together they can add everybody else, and neither can
#: do so alone.
FOUNDERS = frozenset({Role.ADMINISTRATOR, Role.SECURITY_OFFICER})
