"""`onecard verify`: every invariant again, from the raw bytes.

Decides how the result is said: what was proven, how strong that is, and what to do about whatever
does not hold. What is checked, and what was found, is settlement's.
"""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from api.cli.days import seal_document, tell_seal
from api.cli.frame.session import WorkersOption, open_to_verify, open_without_keys
from api.composition import OpenCity, open_engine
from api.exits import EXIT_REFUSED, EXIT_USAGE
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
    refuse,
    say,
    status_line,
)
from api.settings import KeyServiceKind, read_settings
from api.tables import Column, Table
from cardcore.errors import placed_system_words
from cardcore.text import Text, shorten, text_of, words
from settlement.day_seals import SealTextError, find_seals, read_written
from settlement.verification.findings import Invariant, Verification
from settlement.verification.seals import ShownSeal, is_of_city
from settlement.verification.verify import verify as verify_city

WitnessOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--witness",
        metavar=words("路径", "PATH"),
        help=words(
            "参与方保存的回执或报表（JSON），可多次。",
            "An acknowledgement or statement somebody kept (JSON); may be given again.",
        ),
    ),
]
ExpectOption = Annotated[
    list[str] | None,
    typer.Option(
        "--expect-seal",
        help=words("抄下的封存，可多次。", "A seal as it was written down; may be given again."),
    ),
]
_WITNESS_BYTES_MAX = 64 << 20
_STEPS = {"files": Text("文件", "files"), "days": Text("清算日", "days")}
WithoutKeysOption = Annotated[
    bool,
    typer.Option(
        "--without-keys",
        help=words(
            "不问密钥服务：交易认证码不再重验，其余照验。",
            "Do not ask the key service: TACs are not proven again, everything else is.",
        ),
    ),
]


def verify(
    data: DataOption = DEFAULT_DATA,
    witness: WitnessOption = None,
    expect_seal: ExpectOption = None,
    without_keys: WithoutKeysOption = False,
    workers: WorkersOption = 2,
    csv: CsvOption = None,
    unmask: UnmaskOption = False,
    as_json: JsonOption = False,
) -> None:
    """Exit 1 names what broke. The CSV file has the invariants."""
    written = [_written(each) for each in expect_seal or ()]
    if without_keys and witness:
        refuse(
            words(
                "--witness：见证由密钥服务的公钥核对；请去掉 --without-keys，或用 --expect-seal",
                "--witness: a witness is proven with the key service's public key; leave out "
                "--without-keys, or use --expect-seal",
            ),
            EXIT_USAGE,
        )
    with ExitStack() as stack:
        shown: list[ShownSeal] = []
        if without_keys:
            city, key_service = stack.enter_context(open_without_keys(data)), None
        else:
            opened = stack.enter_context(open_to_verify(data))
            city, key_service = opened.city, opened.keys.service
            shown = [seal for path in witness or () for seal in _witnessed(opened, path)]
        tell = stack.enter_context(status_line())
        result = verify_city(
            city,
            key_service,
            open_engine(workers),
            lambda step, done, total: tell(f"{_STEPS.get(step, step)} {done}/{total}"),
            [*written, *shown],
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
                "unproven": [each.en for each in result.unproven],
                "seals_shown": len(written) + len(shown),
                "seals_registered": result.seals.is_registered,
            }
            | seal_document(result.seals.newest)
        )
    else:
        print_table(_invariants(result), csv)
        for finding in result.findings:
            where, text, code = finding.where, finding.text, finding.invariant.value
            complain(hide(words(f"{code}  {where}：{text}", f"{code}  {where}: {text}")))
            complain(f"    → {finding.remedy}")
        if result.seals.newest is not None:
            tell_seal(result.seals.newest)
            say(sealed_sentence(result, len(written) + len(shown)), style="dim")
        if result.is_sound:
            say(f"✓ {_proven(result)}")
        else:
            complain(f"✗ {_broken(result)}")
    if not result.is_sound:
        raise typer.Exit(EXIT_REFUSED)


def _written(text: str) -> ShownSeal:
    try:
        number, written = read_written(text)
    except SealTextError as error:
        said = text_of(error)
        refuse(words(f"--expect-seal：{said.zh}", f"--expect-seal: {said.en}"), EXIT_USAGE)
    where = Text(f"抄下的封存 {written}", f"the seal written down as {written}")
    return ShownSeal(where, number, written)


