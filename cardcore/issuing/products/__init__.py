"""Card products (卡产品) as data: which applications, files, keys, PINs and limits a card has.

Decides what a product file may say and refuses everything else by name. Leaves what is different
on every card to `cardcore.issuing.orders`, and the making of the card to
`cardcore.issuing.personalisation`. A product is a TOML text; a city may add its own to those that
ship::

    citizen.toml    实名市民卡: all five applications, one holder
    student.toml    学生卡: transit, library, micropayment
    anonymous.toml  不记名交通卡: transit and micropayment, nobody's name
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from importlib import resources
from typing import Any, NamedTuple, TypeVar

from cardcore import applets
from cardcore.applets import health, library, social_security, transit
from cardcore.applets.catalogue import application_named
from cardcore.catalogues import gather
from cardcore.chip.keyfile import KeySlot
from cardcore.chip.scp03 import LEVELS
from cardcore.chip.section import Section
from cardcore.concession import Concession
from cardcore.crypto import SUITES
from cardcore.key_labels import application_label, chip_label
from cardcore.keys import KeyRef, KeyUsage
from cardcore.layouts.city_transit import RECORD_BICYCLE, RECORD_CONCESSION, RECORD_PARKING
from cardcore.layouts.library import DepositState
from cardcore.layouts.transit import RECORD_BUS, RECORD_METRO
from cardcore.text import Text, shorten, text_of

SHIPPED = ("citizen", "anonymous", "student")
#: Keys of the chip itself: its secure channel, and the key of CARD BLOCK.
CHIP_KEYS = (
    KeySlot(KeyUsage.CHANNEL_ENC),
    KeySlot(KeyUsage.CHANNEL_MAC),
    KeySlot(KeyUsage.CHANNEL_DEK),
    KeySlot(KeyUsage.FILE_MAINTENANCE, tries_max=10),
)
#: What `records` of the transit application may list: EF1A.
RECORDS = {
    "metro": RECORD_METRO,
    "bus": RECORD_BUS,
    "bicycle": RECORD_BICYCLE,
    "parking": RECORD_PARKING,
    "concession": RECORD_CONCESSION,
}
FORMS = ("t-union", "city-union")
#: Whose card it is. The name and number of a named holder stand behind the read keys of the
#: applications; "named-free" shows them to anybody, as cards of the field do (ADR 0038).
HOLDERS = ("named", "named-free", "anonymous")
_SettingsT = TypeVar("_SettingsT")


class ProductError(ValueError):
    """A product file says something that no card can be."""


@dataclass(frozen=True, slots=True)
class KeySettings:
    """What INITIALIZE shows of the keys; their labels are those of chip and applications.

    `algorithm` is that of the master keys: 0 and 1 triple DES, 4 SM4, 5 AES.
    """

    version: int
    algorithm: int


@dataclass(frozen=True, slots=True)
class TransitSettings:
    """The transit application: form, records in EF1A, concession, overdraft."""

    form: str
    records: list[str]
    concession: str
    overdraft_limit_fen: int

    def __post_init__(self) -> None:
        _among("form", self.form, FORMS)
        _among("concession", self.concession.upper(), Concession.__members__)
        for record in self.records:
            _among("records", record, RECORDS)


@dataclass(frozen=True, slots=True)
class SocialSecuritySettings:
    """The social security application: generation, class of card, PIN."""

    version: str
    card_class: str
    pin_tries: int

    @property
    def is_closed(self) -> bool:
        """Whether its files open only to a reader that has shown itself."""
        return social_security.is_third_generation(self.version)


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """The health application: generation and class of card."""

    version: str
    card_class: str


@dataclass(frozen=True, slots=True)
class LibrarySettings:
    """The library application: class, limits, deposit, PIN."""

    reader_class: int
    loans_max: int
    loan_days: int
    deposit: str
    deposit_fen: int
    pin_tries: int

    def __post_init__(self) -> None:
        _among("deposit", self.deposit.upper(), DepositState.__members__)


#: What applets offer by themselves: a new application is one file there, and nothing here.
_OFFERED: tuple[Section, ...] = tuple(gather(applets, "SECTIONS"))
SECTIONS = {each.name: each for each in _OFFERED}
#: Name of an application in a product file to its settings and its keys, in the order in which
#: they come onto the card.
APPLICATIONS: Mapping[str, tuple[type[Any], tuple[KeySlot, ...]]] = {
    "transit": (TransitSettings, transit.KEYS),
    "social_security": (SocialSecuritySettings, social_security.KEYS),
    "health": (HealthSettings, health.KEYS),
    "library": (LibrarySettings, library.KEYS),
    **{each.name: (each.settings, each.keys) for each in _OFFERED},
}
assert len(APPLICATIONS) == 4 + len(_OFFERED), _OFFERED
#: Applications that are worth nothing without a name.
_NAMED_ONLY = frozenset({"social_security", "health", "library"})


class KeyChoice(NamedTuple):
    """Version of a master key, and the algorithm that the card shows of the key made from it."""

    version: int
    algorithm: int


@dataclass(frozen=True, slots=True)
class Product:
    """One card product, checked.

    `chosen` says which keys cards are made from where they are not those of the file
    (`cardcore.issuing.key_choices`), by use and label.
    """

    name: str
    title: str
    is_named: bool
    is_holder_free: bool  # whether anybody may read name and number, as on cards of the field
    card_kind: int
    channel_level: int
    keys: KeySettings
    applications: Mapping[str, object]  # its settings, by the name of the application
    chosen: Mapping[tuple[KeyUsage, str], KeyChoice] = field(default_factory=dict)

    def __hash__(self) -> int:
        """By what tells most products apart; equality looks at everything."""
        return hash((self.name, self.channel_level, self.keys))

    def key(self, slot: KeySlot, key_label: str) -> tuple[KeyRef, int]:
        """The master key of a slot under a label, and the algorithm shown of the card's key."""
        ref = slot.ref(key_label, self.keys.version)
        choice = self.chosen.get((ref.usage, ref.label))
        if choice is None:
            return ref, self.keys.algorithm
        return KeyRef(ref.usage, ref.label, choice.version), choice.algorithm


