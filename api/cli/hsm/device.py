"""Opening a device at a terminal: PINs and components without echo, or from files.

Decides how secrets come in and what is asked before a step. Leaves every judgement to
`hsm_sim.device`. Nothing secret is ever an argument of a command: those stand in the history of a
shell and in the list of processes. No PIN is read before the process is hardened.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from api import output
from api.cli.frame.secrets import ask_secret
from api.cli.hsm.refusals import named_refusals
from api.exits import EXIT_USAGE
from api.output import console_error, refuse
from api.production import Situation, refuse_in_production
from cardcore.keys import Algorithm, Key, KeyUsage
from cardcore.text import Text, shorten, words
from hsm_sim.device.blocks.components import (
    COMPONENTS_MIN,
    combine,
    component_check_value,
    prove_component,
    read_component,
)
from hsm_sim.device.custodians.custody import OPENING_CUSTODIANS
from hsm_sim.device.device import Device
from hsm_sim.device.errors import CeremonyError
from hsm_sim.device.inspection import look
from hsm_sim.device.log import HEAD_DIGITS_MIN
from hsm_sim.hardening import harden_process
from hsm_sim.keys.published_keys import published_descriptions
from hsm_sim.keys.vault import check_value

DEFAULT_DEVICE = Path("onecard-device")
_FILE_BYTES_MAX = 1024
_PRIVATE = 0o600
_PIN_FILE = Text("--pin-file 名称=路径", "--pin-file NAME=PATH")
_COMPONENT = Text("--component 名称=路径", "--component NAME=PATH")
DeviceOption = Annotated[
    Path, typer.Option("--device", help=words("一台密钥设备的目录。", "Folder of one device."))
]
PinFileOption = Annotated[
    list[str] | None,
    typer.Option(
        "--pin-file",
        metavar=words("名称=路径", "NAME=PATH"),
        help=words(
            "从文件取一名保管员的 PIN；可多次。", "A custodian's PIN from a file; may be repeated."
        ),
    ),
]
ComponentOption = Annotated[
    list[str] | None,
    typer.Option(
        "--component",
        metavar=words("名称=路径", "NAME=PATH"),
        help=words(
            "从文件取一名保管员的密钥分量：先是数字，再是其检查值；可多次。",
            "A custodian's component from a file: digits, then its check value; may be repeated.",
        ),
    ),
]
TypedByOption = Annotated[
    list[str] | None,
    typer.Option(
        "--typed-by",
        metavar=words("名称", "NAME"),
        help=words(
            "由谁键入分量；否则是打开设备的两名保管员。",
            "Who types a component; else the two who opened.",
        ),
    ),
]
ExpectOption = Annotated[
    str | None,
    typer.Option(
        "--expect",
        metavar="KCV",
        help=words("密钥的检查值；否则会询问。", "The key's check value; else it is asked for."),
    ),
]
AlgorithmOption = Annotated[
    str | None,
    typer.Option(
        "--algorithm",
        metavar=words("名称", "NAME"),
        help=words(
            "算法：pboc-3des、sm4、aes、ed25519 或 sm2；否则取该用途惯用的。",
            "The algorithm: pboc-3des, sm4, aes, ed25519 or sm2; else the usual one.",
        ),
    ),
]


@contextmanager
def open_device(path: Path, pin_files: list[str] | None) -> Iterator[Device]:
    """The device in a folder, opened by two custodians; production looks at it first. Keys that are
    shared or weak are refused to who serves, not to the ceremony that replaces them.
    """
    with named_refusals():
        pins = given_pins(path, pin_files)
        seen = look(path)
        demonstrates = seen.is_demonstration or bool(
            published_descriptions(each.description for each in seen.keys)
        )
        refuse_in_production(Situation(is_demonstration=demonstrates, folder=path))
        refuse_in_production(Situation(pins=pins))
        device = Device.open(path, pins)
        try:
            yield device
        finally:
            device.close()


def new_pins(roles: list[str], pin_files: list[str] | None) -> dict[str, bytes]:
    """First PINs of custodians, each typed twice unless it comes from a file."""
    harden_process()
    pins = _read_files(pin_files)
    for role in roles:
        if role not in pins:
            first = ask_secret(Text(f"{role} 的新 PIN", f"New PIN of {role}"), _PIN_FILE)
            again = Text("再次输入", "The same again")
            if ask_secret(again, _PIN_FILE) != first:
                refuse(
                    words(
                        f"{role}：两次输入不同；未作任何更改，请重新执行",
                        f"{role}: the two differ; nothing was changed, give the command again",
                    ),
                    EXIT_USAGE,
                )
            pins[role] = first.encode()
    strangers = set(pins) - set(roles)
    if strangers:
        named = shorten(", ".join(sorted(strangers)))
        refuse(
            words(
                f"--pin-file：{named} 不在所列保管员之中：{'、'.join(roles)}",
                f"--pin-file: {named}: not among the custodians named: {', '.join(roles)}",
            ),
            EXIT_USAGE,
        )
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
            raise CeremonyError(
                Text(
                    f"{role}：一名保管员只带一个分量；请从 --typed-by 或 --component 中去掉",
                    f"{role}: a custodian brings one component; leave out one of --typed-by and "
                    "--component",
                )
            )
        asked = Text(f"{role} 的密钥分量", f"Component of {role}")
        text = ask_secret(asked, _COMPONENT)
        components[role] = _shown_component(role, text, usage, algorithm, "")
        confirm(
            Text("与分量信封上的检查值一致吗？", "Is that the check value on the sheet?"),
            _COMPONENT,
        )
    if len(components) < COMPONENTS_MIN:
        raise CeremonyError(
            Text(
                f"密钥至少须由 {COMPONENTS_MIN} 名保管员的分量合成；请每人一次 --component 或 "
                "--typed-by",
                f"components of {COMPONENTS_MIN} custodians at least make a key; say --component "
                "or --typed-by once for each",
            )
        )
    return components


def confirmed_check_value(
    components: Mapping[str, bytes],
    usage: KeyUsage,
    algorithm: Algorithm | None,
    expected: str | None,
) -> str:
    """The check value of the key that components make, as expected or as somebody confirms."""
    key = combine(list(components.values()), usage, algorithm, takes_published=True)
    shown = check_value(Key(usage, key), algorithm)
    _show(words(f"密钥：检查值 {shown}", f"key: check value {shown}"))
    if expected is not None:
        return expected
    confirm(Text("密钥检查值正确吗？", "Is that the key's check value?"), "--expect KCV")
    return shown


def confirm(question: Text, otherwise: Text | str) -> None:
    """Go on after a typed yes only."""
    if not sys.stdin.isatty():
        refuse(
            words(
                f"{question.zh} 没有终端可问；请用 {otherwise} 写明",
                f"{question.en} There is no terminal to ask at; say it with {otherwise}",
            ),
            EXIT_USAGE,
        )
    answer = typer.prompt(f"{question} [y/N]", default="n", show_default=False, err=True)
    if answer.strip().lower() not in {"y", "yes", "是"}:
        raise CeremonyError(
            Text(
                "未确认；未作任何更改；要做就重复此命令并答 y",
                "not confirmed; nothing was changed; to do it, repeat the command and say y",
            )
        )


def refuse_to_overwrite(path: Path) -> NoReturn:
    """A file that exists is left as it is."""
    refuse(
        words(
            f"{path} 已存在；请用 --out 另起一个文件",
            f"{path} exists already; name a new file with --out",
        ),
        EXIT_USAGE,
    )


def write_private(path: Path, text: str) -> None:
    """A file for its owner alone; one that exists is left as it is, and none is left half."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, _PRIVATE)
    except FileExistsError:
        refuse_to_overwrite(path)
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
        refuse(
            words(
                f"{path}：不是可读的文本文件；`ls` 看看文件名",
                f"{path}: no file that can be read as text; look at its name with `ls`",
            ),
            EXIT_USAGE,
        )
    if len(text.encode()) > bytes_max:
        refuse(
            words(
                f"{path}：超过 {bytes_max} 字节，不是所要的文件；请另指一个",
                f"{path}: longer than {bytes_max} bytes, so not the file meant; name another",
            ),
            EXIT_USAGE,
        )
    return text


