"""`onecard city`: make a city, carry its public registry to another folder, know its keys.

Decides how a city's keys are shown beside those the key service holds. Leaves what an unknown
key means for a record to settlement.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from api.cli.frame.session import ByOption, acting, open_to_act, open_to_read
from api.exits import EXIT_REFUSED, EXIT_USAGE
from api.output import (
    DEFAULT_DATA,
    DataOption,
    JsonOption,
    amount_table,
    console,
    print_json,
    refuse,
    say,
)
from cardcore.errors import DecodeError
from cardcore.keys import Algorithm, KeyUsage
from cardcore.schemes.catalogue import SCHEMES
from cardcore.schemes.reading import SchemeError
from settlement.city import BUCKET_COUNT_DEFAULT, City, create_city, create_own_city
from settlement.errors import CityError
from settlement.facts.proof import signing_keys
from settlement.people.actions import Action
from settlement.registry.book import FOREVER, AnyDated, since_ever
from settlement.registry.decide import RegistryConflictError
from settlement.registry.documents import decode_registry, encode_registry
from settlement.registry.rows import TacKeyRow
from settlement.reports.registry import read_registry
from settlement.service.registering import register_rows

_RIGHT = "as registered 相符"
SchemeOption = Annotated[
    str,
    typer.Option(
        help=f"Whose rules: {', '.join(SCHEMES)}, or a .toml file of your own. 规则文件。"
    ),
]
app = typer.Typer(help="A city's folder and registry. 城市目录与登记簿。", no_args_is_help=True)


@app.command()
def init(
    data: DataOption = DEFAULT_DATA,
    scheme: SchemeOption = "demo",
    buckets: Annotated[
        int, typer.Option(help="Card buckets, a power of two, fixed for good.")
    ] = BUCKET_COUNT_DEFAULT,
    registry: Annotated[
        Path | None, typer.Option(help="A registry another city exported. 导入登记簿。")
    ] = None,
    by: ByOption = None,
) -> None:
    """Make an empty city, ready to receive files. 新建城市。"""
    action = Action(acting(by), datetime.now(UTC), "onecard city init")
    try:
        rows = () if registry is None else _registry_file(registry)
        with _make(data, scheme, action, buckets) as city:
            register_rows(city, rows, action)
            name = city.scheme.name
    except OSError as error:
        refuse(f"{error.filename}: {error.strerror}. Nothing was made.", EXIT_USAGE)
    except (CityError, RegistryConflictError, SchemeError) as error:
        refuse(str(error), EXIT_USAGE)
    say(f"City 城市 {name} in {data}")


def _registry_file(path: Path) -> Iterable[AnyDated]:
    """The rows of a registry that another city wrote."""
    try:
        return decode_registry(path.read_bytes())
    except DecodeError as error:
        refuse(f"{path}: {error}; `onecard city export` writes such a file", EXIT_USAGE)


def _make(data: Path, scheme: str, action: Action, buckets: int) -> City:
    """A city under a scheme that ships, or under one's own when a file is named."""
    file = Path(scheme)
    if file.suffix != ".toml":
        return create_city(data, scheme, action, buckets)
    return create_own_city(data, file.read_bytes(), scheme, action, buckets)


@app.command()
def export(
    path: Annotated[Path, typer.Argument(help="Where to write the registry.")],
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Write the public registry: participants, senders, terminals, names. 导出登记簿。"""
    with open_to_read(data) as city:
        held = read_registry(city)
    try:
        path.write_bytes(encode_registry(held))
    except OSError as error:
        refuse(f"{path}: {error.strerror}", EXIT_USAGE)
    counts = {name: len(getattr(held, name)) for name in held.__slots__}
    if as_json:
        print_json({"path": str(path), **counts})
    else:
        say(f"{path}: " + ", ".join(f"{name} {count:,}" for name, count in counts.items()))


@app.command()
def keys(
    data: DataOption = DEFAULT_DATA,
    add: Annotated[
        bool,
        typer.Option(
            "--register", help="Register the versions held: compare check values first. 登记。"
        ),
    ] = False,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """The keys cards and PSAMs sign under, by check value, and what is held. 认证密钥核对。

    Exit 1 when one is not held as registered: records that name it are suspended until it is.
    """
    action = Action(acting(by), datetime.now(UTC), "onecard city keys --register")
    with open_to_act(data) as opened:
        held = signing_keys(opened.keys.service, opened.city.scheme.name)
        if add:
            try:
                register_rows(opened.city, since_ever(*held), action)
            except RegistryConflictError as error:
                refuse(f"{error}; the key service holds other bytes. Nothing was registered.")
        known = read_registry(opened.city).tac_keys
    registered = [each.row for each in known if each.valid_to == FOREVER]
    sides = [{(row.label, row.version): row for row in side} for side in (registered, held)]
    # TAC keys first: a key of another usage has that before its label.
    names = sorted(sides[0].keys() | sides[1], key=lambda name: ("/" in name[0], *name))
    rows = [_beside(*(side.get(name) for side in sides)) for name in names]
    if as_json:
        print_json({"keys": rows})
    else:
        table = amount_table("keys 认证密钥", "key", "registered 登记", "held 持有", "")
        for row in rows:
            shown = (row[name] or "-" for name in ("registered", "held", "standing"))
            table.add_row(f"{row['key']} {row['algorithm']}", *shown)
        console.print(table)
    if any(row["registered"] and row["standing"] != _RIGHT for row in rows):
        raise typer.Exit(EXIT_REFUSED)


def _beside(registered: TacKeyRow | None, held: TacKeyRow | None) -> dict[str, str | None]:
    """One version as the city knows it and as the key service holds it."""
    row = registered or held
    assert row is not None
    if registered is None:
        standing = "not registered 未登记"
    elif held is None:
        standing = "not held 未装载"
    else:
        standing = _RIGHT if held == registered else "other bytes 密钥不符"
    name = row.label if "/" in row.label else f"{KeyUsage.TAC}/{row.label}"
    return {
        "key": f"{name}/v{row.version}",
        "algorithm": Algorithm(row.algorithm).name,
        "registered": None if registered is None else registered.check_value,
        "held": None if held is None else held.check_value,
        "standing": standing,
    }
