"""`onecard hsm keys|rotate`: the keys of a device, and how one follows another.

Decides how keys are shown. Leaves every step to `hsm_sim.device`.
"""

from datetime import UTC, date, datetime
from typing import Annotated, Any

import typer

from api.cli.hsm.device import (
    DEFAULT_DEVICE,
    AlgorithmOption,
    ComponentOption,
    DeviceOption,
    ExpectOption,
    PinFileOption,
    TypedByOption,
    confirmed_check_value,
    gather_components,
    open_device,
    say,
)
from api.cli.hsm.naming import algorithm_name, key_name
from api.cli.hsm.refusals import named_refusals
from api.exits import EXIT_USAGE
from api.output import CsvOption, JsonOption, complain, print_json, print_table, refuse
from api.output import say as tell
from api.tables import Cell, Column, Count, Table
from cardcore.keys import KeyDescription
from cardcore.text import Text, words
from hsm_sim.device import ceremony
from hsm_sim.device.blocks.key_names import letters
from hsm_sim.device.document import StoredKey, is_exportable
from hsm_sim.device.inspection import locked_custodians, look
from hsm_sim.keys.operations import state_on

_NO_KEY = Text(
    "设备中尚无密钥：`onecard hsm ceremony generate`",
    "the device holds no key yet: `onecard hsm ceremony generate`",
)


def keys(
    device: DeviceOption = DEFAULT_DEVICE, csv: CsvOption = None, as_json: JsonOption = False
) -> None:
    """No PIN is needed: what may be shown to anybody."""
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
    table = Table(
        Text(f"设备 {seen.device_id} 的密钥", f"Keys of device {seen.device_id}"), _COLUMNS
    )
    for each in seen.keys:
        table.add(*_row(each))
    print_table(table, csv, _NO_KEY)
    if seen.is_demonstration:
        tell(
            words(
                "公开测试密钥，人人可算出，仅供演示",
                "public test keys, which anybody can compute: for demonstrations only",
            )
        )
    for pair in locked:
        named = pair.replace("+", words(" 与 ", " and "))
        way_out = "`onecard hsm ceremony new-pin`"
        complain(
            words(f"{named}：已锁定；重置：{way_out}", f"{named}: locked; unlock with {way_out}")
        )


OnDayOption = Annotated[
    datetime | None,
    typer.Option(
        "--on",
        formats=["%Y-%m-%d"],
        metavar="YYYY-MM-DD",
        help=words("新版本的首日；否则今天。", "First day of the new one; else today."),
    ),
]
OverlapDaysOption = Annotated[
    int,
    typer.Option(
        min=0,
        help=words("重叠天数：旧版本同时启用的日子。", "Days on which the old one is active too."),
    ),
]
FromComponentsOption = Annotated[
    bool,
    typer.Option(
        "--from-components",
        help=words("键入分量；否则随机生成。", "Components are typed; else it is random."),
    ),
]


def rotate(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="USAGE/LABEL...",
            help=words(
                "用途和标签，例如 tac/shenzhen。", "Use and label: tac/shenzhen, for example."
            ),
        ),
    ],
    first_day: OnDayOption = None,
    overlap_days: OverlapDaysOption = 0,
    algorithm: AlgorithmOption = None,
    from_components: FromComponentsOption = False,
    component: ComponentOption = None,
    typed_by: TypedByOption = None,
    expect: ExpectOption = None,
    device: DeviceOption = DEFAULT_DEVICE,
    pin_file: PinFileOption = None,
) -> None:
    """All are looked at before any is changed."""
    refs = [key_name(f"{name}/v0", asked=name) for name in dict.fromkeys(names)]
    by_components = bool(from_components or component or typed_by)
    _refuse_unfitting(len(refs), by_components=by_components, expect=expect)
    with open_device(device, pin_file) as opened:
        day = opened.today() if first_day is None else first_day.date()
        rotations = [
            ceremony.Rotation(
                ref.usage, ref.label, day, overlap_days, algorithm_name(algorithm, ref.usage)
            )
            for ref in refs
        ]
        with opened.refusals_noted("rotate", ", ".join(names)):
            suites = [ceremony.next_algorithm(opened, each) for each in rotations]
            made: tuple[dict[str, bytes] | None, str] = (None, "")
            if by_components:
                usage = refs[0].usage
                components = gather_components(opened, usage, suites[0], component, typed_by)
                made = components, confirmed_check_value(components, usage, suites[0], expect)
        changed = [
            each for rotation in rotations for each in ceremony.rotate(opened, rotation, *made)
        ]
        done = words("已轮换", "Rotated")
        say(opened, "\n".join(f"{done} {key_sentence(each)}" for each in changed))


