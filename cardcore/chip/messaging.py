"""Secure messaging of the purse application (安全报文, JR/T 0025): MAC, and enciphered with MAC.

Decides how a command is protected and how protection is taken off; both sides stand here. Leaves
which key serves, and how often it may be wrong, to the card's commands.

The MAC stands over CLA INS P1 P2 Lc and the data as they are sent, Lc with its four bytes, and
starts from the challenge. Enciphered data are length and data, padded to whole blocks of the key's
suite (8 bytes of triple DES, 16 of SM4 and AES), in ECB; some card systems pad a message only that
needs it, and both are read.
"""

import hmac

from cardcore.apdu import CommandApdu
from cardcore.chip.cardkeys import CardKey

MAC_BYTES = 4


def protect(command: CommandApdu, key: CardKey, challenge: bytes, *, encipher: bool) -> CommandApdu:
    """The command with its MAC, as a host sends it. `challenge` has 4 or 8 bytes.

    >>> from cardcore.keys import Key, KeyUsage
    >>> value = bytes.fromhex("404142434445464748494A4B4C4D4E4F")
    >>> key = CardKey(1, 1, 1, Key(KeyUsage.FILE_MAINTENANCE, value))
    >>> update = CommandApdu(0x04, 0xD6, 0x95, 0x00, bytes.fromhex("00112233"))
    >>> sent = protect(update, key, bytes.fromhex("A1B2C3D4"), encipher=False)
    >>> sent.data.hex(), take_off(sent, key, bytes.fromhex("A1B2C3D4")).hex()
    ('00112233d8e8aec5', '00112233')
    """
    data = command.data
    if encipher:
        plain = bytes((len(data),)) + data
        padded = plain + b"\x80" + bytes(-(len(plain) + 1) % key.suite.block_bytes)
        data = key.suite.encipher(key.key.value, padded)
    return command._replace(data=data + _mac(command, data, key, challenge))


def take_off(command: CommandApdu, key: CardKey, challenge: bytes) -> bytes | None:
    """The data without their MAC, or None when the MAC does not hold."""
    data, mac = command.data[:-MAC_BYTES], command.data[-MAC_BYTES:]
    expected = _mac(command, data, key, challenge)
    return data if hmac.compare_digest(expected, mac) else None


def decipher(data: bytes, key: CardKey) -> bytes | None:
    """The data inside an enciphered message, or None when it is none."""
    block_bytes = key.suite.block_bytes
    if not data or len(data) % block_bytes:
        return None
    plain = key.suite.decipher(key.key.value, data)
    end = 1 + plain[0]
    padding = plain[end:]
    whole = end <= len(plain) and (not padding or padding == b"\x80".ljust(len(padding), b"\x00"))
    return plain[1:end] if whole and len(padding) <= block_bytes else None


def _mac(command: CommandApdu, data: bytes, key: CardKey, challenge: bytes) -> bytes:
    header = (command.cla, command.ins, command.p1, command.p2, len(data) + MAC_BYTES)
    return key.suite.message_mac(key.key.value, challenge, bytes(header) + data)
