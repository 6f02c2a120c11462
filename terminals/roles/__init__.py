"""The roles of devices, one file a kind of device: the only list of roles.

Decides which roles there are. Each file beside this one offers `ROLES`, so a new role is one new
file. What a role is stands in `terminals.role`.
"""

import sys
from collections.abc import Mapping

from cardcore.catalogues import gather
from terminals.role import DeviceRole


def read_roles() -> Mapping[str, DeviceRole]:
    """The roles by name, in the order of their files.

    >>> [role.name for role in read_roles().values() if role.partner == "load_host"]
    ['kiosk']
    """
    found: list[DeviceRole] = list(gather(sys.modules[__name__], "ROLES"))
    by_name = {role.name: role for role in found}
    assert len(by_name) == len(found), found
    return by_name


ROLES = read_roles()
