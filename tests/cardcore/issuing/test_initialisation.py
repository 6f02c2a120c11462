"""Chips that come with the image of their product become the same cards as blank ones."""

from dataclasses import replace

import pytest

from cardcore.applets import purse
from cardcore.chip.card import Card
from cardcore.chip.cardkeys import FID_KEYS
from cardcore.chip.filesystem import FileSystem
from cardcore.chip.package import listed
from cardcore.chip.tree import ElementaryFile, Structure
from cardcore.issuing.dialogue import Finished, Plan, Result, drive, drive_together
from cardcore.issuing.initialisation import Completion, complete, initialised_chip
from cardcore.issuing.orders import product_applications
from cardcore.issuing.personalisation import make_plan, personalise, void
from cardcore.issuing.products import SHIPPED, shipped
from cardcore.layouts.transit import PublicInformation
from tests.cardcore.issuing.test_personalisation import (
    HOST_CHALLENGE,
    KEYS,
    LABEL,
    NAMES,
    PUBLIC,
    _kept,
    a_chip,
    a_plan,
    personalised,
)
from tests.cardcore.transit_cards import counting_random

IMAGES = {name: complete(shipped(name), KEYS, LABEL, counting_random()) for name in SHIPPED}


def delivered(
    name: str, public: PublicInformation = PUBLIC, image: Completion | None = None
) -> Card:
    given = image or IMAGES[name]
    memory = initialised_chip(public, shipped(name), KEYS, LABEL, given)
    return Card(memory, counting_random(), given.files)


def make(card: Card, plan: Plan, done: int = 0) -> tuple[Finished, list[bytes]]:
    sent: list[bytes] = []

    def transmit(command: bytes) -> bytes:
        sent.append(command)
        return card.transmit(command)

    return drive(personalise(plan, KEYS, HOST_CHALLENGE, done), transmit), sent


def contents(card: Card) -> dict[int, bytes]:
    return {cell: data for cell, data in card.memory.cells().items() if _kept(cell)}


@pytest.mark.parametrize("name", SHIPPED)
def test_an_initialised_chip_becomes_the_card_that_a_blank_one_becomes(name: str) -> None:
    card = delivered(name)
    finished, sent = make(card, a_plan(name))
    assert finished == Finished(Result.DONE, "check")
    assert contents(card) == contents(personalised(name))
    blank, loaded = make(a_chip(), a_plan(name))
    assert blank == finished
    assert len(sent) < len(loaded)
    assert not any(command[1] in (0xE6, 0xE8) for command in sent), "nothing is installed"


@pytest.mark.parametrize("name", SHIPPED)
def test_chips_of_one_image_share_everything_but_number_and_keys(name: str) -> None:
    one = delivered(name)
    other = delivered(name, replace(PUBLIC, card_number="03105840000000000099"))
    files = FileSystem(one.memory)
    keys, number = files.child(files.root, FID_KEYS), files.child(files.root, 0x15)
    assert keys is not None
    assert number is not None
    mine, theirs = one.memory.cells(), other.memory.cells()
    differing = {cell >> 8 for cell in mine if mine[cell] != theirs[cell]}
    assert differing == {keys.number, number.number}
    assert {entry.aid for entry in listed(files)} == {
        NAMES[each] for each in shipped(name).applications
    }


def test_an_image_has_no_key_of_an_application_and_nobody_in_it() -> None:
    files = FileSystem(delivered("citizen").memory)
    for directory in files.directories:
        file = files.child(directory, FID_KEYS)
        if isinstance(file, ElementaryFile) and directory is not files.root:
            assert files.count(file) == 0
    shown = b"".join(IMAGES["citizen"].cells.values())
    order = a_plan().order
    for own in (order.holder.name.encode("gbk"), order.holder.id_number.encode("ascii")):
        assert own not in shown


@pytest.mark.parametrize("after", [4, 9, 17, 30, 45])
@pytest.mark.parametrize("knows", [True, False])
def test_a_card_cut_off_on_an_initialised_chip_is_finished_later(
    after: int,
    knows: bool,  # noqa: FBT001 - parametrized
) -> None:
    card, done = delivered("citizen"), 0
    talk = personalise(a_plan(), KEYS, HOST_CHALLENGE)
    exchange = next(talk)
    for _ in range(after):
        exchange = talk.send(card.transmit(exchange.command))
        done = exchange.done
    card.reset()
    assert make(card, a_plan(), done if knows else 0)[0] == Finished(Result.DONE, "check")
    assert contents(card) == contents(personalised())


