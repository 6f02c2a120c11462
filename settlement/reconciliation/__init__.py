"""Reconciliation (对账): one disposition a record, one priced gap a hole.

Decides nothing here; read in this order::

    run.py          a whole run: terminals first, then every bucket, then clearing
    inputs.py       facts and registry as tables
    terminals.py    serials used twice, holes in them, device registers
    bucket.py       one bucket of cards: copies, reused counters, seams, dispositions
    threads.py      the few cards whose movements do not join, handed to plain functions
    chain.py        one card's movements, joined one behind the other
    continuity.py   which order they had, and what is missing between them
    fares.py        which class of the scheme explains each charged fare
"""
