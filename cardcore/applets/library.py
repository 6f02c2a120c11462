"""The library application (图书馆应用): who reads, what may be lent, what is lent now.

Decides its files, keys and access rules. Leaves lending to the library: machines that are online
ask its own system, and write what they did into the loan index.

Anybody may read the reader's file, so that a gate can look at validity and deposit. The loan index
is the holder's own business: it opens to the library's machines or to the holder's PIN. Machines
write the index, the desk writes the reader's file, each under its own key, with MAC.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cardcore.application import Application
from cardcore.chip.access import Access
from cardcore.chip.cardkeys import Secret
from cardcore.chip.keyfile import KeySlot, add_key_file
from cardcore.chip.package import DirectoryEntry, Package, lay_out
from cardcore.chip.tree import Contents, Structure, TreeBuilder
from cardcore.keys import KeyUsage
from cardcore.layouts.library import LOAN_RECORDS, LoanRecord, ReaderInformation
from cardcore.layouts.transit import Sfi
from cardcore.text import Text

NAME = b"ONECARD.LIBRARY"
FID_APPLICATION = 0x2001
#: Index of the keys: the desk maintains the reader, machines the loans.
DESK_KEY, MACHINE_KEY = 1, 2
#: P2 of INTERNAL AUTHENTICATE; 01 asks for the TAC over the digest of a record instead.
INTERNAL_KEY, TAC_KEY = 0x02, 0x01
ENTRY = DirectoryEntry(NAME, "LIBRARY", 5)
APPLICATIONS = (
    Application(
        4,
        "library",
        Text("图书馆", "library"),
        (NAME,),
        "-library",
        has_purse=False,
        authentication_index=INTERNAL_KEY,
    ),
)
KEYS = (
    KeySlot(KeyUsage.FILE_MAINTENANCE, DESK_KEY, tries_max=10),
    KeySlot(KeyUsage.FILE_MAINTENANCE, MACHINE_KEY, tries_max=10),
    KeySlot(KeyUsage.EXTERNAL_AUTHENTICATION, MACHINE_KEY, tries_max=10),
    KeySlot(KeyUsage.INTERNAL_AUTHENTICATION, INTERNAL_KEY),
    KeySlot(KeyUsage.PIN_UNBLOCK, 1, tries_max=10),
    KeySlot(KeyUsage.PIN_RELOAD, 1, tries_max=10),
    KeySlot(KeyUsage.TAC, TAC_KEY),  # signs a loan, in which no purse moves
)


@dataclass(frozen=True, slots=True)
class LibraryProfile:
    """What one card starts with; loans newest first."""

    reader: ReaderInformation
    loans: tuple[LoanRecord, ...] = ()


def package(profile: LibraryProfile, secrets: Sequence[Secret] = ()) -> Package:
    """The application, ready to be installed. `secrets` are all of `KEYS` and a PIN, or none.

    Raises `ValueError` for a value that does not fit, `KeyUsageError` for a key that is missing.
    """
    contents: Contents = {
        (FID_APPLICATION, Sfi.PUBLIC): [profile.reader.encode()],
        (FID_APPLICATION, Sfi.LOG): [loan.encode() for loan in profile.loans],
    }
    return Package(lay_out(_tree, None, contents, secrets), ENTRY)


def _tree(_: None, contents: Contents, secrets: Sequence[Secret]) -> TreeBuilder:
    tree = TreeBuilder()
    application = tree.add_directory(None, FID_APPLICATION, name=NAME)
    add_key_file(tree, application, KEYS, secrets, has_pin=True)
    tree.add_file(
        application,
        Sfi.PUBLIC,
        Structure.TRANSPARENT,
        contents[FID_APPLICATION, Sfi.PUBLIC],
        sfi=Sfi.PUBLIC,
        update=Access.mac(DESK_KEY) | Access.CHANNEL,
    )
    tree.add_file(
        application,
        Sfi.LOG,
        Structure.CYCLIC,
        contents[FID_APPLICATION, Sfi.LOG],
        sfi=Sfi.LOG,
        size=LoanRecord.SIZE,
        records_max=LOAN_RECORDS,
        read=Access.external(MACHINE_KEY) | Access.PIN | Access.CHANNEL,
        update=Access.mac(MACHINE_KEY) | Access.CHANNEL,
    )
    return tree
