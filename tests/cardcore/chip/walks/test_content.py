"""The digest of an application: the same on the card and beside it, and another for any change."""

from dataclasses import replace

from cardcore.chip.access import Access
from cardcore.chip.cardkeys import FID_KEYS
from cardcore.chip.content import DIGEST_BYTES, Content
from cardcore.chip.tree import ElementaryFile, decode_file
from tests.cardcore.chip.full_chips import AID, EVERYTHING, Reader, package
from tests.cardcore.chip.test_manage import Desk

GET_CONTENT = "80CA00E100"


def test_the_card_and_whoever_made_the_package_come_to_the_same_digest() -> None:
    made = package()
    desk = Desk(Reader(EVERYTHING))
    desk.send("00A40400", AID)
    shown = desk.send("80CA00E1", le=256).data
    assert shown[:DIGEST_BYTES] == made.content.digest(made.cells.get)


def test_nobody_outside_of_the_channel_is_told() -> None:
    assert Reader(EVERYTHING).send(GET_CONTENT) == "6982"


def test_every_byte_of_every_file_stands_under_it_but_keys_do_not() -> None:
    made = package()
    secret = {file.number for file in made.tree if file.fid == FID_KEYS}
    digest = made.content.digest(made.cells.get)
    for cell, data in made.cells.items():
        if not cell & 0xFF:
            continue
        changed = {**made.cells, cell: data[:-1] + bytes((data[-1] ^ 1,))}
        if cell & 0xFF == 1 and cell >> 8 not in secret and len(data) == 2:
            continue  # count of records: other cells would be asked for
        same = Content(made.tree).digest(changed.get) == digest
        assert same == (cell >> 8 in secret), f"{cell:04X}"


def test_every_access_rule_stands_under_it() -> None:
    made = package()
    digest = made.content.digest(made.cells.get)
    for at, file in enumerate(made.tree):
        if isinstance(file, ElementaryFile):
            for other in (
                replace(file, read=file.read | Access.external(99)),
                replace(file, update=file.update | Access.external(99)),
            ):
                tree = [
                    *made.tree[:at],
                    decode_file(file.number, other.encode()),
                    *made.tree[at + 1 :],
                ]
                assert Content(tree).digest(made.cells.get) != digest
