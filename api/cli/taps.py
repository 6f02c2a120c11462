"""`onecard replay` and `onecard demo`: whole days from the first tap to the sealed books."""

import gc
import hashlib
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from api.cli.float_proof import print_float_proof
from api.cli.session import WorkersOption, open_or_create
from api.composition import open_engine
from api.output import (
    DEFAULT_DATA,
    EXIT_USAGE,
    JsonOption,
    amount_table,
    console,
    fen,
    print_json,
    progress_bar,
    refuse,
)
from api.simulation.chips import noted
from api.simulation.demonstration import plan_demonstration
from api.simulation.drive import CARDS, TAPS, DriveError, Driven, drive
from api.simulation.mishaps import Became, what_became
from api.simulation.plan import Plan
from api.simulation.published import plan_published
from api.simulation.taps import TapsFileError, read_taps_file
from api.simulation.virtual_city import PlanDiffersError, WorldBusyError, chips_path
from cardcore.schemes.catalogue import SCHEMES
from settlement.city import BUCKET_COUNT_DEFAULT
from settlement.dispositions import Note, Reason
from settlement.errors import SettlementError
from settlement.reports.float_proof import FloatReport, read_float_proof
from settlement.reports.statement import Statement, read_statement
from terminals.roles import ROLES
from terminals.taps import TapOutcome

#: The first business day of the demonstration city; fixed, so that the same seed is the same city.
DEMO_FIRST_DAY = date(2026, 9, 1)
#: Taps of which a process more is worth its start: fewer are computed before it has begun.
TAPS_A_PROCESS = 20_000
#: A replay of fewer taps makes a city of one bucket: each bucket more asks all questions once more.
TAPS_IN_BUCKETS = TAPS_A_PROCESS


@dataclass(frozen=True, slots=True)
class _Story:
    """What a drive has come to: its days, the taps that went wrong, and the proof of the float."""

    driven: Driven
    statement: Statement
    became: tuple[Became, ...]
    proof: FloatReport | None


OptionalData = Annotated[
    Path | None,
    typer.Option("--data", help="Folder of one city (default ./onecard-data). 数据目录。"),
]


def replay(
    taps: Annotated[Path, typer.Argument(help="A published tap file (CSV).")],
    scheme: Annotated[str, typer.Option(help="Whose rules: " + ", ".join(SCHEMES))] = "shenzhen",
    data: OptionalData = None,
    workers: WorkersOption = 2,
    as_json: JsonOption = False,
) -> None:
    """Drive published taps through real card and PSAM commands, then settle. 真实刷卡数据回放。"""
    if scheme not in SCHEMES:
        refuse(f"no scheme {scheme!r}; there are {', '.join(SCHEMES)}", EXIT_USAGE)
    if not taps.is_file():
        refuse(f"{taps}: no such file, or not a plain one", EXIT_USAGE)
    try:
        file = read_taps_file(taps, SCHEMES[scheme])
        plan = plan_published(file, SCHEMES[scheme])
    except TapsFileError as error:
        refuse(f"{taps}: {error}. Nothing was done.", EXIT_USAGE)
    folder = data or _free_folder(plan)
    buckets = BUCKET_COUNT_DEFAULT if len(plan.taps) >= TAPS_IN_BUCKETS else 1
    story = _drive(folder, plan, workers, buckets)
    if as_json:
        print_json({"rows": file.rows, **_document(story, folder)})
    else:
        _show(plan, story)
        _suggest(story.driven.record, folder)


