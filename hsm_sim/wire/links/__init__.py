"""How client and server reach each other.

Read it in this order::

    addresses.py   where a key service is: a Unix socket, or TLS with certificates
    revocation.py  certificates refused although their authority signed them
    purpose.py     certificates that have expired, or are for the other side
    tls.py         TLS 1.3 with certificates on both sides, and its refusals in words
    listeners.py   sockets that are waited at, and who may speak there
    connection.py  one connection of a client, and what is said of every trouble on it
"""
