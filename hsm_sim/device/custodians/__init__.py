"""Custodians (密钥保管员) of a device: their PINs, what each two of them open, and who gets in.

`pins` says which PINs are taken, `custody` how two PINs lead to the storage key, `admission` counts
wrong tries before they are judged.
"""
