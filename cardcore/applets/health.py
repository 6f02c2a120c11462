"""The resident health application (居民健康卡应用, WS/T 543).

Decides its files, keys and access rules, and which place of the visit index the next visit takes.
Leaves what commands do with files to `cardcore.chip.card`, and what a doctor writes into a visit to
the hospital.

DDF1/EF05 shows what card it is, DF02/EF05 what an emergency needs (blood group, allergies,
pacemaker): both free to read. Everything else opens to a reader that has shown itself with the read
key; so does the identity, DDF1/EF06, where the standard shows it to anybody (ADR 0038). The
holder's data are written enciphered, each directory under a key of its own. DF03 is the index of
visits: a flag a place (00 valid, FF erased) and one file a visit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from cardcore.application import Application
from cardcore.chip.access import Access
from cardcore.chip.cardkeys import Secret
from cardcore.chip.keyfile import KeySlot, add_key_file
from cardcore.chip.package import DirectoryEntry, Package
from cardcore.chip.tree import (
    BODY_SLOT,
    FIRST_RECORD_SLOT,
    DedicatedFile,
    ElementaryFile,
    Structure,
    TreeBuilder,
)
from cardcore.keys import KeyUsage
from cardcore.layouts.health_tags import elements
from cardcore.layouts.tagged import TAG_BYTES, TaggedTable
from cardcore.text import Text

#: Readers select by file id; the name is ours, for the directory of the chip.
NAME = b"HEALTH.DDF1"
FID_APPLICATION = 0xDDF1
FID_CONTACTS, FID_CLINICAL, FID_VISITS = 0xDF01, 0xDF02, 0xDF03
FID_PHOTO = 0xEF07
#: Key ids as readers send them in P2 of EXTERNAL AUTHENTICATE.
READ_KEY, READ_KEY_BELOW = 0x04, 0x84
#: P2 of INTERNAL AUTHENTICATE; 01 asks for the TAC over the digest of a record instead.
INTERNAL_KEY, TAC_KEY = 0x02, 0x01
UPDATE_KEYS = {
    FID_APPLICATION: 0x05,
    FID_CONTACTS: 0x85,
    FID_CLINICAL: 0x86,
    FID_VISITS: 0x87,
}
PHOTO_BYTES = 3072  # the first two are the length of the picture
IN_PATIENT_VISITS, OUT_PATIENT_VISITS = 3, 5
IN_PATIENT_BYTES = 1639 + 64  # 住院信息 and its signature
#: The standard's size of an out-patient file is not published; ours holds the same head.
OUT_PATIENT_BYTES = 1024
VALID, ERASED = 0x00, 0xFF
_CYCLIC_RECORDS, _CYCLIC_BYTES = 5, 44

#: Directory and file to the elements in it.
TABLES: Mapping[tuple[int, int], TaggedTable] = {
    (FID_APPLICATION, 0xEF05): elements(1, 2, 3, 4, 5, 6, 8, 9, 10, 57),
    (FID_APPLICATION, 0xEF06): elements(11, 12, 13, 14, 15),
    (FID_APPLICATION, 0xEF08): elements(7, 16, 17, 18, 19, 20),
    (FID_CONTACTS, 0xEF05): elements(21, 22, 23, 24),
    (FID_CONTACTS, 0xEF06): elements(25, 26, 27, 28, 29, 30, 31, 32, 33),
    (FID_CONTACTS, 0xEF07): elements(34, 35, 36),
    (FID_CONTACTS, 0xEF08): elements(37, 38, 39, 40),
    (FID_CLINICAL, 0xEF05): elements(41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55),
    (FID_CLINICAL, 0xEF06): elements(56),
}
_KNOWN = frozenset(name for table in TABLES.values() for name in table.places)
_IDENTITY = (FID_APPLICATION, 0xEF06)
#: Free to read: what card it is, and what an emergency needs.
FREE = frozenset({(FID_APPLICATION, 0xEF05), (FID_CLINICAL, 0xEF05)})
ENTRY = DirectoryEntry(NAME, "HEALTH", 4)
APPLICATIONS = (
    Application(
        3,
        "health",
        Text("居民健康", "health"),
        (NAME,),
        "-health",
        has_purse=False,
        authentication_index=INTERNAL_KEY,
    ),
)
KEYS = (
    KeySlot(KeyUsage.INTERNAL_AUTHENTICATION, INTERNAL_KEY),
    KeySlot(KeyUsage.EXTERNAL_AUTHENTICATION, READ_KEY, tries_max=10),
    KeySlot(KeyUsage.EXTERNAL_AUTHENTICATION, READ_KEY_BELOW, tries_max=10),
    *(
        KeySlot(KeyUsage.EXTERNAL_AUTHENTICATION, key_id, tries_max=10)
        for key_id in UPDATE_KEYS.values()
    ),
    KeySlot(KeyUsage.FILE_MAINTENANCE, 1, tries_max=10),  # STK
    KeySlot(KeyUsage.TAC, TAC_KEY),  # signs settlements in which no purse moves
)


@dataclass(frozen=True, slots=True)
class HealthProfile:
    """What one card starts with: values by the names of the elements, whatever file they are in.

    `is_holder_free`: anybody may read the identity, as the standard has it.
    """

    values: Mapping[str, str | bytes] = field(default_factory=dict)
    photo: bytes = b""
    is_holder_free: bool = False


def package(profile: HealthProfile, secrets: Sequence[Secret] = ()) -> Package:
    """The application, ready to be installed. `secrets` are all of `KEYS`, or none.

    Raises `ValueError` for a value that fits no element, `KeyUsageError` for a missing key.
    """
    if unknown := sorted(set(profile.values) - _KNOWN):
        raise ValueError(f"no such element: {', '.join(unknown)}")
    if len(profile.photo) > PHOTO_BYTES - 2:
        raise ValueError(f"EF07: {len(profile.photo)} bytes, the file has {PHOTO_BYTES - 2}")
    is_free = profile.is_holder_free
    blank, numbers = (
        _files(secrets, is_holder_free=is_free) if secrets else _blank(is_holder_free=is_free)
    )
    cells = dict(blank)
    for place, elements_of in TABLES.items():
        if names := profile.values.keys() & elements_of.places.keys():
            values = {name: profile.values[name] for name in names}
            first = numbers[place] << 8 | FIRST_RECORD_SLOT
            cells.update(enumerate(elements_of.encode(values), first))
    photo = len(profile.photo).to_bytes(2, "big") + profile.photo
    cells[numbers[FID_APPLICATION, FID_PHOTO] << 8 | BODY_SLOT] = photo.ljust(PHOTO_BYTES, b"\x00")
    return Package(cells, ENTRY)


@cache
def _blank(*, is_holder_free: bool) -> tuple[Mapping[int, bytes], Mapping[tuple[int, int], int]]:
    """Without keys: the same for every card that gets them later."""
    return _files((), is_holder_free=is_holder_free)


def _files(
    secrets: Sequence[Secret], *, is_holder_free: bool
) -> tuple[Mapping[int, bytes], Mapping[tuple[int, int], int]]:
    """The cells of a card that says nothing of anybody, and where each file is, by directory."""
    tree = TreeBuilder()
    application = tree.add_directory(None, FID_APPLICATION, name=NAME)
    add_key_file(tree, application, KEYS, secrets)
    directories = {FID_APPLICATION: application}
    numbers = {}
    for fid in (FID_CONTACTS, FID_CLINICAL, FID_VISITS):
        directories[fid] = tree.add_directory(application, fid)
    for (directory, fid), elements_of in TABLES.items():
        file = tree.add_file(
            directories[directory],
            fid,
            Structure.LINEAR_VARIABLE,
            elements_of.encode({}),
            sfi=fid & 0x1F,
            size=elements_of.record_bytes_max,
            identifier_bytes=TAG_BYTES,
            read=Access.ALWAYS
            if is_holder_free and (directory, fid) == _IDENTITY
            else _read(directory, fid),
            update=_update(directory),
        )
        numbers[directory, fid] = file.number
    file = _add_binary(tree, application, FID_PHOTO, bytes(PHOTO_BYTES))
    numbers[FID_APPLICATION, FID_PHOTO] = file.number
    _add_clinical(tree, directories[FID_CLINICAL])
    _add_visits(tree, directories[FID_VISITS])
    return tree.cells, numbers


def next_place(flags: bytes, dates: Sequence[str]) -> int:
    """Where the next visit is written: the first place that is erased, else the oldest visit.

    `flags` is the flag file, `dates` the day (YYYYMMDD) of the visit in each place.

    >>> next_place(bytes.fromhex("00FF00"), ["20240301", "", "20240101"])
    1
    >>> next_place(bytes(3), ["20240301", "20240401", "20240101"])
    2
    """
    assert len(flags) == len(dates), "a flag and a date a place"
    places = range(len(flags))
    return next(
        (place for place in places if flags[place] != VALID),
        min(places, key=lambda place: dates[place]),
    )


@cache
def _read(directory: int, fid: int) -> Access:
    if (directory, fid) in FREE:
        return Access.ALWAYS
    key_id = READ_KEY if directory == FID_APPLICATION else READ_KEY_BELOW
    return Access.external(key_id) | Access.CHANNEL


@cache
def _update(directory: int) -> Access:
    return Access.external(UPDATE_KEYS[directory]) & Access.enciphered(1) | Access.CHANNEL


def _add_binary(
    tree: TreeBuilder, directory: DedicatedFile, fid: int, content: bytes
) -> ElementaryFile:
    return tree.add_file(
        directory,
        fid,
        Structure.TRANSPARENT,
        [content],
        sfi=fid & 0x1F if fid >> 8 == 0xEF else 0,
        read=_read(directory.fid, fid),
        update=_update(directory.fid),
    )


def _add_clinical(tree: TreeBuilder, clinical: DedicatedFile) -> None:
    """EF07 allergies (过敏) and EF08 immunisation (免疫), newest first."""
    for fid in (0xEF07, 0xEF08):
        tree.add_file(
            clinical,
            fid,
            Structure.CYCLIC,
            [],
            sfi=fid & 0x1F,
            size=_CYCLIC_BYTES,
            records_max=_CYCLIC_RECORDS,
            read=_read(FID_CLINICAL, fid),
            update=_update(FID_CLINICAL),
        )


def _add_visits(tree: TreeBuilder, visits: DedicatedFile) -> None:
    """EF05 and EF06 the flags, EE01 to EE03 in-patient, ED01 to ED05 out-patient."""
    _add_binary(tree, visits, 0xEF05, bytes((ERASED,)) * IN_PATIENT_VISITS)
    _add_binary(tree, visits, 0xEF06, bytes((ERASED,)) * OUT_PATIENT_VISITS)
    for place in range(1, IN_PATIENT_VISITS + 1):
        _add_binary(tree, visits, 0xEE00 + place, bytes(IN_PATIENT_BYTES))
    for place in range(1, OUT_PATIENT_VISITS + 1):
        _add_binary(tree, visits, 0xED00 + place, bytes(OUT_PATIENT_BYTES))
