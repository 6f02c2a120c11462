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

from api.cli.days import seal_document
from api.cli.float_proof import hide_cards, print_float_proof
from api.cli.frame.session import WorkersOption, open_or_create
from api.cli.statements import dispositions, figures, positions
from api.composition import open_engine
from api.exits import EXIT_USAGE
from api.output import (
    DEFAULT_DATA,
    JsonOption,
    print_json,
    print_table,
    progress_bar,
    refuse,
    refuse_choice,
    say,
)
from api.simulation.chips import noted
from api.simulation.demonstration import plan_demonstration
from api.simulation.drive import CARDS, TAPS, DriveError, Driven, drive
from api.simulation.mishaps import Became, what_became
from api.simulation.plan import Plan
from api.simulation.published import plan_published
from api.simulation.taps import TapsFileError, read_taps_file
from api.simulation.virtual_city import PlanDiffersError, WorldBusyError, chips_path
from api.tables import Column, Count, Fen, Table, amounts
from cardcore.schemes.catalogue import SCHEMES
from cardcore.text import Text, words
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
    typer.Option(
        "--data",
        help=words(
            "一座城市的数据目录，默认为 ./onecard-data。",
            "Folder of one city; by default ./onecard-data.",
        ),
    ),
]


def replay(
    taps: Annotated[
        Path,
        typer.Argument(help=words("已公布的刷卡数据文件（CSV）。", "A published tap file (CSV).")),
    ],
    scheme: Annotated[
        str,
        typer.Option(
            help=words(f"何地的规则：{'、'.join(SCHEMES)}。", f"Whose rules: {', '.join(SCHEMES)}.")
        ),
    ] = "shenzhen",
    data: OptionalData = None,
    workers: WorkersOption = 2,
    as_json: JsonOption = False,
) -> None:
    """Nothing is driven before every row of the file has been read."""
    if scheme not in SCHEMES:
        refuse_choice("--scheme", Text("规则", "scheme"), scheme, SCHEMES)
    if not taps.is_file():
        refuse(
            words(
                f"{taps}：没有这个文件，或不是普通文件。`ls` 看看文件名",
                f"{taps}: no such file, or not a plain one; look at its name with `ls`",
            ),
            EXIT_USAGE,
        )
    try:
        file = read_taps_file(taps, SCHEMES[scheme])
        plan = plan_published(file, SCHEMES[scheme])
    except TapsFileError as error:
        refuse(
            words(
                f"{taps}：{error}。未作任何更改；文件须有什么，见 docs/replay-file.md",
                f"{taps}: {error}. Nothing was done; docs/replay-file.md says what the file must "
                "have",
            ),
            EXIT_USAGE,
        )
    folder = data or _free_folder(plan)
    buckets = BUCKET_COUNT_DEFAULT if len(plan.taps) >= TAPS_IN_BUCKETS else 1
    story = _drive(folder, plan, workers, buckets)
    if as_json:
        print_json({"rows": file.rows, **_document(story, folder)})
    else:
        _show(plan, story)
        _suggest(story.driven.record, folder)


def demo(
    seed: Annotated[
        int,
        typer.Option(
            help=words("相同的种子造出相同的城市。", "The same seed makes the same city.")
        ),
    ] = 1,
    cards: Annotated[
        int,
        typer.Option(
            min=1, max=100_000, help=words("市民数，每人一卡。", "Citizens, a card each.")
        ),
    ] = 300,
    days: Annotated[
        int, typer.Option(min=1, max=366, help=words("营运日数。", "Business days."))
    ] = 2,
    data: OptionalData = None,
    workers: WorkersOption = 2,
    headless: Annotated[
        bool,
        typer.Option(
            "--headless", help=words("只打印结果。", "Print the result and nothing more.")
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """The same again drives nothing twice, and ends with the same figures."""
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
            progress_bar(
                words("制卡、刷卡", "cards, taps"), len(plan.cards) + len(plan.taps)
            ) as advance,
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
        refuse(
            words(
                f"{error}。已完成的部分都在；排除原因后再次执行同一命令即可继续",
                f"{error}. What was done stands; mend that, and the same command goes on from "
                "there",
            )
        )


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
        **seal_document(statement.newest_seal),
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
    taps = amounts(
        Text("刷卡", "Taps"),
        Text("终端", "terminal"),
        Text("成功", "approved"),
        Text("补全", "recovered"),
    )
    for role in ROLES.values():
        done = {outcome: driven.taps[role.name, outcome] for outcome in TapOutcome if outcome.done}
        if any(done.values()):
            approved, recovered = done[TapOutcome.APPROVED], done[TapOutcome.RECOVERED]
            taps.add(role.title, Count(approved), Count(recovered))
    cards, terminals, days = len(plan.cards), len(plan.terminals), len(statement.days)
    say(
        words(
            f"{cards:,} 张卡、{terminals:,} 台终端，{days} 个清算日已关闭",
            f"{cards:,} cards, {terminals:,} terminals; days closed: {days}",
        ),
        style="bold",
    )
    for table in (taps, dispositions(totals), positions(statement), figures(totals)):
        print_table(table)
    if story.proof is not None:
        print_float_proof(hide_cards(story.proof))
    if story.became:
        print_table(_mishaps(story.became))


def _mishaps(became: Sequence[Became]) -> Table:
    """What became of each tap that went wrong, why, and what would change that."""
    table = Table(
        Text("异常交易的去向", "What became of them"),
        [
            Column(Text("交易", "tap")),
            Column(Text("记录号", "record")),
            Column(Text("金额", "amount"), right=True),
            Column(Text("结果与原因", "became, and why"), words=True),
            Column(Text("可改变者", "what would change that"), words=True),
        ],
    )
    for each in became:
        decision, reason = each.decision, each.decision.reason
        why = [decision.disposition.text]
        if reason is not Reason.NONE:
            why.append(reason.text)
        why += [note.text for note in Note if note in decision.notes]
        said = Text("；".join(one.zh for one in why), "; ".join(one.en for one in why))
        remedy = None if reason is Reason.NONE else reason.remedy
        table.add(each.mishap.value, each.record_id, Fen(each.amount_fen), said, remedy)
    return table


def _suggest(record: str, folder: Path) -> None:
    """A few commands to go on with."""
    option = "" if folder == DEFAULT_DATA else f" --data {folder}"
    program = "onecard" if shutil.which("onecard") else sys.argv[0]
    say("")
    say(words("接下来可以试：", "Try next:"), style="bold")
    for line, meaning in (
        ("verify", Text("从原始字节重新验证", "recompute every invariant from the raw bytes")),
        ("float", Text("备付金证明", "how strong the float is, purse by purse")),
        (f"explain {record}", Text("一笔交易的来龙去脉", "one tap, card to ledger")),
        ("files list", Text("签名的批次文件一览", "the signed batch files")),
    ):
        say(f"  {program} {line}{option}", style="cyan")
        say(f"      {meaning}", style="dim")
