"""Taking over a city's cards (城市接管): what the old centre hands over, and what runs read of it.

Read it in this order::

    receive.py    take in a file of opening balances
    reading.py    which files a run reads, and their proven rows
    importing.py  the old system's lists of cards, hotlist and terminals
"""
