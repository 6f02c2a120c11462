"""`onecard card`: virtual cards, cards in a reader, published dumps.

Read it in this order::

    commands.py  the commands
    reader.py    the card on a reader, and what is said when there is none
    listing.py   `onecard card list`
    reading.py   `onecard card info`, `read` and `parse`
    apdus.py     `onecard card apdu` and `trace`
    serving.py   `onecard card serve`
    files.py     which file of a card a person means, and reading it
    applications.py  the files of every application, in words
    text.py      a card that was read, for people and as JSON
"""
