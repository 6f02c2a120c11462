"""What the card, its messages and its rules are.

This package is pure: no file, no socket, no clock, no dice, no framework. Time and randomness
arrive as arguments, and the outside satisfies its ports (`keys.KeyService`).

Imports run down: issuing, applets, chip, layouts, crypto, the files of this folder. Read it from
below, in the order of one tap::

    errors.py               the exception tree, by whose fault it is
    text.py                 words for people in two languages
    limits.py               every limit, with unit and reason
    digits.py               BCD digits, dates and times as cards write them
    money.py                integer fen and exact splits
    tlv.py, apdu.py         the wire of the card
    keys.py, key_labels.py  names of keys, and the port of the key service
    concession.py           the fare class of a passenger: on cards, in records, in tariffs
    application.py          what an application of the card is to everybody outside it
    catalogues.py           catalogues that grow by a file
    crypto/                 suites: the formulas behind one interface
    layouts/                the files of cards, byte by byte
    chip/                   the card operating system: memory, files, purse, commands
    applets/                one file per use of the card; they never import each other
    issuing/                from a product and an order to a card in somebody's hand
    records/                what a tap leaves behind: the contract between terminal and back office
    schemes/                the rules of a city: participants, day cut-over, tariff
    dumps/                  published dumps of cards we never made
"""
