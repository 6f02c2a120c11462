"""What the rules of a sector say (pure).

Read it in this order::

    fares.py  which class of the scheme explains each distinct fare
"""
