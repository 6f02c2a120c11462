"""What stands open in a city (未决事项), state by state: lists that are filtered, sorted and paged.

Read it in this order::

    values.py     what a list is of: fields, a question, a page of lines
    asking.py     a question put to a relation; counts and sums are of all that it is about
    nouns.py      every state by its name
    records.py    suspended records, claims, records with a note: of decisions
    cards.py      gaps and contradictions: of statements and chains of cards
    terminals.py  serials that are missing, registers that differ
    office.py     refused files, positions, money held for holders
"""
