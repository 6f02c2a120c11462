"""`onecard doctor`: is everything here that the engine needs? Each line has its remedy.

Decides what is needed and what only helps: without readers and fonts a city is cleared all the
same, so their absence is told and fails nothing.
"""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

from api.cli.hsm.production import Finding, examine_for_production
from api.composition import open_city_keys
from api.exits import EXIT_REFUSED, EXIT_USAGE
from api.output import (
    DEFAULT_DATA,
    CsvOption,
    DataOption,
    JsonOption,
    complain,
    print_json,
    print_table,
    refuse,
    say,
)
from api.settings import KeyServiceKind, Settings, SettingsRefusedError, read_settings
from api.tables import Column, Table
from cardcore.errors import KeyRightError, KeyServiceUnavailableError
from cardcore.schemes.catalogue import SCHEMES
from cardcore.text import Text, text_of, words
from settlement.city import open_city
from settlement.errors import CityError
from terminals.link.pcsc import ReaderService
from terminals.link.reader_faults import ReaderError

SCHEME = SCHEMES["demo"]

_RESTORE = Text(
    "数据库已损坏：由备份恢复该目录", "the database is damaged: restore the folder from a copy"
)
_LIBRARIES = ("cryptography", "duckdb", "numpy", "sqlalchemy", "alembic", "typer", "rich")
_FREE_BYTES_MIN = 1 << 30
#: Journals need STRICT tables and WAL.
_SQLITE_MIN = (3, 37, 0)
#: How long the list of fonts may take: a first call builds its cache.
_FONTS_TIMEOUT_SECONDS = 10
_PYTHON_REMEDY = Text("安装 Python 3.11 或更新版本", "install Python 3.11 or newer")
_SQLITE_REMEDY = Text(
    "使用带 SQLite 3.37 或更新版本的 Python", "use a Python built with SQLite 3.37 or newer"
)
_CLOCK_REMEDY = Text(
    "校准时钟：清算日由它而定，`timedatectl set-ntp true`",
    "set the clock, settlement days follow from it: `timedatectl set-ntp true`",
)
_DISK_REMEDY = Text(
    "腾出至少 1 GiB，或以 --data 另指目录", "free at least 1 GiB, or name another folder: --data"
)
_FOLDER_REMEDY = Text(
    "取得该目录的写权限，或以 --data 另指目录",
    "get the right to write there, or name another folder: --data",
)
_FONTS_REMEDY = Text(
    "`sudo apt install fonts-noto-cjk`；否则图形界面中的汉字显示为方框",
    "`sudo apt install fonts-noto-cjk`, else Chinese shows as boxes in graphical programs",
)


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the examination; `remedy` is what to do where it is not `good`, or where
    something that only helps is absent.
    """

    what: Text
    found: Text
    good: bool
    remedy: Text | None = None

    def document(self) -> dict[str, object]:
        """As a JSON object."""
        what = self.what
        return {
            "what": what.en if what.en == what.zh else f"{what.en} {what.zh}",
            "found": self.found.en,
            "good": self.good,
            "remedy": "" if self.remedy is None else self.remedy.en,
        }


ProductionOption = Annotated[
    bool,
    typer.Option(
        "--production",
        help=words("只列出生产环境会拒绝的。", "List what production would refuse, and no more."),
    ),
]
DeviceOption = Annotated[
    Path | None,
    typer.Option(
        help=words(
            "与 --production 并用：看这台密钥设备。", "With --production: look at this key device."
        )
    ),
]
PinFileOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar=words("名称=路径", "NAME=PATH"),
        help=words(
            "与 --device 并用：也看 PIN，并打开设备看其密钥；可多次。",
            "With --device: look at PINs too, and open it to look at its keys; may be repeated.",
        ),
    ),
]
SocketOption = Annotated[
    Path | None,
    typer.Option(help=words("将在何处服务，同 `hsm serve`。", "Where it will serve: `hsm serve`.")),
]
RightsOption = Annotated[
    Path | None,
    typer.Option(help=words("将用的权限文件，同 `hsm serve`。", "Its rights file: `hsm serve`.")),
]
HostCommandsOption = Annotated[
    str | None,
    typer.Option(
        metavar=words("主机:端口|路径", "HOST:PORT|PATH"),
        help=words("将接受的主机命令，同 `hsm serve`。", "Its host commands: `hsm serve`."),
    ),
]
TlsOption = Annotated[
    str | None,
    typer.Option(
        metavar=words("主机:端口", "HOST:PORT"),
        help=words("将以 TLS 在何处服务，同 `hsm serve`。", "Where it serves TLS: `hsm serve`."),
    ),
]
RevokedOption = Annotated[
    Path | None,
    typer.Option(
        help=words("客户端证书的吊销列表，同 `hsm serve`。", "Its revocation list: `hsm serve`.")
    ),
]
KeyOption = Annotated[
    Path | None,
    typer.Option(
        "--key", help=words("服务证书的私钥，同 `hsm serve`。", "Its private key: `hsm serve`.")
    ),
]
ClientsCaOption = Annotated[
    Path | None,
    typer.Option(
        help=words("签发客户端证书的机构，同 `hsm serve`。", "Its clients' CA: `hsm serve`.")
    ),
]


def doctor(
    data: DataOption = DEFAULT_DATA,
    production: ProductionOption = False,
    device: DeviceOption = None,
    pin_file: PinFileOption = None,
    socket: SocketOption = None,
    rights: RightsOption = None,
    host_commands: HostCommandsOption = None,
    tls: TlsOption = None,
    revoked: RevokedOption = None,
    key: KeyOption = None,
    clients_ca: ClientsCaOption = None,
    csv: CsvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Exit 1 when something that is needed is not there."""
    asked = {device, socket, rights, host_commands, tls, revoked, key, clients_ca}
    if not production and (pin_file or asked != {None}):
        refuse(
            words(
                "--device、--pin-file、--socket、--rights、--host-commands、--tls、--revoked、"
                "--key 和 --clients-ca 须与 --production 并用",
                "--device, --pin-file, --socket, --rights, --host-commands, --tls, --revoked, "
                "--key and --clients-ca go with --production",
            ),
            EXIT_USAGE,
        )
    if production:
        found = examine_for_production(
            data,
            device,
            pin_file,
            socket=socket,
            rights=rights,
            host_commands=host_commands,
            tls=tls,
            revoked=revoked,
            private_key=key,
            clients_ca=clients_ca,
        )
        _tell_production(found, csv, as_json=as_json)
        return
    _tell_examined(data, csv, as_json=as_json)