def demo(
    seed: Annotated[int, typer.Option(help="The same seed makes the same city.")] = 1,
    cards: Annotated[int, typer.Option(min=1, max=100_000, help="Citizens. 卡数。")] = 300,
    days: Annotated[int, typer.Option(min=1, max=366, help="Business days. 营运日数。")] = 2,
    data: OptionalData = None,
    workers: WorkersOption = 2,
    headless: Annotated[
        bool, typer.Option("--headless", help="Print the result and nothing more. 只打印结果。")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a small city, drive every kind of terminal, close the days. 演示城市。"""
    plan = plan_demonstration(seed, cards, days, DEMO_FIRST_DAY)
    folder = data or _free_folder(plan)
    story = _drive(folder, plan, workers, BUCKET_COUNT_DEFAULT)
    if as_json:
        print_json(_document(story, folder))
    else:
        _show(plan, story)
        if not headless:
            _suggest(story.driven.record, folder)


def _free_folder(plan: Plan) -> Path:
    """The default folder, or one inside it when the default holds another city already."""
    if not (DEFAULT_DATA / "city.json").exists() or _holds(DEFAULT_DATA, plan):
        return DEFAULT_DATA
    name = hashlib.sha256(plan.fingerprint.encode()).hexdigest()[:8]
    return DEFAULT_DATA / f"{plan.scheme.name}-{name}"


def _holds(folder: Path, plan: Plan) -> bool:
    return noted(chips_path(folder), "plan") == plan.fingerprint


def _drive(folder: Path, plan: Plan, workers: int, bucket_count: int) -> _Story:
    try:
        with (
            _standing_memory(),
            open_or_create(folder, plan.scheme, bucket_count) as opened,
            progress_bar("cards, taps 制卡刷卡", len(plan.cards) + len(plan.taps)) as advance,
        ):
            driven = drive(
                opened.city,
                opened.keys,
                plan,
                open_engine(min(workers, 1 + len(plan.taps) // TAPS_A_PROCESS)),
                lambda stage, steps: advance(steps) if stage in {CARDS, TAPS} else None,
            )
            return _Story(
                driven,
                read_statement(opened.city, plan.settlement_days),
                what_became(opened.city, driven.mishaps),
                read_float_proof(opened.city),
            )
    except (PlanDiffersError, WorldBusyError, DriveError, SettlementError) as error:
        refuse(str(error))


@contextmanager
def _standing_memory() -> Iterator[None]:
    """What is in memory now stays there: a long drive is not searched through it for garbage, over
    and over.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _document(story: _Story, folder: Path) -> dict[str, Any]:
    statement = story.statement
    return {
        **statement.totals,
        "classes": statement.classes,
        "operators": {name: asdict(line) for name, line in statement.operators.items()},
        "loads": statement.loads,
        "suspense": statement.suspense,
        "holder_due_fen": statement.holder_due_fen,
        "centres": statement.centres,
        "days": {str(day): output_hash for day, output_hash in statement.days.items()},
        "mishaps": {each.mishap.name.lower(): _became(each) for each in story.became},
        "data": str(folder),
    }


def _became(each: Became) -> dict[str, Any]:
    decision = each.decision
    return {
        "record": each.record_id,
        "amount_fen": each.amount_fen,
        "disposition": decision.disposition.name,
        "reason": decision.reason.name,
        "notes": [note.name for note in Note if note in decision.notes],
    }


def _show(plan: Plan, story: _Story) -> None:
    """What a person understands at a glance."""
    driven, statement = story.driven, story.statement
    totals = statement.totals
    taps = amount_table("Taps 刷卡", "role 终端", "approved 成功", "recovered 补全")
    for role in ROLES.values():
        done = {outcome: driven.taps[role.name, outcome] for outcome in TapOutcome if outcome.done}
        if any(done.values()):
            approved, recovered = done[TapOutcome.APPROVED], done[TapOutcome.RECOVERED]
            name = f"{role.title.en} {role.title.zh}"
            taps.add_row(name, f"{approved:,}", f"{recovered:,}")
    records = amount_table("Records 交易记录", "disposition 处理结果", "count 笔数")
    for name, chinese in (
        ("accepted", "正常"), ("duplicates", "重复"), ("suspended", "可疑"), ("claims", "主张"),
        ("rejected", "拒付"),
    ):  # fmt: skip
        records.add_row(f"{name} {chinese}", f"{totals[name]:,}")
    records.add_row("in all 合计", f"{totals['records']:,}", style="bold")
    for name, count in totals["notes"].items():
        records.add_row(f"note: {name.replace('_', ' ')}", f"{count:,}", style="dim")
    if totals["loads_by_log"]:
        records.add_row("loads by the log alone 按日志计费", f"{totals['loads_by_log']:,}")
    if totals["claims"]:
        records.add_row("claimed, not posted 主张金额", fen(totals["claims_fen"]))
    said = amount_table("The float, as records tell it 备付金（按记录）", "", "")
    said.add_row("float 备付金余额", fen(totals["float_fen"]))
    said.add_row("= card balances 卡内余额", fen(totals["card_balance_fen"]))
    said.add_row("+ open gaps 未补断号", fen(totals["open_gap_fen"]))
    said.add_row("sum of nets 轧差合计", fen(totals["net_sum_fen"]))
    console.print(
        f"[bold]{len(plan.cards):,} cards 张卡, {len(plan.terminals):,} terminals 台终端, "
        f"{len(statement.days)} days closed 个清算日[/bold]"
    )
    for table in (taps, records, _positions(statement), said):
        console.print(table)
    if story.proof is not None:
        print_float_proof(story.proof)
    if story.became:
        console.print(_mishaps(story.became))


def _positions(statement: Statement) -> Table:
    """Who is owed what; with the float all of it sums to zero."""
    positions = amount_table(
        "Positions 清分头寸", "participant 参与方", "taps 笔数", "tariff 票价", "charged 实收",
        "owed to it 应付",
    )  # fmt: skip
    for name, line in statement.operators.items():
        positions.add_row(
            name, f"{line.taps:,}", fen(line.tariff_fen), fen(line.charged_fen),
            fen(line.charged_fen),
        )  # fmt: skip
    for name, amount in statement.loads.items():
        positions.add_row(f"{name} (loads 充值)", "", "", fen(amount), fen(-amount))
    for name, amount in statement.suspense.items():
        positions.add_row(f"{name} (held 挂账)", "", "", "", fen(amount))
    for name, amount in statement.centres.items():
        positions.add_row(f"{name} (cards of its own 其发卡)", "", "", "", fen(-amount))
    if statement.holder_due_fen:
        due = fen(statement.holder_due_fen)
        positions.add_row("holders, above the tariff 应退持卡人", "", "", "", due)
    positions.add_row("all cards: the float 备付金", "", "", "", fen(statement.totals["float_fen"]))
    return positions


def _mishaps(became: Sequence[Became]) -> Table:
    """What became of each tap that went wrong, why, and what would change that."""
    table = amount_table(
        "What became of them 异常交易的去向", "tap 交易", "amount 金额",
        "became, why, and what would change that 结果、原因与可改变者",
    )  # fmt: skip
    table.columns[0].no_wrap = True
    table.columns[2].justify, table.columns[2].overflow = "left", "fold"
    for each in became:
        decision, reason = each.decision, each.decision.reason
        why = [decision.disposition.text]
        if reason is not Reason.NONE:
            why.append(reason.text)
        why += [note.text for note in Note if note in decision.notes]
        said = "; ".join(f"{text.en} {text.zh}" for text in why)
        if reason is not Reason.NONE:
            said = f"{said}\n→ {reason.remedy.en} {reason.remedy.zh}"
        name = each.mishap.value
        table.add_row(
            f"{name.en} {name.zh}\n{each.record_id}", fen(each.amount_fen), said, end_section=True
        )
    return table


def _suggest(record: str, folder: Path) -> None:
    """A few commands to go on with."""
    option = "" if folder == DEFAULT_DATA else f" --data {folder}"
    program = "onecard" if shutil.which("onecard") else sys.argv[0]
    console.print("Try next 接下来可以试:", style="bold")
    for command, meaning in (
        ("verify", "recompute every invariant from the raw bytes 从原始字节重新验证"),
        ("float", "how strong the float is, purse by purse 备付金证明"),
        (f"explain {record}", "one tap, card to ledger 一笔交易的来龙去脉"),
        ("files list", "the signed batch files 批次文件一览"),
    ):
        console.print(f"  {program} {command}{option}", style="cyan", highlight=False)
        console.print(f"      {meaning}", style="dim", highlight=False)
