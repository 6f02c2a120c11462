"""The second dialect of the key service: host commands, as scripts for payment HSMs speak them.

An extra: nothing in this product speaks it, and production refuses it.

Read it in this order::

    codec.py     fields of a command, and the error codes of the answers
    keys.py      keys as hosts hold them: key blocks under a key of this device
    macs.py      MACs over a message whole or in parts
    commands.py  NC A0 A4 A6 A8 BU B2 M6 M8 N0: any message in, one answer out
"""
