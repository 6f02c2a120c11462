"""Opening what a command works on: the settings, one city, its key service.

Decides which folder is meant and says what is wrong with it in words.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from settlement.city import City, create_city, open_city
from settlement.errors import CityError

from api.cli.output import EXIT_USAGE, refuse
from api.composition import KeyRoom, open_key_room
from api.settings import read_settings


@dataclass(frozen=True, slots=True)
class Office:
    """An open city and its keys."""

    city: City
    keys: KeyRoom


@contextmanager
def open_office(data: Path) -> Iterator[Office]:
    """The city in a folder; a folder without one ends the command with usage."""
    settings = read_settings()
    try:
        city = open_city(data)
    except CityError as error:
        refuse(
            f"{error}. Make one with `onecard demo`, `onecard replay` or `onecard city init`, "
            "or name its folder with --data.",
            EXIT_USAGE,
        )
    with city:
        yield Office(city, open_key_room(settings, city.scheme))


@contextmanager
def open_or_create_office(data: Path, scheme: str) -> Iterator[Office]:
    """The city in a folder, made when there is none. `CityError` for one of another scheme."""
    settings = read_settings()
    if (data / "city.json").exists():
        city = open_city(data)
        if city.scheme.name != scheme:
            name = city.scheme.name
            city.close()
            raise CityError(data, f"this city runs scheme {name}, not {scheme}")
    else:
        city = create_city(data, scheme)
    with city:
        yield Office(city, open_key_room(settings, city.scheme))
