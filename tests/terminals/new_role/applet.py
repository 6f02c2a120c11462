"""The cinema purse, as a file of `cardcore.applets`: tickets are paid for beforehand."""

from collections.abc import Sequence

from cardcore.application import Application
from cardcore.chip.access import Access
from cardcore.chip.cardkeys import Secret
from cardcore.chip.keyfile import KeySlot, add_key_file
from cardcore.chip.memory import Memory
from cardcore.chip.purse.offline import FID_PURSE, PurseState
from cardcore.chip.tree import Structure, TreeBuilder
from cardcore.keys import KeyUsage
from cardcore.layouts.transit import (
    FID_MASTER,
    LOG_RECORDS,
    LogRecord,
    PublicInformation,
    Sfi,
)
from cardcore.text import Text

NAME = b"ONECARD.CINEMA"
APPLICATIONS = (
    Application(40, "cinema", Text("电影", "cinema"), (NAME,), "-cinema", has_purse=True),
)
KEYS = (KeySlot(KeyUsage.PURCHASE), KeySlot(KeyUsage.LOAD), KeySlot(KeyUsage.TAC))


def image(public: PublicInformation, secrets: Sequence[Secret]) -> bytes:
    """A chip with this one application."""
    tree = TreeBuilder()
    root = tree.add_directory(None, FID_MASTER)
    application = tree.add_directory(root, 0x1040, name=NAME, copied_sfi=Sfi.PUBLIC)
    add_key_file(tree, application, KEYS, secrets)
    purse = PurseState(balance_fen=0, balance_max_fen=50_000).encode()
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
    return Memory(tree.cells).image()
