"""The transit application of T-Union (交通联合电子钱包): its files, keys and directory entry.

Decides what stands on a new transit card: PPSE, AID A000000632010105, DF 1001, EF15 to EF1E and
the purse. Leaves what commands do with them to `cardcore.card`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cardcore.access import Access
from cardcore.cardkeys import FID_KEYS, CardKey
from cardcore.errors import KeyUsageError
from cardcore.keys import Algorithm, Key, KeyUsage
from cardcore.layout import (
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
from cardcore.memory import Memory
from cardcore.package import FID_PPSE, DirectoryEntry, directory
from cardcore.purse import FID_PURSE, PurseState
from cardcore.tlv import Tlv
from cardcore.tree import DedicatedFile, Structure, TreeBuilder

#: Application version in the FCI (9F08) of published T-Union cards.
_VERSION = b"\x02"


#: As the published two-application cards list it.
ENTRY = DirectoryEntry(AID_PURSE, "MOT_T_EP", 2)


@dataclass(frozen=True, slots=True)
class TransitProfile:
    """What one transit card starts with.

    `rides` are the records of EF1A; give one with status INSIDE for a card that has passed an
    entry gate. `trips` are those of EF1E, newest first.
    """

    public: PublicInformation
    holder: HolderInformation = field(default_factory=HolderInformation)
    properties: CardProperties = field(default_factory=CardProperties)
    rides: tuple[TransitRecord, ...] = (TransitRecord(RECORD_METRO), TransitRecord(RECORD_BUS))
    trips: tuple[TripRecord, ...] = ()
    overdraft_limit_fen: int = 0

    @property
    def balance_max_fen(self) -> int:
        """A card with a named holder may hold more than an anonymous one."""
        return BALANCE_MAX_REGISTERED_FEN if self.holder.id_number else BALANCE_MAX_FEN


def personalise(
    profile: TransitProfile,
    keys: Mapping[KeyUsage, Key],
    *,
    key_version: int,
    algorithm: Algorithm,
    key_index: int,
) -> bytes:
    """The image of a ready card with this one application.

    `keys` holds the card's own 16-byte keys PURCHASE, LOAD and TAC; `key_index` is what a terminal
    names in INITIALIZE. Raises `KeyUsageError` for a key that is missing or not for its use,
    `ValueError` for a profile that does not fit the card's files.
    """
    tree = TreeBuilder()
    root = tree.add_directory(None, FID_MASTER)
    tree.add_directory(root, FID_PPSE, name=PPSE_NAME, proprietary=directory([ENTRY]))
    application = tree.add_directory(
        root,
        FID_TRANSIT,
        name=AID_PURSE,
        proprietary=Tlv(0x9F08, _VERSION).encode(),
        copied_sfi=Sfi.PUBLIC,
    )
    purse_keys = [
        CardKey(key_index, key_version, algorithm, _key(keys, usage))
        for usage in (KeyUsage.PURCHASE, KeyUsage.LOAD, KeyUsage.TAC)
    ]
    state = PurseState(
        balance_fen=0,
        balance_max_fen=profile.balance_max_fen,
        overdraft_limit_fen=profile.overdraft_limit_fen,
    )
    tree.add_file(
        application,
        FID_KEYS,
        Structure.LINEAR_FIXED,
        [key.encode() for key in purse_keys],
        read=Access.NEVER,
    )
    tree.add_file(
        application, FID_PURSE, Structure.TRANSPARENT, [state.encode()], read=Access.NEVER
    )
    _add_public_files(tree, application, profile)
    return Memory(tree.cells).image()


def _key(keys: Mapping[KeyUsage, Key], usage: KeyUsage) -> Key:
    key = keys.get(usage)
    if key is None or key.usage is not usage:
        raise KeyUsageError(f"a transit card needs a {usage} key")
    if len(key.value) != 16:
        raise KeyUsageError(f"the {usage} key of a card has 16 bytes")
    return key


def _add_public_files(
    tree: TreeBuilder, application: DedicatedFile, profile: TransitProfile
) -> None:
    """EF15 to EF1E. A file's id is its short id in two bytes."""
    for sfi, content in (
        (Sfi.PUBLIC, profile.public.encode()),
        (Sfi.HOLDER, profile.holder.encode()),
        (Sfi.PROPERTIES, profile.properties.encode()),
    ):
        tree.add_file(application, sfi, Structure.TRANSPARENT, [content], sfi=sfi)
    tree.add_file(
        application,
        Sfi.LOG,
        Structure.CYCLIC,
        [],
        sfi=Sfi.LOG,
        size=LogRecord.SIZE,
        records_max=LOG_RECORDS,
    )
    tree.add_file(
        application,
        Sfi.TRANSIT,
        Structure.LINEAR_VARIABLE,
        [ride.encode() for ride in profile.rides],
        sfi=Sfi.TRANSIT,
        size=TransitRecord.SIZE,
        identifier_bytes=2,
        update=Access.COMPOSITE,
    )
    tree.add_file(
        application,
        Sfi.TRIPS,
        Structure.CYCLIC,
        [trip.encode() for trip in profile.trips],
        sfi=Sfi.TRIPS,
        size=TripRecord.SIZE,
        records_max=TRIP_RECORDS,
        update=Access.COMPOSITE,
    )
