"""A virtual city: chips that survive the process, and taps that drive real terminals.

Nothing here is a stand-in for a terminal or for settlement: cards and PSAMs are the reference
ones, only their silicon is a row in a file. A process that is killed leaves them as a power cut
would leave real chips::

    plan.py                who taps where and when, made whole before it is driven
    demonstration.py       an invented city from one seed
    mishaps.py             a forger's record, and what became of whatever went wrong on purpose
    taps.py, published.py  rows of a published tap file, and the plan they make
    chips.py               images of cards and PSAMs, on disk before the answer leaves
    virtual_city.py        where chips, journals and outboxes of a virtual city lie
    drive.py               a plan driven to its end; every step may be repeated
    single_card.py         one sample card outside any city, personalised and loaded
    issuing.py             many cards personalised in a row, and where the time goes
"""
