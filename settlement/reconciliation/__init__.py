"""Reconciliation (对账): one disposition a record, one priced gap a hole.

Decides nothing here. Tasks are pure, files in, files out; `chain` and `continuity` know no file
either. Read it in this order::

    inputs.py      facts and registry as tables
    terminals.py   serials used twice, holes in them, device registers
    bucket.py      one bucket of cards: copies, reused counters, seams, dispositions
    loads.py       the load host's log, matched purse by purse
    statements.py  what cards stated of their balance, and the exact price of what lies between
    takeover.py    what cards that came from an old centre were opened with
    recount.py     the same figures once more, added up anew from the files of a run
    sql/           the scripts both run, each named after who runs it and at which step
    threads.py     the few cards whose movements do not join, handed to plain functions
    chain.py       points, movements and gaps of one card, and what a gap costs
    placing.py     where in a chain a late movement belongs
    continuity.py  which order the movements had, and what is missing between them
"""
