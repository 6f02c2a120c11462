"""One card as it is ordered (制卡订单): number, dates and holder, and what its applications say.

Decides how a product and an order together become the packages of one card. Leaves what a product
allows to `cardcore.issuing.products`, and writing the card to `cardcore.issuing.personalisation`.

No key is in a package made here: keys go into the card one by one, enciphered by the key service.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache, partial
from types import MappingProxyType
from typing import NamedTuple

from cardcore.applets import health, library, social_security, transit
from cardcore.applets.catalogue import application_named
from cardcore.chip.access import Condition, ConditionKind
from cardcore.chip.keyfile import KeySlot
from cardcore.chip.package import Package
from cardcore.chip.section import Section
from cardcore.chip.tree import HEADER_SLOT, ElementaryFile
from cardcore.concession import Concession
from cardcore.crypto import suite_algorithm
from cardcore.issuing.products import (
    APPLICATIONS,
    RECORDS,
    SECTIONS,
    HealthSettings,
    LibrarySettings,
    Product,
    SocialSecuritySettings,
    TransitSettings,
)
from cardcore.key_labels import application_label
from cardcore.keys import KeyRef
from cardcore.layouts.city_transit import (
    RECORD_BICYCLE,
    RECORD_CONCESSION,
    RECORD_PARKING,
    ConcessionRecord,
    HireRecord,
)
from cardcore.layouts.city_union import CityPublicInformation
from cardcore.layouts.fixed import FixedLayout
from cardcore.layouts.library import DepositState, ReaderInformation
from cardcore.layouts.transit import (
    RECORD_BUS,
    RECORD_METRO,
    CardProperties,
    HolderInformation,
    PublicInformation,
    TransitRecord,
    TransitStatus,
)

#: Products of a city, under the labels it has keys of.
_PRODUCTS_KEPT = 64
#: Empty records of EF1A: of one product they are the same on all cards of one day.
_RIDES_KEPT = 256


@dataclass(frozen=True, slots=True)
class CardOrder:
    """What is different on every card.

    `public` carries number and dates for the whole chip. `social_security` and `health` are values
    by field name; what the holder already says is filled in. `inside_since` is for a card that
    takes the place of one whose holder is past an entry gate. `pin` is 2 to 6 bytes of digits.
    """

    public: PublicInformation
    properties: CardProperties = field(default_factory=CardProperties)
    holder: HolderInformation = field(default_factory=HolderInformation)
    social_security: Mapping[str, str | bytes] = field(default_factory=dict)
    health: Mapping[str, str | bytes] = field(default_factory=dict)
    photo: bytes = b""
    reader_number: str = ""
    home_library: str = ""
    inside_since: datetime | None = None
    pin: bytes = field(default=b"", repr=False)

    def check(self, product: Product) -> None:
        """Raises `ValueError` when this order cannot be a card of that product."""
        if product.is_named != bool(self.holder.name and self.holder.id_number):
            wanted = "needs name and id number" if product.is_named else "has no holder"
            raise ValueError(f"product {product.name} {wanted}")
        wants_pin = any(hasattr(each, "pin_tries") for each in product.applications.values())
        if wants_pin != bool(self.pin):
            raise ValueError(f"product {product.name} {'needs a' if wants_pin else 'has no'} PIN")
        if "library" in product.applications and not self.reader_number:
            raise ValueError(f"product {product.name} needs a reader number")


class PlannedKey(NamedTuple):
    """One key of an application: its master, and the head of its record in the key file."""

    slot: KeySlot
    ref: KeyRef
    head: bytes


class PlannedApplication(NamedTuple):
    """One application of one card: its package without keys, the keys and the PIN it will get.

    The package is that of the product, with nothing of a holder in it, and this card writes its
    `own` over that. Only where a file that an order decides is closed to the desk (no way through
    the channel), the package itself is this card's.
    """

    name: str
    key_label: str
    package: Package
    aid: bytes
    listing: bytes  # as the directory for readers lists it
    keys: tuple[PlannedKey, ...]
    pin_tries: int  # 0: it has no PIN
    is_common: bool  # whether its package is the same on every card
    own: Mapping[int, bytes] = MappingProxyType({})  # cells of the package that are this card's own

    @property
    def cells(self) -> Mapping[int, bytes]:
        """Everything the application consists of on this card, but keys and PIN."""
        return {**self.package.cells, **self.own}


def plan_applications(
    product: Product, order: CardOrder, label: str
) -> tuple[PlannedApplication, ...]:
    """The applications of one card in the order in which they come onto it.

    `label` is the city's: its keys carry it. Raises `ValueError` for an order that does not fit.
    """
    order.check(product)
    planned = []
    for blank in product_applications(product, label):
        settings = product.applications[blank.name]
        package = _MAKERS[blank.name](product, settings, order, blank.key_label)
        if blank.is_common:
            planned.append(blank._replace(own=_beside(blank.package, package)))
        else:
            planned.append(blank._replace(package=package))
    return tuple(planned)


@lru_cache(maxsize=_PRODUCTS_KEPT)
def product_applications(product: Product, label: str) -> tuple[PlannedApplication, ...]:
    """The applications of a product as every card of it has them: nothing of a card is in them."""
    blank, other = blank_order(product), blank_order(product, "1")
    planned = []
    for name, settings in product.applications.items():
        key_label = application_label(label, application_named(name).key_ending)
        package = _MAKERS[name](product, settings, blank, key_label)
        own = _beside(package, _MAKERS[name](product, settings, other, key_label))
        entry = package.entry
        assert entry is not None, "every application is in the directory"
        keys = []
        for slot in APPLICATIONS[name][1]:
            ref, algorithm = product.key(slot, key_label)
            keys.append(PlannedKey(slot, ref, slot.head(ref.version, algorithm)))
        planned.append(
            PlannedApplication(
                name,
                key_label,
                package,
                entry.aid,
                entry.encode().encode(),
                tuple(keys),
                getattr(settings, "pin_tries", 0),
                is_common=all(_is_open(package, cell >> 8) for cell in own),
            )
        )
    return tuple(planned)


def blank_order(product: Product, digit: str = "0") -> CardOrder:
    """A card of the product that is nobody's: what stands in it is nothing but that digit. A named
    one has an identity number all the same, since the limits of its purse go by that.
    """
    day = date(2000 + int(digit), 1, 1)
    public = PublicInformation(
        issuer=bytes.fromhex(8 * ("0" + digit)),
        application_type=int(digit),
        application_version=int(digit),
        card_number=20 * digit,
        valid_from=day,
        valid_to=day,
    )
    holder = HolderInformation(id_number=18 * digit if product.is_named else "")
    return CardOrder(public, CardProperties(city=4 * digit), holder, reader_number=12 * digit)


def _is_open(package: Package, number: int) -> bool:
    """Whether the desk may write a file of the package when it is on the card."""
    file = next(each for each in package.tree if each.number == number)
    only_channel = Condition(ConditionKind.CHANNEL)
    return isinstance(file, ElementaryFile) and file.update.open_to(only_channel.__eq__)


def _beside(blank: Package, ordered: Package) -> dict[int, bytes]:
    """The cells that an order writes over those of its product."""
    common = blank.cells
    assert common.keys() == ordered.cells.keys(), "an order decides contents, and no files"
    own = {cell: data for cell, data in ordered.cells.items() if common[cell] != data}
    assert all(cell & 0xFF > HEADER_SLOT for cell in own), "an order decides contents, and no files"
    return own


def _transit(product: Product, settings: TransitSettings, order: CardOrder, _: str) -> Package:
    public: PublicInformation | CityPublicInformation = order.public
    if settings.form == "city-union":
        public = _city_union(order)
    properties = CardProperties(
        order.properties.country,
        order.properties.province,
        order.properties.city,
        order.properties.interoperable,
        product.card_kind,
        order.properties.rest,
    )
    return transit.package(
        transit.TransitProfile(
            public,
            order.holder,
            properties,
            tuple(
                [
                    _ride(
                        RECORDS[record],
                        settings.concession,
                        order.public.valid_to,
                        order.inside_since,
                    )
                    for record in settings.records
                ]
            ),
            overdraft_limit_fen=settings.overdraft_limit_fen,
            is_holder_free=product.is_holder_free,
        )
    )


@lru_cache(maxsize=_RIDES_KEPT)
def _ride(
    record_id: int, granted: str, valid_to: date, inside_since: datetime | None
) -> FixedLayout:
    """An empty record of EF1A; the one of the concession says what the product grants."""
    if record_id == RECORD_METRO and inside_since is not None:
        return TransitRecord(record_id, status=TransitStatus.INSIDE, entry_time=inside_since)
    if record_id in (RECORD_METRO, RECORD_BUS):
        return TransitRecord(record_id)
    if record_id in (RECORD_BICYCLE, RECORD_PARKING):
        return HireRecord(record_id)
    assert record_id == RECORD_CONCESSION, record_id
    concession = Concession[granted.upper()]
    until = None if concession is Concession.ADULT else valid_to
    return ConcessionRecord(concession=concession, concession_to=until)


def _city_union(order: CardOrder) -> CityPublicInformation:
    """The same card in the form of CJ/T 166: the last 16 digits are its number there."""
    return CityPublicInformation(
        issuer=order.public.issuer[:2].hex(),
        city=order.properties.city,
        card_number=order.public.card_number[-16:],
        valid_from=order.public.valid_from,
        valid_to=order.public.valid_to,
        application_version=order.public.application_version,
        interoperable_id=order.properties.city,
    )


def _day(day: date) -> str:
    """As tagged files write it: YYYYMMDD."""
    return day.isoformat().replace("-", "")


def _social_security(
    product: Product, settings: SocialSecuritySettings, order: CardOrder, key_label: str
) -> Package:
    issue_names = social_security.ISSUE.places
    issue = {
        "version": settings.version,
        "card_class": settings.card_class,
        "issued_on": _day(order.public.valid_from),
        "valid_to": _day(order.public.valid_to),
    }
    holder = {
        "social_security_number": order.holder.id_number,
        "name": order.holder.name,
    }
    given = order.social_security
    # Its FCI names one algorithm: that of the key by which the card shows that it is genuine.
    _, shown = product.key(social_security.KEYS[0], key_label)
    algorithm = suite_algorithm(shown)
    assert algorithm is not None, product
    return social_security.package(
        social_security.SocialSecurityProfile(
            {**issue, **{name: given[name] for name in given if name in issue_names}},
            {**holder, **{name: given[name] for name in given if name not in issue_names}},
            photo=order.photo,
            algorithm=algorithm,
        )
    )


def _health(product: Product, settings: HealthSettings, order: CardOrder, _: str) -> Package:
    is_free = product.is_holder_free
    values: dict[str, str | bytes] = {
        "version": settings.version,
        "card_class": settings.card_class,
        "issued_on": _day(order.public.valid_from),
        "valid_to": _day(order.public.valid_to),
        # Free to read: the identity number stands there only where anybody may read it.
        "card_number": order.holder.id_number if is_free else order.public.card_number[-18:],
        "name": order.holder.name,
        "resident_id": order.holder.id_number,
    }
    profile = health.HealthProfile({**values, **order.health}, order.photo, is_holder_free=is_free)
    return health.package(profile)


def _library(_: Product, settings: LibrarySettings, order: CardOrder, __: str) -> Package:
    reader = ReaderInformation(
        order.reader_number,
        order.home_library,
        settings.reader_class,
        settings.loans_max,
        settings.loan_days,
        DepositState[settings.deposit.upper()],
        settings.deposit_fen,
        order.public.valid_from,
        order.public.valid_to,
    )
    return library.package(library.LibraryProfile(reader))


def _offered(section: Section, _: Product, settings: object, order: CardOrder, __: str) -> Package:
    return section.make(settings, order.public)


_MAKERS: Mapping[str, Callable[..., Package]] = {
    "transit": _transit,
    "social_security": _social_security,
    "health": _health,
    "library": _library,
    **{name: partial(_offered, section) for name, section in SECTIONS.items()},
}
