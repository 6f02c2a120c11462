"""The key service as a device: how keys arrive, are kept, and travel to another device.

Read it in this order::

    blocks/        keys on their way: key blocks, their names, components
    errors.py      what a device refuses
    custodians/    the storage key under the PINs of any two (双人控制), wrong tries counted
    storage.py     a folder whose files are old or new and never between
    log.py         the hash-chained log
    document.py    the device's one file: custody, keys, and the end of the log, under one seal
    kept.py        document and log on the disk, written and proven together
    device.py      opened by two, changed a step at a time, every attempt in the log
    ceremony.py    a key's life: generated, loaded, derived, rotated, retired, destroyed
    transfer.py    import and export under a transport key
    backups.py     every key in one file, under sheets of those who are custodians now
    moving.py      keys into a PKCS#11 token, never to be taken out again
    inspection.py  what anybody may see who can read the folder
"""