def say(device: Device, sentence: str) -> None:
    """What was done, and the end of the log for the minutes (会议纪要)."""
    output.say(sentence)
    count, head = device.log_head
    noted = head[:HEAD_DIGITS_MIN]
    output.say(
        words(
            f"日志第 {count} 条，{noted}：请记入会议纪要",
            f"log entry {count}, {noted}: note it in the minutes",
        ),
        style="dim",
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
            role = typer.prompt(words(f"保管员（{names}）", f"Custodian ({names})"), err=True)
        else:
            role = words("保管员", "a custodian")
        asked = Text(f"{role} 的 PIN", f"PIN of {role}")
        pins[role] = ask_secret(asked, f"{_PIN_FILE} {_PIN_FILE}").encode()
    return pins


def _show(line: str) -> None:
    """Beside a question, on standard error."""
    console_error.print(line, highlight=False, markup=False, soft_wrap=True)


def _shown_component(
    role: str, text: str, usage: KeyUsage, algorithm: Algorithm | None, stated: str
) -> bytes:
    value = read_component(text, usage)
    shown = component_check_value(value, usage, algorithm)
    _show(words(f"{role}：分量检查值 {shown}", f"{role}: component, check value {shown}"))
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
            refuse(
                words(
                    "保管员的文件须写成 名称=路径（--pin-file、--component）",
                    "a custodian's file is given as NAME=PATH (--pin-file, --component)",
                ),
                EXIT_USAGE,
            )
        content = _read_private(Path(path)).encode()
        content = content if whole else content.partition(b"\n")[0].rstrip(b"\r")
        if found.setdefault(role, content) != content:
            raise CeremonyError(
                Text(
                    f"{role}：为同一保管员给了两个不同的文件；请只给一个",
                    f"{role}: two different files are given for one custodian; give one",
                )
            )
    return found


def _read_private(path: Path) -> str:
    """A file with a secret in it; one that others may read ends the command."""
    text = read_text(path, _FILE_BYTES_MAX)
    if path.stat().st_mode & 0o077:
        refuse(
            words(
                f"{path}：他人可读；请用 chmod 600 收回权限",
                f"{path}: others may read it; take that away with chmod 600",
            ),
            EXIT_USAGE,
        )
    return text
