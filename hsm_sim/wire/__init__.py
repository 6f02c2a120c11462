"""The key service as its own process: its wire, its server and the client that stands for it.

Read it in this order::

    frames.py      one message in a stream of bytes: length, header, binary parts
    values.py      how one argument or result lies in a message, both ways
    messages.py    every operation as a request and an answer; errors travel by name
    streams.py     exact reading and writing before a deadline
    addresses.py   where a key service is: a Unix socket, or TLS with certificates
    tls.py         TLS 1.3 with certificates on both sides, and its refusals in words
    events.py      what a serving process says of itself
    rights.py      who may do what with which keys: duties, and the rights file
    psams.py       PSAMs that live in the server, by handle
    desk.py        one connection's requests: asked of the key service, answered or refused
    listeners.py   sockets that are waited at, and who may speak there
    server.py      connections, deadlines, the end: the process around the key service
    served_device.py  a device while it is served: its keys as ceremonies leave them, its log
    connection.py  one connection of a client, and what is said of every trouble on it
    client.py      `RemoteKeyService`: the port, asked over a connection
    remote.py      a channel and a PSAM whose keys stay in the server
"""
