"""The commands a terminal sends to card and PSAM, and their answers taken apart.

Decides the bytes of each command (reference JR/T 0025 purse commands, JT/T 978 files) but for
SELECT, which every dialogue needs (`dialogue.commands`). Leaves
their order to `flow` and their meaning to `session`. Every Le is exact, so that no card has to
answer 6Cxx and no command is sent twice.
"""

import struct
from dataclasses import dataclass
from datetime import datetime

from cardcore.apdu import CommandApdu
from cardcore.digits import encode_time
from cardcore.errors import DecodeError
from cardcore.layouts.transit import (
    LogRecord,
    Sfi,
    TransitRecord,
    TripRecord,
)
from cardcore.records.kinds import TransactionType

#: EF17 up to the card kind: what a terminal decides by.
PROPERTIES_BYTES = 11
PURSE = 0x02  # P2: 电子钱包 EP
#: EF1A: record 1 is the metro's, id 2701.
METRO_RECORD_NUMBER = 1
_INITIALISE_P1 = {
    TransactionType.LOAD: 0x00,
    TransactionType.PURCHASE: 0x01,
    TransactionType.COMPOSITE: 0x03,
}
_DEBIT_ANSWER = struct.Struct(">IH3sBB4s")  # available, counter, overdraft limit, key
_LOAD_ANSWER = struct.Struct(">IHBB4s4s")
#: Some cards set the topmost bit of the balance; readers mask it.
_BALANCE_MASK = 0x7FFFFFFF


def read_properties() -> CommandApdu:
    """READ BINARY of the first bytes of EF17.

    >>> read_properties().encode().hex()
    '00b097000b'
    """
    return CommandApdu(0x00, 0xB0, 0x80 | Sfi.PROPERTIES, 0x00, le=PROPERTIES_BYTES)


def read_log(number: int) -> CommandApdu:
    """READ RECORD of EF18 by number; 1 is the newest.

    >>> read_log(1).encode().hex()
    '00b201c417'
    """
    return CommandApdu(0x00, 0xB2, number, Sfi.LOG << 3 | 4, le=LogRecord.SIZE)


def read_transit() -> CommandApdu:
    """READ RECORD of the metro's record in EF1A.

    >>> read_transit().encode().hex()
    '00b201d480'
    """
    return CommandApdu(0x00, 0xB2, METRO_RECORD_NUMBER, Sfi.TRANSIT << 3 | 4, le=TransitRecord.SIZE)


def initialise(
    transaction_type: TransactionType, key_index: int, amount_fen: int, terminal: str
) -> CommandApdu:
    """INITIALIZE FOR LOAD, PURCHASE or CAPP PURCHASE.

    >>> initialise(TransactionType.COMPOSITE, 1, 200, "001122334455").encode().hex()
    '805003020b01000000c80011223344550f'
    """
    load = transaction_type is TransactionType.LOAD
    data = bytes((key_index,)) + amount_fen.to_bytes(4, "big") + bytes.fromhex(terminal)
    le = _LOAD_ANSWER.size if load else _DEBIT_ANSWER.size
    return CommandApdu(0x80, 0x50, _INITIALISE_P1[transaction_type], PURSE, data, le=le)


@dataclass(frozen=True, slots=True)
class Initialised:
    """The card's answer to INITIALIZE. `counter` is the one this transaction uses up; `mac1` is
    the card's proof to the load host and empty for debits.

    `balance_fen` of a debit is the holder's own money: the card shows what is available, and the
    overdraft it was granted beside it. It is below zero while overdraft is in use.
    """

    balance_fen: int
    counter: int
    key_version: int
    algorithm: int
    random: bytes
    mac1: bytes = b""

    @classmethod
    def decode(cls, data: bytes, *, load: bool) -> "Initialised":
        """Read 16 bytes (load) or 15 (debits); `DecodeError` on another length."""
        layout = _LOAD_ANSWER if load else _DEBIT_ANSWER
        if len(data) != layout.size:
            raise DecodeError("INITIALIZE answer", len(data), f"not {layout.size} bytes")
        if load:
            balance, counter, version, algorithm, random, mac1 = layout.unpack(data)
            return cls(balance & _BALANCE_MASK, counter, version, algorithm, random, mac1)
        available, counter, limit, version, algorithm, random = layout.unpack(data)
        own_fen = (available & _BALANCE_MASK) - int.from_bytes(limit, "big")
        return cls(own_fen, counter, version, algorithm, random)


