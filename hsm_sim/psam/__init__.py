"""The PSAM (销售点终端安全存取模块): a secure access module, one APDU in, one APDU out.

Read it in this order::

    profile.py   what is written into a PSAM for its life
    keys.py      its keys: types, what each may do, where they come from
    image.py     what it keeps without power, in bytes, without a key byte
    seal.py      the MAC of the key service under that
    commands.py  what a command may see and ask for
    module.py    the module: which command it is, and when what it changes is written
    files.py     SELECT and READ BINARY
    purchase.py  MAC1 and MAC2, a sequence that never repeats
    records.py   the MAC under a whole record, a number for an event without a purse
    cipher.py    a card's key delivered, data enciphered, MACs
    lock.py      the lock after forged cards, and the way out of it
"""

from hsm_sim.psam.image import MAC2_TRIES_MAX, MAINTENANCE_TRIES_MAX, SEQUENCES_RESERVED
from hsm_sim.psam.keys import KeySlot, PsamKeyType
from hsm_sim.psam.module import Psam, make_psam, renew_psam
from hsm_sim.psam.profile import PsamProfile

__all__ = [
    "MAC2_TRIES_MAX",
    "MAINTENANCE_TRIES_MAX",
    "SEQUENCES_RESERVED",
    "KeySlot",
    "Psam",
    "PsamKeyType",
    "PsamProfile",
    "make_psam",
    "renew_psam",
]
