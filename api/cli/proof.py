"""`onecard verify`: every invariant again, from the raw bytes."""

from dataclasses import asdict

import typer

from api.cli.session import WorkersOption, open_to_verify
from api.composition import open_engine
from api.output import (
    DEFAULT_DATA,
    EXIT_REFUSED,
    DataOption,
    JsonOption,
    amount_table,
    console,
    print_json,
    status_line,
)
from settlement.verification.findings import Invariant
from settlement.verification.verify import verify as verify_city


def verify(
    data: DataOption = DEFAULT_DATA, workers: WorkersOption = 2, as_json: JsonOption = False
) -> None:
    """Recompute I1 to I10 from the raw bytes; exit 1 names what broke. 全部重新验证。"""
    with open_to_verify(data) as opened, status_line() as say:
        result = verify_city(
            opened.city,
            opened.keys.service,
            open_engine(workers),
            lambda step, done, total: say(f"{step} {done}/{total}"),
        )
    if as_json:
        print_json(
            {
                "invariants": result.invariants,
                "files": result.files,
                "days": result.days,
                "findings": [asdict(each) for each in result.findings],
            }
        )
    else:
        table = amount_table(
            f"{result.files} files 个文件, {result.days} closed days 个已关闭日",
            "invariant 不变式",
            "",
        )
        for invariant in Invariant:
            good = result.invariants[invariant.value]
            table.add_row(
                f"{invariant.value}  {invariant.text.en} {invariant.text.zh}",
                "✓ holds 成立" if good else "✗ BROKEN 不成立",
                style=None if good else "red",
            )
        console.print(table)
        for finding in result.findings:
            console.print(
                f"{finding.invariant.value}  {finding.where}: {finding.text}",
                style="red", highlight=False, markup=False, soft_wrap=True,
            )  # fmt: skip
    if not result.is_sound:
        raise typer.Exit(EXIT_REFUSED)
