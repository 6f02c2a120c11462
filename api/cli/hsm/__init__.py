"""`onecard hsm`: the key service and its ceremonies.

Read it in this order::

    commands.py  gathers the commands
    device.py    how PINs and components come in: no echo, or files; never arguments
    refusals.py  what the device refuses, with what to do next
    naming.py    keys and algorithms as people write them
    ceremony.py  the device, its custodians, its log, its backup, its end
    life.py      the life of one key
    terms.py     what is said of a key that comes to be or comes in
    keys.py      `keys`, `rotate`
    partners.py  `import`, `export`: single keys from and to a partner's device
    token.py     `to-token`: the keys of a device into a PKCS#11 token
    production.py  `doctor --production`: what is looked at
    serve.py     `serve`: where is listened, and what is said at the terminal
"""
