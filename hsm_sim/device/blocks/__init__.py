"""Keys on their way.

Read it in this order::

    tr31.py        key blocks (TR-31, ANSI X9.143): a key and what it is for, bound together
    key_names.py   what a key is called here, and what it is called in a key block
    components.py  one key out of the components that several custodians brought
"""
