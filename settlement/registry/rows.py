"""The kinds of rows of the registry: what each says and what names it.

Decides columns, and which kinds may have days without a row. Leaves days and changes to `book`. A
new kind is one more class here and one more line in `KINDS`; tables and commands follow from it.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cardcore.applets.catalogue import APPLICATIONS
from cardcore.keys import Algorithm
from cardcore.records.kinds import Sector
from cardcore.schemes import ParticipantKind
from cardcore.text import Text, shorten
from settlement.registry.columns import Column, Day, Form, Number, Value, Words


@dataclass(frozen=True, slots=True, order=True)
class ParticipantRow:
    """A participant: `kind` is a number of `schemes.ParticipantKind`, `sector` one of
    `records.kinds.Sector`.
    """

    code: int
    name: str
    kind: int
    sector: int


@dataclass(frozen=True, slots=True, order=True)
class SenderRow:
    """A sender of files and one version of its public key in hexadecimal digits: 32 bytes of
    Ed25519, 65 of SM2.
    """

    sender: int
    key_version: int
    participant: int
    public_key: str


@dataclass(frozen=True, slots=True, order=True)
class TerminalRow:
    """A terminal (12 hexadecimal digits): who owns it and is paid, what it does, who collects its
    records (None: its owner) and its sector (None: its owner's).
    """

    terminal: str
    participant: int
    role: str
    collector: int | None = None
    sector: int | None = None


@dataclass(frozen=True, slots=True, order=True)
class PsamRow:
    """A PSAM by its number (20 digits), the terminal it was issued for, and how it stands."""

    psam: str
    terminal: str
    state: str  # issued, lost or revoked


@dataclass(frozen=True, slots=True, order=True)
class NameRow:
    """What people call a line, station or vehicle that records carry as a code."""

    kind: str  # line, station or vehicle
    code: int
    text: str


@dataclass(frozen=True, slots=True, order=True)
class HotlistRow:
    """A card on the hotlist (黑名单) and the list version from which on a terminal could know.
    `published` (YYYY-MM-DD) is the day on which that was told, which nobody states: `book.told`
    takes it from the chain. In a change it stands only where a city was taken over with it.
    """

    card_number: str
    version: int
    published: str | None = None


@dataclass(frozen=True, slots=True, order=True)
class TacKeyRow:
    """One version of the key under the TACs, by what may be read aloud: `algorithm` is a number of
    `cardcore.keys.Algorithm`, the check value (密钥校验值) has six hexadecimal digits.
    """

    label: str
    version: int
    algorithm: int
    check_value: str


@dataclass(frozen=True, slots=True, order=True)
class CardNumbersRow:
    """Which card numbers belong to a label of keys: those of the issuer (16 hexadecimal digits)
    that begin so. Records with other ones are claims, whatever their TAC says.
    """

    label: str
    prefix: str
    issuer: str


@dataclass(frozen=True, slots=True, order=True)
class LoadHostRow:
    """The load host (圈存主机) of an issuer (16 hexadecimal digits) and one version of the public
    key under the files of its log: 32 bytes of Ed25519, 65 of SM2.
    """

    issuer: str
    key_version: int
    public_key: str


@dataclass(frozen=True, slots=True, order=True)
class CentreRow:
    """Whose cards have their keys under the labels of another city: `label` is that city's own, the
    participant the centre (发卡中心) that answers for what those cards pay here.
    """

    label: str
    participant: int


@dataclass(frozen=True, slots=True, order=True)
class CardRow:
    """A card of an old system, known by its number, and the version of the keys that it was made
    under: a number is given out again only under a higher one (补卡).
    """

    card_number: str
    key_version: int


RegistryRow = (
    ParticipantRow
    | SenderRow
    | TerminalRow
    | PsamRow
    | NameRow
    | HotlistRow
    | TacKeyRow
    | CardNumbersRow
    | LoadHostRow
    | CentreRow
    | CardRow
)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of rows. `subject` are the columns that name what the row is about, `participants`
    those that name a participant. Without `may_pause` the days of a subject have no hole: its
    accounts and keys go on from one row to the next.
    """

    name: str
    row: type[RegistryRow]
    columns: tuple[Column, ...]
    subject: int  # so many of the first columns
    participants: tuple[str, ...] = ()
    may_pause: bool = False

    def subject_of(self, row: RegistryRow) -> str:
        """The name of what a row is about, as people write it."""
        values = asdict(row)
        return "/".join(str(values[each.name]) for each in self.columns[: self.subject])

    def make(self, values: Mapping[str, Value]) -> RegistryRow:
        """The row of these values. `ValueError` names the one that is absent, unknown or wrong."""
        known = {each.name for each in self.columns}
        if unknown := sorted(values.keys() - known):
            raise ValueError(
                Text(f"{self.name}：没有列 {unknown[0]}", f"{self.name}: {unknown[0]} is unknown")
            )
        for column in self.columns:
            if not column.is_sound(values.get(column.name)):
                given = shorten(str(values.get(column.name, "")))
                raise ValueError(
                    Text(
                        f"{self.name}：{column.name} 为 {given}",
                        f"{self.name}: {column.name} is {given}",
                    )
                )
        row: Any = self.row
        made: RegistryRow = row(**{each.name: values.get(each.name) for each in self.columns})
        return made


def _form(pattern: str, zh: str, en: str) -> Form:
    return Form(re.compile(pattern), Text(zh, en))


_CODE = Number(1, 2**32 - 1)
_LINE = _form(r"\S(.{0,126}\S)?", "一行文字，至多 128 字", "a line of at most 128 characters")
_TERMINAL = _form(r"[0-9a-f]{12}", "12 位十六进制终端号", "a terminal of 12 hexadecimal digits")
_WORD = _form(r"[a-z][a-z0-9_-]{0,31}", "小写字母的词", "a word of small letters")
_LABEL = _form(r"[a-z][a-z0-9-]{0,63}", "密钥标签", "a label of keys")
_ENDINGS = "|".join(each.key_ending for each in APPLICATIONS.values() if each.key_ending)
#: A centre answers for all applications of a city; under the label of one it would say nothing.
_CITY = _form(
    rf"(?!.*({_ENDINGS})$)[a-z][a-z0-9-]{{0,63}}",
    "城市自身的标签，不带应用后缀",
    "the label of a city, without the ending of an application",
)
#: Keys that are no TAC keys have their usage before the label (`facts.proof.registered_label`).
_KEY_NAME = _form(
    r"([a-z][a-z-]{0,63}/)?[a-z][a-z0-9-]{0,63}", "密钥标签", "a label of keys, or usage/label"
)
_SECTOR = Words({each.name.lower(): each.value for each in Sector}, most=255)
_KEY = _form(
    r"[0-9a-f]{64}|04[0-9a-f]{128}", "64 或 130 位十六进制公钥", "a public key of 64 or 130 digits"
)
_ISSUER = _form(r"[0-9A-F]{16}", "16 位发卡机构", "an issuer of 16 digits")
_CHECK_VALUE = _form(r"[0-9A-F]{6}", "6 位密钥校验值", "a check value of 6 digits")

_KINDS = (
    Kind(
        "participant",
        ParticipantRow,
        (
            Column("code", _CODE),
            Column("name", _LINE),
            Column("kind", Words({each.name.lower(): each.value for each in ParticipantKind})),
            Column("sector", _SECTOR),
        ),
        subject=1,
    ),
    Kind(
        "sender",
        SenderRow,
        (
            Column("sender", _CODE),
            Column("key_version", Number(0, 255)),
            Column("participant", _CODE),
            Column("public_key", _KEY),
        ),
        subject=2,
        participants=("participant",),
    ),
    Kind(
        "terminal",
        TerminalRow,
        (
            Column("terminal", _TERMINAL),
            Column("participant", _CODE),
            Column("role", _WORD),
            Column("collector", _CODE, optional=True),
            Column("sector", _SECTOR, optional=True),
        ),
        subject=1,
        participants=("participant", "collector"),
        may_pause=True,
    ),
    Kind(
        "psam",
        PsamRow,
        (
            Column("psam", _form(r"[0-9a-f]{20}", "20 位 PSAM 号", "a PSAM number of 20 digits")),
            Column("terminal", _TERMINAL),
            Column("state", Words({each: each for each in ("issued", "lost", "revoked")})),
        ),
        subject=1,
    ),
    Kind(
        "name",
        NameRow,
        (
            Column("kind", Words({each: each for each in ("line", "station", "vehicle")})),
            Column("code", _CODE),
            Column("text", _LINE),
        ),
        subject=2,
        may_pause=True,
    ),
    Kind(
        "hotlist",
        HotlistRow,
        (
            Column("card_number", _form(r"[0-9]{20}", "20 位卡号", "a card number of 20 digits")),
            Column("version", Number(0, 2**32 - 1)),
            Column("published", Day(), optional=True, is_own=True),
        ),
        subject=1,
        may_pause=True,
    ),
    Kind(
        "tac_key",
        TacKeyRow,
        (
            Column("label", _KEY_NAME),
            Column("version", Number(0, 255)),
            Column("algorithm", Words({each.name.lower(): each.value for each in Algorithm})),
            Column("check_value", _CHECK_VALUE),
        ),
        subject=2,
    ),
    Kind(
        "card_numbers",
        CardNumbersRow,
        (
            Column("label", _LABEL),
            Column(
                "prefix", _form(r"[0-9]{1,20}", "卡号前缀", "the first digits of a card number")
            ),
            Column("issuer", _ISSUER),
        ),
        subject=2,
    ),
    Kind(
        "load_host",
        LoadHostRow,
        (
            Column("issuer", _ISSUER),
            Column("key_version", Number(0, 2**32 - 1)),
            Column("public_key", _KEY),
        ),
        subject=2,
    ),
    Kind(
        "centre",
        CentreRow,
        (Column("label", _CITY), Column("participant", _CODE)),
        subject=1,
        participants=("participant",),
        may_pause=True,
    ),
    Kind(
        "card",
        CardRow,
        (
            Column("card_number", _form(r"[0-9]{20}", "20 位卡号", "a card number of 20 digits")),
            Column("key_version", Number(0, 255)),
        ),
        subject=1,
        may_pause=True,
    ),
)
#: Every kind there is, by the noun of the command line.
KINDS: Mapping[str, Kind] = {each.name: each for each in _KINDS}
_KIND_OF = {each.row: each for each in _KINDS}
assert len(_KIND_OF) == len(KINDS) == len(_KINDS)


def kind_of(row: RegistryRow) -> Kind:
    """The kind a row is of.

    >>> kind_of(NameRow("line", 1, "一号线")).subject_of(NameRow("line", 1, "一号线"))
    'line/1'
    """
    return _KIND_OF[type(row)]


def stated(row: RegistryRow) -> RegistryRow:
    """A row without what the registry says itself: as people state it.

    >>> stated(HotlistRow("0310" + "0" * 16, 1, "2018-09-01")).published is None
    True
    """
    kind = kind_of(row)
    own = {each.name for each in kind.columns if each.is_own}
    if not own:
        return row
    return kind.make({**asdict(row), **dict.fromkeys(own)})


def content_of(row: RegistryRow) -> dict[str, Value]:
    """A row as it is linked and written. What the registry says itself stands there only where it
    is said, so that links made before there was such a column hold.
    """
    values: dict[str, Value] = asdict(row)
    own = {each.name for each in kind_of(row).columns if each.is_own}
    return {name: value for name, value in values.items() if name not in own or value is not None}
