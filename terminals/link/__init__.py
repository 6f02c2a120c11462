"""How a terminal reaches card and PSAM.

Read it in this order::

    connection.py     the link, answers put together from the pieces of T=0; the trace of a tap
    pcsc.py           the same through real readers; the only file that imports pyscard
    reader_faults.py  what can be wrong with a reader, and what to do about it
    vpcd.py           the other end: a virtual card in a virtual reader
"""
