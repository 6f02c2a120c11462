"""The schemes this build knows, by name. A new city is a new file beside this one."""

from cardcore.schemes import Scheme, demo, shenzhen

SCHEMES: dict[str, Scheme] = {scheme.name: scheme for scheme in (demo.SCHEME, shenzhen.SCHEME)}
