"""The bytes of the wire.

Read it in this order::

    frames.py    one message in a stream of bytes: length, header, binary parts
    values.py    how one argument or result lies in a message, both ways
    messages.py  every operation as a request and an answer; errors travel by name
    streams.py   exact reading and writing before a deadline
"""
