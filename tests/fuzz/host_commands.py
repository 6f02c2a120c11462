"""Targets of the fuzzer: host commands, and the key blocks in them.

The rule of host commands: any bytes get an answer with the header and an error code, or none;
nothing is raised, no fault is met inside, and no clear key is in answer or log. No mutation finds
a key block whose MAC holds, so the bytes 01 to 08 of an input stand for real ones.
"""

import re

from hsm_sim.device.blocks import tr31
from hsm_sim.device.blocks.tr31 import KeyBlockError, KeyBlockHeader
from hsm_sim.host_commands.commands import HostContext, answer
from hsm_sim.host_commands.keys import HostKey, HostKeys

_STORAGE_KEY = bytes(range(0x80, 0xA0))
_TDES = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
_AES = bytes(range(0x40, 0x60))
_ANSWER = re.compile(rb"HEAD[0-9A-Za-z].(?!41)[0-9A-Z]{2}", re.DOTALL)


def _pattern(size: int) -> bytes:
    """Random enough for keys, and the same in every run."""
    return bytes(37 * number + 11 & 0xFF for number in range(size))


_KEYS = HostKeys(_STORAGE_KEY, _pattern)
_BLOCKS = {
    number: block.encode()
    for number, block in enumerate(
        (
            *(
                _KEYS.key_block(HostKey(header, value))
                for header, value in (
                    (KeyBlockHeader("K1", "A", "B", "00", "N"), _AES),
                    (KeyBlockHeader("K0", "T", "B", "00", "E"), _TDES),
                    (KeyBlockHeader("M3", "T", "C", "00", "E"), _TDES),
                    (KeyBlockHeader("M6", "A", "N", "00", "E", {"LB": "cmac"}), _AES),
                    (KeyBlockHeader("M3", "T", "C", "c1", "E"), _TDES),
                    (KeyBlockHeader("M3", "T", "C", "c2", "E"), _AES[:16]),
                )
            ),
            "R" + tr31.wrap(_AES, KeyBlockHeader("M1", "T", "G", "00", "E"), _TDES, _pattern),
            "R"
            + tr31.wrap(_TDES, KeyBlockHeader("D0", "T", "B", "00", "S", {}, "B"), _TDES, _pattern),
        ),
        start=1,
    )
}


def host_command(data: bytes) -> None:
    """One message behind its header, its short bytes replaced by key blocks."""
    log: list[tuple[str, str, str]] = []
    context = HostContext(_KEYS, lambda *entry: log.append(entry))
    message = b"".join(_BLOCKS.get(byte, bytes((byte,))) for byte in data)
    received = answer(context, b"HEAD" + message)
    assert received == b"" or _ANSWER.match(received), (data.hex(), received)
    shown = received + repr(log).encode()
    if not any(key in message or key.hex().encode() in message.lower() for key in (_TDES, _AES)):
        assert not any(key in shown for key in (_TDES, _AES, _STORAGE_KEY)), data.hex()
        assert not any(key.hex().encode() in shown.lower() for key in (_TDES, _AES)), data.hex()


def key_block(data: bytes) -> None:
    """A key block is refused by name, or wrapped again it reads the same."""
    text = data.decode("latin-1")
    for protection_key in (_AES, _TDES):
        try:
            header, key = tr31.unwrap(protection_key, text)
        except KeyBlockError:
            continue
        again = tr31.wrap(protection_key, header, key, _pattern)
        assert tr31.unwrap(protection_key, again) == (header, key), data.hex()


def seeds() -> list[bytes]:
    """A command of every kind, and key blocks."""
    return [
        b"NC",
        b"B20004ping",
        b"N0008",
        b"A00FFFS#D0T2B00E00",
        b"A01FFFS;0\x01R#72A1B00E00%00&N!D\x19trailer",
        b"A42FFFS\x05\x06",
        b"A6FFF\x01\x07S",
        b"A6FFF\x02\x08S",
        b"A8FFF\x01\x03R%00!D",
        b"BUFFF\x04;FFF;001",
        b"M600132FFF\x030004abcd",
        b"M611164FFF\x040020" + b"00" * 16,
        b"M630131FFF\x03" + b"0" * 16 + b"0004abcd",
        b"M800064FFF\x040004abcd00000000",
        *(block[1:] for block in _BLOCKS.values()),
    ]
