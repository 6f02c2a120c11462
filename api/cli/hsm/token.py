"""`onecard hsm to-token`: the keys of a device into a PKCS#11 token.

Decides nothing: who may is the device's custody, what goes is `hsm_sim.device.moving`.
"""

from pathlib import Path
from typing import Annotated

import typer

from api.cli.hsm.device import (
    DEFAULT_DEVICE,
    DeviceOption,
    PinFileOption,
    open_device,
    say,
)
from api.cli.hsm.naming import key_name
from api.composition import open_settings_token
from api.exits import EXIT_USAGE
from api.output import refuse
from api.settings import KeyServiceKind, KeyServiceSettings
from cardcore.errors import KeyServiceUnavailableError
from cardcore.text import shorten, words
from hsm_sim.device.moving import fill_token


def to_token(
    token: Annotated[
        str,
        typer.Argument(
            metavar="LABEL@LIBRARY",
            help=words("令牌及其 PKCS#11 库。", "A token and its PKCS#11 library."),
        ),
    ],
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY]...",
            help=words(
                "密钥名，例如 tac/shenzhen/v1；否则全部。",
                "Names of keys, tac/shenzhen/v1 for example; else all.",
            ),
        ),
    ] = None,
    token_pin_file: Annotated[
        Path,
        typer.Option(
            help=words("令牌 PIN 的文件，仅本人可读。", "File with the token's PIN, private.")
        ),
    ] = Path("token.pin"),
    device: DeviceOption = DEFAULT_DEVICE,
    pin_file: PinFileOption = None,
) -> None:
    """What goes where is the device's to say."""
    refs = [key_name(name) for name in names or []]
    if "@" not in token:
        named, example = shorten(token), "`onecard hsm to-token onecard@libsofthsm2.so`"
        refuse(
            words(
                f"LABEL@LIBRARY：{named} 不是；例如 {example}",
                f"LABEL@LIBRARY: {named} is none; for example {example}",
            ),
            EXIT_USAGE,
        )
    with open_device(device, pin_file) as opened:
        chosen = KeyServiceSettings(KeyServiceKind.PKCS11, token, pin_file=token_pin_file)
        try:
            masters = open_settings_token(chosen)
            try:
                held = fill_token(opened, masters, refs)
            finally:
                masters.close()
        except KeyServiceUnavailableError as error:
            refuse(str(error))
        say(
            opened,
            words(
                f"令牌 {token} 中有 {len(held)} 把密钥；请与 `onecard hsm keys` 核对检查值",
                f"{len(held)} keys are in token {token}; compare their check values with "
                "`onecard hsm keys`",
            ),
        )
