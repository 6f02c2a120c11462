"""Catalogues that grow by a file: what the modules of a package offer under one name.

Decides the order (by module name) and nothing else. A new application, device role or sector is
one new file in its folder; nothing lists it by hand.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any


def gather(package: ModuleType, attribute: str) -> Iterator[Any]:
    """The entries of every module of a package that has a tuple of that name."""
    for name in sorted(each.name for each in iter_modules(package.__path__)):
        module = import_module(f"{package.__name__}.{name}")
        entries = getattr(module, attribute, ())
        if isinstance(entries, Mapping):  # the catalogue itself may stand in the same folder
            continue
        # Anything else would be an entry that is written down and that nobody finds.
        assert isinstance(entries, tuple), f"{module.__name__}.{attribute} is no tuple"
        yield from entries
