"""What stands behind a device: load host, and later library systems and insurance centres.

Decides which partners there are. Each file beside this one offers `PARTNERS`, so a new partner is
one new file. Read it in this order::

    ports.py      what a device asks, and what it is answered
    load_host.py  the load host 圈存主机: both halves of a load, through the key service
"""

import sys
from collections.abc import Mapping

from cardcore.catalogues import gather
from terminals.partners.ports import Partner

#: The partner inside the device: its PSAM (销售点终端安全存取模块). It is hardware, not an entry.
PSAM = "psam"


def read_partners() -> Mapping[str, Partner]:
    """The partners by name, in the order of their files.

    >>> read_partners()["load_host"].title.zh
    '圈存主机'
    """
    found: list[Partner] = list(gather(sys.modules[__name__], "PARTNERS"))
    by_name = {partner.name: partner for partner in found}
    assert len(by_name) == len(found), found
    assert PSAM not in by_name, by_name
    return by_name


PARTNERS = read_partners()
