"""The files that lie on cards, field by field: codecs without a card behind them.

Read it in this order::

    fixed.py         how a table of fields at fixed offsets becomes a codec; the record's too
    transit.py       EF15 to EF18, 1A, 1E of a transit card, and what other applications share
    city_transit.py  records of bicycle and parking hire, of concession and month
    city_union.py    the public files of a City Union card
    bus.py           the bus record of published Beijing cards
    tagged.py        records of tag, length and value, as social security and health keep them
    health_tags.py   the 57 data elements of a health card, as a table
    library.py       the reader's file and a loan
    labels.py        what every field is called for people, and which numbers are masked
"""
