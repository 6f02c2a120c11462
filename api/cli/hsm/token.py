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
    key_name,
    open_device,
    say,
)
from api.composition import open_settings_token
from api.output import refuse
from api.settings import KeyServiceKind, KeyServiceSettings
from cardcore.errors import KeyServiceUnavailableError
from hsm_sim.device.moving import fill_token


def to_token(
    token: Annotated[
        str, typer.Argument(metavar="LABEL@LIBRARY", help="A token and its PKCS#11 library.")
    ],
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY]...", help="tac/shenzhen/v1; else all.")
    ] = None,
    token_pin_file: Annotated[
        Path, typer.Option(help="File with the token's PIN, private. 令牌 PIN 文件。")
    ] = Path("token.pin"),
    device: DeviceOption = DEFAULT_DEVICE,
    pin_file: PinFileOption = None,
) -> None:
    """Put keys into a PKCS#11 token, to be used there and never taken out. 密钥装入令牌。

    Without names, every exportable key that a token can hold. The same again brings it up to date.
    """
    refs = [key_name(name) for name in names or []]
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
        say(opened, f"{len(held)} keys are in token {token} 已装入; compare their check values")