def _tell_examined(data: Path, csv: Path | None, *, as_json: bool) -> None:
    checks = list(examine(data))
    failed = sum(not each.good for each in checks)
    if as_json:
        print_json({"checks": [each.document() for each in checks]})
    else:
        table = Table(
            Text("自检", "doctor"),
            [
                Column(Text("", "")),
                Column(Text("项目", "what")),
                Column(Text("现状", "found"), words=True),
                Column(Text("处理", "remedy"), words=True),
            ],
        )
        for each in checks:
            mark = "✗" if not each.good else "✓" if each.remedy is None else "–"
            style = "" if each.good else "red"
            table.add(mark, each.what, each.found, each.remedy, style=style)
        print_table(table, csv)
        if not failed:
            say(words("所需皆备。", "Everything that is needed is here."))
    if failed:
        complain(
            words(
                f"{failed} 项不合格：按上列处理后重复 `onecard doctor`",
                f"{failed} of these fail: do what stands beside each and repeat `onecard doctor`",
            )
        )
        raise typer.Exit(EXIT_REFUSED)


def _tell_production(found: list[Finding], csv: Path | None, *, as_json: bool) -> None:
    if as_json:
        print_json({"refused": [{"rule": n, "what": w.en, "found": f.en} for n, w, f in found]})
    elif found:
        table = Table(
            Text("生产环境会拒绝", "production would refuse"),
            [
                Column(Text("项目", "what")),
                Column(Text("现状与处理", "found, and what to do"), words=True),
            ],
        )
        for _, what, why in found:
            table.add(what, why, style="red")
        print_table(table, csv)
    else:
        say(words("生产环境不会拒绝任何一项。", "Production would refuse nothing of this."))
    if found:
        complain(
            words(
                f"{len(found)} 项不合格：按上列处理后重复 `onecard doctor --production`",
                f"{len(found)} would be refused: do what stands beside each and repeat "
                "`onecard doctor --production`",
            )
        )
        raise typer.Exit(EXIT_REFUSED)


def examine(data: Path) -> Iterator[Check]:
    """Every check, cheapest first."""
    python = ".".join(map(str, sys.version_info[:3]))
    yield _needed(_same("Python"), _same(python), _PYTHON_REMEDY, good=sys.version_info >= (3, 11))
    yield _needed(
        _same("SQLite"),
        _same(sqlite3.sqlite_version),
        _SQLITE_REMEDY,
        good=sqlite3.sqlite_version_info >= _SQLITE_MIN,
    )
    for library in _LIBRARIES:
        try:
            yield Check(_same(library), _same(version(library)), good=True)
        except PackageNotFoundError:
            absent = Text("缺失", "missing")
            yield Check(_same(library), absent, good=False, remedy=_same("`make setup`"))
    settings = read_settings()
    environment = _same(str(settings.environment))
    yield Check(Text("环境", "environment"), environment, good=True)
    yield _key_service(settings)
    clock = datetime.now(UTC)
    at = _same(clock.isoformat(timespec="seconds"))
    yield _needed(Text("时钟", "clock"), at, _CLOCK_REMEDY, good=clock.year >= 2025)
    yield from _disk(data)
    yield _readers()
    yield from _fonts()
    yield _city(data)


