"""The files of each application of a citizen card, in words.

Decides which files `onecard card read --application` goes through and what each is called. Leaves
the bytes to the layouts and the labels of fields to `cardcore.layouts.labels`. What a card shows
only to machines that have shown themselves is said to be closed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cardcore.apdu import StatusWord
from cardcore.applets import catalogue, health, social_security
from cardcore.errors import DecodeError
from cardcore.layouts.fixed import FixedLayout, is_unwritten
from cardcore.layouts.library import LoanRecord, ReaderInformation
from cardcore.layouts.tagged import TaggedTable
from cardcore.layouts.transit import (
    CardProperties,
    HolderInformation,
    LogRecord,
    PublicInformation,
    Sfi,
    TripRecord,
)
from cardcore.text import Text
from terminals.link.connection import CardConnection
from terminals.reading.card import (
    read_binary,
    read_record,
    read_records,
    select_file,
    select_name,
)

_Decode = Callable[[Sequence[bytes]], list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class WordedFile:
    """One file: what it is called, where it is, how its parts become fields."""

    title: Text
    sfi: int
    decode: _Decode
    has_records: bool = False
    directory: int = 0  # file id of the directory below the application; 0 the application itself


@dataclass(frozen=True, slots=True)
class FileInWords:
    """One file that was read: a set of fields a record; or the word of the card why not."""

    title: Text
    sw: int
    records: tuple[dict[str, Any], ...] = ()
    problem: Text | None = None


def _one(layout: type[FixedLayout]) -> _Decode:
    def decode(parts: Sequence[bytes]) -> list[dict[str, Any]]:
        written = (part for part in parts if not is_unwritten(part))
        values = (layout.decode(part[: layout.SIZE]) for part in written)
        return [
            {each.name: getattr(value, each.name) for each in layout.FIELDS} for value in values
        ]

    return decode


def _tags(table: TaggedTable) -> _Decode:
    return lambda parts: [table.decode(part for part in parts if not is_unwritten(part))]


_PUBLIC = WordedFile(Text("公共信息", "public information"), Sfi.PUBLIC, _one(PublicInformation))
_LOG = WordedFile(Text("交易明细", "log"), Sfi.LOG, _one(LogRecord), has_records=True)
_HEALTH_TITLES = {
    (health.FID_APPLICATION, 0xEF05): Text("发卡信息", "issue"),
    (health.FID_APPLICATION, 0xEF06): Text("持卡人身份", "holder"),
    (health.FID_APPLICATION, 0xEF08): Text("有效期与联系方式", "validity and phones"),
    (health.FID_CONTACTS, 0xEF05): Text("地址", "addresses"),
    (health.FID_CONTACTS, 0xEF06): Text("联系人", "contacts"),
    (health.FID_CONTACTS, 0xEF07): Text("职业与婚姻", "occupation and marriage"),
    (health.FID_CONTACTS, 0xEF08): Text("证件与档案", "documents and records"),
    (health.FID_CLINICAL, 0xEF05): Text("急救信息", "what an emergency needs"),
    (health.FID_CLINICAL, 0xEF06): Text("特殊信息", "confidential"),
}
_TRANSIT = (
    _PUBLIC,
    WordedFile(Text("持卡人信息", "holder"), Sfi.HOLDER, _one(HolderInformation)),
    WordedFile(Text("管理信息", "properties"), Sfi.PROPERTIES, _one(CardProperties)),
    _LOG,
    WordedFile(Text("乘车记录", "trips"), Sfi.TRIPS, _one(TripRecord), has_records=True),
)
#: The files of each application that have words; every other application with a purse has two.
_FILES: dict[str, tuple[WordedFile, ...]] = {
    "transit": _TRANSIT,
    "library": (
        WordedFile(Text("读者信息", "reader"), Sfi.PUBLIC, _one(ReaderInformation)),
        WordedFile(Text("借阅记录", "loans"), Sfi.LOG, _one(LoanRecord), has_records=True),
    ),
    "social_security": (
        WordedFile(Text("发卡信息", "issue"), 0x05, _tags(social_security.ISSUE), has_records=True),
        WordedFile(
            Text("持卡人信息", "holder"), 0x06, _tags(social_security.HOLDER), has_records=True
        ),
    ),
    "health": tuple(
        WordedFile(
            _HEALTH_TITLES[place],
            place[1] & 0x1F,
            _tags(table),
            has_records=True,
            directory=0 if place[0] == health.FID_APPLICATION else place[0],
        )
        for place, table in health.TABLES.items()
    ),
}


def files_of(application: str) -> tuple[WordedFile, ...]:
    """The files of an application of the catalogue that have words."""
    named = catalogue.application_named(application)
    return _FILES.get(application, (_PUBLIC, _LOG) if named.has_purse else ())


def fields_of(application: str, sfi: int, parts: Sequence[bytes]) -> list[dict[str, Any]]:
    """The fields of a file right below an application; none where no layout is known or fits."""
    name = application.casefold().replace("-", "_")
    if name not in {each.name for each in catalogue.APPLICATIONS.values()}:
        return []
    for file in files_of(name):
        if (file.sfi, file.directory) == (sfi, 0):
            try:
                return file.decode(parts)
            except DecodeError:
                return []
    return []


def read_in_words(connection: CardConnection, application: str) -> Iterator[FileInWords]:
    """Every file of an application; nothing at all when the card does not have it."""
    aids = catalogue.application_named(application).aids
    name = next((aid for aid in aids if select_name(connection, aid).ok), None)
    if name is None:
        return
    below = 0
    for file in files_of(application):
        if file.directory != below:
            # The way to a directory begins at the application.
            select_name(connection, name)
            if file.directory:
                select_file(connection, file.directory)
            below = file.directory
        yield _read(connection, file)


def _read(connection: CardConnection, file: WordedFile) -> FileInWords:
    parts: list[bytes]
    if file.has_records:
        parts, sw = list(read_records(connection, file.sfi)), int(StatusWord.OK)
        if not parts:
            first = read_record(connection, file.sfi, 1).sw
            sw = sw if first == StatusWord.RECORD_NOT_FOUND else first
    else:
        response = read_binary(connection, file.sfi)
        parts, sw = ([response.data] if response.ok else []), response.sw
    try:
        return FileInWords(file.title, sw, tuple(file.decode(parts)) if parts else ())
    except DecodeError as error:
        return FileInWords(file.title, sw, problem=error.place)
