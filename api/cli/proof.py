"""`onecard verify`: every invariant again, from the raw bytes.

Decides how the result is said: what was proven, how strong that is, and what to do about whatever
does not hold. What is checked, and what was found, is settlement's.
"""

import typer

from api.cli.frame.session import WorkersOption, open_to_verify
from api.composition import open_engine
from api.exits import EXIT_REFUSED
from api.output import (
    DEFAULT_DATA,
    CsvOption,
    DataOption,
    JsonOption,
    UnmaskOption,
    complain,
    masked_purses,
    print_json,
    print_table,
    say,
    status_line,
)
from api.settings import KeyServiceKind, read_settings
from api.tables import Column, Table
from cardcore.text import Text, words
from settlement.verification.findings import Invariant, Verification
from settlement.verification.verify import verify as verify_city

_STEPS = {"files": Text("文件", "files"), "days": Text("清算日", "days")}
#: What to do, by what is damaged.
_SEND_AGAIN = Text(
    "原始文件损坏者，请发送方重传同一文件：`onecard files add`",
    "where a raw file is damaged its sender sends this very file again: `onecard files add`",
)
_RESTORE = Text(
    "其余由备份恢复数据目录，然后重复 `onecard verify`",
    "restore the rest of the folder from a copy, then repeat `onecard verify`",
)


def verify(
    data: DataOption = DEFAULT_DATA,
    workers: WorkersOption = 2,
    csv: CsvOption = None,
    unmask: UnmaskOption = False,
    as_json: JsonOption = False,
) -> None:
    """Exit 1 names what broke. The CSV file has the invariants."""
    with open_to_verify(data) as opened, status_line() as tell:
        result = verify_city(
            opened.city,
            opened.keys.service,
            open_engine(workers),
            lambda step, done, total: tell(f"{_STEPS.get(step, step)} {done}/{total}"),
        )
    hide = str if unmask else masked_purses
    if as_json:
        print_json(
            {
                "invariants": result.invariants,
                "files": result.files,
                "days": result.days,
                "findings": [
                    {name: hide(said) for name, said in each.document().items()}
                    for each in result.findings
                ],
            }
        )
    else:
        print_table(_invariants(result), csv)
        for finding in result.findings:
            where, text, code = finding.where, finding.text, finding.invariant.value
            complain(hide(words(f"{code}  {where}：{text}", f"{code}  {where}: {text}")))
        if result.is_sound:
            say(f"✓ {_proven(result)}")
        else:
            complain(f"✗ {_broken(result)}")
    if not result.is_sound:
        raise typer.Exit(EXIT_REFUSED)


def _invariants(result: Verification) -> Table:
    table = Table(
        Text("不变式", "Invariants"),
        [
            Column(Text("编号", "no")),
            Column(Text("不变式", "invariant"), words=True),
            Column(Text("结果", "result")),
        ],
    )
    for each in Invariant:
        good = result.invariants[each.value]
        stands = Text("✓ 成立", "✓ holds") if good else Text("✗ 不成立", "✗ BROKEN")
        table.add(each.value, each.text, stands, style="" if good else "red")
    return table


def _proven(result: Verification) -> str:
    """One line: what was proven, and how strongly."""
    files, days = f"{result.files:,}", f"{result.days:,}"
    said = words(
        f"已证明：由原始字节重验 {files} 个文件（签名、合计、每个交易认证码），重算 {days} 个已关闭"
        "日并与账目、封存逐字节相同",
        f"Proven from the raw bytes: each signature, total and TAC again (files: {files}), each "
        f"closed day computed again, byte for byte as posted and sealed (days: {days})",
    )
    if read_settings().key_service.kind is KeyServiceKind.IN_PROCESS:
        return said + words(
            "。强度：密钥为公开测试密钥，任何人都能签出；只证明未被改动，不证明出自卡片",
            ". How strongly: under public test keys, which anybody can sign with; it shows that "
            "nothing was changed, and not that cards signed it",
        )
    return said + words(
        "。强度：如同密钥服务所持密钥未泄露一样可信",
        ". How strongly: as surely as the keys in the key service are secret",
    )


def _broken(result: Verification) -> str:
    broken = sum(not good for good in result.invariants.values())
    found = len(result.findings)
    return words(
        f"未证明：{broken} 个不变式不成立，共 {found:,} 处；未作任何更改。"
        f"{_SEND_AGAIN}；{_RESTORE}",
        f"Not proven: broken invariants {broken}, findings {found:,}; nothing was changed. "
        f"To do: {_SEND_AGAIN}; {_RESTORE}",
    )
