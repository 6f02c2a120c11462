"""A chip with one application that has everything: both purses, PIN, keys, a file a rule."""

from collections.abc import Callable

from cardcore.chip.access import Access
from cardcore.chip.card import Card
from cardcore.chip.cardkeys import FID_KEYS, CardKey, Pin
from cardcore.chip.memory import Memory
from cardcore.chip.package import DirectoryEntry, Package, new_chip
from cardcore.chip.purse.offline import PurseKind, PurseState
from cardcore.chip.tree import DedicatedFile, Structure, TreeBuilder
from cardcore.keys import Key, KeyUsage
from tests.cardcore.transit_cards import LOAD_KEY, PURCHASE_KEY, TAC_KEY, counting_random

AID = bytes.fromhex("D15600000501")
PIN = bytes.fromhex("123456")
KEY = {usage: bytes((number,)) * 8 + bytes(range(8)) for number, usage in enumerate(KeyUsage)}
KEY |= {
    KeyUsage.PURCHASE: PURCHASE_KEY,
    KeyUsage.LOAD: LOAD_KEY,
    KeyUsage.TAC: TAC_KEY,
}
MASTER_KEY = bytes(range(0x60, 0x70))
NOT_ON_CARDS = {
    KeyUsage.FILE_SIGNING,
    KeyUsage.DATA_ENCRYPTION,
    KeyUsage.TRANSPORT,
    KeyUsage.RECORD_MAC,
    KeyUsage.DAY_SEAL,
}
CARD_USAGES = [usage for usage in KeyUsage if usage not in NOT_ON_CARDS]
CHANNEL = [usage for usage in CARD_USAGES if usage.startswith("channel")]
FID_PLAIN, FID_PIN, FID_EXTERNAL, FID_MAC, FID_ENCIPHERED, FID_BOTH = range(0x21, 0x27)
FID_VARIABLE, FID_CYCLIC, FID_SECRET, FID_CHANNELED = range(0x11, 0x15)


def a_key(
    usage: KeyUsage, index: int = 1, tries_max: int = 0, value: bytes = b"", algorithm: int = 0
) -> bytes:
    return CardKey(index, 2, algorithm, Key(usage, value or KEY[usage]), tries_max).encode()


def secrets(tries_max: int = 3, algorithm: int = 0) -> list[bytes]:
    counted = {
        KeyUsage.FILE_MAINTENANCE,
        KeyUsage.EXTERNAL_AUTHENTICATION,
        KeyUsage.PIN_UNBLOCK,
        KeyUsage.PIN_RELOAD,
    }
    usages = [usage for usage in CARD_USAGES if usage not in CHANNEL]
    keys = [
        a_key(usage, 1, tries_max if usage in counted else 0, algorithm=algorithm)
        for usage in usages
    ]
    return [*keys, Pin.fresh(PIN, 3).encode()]


RULES = {
    FID_PLAIN: Access.ALWAYS,
    FID_PIN: Access.PIN,
    FID_EXTERNAL: Access.external(1),
    FID_MAC: Access.mac(1),
    FID_ENCIPHERED: Access.enciphered(1),
    FID_BOTH: (Access.PIN & Access.external(1) & Access.mac(1)) | Access.CHANNEL,
}


def add_everything(
    tree: TreeBuilder,
    parent: DedicatedFile | None,
    *,
    state: PurseState | None = None,
    algorithm: int = 0,
) -> DedicatedFile:
    made = tree.add_directory(parent, 0x1001, name=AID)
    keys = secrets(algorithm=algorithm)
    tree.add_file(made, FID_KEYS, Structure.LINEAR_FIXED, keys, read=Access.NEVER)
    state = state or PurseState(0, 500_000)
    for kind in PurseKind:
        tree.add_file(made, kind, Structure.TRANSPARENT, [state.encode()], read=Access.NEVER)
    tree.add_file(made, 0x18, Structure.CYCLIC, [], sfi=0x18, size=23, records_max=10)
    for fid, rule in RULES.items():
        tree.add_file(made, fid, Structure.TRANSPARENT, [bytes(20)], sfi=fid - 0x20, update=rule)
    tlv = [bytes.fromhex("0802AABB"), bytes.fromhex("0903AABBCC"), bytes.fromhex("0801DD")]
    tree.add_file(
        made,
        FID_VARIABLE,
        Structure.LINEAR_VARIABLE,
        tlv,
        sfi=FID_VARIABLE,
        size=20,
        records_max=4,
        identifier_bytes=1,
        update=Access.ALWAYS,
    )
    tree.add_file(
        made,
        FID_CYCLIC,
        Structure.CYCLIC,
        [b"three", b"two22", b"one11"],
        sfi=FID_CYCLIC,
        records_max=3,
        update=Access.ALWAYS,
    )
    tree.add_file(
        made,
        FID_SECRET,
        Structure.TRANSPARENT,
        [b"secret"],
        sfi=FID_SECRET,
        read=Access.PIN & Access.internal(1) | Access.external(1),
    )
    tree.add_file(
        made,
        FID_CHANNELED,
        Structure.TRANSPARENT,
        [b"issuer"],
        sfi=FID_CHANNELED,
        update=Access.CHANNEL,
    )
    return made


def stock_image() -> bytes:
    """A chip without applications."""
    keys = [CardKey(1, 0x30, 5, Key(usage, KEY[usage])) for usage in CHANNEL]
    maintenance = CardKey(1, 1, 1, Key(KeyUsage.FILE_MAINTENANCE, MASTER_KEY))
    serial = bytes.fromhex("05845840FFFFFFFF0201" + "03105840000000000017" + "00" * 10)
    return Memory(new_chip(serial, [*keys, maintenance])).image()


def package(*, entry: bool = True, pin: bool = True, algorithm: int = 0) -> Package:
    tree = TreeBuilder()
    add_everything(tree, None, algorithm=algorithm)
    if not pin:
        for cell, data in list(tree.cells.items()):
            if data.startswith(b"\x50\x00"):
                tree.cells[cell] = a_key(KeyUsage.TAC, 9)
    return Package(tree.cells, DirectoryEntry(AID, "EVERYTHING", 3) if entry else None)


def everything_image(algorithm: int = 0) -> bytes:
    """A chip with the application on it, as installing it leaves it."""
    chip = Card.from_image(stock_image(), counting_random())
    changes = package(algorithm=algorithm).install(chip._files)
    assert isinstance(changes, dict)
    chip.memory.commit(changes)
    return Memory({cell: data for cell, data in chip.memory.cells().items() if cell}).image()


EVERYTHING = everything_image()


class Reader:
    """Sends hexadecimal, gets data and status word as text; keeps one application selected."""

    def __init__(
        self, image: bytes = EVERYTHING, random: Callable[[int], bytes] | None = None
    ) -> None:
        self.card = Card.from_image(image, random or counting_random())
        self.select()

    def send(self, text: str, data: bytes = b"") -> str:
        raw = bytes.fromhex(text) + (bytes((len(data),)) + data if data else b"")
        return self.card.transmit(raw).hex().upper()

    def select(self, name: bytes = AID) -> str:
        return self.send("00A4040C", name)

    def challenge(self, length: int = 8) -> bytes:
        answer = self.send(f"00840000{length:02X}")
        assert answer.endswith("9000")
        return bytes.fromhex(answer[:-4])

    def verify(self, pin: bytes = PIN) -> str:
        return self.send("00200000", pin)

    def reset(self) -> None:
        self.card.reset()
        self.select()
