"""`onecard city`: make a city, carry its public registry to another folder, know its keys.

Decides how a city's keys are shown beside those the key service holds. Leaves what an unknown
key means for a record to settlement.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from api.cli.frame.loading import command, noun
from api.cli.frame.session import ByOption, acting, open_to_act, open_to_read
from api.cli.office.acting import SecretFileOption, show
from api.cli.registry.shown import tell_asked
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
from api.tables import Column, Count, Table, amounts
from cardcore.errors import DecodeError, placed_system_words, system_words
from cardcore.keys import Algorithm, KeyUsage
from cardcore.schemes.catalogue import SCHEMES
from cardcore.schemes.reading import SchemeError
from cardcore.text import Text, words
from settlement.city import BUCKET_COUNT_DEFAULT, City, create_city, create_own_city
from settlement.errors import CityError
from settlement.facts.proof import signing_keys
from settlement.people.actions import Action
from settlement.registry.book import FIELDS, FOREVER, AnyDated, since_ever
from settlement.registry.decide import RegistryConflictError
from settlement.registry.documents import decode_registry, encode_registry
from settlement.registry.rows import TacKeyRow
from settlement.reports.registry import read_registry
from settlement.reports.ruling.people import needs_two
from settlement.service.registering import register_rows, registering
from settlement.service.ruling.registry import propose_change

_RIGHT = Text("相符", "as registered")
_UNREGISTERED = Text("未登记", "not registered")
_UNHELD = Text("未装载", "not held")
_OTHER = Text("密钥不符", "other bytes")
SchemeOption = Annotated[
    str,
    typer.Option(
        help=words(
            f"规则：{'、'.join(SCHEMES)}，或自己的 .toml 文件。",
            f"Whose rules: {', '.join(SCHEMES)}, or a .toml file of your own.",
        )
    ),
]
app = noun(Text("城市：新建、导出、密钥。", "A city: make, export, keys."))


@command(
    app, "init", Text("新建空城市，可接收文件。", "Make an empty city, ready to receive files.")
)
def init(
    data: DataOption = DEFAULT_DATA,
    scheme: SchemeOption = "demo",
    buckets: Annotated[
        int,
        typer.Option(
            help=words(
                "卡片分桶数，2 的幂，建成后不变。", "Card buckets, a power of two, fixed for good."
            )
        ),
    ] = BUCKET_COUNT_DEFAULT,
    registry: Annotated[
        Path | None,
        typer.Option(help=words("另一城市导出的登记簿。", "A registry another city exported.")),
    ] = None,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Nothing is left where it is refused."""
    action = Action(acting(by), datetime.now(UTC), "onecard city init")
    try:
        rows = () if registry is None else _registry_file(registry)
        with _make(data, scheme, action, buckets) as city:
            register_rows(city, rows, action)
            made = {"city": city.scheme.name, "data": str(data), "buckets": buckets}
    except OSError as error:
        why = placed_system_words(error)
        refuse(
            words(
                f"{why}。未作任何更改；请另写一个路径，再重复此命令",
                f"{why}. Nothing was made; name another path and repeat the command",
            ),
            EXIT_USAGE,
        )
    except SchemeError as error:
        refuse(
            words(
                f"{error}。未作任何更改；改正后重复此命令。",
                f"{error}. Nothing was made; mend it and repeat the command.",
            ),
            EXIT_USAGE,
        )
    except (CityError, RegistryConflictError) as error:
        refuse(
            words(
                f"{error}。未作任何更改；说明：`onecard city init --help`",
                f"{error}. Nothing was made; see `onecard city init --help`",
            ),
            EXIT_USAGE,
        )
    if as_json:
        print_json(made)
        return
    name = made["city"]
    say(
        words(
            f"城市 {name} 已建于 {data}；接着 `onecard files add`",
            f"City {name} is made in {data}; go on with `onecard files add`",
        )
    )


def _registry_file(path: Path) -> Iterable[AnyDated]:
    """The rows of a registry that another city wrote."""
    try:
        return decode_registry(path.read_bytes())
    except DecodeError as error:
        why = error.place
        refuse(
            words(
                f"{path}：不是登记簿：{why.zh}；此类文件由 `onecard city export` 写出",
                f"{path}: no registry: {why.en}; `onecard city export` writes such a file",
            ),
            EXIT_USAGE,
        )


def _make(data: Path, scheme: str, action: Action, buckets: int) -> City:
    """A city under a scheme that ships, or under one's own when a file is named."""
    file = Path(scheme)
    if file.suffix != ".toml":
        return create_city(data, scheme, action, buckets)
    return create_own_city(data, file.read_bytes(), scheme, action, buckets)