def _witnessed(opened: OpenCity, path: Path) -> list[ShownSeal]:
    """The seals in a document that somebody kept. What the city's key did not sign proves nothing
    of the city, so it is refused and no finding.
    """
    try:
        with path.open("rb") as file:
            document = json.loads(file.read(_WITNESS_BYTES_MAX))
    except OSError as error:
        said = placed_system_words(error)
        refuse(
            words(
                f"--witness：{said.zh}；`ls` 看看文件名",
                f"--witness: {said.en}; look at its name with `ls`",
            ),
            EXIT_USAGE,
        )
    except (ValueError, RecursionError):
        refuse(
            words(
                f"--witness：{path} 不是 JSON；回执以 `onecard files add --json` 保存",
                f"--witness: {path} is no JSON; an acknowledgement is kept with "
                "`onecard files add --json`",
            ),
            EXIT_USAGE,
        )
    found = dict.fromkeys(find_seals(document))
    if not found:
        refuse(
            words(
                f"--witness：{path} 中没有封存；关闭过一日之后，`onecard files add --json` 与 "
                "`onecard close --json` 的输出中才有",
                f"--witness: no seal is in {path}; what `onecard files add --json` and "
                "`onecard close --json` say has one once a day is closed",
            ),
            EXIT_USAGE,
        )
    for seal in found:
        if not is_of_city(opened.city, opened.keys.service, seal):
            name = shorten(seal.label, 40)
            refuse(
                words(
                    f"--witness：{path} 中第 {seal.number} 日（{name}）的封存不是本城密钥所签，什么"
                    "也证明不了；请向保存者要原件，或检查 ONECARD_KEY_SERVICE",
                    f"--witness: the seal of day number {seal.number} ({name}) in {path} was not "
                    "signed with this city's key and proves nothing; ask whoever kept it for the "
                    "original, or look at ONECARD_KEY_SERVICE",
                ),
                EXIT_USAGE,
            )
    where = Text(f"见证 {path.name}", f"witness {path.name}")
    return [ShownSeal(where, seal.number, seal.written, seal) for seal in found]


def sealed_sentence(result: Verification, shown: int) -> str:
    """What keeps the last days from being cut off unseen."""
    said = Text(
        "封存：密钥服务为每个日序号只签一次",
        "Seals: the key service signs each day number once",
    )
    if not result.seals.is_registered:
        said = Text(
            "封存：密钥服务没有登记册（令牌为任何内容签名，同一日序号也会签两次）；末日是否被换掉，"
            "只有见证能说明：`onecard verify --witness`",
            "Seals: the key service keeps no register (a bare token signs anything, and a day "
            "number twice); whether the last days were replaced only witnesses can tell, with "
            "`onecard verify --witness`",
        )
    elif read_settings().key_service.kind is KeyServiceKind.IN_PROCESS:
        said = Text(
            "封存：登记册在城市目录内，整个目录被换回时看不出来",
            "Seals: the register lies in the city's own folder, so a whole folder that was put "
            "back does not show",
        )
    told = Text("；无人出示封存", "; nobody showed a seal")
    if shown:
        told = Text(f"；与出示的 {shown} 份封存核对", f"; held against seals shown: {shown}")
    return words(f"{said.zh}{told.zh}", f"{said.en}{told.en}")


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
    if result.unproven:
        left = words("；", "; ").join(str(each) for each in result.unproven)
        return words(
            f"已证明：由原始字节重验 {files} 个文件（签名、合计），重算 {days} 个已关闭日并与账目、"
            f"封存逐字节相同。未证明：{left}；`onecard verify` 连同密钥服务证明",
            f"Proven from the raw bytes: each signature and total again (files: {files}), each "
            f"closed day computed again, byte for byte as posted and sealed (days: {days}). Not "
            f"proven: {left}; `onecard verify` with the key service does that",
        )
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
        f"未证明：{broken} 个不变式不成立，共 {found:,} 处；未作任何更改。请照各处所示办理，"
        "先做 `onecard rebuild`，然后重复 `onecard verify`",
        f"Not proven: broken invariants {broken}, findings {found:,}; nothing was changed. "
        "Do what stands below each, `onecard rebuild` first, then repeat `onecard verify`",
    )
