"""An application as one block of bytes, and its place on a chip that is already in use.

Decides what a package is and which cells installing or deleting an application changes: its files,
the PPSE and the directory file DIR, all in one commit. Leaves how the bytes reach the card and
who may send them to `cardcore.chip.commands.manage`.

An application is built like a card of its own, its directory first; it gets free file numbers
when it is installed, so the same package fits every chip::

    tree = TreeBuilder()
    application = tree.add_directory(None, 0x1001, name=AID, ...)
    tree.add_file(application, ...)
    Package(tree.cells, DirectoryEntry(AID, "MOT_T_EP", 2)).encode()

The files of a chip (`new_chip`): MF 3F00 with its keys 0000, the directory file DIR 0001 (one
record an application), card number 0015 and holder 0016, and the PPSE.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import islice
from typing import NamedTuple, TypeVar

from cardcore.apdu import StatusWord
from cardcore.chip.access import Access
from cardcore.chip.cardkeys import (
    FID_CHANNEL,
    FID_KEYS,
    PIN_PREFIX,
    SECRET_BYTES,
    CardKey,
    Pin,
    Secret,
)
from cardcore.chip.content import Content
from cardcore.chip.filesystem import FileSystem
from cardcore.chip.memory import GENERATION, Memory
from cardcore.chip.purse.offline import PurseKind, PurseState
from cardcore.chip.tree import (
    BODY_SLOT,
    FILES_MAX,
    Contents,
    DedicatedFile,
    ElementaryFile,
    File,
    Form,
    Shape,
    Structure,
    TreeBuilder,
    blank_contents,
    bytes_of,
    check_tree,
    moved_header,
    shape_of,
)
from cardcore.errors import DecodeError
from cardcore.layouts.transit import FID_MASTER, PPSE_NAME, HolderInformation, LogRecord, Sfi
from cardcore.limits import CHANNEL_RESPONSE_BYTES_MAX, FILES_BYTES_MAX
from cardcore.tlv import Tlv, decode_all, find

#: File id of the PPSE; readers select it by name.
FID_PPSE = 0x1000
#: The directory file of the master file.
FID_DIRECTORY = 0x0001
#: Applications of one chip.
APPLICATIONS_MAX = 8
#: A record of the directory file.
ENTRY_BYTES_MAX = 48
_VariantT = TypeVar("_VariantT", bound=Hashable)
#: Variants and shapes of the applications of a city: products, and holders with more or less in
#: their files.
_FORMS_KEPT = 256
_PURSES = frozenset(PurseKind)
#: What an answer of `CHANNEL_RESPONSE_BYTES_MAX` leaves beside the PPSE's name and the templates.
_LIST_BYTES_MAX = CHANNEL_RESPONSE_BYTES_MAX - 24


class DirectoryEntry(NamedTuple):
    """One application as the PPSE and DIR list it. Lowest priority number first."""

    aid: bytes
    label: str
    priority: int

    def encode(self) -> Tlv:
        """Template 61: AID, label (ASCII), priority."""
        return Tlv(
            0x61,
            (
                Tlv(0x4F, self.aid),
                Tlv(0x50, self.label.encode("ascii")),
                Tlv(0x87, bytes((self.priority,))),
            ),
        )

    @classmethod
    def decode(cls, template: Tlv) -> "DirectoryEntry":
        """Read a template 61; `DecodeError` when a part is missing."""
        parts = {part.tag: part.content for part in decode_all(template.content)}
        try:
            return cls(parts[0x4F], parts[0x50].decode("ascii"), parts[0x87][0])
        except (KeyError, IndexError, UnicodeDecodeError) as error:
            raise DecodeError("directory entry", 0, f"part {error} is missing") from error


def directory(entries: Sequence[DirectoryEntry]) -> bytes:
    """What the PPSE's FCI holds in A5: BF0C with one entry an application, in order of priority.

    >>> directory([DirectoryEntry(bytes.fromhex("A000000632010105"), "MOT_T_EP", 2)]).hex()
    'bf0c1961174f08a00000063201010550084d4f545f545f4550870102'
    """
    ordered = sorted(entries, key=lambda entry: entry.priority)
    return Tlv(0xBF0C, b"".join(entry.encode().encode() for entry in ordered)).encode()


@dataclass(frozen=True)
class Package:
    """The cells of a tree whose first directory is the application, and its directory entry
    (None: the application is found by its name only).

    >>> tree = TreeBuilder()
    >>> made = tree.add_directory(None, 0x1001, name=b"LIBRARY")
    >>> package = Package(tree.cells, DirectoryEntry(b"LIBRARY", "LIB", 5))
    >>> Package.decode(package.encode()) == package
    True
    """

    cells: Mapping[int, bytes]
    entry: DirectoryEntry | None = None

    def encode(self) -> bytes:
        """Length and bytes of the entry, then the cells as an image of memory."""
        entry = b"" if self.entry is None else self.entry.encode().encode()
        return bytes((len(entry),)) + entry + Memory(self.cells).image()

    @classmethod
    def decode(cls, data: bytes) -> "Package":
        """Read a package; `DecodeError` when anything in it would not work on a card."""
        if not data:
            raise DecodeError("package", 0, "is empty")
        end = 1 + data[0]
        templates = decode_all(data[1:end])
        if len(templates) > 1 or any(template.tag != 0x61 for template in templates):
            raise DecodeError("package", 1, "is no directory entry")
        cells = Memory.from_image(data[end:]).cells()
        del cells[GENERATION]
        package = cls(cells, DirectoryEntry.decode(templates[0]) if templates else None)
        for file in package.tree:
            _check_internal(file, package.tree, cells)
        _check_answers(package)
        return package

    @cached_property
    def tree(self) -> Sequence[File]:
        """Its files, the application first; `DecodeError` when the cells are no tree."""
        return check_tree(self.cells)

    @cached_property
    def content(self) -> Content:
        """What stands under the digest of the application."""
        return Content(self.tree)

    @cached_property
    def file_ids(self) -> Mapping[int, int]:
        """File ids by number."""
        return {file.number: file.fid for file in self.tree}

    @property
    def has_secrets(self) -> bool:
        """Whether there are keys or a PIN in its key files."""
        return any(
            isinstance(file, ElementaryFile)
            and file.fid == FID_KEYS
            and bool(file.record_cells(self.cells))
            for file in self.tree
        )

    def install(self, files: FileSystem) -> StatusWord | dict[int, bytes]:
        """The cells that change when the application comes onto this card.

        Refusals in order: 6A80 a name or the file id are taken, or the entry is not this
        application's; 6A84 no file numbers, no memory or no room in the directory.
        """
        tree = self.tree
        application = tree[0]
        assert isinstance(application, DedicatedFile), "check_tree looks at it"
        names = {file.name for file in tree if isinstance(file, DedicatedFile) and file.name}
        is_taken = (
            not names.isdisjoint(file.name for file in files.directories)
            or files.child(files.root, application.fid) is not None
            or application.fid == FID_MASTER
        )
        if is_taken or (self.entry is not None and self.entry.aid != application.name):
            return StatusWord.DATA_WRONG
        if bytes_of(files.files) + bytes_of(tree) > FILES_BYTES_MAX:
            return StatusWord.NO_SPACE
        numbers_free = (number for number in range(1, FILES_MAX + 1) if not files.has(number))
        free = list(islice(numbers_free, len(tree)))
        if len(free) < len(tree):
            return StatusWord.NO_SPACE
        numbers = {file.number: new for file, new in zip(tree, free, strict=False)}
        changes: dict[int, bytes] = {
            numbers[cell >> 8] << 8 | cell & 0xFF: data for cell, data in self.cells.items()
        }
        for file in tree:
            parent = files.root.number if file is application else numbers[file.parent]
            header = numbers[file.number] << 8
            changes[header] = moved_header(changes[header], parent)
        if self.entry is None:
            return changes
        entries = [*listed(files), self.entry]
        refused = _list(files, entries, changes)
        return changes if refused is None else refused


def _check_internal(file: File, tree: Sequence[File], cells: Mapping[int, bytes]) -> None:
    """The files that commands rely on: keys, purses, and the log beside a purse."""
    if isinstance(file, DedicatedFile):
        return
    body = file.number << 8 | BODY_SLOT
    if file.fid == FID_KEYS:
        if file.structure is not Structure.LINEAR_FIXED or file.size != SECRET_BYTES:
            raise DecodeError("package", body, "is no key file")
        if file.read != Access.NEVER or file.update != Access.NEVER:
            raise DecodeError("package", body, "a key file that commands may touch")
        records = [cells[cell] for cell in file.record_cells(cells)]
        for record in records:
            secret = Pin if record.startswith(PIN_PREFIX) else CardKey
            secret.decode(record)
        if len({record[:2] for record in records}) < len(records):
            raise DecodeError("package", body, "two secrets of one name")
    if file.fid in _PURSES:
        if file.structure is not Structure.TRANSPARENT or len(cells[body]) != PurseState.SIZE:
            raise DecodeError("package", body, "is no purse")
        if file.read != Access.NEVER or file.update != Access.NEVER:
            raise DecodeError("package", body, "a purse that commands may touch")
        if not PurseState.decode(cells[body]).is_sound:
            raise DecodeError("package", body, "a purse outside of its own limits")
        log = [
            other
            for other in tree
            if isinstance(other, ElementaryFile)
            and (other.parent, other.sfi) == (file.parent, Sfi.LOG)
        ]
        if [(other.structure, other.size) for other in log] != [(Structure.CYCLIC, LogRecord.SIZE)]:
            raise DecodeError("package", body, "a purse without a log")


def _check_answers(package: Package) -> None:
    """The FCI of every directory fits into one answer, also inside a secure channel."""
    shown = [file for file in package.tree if isinstance(file, DedicatedFile)]
    if all(not each.copied_sfi and _is_short(each) for each in shown):
        return
    files = FileSystem(Memory(package.cells))
    for application in files.directories:
        if len(files.fci(application)) > CHANNEL_RESPONSE_BYTES_MAX:
            raise DecodeError("package", application.number << 8, "an FCI longer than one answer")


def _is_short(directory: DedicatedFile) -> bool:
    """Whether its FCI fits by far, as those of most directories do, so that none has to be made."""
    return len(directory.name) + len(directory.proprietary) < CHANNEL_RESPONSE_BYTES_MAX // 2


def delete(files: FileSystem, application: DedicatedFile) -> dict[int, bytes]:
    """The cells that change when an application leaves the card, with everything in it."""
    changes = dict.fromkeys(files.cells_below(application), b"")
    entries = [entry for entry in listed(files) if entry.aid != application.name]
    refused = _list(files, entries, changes)
    assert refused is None, "a shorter list fits"
    return changes


def is_emptied(files: FileSystem, application: DedicatedFile) -> bool:
    """Whether this is an application and none of its purses holds money or owes any."""
    if application.name == PPSE_NAME or files.parent(application) is not files.root:
        return False
    purses = [files.child(application, kind) for kind in PurseKind]
    states = [PurseState.decode(files.body(f)) for f in purses if isinstance(f, ElementaryFile)]
    return not any(state.balance_fen for state in states)


def listed(files: FileSystem) -> list[DirectoryEntry]:
    """The applications in the PPSE, in its order."""
    ppse = files.named(PPSE_NAME)
    found = find(decode_all(ppse[0].proprietary), 0xBF0C) if ppse else None
    inside = decode_all(found.content) if found is not None else ()
    return [DirectoryEntry.decode(template) for template in inside]


def _list(
    files: FileSystem, entries: Sequence[DirectoryEntry], changes: dict[int, bytes]
) -> StatusWord | None:
    """Write the list of applications into the PPSE and DIR."""
    listing = directory(entries)
    if len(entries) > APPLICATIONS_MAX or len(listing) > _LIST_BYTES_MAX:
        return StatusWord.NO_SPACE
    for ppse in files.named(PPSE_NAME):
        changed = replace(ppse, proprietary=listing)
        changes[ppse.number << 8] = changed.encode()
    file = files.child(files.root, FID_DIRECTORY)
    if isinstance(file, ElementaryFile):
        records = [entry.encode().encode() for entry in entries]
        if max(map(len, records), default=0) > file.size:
            return StatusWord.NO_SPACE
        files.replace_records(file, records, changes)
    return None


def lay_out(
    build: Callable[[_VariantT, Contents, Sequence[Secret]], TreeBuilder],
    variant: _VariantT,
    contents: Contents,
    secrets: Sequence[Secret] = (),
) -> dict[int, bytes]:
    """The cells of the tree that `build` makes of a variant (anything that can be hashed), contents
    and secrets. Without secrets the tree is the same for every card whose contents are of one
    shape: it is built once and then filled.
    """
    if secrets:
        return build(variant, contents, secrets).cells
    return _form(build, variant, shape_of(contents)).filled(contents)


@lru_cache(maxsize=_FORMS_KEPT)
def _form(
    build: Callable[[_VariantT, Contents, Sequence[Secret]], TreeBuilder],
    variant: _VariantT,
    shape: Shape,
) -> Form:
    return Form(build(variant, blank_contents(shape), ()))


def new_chip(serial: bytes, keys: Iterable[CardKey]) -> dict[int, bytes]:
    """The cells of a blank chip: no application, no holder. `serial` is its EF15 (30 bytes, the
    number that all applications share), `keys` those of the secure channel and of CARD BLOCK.

    Number and holder can be written through the secure channel only; anybody may read the number.
    """
    contents = {
        (FID_MASTER, FID_KEYS): [key.encode() for key in keys],
        (FID_MASTER, Sfi.PUBLIC): [serial],
    }
    return lay_out(_chip, None, contents)


def _chip(_: None, contents: Contents, secrets: Sequence[Secret]) -> TreeBuilder:
    """A chip that has no number and no keys yet."""
    assert not secrets, "its own keys are contents"
    tree = TreeBuilder()
    root = tree.add_directory(None, FID_MASTER)
    tree.add_file(
        root,
        FID_KEYS,
        Structure.LINEAR_FIXED,
        contents[FID_MASTER, FID_KEYS],
        read=Access.NEVER,
    )
    tree.add_file(root, FID_CHANNEL, Structure.TRANSPARENT, [bytes(3)], read=Access.NEVER)
    tree.add_file(
        root,
        FID_DIRECTORY,
        Structure.LINEAR_VARIABLE,
        [],
        sfi=FID_DIRECTORY,
        size=ENTRY_BYTES_MAX,
        records_max=APPLICATIONS_MAX,
    )
    for sfi, content, read in (
        (Sfi.PUBLIC, contents[FID_MASTER, Sfi.PUBLIC], Access.ALWAYS),
        (Sfi.HOLDER, [HolderInformation().encode()], Access.CHANNEL),
    ):
        tree.add_file(
            root,
            sfi,
            Structure.TRANSPARENT,
            content,
            sfi=sfi,
            read=read,
            update=Access.CHANNEL,
        )
    tree.add_directory(root, FID_PPSE, name=PPSE_NAME, proprietary=directory([]))
    return tree
