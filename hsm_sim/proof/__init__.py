"""The bulk proof: one call, a column of cryptograms in, one reason a row out.

Read it in this order::

    reasons.py     which row is proven, and if not, in which of the documented ways it fails
    column.py      a column of TACs: how its rows are handed out
    bundles.py     record MACs and answers to challenges: rows of one key in a few calls
    derivation.py  the keys of many cards in one call
    shares.py      rows that one process proves by itself, and what it is given for that
    workers.py     shares on more than one core: processes that belong to the key service
    worker.py      such a process
    lanes.py       the TACs of each suite, by lanes and one row at a time
    cmac.py        CMAC over whole columns, for SM4 and AES
    circuits/      ciphers as circuits over bit planes
"""
