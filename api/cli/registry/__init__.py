"""`onecard registry`.

Read it in this order::

    commands.py  the commands
    shown.py     what they come to, in words
"""