@command(
    app,
    "export",
    Text(
        "导出公开登记簿：参与方、发送方、终端、名称。",
        "Write the public registry: participants, senders, terminals, names.",
    ),
)
def export(
    path: Annotated[Path, typer.Argument(help=words("写到何处。", "Where to write the registry."))],
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """`onecard city init --registry` takes it in. What is there already is left alone."""
    with open_to_read(data) as city:
        held = read_registry(city)
    try:
        with path.open("xb") as file:
            file.write(encode_registry(held))
    except OSError as error:
        why = system_words(error)
        refuse(
            words(f"{path}：{why}；请另写一处", f"{path}: {why}; name another place"), EXIT_USAGE
        )
    counts = {name: len(getattr(held, name)) for name in held.__slots__}
    if as_json:
        print_json({"path": str(path), **counts})
    else:
        table = amounts(Text(f"{path}", f"{path}"), Text("种类", "kind"), Text("行数", "rows"))
        for name, count in counts.items():
            table.add(_KINDS[name], Count(count))
        print_table(table)


@command(
    app,
    "keys",
    Text(
        "核对卡片与 PSAM 签名用的密钥：登记的与持有的，按校验值。",
        "The keys cards and PSAMs sign under, by check value, and what is held.",
    ),
)
def keys(
    data: DataOption = DEFAULT_DATA,
    add: Annotated[
        bool,
        typer.Option(
            "--register",
            help=words(
                "登记所持有的版本；请先核对校验值。",
                "Register the versions held: compare check values first.",
            ),
        ),
    ] = False,
    by: ByOption = None,
    secret_file: SecretFileOption = None,
    csv: CsvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Exit 1 when one is not held as registered: records that name it are suspended until it is."""
    action = Action(acting(by), datetime.now(UTC), "onecard city keys --register")
    with open_to_act(data) as opened:
        held = signing_keys(opened.keys.service, opened.city.scheme.name)
        if add and needs_two(opened.city):
            _propose_keys(opened.city, held, action, by, secret_file, as_json=as_json)
            return
        if add:
            try:
                register_rows(opened.city, since_ever(*held), action)
            except RegistryConflictError as error:
                refuse(
                    words(
                        f"{error}；密钥服务持有的密钥不同。未登记；核对：`onecard city keys`",
                        f"{error}; the key service holds other bytes. Nothing was registered; "
                        "compare them: `onecard city keys`",
                    )
                )
        known = read_registry(opened.city).tac_keys
        seals = opened.keys.seal_keys(opened.city.scheme.name)
    registered = [each.row for each in known if each.valid_to == FOREVER]
    sides = [{(row.label, row.version): row for row in side} for side in (registered, held)]
    # TAC keys first: a key of another usage has that before its label.
    names = sorted(sides[0].keys() | sides[1], key=lambda name: ("/" in name[0], *name))
    rows = [_beside(*(side.get(name) for side in sides)) for name in names]
    if as_json:
        public = [
            {"key": str(each.ref), "check_value": each.check_value, "public_key": key.hex()}
            for each, key in seals.items()
        ]
        print_json({"keys": [row.document() for row in rows], "seal_keys": public})
    else:
        print_table(_table(rows), csv)
        for each, key in seals.items():
            said = f"{each.ref} {key.hex()} {each.check_value}"
            text = words("日封存公钥与校验值", "Public key of day seals, and its check value")
            say(f"{text}: {said}")
    wrong = [row for row in rows if row.registered and row.standing != _RIGHT]
    if wrong:
        complain(
            words(
                "有密钥未按登记装载：记录将挂起，直到装载：`onecard hsm --help`",
                "a key is not held as registered: its records wait until it is loaded: "
                "`onecard hsm --help`",
            )
        )
        raise typer.Exit(EXIT_REFUSED)


def _propose_keys(
    city: City,
    held: Sequence[TacKeyRow],
    action: Action,
    by: str | None,
    secret_file: Path | None,
    *,
    as_json: bool,
) -> None:
    """Where two people are enrolled, keys are registered when another one approves."""
    shown, wish = show(city, by, secret_file, action.at), registering(since_ever(*held))
    tell_asked(propose_change(city, wish, action.why, shown, action.at), as_json=as_json)


@dataclass(frozen=True, slots=True)
class _KeyLine:
    """One version of a key, as registered and as held."""

    key: str
    algorithm: str
    registered: str | None
    held: str | None
    standing: Text

    def document(self) -> dict[str, str | None]:
        """As a JSON object."""
        return {
            "key": self.key,
            "algorithm": self.algorithm,
            "registered": self.registered,
            "held": self.held,
            "standing": f"{self.standing.en} {self.standing.zh}",
        }


def _table(rows: Iterable[_KeyLine]) -> Table:
    table = Table(
        Text("认证密钥", "Keys"),
        [
            Column(Text("密钥", "key")),
            Column(Text("算法", "algorithm")),
            Column(Text("登记校验值", "registered")),
            Column(Text("持有校验值", "held")),
            Column(Text("核对", "standing")),
        ],
    )
    for row in rows:
        style = "" if row.standing in {_RIGHT, _UNREGISTERED} else "red"
        table.add(row.key, row.algorithm, row.registered, row.held, row.standing, style=style)
    return table


#: Kinds of rows by the field of a registry.
_KINDS = {
    "participants": Text("参与方", "participants"),
    "senders": Text("发送方", "senders"),
    "terminals": Text("终端", "terminals"),
    "psams": Text("PSAM", "PSAMs"),
    "names": Text("名称", "names"),
    "hotlist": Text("黑名单", "hotlist"),
    "tac_keys": Text("认证密钥", "keys"),
    "card_numbers": Text("卡号段", "card numbers"),
    "load_hosts": Text("圈存主机", "load hosts"),
    "centres": Text("发卡中心", "centres"),
}

assert set(_KINDS) == set(FIELDS.values())


def _beside(registered: TacKeyRow | None, held: TacKeyRow | None) -> _KeyLine:
    """One version as the city knows it and as the key service holds it."""
    row = registered or held
    assert row is not None
    if registered is None:
        standing = _UNREGISTERED
    elif held is None:
        standing = _UNHELD
    else:
        standing = _RIGHT if held == registered else _OTHER
    name = row.label if "/" in row.label else f"{KeyUsage.TAC}/{row.label}"
    return _KeyLine(
        f"{name}/v{row.version}",
        Algorithm(row.algorithm).name,
        None if registered is None else registered.check_value,
        None if held is None else held.check_value,
        standing,
    )
