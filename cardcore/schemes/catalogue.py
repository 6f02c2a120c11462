"""The schemes that ship with this build, by name: a new one is a new file beside this one.

Decides nothing: what a file may say stands in `cardcore.schemes.reading`. A city may bring a
scheme's file of its own.
"""

from collections.abc import Mapping
from importlib import resources

from cardcore.schemes import Scheme
from cardcore.schemes.reading import read_scheme


def read_shipped() -> Mapping[str, Scheme]:
    """The shipped schemes, in the order of their names.

    >>> list(read_shipped())
    ['demo', 'shenzhen']
    """
    # They are part of the package like its modules, and never change while it runs.
    folder = resources.files("cardcore.schemes")
    files = {each.name: each for each in folder.iterdir() if each.name.endswith(".toml")}
    found = [read_scheme(files[name].read_bytes(), name) for name in sorted(files)]
    assert [f"{scheme.name}.toml" for scheme in found] == sorted(files), files
    return {scheme.name: scheme for scheme in found}


SCHEMES = read_shipped()
