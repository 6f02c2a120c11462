"""The chip and its card operating system: it knows no application.

Read it from the metal up::

    memory.py                non-volatile memory: a command commits whole or leaves no trace
    access.py                access rules of files as data, and how conditions combine
    tree.py                  what a file is; the making of a tree
    filesystem.py            MF, DF, EF: transparent, record and cyclic files
    content.py               what an application consists of, as one digest
    cardkeys.py, keyfile.py  keys and PIN, each with its tries; which keys an application needs
    purse/                   the electronic purse as decisions over values
    messaging.py             secure messaging of the purse applications
    scp03.py                 the secure channel of personalisation, both ends
    package.py               an application as one block of bytes, and its place on a chip in use
    section.py               what an application says of itself to whoever makes cards
    commands/                one family of commands a file
    card.py                  one APDU in, one APDU out: what the handlers decide is carried out here
"""