def _refuse_unfitting(count: int, *, by_components: bool, expect: str | None) -> None:
    """What cannot go together ends the command before a PIN is typed."""
    if by_components and count > 1:
        refuse(
            words(
                "--from-components：分量只合成一把密钥；用分量时请一次轮换一把",
                "--from-components: components make one key; rotate one at a time with them",
            ),
            EXIT_USAGE,
        )
    if expect is not None and not by_components:
        refuse(
            words(
                "--expect 只用于分量：随机密钥的检查值无人事先知道；请去掉它",
                "--expect is for components: nobody knows the check value of a random key; "
                "leave it out",
            ),
            EXIT_USAGE,
        )


def key_sentence(described: KeyDescription) -> str:
    """A key in one line."""
    today = datetime.now(UTC).date()
    state = state_on(described, today)
    first, last, levels = described.valid_from, described.valid_to, described.levels
    algorithm = described.algorithm.label
    facts = [
        Text(algorithm, algorithm),
        state.text,
        None if first is None else Text(f"自 {first} 起", f"from {first}"),
        None if last is None else Text(f"至 {last} 止", f"until {last}"),
        # Only of what is no issuer's master.
        Text(f"{levels} 级分散", f"{levels} levels") if levels > 1 else None,
        Text(f"检查值 {described.check_value}", f"check value {described.check_value}"),
    ]
    told = [each for each in facts if each is not None]
    usage = described.ref.usage.use
    return words(
        f"{described.ref}（{usage.zh}）：{'，'.join(each.zh for each in told)}",
        f"{described.ref} ({usage.en}): {', '.join(each.en for each in told)}",
    )


def _key_document(stored: StoredKey) -> dict[str, Any]:
    described = stored.description
    return {
        "key": str(described.ref),
        "usage": str(described.ref.usage),
        "usage_zh": described.ref.usage.use.zh,
        "label": described.ref.label,
        "version": described.ref.version,
        "algorithm": described.algorithm.label,
        "state": str(state_on(described, datetime.now(UTC).date())),
        "valid_from": described.valid_from,
        "valid_to": described.valid_to,
        "parent": None if described.parent is None else str(described.parent),
        "levels": described.levels,
        "check_value": described.check_value,
        "tr31_usage": letters(described.ref.usage, described.algorithm)[0],
        "is_exportable": is_exportable(stored),
    }


_COLUMNS = [
    Column(Text("密钥", "key")),
    Column(Text("用途", "use")),
    Column(Text("状态", "state")),
    Column(Text("首日", "from")),
    Column(Text("末日", "until")),
    Column(Text("检查值", "check value")),
    Column(Text("算法", "algorithm")),
    Column(Text("TR-31", "TR-31")),
    Column(Text("级数", "levels"), right=True),
    Column(Text("可导出", "exportable")),
    Column(Text("上级", "parent")),
]


def _row(stored: StoredKey) -> list[Cell]:
    described = stored.description
    return [
        str(described.ref),
        described.ref.usage.use,
        state_on(described, datetime.now(UTC).date()).text,
        _day(described.valid_from),
        _day(described.valid_to),
        described.check_value,
        described.algorithm.label,
        letters(described.ref.usage, described.algorithm)[0],
        Count(described.levels),
        Text("是", "yes") if is_exportable(stored) else None,
        None if described.parent is None else str(described.parent),
    ]


def _day(day: date | None) -> str | None:
    return None if day is None else str(day)
