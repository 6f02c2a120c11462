"""`onecard hsm ceremony`: the device itself: made, its custodians, its log, its backup, its end.

Decides what is asked and shown. Leaves the life of keys to `hsm_life`, every judgement to
`hsm_sim.device`.
"""

import json
from pathlib import Path
from typing import Annotated

import typer

from api.cli.hsm import life as hsm_life
from api.cli.hsm.device import (
    DEFAULT_DEVICE,
    AlgorithmOption,
    ComponentOption,
    DeviceOption,
    ExpectOption,
    PinFileOption,
    TypedByOption,
    algorithm_name,
    confirm,
    confirmed_check_value,
    gather_components,
    given_pins,
    named_refusals,
    new_pins,
    open_device,
    read_text,
    say,
    write_private,
)
from api.composition import city_key_refs
from api.exits import EXIT_REFUSED, EXIT_USAGE
from api.output import JsonOption, console, console_error, print_json, refuse
from api.settings import Environment, SettingsRefusedError, read_environment
from cardcore.keys import KeyUsage
from cardcore.schemes.catalogue import SCHEMES
from hsm_sim.device import ceremony, transfer
from hsm_sim.device import device as devices
from hsm_sim.device.errors import DeviceError
from hsm_sim.device.inspection import log_lines, look, prove_log
from hsm_sim.device.log import Outcome

ROLES = ("custodian-1", "custodian-2", "custodian-3")
_BACKUP_BYTES_MAX = 16 << 20

app = typer.Typer(
    help="Ceremonies, two custodians at a time. 密钥仪式，双人控制。", no_args_is_help=True
)
hsm_life.add_commands(app)


@app.command()
def init(
    custodian: Annotated[
        list[str] | None,
        typer.Option("--custodian", metavar="NAME", help="Two to nine; else three. 保管员。"),
    ] = None,
    public_test_keys: Annotated[
        str | None,
        typer.Option(metavar="SCHEME", help="Fill it with the public test keys of a city."),
    ] = None,
    device: DeviceOption = DEFAULT_DEVICE,
    pin_file: PinFileOption = None,
) -> None:
    """Make a device; any two of its custodians open it. 初始化密钥设备。"""
    if public_test_keys is not None and public_test_keys not in SCHEMES:
        refuse(f"no scheme {public_test_keys!r}; there are {', '.join(SCHEMES)}", EXIT_USAGE)
    if public_test_keys is not None and read_environment() is Environment.PRODUCTION:
        raise SettingsRefusedError("production refuses a device of public test keys")
    roles = list(custodian or ROLES)
    if len(set(roles)) < len(roles):
        refuse("one custodian is named twice; each needs a name of his own", EXIT_USAGE)
    with named_refusals():
        devices.check_folder(device)
        made = devices.Device.create(
            device, new_pins(roles, pin_file), is_demonstration=public_test_keys is not None
        )
        if public_test_keys is not None:
            ceremony.take_public_test_keys(made, city_key_refs(SCHEMES[public_test_keys]))
            console.print(
                f"{len(made.vault.refs())} public test keys, which anybody can compute "
                "公开测试密钥，仅供演示",
                highlight=False,
            )
        say(made, f"Device 设备 {made.device_id} in {device}; custodians 保管员 {', '.join(roles)}")
        made.close()


@app.command("new-pin")
def new_pin(
    role: Annotated[str, typer.Argument(metavar="CUSTODIAN", help="Who gets the new PIN.")],
    new_pin_file: Annotated[
        str | None, typer.Option(metavar="NAME=PATH", help="The new PIN from a file.")
    ] = None,
    device: DeviceOption = DEFAULT_DEVICE,
    pin_file: PinFileOption = None,
) -> None:
    """Give a custodian a new PIN; unlocks him. Two others vouch. 重置 PIN 并解锁。"""
    with open_device(device, pin_file) as opened:
        pins = new_pins([role], None if new_pin_file is None else [new_pin_file])
        ceremony.give_pin(opened, role, pins[role])
        say(opened, f"{role} has a new PIN and is not locked 已重置")


@app.command()
def component(
    out: Annotated[Path, typer.Option("--out", help="The file to write; it must be new.")],
    usage: Annotated[KeyUsage, typer.Option(help="What the key will be for.")],
    algorithm: AlgorithmOption = None,
    device: DeviceOption = DEFAULT_DEVICE,
    pin_file: PinFileOption = None,
) -> None:
    """Make a random component for one custodian to carry away. 生成密钥分量。"""
    if out.exists():
        refuse(f"{out} exists already; name a new file", EXIT_USAGE)
    chosen = algorithm_name(algorithm, usage)
    with open_device(device, pin_file) as opened:
        value, shown = ceremony.make_component(opened, usage, chosen)
        write_private(out, f"{value.hex().upper()}\n{shown}\n")
        say(opened, f"Component 分量 in {out}, check value 检查值 {shown}")


