"""The transit application: T-Union (交通联合电子钱包), or City Union (城市一卡通, CJ/T 166).

Decides what stands in the application of a new card: AID, EF15 to EF1E, the purse, its keys and
access rules. Leaves what commands do with them to `cardcore.chip.card`.

The two forms share purse, log, composite records and trips. They differ in AID, in what the bytes
of EF15 mean, and in SFI 17: 60 bytes of card properties here, composite records there.

Anybody may read what a gate needs: number, validity, kind of card, log, rides. EF16, the holder's
name and number, opens to a machine that has shown itself with the read key (ADR 0038).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from cardcore.application import Application
from cardcore.chip.access import Access
from cardcore.chip.cardkeys import CardKey, Secret
from cardcore.chip.keyfile import KeySlot, add_key_file
from cardcore.chip.memory import Memory
from cardcore.chip.package import FID_PPSE, DirectoryEntry, Package, directory, lay_out
from cardcore.chip.purse.offline import FID_PURSE, PurseState
from cardcore.chip.tree import Contents, DedicatedFile, Structure, TreeBuilder
from cardcore.errors import KeyUsageError
from cardcore.keys import Algorithm, Key, KeyUsage
from cardcore.layouts.city_union import AID_CITY_UNION, CityPublicInformation, CompositeRecord
from cardcore.layouts.fixed import FixedLayout
from cardcore.layouts.transit import (
    AID_PURSE,
    FID_MASTER,
    FID_TRANSIT,
    LOG_RECORDS,
    PPSE_NAME,
    RECORD_BUS,
    RECORD_METRO,
    TRIP_RECORDS,
    CardProperties,
    HolderInformation,
    LogRecord,
    PublicInformation,
    Sfi,
    TransitRecord,
    TripRecord,
)
from cardcore.limits import BALANCE_MAX_FEN, BALANCE_MAX_REGISTERED_FEN
from cardcore.text import Text
from cardcore.tlv import Tlv

#: File id of the City Union form, so that a chip may hold both.
FID_CITY_UNION = 0x3F01
#: Application version in the FCI (9F08) of published T-Union cards.
_VERSION = b"\x02"
#: P2 of EXTERNAL AUTHENTICATE by which EF16 opens.
READ_KEY = 0x01
#: As the published two-application cards list it.
ENTRY = DirectoryEntry(AID_PURSE, "MOT_T_EP", 2)
ENTRY_CITY_UNION = DirectoryEntry(AID_CITY_UNION, "CITY_UNION", 6)
APPLICATIONS = (
    Application(
        0, "transit", Text("交通联合", "transit"), (AID_PURSE, AID_CITY_UNION), "", has_purse=True
    ),
)
KEYS = (
    KeySlot(KeyUsage.PURCHASE),
    KeySlot(KeyUsage.LOAD),
    KeySlot(KeyUsage.TAC),
    KeySlot(KeyUsage.UNLOAD),
    KeySlot(KeyUsage.OVERDRAFT),
    KeySlot(KeyUsage.FILE_MAINTENANCE, tries_max=10),
    KeySlot(KeyUsage.EXTERNAL_AUTHENTICATION, READ_KEY, tries_max=10),
)
_PURSE_USAGES = (KeyUsage.PURCHASE, KeyUsage.LOAD, KeyUsage.TAC)


@dataclass(frozen=True, slots=True)
class TransitProfile:
    """What one transit card starts with. The kind of `public` chooses the form.

    `rides` are the records of EF1A, of any of the layouts there (`TransitRecord`, `BusRecord`,
    `HireRecord`, `ConcessionRecord`); give one with status INSIDE for a card that has passed an
    entry gate. `trips` are those of EF1E, newest first. `composites` are SFI 17 of City Union.
    `is_holder_free`: anybody may read EF16, as on cards of the field.
    """

    public: PublicInformation | CityPublicInformation
    holder: HolderInformation = field(default_factory=HolderInformation)
    properties: CardProperties = field(default_factory=CardProperties)
    rides: tuple[FixedLayout, ...] = (TransitRecord(RECORD_METRO), TransitRecord(RECORD_BUS))
    trips: tuple[TripRecord, ...] = ()
    overdraft_limit_fen: int = 0
    composites: tuple[CompositeRecord, ...] = ()
    is_holder_free: bool = False

    @property
    def balance_max_fen(self) -> int:
        """A card with a named holder may hold more than an anonymous one."""
        return BALANCE_MAX_REGISTERED_FEN if self.holder.id_number else BALANCE_MAX_FEN

    @property
    def is_city_union(self) -> bool:
        """Whether the card follows CJ/T 166."""
        return isinstance(self.public, CityPublicInformation)


def package(profile: TransitProfile, secrets: Sequence[Secret] = ()) -> Package:
    """The application, ready to be installed. `secrets` are all of `KEYS`, or none.

    Raises `ValueError` for a profile that does not fit, `KeyUsageError` for a missing key.
    """
    entry = ENTRY_CITY_UNION if profile.is_city_union else ENTRY
    variant = _Variant(profile.is_city_union, profile.is_holder_free)
    return Package(lay_out(_tree, variant, _contents(profile), secrets), entry)


class _Variant(NamedTuple):
    """What decides which files there are, and who reads them."""

    is_city_union: bool
    is_holder_free: bool


def _tree(variant: _Variant, contents: Contents, secrets: Sequence[Secret]) -> TreeBuilder:
    tree = TreeBuilder()
    application = _add_application(tree, None, is_city_union=variant.is_city_union)
    add_key_file(tree, application, KEYS, secrets)
    _add_files(tree, application, contents, is_holder_free=variant.is_holder_free)
    return tree


def personalise(
    profile: TransitProfile,
    keys: Mapping[KeyUsage, Key],
    *,
    key_version: int,
    algorithm: Algorithm,
    key_index: int,
) -> bytes:
    """The image of a ready card with this one application and no secure channel, made at once.

    `keys` holds the card's own 16-byte keys PURCHASE, LOAD and TAC, and may hold others of
    `KEYS`; `key_index` is what a terminal names in INITIALIZE. Raises `KeyUsageError` for a key
    that is missing or not for its use, `ValueError` for a profile that does not fit.
    """
    tree = TreeBuilder()
    root = tree.add_directory(None, FID_MASTER)
    entry = ENTRY_CITY_UNION if profile.is_city_union else ENTRY
    tree.add_directory(root, FID_PPSE, name=PPSE_NAME, proprietary=directory([entry]))
    application = _add_application(tree, root, is_city_union=profile.is_city_union)
    wanted = [
        slot for slot in KEYS if slot.usage in _PURSE_USAGES or keys.get(slot.usage) is not None
    ]
    slots = [
        slot
        if slot.usage is KeyUsage.EXTERNAL_AUTHENTICATION
        else KeySlot(slot.usage, key_index, slot.tries_max)
        for slot in wanted
    ]
    secrets = [
        CardKey(slot.index, key_version, algorithm, _key(keys, slot.usage), slot.tries_max)
        for slot in slots
    ]
    add_key_file(tree, application, slots, secrets)
    _add_files(tree, application, _contents(profile), is_holder_free=profile.is_holder_free)
    return Memory(tree.cells).image()


def _key(keys: Mapping[KeyUsage, Key], usage: KeyUsage) -> Key:
    key = keys.get(usage)
    if key is None or key.usage is not usage:
        raise KeyUsageError(f"a transit card needs a {usage} key")
    if len(key.value) != 16:
        raise KeyUsageError(f"the {usage} key of a card has 16 bytes")
    return key


def _add_application(
    tree: TreeBuilder, root: DedicatedFile | None, *, is_city_union: bool
) -> DedicatedFile:
    """The directory. Both forms copy EF15 into their FCI; only T-Union names a version."""
    if is_city_union:
        return tree.add_directory(root, FID_CITY_UNION, name=AID_CITY_UNION, copied_sfi=Sfi.PUBLIC)
    version = Tlv(0x9F08, _VERSION).encode()
    return tree.add_directory(
        root, FID_TRANSIT, name=AID_PURSE, proprietary=version, copied_sfi=Sfi.PUBLIC
    )


def _contents(profile: TransitProfile) -> Contents:
    """The purse and EF15 to EF1E. A file's id is its short id in two bytes."""
    application = FID_CITY_UNION if profile.is_city_union else FID_TRANSIT
    state = PurseState(
        balance_fen=0,
        balance_max_fen=profile.balance_max_fen,
        overdraft_limit_fen=profile.overdraft_limit_fen,
    )
    contents = {
        (application, FID_PURSE): [state.encode()],
        (application, Sfi.PUBLIC): [profile.public.encode()],
        (application, Sfi.HOLDER): [profile.holder.encode()],
        (application, Sfi.TRANSIT): [ride.encode() for ride in profile.rides],
        (application, Sfi.TRIPS): [trip.encode() for trip in profile.trips],
    }
    if not profile.is_city_union:
        contents[application, Sfi.PROPERTIES] = [profile.properties.encode()]
    elif profile.composites:
        contents[application, Sfi.PROPERTIES] = [each.encode() for each in profile.composites]
    return contents


