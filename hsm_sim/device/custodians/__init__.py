"""Custodians (密钥保管员) of a device: their PINs, what each two of them open, and who gets in.

Read it in this order::

    pins.py       which PINs are taken
    custody.py    how two PINs lead to the storage key
    admission.py  wrong tries, counted before they are judged
    sheets.py     components that they carry, and of whose time each is
"""
