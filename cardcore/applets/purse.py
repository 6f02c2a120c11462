"""The micropayment application (小额支付应用): shops, canteens and bills.

Decides its files, its purse with limits of its own, keys and access rules. Leaves the purse's
answers to `cardcore.purse`, and what a merchant sells to the terminal.

The money here is not the money of the transit application: another balance, other counters, other
keys, so that a lost canteen terminal cannot touch fares. Without a PIN one purchase and one day are
limited by numbers in the purse itself, which no terminal has to be trusted with.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cardcore.access import Access
from cardcore.cardkeys import Secret
from cardcore.keyfile import KeySlot, add_key_file
from cardcore.keys import KeyUsage
from cardcore.layout import LOG_RECORDS, LogRecord, PublicInformation, Sfi
from cardcore.package import DirectoryEntry, Package
from cardcore.purse import FID_PURSE, PurseState
from cardcore.tree import Structure, TreeBuilder

NAME = b"ONECARD.PAYMENT"
FID_APPLICATION = 0x1002
ENTRY = DirectoryEntry(NAME, "MICROPAY", 1)
KEYS = (
    KeySlot(KeyUsage.PURCHASE),
    KeySlot(KeyUsage.LOAD),
    KeySlot(KeyUsage.TAC),
    KeySlot(KeyUsage.UNLOAD),
    KeySlot(KeyUsage.FILE_MAINTENANCE, tries_max=10),
)


@dataclass(frozen=True, slots=True)
class PurseProfile:
    """What one purse starts with. A limit of 0 is none; no limit may be over the balance's."""

    public: PublicInformation
    balance_max_fen: int
    purchase_max_fen: int
    day_max_fen: int

    def __post_init__(self) -> None:
        limits = (self.purchase_max_fen or 1, self.day_max_fen or self.balance_max_fen)
        if not 0 < limits[0] <= limits[1] <= self.balance_max_fen:
            raise ValueError(
                f"limits {self.purchase_max_fen} a purchase and {self.day_max_fen} a day do not"
                f" fit into a balance of {self.balance_max_fen} fen"
            )


def package(profile: PurseProfile, secrets: Sequence[Secret] = ()) -> Package:
    """The application, ready to be installed. `secrets` are all of `KEYS`, or none.

    Raises `ValueError` for a value that does not fit, `KeyUsageError` for a key that is missing.
    """
    tree = TreeBuilder()
    application = tree.add_directory(None, FID_APPLICATION, name=NAME, copied_sfi=Sfi.PUBLIC)
    add_key_file(tree, application, KEYS, secrets)
    state = PurseState(
        balance_fen=0,
        balance_max_fen=profile.balance_max_fen,
        purchase_max_fen=profile.purchase_max_fen,
        day_max_fen=profile.day_max_fen,
    )
    tree.add_file(
        application, FID_PURSE, Structure.TRANSPARENT, [state.encode()], read=Access.NEVER
    )
    tree.add_file(
        application,
        Sfi.PUBLIC,
        Structure.TRANSPARENT,
        [profile.public.encode()],
        sfi=Sfi.PUBLIC,
        update=Access.mac(1) | Access.CHANNEL,
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
    return Package(tree.cells, ENTRY)
