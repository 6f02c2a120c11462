"""The invariants of a city, and what a check of them found, in words.

Decides what is reported and how; `settlement.verification.verify` decides what is checked.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from cardcore.text import Text, shorten
from settlement.day_seals import SignedSeal
from settlement.errors import reason_of


class Invariant(StrEnum):
    """What must hold after every run and for every closed day."""

    I1 = "I1"
    I2 = "I2"
    I3 = "I3"
    I4 = "I4"
    I5 = "I5"
    I6 = "I6"
    I7 = "I7"
    I8 = "I8"
    I9 = "I9"
    I10 = "I10"

    @property
    def text(self) -> Text:
        """What it says."""
        return _TEXTS[self]


_TEXTS = {
    Invariant.I1: Text("每笔分录借贷平衡", "every posting balances"),
    Invariant.I2: Text("全部账户合计为零", "all accounts sum to zero"),
    Invariant.I3: Text(
        "备付金等于卡签余额减此后扣款加缺口",
        "float = balances signed by cards - debits since + gaps",
    ),
    Invariant.I4: Text("每条正常记录恰好入账一次", "every accepted record is posted exactly once"),
    Invariant.I5: Text("分成之和等于金额", "shares sum to the amount"),
    Invariant.I6: Text("净额合计为零", "nets sum to zero"),
    Invariant.I7: Text("已关闭日的清分户为零", "a closed day's clearing account is zero"),
    Invariant.I8: Text("已关闭日的哈希不变", "a closed day's hash never changes"),
    Invariant.I9: Text(
        "收到的记录 = 正常 + 重复 + 可疑 + 主张 + 拒付，笔数与金额皆然",
        "records in = accepted + duplicate + suspended + claims + rejected, in count and money",
    ),
    Invariant.I10: Text("相同文件得逐字节相同的结果", "the same files give the same output bytes"),
}
assert set(_TEXTS) == set(Invariant)


#: What to do, by what is damaged.
SEND_AGAIN = Text(
    "请发送方重传同一文件：`onecard files add`",
    "its sender sends this very file again: `onecard files add`",
)
REBUILD = Text(
    "`onecard rebuild` 由原始文件重建", "`onecard rebuild` makes it again from the raw files"
)
RESTORE = Text(
    "由备份恢复数据目录，然后重复 `onecard verify`",
    "restore the folder from a copy, then repeat `onecard verify`",
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not hold: `where` names the file, row or day, `text` says what broke, and
    `remedy` what to do about it.
    """

    invariant: Invariant
    where: Text
    text: Text
    remedy: Text = RESTORE

    def document(self) -> dict[str, str]:
        """As one JSON object."""
        return {
            "invariant": self.invariant.value,
            "where": self.where.en,
            "text": self.text.en,
            "remedy": self.remedy.en,
        }


#: A row that its own hash contradicts.
ROW_CHANGED = Text(
    "有列被改动：该行与其 row_hash 不符",
    "a column was changed: the row does not hash to row_hash",
)
FROM_NO_FILE = Text("不出自任何文件", "follows from no file")

#: Told what is being checked: name of the step, how many are done, how many there are.
OnProgress = Callable[[str, int, int], None]


@dataclass(slots=True)
class Findings:
    """Collects what a check finds."""

    found: list[Finding] = field(default_factory=list)

    def add(self, invariant: Invariant, where: Text, text: Text, remedy: Text = RESTORE) -> None:
        """Something does not hold."""
        self.found.append(Finding(invariant, where, text, remedy))

    def expect_equal(
        self,
        invariant: Invariant,
        where: Text,
        name: Text,
        stored: object,
        right: object,
        remedy: Text = RESTORE,
    ) -> None:
        """What is stored must be what follows from the raw bytes."""
        if stored != right:
            found, expected = _shown(stored), _shown(right)
            self.add(
                invariant,
                where,
                Text(
                    f"{name.zh} 为 {found.zh}，应为 {expected.zh}",
                    f"{name.en} is {found.en}, must be {expected.en}",
                ),
                remedy,
            )

    def cannot_read(
        self, invariant: Invariant, where: Text, error: Exception, remedy: Text = RESTORE
    ) -> None:
        """Something cannot even be compared."""
        why = reason_of(error)
        text = Text(f"无法读取：{why.zh}", f"cannot be read: {why.en}")
        self.add(invariant, where, text, remedy)


def column(name: str) -> Text:
    """A column or an output by the name it is stored under."""
    return Text(name, name)


def row_of(table: str, key: object) -> Text:
    """A row of a table by what names it."""
    return Text(f"{table} 表 {key} 行", f"{table} row {key}")


def numbered_row(table: str, number: object) -> Text:
    """A row of a table by its number or key."""
    return Text(f"{table} 表第 {number} 行", f"{table}, row {number}")


def file_at(what: Text, path: Path) -> Text:
    """A file of the city's folder."""
    return Text(f"{what.zh} {path}", f"{what.en} {path}")


def _shown(value: object) -> Text:
    """A stored value on one line: a long one by its beginning, none by a word."""
    if value is None:
        return Text("无", "none")
    said = shorten(str(value))
    return Text(said, said)


@dataclass(frozen=True, slots=True)
class SealCheck:
    """How far the days are sealed. Without a register (`is_registered`) the key service signs
    whatever it is asked to, and only witnesses could tell of another history.
    """

    newest: SignedSeal | None = None
    is_registered: bool = False


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of a check: an invariant holds when nothing was found against it."""

    findings: tuple[Finding, ...]
    files: int
    days: int
    seals: SealCheck = SealCheck()
    unproven: tuple[Text, ...] = ()  # what nobody could look at without the key service

    @property
    def invariants(self) -> dict[str, bool]:
        """Name of each invariant and whether it holds."""
        broken = {finding.invariant for finding in self.findings}
        return {invariant.value: invariant not in broken for invariant in Invariant}

    @property
    def is_sound(self) -> bool:
        """Whether everything holds."""
        return not self.findings
