"""The public registry of a city (登记簿): who takes part, since when, until when, and who said so.

Pure; read it in this order::

    columns.py    what may stand in a column, for people and for files alike
    rows.py       the kinds of rows there are
    book.py       rows with their days; the chain of changes that makes them
    proposed.py   changes that wait for a second person
    decide.py     whether a row may be added, changed, ended; why not
    sheets.py     rows as a CSV file, faults named by line and column
    placing.py    the registry as runs ask it, every question with one answer at most
    documents.py  the registry as one JSON document

Nothing is updated and nothing is deleted: a change is one more link of a chain, and says from which
day to which day a row reads so. What holds on a day is what the latest change about that day says.
What nobody registered is a row to add, never a change of code. No secret is in it.
"""
