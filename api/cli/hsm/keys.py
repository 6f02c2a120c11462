"""`onecard hsm keys|import|export|rotate`: the keys of a device, and single keys on their way.

Decides how keys are shown. Leaves every step to `hsm_sim.device`.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from api.cli.hsm.device import (
    DEFAULT_DEVICE,
    AlgorithmOption,
    ComponentOption,
    DeviceOption,
    ExpectOption,
    PinFileOption,
    TypedByOption,
    algorithm_name,
    algorithm_text,
    confirmed_check_value,
    gather_components,
    key_name,
    named_refusals,
    open_device,
    read_text,
    say,
    write_private,
)
from api.exits import EXIT_USAGE
from api.output import JsonOption, console, print_json, refuse
from cardcore.keys import KeyDescription, KeyState, KeyUsage
from hsm_sim.device import ceremony, transfer
from hsm_sim.device.blocks.key_names import letters
from hsm_sim.device.blocks.tr31 import BLOCK_CHARACTERS_MAX
from hsm_sim.device.document import StoredKey, is_exportable
from hsm_sim.device.inspection import locked_custodians, look
from hsm_sim.keys.masters import LEVELS_MAX
from hsm_sim.keys.operations import state_on

USAGES_ZH = {
    KeyUsage.PURCHASE: "消费",
    KeyUsage.LOAD: "圈存",
    KeyUsage.TAC: "交易认证码",
    KeyUsage.FILE_MAINTENANCE: "应用维护",
    KeyUsage.FILE_SIGNING: "文件签名",
    KeyUsage.UNLOAD: "圈提",
    KeyUsage.OVERDRAFT: "修改透支限额",
    KeyUsage.PIN_UNBLOCK: "PIN 解锁",
    KeyUsage.PIN_RELOAD: "PIN 重装",
    KeyUsage.INTERNAL_AUTHENTICATION: "内部认证",
    KeyUsage.EXTERNAL_AUTHENTICATION: "外部认证",
    KeyUsage.RECORD_MAC: "交易记录鉴别",
    KeyUsage.CHANNEL_ENC: "安全通道加密",
    KeyUsage.CHANNEL_MAC: "安全通道认证",
    KeyUsage.CHANNEL_DEK: "通道数据加密",
    KeyUsage.DATA_ENCRYPTION: "数据加密",
    KeyUsage.TRANSPORT: "传输",
}
STATES_ZH = {
    KeyState.PREPARED: "待启用",
    KeyState.ACTIVE: "启用",
    KeyState.RETIRING: "退役中",
    KeyState.DESTROYED: "已销毁",
}
UnderOption = Annotated[
    str, typer.Option("--under", metavar="KEY", help="The transport key. 传输密钥 (ZMK)。")
]


def keys(device: DeviceOption = DEFAULT_DEVICE, as_json: JsonOption = False) -> None:
    """Every key of a device: names, states, check values. 密钥一览。"""
    with named_refusals():
        seen = look(device)
        locked = locked_custodians(device)
    custodians = [] if seen.custody is None else [each.role for each in seen.custody.custodians]
    if as_json:
        print_json(
            {
                "device": seen.device_id,
                "is_destroyed": seen.custody is None,
                "is_demonstration": seen.is_demonstration,
                "generation": seen.generation,
                "custodians": custodians,
                "locked": list(locked),
                "keys": [_key_document(each) for each in seen.keys],
            }
        )
        return
    table = Table(title=f"Keys 密钥 · device 设备 {seen.device_id}", title_justify="left")
    table.add_column("key 密钥, use 用途", overflow="fold")
    table.add_column("state 状态", no_wrap=True)
    table.add_column("days 有效期", no_wrap=True)
    table.add_column("KCV 检查值", no_wrap=True)
    table.add_column("algorithm 算法, TR-31")
    for each in seen.keys:
        table.add_row(*_row(each))
    console.print(table)
    if seen.is_demonstration:
        console.print("public test keys, for demonstrations only 公开测试密钥，仅供演示")
    for role in locked:
        console.print(f"{role}: locked 已锁定", style="red", highlight=False, markup=False)


def import_(
    path: Annotated[Path, typer.Argument(help="A file with one key block (TR-31).")],
    under: UnderOption,
    name: Annotated[
        str | None, typer.Option("--as", metavar="KEY", help="Its name, if it brings none.")
    ] = None,
    levels: Annotated[
        int | None,
        typer.Option(min=1, max=LEVELS_MAX, help="From it to a card's key, if it does not say."),
    ] = None,
    device: DeviceOption = DEFAULT_DEVICE,
    pin_file: PinFileOption = None,
) -> None:
    """Take in a key block that another device made. 导入密钥块。"""
    transport, ref = key_name(under), None if name is None else key_name(name)
    block = read_text(path, BLOCK_CHARACTERS_MAX + 2)
    with open_device(device, pin_file) as opened:
        described = transfer.import_block(opened, block, transport, ref, levels)
        say(opened, f"Imported 已导入 {key_sentence(described)}")


def export(
    name: Annotated[str, typer.Argument(metavar="KEY", help="tac/shenzhen/v1, for example.")],
    under: UnderOption,
    out: Annotated[Path, typer.Option("--out", help="The file to write; it must be new.")],
    device: DeviceOption = DEFAULT_DEVICE,
    pin_file: PinFileOption = None,
) -> None:
    """Give a key out as a key block under a transport key. 导出密钥块。"""
    ref, transport = key_name(name), key_name(under)
    if out.exists():
        refuse(f"{out} exists already; name a new file", EXIT_USAGE)
    with open_device(device, pin_file) as opened:
        write_private(out, transfer.export_block(opened, ref, transport) + "\n")
        described = opened.vault.describe(ref)
        say(opened, f"Exported 已导出 {key_sentence(described)} to {out}")


def rotate(
    names: Annotated[
        list[str], typer.Argument(metavar="USAGE/LABEL...", help="tac/shenzhen, for example.")
    ],
    first_day: Annotated[
        datetime | None,
        typer.Option("--on", formats=["%Y-%m-%d"], help="First day of the new one; else today."),
    ] = None,
    overlap_days: Annotated[
        int, typer.Option(min=0, help="Days on which the old one is active too. 重叠天数。")
    ] = 0,
    algorithm: AlgorithmOption = None,
    from_components: Annotated[
        bool, typer.Option("--from-components", help="Components are typed; else it is random.")
    ] = False,
    component: ComponentOption = None,
    typed_by: TypedByOption = None,
    expect: ExpectOption = None,
    device: DeviceOption = DEFAULT_DEVICE,
    pin_file: PinFileOption = None,
) -> None:
    """Make the next version of keys; those before retire and go on proving. 密钥轮换。

    A card shows one version for its purchase, load and TAC keys: rotate the three together.
    """
    refs = [key_name(f"{name}/v0") for name in dict.fromkeys(names)]
    by_components = bool(from_components or component or typed_by)
    if by_components and len(refs) > 1:
        refuse("components make one key: rotate one at a time with them", EXIT_USAGE)
    if expect is not None and not by_components:
        refuse(
            "--expect is for components: nobody knows the check value of a random key", EXIT_USAGE
        )
    with open_device(device, pin_file) as opened:
        day = opened.today() if first_day is None else first_day.date()
        rotations = [
            ceremony.Rotation(
                ref.usage, ref.label, day, overlap_days, algorithm_name(algorithm, ref.usage)
            )
            for ref in refs
        ]
        with opened.refusals_noted("rotate", ", ".join(names)):
            # All are looked at before any is changed.
            suites = [ceremony.next_algorithm(opened, each) for each in rotations]
            made: tuple[dict[str, bytes] | None, str] = (None, "")
            if by_components:
                usage = refs[0].usage
                components = gather_components(opened, usage, suites[0], component, typed_by)
                made = components, confirmed_check_value(components, usage, suites[0], expect)
        changed = [
            each for rotation in rotations for each in ceremony.rotate(opened, rotation, *made)
        ]
        say(opened, "\n".join(f"Rotated 已轮换 {key_sentence(each)}" for each in changed))


def key_sentence(described: KeyDescription) -> str:
    """A key in one line."""
    today = datetime.now(UTC).date()
    state = state_on(described, today)
    days = "".join(
        f", {word} {day}"
        for word, day in (("from", described.valid_from), ("until", described.valid_to))
        if day is not None
    )
    return (
        f"{described.ref} ({USAGES_ZH[described.ref.usage]}): {algorithm_text(described.algorithm)}"
        f", {state} {STATES_ZH[state]}{days}{_levels_text(described, ', ')}"
        f", check value 检查值 {described.check_value}"
    )


def _levels_text(described: KeyDescription, separator: str) -> str:
    """Only of what is no issuer's master."""
    return "" if described.levels == 1 else f"{separator}{described.levels} levels 级分散"


