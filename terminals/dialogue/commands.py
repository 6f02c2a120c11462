"""The commands of dialogues with card and PSAM.

Decides their bytes. SELECT and INTERNAL AUTHENTICATE are of ISO/IEC 7816-4, DELIVERY KEY and CIPHER
DATA of JR/T 0025 (PSAM part). RECORD MAC and TAKE SEQUENCE are ours (`docs/psam.md`): a PSAM of the
field answers 6D00.
"""

from cardcore.apdu import CommandApdu
from cardcore.layouts.transit import FID_MASTER, PublicInformation, Sfi

#: P1 of CIPHER DATA: a whole message with its initial value, ended by its MAC.
_WHOLE_MAC = 0x05
#: P1 of DELIVERY KEY: one level, type 6, a MAC key.
_MAC_KEY_OF_ONE_LEVEL = 0x26
_INITIAL_BYTES = 8


def select(aid: bytes) -> CommandApdu:
    """SELECT an application by name.

    >>> select(bytes.fromhex("A000000632010105")).encode().hex()
    '00a4040008a00000063201010500'
    """
    return CommandApdu(0x00, 0xA4, 0x04, 0x00, aid, le=256)


def select_master() -> CommandApdu:
    """SELECT the master file."""
    return CommandApdu(0x00, 0xA4, 0x00, 0x00, FID_MASTER.to_bytes(2, "big"), le=256)


def read_chip_number() -> CommandApdu:
    """READ BINARY of EF15 of the master file: issuer and number that all applications share.

    >>> read_chip_number().encode().hex()
    '00b095001e'
    """
    return CommandApdu(0x00, 0xB0, 0x80 | Sfi.PUBLIC, 0x00, le=PublicInformation.SIZE)


def internal_authenticate(key_id: int, challenge: bytes) -> CommandApdu:
    """INTERNAL AUTHENTICATE; the answer has 8 bytes.

    >>> internal_authenticate(2, bytes(8)).encode().hex()
    '0088000208000000000000000008'
    """
    return CommandApdu(0x00, 0x88, 0x00, key_id, challenge, le=8)


def ask_record_key() -> CommandApdu:
    """RECORD MAC without data: algorithm and version of the key.

    >>> ask_record_key().encode().hex()
    '807c000002'
    """
    return CommandApdu(0x80, 0x7C, 0x00, 0x00, le=2)


def record_mac(digest: bytes) -> CommandApdu:
    """RECORD MAC over the digest of a record; 8 or 16 bytes, as the key is."""
    return CommandApdu(0x80, 0x7C, 0x00, 0x00, digest, le=256)


def take_sequence() -> CommandApdu:
    """TAKE SEQUENCE: the PSAM's next number, 4 bytes."""
    return CommandApdu(0x80, 0x7E, 0x00, 0x00, le=4)


def deliver_mac_key(number: int, factor: bytes) -> CommandApdu:
    """DELIVERY KEY of a MAC key, diversified once."""
    return CommandApdu(0x80, 0x1A, _MAC_KEY_OF_ONE_LEVEL, number, factor)


def cipher_mac(padded: bytes) -> CommandApdu:
    """CIPHER DATA: the MAC of 4 bytes over whole blocks, from an initial value of zeros."""
    return CommandApdu(0x80, 0xFA, _WHOLE_MAC, 0x00, bytes(_INITIAL_BYTES) + padded, le=4)
