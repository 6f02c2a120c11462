"""Published dumps of cards, whoever made them, read as far as their bytes go.

Read it in this order::

    parts.py   which part of a card each entry of a dump is
    applications.py  whose part each is, on a card with several purses
    public.py  who issued the card, its number and validity
    dumps.py   what a dump says; a part that cannot be read is named, the rest is read
"""
