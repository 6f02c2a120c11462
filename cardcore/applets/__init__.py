"""The uses of the card, one file each: which files and keys it has. They never import each other;
the card operating system supplies the mechanics.

Each file offers `APPLICATIONS`, so a new application is one new file. What an application is stands
in `cardcore.application`::

    transit.py             transit, as T-Union or City Union: files, composite records, purse
    purse.py, purses.toml  purses of shops and of benefits, with limits of their own
    social_security.py     social security, versions 1.00, 2.00 and 3.00
    health.py              resident health, and the place of the next visit
    library.py             the reader, and loans
    catalogue.py           every application there is, by number and by name
"""