def test_a_voided_card_is_a_blank_chip_and_can_be_made_again() -> None:
    card = delivered("citizen")
    make(card, a_plan())
    card.reset()
    assert drive(void(a_plan(), KEYS, HOST_CHALLENGE), card.transmit).result is Result.DONE
    assert listed(FileSystem(card.memory)) == []
    card.reset()
    assert make(card, a_plan("student"))[0] == Finished(Result.DONE, "check")


def altered(image: Completion, cell: int) -> Completion:
    data = image.cells[cell]
    return image._replace(cells={**image.cells, cell: data[:-1] + bytes((data[-1] ^ 1,))})


def test_one_bit_in_any_file_of_an_image_is_found_on_the_finished_card() -> None:
    """Also in files that nobody may read. What the order writes over is as it should be."""
    image, plan = IMAGES["citizen"], a_plan()
    files = FileSystem(delivered("citizen").memory).tree.by_number
    found = written_over = 0
    for cell in image.cells:
        file = files[cell >> 8]
        if not isinstance(file, ElementaryFile) or cell & 0xFF == 0:
            continue
        if file.fid == FID_KEYS or (
            file.structure is not Structure.TRANSPARENT and cell & 0xFF == 1
        ):
            continue  # newest record and count: the file would be no file
        finished, _ = make(delivered("citizen", image=altered(image, cell)), plan)
        if finished.result is Result.DONE:
            written_over += 1
        else:
            assert (finished.result, finished.step) == (Result.CHECK_FAILED, "check"), finished
            found += 1
    assert found > 40
    assert written_over == sum(len(each.own) for each in plan.applications)


def test_a_purse_with_another_limit_is_found_though_nobody_may_read_it() -> None:
    image = IMAGES["anonymous"]
    files = FileSystem(delivered("anonymous").memory)
    state = files.child(files.named(purse.NAME)[0], 0x0002)
    assert state is not None
    finished, _ = make(
        delivered("anonymous", image=altered(image, state.number << 8 | 1)), a_plan("anonymous")
    )
    assert finished == Finished(Result.CHECK_FAILED, "check", detail="purse: digest of its files")


def test_an_access_rule_that_lets_more_people_in_is_found() -> None:
    image = IMAGES["anonymous"]
    files = FileSystem(delivered("anonymous").memory)
    file = files.by_sfi(files.named(purse.NAME)[0], 0x15)
    assert file is not None
    open_to_all = replace(file, update=file.read).encode()
    changed = image._replace(cells={**image.cells, file.number << 8: open_to_all})
    memory = initialised_chip(PUBLIC, shipped("anonymous"), KEYS, LABEL, changed)
    finished, _ = make(Card(memory, counting_random()), a_plan("anonymous"))
    assert (finished.result, finished.detail) == (
        Result.CHECK_FAILED,
        "purse: digest of its files",
    )


def test_packages_are_the_same_for_every_card_of_a_product() -> None:
    blank = {each.name: each.package for each in product_applications(shipped("citizen"), LABEL)}
    assert {each.name: each.package for each in a_plan().applications} == blank
    assert all(each.is_common for each in a_plan().applications)


def test_cards_made_side_by_side_are_those_made_alone_and_one_that_fails_stops_no_other() -> None:
    numbers = [f"031058400000000000{number:02}" for number in range(4)]
    orders = [replace(a_plan().order, public=replace(PUBLIC, card_number=n)) for n in numbers]
    plans = [make_plan(shipped("citizen"), order, LABEL) for order in orders]
    cards = [delivered("citizen", plan.order.public) for plan in plans]
    cards[2] = delivered("citizen", PUBLIC)  # the wrong chip lies in this station
    talks = [personalise(plan, KEYS, HOST_CHALLENGE) for plan in plans]
    ends = drive_together([(talk, card.transmit) for talk, card in zip(talks, cards, strict=True)])
    assert [end.result for end in ends] == [
        Result.DONE,
        Result.DONE,
        Result.OTHER_CARD,
        Result.DONE,
    ]
    for number in (0, 1, 3):
        alone = delivered("citizen", plans[number].order.public)
        make(alone, plans[number])
        assert alone.memory.cells() == cards[number].memory.cells()
