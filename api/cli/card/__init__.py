"""`onecard card`: virtual cards, cards in a reader, published dumps.

Read it in this order::

    commands.py  the commands
    files.py     which file of a card a person means, and reading it
    applications.py  the files of every application, in words
    text.py      a card that was read, for people and as JSON
"""
