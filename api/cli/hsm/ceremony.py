"""`onecard hsm ceremony`: the device itself: made, its custodians, its log, its backup, its end.

Decides what is asked and shown. Leaves the life of keys to `life`, every judgement to
`hsm_sim.device`.
"""

import json
from pathlib import Path
from typing import Annotated

import typer

from api.cli.frame.loading import command, noun
from api.cli.hsm import life
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
    given_pins,
    new_pins,
    open_device,
    read_text,
    refuse_to_overwrite,
    say,
    write_private,
)
from api.cli.hsm.naming import algorithm_name
from api.cli.hsm.refusals import named_refusals
from api.composition import city_key_refs
from api.exits import EXIT_USAGE
from api.output import JsonOption, print_json, refuse
from api.output import say as tell
from api.production import Situation, refuse_in_production
from cardcore.keys import KeyUsage
from cardcore.schemes.catalogue import SCHEMES
from cardcore.text import Text, shorten, text_of, words
from hsm_sim.device import backups, ceremony
from hsm_sim.device import device as devices
from hsm_sim.device.errors import DeviceError
from hsm_sim.device.inspection import log_lines, look, prove_log
from hsm_sim.device.log import Outcome

ROLES = ("custodian-1", "custodian-2", "custodian-3")
_BACKUP_BYTES_MAX = 16 << 20

app = noun(Text("密钥仪式：双人控制。", "Ceremonies: two custodians at a time."))
life.add_commands(app)


@command(
    app,
    "init",
    Text(
        "新建一台设备；任意两名保管员即可打开。",
        "Make a device; any two of its custodians open it.",
    ),
)
def init(
    custodian: Annotated[
        list[str] | None,
        typer.Option(
            "--custodian",
            metavar=words("名称", "NAME"),
            help=words("保管员，二至九名；否则三名。", "A custodian, two to nine; else three."),
        ),
    ] = None,
    public_test_keys: Annotated[
        str | None,
        typer.Option(
            metavar=words("规则", "SCHEME"),
            help=words(
                "装入一座城市的公开测试密钥。", "Fill it with the public test keys of a city."
            ),
        ),
    ] = None,
    device: DeviceOption = DEFAULT_DEVICE,
    pin_file: PinFileOption = None,
) -> None:
    """The folder is looked at before a PIN is typed."""
    if public_test_keys is not None and public_test_keys not in SCHEMES:
        named = shorten(public_test_keys)
        refuse(
            words(
                f"--public-test-keys：没有方案 {named}；有 {'、'.join(SCHEMES)}",
                f"--public-test-keys: no scheme {named}; there are {', '.join(SCHEMES)}",
            ),
            EXIT_USAGE,
        )
    refuse_in_production(Situation(is_demonstration=public_test_keys is not None))
    roles = list(custodian or ROLES)
    if len(set(roles)) < len(roles):
        refuse(
            words(
                "--custodian：有一名保管员写了两次；每名须有自己的名称",
                "--custodian: one custodian is named twice; each needs a name of his own",
            ),
            EXIT_USAGE,
        )
    with named_refusals():
        devices.check_folder(device)
        pins = new_pins(roles, pin_file)
        refuse_in_production(Situation(pins=pins))
        made = devices.Device.create(device, pins, is_demonstration=public_test_keys is not None)
        if public_test_keys is not None:
            ceremony.take_public_test_keys(made, city_key_refs(SCHEMES[public_test_keys]))
            count = len(made.vault.refs())
            tell(
                words(
                    f"{count} 把公开测试密钥，人人可算出，仅供演示",
                    f"{count} public test keys, which anybody can compute: for demonstrations only",
                )
            )
        say(
            made,
            words(
                f"设备 {made.device_id}，目录 {device}；保管员 {'、'.join(roles)}",
                f"Device {made.device_id} in {device}; custodians {', '.join(roles)}",
            ),
        )
        made.close()


