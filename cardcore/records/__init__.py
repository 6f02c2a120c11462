"""What a tap leaves behind: the record, and the signed files of terminals and load hosts.

Read it in this order::

    kinds.py     the closed words of a record: what happened, where, what speaks for it
    record.py    the transaction record: the contract between terminal and back office
    tac.py       what a card signs of it, with and without a purse; the record MAC
    payloads.py  what each kind of record says beyond the common fields
    batch.py     the signed file
    load_log.py  what a load host allowed: entries in a chain, in signed files
    openings.py  what an old centre hands over: opening balances in a signed file
"""
