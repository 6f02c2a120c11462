"""Which file of a card a person means, and reading it.

Decides the names of files and applications and how a file of unknown kind is read: as one piece,
and where the card says it holds records, record by record. Leaves the words to
`api.cli.card.reading`.
"""

from dataclasses import dataclass

from cardcore.apdu import CommandApdu, StatusWord
from cardcore.applets import catalogue
from cardcore.errors import DecodeError
from cardcore.layouts.city_union import AID_CITY_UNION
from cardcore.layouts.fixed import FixedLayout
from cardcore.layouts.transit import (
    AID_PURSE,
    CardProperties,
    HolderInformation,
    LogRecord,
    PublicInformation,
    Sfi,
    TransitRecord,
    TripRecord,
)
from cardcore.text import Text, shorten
from terminals.link.connection import CardConnection
from terminals.reading.card import ask, read_binary, read_record, select_file, select_name

#: Every application by name, in its first form, and the other form of transit.
APPLICATIONS = {
    **{each.name.replace("_", "-"): each.aids[0] for each in catalogue.APPLICATIONS.values()},
    "city-union": AID_CITY_UNION,
}
FILES = {
    "public": Sfi.PUBLIC,
    "holder": Sfi.HOLDER,
    "properties": Sfi.PROPERTIES,
    "log": Sfi.LOG,
    "transit": Sfi.TRANSIT,
    "trips": Sfi.TRIPS,
}
_LAYOUTS: dict[int, type[FixedLayout]] = {
    Sfi.PUBLIC: PublicInformation,
    Sfi.HOLDER: HolderInformation,
    Sfi.PROPERTIES: CardProperties,
    Sfi.LOG: LogRecord,
    Sfi.TRANSIT: TransitRecord,
    Sfi.TRIPS: TripRecord,
}
_SFI_MAX = 30
_RECORDS_MAX = 254
#: "This file holds records, read them one by one": cards differ in the word.
_NOT_ONE_PIECE = {StatusWord.FILE_TYPE_INCOMPATIBLE, StatusWord.CONDITIONS_NOT_SATISFIED}


class FileNameError(Exception):
    """What was typed names no file or no application."""


@dataclass(frozen=True, slots=True)
class CardFile:
    """A file of an application: by short id, or by file id when `sfi` is 0."""

    application: bytes
    sfi: int
    identifier: int

    @property
    def title(self) -> str:
        """EF and its number."""
        return f"EF{self.sfi:02X}" if self.sfi else f"EF {self.identifier:04X}"


@dataclass(frozen=True, slots=True)
class Content:
    """What was read: one part for a file in one piece, one a record otherwise. `decoded` holds
    the same in fields where the layout is known. `sw` is 9000, or why there is nothing.
    """

    sw: int
    parts: tuple[bytes, ...] = ()
    decoded: tuple[FixedLayout, ...] = ()


def name_file(file: str, application: str) -> CardFile:
    """The file a person means.

    >>> name_file("log", "transit").title, name_file("1001", "A0000003").identifier
    ('EF18', 4097)
    """
    aid = APPLICATIONS.get(application.casefold())
    if aid is None:
        try:
            aid = bytes.fromhex(application)
        except ValueError as error:
            given = shorten(application, 40)
            raise FileNameError(
                Text(
                    f"--application：没有应用 {given}；应为 AID，或 {'、'.join(APPLICATIONS)}",
                    f"--application: no application {given}; an AID, or {', '.join(APPLICATIONS)}",
                )
            ) from error
    if (named := FILES.get(file.casefold())) is not None:
        return CardFile(aid, named, 0)
    digits = file.casefold().removeprefix("ef")
    try:
        number = int(digits, 16)
    except ValueError as error:
        given = shorten(file, 40)
        raise FileNameError(
            Text(
                f"没有文件 {given}；有 {'、'.join(FILES)}",
                f"no file {given}; there are {', '.join(FILES)}",
            )
        ) from error
    if len(digits) == 2 and 1 <= number <= _SFI_MAX:
        return CardFile(aid, number, 0)
    if len(digits) == 4:
        return CardFile(aid, 0, number)
    given = shorten(file, 40)
    raise FileNameError(
        Text(
            f"{given}：短文件标识为两位（01 至 1E），文件标识为四位",
            f"{given}: a short id has two digits (01 to 1E), a file id four",
        )
    )


def read_file(connection: CardConnection, file: CardFile, record: int | None) -> Content:
    """Select the application and read the file, or one record of it."""
    selected = select_name(connection, file.application)
    if selected.ok and not file.sfi:
        selected = select_file(connection, file.identifier)
    if not selected.ok:
        return Content(selected.sw)
    if record is not None:
        response = read_record(connection, file.sfi, record)
        return _content(file, response.sw, [response.data] if response.ok else [])
    if file.sfi:
        whole = read_binary(connection, file.sfi)
    else:
        whole = ask(connection, CommandApdu(0x00, 0xB0, 0x00, 0x00, le=256))
    if whole.ok:
        return _content(file, whole.sw, [whole.data])
    if whole.sw not in _NOT_ONE_PIECE:
        return Content(whole.sw)
    return _read_records(connection, file)


def _read_records(connection: CardConnection, file: CardFile) -> Content:
    records: list[bytes] = []
    for number in range(1, _RECORDS_MAX + 1):
        response = read_record(connection, file.sfi, number)
        if not response.ok:
            # An empty file ends at its first record, and that is no refusal.
            ended = response.sw == StatusWord.RECORD_NOT_FOUND
            return _content(file, StatusWord.OK if ended else response.sw, records)
        records.append(response.data)
    return _content(file, StatusWord.OK, records)


def _content(file: CardFile, sw: int, parts: list[bytes]) -> Content:
    """With fields where every part is laid out as T-Union has it."""
    layout = _LAYOUTS.get(file.sfi) if file.application == AID_PURSE else None
    decoded: list[FixedLayout] = []
    try:
        decoded = [] if layout is None else [layout.decode(part) for part in parts]
    except DecodeError:
        decoded = []
    return Content(sw, tuple(parts), tuple(decoded))
