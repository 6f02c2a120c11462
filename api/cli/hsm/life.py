"""`onecard hsm ceremony generate|load|derive|activate|retire|destroy|validity`: the life of a key.

Decides what is asked and shown. Leaves every judgement to `hsm_sim.device.ceremony`.
"""

from dataclasses import replace
from datetime import datetime
from typing import Annotated

import typer

from api.cli.hsm.device import (
    DEFAULT_DEVICE,
    AlgorithmOption,
    ComponentOption,
    DeviceOption,
    ExpectOption,
    LevelsOption,
    PinFileOption,
    TypedByOption,
    algorithm_name,
    confirm,
    confirmed_check_value,
    gather_components,
    key_name,
    open_device,
    say,
)
from api.cli.hsm.keys import key_sentence
from api.output import EXIT_USAGE, refuse
from cardcore.keys import KeyDescription, KeyState
from cardcore.text import quoted
from hsm_sim.device import ceremony
from hsm_sim.device.ceremony import NewKey
from hsm_sim.device.device import Device

KeyArgument = Annotated[
    str, typer.Argument(metavar="KEY", help="Its name: tac/shenzhen/v1, for example. 密钥名。")
]
ActivateOption = Annotated[
    bool, typer.Option("--activate", help="Active at once; else prepared. 立即启用。")
]
ExportableOption = Annotated[
    bool, typer.Option("--exportable", help="It may leave under a transport key. 可导出。")
]


def add_commands(app: typer.Typer) -> None:
    """Put the commands of this file under `onecard hsm ceremony`."""
    for command in (generate, load, derive, activate, retire, destroy, validity):
        app.command()(command)


def generate(
    name: KeyArgument,
    algorithm: AlgorithmOption = None,
    activate: ActivateOption = False,
    exportable: ExportableOption = False,
    levels: LevelsOption = 1,
    device: DeviceOption = DEFAULT_DEVICE,
    pin_file: PinFileOption = None,
) -> None:
    """Make a random key inside; nobody ever sees it. 生成密钥。"""
    new = replace(_new_key(name, algorithm, activate, exportable), levels=levels)
    with open_device(device, pin_file) as opened:
        _say(opened, "Generated 已生成", ceremony.generate(opened, new))


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
    """Make a key of components of two or more custodians. 分量注入密钥。"""
    new = replace(_new_key(name, algorithm, activate, exportable), levels=levels)
    usage = new.ref.usage
    with open_device(device, pin_file) as opened:
        with opened.refusals_noted("load", name):
            components = gather_components(opened, usage, new.algorithm, component, typed_by)
            expected = confirmed_check_value(components, usage, new.algorithm, expect)
        _say(opened, "Loaded 已注入", ceremony.load(opened, new, components, expected))


def derive(
    parent: Annotated[str, typer.Argument(metavar="PARENT", help="A master of the scheme.")],
    name: Annotated[str, typer.Option("--as", metavar="KEY", help="The issuer's key to make.")],
    factor: Annotated[
        str, typer.Option(metavar="HEX", help="8 bytes: the issuer's number. 分散因子。")
    ],
    activate: ActivateOption = False,
    exportable: ExportableOption = False,
    device: DeviceOption = DEFAULT_DEVICE,
    pin_file: PinFileOption = None,
) -> None:
    """Derive an issuer's key from a master of the scheme. 分散发卡方密钥。"""
    new, above = _new_key(name, None, activate, exportable), key_name(parent)
    try:
        value = bytes.fromhex(factor)
    except ValueError:
        refuse(f"{quoted(factor)}: a factor is 16 hexadecimal digits", EXIT_USAGE)
    with open_device(device, pin_file) as opened:
        _say(opened, "Derived 已分散", ceremony.derive(opened, above, new, value))


def activate(
    name: KeyArgument, device: DeviceOption = DEFAULT_DEVICE, pin_file: PinFileOption = None
) -> None:
    """Let a key make cards, sign, encipher. 启用。"""
    ref = key_name(name)
    with open_device(device, pin_file) as opened:
        _say(opened, "Activated 已启用", ceremony.move(opened, ref, KeyState.ACTIVE))


def retire(
    name: KeyArgument, device: DeviceOption = DEFAULT_DEVICE, pin_file: PinFileOption = None
) -> None:
    """Let a key only go on with what was made before. 退役。"""
    ref = key_name(name)
    with open_device(device, pin_file) as opened:
        _say(opened, "Retired 已退役", ceremony.move(opened, ref, KeyState.RETIRING))


def destroy(
    name: KeyArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without a question.")] = False,
    device: DeviceOption = DEFAULT_DEVICE,
    pin_file: PinFileOption = None,
) -> None:
    """Destroy a key; its name and check value stay. It cannot be undone. 销毁。"""
    ref = key_name(name)
    with open_device(device, pin_file) as opened:
        if not yes:
            with opened.refusals_noted("destroy", name):
                confirm(f"Destroy {ref} for good 确认销毁?", "--yes")
        _say(opened, "Destroyed 已销毁", ceremony.move(opened, ref, KeyState.DESTROYED))


def validity(
    name: KeyArgument,
    first_day: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day. 首日。")
    ] = None,
    last_day: Annotated[
        datetime | None, typer.Option("--until", formats=["%Y-%m-%d"], help="Last day. 末日。")
    ] = None,
    device: DeviceOption = DEFAULT_DEVICE,
    pin_file: PinFileOption = None,
) -> None:
    """Say on which days a key is active; a day left out is no bound. 有效期。"""
    ref = key_name(name)
    with open_device(device, pin_file) as opened:
        described = ceremony.set_validity(
            opened,
            ref,
            None if first_day is None else first_day.date(),
            None if last_day is None else last_day.date(),
        )
        _say(opened, "Changed 已更改", described)


def _new_key(name: str, algorithm: str | None, activate: bool, exportable: bool) -> NewKey:
    ref = key_name(name)
    state = KeyState.ACTIVE if activate else KeyState.PREPARED
    return NewKey(ref, algorithm_name(algorithm, ref.usage), state, exportable)


def _say(device: Device, done: str, described: KeyDescription) -> None:
    say(device, f"{done} {key_sentence(described)}")
