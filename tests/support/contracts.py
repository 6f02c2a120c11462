"""The contracts on imports, as `pyproject.toml` has them: the one list of pure places there is."""

import tomllib
from collections.abc import Iterable
from functools import cache
from typing import Any

from tests.support.tree import document

_PURE = "Pure "


@cache
def contracts() -> list[dict[str, Any]]:
    """Every contract, as it is written."""
    found: list[dict[str, Any]] = tomllib.loads(document("pyproject.toml"))["tool"]["importlinter"][
        "contracts"
    ]
    return found


def pure_places() -> tuple[str, ...]:
    """Modules and packages that the pure contracts are about."""
    return tuple(module for each in _pure() for module in each["source_modules"])


def shells_of_pure_places() -> tuple[str, ...]:
    """Modules whose imports a pure contract passes over: the shells of their rooms."""
    ignored = (line for each in _pure() for line in each.get("ignore_imports", ()))
    return tuple(sorted({line.split(" -> ")[0] for line in ignored}))


def is_inside(module: str, places: Iterable[str]) -> bool:
    """Whether a module is one of the places or stands in one."""
    return any(module == place or module.startswith(f"{place}.") for place in places)


def _pure() -> list[dict[str, Any]]:
    return [each for each in contracts() if each["name"].startswith(_PURE)]
