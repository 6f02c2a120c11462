"""The roles of devices, one file a kind of device: the only list of roles.

Decides which roles there are. Each file beside this one offers `ROLES`, so a new role is one new
file. What a role is stands in `terminals.tap.role`. Read it in this order::

    bus.py         bus terminal 车载机
    metro_gate.py  metro gate 闸机, entry and exit, and both with their order not checked
    shop.py        shop terminal 商户终端
    canteen.py     canteen terminal 食堂消费机
    load_kiosk.py  load kiosk 充值机
"""

import sys
from collections.abc import Mapping

from cardcore.catalogues import gather
from terminals.tap.role import DeviceRole


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
