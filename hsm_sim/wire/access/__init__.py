"""Who may do what: duties, the rights file, what a request claims, and how much a day.

Read it in this order::

    duties.py       duty × operation × usage
    claims.py       which keys, terminal and PSAM a request names
    rights.py       whether somebody's rights give them
    rights_file.py  how a rights file is written
    budgets.py      how many keys may leave in a day
"""
