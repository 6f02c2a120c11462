"""The sectors of the city (行业), one rule file each (pure).

Each file offers its rule, so a new sector is one new file. Read it in this order::

    rules.py            what a sector says of a debit: does it explain it, who gets how much
    transit.py          公交地铁: the scheme's tariff explains a fare, the carrier gets all of it
    merchant.py         小额消费: the shop gets all of it
    card_service.py     卡服务: loads, which nobody shares; a fee is the counter's
    health.py           卫生: visits are reported only
    social_security.py  社保: entitlements are reported only
    library.py          图书馆: loans and returns are reported only
    catalogue.py        every sector there is, by number
    fares.py            which class of the scheme explains each distinct fare
"""
