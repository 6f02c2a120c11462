"""Who reads a holder's name and number off a card: nobody without the read key.

The walk goes through every file of every application that a product has, not through the files
somebody thought of: the next file that shows a name is found by it too.
"""

from collections.abc import Iterator
from dataclasses import replace
from importlib import resources

import pytest

from cardcore.applets import transit
from cardcore.chip.card import Card
from cardcore.chip.filesystem import FileSystem
from cardcore.chip.tree import DedicatedFile, ElementaryFile
from cardcore.issuing import personalisation
from cardcore.issuing.dialogue import Result, drive
from cardcore.issuing.personalisation import make_plan
from cardcore.issuing.products import Product, ProductError, parse, shipped
from cardcore.keys import KeyRef, KeyUsage
from cardcore.layouts.transit import AID_PURSE, FID_MASTER, HolderInformation
from tests.cardcore.applets.citizen_chips import Reader
from tests.cardcore.issuing.test_personalisation import (
    HOST_CHALLENGE,
    KEYS,
    LABEL,
    PUBLIC,
    a_chip,
    an_order,
)

NAMED = ("citizen", "student")
READ_HOLDER = "00B0960000"


def a_named_card(product: Product) -> Card:
    card = a_chip()
    plan = make_plan(product, an_order(product.name), LABEL)
    finished = drive(personalisation.personalise(plan, KEYS, HOST_CHALLENGE), card.transmit)
    assert finished.result is Result.DONE, finished
    card.reset()
    return card


def free(name: str) -> Product:
    return replace(shipped(name), is_holder_free=True)


def way_to(files: FileSystem, directory: DedicatedFile) -> list[int]:
    return [each.fid for each in reversed(list(files.upwards(directory)))] or [FID_MASTER]


def enter(reader: Reader, way: list[int]) -> bytes:
    return b"".join(reader.data(f"00A4000002{fid:04X}") for fid in way)


def what_a_stranger_reads(card: Card) -> Iterator[tuple[str, bytes]]:
    """Every answer of SELECT and every byte of every file that answers without a key."""
    reader, files = Reader(card), FileSystem(card.memory)
    for file in files.tree.by_number.values():
        if isinstance(file, DedicatedFile):
            yield f"{file.fid:04X}", enter(reader, way_to(files, file))
            continue
        assert isinstance(file, ElementaryFile)
        directory = files.tree.by_number[file.parent]
        assert isinstance(directory, DedicatedFile)
        enter(reader, way_to(files, directory))
        name = f"{directory.fid:04X}/{file.fid:04X}"
        reader.send(f"00A4020002{file.fid:04X}")
        yield name, b"".join(answers(reader, "00B0{:04X}00", step=256))
        reader.send(f"00A4020002{file.fid:04X}")
        yield name, b"".join(answers(reader, "00B2{:02X}0400", start=1))


def answers(reader: Reader, form: str, *, start: int = 0, step: int = 1) -> Iterator[bytes]:
    place = start
    while True:
        answer, word = reader.send(form.format(place))
        if word != "9000" or place > 0xFF * step:
            return
        yield answer
        place += step


def shown_of_the_holder(card: Card) -> set[str]:
    holder = an_order().holder
    secret = (
        holder.name.encode("gbk"),
        holder.name.encode("utf-8"),
        holder.id_number.encode("ascii"),
        bytes.fromhex(holder.id_number),
    )
    read = list(what_a_stranger_reads(card))
    assert any(PUBLIC.encode() in data for _, data in read), "the walk reads nothing at all"
    return {name for name, data in read if any(each in data for each in secret)}


@pytest.mark.parametrize("name", NAMED)
def test_a_stranger_reads_neither_name_nor_number_of_the_holder_in_any_file(name: str) -> None:
    assert shown_of_the_holder(a_named_card(shipped(name))) == set()


def test_a_product_that_says_so_shows_name_and_number_as_cards_of_the_field_do() -> None:
    shown = shown_of_the_holder(a_named_card(free("citizen")))
    assert shown == {"1001/0016", "DDF1/EF05", "DDF1/EF06"}
    reader = Reader(a_named_card(free("student")))
    reader.select(AID_PURSE)
    assert HolderInformation.decode(reader.data(READ_HOLDER)) == an_order("student").holder


def show_key(reader: Reader, answer: bytes | None = None) -> str:
    ref = KeyRef(KeyUsage.EXTERNAL_AUTHENTICATION, LABEL, 1)
    challenge = reader.data("0084000008")
    answer = answer or KEYS.authenticate(ref, PUBLIC.factor, challenge)
    return reader.send(f"008200{transit.READ_KEY:02X}08{answer.hex()}")[1]


@pytest.mark.parametrize("name", NAMED)
def test_a_machine_with_the_read_key_reads_the_holder_until_another_application(name: str) -> None:
    reader = Reader(a_named_card(shipped(name)))
    reader.select(AID_PURSE)
    assert reader.send(READ_HOLDER) == (b"", "6982")
    assert show_key(reader) == "9000"
    assert HolderInformation.decode(reader.data(READ_HOLDER)) == an_order(name).holder
    reader.select(AID_PURSE)
    assert reader.send(READ_HOLDER) == (b"", "6982")


def test_the_read_key_cannot_be_guessed_and_the_purse_does_not_mind() -> None:
    reader = Reader(a_named_card(shipped("student")))
    reader.select(AID_PURSE)
    tries = [show_key(reader, bytes(8)) for _ in range(11)]
    assert tries == [*(f"63C{left:X}" for left in reversed(range(10))), "6983"]
    assert show_key(reader) == "6983"
    assert reader.send(READ_HOLDER) == (b"", "6982")
    assert reader.data("805C000204") == bytes(4)


def test_generations_of_social_security_that_hide_nothing_need_a_product_that_says_so() -> None:
    text = resources.files("cardcore.issuing.products").joinpath("citizen.toml").read_text("utf-8")
    old = text.replace('version = "3.00"', 'version = "2.00"')
    with pytest.raises(ProductError, match=r"social_security: version 2\.00.*named-free"):
        parse(old)
    assert parse(old.replace('holder = "named"', 'holder = "named-free"')).is_holder_free
