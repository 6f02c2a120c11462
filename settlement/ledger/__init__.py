"""Double entry (pure).

Read it in this order::

    entries.py  entries that balance, their chain, net positions
"""
