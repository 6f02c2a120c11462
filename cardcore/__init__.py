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
    layout.py        the files of a transit card and their codecs
    layouts/         codecs of files that only one application has
    access.py        access rules of files as data
    tree.py          what a file is; the making of a tree
    filesystem.py    MF, DF, EF: transparent, record and cyclic files
    memory.py        non-volatile memory: a command commits whole or leaves no trace
    purse.py         the purse: its state; decisions of purchase, composite purchase, cash
    purse_online.py  decisions of load, unload and the overdraft limit
    cardkeys.py      keys and PIN of an application, each with its tries
    messaging.py     secure messaging of the purse application
    scp03.py         the secure channel of personalisation, both ends
    package.py       an application as one block of bytes, and its place on a chip
    commands/        one family of commands a file
    card.py          the card operating system: one APDU in, one APDU out
    keyfile.py       which keys an application needs
    applets/         one file per use of the card; they never import each other
    products/        card products as data
    orders.py        one card as it is ordered: product and order become packages
    stock.py         a chip in stock
    personalisation.py  from stock to somebody's card, over SCP03, step by step
    lifecycle.py     the life of a card as a table
    dump_parts.py, dump_public.py, dumps.py  published dumps of cards we never made
    records.py       the transaction record: the contract between terminal and back office
    batch.py         the signed file that carries records
    schemes/         the rules of a city: operators, tariffs, day cut-over
    limits.py        every limit, with unit and reason
"""
