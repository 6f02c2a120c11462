"""The swimming purse, as a file of `cardcore.applets`: visits are paid for beforehand."""

from dataclasses import dataclass

from cardcore.application import Application
from cardcore.chip.access import Access
from cardcore.chip.keyfile import KeySlot, add_key_file
from cardcore.chip.package import DirectoryEntry, Package
from cardcore.chip.purse.offline import FID_PURSE, PurseState
from cardcore.chip.section import Section
from cardcore.chip.tree import Structure, TreeBuilder
from cardcore.keys import KeyUsage
from cardcore.layouts.transit import LOG_RECORDS, LogRecord, PublicInformation, Sfi
from cardcore.text import Text

ENTRY = DirectoryEntry(b"ONECARD.SWIMMING", "SWIMMING", 8)
APPLICATIONS = (
    Application(
        41, "swimming", Text("游泳", "swimming"), (ENTRY.aid,), "-swimming", has_purse=True
    ),
)
KEYS = (KeySlot(KeyUsage.PURCHASE), KeySlot(KeyUsage.LOAD), KeySlot(KeyUsage.TAC))


@dataclass(frozen=True, slots=True)
class SwimmingSettings:
    """What a product file says of it."""

    balance_max_fen: int


def package(settings: SwimmingSettings, public: PublicInformation) -> Package:
    """The application, ready to be installed; its keys come through the channel."""
    tree = TreeBuilder()
    application = tree.add_directory(None, 0x1041, name=ENTRY.aid, copied_sfi=Sfi.PUBLIC)
    add_key_file(tree, application, KEYS, ())
    purse = PurseState(balance_fen=0, balance_max_fen=settings.balance_max_fen).encode()
    tree.add_file(application, FID_PURSE, Structure.TRANSPARENT, [purse], read=Access.NEVER)
    tree.add_file(application, Sfi.PUBLIC, Structure.TRANSPARENT, [public.encode()], sfi=Sfi.PUBLIC)
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


SECTIONS = (Section("swimming", SwimmingSettings, KEYS, package),)
