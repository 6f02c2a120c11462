"""`onecard city`: make a city, and carry its public registry to another folder."""

from pathlib import Path
from typing import Annotated

import typer

from api.cli.output import (
    DEFAULT_DATA,
    EXIT_USAGE,
    DataOption,
    JsonOption,
    console,
    print_json,
    refuse,
)
from api.cli.session import open_office
from cardcore.errors import DecodeError
from cardcore.schemes.catalogue import SCHEMES
from settlement.city import BUCKET_COUNT_DEFAULT, create_city
from settlement.errors import CityError
from settlement.registry import RegistryConflictError, decode_registry, encode_registry
from settlement.store.registry import load_registry, register

app = typer.Typer(help="A city's folder and registry. 城市目录与登记簿。", no_args_is_help=True)


@app.command()
def init(
    data: DataOption = DEFAULT_DATA,
    scheme: Annotated[str, typer.Option(help="Whose rules: " + ", ".join(SCHEMES))] = "demo",
    buckets: Annotated[
        int, typer.Option(help="Card buckets, a power of two, fixed for good.")
    ] = BUCKET_COUNT_DEFAULT,
    registry: Annotated[
        Path | None, typer.Option(help="A registry another city exported. 导入登记簿。")
    ] = None,
) -> None:
    """Make an empty city, ready to receive files. 新建城市。"""
    try:
        rows = None if registry is None else decode_registry(registry.read_bytes())
        with create_city(data, scheme, buckets) as city:
            if rows is not None:
                register(city.database, rows)
    except (CityError, DecodeError, RegistryConflictError, OSError) as error:
        refuse(str(error), EXIT_USAGE)
    console.print(f"City 城市 {scheme} in {data}", highlight=False)


@app.command()
def export(
    path: Annotated[Path, typer.Argument(help="Where to write the registry.")],
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Write the public registry: participants, senders, terminals, names. 导出登记簿。"""
    with open_office(data) as office:
        held = load_registry(office.city.database)
    path.write_bytes(encode_registry(held))
    counts = {name: len(getattr(held, name)) for name in held.__slots__}
    if as_json:
        print_json({"path": str(path), **counts})
    else:
        console.print(f"{path}: {counts}", highlight=False)
