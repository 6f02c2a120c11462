"""The purses beside transit: micropayment (小额支付应用) for shops and canteens, benefits.

Decides its files, its purse with limits of its own, keys and access rules. Leaves the purse's
answers to `cardcore.chip.purse.offline`, and what a merchant sells to the terminal.

Which purses there are is data, in `purses.toml`; all of them are built alike, and any product file
may name them.

The money here is not the money of the transit application: another balance, other counters, other
keys, so that a lost canteen terminal cannot touch fares. Without a PIN one purchase and one day are
limited by numbers in the purse itself, which no terminal has to be trusted with.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib import resources
from typing import Any

from cardcore.application import Application
from cardcore.chip.access import Access
from cardcore.chip.cardkeys import Secret
from cardcore.chip.keyfile import KeySlot, add_key_file
from cardcore.chip.package import DirectoryEntry, Package, lay_out
from cardcore.chip.purse.offline import FID_PURSE, PurseState
from cardcore.chip.section import Section
from cardcore.chip.tree import Contents, Structure, TreeBuilder
from cardcore.keys import KeyUsage
from cardcore.layouts.transit import LOG_RECORDS, LogRecord, PublicInformation, Sfi
from cardcore.text import Text

# The file is part of the package like its modules, and never changes while it runs.
_PURSES: Mapping[str, Any] = tomllib.loads(
    resources.files("cardcore.applets").joinpath("purses.toml").read_text(encoding="utf-8")
)
APPLICATIONS = tuple(
    Application(
        each["code"],
        name,
        Text(each["zh"], each["en"]),
        (each["aid"].encode("ascii"),),
        each["key_ending"],
        has_purse=True,
    )
    for name, each in _PURSES.items()
)
#: The name of the micropayment purse on a card.
NAME = _PURSES["purse"]["aid"].encode("ascii")
KEYS = (
    KeySlot(KeyUsage.PURCHASE),
    KeySlot(KeyUsage.LOAD),
    KeySlot(KeyUsage.TAC),
    KeySlot(KeyUsage.UNLOAD),
    KeySlot(KeyUsage.FILE_MAINTENANCE, tries_max=10),
)


@dataclass(frozen=True, slots=True)
class PurseProfile:
    """What one purse starts with. A limit of 0 is none; no limit may be over the balance's.

    `name` is one of `purses.toml`.
    """

    public: PublicInformation
    balance_max_fen: int
    purchase_max_fen: int
    day_max_fen: int
    name: str = "purse"

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
    entry = _entry(profile.name)
    state = PurseState(
        balance_fen=0,
        balance_max_fen=profile.balance_max_fen,
        purchase_max_fen=profile.purchase_max_fen,
        day_max_fen=profile.day_max_fen,
    )
    directory = _PURSES[profile.name]["file_id"]
    contents = {
        (directory, FID_PURSE): [state.encode()],
        (directory, Sfi.PUBLIC): [profile.public.encode()],
    }
    return Package(lay_out(_tree, profile.name, contents, secrets), entry)


@cache
def _entry(name: str) -> DirectoryEntry:
    purse = _PURSES[name]
    return DirectoryEntry(
        purse["aid"].encode("ascii"), purse["directory_label"], purse["directory_place"]
    )


def _tree(name: str, contents: Contents, secrets: Sequence[Secret]) -> TreeBuilder:
    tree = TreeBuilder()
    application = tree.add_directory(
        None, _PURSES[name]["file_id"], name=_entry(name).aid, copied_sfi=Sfi.PUBLIC
    )
    add_key_file(tree, application, KEYS, secrets)
    tree.add_file(
        application,
        FID_PURSE,
        Structure.TRANSPARENT,
        contents[application.fid, FID_PURSE],
        read=Access.NEVER,
    )
    tree.add_file(
        application,
        Sfi.PUBLIC,
        Structure.TRANSPARENT,
        contents[application.fid, Sfi.PUBLIC],
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
    return tree


@dataclass(frozen=True, slots=True)
class PurseSettings:
    """What a product file says of a purse: limits in fen."""

    balance_max_fen: int
    purchase_max_fen: int
    day_max_fen: int


def _make(name: str, settings: PurseSettings, public: PublicInformation) -> Package:
    return package(
        PurseProfile(
            public,
            settings.balance_max_fen,
            settings.purchase_max_fen,
            settings.day_max_fen,
            name,
        )
    )


SECTIONS = tuple(Section(name, PurseSettings, KEYS, partial(_make, name)) for name in _PURSES)
