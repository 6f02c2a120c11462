"""Double entry (pure).

Read it in this order::

    accounts.py   an account as a value: its kind, whose it is, how it is written
    movements.py  what a decision moves, from which account to which; sums by account
    entries.py    entries that balance, and their chain
    positions.py  gross and net of a day by account
"""
