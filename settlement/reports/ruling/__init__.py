"""People (人员), what they proposed and answered, and the log of it, as lists show them.

Read it in this order::

    people.py     who is a person, and whether they may try their secret
    proposals.py  what is proposed, how it stands, and what it says in words
"""
