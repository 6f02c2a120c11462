"""Double entry (pure).

Read it in this order::

    accounts.py   an account as a value with a grammar
    movements.py  what a decision moves, from which account to which: the only place that says so
    entries.py    entries that balance, and their chain
    positions.py  what a day's entries come to for each account
"""
