"""Opening a device at a terminal: PINs and components without echo, or from files.

Decides how secrets come in and what is asked before a step. Leaves every judgement to
`hsm_sim.device`. Nothing secret is ever an argument of a command: those stand in the history of a
shell and in the list of processes. No PIN is read before the process is hardened.
"""

import getpass
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from api.exits import EXIT_USAGE
from api.output import console, console_error, refuse
from api.settings import Environment, SettingsRefusedError, read_environment
from cardcore.errors import KeyServiceError
from cardcore.keys import Algorithm, Key, KeyRef, KeyUsage
from hsm_sim.device.blocks.components import (
    COMPONENTS_MIN,
    combine,
    component_check_value,
    prove_component,
    read_component,
)
from hsm_sim.device.blocks.key_names import KeyNameError, read_name
from hsm_sim.device.custody import OPENING_CUSTODIANS
from hsm_sim.device.device import Device
from hsm_sim.device.errors import CeremonyError
from hsm_sim.device.inspection import look
from hsm_sim.device.log import HEAD_DIGITS_MIN
from hsm_sim.hardening import harden_process
from hsm_sim.keys.masters import LEVELS_MAX
from hsm_sim.keys.published_keys import published_descriptions
from hsm_sim.keys.vault import check_value, key_algorithms

DEFAULT_DEVICE = Path("onecard-device")
_FILE_BYTES_MAX = 1024
_PRIVATE = 0o600
DeviceOption = Annotated[
    Path, typer.Option("--device", help="Folder of one device. 密钥设备目录。")
]
PinFileOption = Annotated[
    list[str] | None,
    typer.Option(
        "--pin-file", metavar="NAME=PATH", help="A custodian's PIN from a file. 保管员 PIN 文件。"
    ),
]
ComponentOption = Annotated[
    list[str] | None,
    typer.Option(
        "--component",
        metavar="NAME=PATH",
        help="A custodian's component from a file: digits, then its check value. 密钥分量文件。",
    ),
]
TypedByOption = Annotated[
    list[str] | None,
    typer.Option(
        "--typed-by", metavar="NAME", help="Who types a component; else the two who opened."
    ),
]
ExpectOption = Annotated[
    str | None,
    typer.Option("--expect", metavar="KCV", help="The key's check value; else it is asked for."),
]
AlgorithmOption = Annotated[
    str | None,
    typer.Option(
        "--algorithm", help="pboc-3des, sm4, aes, ed25519 or sm2; else the usual one. 算法。"
    ),
]
LevelsOption = Annotated[
    int,
    typer.Option(
        "--levels",
        min=1,
        max=LEVELS_MAX,
        help="From it to a card's key: 1 an issuer's master, 2 the scheme's. 分散级数。",
    ),
]


@contextmanager
def named_refusals() -> Iterator[None]:
    """What the device refuses is said in a sentence, and the command ends."""
    try:
        yield
    except KeyServiceError as error:
        refuse(str(error))


@contextmanager
def open_device(path: Path, pin_files: list[str] | None) -> Iterator[Device]:
    """The device in a folder, opened by two custodians. Production refuses public test keys."""
    with named_refusals():
        device = Device.open(path, given_pins(path, pin_files))
        try:
            refuse_public_keys(device)
            yield device
        finally:
            device.close()


def refuse_public_keys(device: Device) -> None:
    """Production works with no key that anybody can compute."""
    if read_environment() is not Environment.PRODUCTION:
        return
    if device.is_demonstration or published_descriptions(device.vault.descriptions()):
        raise SettingsRefusedError(
            f"production refuses device {device.device_id}: it holds public test keys, which "
            "anybody can compute. Make another one and load real keys."
        )


def key_name(text: str) -> KeyRef:
    """The name of a key; anything else ends the command with usage."""
    try:
        return read_name(text)
    except KeyNameError as error:
        refuse(str(error), EXIT_USAGE)


def algorithm_name(text: str | None, usage: KeyUsage) -> Algorithm | None:
    """An algorithm as people write it: `pboc-3des` for PBOC_3DES."""
    if text is None:
        return None
    allowed = {algorithm_text(each): each for each in key_algorithms(usage)}
    if text.lower() not in allowed:
        refuse(f"a {usage} key may be {', '.join(allowed)}, not {text!r}", EXIT_USAGE)
    return allowed[text.lower()]


def algorithm_text(algorithm: Algorithm) -> str:
    """The other way."""
    return algorithm.name.lower().replace("_", "-")


def new_pins(roles: list[str], pin_files: list[str] | None) -> dict[str, bytes]:
    """First PINs of custodians, each typed twice unless it comes from a file."""
    harden_process()
    pins = _read_files(pin_files)
    for role in roles:
        if role not in pins:
            first = ask_secret(f"New PIN of {role} 新 PIN: ", "--pin-file NAME=PATH")
            if ask_secret("The same again 再次输入: ", "--pin-file NAME=PATH") != first:
                refuse(f"{role}: the two differ; nothing was changed", EXIT_USAGE)
            pins[role] = first.encode()
    strangers = set(pins) - set(roles)
    if strangers:
        refuse(f"{', '.join(sorted(strangers))}: not among the custodians named", EXIT_USAGE)
    return {role: pins[role] for role in roles}