@command(
    app,
    "new-pin",
    Text(
        "给一名保管员新的 PIN 并解锁；由另两名担保。",
        "Give a custodian a new PIN; unlocks him. Two others vouch.",
    ),
)
def new_pin(
    role: Annotated[
        str,
        typer.Argument(metavar="CUSTODIAN", help=words("谁得到新 PIN。", "Who gets the new PIN.")),
    ],
    new_pin_file: Annotated[
        str | None,
        typer.Option(
            metavar=words("名称=路径", "NAME=PATH"),
            help=words("从文件取新 PIN。", "The new PIN from a file."),
        ),
    ] = None,
    device: DeviceOption = DEFAULT_DEVICE,
    pin_file: PinFileOption = None,
) -> None:
    """His wrong tries are forgotten."""
    with open_device(device, pin_file) as opened:
        pins = new_pins([role], None if new_pin_file is None else [new_pin_file])
        ceremony.give_pin(opened, role, pins[role])
        say(
            opened,
            words(
                f"{role} 已有新 PIN，未锁定；存储密钥已更换：请重新启动 `onecard hsm serve`；"
                "传输密钥已退役，此前的分量不再可用：请以新分量重作备份：`onecard hsm ceremony "
                "backup`",
                f"{role} has a new PIN and is not locked; the storage key is a new one: start "
                "`onecard hsm serve` again. Transport keys retire and components of before are "
                "good for nothing new: make a backup under new ones, `onecard hsm ceremony backup`",
            ),
        )


@command(
    app,
    "component",
    Text(
        "生成一个随机分量，由一名保管员带走。",
        "Make a random component for one custodian to carry away.",
    ),
)
def component(
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            help=words("要写的文件；须尚不存在。", "The file to write; it must be new."),
        ),
    ],
    usage: Annotated[
        KeyUsage,
        typer.Option(
            metavar=words("用途", "USAGE"),
            help=words(
                "密钥的用途，例如 tac、load、transport。",
                "What the key will be for: tac, load, transport, for example.",
            ),
        ),
    ],
    algorithm: AlgorithmOption = None,
    device: DeviceOption = DEFAULT_DEVICE,
    pin_file: PinFileOption = None,
) -> None:
    """Digits and their check value, in a file for its owner alone."""
    if out.exists():
        refuse_to_overwrite(out)
    chosen = algorithm_name(algorithm, usage)
    with open_device(device, pin_file) as opened:
        value, shown = ceremony.make_component(opened, usage, chosen)
        write_private(out, f"{value.hex().upper()}\n{shown}\n")
        say(
            opened,
            words(f"分量在 {out}，检查值 {shown}", f"Component in {out}, check value {shown}"),
        )


@command(
    app,
    "backup",
    Text(
        "把全部密钥写入一个文件，由分量合成的备份密钥保护。",
        "Write every key into a file under a backup key from components.",
    ),
)
def backup(
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            help=words("要写的文件；须尚不存在。", "The file to write; it must be new."),
        ),
    ],
    component: ComponentOption = None,
    typed_by: TypedByOption = None,
    expect: ExpectOption = None,
    device: DeviceOption = DEFAULT_DEVICE,
    pin_file: PinFileOption = None,
) -> None:
    """The backup key is in no device."""
    if out.exists():
        refuse_to_overwrite(out)
    usage = KeyUsage.TRANSPORT
    with open_device(device, pin_file) as opened:
        with opened.refusals_noted("backup"):
            components = gather_components(opened, usage, None, component, typed_by)
            expected = confirmed_check_value(components, usage, None, expect)
        document = backups.backup(opened, components, expected)
        write_private(out, json.dumps(document, indent=1) + "\n")
        count = len(document["keys"])
        say(opened, words(f"{count} 把密钥已备份到 {out}", f"{count} keys in {out}"))


@command(
    app,
    "restore",
    Text("把备份中的全部密钥装入新设备。", "Take every key of a backup into a new device."),
)
def restore(
    path: Annotated[
        Path, typer.Argument(help=words("`backup` 写的文件。", "A file that `backup` wrote."))
    ],
    component: ComponentOption = None,
    typed_by: TypedByOption = None,
    expect: ExpectOption = None,
    device: DeviceOption = DEFAULT_DEVICE,
    pin_file: PinFileOption = None,
) -> None:
    """States and days come with the keys."""
    try:
        document = json.loads(read_text(path, _BACKUP_BYTES_MAX))
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        refuse(
            words(
                f"{path}：不是 `onecard hsm ceremony backup` 写的备份；请另指文件",
                f"{path}: not a backup that `onecard hsm ceremony backup` wrote; name another file",
            ),
            EXIT_USAGE,
        )
    usage = KeyUsage.TRANSPORT
    with open_device(device, pin_file) as opened:
        with opened.refusals_noted("restore"):
            components = gather_components(opened, usage, None, component, typed_by)
            expected = confirmed_check_value(components, usage, None, expect)
        described = backups.restore(opened, document, components, expected)
        say(
            opened,
            words(
                f"已恢复 {len(described)} 把密钥；请与 `onecard hsm keys` 核对检查值",
                f"{len(described)} keys restored; compare their check values with "
                "`onecard hsm keys`",
            ),
        )


