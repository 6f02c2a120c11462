"""Published card dumps: what a card says of itself, read as far as its bytes go.

Decides number, validity, balance, log and trips of cards that others have read (T-Union, City
Union and older city cards). Leaves finding the parts in a document to `cardcore.dumps.parts`,
number and validity to `cardcore.dumps.public`, and reading files and printing to the command line.

Nothing here raises for a damaged dump: a part that cannot be read, or not to its end, is named in
`problems`, and everything else is read. What was read but is odd stands in `remarks`.

Balance. GET BALANCE P1 00 gives b0, what can be spent with the overdraft; P1 01 gives b1, the limit
of the overdraft. The holder's own money is b0 − b1, below zero while overdraft is in use: that is
the balance, and `available_fen` is b0. Bit 31 of every amount is noise on several cards.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

from cardcore.digits import wrong_length
from cardcore.dumps.applications import by_application, fci_name
from cardcore.dumps.parts import SFI_RIDES, Part, hexadecimal, is_part, parts, unread
from cardcore.dumps.public import CardFamily, Public, family_of, read_public
from cardcore.errors import DecodeError
from cardcore.layouts.bus import BusRecord, is_bus_layout
from cardcore.layouts.city_union import CompositeRecord
from cardcore.layouts.fixed import FixedLayout, is_unwritten, read_prefix, signed_balance
from cardcore.layouts.labels import of_field
from cardcore.layouts.transit import CardProperties, LogRecord, Sfi, TransitRecord, TripRecord
from cardcore.text import Text
from cardcore.tlv import Tlv, decode_all, find

_TIMES = ("time", "entry_time", "exit_time")
_STATUS_OK = b"\x90\x00"
_PUBLIC_BYTES = 30
_NO_HEX = Text("不是十六进制文字", "is no hexadecimal text")
_NO_AID = Text("目录中有一项没有 AID", "an entry of the directory has no AID")
_LayoutT = TypeVar("_LayoutT", bound=FixedLayout)


class Problem(NamedTuple):
    """A part of a dump that could not be read, or not to its end."""

    part: str
    reason: Text


class Application(NamedTuple):
    """One application that the directory of a card lists; the AID in hexadecimal digits."""

    aid: str
    label: str


@dataclass(frozen=True, slots=True)
class ParsedCard:
    """What one card says. Whatever the dump does not hold, or holds damaged, is None or empty.

    Log and trips stand in the order of the dump, newest first on a real card.
    """

    name: str
    public: Public
    balance_fen: int | None = None  # the holder's own: below zero when overdraft is in use
    available_fen: int | None = None  # what may be spent, free overdraft included
    overdraft_limit_fen: int | None = None
    properties: CardProperties | None = None
    composites: tuple[CompositeRecord, ...] = ()
    log: tuple[LogRecord, ...] = ()
    rides: tuple[TransitRecord | BusRecord, ...] = ()
    trips: tuple[TripRecord, ...] = ()
    applications: tuple[Application, ...] = ()
    problems: tuple[Problem, ...] = ()
    remarks: tuple[Text, ...] = ()
    unread: tuple[str, ...] = ()  # where bytes stand that are no part known here


def parse_dump(document: Mapping[str, object]) -> tuple[ParsedCard, ...]:
    """Every card of a published file.

    A file holds a list of cards, a list of trips (which makes one card without a number), or is
    itself one card.
    """
    for key in ("cards", "records", "dumps"):
        entries = document.get(key)
        if not isinstance(entries, list) or is_part(key):
            continue
        if any(isinstance(entry, Mapping) and _is_card(entry) for entry in entries):
            return tuple(
                card
                for index, entry in enumerate(entries)
                for card in _parse_entry(f"{key}[{index}]", entry)
            )
    return _parse_card(document)


def parse_card_dump(document: Mapping[str, object]) -> ParsedCard:
    """One card, or one list of trips under `records` or `trips`; of a card with several purses
    that which readers ask for first.

    >>> card = parse_card_dump({
    ...     "fci": "6F318408A000000632010105A5259F0801029F0C1E"
    ...            "01011000FFFFFFFF02010310517007010479138120190718204012310000",
    ...     "balance_p1_00": "8000164E"})
    >>> card.public.printed_number, card.balance_fen, card.problems
    ('3105170070104791381', 5710, ())
    """
    return _parse_card(document)[0]


def _parse_entry(name: str, entry: object) -> tuple[ParsedCard, ...]:
    if isinstance(entry, Mapping):
        return _parse_card(entry)
    return (
        ParsedCard(name, Public(), problems=(Problem(name, Text("不是对象", "is no object")),)),
    )


def _parse_card(document: Mapping[str, object]) -> tuple[ParsedCard, ...]:
    """Every purse of one card, each with the parts that are its own."""
    name = str(document.get("name") or document.get("source") or "")
    found = [*parts(document)]
    listed = []
    for key in ("trips", "records"):
        entries = document.get(key)
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            data = hexadecimal(entry)
            listed.append(Part(f"{key}[{index}]", "file", Sfi.TRIPS, data))
    named = {part.name for part in listed}
    cards = []
    left = tuple(path for path in unread(document) if path.partition(".")[0] not in named)
    for application in by_application(document, found + listed):
        reader = _Reader(name, application.names)
        for part in application.parts:
            reader.take(part)
        if not application.parts:
            cards.append(ParsedCard(name, Public(), unread=left))
            continue
        # What nobody could read is said once, with the first purse.
        cards.append(replace(reader.card(), unread=() if cards else left))
    return tuple(cards)


def _is_card(entry: Mapping[str, object]) -> bool:
    return any(is_part(key) for key in entry) or ("hex" not in entry and bool([*parts(entry)]))


class _Reader:
    """Gathers the parts of one card; whatever fails is named and left behind."""

    def __init__(self, name: str, names: tuple[bytes, ...]) -> None:
        self.name = name
        self.problems: list[Problem] = []
        self.remarks: list[Text] = []
        self.names = names
        self.unwritten: dict[str, int] = {}  # empty slots, by the name of their file
        self.files: dict[int, tuple[str, bytes]] = {}  # transparent files, by SFI
        self.from_fci: tuple[str, bytes] | None = None
        self.balances: dict[int, int] = {}
        self.properties: CardProperties | None = None
        self.composites: list[CompositeRecord] = []
        self.log: list[LogRecord] = []
        self.rides: list[TransitRecord | BusRecord] = []
        self.trips: list[TripRecord] = []
        self.applications: list[Application] = []

    def take(self, part: Part) -> None:
        """Read one part."""
        if part.data is None:
            self.problems.append(Problem(part.name, _NO_HEX))
        elif not part.data:
            self.problems.append(Problem(part.name, Text("为空", "is empty")))
        elif part.kind == "fci":
            self._take_fci(part.name, part.data)
        elif part.kind == "balance":
            self._take_balance(part.name, part.number, part.data)
        else:
            self._take_file(part.name, part.number, part.data)

    def card(self) -> ParsedCard:
        """Everything read so far, as one card."""
        public = self._public()
        for name, slots in self.unwritten.items():
            self.remarks.append(Text(f"{name}：{slots} 条未写入", f"{name}: {slots} unwritten"))
        available, limit = self.balances.get(0), self.balances.get(1)
        balance = None
        if available is not None:
            balance = available - (limit or 0)
        elif 3 in self.balances:  # P1 03 is the purse itself, P1 02 what of the overdraft is used
            balance = self.balances[3] - self.balances.get(2, 0)
            available = None if limit is None else balance + limit
        return ParsedCard(
            self.name,
            public,
            balance,
            available,
            limit,
            self.properties,
            tuple(self.composites),
            tuple(self.log),
            tuple(self.rides),
            tuple(self.trips),
            tuple(self.applications),
            tuple(self.problems),
            tuple(self.remarks),
        )

    def _take_fci(self, name: str, data: bytes) -> None:
        # The name a card answers with is stronger than the one it was asked for.
        if (answered := fci_name(data)) is not None:
            self.names = (answered, *self.names)
        try:
            objects = decode_all(data)
        except DecodeError as error:
            self.problems.append(Problem(name, error.place))
            self._search_fci(name, data)
            return
        if (copied := find(objects, 0x9F0C)) is not None:
            self.from_fci = (name, copied.content)
        entries = find(objects, 0xBF0C)
        for entry in entries.value if entries is not None else ():
            if isinstance(entry, Tlv) and entry.tag == 0x61:
                self._take_entry(name, entry)

    def _take_entry(self, name: str, entry: Tlv) -> None:
        aid, label = entry.find(0x4F), entry.find(0x50)
        if aid is None:
            self.problems.append(Problem(name, _NO_AID))
            return
        text = b"" if label is None else label.content
        self.applications.append(
            Application(aid.content.hex().upper(), text.decode("gbk", errors="replace"))
        )

    def _search_fci(self, name: str, data: bytes) -> None:
        """A template that does not hold together may still hold the copy of EF15."""
        at = data.find(b"\x9f\x0c")
        start = at + 3
        if at >= 0 and start < len(data):
            self.from_fci = (name, data[start : start + data[start - 1]])

    def _take_balance(self, name: str, which: int, data: bytes) -> None:
        if len(data) == 6 and data.endswith(_STATUS_OK):
            data = data[:4]
        if len(data) != 4:
            self.problems.append(Problem(name, wrong_length(len(data), 4)))
            return
        if data[0] & 0x80:
            self.remarks.append(
                Text(f"{name}：第 31 位曾置位，不计", f"{name}: bit 31 was set and is dropped")
            )
        self.balances[which] = signed_balance(data)

    def _take_file(self, name: str, sfi: int, data: bytes) -> None:
        if sfi == Sfi.LOG:
            self._append(self.log, name, LogRecord, data, "transaction_type")
        elif sfi == Sfi.TRIPS:
            self._append(self.trips, name, TripRecord, data, "balance_fen")
        elif sfi == SFI_RIDES:
            layout = BusRecord if is_bus_layout(data) else TransitRecord
            self._append(self.rides, name, layout, data, "status")
        elif sfi == Sfi.PROPERTIES:
            self._take_properties(name, data)
        else:
            self.files.setdefault(sfi, (name, data))

    def _take_properties(self, name: str, data: bytes) -> None:
        """SFI 17: the 60 bytes of T-Union start with the country, City Union has records."""
        if name.startswith("rec"):
            try:
                self.composites.append(CompositeRecord.decode(data))
            except DecodeError as error:
                self.problems.append(Problem(name, error.place))
            return
        found: list[CardProperties] = []
        self._append(found, name, CardProperties, data, "country")
        self.properties = found[0] if found else self.properties

    def _append(
        self,
        kept: list[Any],
        name: str,
        layout: type[_LayoutT],
        data: bytes,
        needed: str,
    ) -> None:
        """Read one record. It is kept when it reaches past `needed`; what is missing is zero."""
        if len(data) == layout.SIZE + 2 and data.endswith(_STATUS_OK):
            data = data[:-2]
        if is_unwritten(data):
            file = name.partition("[")[0]
            self.unwritten[file] = self.unwritten.get(file, 0) + 1
            return
        if len(data) > layout.SIZE:
            self.problems.append(Problem(name, wrong_length(len(data), layout.SIZE)))
            data = data[: layout.SIZE]
        if len(data) >= layout.SIZE_MIN:
            data = data.ljust(layout.SIZE, b"\x00")
        values, errors = read_prefix(layout, data)
        for error in errors:
            self.problems.append(Problem(name, error.place))
        self._remark_times(name, layout, values, data)
        if needed in values:
            zero, _ = read_prefix(layout, bytes(layout.SIZE))
            kept.append(layout(**{**zero, **values}))

    def _remark_times(
        self, name: str, layout: type[FixedLayout], values: Mapping[str, object], data: bytes
    ) -> None:
        for field in layout.FIELDS:
            raw = data[field.offset : field.offset + field.length]
            if field.name in _TIMES and values.get(field.name, raw) is None and any(raw):
                of = of_field(field.name, Text(f"{raw.hex()} 不是时间", f"{raw.hex()} is no time"))
                self.remarks.append(Text(f"{name}：{of.zh}", f"{name}: {of.en}"))

    def _public(self) -> Public:
        files = {sfi: data for sfi, (_, data) in self.files.items()}
        if self.from_fci is not None:
            files.setdefault(Sfi.PUBLIC, self.from_fci[1])
        family = family_of(self.names, files)
        source = self.files.get(0x04 if family is CardFamily.BEIJING else Sfi.PUBLIC)
        if source is not None and self.from_fci is not None:
            copy = self.from_fci[1]
            if copy[:_PUBLIC_BYTES] != source[1][:_PUBLIC_BYTES]:
                fci, file = self.from_fci[0], source[0]
                self.remarks.append(
                    Text(f"{fci}：9F0C 与 {file} 不一致", f"{fci}: 9F0C is not a copy of {file}")
                )
        source = source or self.from_fci
        if source is None:
            return Public(family)
        public, errors = read_public(family, source[1])
        for error in errors:
            self.problems.append(Problem(source[0], error.place))
        if errors and source is not self.from_fci and self.from_fci is not None:
            return _filled(public, read_public(family, self.from_fci[1])[0])
        return public


def _filled(public: Public, copy: Public) -> Public:
    """A damaged EF15 completed from its copy in the FCI."""
    missing: dict[str, Any] = {
        field: other
        for field, own, other in zip(public._fields, public, copy, strict=True)
        if own is None
    }
    return public._replace(**missing)