@app.command()
def backup(
    out: Annotated[Path, typer.Option("--out", help="The file to write; it must be new.")],
    component: ComponentOption = None,
    typed_by: TypedByOption = None,
    expect: ExpectOption = None,
    device: DeviceOption = DEFAULT_DEVICE,
    pin_file: PinFileOption = None,
) -> None:
    """Write every key into a file under a backup key from components. 备份。"""
    if out.exists():
        refuse(f"{out} exists already; name a new file", EXIT_USAGE)
    usage = KeyUsage.TRANSPORT
    with open_device(device, pin_file) as opened:
        with opened.refusals_noted("backup"):
            components = gather_components(opened, usage, None, component, typed_by)
            expected = confirmed_check_value(components, usage, None, expect)
        document = transfer.backup(opened, components, expected)
        write_private(out, json.dumps(document, indent=1) + "\n")
        say(opened, f"{len(document['keys'])} keys in {out} 已备份")


@app.command()
def restore(
    path: Annotated[Path, typer.Argument(help="A file that `backup` wrote.")],
    component: ComponentOption = None,
    typed_by: TypedByOption = None,
    expect: ExpectOption = None,
    device: DeviceOption = DEFAULT_DEVICE,
    pin_file: PinFileOption = None,
) -> None:
    """Take every key of a backup into a new device. 恢复。"""
    try:
        document = json.loads(read_text(path, _BACKUP_BYTES_MAX))
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        refuse(f"{path}: not a backup that `onecard hsm ceremony backup` wrote", EXIT_USAGE)
    usage = KeyUsage.TRANSPORT
    with open_device(device, pin_file) as opened:
        with opened.refusals_noted("restore"):
            components = gather_components(opened, usage, None, component, typed_by)
            expected = confirmed_check_value(components, usage, None, expect)
        described = transfer.restore(opened, document, components, expected)
        say(
            opened,
            f"{len(described)} keys 已恢复; compare their check values with `onecard hsm keys`",
        )


@app.command("destroy-device")
def destroy_device(
    device_id: Annotated[
        str | None, typer.Option("--yes", metavar="DEVICE_ID", help="Say so without a question.")
    ] = None,
    device: DeviceOption = DEFAULT_DEVICE,
    pin_file: PinFileOption = None,
) -> None:
    """Destroy every key of a device; names and log stay. It cannot be undone. 销毁密钥设备。"""
    with open_device(device, pin_file) as opened:
        with opened.refusals_noted("destroy-device"):
            if device_id is None:
                confirm(
                    f"Destroy every key of device {opened.device_id} 销毁全部密钥?",
                    "--yes DEVICE_ID",
                )
            elif device_id != opened.device_id:
                raise DeviceError(f"this is device {opened.device_id}; nothing was destroyed")
        devices.destroy(opened)
        say(opened, f"Device 设备 {opened.device_id} is destroyed 已销毁; names and log stay")


@app.command()
def log(
    verify: Annotated[
        bool, typer.Option("--verify", help="Only prove it; with PINs, its seal as well. 核验。")
    ] = False,
    noted_head: Annotated[
        str | None, typer.Option("--head", metavar="HASH", help="A hash noted in the minutes.")
    ] = None,
    device: DeviceOption = DEFAULT_DEVICE,
    pin_file: PinFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Every attempt, each bound to the one before; tampering is found. 日志。"""
    fault = ""
    with named_refusals():
        device_id = look(device).device_id
        try:
            if pin_file:
                # Whoever opens the device has its seals proven under the storage key.
                devices.Device.open(device, given_pins(device, pin_file)).close()
            proof = prove_log(device, noted_head)
        except DeviceError as error:
            fault = str(error)
        lines = log_lines(device)
    if as_json:
        document = {"device": device_id, "holds": not fault, "fault": fault}
        if not fault:
            document |= {"count": proof.count, "sealed": proof.sealed_count, "head": proof.head}
        print_json(document if verify else {**document, "entries": lines})
    elif not verify:
        _print_log(lines)
    if fault:
        console_error.print(f"The log does not hold 日志不可信: {fault}", style="red", markup=False)
        raise typer.Exit(EXIT_REFUSED)
    if not as_json:
        console.print(
            f"{proof.count} entries hold 日志完整, {proof.sealed_count} of them sealed 已封; "
            f"last 末条 {proof.head}",
            highlight=False,
        )


def _print_log(lines: list[dict[str, object]]) -> None:
    """One line an entry; what an entry does not say is left out."""
    for line in lines:
        roles = line.get("roles")
        outcome = "done 完成" if line.get("outcome") == Outcome.DONE else "refused 拒绝"
        words = (
            f"{line.get('sequence', '?'):>4} {line.get('time', '?')}",
            f"{line.get('action', '?')} {outcome}",
            str(line.get("key", "")),
            str(line.get("check_value", "")),
            f"[{', '.join(map(str, roles))}]" if isinstance(roles, list) and roles else "",
            str(line.get("reason", "")),
        )
        console.print(
            "  ".join(word for word in words if word), highlight=False, markup=False, soft_wrap=True
        )