@command(
    app,
    "destroy-device",
    Text(
        "销毁设备中的全部密钥；名称和日志保留。不可撤销。",
        "Destroy every key of a device; names and log stay. It cannot be undone.",
    ),
)
def destroy_device(
    device_id: Annotated[
        str | None,
        typer.Option(
            "--yes",
            metavar=words("设备编号", "DEVICE_ID"),
            help=words("写明设备号即不再询问。", "Say so without a question."),
        ),
    ] = None,
    device: DeviceOption = DEFAULT_DEVICE,
    pin_file: PinFileOption = None,
) -> None:
    """Whoever means it says which device he means."""
    with open_device(device, pin_file) as opened:
        with opened.refusals_noted("destroy-device"):
            if device_id is None:
                confirm(
                    Text(
                        f"销毁设备 {opened.device_id} 的全部密钥？",
                        f"Destroy every key of device {opened.device_id}?",
                    ),
                    Text("--yes 设备编号", "--yes DEVICE_ID"),
                )
            elif device_id != opened.device_id:
                raise DeviceError(
                    Text(
                        f"这是设备 {opened.device_id}；未销毁任何密钥；若是它：--yes "
                        f"{opened.device_id}",
                        f"this is device {opened.device_id}; nothing was destroyed; if it is the "
                        f"one meant: --yes {opened.device_id}",
                    )
                )
        devices.destroy(opened)
        say(
            opened,
            words(
                f"设备 {opened.device_id} 已销毁；名称和日志保留",
                f"Device {opened.device_id} is destroyed; names and log stay",
            ),
        )


@command(
    app,
    "log",
    Text(
        "每次操作的日志，条条相连；改动即被发现。",
        "Every attempt, each bound to the one before; tampering is found.",
    ),
)
def log(
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help=words(
                "只核验；给出 PIN 则连封印一并核验。", "Only prove it; with PINs, its seal as well."
            ),
        ),
    ] = False,
    noted_head: Annotated[
        str | None,
        typer.Option(
            "--head",
            metavar=words("哈希", "HASH"),
            help=words("会议纪要中记下的哈希。", "A hash noted in the minutes."),
        ),
    ] = None,
    device: DeviceOption = DEFAULT_DEVICE,
    pin_file: PinFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """What was written is shown whether it holds or not; reasons stand in it in English."""
    fault: Text | None = None
    with named_refusals():
        device_id = look(device).device_id
        try:
            if pin_file:
                # Whoever opens the device has its seals proven under the storage key.
                pins = given_pins(device, pin_file)
                devices.Device.open(device, pins).close()
            proof = prove_log(device, noted_head)
        except DeviceError as error:
            fault = text_of(error)
        lines = log_lines(device)
    if as_json:
        document = {
            "device": device_id,
            "holds": fault is None,
            "fault": "" if fault is None else fault.en,
        }
        if fault is None:
            document |= {"count": proof.count, "sealed": proof.sealed_count, "head": proof.head}
        print_json(document if verify else {**document, "entries": lines})
    elif not verify:
        _print_log(lines)
    if fault is not None:
        refuse(
            words(
                f"日志不可信：{fault.zh}。请与会议纪要所记核对，并从副本恢复设备目录",
                f"The log does not hold: {fault.en}. Compare it with the minutes, and restore the "
                "device's folder from a copy",
            )
        )
    if not as_json:
        tell(
            words(
                f"日志完整：{proof.count} 条，其中 {proof.sealed_count} 条已封；末条 {proof.head}",
                f"{proof.count} entries hold, {proof.sealed_count} of them sealed; "
                f"last {proof.head}",
            )
        )


def _print_log(lines: list[dict[str, object]]) -> None:
    """One line an entry; what an entry does not say is left out."""
    for line in lines:
        roles = line.get("roles")
        is_done = line.get("outcome") == Outcome.DONE
        outcome = words("完成", "done") if is_done else words("拒绝", "refused")
        reason = str(line.get("reason", ""))
        parts = (
            f"{line.get('sequence', '?'):>4} {line.get('time', '?')}",
            f"{line.get('action', '?')} {outcome}",
            str(line.get("key", "")),
            str(line.get("check_value", "")),
            f"[{', '.join(map(str, roles))}]" if isinstance(roles, list) and roles else "",
            # A sealed record: its words are shown as they were written.
            words(f"原文 `{reason}`", reason) if reason else "",
        )
        tell("  ".join(part for part in parts if part))
