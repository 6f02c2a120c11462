"""`onecard hsm ceremony generate|load|derive|activate|retire|destroy|validity`: the life of a key.

Decides what is asked and shown. Leaves every judgement to `hsm_sim.device.ceremony`.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

import typer

from api.cli.frame.loading import command
from api.cli.hsm.device import (
    DEFAULT_DEVICE,
    AlgorithmOption,
    ComponentOption,
    DeviceOption,
    ExpectOption,
    PinFileOption,
    TypedByOption,
    confirm,
    confirmed_check_value,
    gather_components,
    open_device,
    say,
)
from api.cli.hsm.keys import key_sentence
from api.cli.hsm.naming import algorithm_name, key_name
from api.cli.hsm.terms import (
    ExportableOption,
    FirstDayOption,
    LastDayOption,
    LevelsOption,
    day_of,
)
from api.exits import EXIT_USAGE
from api.output import refuse
from cardcore.keys import KeyDescription, KeyState
from cardcore.text import Text, shorten, words
from hsm_sim.device import ceremony
from hsm_sim.device.ceremony import NewKey
from hsm_sim.device.device import Device

KeyArgument = Annotated[
    str,
    typer.Argument(
        metavar="KEY",
        help=words("密钥名，例如 tac/shenzhen/v1。", "Its name: tac/shenzhen/v1, for example."),
    ),
]
ActivateOption = Annotated[
    bool,
    typer.Option(
        "--activate", help=words("立即启用；否则待启用。", "Active at once; else prepared.")
    ),
]


def add_commands(app: typer.Typer) -> None:
    """Put the commands of this file under `onecard hsm ceremony`."""
    for function, said in _HELP.items():
        command(app, function.__name__, said)(function)


def generate(
    name: KeyArgument,
    algorithm: AlgorithmOption = None,
    activate: ActivateOption = False,
    exportable: ExportableOption = False,
    levels: LevelsOption = 1,
    device: DeviceOption = DEFAULT_DEVICE,
    pin_file: PinFileOption = None,
) -> None:
    """Nobody ever sees it."""
    new = replace(_new_key(name, algorithm, activate, exportable), levels=levels)
    with open_device(device, pin_file) as opened:
        _say(opened, words("已生成", "Generated"), ceremony.generate(opened, new))


def load(
    name: KeyArgument,
    algorithm: AlgorithmOption = None,
    activate: ActivateOption = False,
    exportable: ExportableOption = False,
    levels: LevelsOption = 1,
    component: ComponentOption = None,
    typed_by: TypedByOption = None,
    expect: ExpectOption = None,
    device: DeviceOption = DEFAULT_DEVICE,
    pin_file: PinFileOption = None,
) -> None:
    """Every component and the key are recognised by their check values first."""
    new = replace(_new_key(name, algorithm, activate, exportable), levels=levels)
    usage = new.ref.usage
    with open_device(device, pin_file) as opened:
        with opened.refusals_noted("load", name):
            components = gather_components(opened, usage, new.algorithm, component, typed_by)
            expected = confirmed_check_value(components, usage, new.algorithm, expect)
        _say(opened, words("已注入", "Loaded"), ceremony.load(opened, new, components, expected))


def derive(
    parent: Annotated[
        str, typer.Argument(metavar="PARENT", help=words("系统主密钥。", "A master of the scheme."))
    ],
    name: Annotated[
        str,
        typer.Option(
            "--as",
            metavar=words("密钥", "KEY"),
            help=words("要生成的发卡方密钥。", "The issuer's key to make."),
        ),
    ],
    factor: Annotated[
        str,
        typer.Option(
            metavar="HEX",
            help=words(
                "分散因子，8 字节：发卡方代码。", "The factor, 8 bytes: the issuer's number."
            ),
        ),
    ],
    activate: ActivateOption = False,
    exportable: ExportableOption = False,
    device: DeviceOption = DEFAULT_DEVICE,
    pin_file: PinFileOption = None,
) -> None:
    """It has its parent's algorithm."""
    new, above = _new_key(name, None, activate, exportable), key_name(parent)
    try:
        value = bytes.fromhex(factor)
    except ValueError:
        refuse(
            words(
                f"--factor：{shorten(factor)} 不是 16 位十六进制数字，例如 01011000FFFFFFFF",
                f"--factor: {shorten(factor)} is not 16 hexadecimal digits, as 01011000FFFFFFFF is",
            ),
            EXIT_USAGE,
        )
    with open_device(device, pin_file) as opened:
        _say(opened, words("已分散", "Derived"), ceremony.derive(opened, above, new, value))


