"""The key service as its own process: its wire, its server and the client that stands for it.

Read it in this order::

    codec/            the bytes of the wire: frames, values, messages
    links/            how client and server reach each other: addresses, connections, TLS
    events.py         what a serving process says of itself
    access/           who may do what with which keys: duties, and the rights file
    counters.py       which image of a PSAM is the newest, so that none runs twice
    psams.py          PSAMs that live in the server, by handle
    dispatch.py       one connection's requests: asked of the key service, answered or refused
    server.py         connections, deadlines, the end: the process around the key service
    served_device.py  a device while it is served: its keys as ceremonies leave them, its log
    client.py         `RemoteKeyService`: the port, asked over a connection
    remote.py         a channel and a PSAM whose keys stay in the server
"""