def parse(text: str) -> Product:
    """Read a product file. `ProductError` names the entry that is missing, unknown or impossible.

    >>> parse("name = 'x'")
    Traceback (most recent call last):
    cardcore.issuing.products.ProductError: product: title is missing
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _wrong("product", Text(f"不是 TOML：{error}", f"no TOML: {error}")) from error
    known = ("name", "title", "holder", "card_kind", "channel_level", "keys", "applications")
    _only("product", document, known)
    _among("holder", document["holder"], HOLDERS)
    _among("channel_level", document["channel_level"], LEVELS)
    keys = _settings("keys", document["keys"], KeySettings)
    _among("algorithm", keys.algorithm, (0, *map(int, SUITES)))
    is_named = document["holder"] != "anonymous"
    is_holder_free = document["holder"] == "named-free"
    sections = document["applications"]
    if not isinstance(sections, dict) or not sections:
        raise _wrong(
            "applications", Text("一个应用也没有的不是卡", "a card without one is no card")
        )
    for name in sections:
        _among("applications", name, APPLICATIONS)
        if name in _NAMED_ONLY and not is_named:
            raise _wrong("applications", Text(f"{name} 须是记名卡", f"{name} needs a named holder"))
    applications = {
        name: _settings(name, sections[name], kind)
        for name, (kind, _) in APPLICATIONS.items()
        if name in sections
    }
    social = applications.get("social_security")
    if isinstance(social, SocialSecuritySettings) and not (social.is_closed or is_holder_free):
        version = shorten(social.version)
        raise _wrong(
            "social_security",
            Text(
                f'{version} 版任何人可读姓名与号码，只有 holder = "named-free" 允许；请用 3.00',
                f"version {version} shows name and number to anybody, which only "
                'holder = "named-free" allows; 3.00 does not',
            ),
        )
    return Product(
        document["name"],
        document["title"],
        is_named,
        is_holder_free,
        document["card_kind"],
        document["channel_level"],
        keys,
        applications,
    )


def key_slots(product: Product, label: str) -> Iterator[tuple[str, KeySlot]]:
    """Every key that cards of this product get, the chip's first, each with the label of the
    application or chip in a city of this label.
    """
    for slot in CHIP_KEYS:
        yield chip_label(label), slot
    for name in product.applications:
        yield from application_slots(name, label)


def application_slots(name: str, label: str) -> Iterator[tuple[str, KeySlot]]:
    """The same for one application, whichever product has it."""
    own = application_label(label, application_named(name).key_ending)
    for slot in APPLICATIONS[name][1]:
        yield own, slot


def key_refs(product: Product, label: str) -> tuple[KeyRef, ...]:
    """The names of every master key that cards of this product need, the chip's first.

    >>> [str(ref) for ref in key_refs(shipped("anonymous"), "demo")][:2]
    ['channel-enc/demo-chip/v1', 'channel-mac/demo-chip/v1']
    """
    refs = [product.key(slot, key_label)[0] for key_label, slot in key_slots(product, label)]
    return tuple(dict.fromkeys(refs))


def shipped(name: str) -> Product:
    """A product that ships with the package; `ProductError` when there is none of that name.

    >>> [shipped(name).title for name in SHIPPED]
    ['实名市民卡', '不记名交通卡', '学生卡']
    """
    _among("product", name, SHIPPED)
    # The files are part of the package like its modules, and never change while it runs.
    return parse(resources.files(__name__).joinpath(f"{name}.toml").read_text(encoding="utf-8"))


def _settings(where: str, section: object, kind: type[_SettingsT]) -> _SettingsT:
    """A section as its dataclass: every entry there, of its type, and no other."""
    if not isinstance(section, dict):
        raise _wrong(where, Text("不是表", "is no table"))
    declared = fields(kind)  # type: ignore[arg-type]
    _only(where, section, tuple(each.name for each in declared))
    for each in declared:
        assert each.default is MISSING, "a product leaves nothing open"
        value = section[each.name]
        expected = str(each.type) if isinstance(each.type, str) else each.type
        if not _is_of(value, expected):
            said = f"{each.name} = {shorten(value)}"
            raise _wrong(where, Text(f"{said} 类型不对", f"{said} is of another type"))
    try:
        return kind(**section)
    except ProductError as error:
        raise _wrong(where, text_of(error)) from None


def _is_of(value: object, kind: Any) -> bool:  # noqa: ANN401 - whatever a dataclass declares
    if kind is int:
        return type(value) is int and value >= 0
    if kind is str:
        return isinstance(value, str)
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _wrong(where: str, what: Text) -> ProductError:
    """What is wrong in a part of a product file."""
    return ProductError(Text(f"{where}：{what.zh}", f"{where}: {what.en}"))


def _only(where: str, section: Mapping[str, object], names: tuple[str, ...]) -> None:
    if missing := [name for name in names if name not in section]:
        raise _wrong(where, Text(f"缺少 {missing[0]}", f"{missing[0]} is missing"))
    if unknown := sorted(set(section) - set(names)):
        raise _wrong(where, Text(f"没有 {unknown[0]} 这一项", f"{unknown[0]} is unknown"))


def _among(name: str, value: object, allowed: Any) -> None:  # noqa: ANN401 - any container
    if value not in allowed:
        choices = [str(each) for each in allowed]
        said = f"{name} = {shorten(value)}"
        raise ProductError(
            Text(
                f"{said}：须是 {'、'.join(choices)} 之一", f"{said} is none of {', '.join(choices)}"
            )
        )