def _same(said: str) -> Text:
    return Text(said, said)


def _needed(what: Text, found: Text, remedy: Text, *, good: bool) -> Check:
    return Check(what, found, good, None if good else remedy)


def _key_service(settings: Settings) -> Check:
    name = Text("密钥服务", "key service")
    chosen = settings.key_service
    if chosen.kind is KeyServiceKind.IN_PROCESS:
        found = Text("在本进程内（公开测试密钥）", "in this process (public test keys)")
        return Check(name, found, good=True)
    where = f"{chosen.kind}:{chosen.address}"
    try:
        held = open_city_keys(settings, SCHEME).service.describe_keys()
    except (KeyRightError, KeyServiceUnavailableError, SettingsRefusedError) as error:
        why = text_of(error)
        remedy = Text(
            f"{why.zh}；启动密钥服务：`onecard hsm serve`",
            f"{why.en}; start the key service: `onecard hsm serve`",
        )
        return Check(name, _same(where), good=False, remedy=remedy)
    count = len(held)
    return Check(name, Text(f"{where}，{count} 把密钥", f"{where}, {count} keys"), good=True)


def _disk(data: Path) -> Iterator[Check]:
    existing = next(each for each in (data, *data.absolute().parents) if each.exists())
    free = shutil.disk_usage(existing).free
    size = f"{free >> 20:,} MiB"
    found = Text(f"可用 {size}", f"{size} free")
    yield _needed(Text("磁盘", "disk"), found, _DISK_REMEDY, good=free >= _FREE_BYTES_MIN)
    can = os.access(existing, os.W_OK)
    found = Text(f"{existing} 可写", f"{existing} can be written")
    if not can:
        found = Text(f"{existing} 不可写", f"{existing} cannot be written")
    if is_copy := not can and (data / "city.json").exists():
        found = Text(
            f"{existing} 只读：可查看与验证，不能清分",
            f"{existing} is read-only: it is shown and verified, and no day closes there",
        )
    yield _needed(Text("目录", "folder"), found, _FOLDER_REMEDY, good=can or is_copy)


def _readers() -> Check:
    """Whoever has no reader needs none."""
    name = Text("读卡器", "readers")
    try:
        with ReaderService() as service:
            names = service.names()
    except ReaderError as error:
        return Check(name, Text("不可用", "not to be had"), good=True, remedy=error.problem.text)
    if not names:
        found = Text("pcscd 在运行，没有读卡器", "pcscd runs, and no reader is there")
        remedy = Text("需要时连接读卡器", "plug one in when you need it")
        return Check(name, found, good=True, remedy=remedy)
    listed = ", ".join(names)
    return Check(name, Text(f"pcscd 在运行：{listed}", f"pcscd runs: {listed}"), good=True)


def _fonts() -> Iterator[Check]:
    """Only where the system can be asked."""
    program = shutil.which("fc-list")
    if program is None:
        return
    name = Text("中文字体", "Chinese font")
    try:
        told = subprocess.run(  # noqa: S603 - the system's own list of fonts
            [program, ":lang=zh", "family"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_FONTS_TIMEOUT_SECONDS,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        told = ""
    family = next((each.split(",")[0].strip() for each in sorted(told.splitlines()) if each), "")
    if family:
        yield Check(name, _same(family), good=True)
    else:
        yield Check(name, Text("没有", "none"), good=True, remedy=_FONTS_REMEDY)


def _city(data: Path) -> Check:
    name = Text("城市", "city")
    if not (data / "city.json").exists():
        found = Text(f"{data} 中没有", f"none in {data}")
        remedy = Text("新建：`onecard demo`", "make one: `onecard demo`")
        return Check(name, found, good=True, remedy=remedy)
    try:
        with open_city(data, to_read=True) as city:
            if damage := city.database.damage():
                return Check(name, damage[0], good=False, remedy=_RESTORE)
            said, count = city.scheme.name, city.bucket_count
            return Check(name, Text(f"{said}，{count} 桶", f"{said}, {count} buckets"), good=True)
    except CityError as error:
        remedy = Text(
            "以 --data 另指目录，或由备份恢复", "name another folder: --data, or restore a copy"
        )
        return Check(name, error.reason, good=False, remedy=remedy)
