"""The bulk proof of TACs: one call, a column of records in, one reason a row out.

Read it in this order::

    column.py      which row is proven, and if not, in which of the documented ways it fails
    derivation.py  the keys of many cards in one call
    bitslice.py    DES over whole columns, one lane a record
    sboxes.py      the S-boxes of DES as circuits
"""