def _add_files(
    tree: TreeBuilder, application: DedicatedFile, contents: Contents, *, is_holder_free: bool
) -> None:
    here, is_city_union = application.fid, application.fid == FID_CITY_UNION
    tree.add_file(
        application, FID_PURSE, Structure.TRANSPARENT, contents[here, FID_PURSE], read=Access.NEVER
    )
    # The desk writes dates, kind and holder under the maintenance key (04 D6 95, 04 D6 96).
    update = Access.mac(1) | Access.CHANNEL
    public = (Sfi.PUBLIC, Sfi.HOLDER) if is_city_union else (Sfi.PUBLIC, Sfi.HOLDER, Sfi.PROPERTIES)
    behind_key = Access.external(READ_KEY) | Access.CHANNEL
    for sfi in public:
        is_closed = sfi is Sfi.HOLDER and not is_holder_free
        tree.add_file(
            application,
            sfi,
            Structure.TRANSPARENT,
            contents[here, sfi],
            sfi=sfi,
            read=behind_key if is_closed else Access.ALWAYS,
            update=update,
        )
    if is_city_union and (here, Sfi.PROPERTIES) in contents:
        _add_composite(
            tree, application, Sfi.PROPERTIES, contents[here, Sfi.PROPERTIES], identifier_bytes=1
        )
    tree.add_file(
        application,
        Sfi.LOG,
        Structure.CYCLIC,
        [],
        sfi=Sfi.LOG,
        size=LogRecord.SIZE,
        records_max=LOG_RECORDS,
    )
    _add_composite(tree, application, Sfi.TRANSIT, contents[here, Sfi.TRANSIT], identifier_bytes=2)
    tree.add_file(
        application,
        Sfi.TRIPS,
        Structure.CYCLIC,
        contents[here, Sfi.TRIPS],
        sfi=Sfi.TRIPS,
        size=TripRecord.SIZE,
        records_max=TRIP_RECORDS,
        update=Access.COMPOSITE,
    )


def _add_composite(
    tree: TreeBuilder,
    application: DedicatedFile,
    sfi: Sfi,
    records: Sequence[bytes],
    *,
    identifier_bytes: int,
) -> None:
    """Records that a composite purchase may write, found by their identifier, and the desk."""
    tree.add_file(
        application,
        sfi,
        Structure.LINEAR_VARIABLE,
        records,
        sfi=sfi,
        size=max(map(len, records)),
        identifier_bytes=identifier_bytes,
        update=Access.COMPOSITE | Access.CHANNEL,
    )
