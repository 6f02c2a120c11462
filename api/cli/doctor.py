"""`onecard doctor`: is everything here that the engine needs? Each line has its remedy."""

import shutil
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import typer
from rich.table import Table

from api.composition import open_city_keys
from api.output import (
    DEFAULT_DATA,
    EXIT_REFUSED,
    DataOption,
    JsonOption,
    console,
    print_json,
    shortened,
)
from api.settings import KeyServiceKind, Settings, SettingsRefusedError, read_settings
from cardcore.errors import KeyRightError, KeyServiceUnavailableError
from cardcore.schemes.catalogue import SCHEMES
from settlement.city import open_city
from settlement.errors import CityError

SCHEME = SCHEMES["demo"]

_RESTORE = "control.sqlite is damaged 数据库已损坏: restore the folder from a copy"
_LIBRARIES = ("cryptography", "duckdb", "numpy", "sqlalchemy", "alembic", "typer", "rich")
_FREE_BYTES_MIN = 1 << 30
#: Journals need STRICT tables and WAL.
_SQLITE_MIN = (3, 37, 0)


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the examination; `remedy` is empty when nothing is to be done."""

    what: str
    found: str
    good: bool
    remedy: str = ""


def doctor(data: DataOption = DEFAULT_DATA, as_json: JsonOption = False) -> None:
    """Examine this machine and, if there is one, the city. 环境自检。"""
    checks = list(examine(data))
    if as_json:
        print_json({"checks": [asdict(each) for each in checks]})
    else:
        table = Table(title="doctor 自检", title_justify="left")
        for column in ("", "what 项目", "found 现状", "remedy 处理"):
            table.add_column(column)
        for each in checks:
            remedy = "" if each.good and each.what != "city 城市" else each.remedy
            table.add_row("✓" if each.good else "✗", each.what, each.found, remedy)
        console.print(table)
    if not all(each.good for each in checks):
        raise typer.Exit(EXIT_REFUSED)


def examine(data: Path) -> Iterator[Check]:
    """Every check, cheapest first."""
    python = ".".join(map(str, sys.version_info[:3]))
    yield Check("Python", python, sys.version_info >= (3, 11), "install Python 3.11 or newer")
    yield Check(
        "SQLite",
        sqlite3.sqlite_version,
        sqlite3.sqlite_version_info >= _SQLITE_MIN,
        "use a Python built with SQLite 3.37 or newer",
    )
    for library in _LIBRARIES:
        try:
            yield Check(library, version(library), good=True)
        except PackageNotFoundError:
            yield Check(library, "missing", good=False, remedy="make setup")
    settings = read_settings()
    yield Check("environment 环境", settings.environment, good=True)
    yield _key_service(settings)
    clock = datetime.now(UTC)
    yield Check(
        "clock 时钟",
        clock.isoformat(timespec="seconds"),
        clock.year >= 2025,
        "set the clock: settlement days follow from it",
    )
    existing = next(each for each in (data, *data.absolute().parents) if each.exists())
    free = shutil.disk_usage(existing).free
    yield Check(
        "disk 磁盘",
        f"{free >> 20:,} MiB free",
        free >= _FREE_BYTES_MIN,
        "free at least 1 GiB before a day is cleared",
    )
    yield _city(data)


def _key_service(settings: Settings) -> Check:
    name = "key service 密钥服务"
    chosen = settings.key_service
    if chosen.kind is KeyServiceKind.IN_PROCESS:
        return Check(name, "in this process (public test keys)", good=True)
    where = f"{chosen.kind}:{chosen.address}"
    try:
        held = open_city_keys(settings, SCHEME).service.describe_keys()
    except (KeyRightError, KeyServiceUnavailableError, SettingsRefusedError) as error:
        return Check(name, where, good=False, remedy=str(error))
    return Check(name, f"{where}, {len(held)} keys", good=True)


def _city(data: Path) -> Check:
    if not (data / "city.json").exists():
        return Check("city 城市", f"none in {data}", good=True, remedy="onecard demo makes one")
    try:
        with open_city(data, to_read=True) as city:
            if damage := city.database.damage():
                return Check("city 城市", shortened(damage[0]), good=False, remedy=_RESTORE)
            return Check("city 城市", f"{city.scheme.name}, {city.bucket_count} buckets", good=True)
    except CityError as error:
        return Check("city 城市", error.reason, good=False, remedy="name another folder: --data")
