"""A PSAM in a reader that speaks T=0: data of an answer are fetched, not given at once.

Decides how commands and answers are cut into the pieces of T=0 (ISO/IEC 7816-3 §12.2.1). Leaves
everything they mean to the chip inside. A real PSAM in its slot answers 61 08 to 80 70 and hands
the 8 bytes to GET RESPONSE; in process and over T=1 it answers at once, without this adapter.
"""

from typing import Protocol

from cardcore.apdu import CommandApdu, ResponseApdu, StatusWord
from cardcore.errors import DecodeError

#: Answer to reset of a contact chip that speaks T=0: no interface byte names another protocol.
T0_ATR = bytes.fromhex("3B640000") + b"PSAM"
_GET_RESPONSE = 0xC0
_DATA_WAITING = 0x6100
_ANSWER_BYTES_MAX = 256


class Chip(Protocol):
    """What is inside."""

    def reset(self) -> object:
        """Power on."""
        ...

    def transmit(self, command: bytes) -> bytes:
        """One command, one whole answer."""
        ...


class T0Chip:
    """A chip behind T=0.

    Le of a command that brings data is not part of T=0 and is dropped; the answer's data wait for
    GET RESPONSE, until any other command comes. A command without data whose Le is not the length
    of the answer is 6Cxx with the right one.
    """

    def __init__(self, chip: Chip) -> None:
        self._chip = chip
        self._waiting = b""

    def reset(self) -> None:
        """Power on; what was waiting is lost."""
        self._waiting = b""
        self._chip.reset()

    def transmit(self, command: bytes) -> bytes:
        """One exchange of T=0."""
        try:
            apdu = CommandApdu.decode(command)
        except DecodeError:
            self._waiting = b""
            return self._chip.transmit(command)
        if apdu.ins == _GET_RESPONSE and not apdu.data:
            return self._get_response(apdu).encode()
        self._waiting = b""
        if apdu.data:
            sent = CommandApdu(apdu.cla, apdu.ins, apdu.p1, apdu.p2, apdu.data)
            answer = ResponseApdu.decode(self._chip.transmit(sent.encode()))
            self._waiting = answer.data
            return (self._announced() if answer.data else answer).encode()
        answer = ResponseApdu.decode(self._chip.transmit(command))
        wanted = apdu.le or _ANSWER_BYTES_MAX
        if answer.data and len(answer.data) != wanted:
            answer = ResponseApdu(b"", StatusWord.LE_WRONG | len(answer.data) & 0xFF)
        return answer.encode()

    def _get_response(self, apdu: CommandApdu) -> ResponseApdu:
        """GET RESPONSE (取响应数据): 6A86, 6985 nothing waits, 6Cxx more is asked than waits."""
        if apdu.p1 or apdu.p2:
            return ResponseApdu(b"", StatusWord.P1P2_WRONG)
        if not self._waiting:
            return ResponseApdu(b"", StatusWord.CONDITIONS_NOT_SATISFIED)
        wanted = apdu.le or _ANSWER_BYTES_MAX
        if wanted > len(self._waiting):
            return ResponseApdu(b"", StatusWord.LE_WRONG | len(self._waiting) & 0xFF)
        given, self._waiting = self._waiting[:wanted], self._waiting[wanted:]
        return ResponseApdu(given, self._announced().sw if self._waiting else StatusWord.OK)

    def _announced(self) -> ResponseApdu:
        return ResponseApdu(b"", _DATA_WAITING | len(self._waiting) & 0xFF)
