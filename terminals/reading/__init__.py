"""Any card, read without a key, and any exchange with it, in words.

Read it in this order::

    card.py       what a card says without a key, in the form of a published dump
    narration.py  what was said to a card, secrets left out
"""
