"""What stands at the edge of the city: readers, journals, uploads, one file per device role.

A terminal takes a card offline, keeps what happened through any power loss, and sends signed
files. Read it in the order of one tap::

    errors.py  faults of link, device and disk
    taps.py    what a tap asks for and how it can end
    roles/     which devices there are: one file each
    device.py  a terminal as it stands: who, whose, with which lists
    tap/       one movement of a purse: the session and its shell
    dialogue/  what is said to card and PSAM where no purse moves: generators of commands
    partners/  what stands behind a device: the load host
    link/      how a terminal reaches card and PSAM, also through real readers
    journal/   what is on disk before and after money moves, and what is sent of it
    reading/   any card read without a key, any exchange in words
"""