def write_transit(record: TransitRecord) -> CommandApdu:
    """UPDATE CAPP DATA CACHE of EF1A; P1 is the low byte of the record id."""
    data = record.encode()
    return CommandApdu(0x80, 0xDC, record.record_id & 0xFF, Sfi.TRANSIT << 3, data)


def write_trip(record: TripRecord) -> CommandApdu:
    """UPDATE CAPP DATA CACHE of EF1E; P1 00 appends to the cyclic file."""
    return CommandApdu(0x80, 0xDC, 0x00, Sfi.TRIPS << 3, record.encode())


def debit(psam_sequence: int, moment: datetime, mac1: bytes) -> CommandApdu:
    """DEBIT FOR PURCHASE or CAPP PURCHASE; answer TAC 4, MAC2 4."""
    data = psam_sequence.to_bytes(4, "big") + encode_time(moment) + mac1
    return CommandApdu(0x80, 0x54, 0x01, 0x00, data, le=8)


def credit(moment: datetime, mac2: bytes) -> CommandApdu:
    """CREDIT FOR LOAD; answer TAC 4."""
    return CommandApdu(0x80, 0x52, 0x00, 0x00, encode_time(moment) + mac2, le=4)


def prove(transaction_type: int, counter: int) -> CommandApdu:
    """GET TRANSACTION PROVE; answer MAC 4, TAC 4. The counter is the one the log record carries,
    which is the one INITIALIZE gave.

    >>> prove(9, 258).encode().hex()
    '805a000902010208'
    """
    return CommandApdu(0x80, 0x5A, 0x00, transaction_type, counter.to_bytes(2, "big"), le=8)


def psam_initialise(
    answer: Initialised,
    amount_fen: int,
    transaction_type: TransactionType,
    moment: datetime,
    factor: bytes,
) -> CommandApdu:
    """INIT_SAM_FOR_PURCHASE with one level of diversification; answer sequence 4, MAC1 4."""
    data = b"".join(
        (
            answer.random,
            answer.counter.to_bytes(2, "big"),
            amount_fen.to_bytes(4, "big"),
            bytes((transaction_type,)),
            encode_time(moment),
            bytes((answer.key_version, answer.algorithm)),
            factor,
        )
    )
    return CommandApdu(0x80, 0x70, 0x00, 0x00, data, le=8)


def psam_credit(mac2: bytes) -> CommandApdu:
    """CREDIT_SAM_FOR_PURCHASE: 9000, or 9302 when the card is forged."""
    return CommandApdu(0x80, 0x72, 0x00, 0x00, mac2)


def read_psam_serial() -> CommandApdu:
    """EF15 of the PSAM: serial 10 and four more bytes."""
    return CommandApdu(0x00, 0xB0, 0x80 | 0x15, 0x00, le=14)


def read_psam_terminal() -> CommandApdu:
    """EF16 of the PSAM: the terminal's number, 6 bytes."""
    return CommandApdu(0x00, 0xB0, 0x80 | 0x16, 0x00, le=6)


def select_psam_application() -> CommandApdu:
    """SELECT of the PSAM's purchase application DF01."""
    return CommandApdu(0x00, 0xA4, 0x00, 0x00, bytes.fromhex("DF01"))


def read_psam_application() -> CommandApdu:
    """EF17 of the PSAM's application: 25 bytes, the purchase key's index first."""
    return CommandApdu(0x00, 0xB0, 0x80 | 0x17, 0x00, le=25)
