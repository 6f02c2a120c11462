"""Measurements against the budgets, each beside its baseline in the same run.

Read it in this order::

    keys.py                  the public keys of measurements, and the service that holds them
    tac.py                   TACs proven in bulk, beside `cryptography` and a loop in C
    tac_loop.py, tac_loop.c  that loop, compiled on the spot where a compiler is there
    tap.py                   one offline bus ride, beside the bare fsyncs of its journal
    readers.py               the same over pcscd, beside bare round trips
    cards.py                 cards personalised, beside the cryptography of it
    issuing.py               what is measured of them, and when
    crypto_floor.py          their cryptography written down and done over again, bare
    replay.py                published taps on whole cards, beside the slim cards of before
    shapes.py                days made dear on purpose, at a size and at four times it
    made_records.py          the records of it: columns of numbers in, signed bytes out
    figures.py               what each figure is called
"""