def _key_document(stored: StoredKey) -> dict[str, Any]:
    described = stored.description
    return {
        "key": str(described.ref),
        "usage": str(described.ref.usage),
        "usage_zh": USAGES_ZH[described.ref.usage],
        "label": described.ref.label,
        "version": described.ref.version,
        "algorithm": algorithm_text(described.algorithm),
        "state": str(state_on(described, datetime.now(UTC).date())),
        "valid_from": described.valid_from,
        "valid_to": described.valid_to,
        "parent": None if described.parent is None else str(described.parent),
        "levels": described.levels,
        "check_value": described.check_value,
        "tr31_usage": letters(described.ref.usage, described.algorithm)[0],
        "is_exportable": is_exportable(stored),
    }


def _row(stored: StoredKey) -> list[str]:
    row = _key_document(stored)
    levels = _levels_text(stored.description, "\n")
    parent = f"\nfrom 上级 {row['parent']}" if row["parent"] else ""
    days = [row["valid_from"], row["valid_to"]]
    exportable = ", exportable 可导出" if row["is_exportable"] else ""
    return [
        f"{row['key']}\n{row['usage_zh']}{levels}{parent}",
        f"{row['state']}\n{STATES_ZH[KeyState(row['state'])]}",
        "" if days == [None, None] else f"{days[0] or '…'}\n{days[1] or '…'}",
        row["check_value"],
        f"{row['algorithm']}\n{row['tr31_usage']}{exportable}",
    ]
