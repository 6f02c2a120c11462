"""What the rules of a sector say (pure): one file a sector, which offers `SECTOR_RULES`.

Read it in this order::

    fares.py            which class of the scheme explains each distinct fare
    rules.py            what a rule is asked: to explain a fare, to share out a payment
    transit.py          transport, by the scheme's tariff
    merchant.py         shops and canteens
    card_service.py     loads and fees of the card itself
    health.py           clinics and pharmacies
    social_security.py  entitlements
    library.py          loans and returns
    catalogue.py        every sector there is, by number
"""
