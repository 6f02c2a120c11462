"""Worlds of a few cards with every fault and every lie, settled by the product and by the auditor.

Read it in this order::

    encoding.py   records as bytes: true ones with real TACs, and bytes changed afterwards
    world.py      a small world: its sites, registry, cards, days and files
    lives.py      what truly happened in it
    lies.py       what its terminals, collectors and networks made of that
    making.py     a seed makes a world
    product.py    many worlds of one scheme as the product settles them, in one run a day
    compare.py    both, record by record and fen by fen
    hall.py       a card and a few sites, for cases told by hand
    soak_worlds.py  more seeds than a test has time for, or one seed again
"""
