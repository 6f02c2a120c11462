"""`onecard card`: virtual cards, cards in a reader, published dumps.

Read it in this order::

    commands.py  the commands
    files.py     which file of a card a person means, and reading it
    text.py      a card that was read, for people and as JSON
"""
