"""What people ask of a city that was taken over.

Read it in this order::

    cards.py  whose opening is still to be told, which cards contradict their old centre
"""
