"""`onecard rebuild`: whatever is derived and damaged, made again from the raw files.

Decides how the result is said: what is whole again, what its sender has to send again, and what
only a copy can give back. What is made again, and from what, is settlement's.
"""

from datetime import UTC, datetime

import typer

from api.cli.frame.session import ByOption, WorkersOption, acting, open_to_act
from api.composition import open_engine
from api.exits import EXIT_REFUSED
from api.output import DEFAULT_DATA, DataOption, JsonOption, complain, print_json, say, status_line
from cardcore.text import words
from settlement.service.rebuilding import Rebuilt
from settlement.service.rebuilding import rebuild as rebuild_city


def rebuild(
    data: DataOption = DEFAULT_DATA,
    workers: WorkersOption = 2,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Exit 1 names what could not be made again."""
    actor = acting(by)
    with open_to_act(data) as opened, status_line() as tell:
        found = rebuild_city(
            opened.city,
            opened.keys.service,
            open_engine(workers),
            datetime.now(UTC),
            actor,
            lambda done, total: tell(words(f"文件 {done}/{total}", f"files {done}/{total}")),
        )
    if as_json:
        print_json(
            {
                "looked_at": found.looked_at,
                "made_again": [str(each) for each in found.made_again],
                "removed": [str(each) for each in found.removed],
                "asked_for": [
                    {
                        "sender": each.sender,
                        "sequence": each.sequence,
                        "content_hash": each.content_hash,
                        "why": each.why.value,
                    }
                    for each in found.asked_for
                ],
                "lost": [{"path": str(each.path), "why": each.why.en} for each in found.lost],
            }
        )
    else:
        _tell(found)
    if found.asked_for or found.lost:
        raise typer.Exit(EXIT_REFUSED)


def _tell(found: Rebuilt) -> None:
    for path in found.made_again:
        say(words(f"已重建 {path}，逐字节相同", f"made again, the same bytes: {path}"))
    for path in found.removed:
        say(words(f"已移除 {path}：不属于任何已关闭的日", f"removed, of no closed day: {path}"))
    for file in found.asked_for:
        name, why = f"{file.sender:08}-{file.sequence:08}", file.why.text
        complain(words(f"文件 {name}：{why}；`onecard files add`",
                       f"file {name}: {why}; `onecard files add` takes it in"))  # fmt: skip
    for each in found.lost:
        complain(words(f"{each.path}：{each.why}", f"{each.path}: {each.why}"))
    looked, made = f"{found.looked_at:,}", f"{len(found.made_again):,}"
    said = words(
        f"已查看派生文件 {looked} 个，重建 {made} 个",
        f"Derived files looked at: {looked}, made again: {made}",
    )
    if found.asked_for or found.lost:
        rest = f"{len(found.asked_for) + len(found.lost):,}"
        complain(
            words(
                f"✗ {said}，未能重建 {rest} 个。请照上列办理，然后重复 `onecard rebuild`",
                f"✗ {said}, not made again: {rest}. Do what stands beside each, then repeat "
                "`onecard rebuild`",
            )
        )
    else:
        say(words(f"✓ {said}。`onecard verify` 证明一切", f"✓ {said}. `onecard verify` proves all"))
