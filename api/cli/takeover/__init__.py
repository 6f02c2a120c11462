"""`onecard takeover`: a city whose cards come from an old centre.

Read it in this order::

    commands.py  cards still to be opened; an old system's lists taken in
"""
