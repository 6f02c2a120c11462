"""Ciphers as circuits over bit planes: many lanes at once.

Read it in this order::

    bitslice.py  columns as bit planes, and circuits that run over all lanes at once
    sboxes.py    the S-boxes of all three ciphers as circuits
    des.py       DES on bit planes
    aes.py       AES on bit planes
    sm4.py       SM4 on bit planes
"""
