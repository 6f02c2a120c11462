"""The commands of `onecard`, and what stands before all of them.

Decides what there is. Loaded once the language is chosen: what follows is said in it.
"""

from typing import Annotated

import typer

from api.cli.frame.loading import Entry, lazy_group
from cardcore.text import Text, words

_COMMANDS = {
    "demo": Entry(
        "api.cli.taps",
        "demo",
        Text(
            "造一座小城市，驱动各类终端，关闭清算日。",
            "Make a small city, drive every kind of terminal, close the days.",
        ),
    ),
    "replay": Entry(
        "api.cli.taps",
        "replay",
        Text(
            "用真实刷卡数据驱动卡片与 PSAM 指令，再清算。",
            "Drive published taps through real card and PSAM commands, then settle.",
        ),
    ),
    "files": Entry(
        "api.cli.files",
        "app",
        Text("批次文件：接收、列出、查看。", "Batch files: add, list, show."),
    ),
    "clear": Entry(
        "api.cli.clearing",
        "clear",
        Text(
            "清分最早的就绪日；关闭之前不入账。",
            "Clear the oldest ready day over its complete files; nothing is posted before `close`.",
        ),
    ),
    "close": Entry(
        "api.cli.clearing",
        "close",
        Text(
            "关闭最早的就绪日：入账、轧差、封存；已关闭的日不再改变。",
            "Close the oldest ready day: post, net, seal. A closed day never changes.",
        ),
    ),
    "days": Entry(
        "api.cli.days", "app", Text("已关闭的清算日：列出、查看。", "Closed days: list, show.")
    ),
    "float": Entry(
        "api.cli.float_proof",
        "float_",
        Text(
            "备付金证明及其强度。",
            "The proof of the float, and how strong it is.",
        ),
    ),
    "loads": Entry(
        "api.cli.loads",
        "app",
        Text(
            "充值：三方核对，不符的列出。",
            "Loads, matched three ways: what does not agree.",
        ),
    ),
    "explain": Entry(
        "api.cli.explain",
        "explain",
        Text(
            "一笔交易的来龙去脉。",
            "One record, from the card to the ledger.",
        ),
    ),
    "verify": Entry(
        "api.cli.proof",
        "verify",
        Text(
            "从原始字节重新验证一切。",
            "Prove everything again from the raw bytes.",
        ),
    ),
    "rebuild": Entry(
        "api.cli.clearing",
        "rebuild",
        Text(
            "由原始文件重建损坏的派生文件，并证明逐字节相同。",
            "Make damaged derived files again from raw files, and prove them the same bytes.",
        ),
    ),
    "city": Entry(
        "api.cli.city", "app", Text("城市：新建、导出、密钥。", "A city: make, export, keys.")
    ),
    "registry": Entry(
        "api.cli.registry.commands",
        "app",
        Text(
            "登记簿：带日期的行。",
            "The registry: rows with dates.",
        ),
    ),
    "people": Entry(
        "api.cli.office.people",
        "app",
        Text("人员：各有角色与自己的密语。", "People, each with a role and a secret of their own."),
    ),
    "approvals": Entry(
        "api.cli.office.approvals",
        "app",
        Text("提请与批准：双人办理。", "What one proposes and another approves."),
    ),
    "audit": Entry(
        "api.cli.office.audit",
        "app",
        Text("审计日志：谁办了什么，逐条有签名。", "The audit log: who did what, signed."),
    ),
    "card": Entry("api.cli.card.commands", "app", Text("读卡器上的卡。", "Cards on a reader.")),
    "hsm": Entry(
        "api.cli.hsm.commands",
        "app",
        Text("密钥设备与密钥服务。", "The key device and the key service."),
    ),
    "bench": Entry(
        "api.cli.bench.commands",
        "app",
        Text(
            "测量，每个数旁有其基准。",
            "Measurements, each beside its baseline.",
        ),
    ),
    "doctor": Entry(
        "api.cli.doctor",
        "doctor",
        Text(
            "检查本机，如有城市也检查。",
            "Examine this machine and, if there is one, the city.",
        ),
    ),
}

app = typer.Typer(
    cls=lazy_group(_COMMANDS),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version  # noqa: PLC0415 - only who asks waits for it

        typer.echo(f"onecard {version('onecard')}")
        raise typer.Exit


@app.callback(
    help=words(
        "onecard 市民卡：一座城市的卡、终端、清算与密钥。",
        "onecard: cards, terminals, settlement and keys of a city's citizen card.",
    )
)
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help=words("打印版本后退出。", "Print the version and exit."),
        ),
    ] = False,
    lang: Annotated[
        str | None,
        typer.Option(
            "--lang",
            metavar="zh|en",
            help=words(
                "语言，可写在任何位置；否则取 ONECARD_LANG，再取系统语言。",
                "The language, anywhere on the line; else ONECARD_LANG, else the locale.",
            ),
        ),
    ] = None,
) -> None:
    """Everything stands in the commands; the language was chosen before they were loaded."""
    del version, lang
