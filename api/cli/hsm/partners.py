"""`onecard hsm import|export`: single keys on their way, from and to a partner's device.

Decides what is asked. Leaves every step to `hsm_sim.device.transfer`.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from api.cli.hsm.device import (
    DEFAULT_DEVICE,
    DeviceOption,
    ExpectOption,
    PinFileOption,
    open_device,
    read_text,
    refuse_to_overwrite,
    say,
    write_private,
)
from api.cli.hsm.keys import key_sentence
from api.cli.hsm.naming import key_name
from api.cli.hsm.terms import (
    ExportableOption,
    FirstDayOption,
    LastDayOption,
    LevelsOption,
    day_of,
)
from api.exits import EXIT_USAGE
from api.output import refuse
from cardcore.keys import KeyDescription, KeyRef
from cardcore.text import words
from hsm_sim.device import transfer
from hsm_sim.device.blocks.key_names import Arrival
from hsm_sim.device.blocks.tr31 import BLOCK_CHARACTERS_MAX

UnderOption = Annotated[
    str,
    typer.Option(
        "--under",
        metavar=words("密钥", "KEY"),
        help=words("传输密钥（ZMK）。", "The transport key (ZMK)."),
    ),
]


def import_(
    path: Annotated[
        Path,
        typer.Argument(
            help=words("含一个密钥块（TR-31）的文件。", "A file with one key block (TR-31).")
        ),
    ],
    under: UnderOption,
    name: Annotated[
        str,
        typer.Option(
            "--as",
            metavar=words("密钥", "KEY"),
            help=words(
                "密钥名，按对方的函件，例如 purchase/shenzhen/v2。",
                "Its name, by the partner's letter: purchase/shenzhen/v2, for example.",
            ),
        ),
    ],
    expect: ExpectOption = None,
    levels: LevelsOption = 1,
    exportable: ExportableOption = False,
    first_day: FirstDayOption = None,
    last_day: LastDayOption = None,
    parent: Annotated[
        str | None,
        typer.Option(
            metavar=words("密钥", "KEY"),
            help=words("由之分散的上级密钥。", "The key it was derived from."),
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            "--labelled",
            metavar=words("标签", "LABEL"),
            help=words("密钥块中的标签，若非密钥名。", "The label in it, if not its name."),
        ),
    ] = None,
    device: DeviceOption = DEFAULT_DEVICE,
    pin_file: PinFileOption = None,
) -> None:
    """What gives a right is said here, by the partner's letter, and never taken from the block. It
    arrives prepared.
    """
    transport, ref = key_name(under), key_name(name)
    above = None if parent is None else key_name(parent)
    said = Arrival(exportable, levels, day_of(first_day), day_of(last_day), above, label)
    expected = _asked_check_value(ref, expect)
    block = read_text(path, BLOCK_CHARACTERS_MAX + 2)
    with open_device(device, pin_file) as opened:
        described = transfer.import_block(opened, block, transport, ref, expected, said)
        activate = f"`onecard hsm ceremony activate {ref}`"
        say(
            opened,
            words(
                f"已导入 {key_sentence(described)}；启用：{activate}",
                f"Imported {key_sentence(described)}; to use it: {activate}",
            ),
        )


def _asked_check_value(ref: KeyRef, expected: str | None) -> str:
    """The check value that a key shall have, from the partner's letter."""
    if expected is not None:
        return expected
    if not sys.stdin.isatty():
        refuse(
            words(
                f"{ref}：须写明其检查值；请用 --expect KCV",
                f"{ref}: its check value must be said; say it with --expect KCV",
            ),
            EXIT_USAGE,
        )
    question = words(f"{ref} 的检查值（按对方的函件）", f"Check value of {ref}, by the letter")
    return str(typer.prompt(question, err=True))


def export(
    name: Annotated[
        str,
        typer.Argument(
            metavar="KEY",
            help=words("密钥名，例如 tac/shenzhen/v1。", "Its name: tac/shenzhen/v1, for example."),
        ),
    ],
    under: UnderOption,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            help=words("要写的文件；须尚不存在。", "The file to write; it must be new."),
        ),
    ],
    device: DeviceOption = DEFAULT_DEVICE,
    pin_file: PinFileOption = None,
) -> None:
    """Only a key that was made to leave, and only under a transport key."""
    ref, transport = key_name(name), key_name(under)
    if out.exists():
        refuse_to_overwrite(out)
    with open_device(device, pin_file) as opened:
        write_private(out, transfer.export_block(opened, ref, transport) + "\n")
        described = opened.vault.describe(ref)
        said, letter = key_sentence(described), _letter(described)
        say(
            opened,
            words(
                f"已导出到 {out}：{said}。请另函告知对方：`{letter}`",
                f"Exported to {out}: {said}. Tell the partner by a letter of its own: `{letter}`",
            ),
        )


def _letter(described: KeyDescription) -> str:
    """What the partner's custodians say when they take the key in."""
    said = {
        "--as": described.ref,
        "--expect": described.check_value,
        "--levels": described.levels if described.levels > 1 else None,
        "--from": described.valid_from,
        "--until": described.valid_to,
        "--parent": described.parent,
    }
    return " ".join(f"{option} {each}" for option, each in said.items() if each is not None)
