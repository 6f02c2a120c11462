"""Reads any transit or city card, also one we never made, into the form of a published dump.

Decides which applications are tried, which files of them are asked for and how a card's own
manners (6Cxx, short files, no directory) are met. Leaves what the bytes mean to
`cardcore.dumps.dumps`, so that a card on a reader and a card in a file are understood by the same
code.

Nothing secret is asked for: every command here is free to read on every card.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from cardcore import tlv
from cardcore.apdu import CommandApdu, ResponseApdu, StatusWord
from cardcore.errors import DecodeError
from cardcore.layouts.city_union import AID_CITY_UNION
from cardcore.layouts.transit import AID_PURSE, PPSE_NAME, Sfi
from terminals.link.connection import CardConnection, exchange

#: Purses that are tried in this order: T-Union, City Union, Shenzhen Tong, Lingnan Pass.
PURSES = (AID_PURSE, AID_CITY_UNION, b"PAY.SZT", b"PAY.APPY")
FID_DIRECTORY = 0x0001  # EF DIR under the master file, as JR/T 0025 has it
FID_MASTER = 0x3F00
#: Beijing's cards from before T-Union keep number and dates in a file of the master file.
_SFI_BEIJING = 0x04
_RECORDS_MAX = 0xFF


@dataclass(frozen=True, slots=True)
class Listed:
    """An application the card names in its directory, or answered to."""

    aid: bytes
    label: str = ""


@dataclass(frozen=True, slots=True)
class CardReading:
    """What a card says freely: its applications, and its purse in the form of a dump."""

    applications: tuple[Listed, ...]
    document: dict[str, object]


def ask(connection: CardConnection, command: CommandApdu) -> ResponseApdu:
    """Exchange, and once more with the right Le when the card says 6Cxx."""
    response = exchange(connection, command)
    if response.sw & 0xFF00 == StatusWord.LE_WRONG and not response.data:
        right = CommandApdu(
            command.cla, command.ins, command.p1, command.p2, command.data, response.sw & 0xFF
        )
        response = exchange(connection, right)
    return response


def select_name(connection: CardConnection, name: bytes) -> ResponseApdu:
    """SELECT by name (ISO/IEC 7816-4 §11.1.1)."""
    return ask(connection, CommandApdu(0x00, 0xA4, 0x04, 0x00, name, le=256))


def select_file(connection: CardConnection, identifier: int) -> ResponseApdu:
    """SELECT by file id."""
    data = identifier.to_bytes(2, "big")
    return ask(connection, CommandApdu(0x00, 0xA4, 0x00, 0x00, data, le=256))


def read_binary(connection: CardConnection, sfi: int) -> ResponseApdu:
    """READ BINARY of a whole file by its short id."""
    return ask(connection, CommandApdu(0x00, 0xB0, 0x80 | sfi, 0x00, le=256))


def read_record(connection: CardConnection, sfi: int, number: int) -> ResponseApdu:
    """READ RECORD by number; short id 0 is the file selected last."""
    return ask(connection, CommandApdu(0x00, 0xB2, number, sfi << 3 | 4, le=256))


def read_records(connection: CardConnection, sfi: int) -> Iterator[bytes]:
    """The records of a file from number 1, until the card has no more."""
    for number in range(1, _RECORDS_MAX):
        response = read_record(connection, sfi, number)
        if not response.ok or not response.data:
            return
        yield response.data


def read_card(connection: CardConnection) -> CardReading:
    """Everything a card says of itself without a key."""
    document: dict[str, object] = {}
    listed = [*_read_ppse(connection, document), *_read_directory(connection)]
    purse: bytes | None = None
    for name in PURSES:
        response = select_name(connection, name)
        if not response.ok:
            continue
        listed.append(Listed(name))
        if purse is None:
            purse = name
    if purse is None:
        _read_beijing(connection, document)
    else:
        _read_purse(connection, select_name(connection, purse).data, document)
    # A name may stand in the PPSE and in the DIR and be answered to: the first has the label.
    unique: dict[bytes, Listed] = {}
    for each in listed:
        unique.setdefault(each.aid, each)
    return CardReading(tuple(unique.values()), document)


def _read_ppse(connection: CardConnection, document: dict[str, object]) -> Iterator[Listed]:
    response = select_name(connection, PPSE_NAME)
    if response.ok and response.data:
        document["ppse_fci"] = response.data.hex()
        yield from _entries(response.data)


def _read_directory(connection: CardConnection) -> Iterator[Listed]:
    """EF DIR: one template 61 a record."""
    if not select_file(connection, FID_MASTER).ok:
        return
    if not select_file(connection, FID_DIRECTORY).ok:
        return
    for record in read_records(connection, 0):
        yield from _entries(record)


def _entries(data: bytes) -> Iterator[Listed]:
    """Every template 61 with an AID, however deep."""
    try:
        objects = list(tlv.decode_all(data))
    except DecodeError:
        return
    while objects:
        current = objects.pop(0)
        inner = [] if isinstance(current.value, bytes) else list(current.value)
        if current.tag == 0x61:
            aid = next((each.content for each in inner if each.tag == 0x4F), None)
            label = next((each.content for each in inner if each.tag == 0x50), b"")
            if aid is not None:
                yield Listed(aid, label.decode("gbk", errors="replace"))
        objects = inner + objects


def _read_purse(connection: CardConnection, fci: bytes, document: dict[str, object]) -> None:
    document["fci"] = fci.hex()
    for sfi in (Sfi.PUBLIC, Sfi.PROPERTIES):
        response = read_binary(connection, sfi)
        if response.ok and response.data:
            document[f"file{sfi:02x}"] = response.data.hex()
    for which in range(4):
        response = ask(connection, CommandApdu(0x80, 0x5C, which, 0x02, le=4))
        if response.ok and len(response.data) == 4:
            document[f"balance_p1_{which:02x}"] = response.data.hex()
    for sfi in (Sfi.LOG, Sfi.TRANSIT, Sfi.TRIPS):
        if records := [record.hex() for record in read_records(connection, sfi)]:
            document[f"records{sfi:02x}"] = records
    if f"file{Sfi.PROPERTIES:02x}" not in document and (
        records := [record.hex() for record in read_records(connection, Sfi.PROPERTIES)]
    ):
        document[f"records{Sfi.PROPERTIES:02x}"] = records


def _read_beijing(connection: CardConnection, document: dict[str, object]) -> None:
    select_file(connection, FID_MASTER)
    response = read_binary(connection, _SFI_BEIJING)
    if response.ok and response.data:
        document[f"file{_SFI_BEIJING:02x}"] = response.data.hex()
