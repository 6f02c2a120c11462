"""Opening what a command works on: the settings, one city, its key service, and who acts.

Decides which folder is meant and says what is wrong with it in words.
"""

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from api.composition import EngineName, OpenCity, open_city_keys
from api.exits import EXIT_USAGE
from api.output import console_error, refuse
from api.production import Situation, refuse_in_production
from api.settings import (
    Environment,
    KeyServiceKind,
    Settings,
    read_environment,
    read_settings,
)
from api.simulation.virtual_city import SIMULATION
from cardcore.schemes import Scheme
from cardcore.text import Text, words
from settlement.city import City, create_city, open_city
from settlement.errors import CityError, DatabaseDamagedError
from settlement.people.actions import Action, Actor, ActorError
from settlement.people.person import Person
from settlement.people.roles import Right
from settlement.reports.ruling.people import read_people
from settlement.reports.ruling.proposals import read_proposal

EngineOption = Annotated[
    EngineName,
    typer.Option("--engine", help=words("在何处计算。", "Where runs are computed.")),
]
WorkersOption = Annotated[
    int,
    typer.Option(min=1, max=64, help=words("计算用的进程数。", "Processes of the engine.")),
]
ByOption = Annotated[
    str | None,
    typer.Option(
        "--by",
        envvar="ONECARD_BY",
        help=words("经办人，默认为本机用户。", "Who acts; by default this machine's user."),
    ),
]


def acting(by: str | None) -> Actor:
    """Whoever gives the command: as stated, else as this machine knows its user. A name that cannot
    stand under a seal ends the command with usage.
    """
    try:
        return Actor(pwd.getpwuid(os.getuid()).pw_name if by is None else by)
    except KeyError:
        refuse(
            words(
                "本机用户无名称；请说明由谁办理：--by NAME",
                "this machine has no name for its user; say who acts: --by NAME",
            ),
            EXIT_USAGE,
        )
    except ActorError as error:
        refuse(words(f"--by 经办人：{error}", f"--by: {error}"), EXIT_USAGE)


def _with_keys(city: City, settings: Settings, scheme: Scheme) -> OpenCity:
    """Which keys are in use is said every time; a simulator says what it is."""
    kind, address = settings.key_service.kind, settings.key_service.address
    if kind is KeyServiceKind.IN_PROCESS:
        where = Text(
            "密钥在本进程内，为公开测试密钥，仅供演示",
            "keys in this process, public test keys, for demonstration only",
        )
    else:
        where = Text(f"密钥服务 {kind}:{address}", f"key service {kind}:{address}")
    said = words(f"{settings.environment}：{where}", f"{settings.environment}: {where}")
    console_error.print(said, style="dim", highlight=False, markup=False, soft_wrap=True)
    return OpenCity(city, open_city_keys(settings, scheme, city.folder))


def people_of(city: City) -> tuple[Person, ...]:
    """Who may act in a city now."""
    people = (each.person for each in read_people(city, datetime.now(UTC)))
    return tuple(each for each in people if each.is_valid)


@contextmanager
def open_to_act(data: Path) -> Iterator[OpenCity]:
    """The city in a folder; a folder without one ends the command with usage. Raises
    `SettingsRefusedError` in production for a city whose people are too few, or whose secrets are
    cheap.
    """
    settings = read_settings()
    with _open(data) as city:
        _refuse_people(city)
        yield _with_keys(city, settings, city.scheme)


@contextmanager
def open_to_rule(
    data: Path, *, about_people: bool = False, answers: int | None = None
) -> Iterator[City]:
    """The same for what people propose and answer: no key of the key service has to do with it.

    What brings people and their secrets into order waits for no order: a command that is
    `about_people`, or that `answers` such a proposal.
    """
    with _open(data) as city:
        if not about_people and not _is_about_people(city, answers):
            _refuse_people(city)
        yield city


def refuse_cheap_secret(city: City, name: str) -> None:
    """In production nobody acts by a secret that is cheap to guess."""
    if read_environment() is Environment.PRODUCTION:
        acts = next((each for each in people_of(city) if each.name == name), None)
        refuse_in_production(Situation(acts=acts))


def _is_about_people(city: City, number: int | None) -> bool:
    found = None if number is None else read_proposal(city, number, datetime.now(UTC))
    return found is not None and found[0].proposal.kind.rule.approve is Right.PEOPLE_APPROVE


def _refuse_people(city: City) -> None:
    if read_environment() is Environment.PRODUCTION:
        refuse_in_production(Situation(people=people_of(city)))


@contextmanager
def open_to_read(data: Path) -> Iterator[City]:
    """The same for a command that only reads: no byte of the folder changes, no key is needed."""
    with _open(data, to_read=True) as city:
        try:
            yield city
        except (ValueError, TypeError, LookupError) as error:
            raise _damaged(city, error) from error


@contextmanager
def open_to_verify(data: Path) -> Iterator[OpenCity]:
    """The same with its keys, over a copy of the database."""
    settings = read_settings()
    with _open(data, aside=True) as city:
        yield _with_keys(city, settings, city.scheme)


@contextmanager
def open_without_keys(data: Path) -> Iterator[City]:
    """The same, and the key service is not even asked whether it is there."""
    with _open(data, aside=True) as city:
        yield city


def _damaged(city: City, error: Exception) -> Exception:
    """What to say when reading a city failed: that its database is damaged, if its own engine finds
    it so, and else the fault itself.
    """
    damage = city.database.damage()
    if not damage:
        return error
    return DatabaseDamagedError(city.folder / "control.sqlite", damage[0])


def _open(data: Path, *, to_read: bool = False, aside: bool = False) -> City:
    try:
        return open_city(data, to_read=to_read, aside=aside)
    except CityError as error:
        if (data / "city.json").exists():
            refuse(
                words(
                    f"{error}。未作任何更改；`onecard doctor` 检查环境，损坏的目录由备份恢复。",
                    f"{error}. Nothing was changed; `onecard doctor` examines the city, and a "
                    "damaged folder is restored from a copy.",
                )
            )
        refuse(
            words(
                f"{error}。请以 `onecard demo`、`onecard replay` 或 `onecard city init` 新建，或以 "
                "--data 指明其目录。",
                f"{error}. Make one with `onecard demo`, `onecard replay` or `onecard city init`, "
                "or name its folder with --data.",
            ),
            EXIT_USAGE,
        )


@contextmanager
def open_or_create(data: Path, scheme: Scheme, bucket_count: int) -> Iterator[OpenCity]:
    """The city in a folder, made when there is none, then with so many buckets. `CityError` for one
    of another scheme.

    `scheme` may have participants more than the one that ships under its name: their keys are
    opened as well.
    """
    settings = read_settings()
    if (data / "city.json").exists():
        city = open_city(data)
        if city.scheme.name != scheme.name:
            name = city.scheme.name
            city.close()
            raise CityError(
                data,
                Text(
                    f"此城市的规则是 {name}，不是 {scheme.name}；请另选目录：--data",
                    f"this city runs scheme {name}, not {scheme.name}; name another folder: --data",
                ),
            )
    else:
        action = Action(SIMULATION, datetime.now(UTC), "a plan of this scheme")
        city = create_city(data, scheme.name, action, bucket_count)
    with city:
        yield _with_keys(city, settings, scheme)
