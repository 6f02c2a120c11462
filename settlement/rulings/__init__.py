"""What people rule on: one asks, another answers, and both sign (pure).

Read it in this order::

    subjects.py   what a ruling is about, as lists print it
    kinds.py      what can be ruled on, and who may ask for it and answer it
    contents.py   what may stand in a proposal: items and details say the same
    ruling.py     a proposal that a second person approved
    log.py        the audit log: entries, their chain, the bytes that are signed
    book.py       what the log says: people, proposals, answers
    proposals.py  may somebody propose, approve or decline this, now
    proof.py      the log proven again, with public keys alone
"""