def gather_components(
    device: Device,
    usage: KeyUsage,
    algorithm: Algorithm | None,
    files: list[str] | None,
    typed_by: list[str] | None,
) -> dict[str, bytes]:
    """Components by role, from files and from whoever types; each one's check value is shown."""
    components = {}
    for role, content in _read_files(files, whole=True).items():
        text, _, stated = content.decode("ascii", "replace").strip().partition("\n")
        components[role] = _shown_component(role, text, usage, algorithm, stated.strip())
    typists = typed_by or ([] if files else list(device.roles))
    for role in typists:
        if role in components:
            raise CeremonyError(f"{role}: a custodian brings one component")
        text = ask_secret(f"Component of {role} 密钥分量: ", "--component NAME=PATH")
        components[role] = _shown_component(role, text, usage, algorithm, "")
        confirm("Is that the check value on the sheet 与分量信封上的检查值一致吗?")
    if len(components) < COMPONENTS_MIN:
        raise CeremonyError(f"components of {COMPONENTS_MIN} custodians at least make a key")
    return components


def confirmed_check_value(
    components: Mapping[str, bytes],
    usage: KeyUsage,
    algorithm: Algorithm | None,
    expected: str | None,
) -> str:
    """The check value of the key that components make, as expected or as somebody confirms."""
    shown = check_value(Key(usage, combine(list(components.values()), usage)), algorithm)
    console_error.print(f"key 密钥  check value 检查值 {shown}", highlight=False)
    if expected is not None:
        return expected
    confirm("Is that the key's check value 密钥检查值是否正确?", "--expect KCV")
    return shown


def confirm(question: str, otherwise: str = "") -> None:
    """Go on after a typed yes only."""
    if not sys.stdin.isatty():
        refuse(f"{question} Say it with {otherwise}; there is no terminal to ask at", EXIT_USAGE)
    if not typer.confirm(question, err=True):
        raise CeremonyError("not confirmed; nothing was changed")


def ask_secret(prompt: str, otherwise: str) -> str:
    """Something typed without echo; without a terminal the command ends with usage."""
    if not sys.stdin.isatty():
        refuse(
            f"{prompt}is typed at a terminal, and there is none; give a file with {otherwise}",
            EXIT_USAGE,
        )
    with warnings.catch_warnings():
        # Where echo cannot be switched off, nothing is typed at all.
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return getpass.getpass(prompt)
        except getpass.GetPassWarning:
            refuse(f"this terminal cannot hide what is typed; use {otherwise}", EXIT_USAGE)


def write_private(path: Path, text: str) -> None:
    """A file for its owner alone; one that exists is left as it is, and none is left half."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, _PRIVATE)
    except FileExistsError:
        refuse(f"{path} exists already; name a new file", EXIT_USAGE)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink()
        raise


def read_text(path: Path, bytes_max: int) -> str:
    """A file's text; one that cannot be read ends the command."""
    try:
        with path.open("rb") as file:
            text = file.read(bytes_max + 1).decode("utf-8")
    except (OSError, UnicodeDecodeError):
        refuse(f"{path}: no file that can be read as text", EXIT_USAGE)
    if len(text.encode()) > bytes_max:
        refuse(f"{path}: longer than {bytes_max} bytes", EXIT_USAGE)
    return text


def say(device: Device, sentence: str) -> None:
    """What was done, and the end of the log for the minutes (会议纪要)."""
    console.print(sentence, highlight=False, markup=False, soft_wrap=True)
    count, head = device.log_head
    console.print(
        f"log 日志 {count}, {head[:HEAD_DIGITS_MIN]}: note it in the minutes 请记入纪要",
        style="dim",
        highlight=False,
    )


def given_pins(path: Path, pin_files: list[str] | None) -> dict[str, bytes]:
    """PINs of two custodians. Whoever comes alone, or twice, is refused by the device itself."""
    harden_process()
    pins = _read_files(pin_files)
    custody = look(path).custody
    if len(pins) >= OPENING_CUSTODIANS or custody is None:
        return pins
    if not sys.stdin.isatty() and pins:
        return pins
    names = ", ".join(each.role for each in custody.custodians)
    for _ in range(OPENING_CUSTODIANS - len(pins)):
        if sys.stdin.isatty():
            role = typer.prompt(f"Custodian 保管员 ({names})", err=True)
        else:
            role = "a custodian"
        pins[role] = ask_secret(f"PIN of {role}: ", "--pin-file NAME=PATH, twice").encode()
    return pins


def _shown_component(
    role: str, text: str, usage: KeyUsage, algorithm: Algorithm | None, stated: str
) -> bytes:
    value = read_component(text, usage)
    shown = component_check_value(value, usage, algorithm)
    console_error.print(
        f"{role}: component 分量  check value 检查值 {shown}", highlight=False, markup=False
    )
    if stated:
        prove_component(value, stated, usage, algorithm)
    return value


def _read_files(values: list[str] | None, *, whole: bool = False) -> dict[str, bytes]:
    """What stands in files given as NAME=PATH: the first line, or all of it."""
    found: dict[str, bytes] = {}
    for value in values or []:
        role, separator, path = value.partition("=")
        if not separator or not role or not path:
            # The value is not repeated: it may be what should have stood in the file.
            refuse("a custodian's file is given as NAME=PATH", EXIT_USAGE)
        content = _read_private(Path(path)).encode()
        content = content if whole else content.partition(b"\n")[0].rstrip(b"\r")
        if found.setdefault(role, content) != content:
            raise CeremonyError(f"{role}: two different files are given for one custodian")
    return found


def _read_private(path: Path) -> str:
    """A file with a secret in it; one that others may read ends the command."""
    text = read_text(path, _FILE_BYTES_MAX)
    if path.stat().st_mode & 0o077:
        refuse(f"{path}: others may read it; take that away with chmod 600", EXIT_USAGE)
    return text
