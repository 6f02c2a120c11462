"""What the card, its messages and its rules are.

This package is pure: no file, no socket, no clock, no dice, no framework. Time and randomness
arrive as arguments, and the outside satisfies its ports (`keys.KeyService`).

Read it in the order of one tap::

    errors.py        the exception tree, by whose fault it is
    digits.py        BCD digits, dates and times as cards write them
    money.py         integer fen and exact splits
    tlv.py, apdu.py  the wire of the card
    keys.py          names of keys and the port of the key service
    crypto/          suites: the formulas behind one interface
    cryptograms.py   which bytes stand under each MAC and TAC
    fixed.py         records of fields at fixed offsets
    layout.py        the files of the card and their codecs
    filesystem.py    MF, DF, EF: transparent, record and cyclic files
    memory.py        non-volatile memory: a command commits whole or leaves no trace
    purse.py         the electronic purse: decisions of load, purchase, composite purchase
    commands/        one family of commands a file: files, payment
    card.py          the card operating system: one APDU in, one APDU out
    applets/         one file per use of the card; they never import each other
    records.py       the transaction record: the contract between terminal and back office
    batch.py         the signed file that carries records
    schemes/         the rules of a city: operators, tariffs, day cut-over
    limits.py        every limit, with unit and reason
"""
