"""A second settlement, slow and plain, written from the rules alone and sharing no line with ours.

It knows the record's codec (`cardcore.records`) and nothing else of the product: it proves TACs and
record MACs itself, keeps everything it ever saw in lists, and decides one record after the other.
Read it in this order::

    known.py     what the city knows when it settles a day: registry, keys, scheme
    proof.py     TACs and record MACs, by `cryptography` alone
    words.py     what may become of a record, and what it signs
    auditor.py   the decision over every record, day after day
    people.py    what two people rule of what was suspended
    books.py     what follows in money: float, who is owed what, claims, and every purse exactly
"""