def activate(
    name: KeyArgument, device: DeviceOption = DEFAULT_DEVICE, pin_file: PinFileOption = None
) -> None:
    """From prepared."""
    ref = key_name(name)
    with open_device(device, pin_file) as opened:
        _say(opened, words("已启用", "Activated"), ceremony.move(opened, ref, KeyState.ACTIVE))


def retire(
    name: KeyArgument, device: DeviceOption = DEFAULT_DEVICE, pin_file: PinFileOption = None
) -> None:
    """From active."""
    ref = key_name(name)
    with open_device(device, pin_file) as opened:
        _say(opened, words("已退役", "Retired"), ceremony.move(opened, ref, KeyState.RETIRING))


def destroy(
    name: KeyArgument,
    yes: Annotated[
        bool, typer.Option("--yes", help=words("不再询问。", "Do it without a question."))
    ] = False,
    device: DeviceOption = DEFAULT_DEVICE,
    pin_file: PinFileOption = None,
) -> None:
    """After a typed yes."""
    ref = key_name(name)
    with open_device(device, pin_file) as opened:
        if not yes:
            with opened.refusals_noted("destroy", name):
                confirm(Text(f"永久销毁 {ref}？", f"Destroy {ref} for good?"), "--yes")
        _say(opened, words("已销毁", "Destroyed"), ceremony.move(opened, ref, KeyState.DESTROYED))


def validity(
    name: KeyArgument,
    first_day: FirstDayOption = None,
    last_day: LastDayOption = None,
    device: DeviceOption = DEFAULT_DEVICE,
    pin_file: PinFileOption = None,
) -> None:
    """A day left out is no bound."""
    ref = key_name(name)
    with open_device(device, pin_file) as opened:
        described = ceremony.set_validity(opened, ref, day_of(first_day), day_of(last_day))
        _say(opened, words("已更改", "Changed"), described)


_HELP: dict[Callable[..., None], Text] = {
    generate: Text(
        "在设备内生成随机密钥；谁也看不到。", "Make a random key inside; nobody ever sees it."
    ),
    load: Text(
        "由两名或更多保管员的分量注入密钥。", "Make a key of components of two or more custodians."
    ),
    derive: Text(
        "由系统主密钥分散出发卡方密钥。", "Derive an issuer's key from a master of the scheme."
    ),
    activate: Text("启用密钥：可制卡、签名、加密。", "Let a key make cards, sign, encipher."),
    retire: Text(
        "密钥退役：只继续服务此前所作。", "Let a key only go on with what was made before."
    ),
    destroy: Text(
        "销毁密钥；名称和检查值保留。不可撤销。",
        "Destroy a key; its name and check value stay. It cannot be undone.",
    ),
    validity: Text(
        "规定密钥在哪些日子启用；不写即无界限。",
        "Say on which days a key is active; a day left out is no bound.",
    ),
}


def _new_key(name: str, algorithm: str | None, activate: bool, exportable: bool) -> NewKey:
    ref = key_name(name)
    state = KeyState.ACTIVE if activate else KeyState.PREPARED
    return NewKey(ref, algorithm_name(algorithm, ref.usage), state, exportable)


def _say(device: Device, done: str, described: KeyDescription) -> None:
    say(device, f"{done} {key_sentence(described)}")
