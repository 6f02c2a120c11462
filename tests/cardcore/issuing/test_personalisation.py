"""Products become cards over SCP03: whole, cut off anywhere, taken back, on the wrong chip."""

import warnings
from dataclasses import replace
from datetime import date
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardcore.applets import health, library, purse, social_security
from cardcore.chip.card import Card
from cardcore.chip.filesystem import FileSystem
from cardcore.chip.package import listed
from cardcore.chip.scp03 import LEVELS
from cardcore.concession import Concession
from cardcore.errors import CryptogramError, PowerLossError
from cardcore.issuing import orders, personalisation
from cardcore.issuing.dialogue import Finished, Plan, Result, drive
from cardcore.issuing.orders import CardOrder
from cardcore.issuing.personalisation import make_plan
from cardcore.issuing.products import SHIPPED, ProductError, key_refs, parse, shipped
from cardcore.issuing.stock import stock_chip
from cardcore.keys import InsecureKeyServiceWarning, KeyService, KeyUsage
from cardcore.layouts.city_transit import ConcessionRecord
from cardcore.layouts.transit import (
    AID_PURSE,
    PPSE_NAME,
    CardProperties,
    HolderInformation,
    PublicInformation,
    TransitRecord,
)
from hsm_sim.keys.in_process import InProcessKeyService
from hsm_sim.keys.published_keys import published_vault
from tests.cardcore.applets.citizen_chips import PIN, Reader
from tests.cardcore.chip.reference_terminal import ReferenceTerminal
from tests.cardcore.transit_cards import counting_random

LABEL = "demo"
PUBLIC = PublicInformation(
    issuer=bytes.fromhex("05845840FFFFFFFF"),
    application_type=2,
    application_version=1,
    card_number="03105840000000000042",
    valid_from=date(2024, 1, 1),
    valid_to=date(2034, 12, 31),
)
NAMES = {
    "transit": AID_PURSE,
    "social_security": social_security.NAME,
    "health": health.NAME,
    "library": library.NAME,
    "purse": purse.NAME,
}
HOST_CHALLENGE = bytes.fromhex("0807060504030201")


def an_order(name: str = "citizen") -> CardOrder:
    if name == "anonymous":
        return CardOrder(PUBLIC, CardProperties(city="5840"))
    return CardOrder(
        PUBLIC,
        CardProperties(province="5800", city="5840"),
        HolderInformation(name="张三", id_number="110101199003070011"),
        social_security={"card_number": "A12345678", "sex": "1"} if name == "citizen" else {},
        health={"blood_abo": b"\x02"},
        reader_number="HZ0000123456",
        home_library="HZLIB01",
        pin=PIN,
    )


def key_service() -> InProcessKeyService:
    refs = [ref for name in SHIPPED for ref in key_refs(shipped(name), LABEL)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureKeyServiceWarning)
        return InProcessKeyService(published_vault(refs))


KEYS = key_service()


def a_chip(public: PublicInformation = PUBLIC, keys: KeyService = KEYS) -> Card:
    image = stock_chip(public, shipped("citizen"), keys, LABEL)
    return Card.from_image(image, counting_random())


def a_plan(name: str = "citizen", **changes: object) -> Plan:
    product = replace(shipped(name), **changes)  # type: ignore[arg-type]
    return make_plan(product, an_order(name), LABEL)


def personalised(name: str = "citizen") -> Card:
    card = a_chip()
    finished = drive(personalisation.personalise(a_plan(name), KEYS, HOST_CHALLENGE), card.transmit)
    assert finished == Finished(Result.DONE, "check")
    return card


@pytest.mark.parametrize("name", SHIPPED)
def test_every_product_becomes_a_card_with_its_applications(name: str) -> None:
    card = personalised(name)
    aids = {entry.aid for entry in listed(FileSystem(card.memory))}
    assert aids == {NAMES[each] for each in shipped(name).applications}
    reader = Reader(card)
    for aid in aids:
        reader.select(aid)
    reader.select(PPSE_NAME)


@pytest.mark.parametrize("level", sorted(LEVELS))
def test_every_level_makes_the_same_card_when_no_secret_travels(level: int) -> None:
    card, other = a_chip(), a_chip()
    plan = a_plan("anonymous", channel_level=level)
    talk = personalisation.personalise(plan, KEYS, HOST_CHALLENGE)
    assert drive(talk, card.transmit).result is Result.DONE
    drive(personalisation.personalise(a_plan("anonymous"), KEYS, HOST_CHALLENGE), other.transmit)
    assert card.memory.cells() == other.memory.cells()


def test_a_pin_never_travels_in_the_clear() -> None:
    talk = personalisation.personalise(a_plan(channel_level=0x11), KEYS, HOST_CHALLENGE)
    finished = drive(talk, a_chip().transmit)
    assert (finished.result, finished.step, finished.sw) == (
        Result.REFUSED,
        "keys of social_security",
        0x6982,
    )


def test_neither_key_nor_pin_nor_name_shows_on_the_wire() -> None:
    card, seen = a_chip(), bytearray()

    def listening(command: bytes) -> bytes:
        answer = card.transmit(command)
        seen.extend(command + answer)
        return answer

    plan = a_plan()
    drive(personalisation.personalise(plan, KEYS, HOST_CHALLENGE), listening)
    for planned in plan.applications:
        for planned_key in planned.keys:
            key = KEYS.derive_card_key(planned_key.ref, PUBLIC.factor)
            assert key.value not in seen
            assert key.value in b"".join(card.memory.cells().values())
    assert "张三".encode("gbk") not in seen
    assert b"\x03" + PIN not in seen


def terminal_for(card: Card, name: str) -> ReferenceTerminal:
    """A terminal with the keys that the city's key service makes for this card."""
    planned = next(each for each in a_plan().applications if each.name == name)
    refs = {key.ref.usage: key.ref for key in planned.keys}
    purchase, load, tac = (
        KEYS.derive_card_key(refs[usage], PUBLIC.factor).value
        for usage in (KeyUsage.PURCHASE, KeyUsage.LOAD, KeyUsage.TAC)
    )
    terminal = ReferenceTerminal(card.transmit, purchase, load, tac)
    Reader(card).select(NAMES[name])
    return terminal


def test_a_personalised_card_can_be_loaded_and_pays_in_both_purses() -> None:
    card = personalised()
    for name in ("transit", "purse"):
        terminal = terminal_for(card, name)
        assert terminal.load(5_000).sw == b"\x90\x00"
        assert terminal.purchase(300).sw == b"\x90\x00"
        assert terminal.balance() == 4_700
    ride = ("01D0", TransitRecord(0x2701, status=1).encode())
    terminal = terminal_for(card, "transit")
    assert terminal.purchase(0, records=[ride]).sw == b"\x90\x00"


def test_the_product_decides_limits_class_and_card_kind() -> None:
    card = personalised("student")
    reader = Reader(card)
    terminal = terminal_for(card, "purse")
    terminal.load(20_000)
    assert terminal.purchase(5_001).sw == b"\x94\x02"
    reader.select(AID_PURSE)
    assert CardProperties.decode(reader.data("00B0970000")).card_kind == 2
    concession = ConcessionRecord.decode(reader.data("00B204D400"))
    assert (concession.concession, concession.concession_to) == (
        Concession.HALF,
        date(2034, 12, 31),
    )


def test_the_pin_of_the_order_opens_what_is_the_holders_own() -> None:
    reader = Reader(personalised())
    reader.select(library.NAME)
    assert reader.send("0020000003" + "000000")[1] == "63C2"
    assert reader.send("0020000003" + PIN.hex())[1] == "9000"


def test_a_photo_longer_than_a_command_is_written_in_blocks_and_read_back() -> None:
    order = replace(an_order(), photo=bytes(range(1, 201)) * 5)
    plan, card, sent = make_plan(shipped("citizen"), order, LABEL), a_chip(), []

    def listening(command: bytes) -> bytes:
        sent.append(command[1])
        return card.transmit(command)

    talk = personalisation.personalise(plan, KEYS, HOST_CHALLENGE)
    assert drive(talk, listening) == Finished(Result.DONE, "check")
    assert sent.count(0xD6) >= 2 * len(order.photo) // 224, "of two applications"
    assert sum(order.photo in data for data in card.memory.cells().values()) == 2


class Unplugged(Exception):  # noqa: N818 - what happens to the reader, no error of ours
    pass


def cut_off(card: Card, name: str, after: int, done: int = 0) -> tuple[Finished | None, int]:
    """Personalise until that many commands have gone through; how far it was."""
    talk = personalisation.personalise(a_plan(name), KEYS, HOST_CHALLENGE, done)
    exchange = next(talk)
    for sent in count():
        if sent == after:
            return None, exchange.done
        done = exchange.done
        try:
            exchange = talk.send(card.transmit(exchange.command))
        except StopIteration as end:
            finished: Finished = end.value
            return finished, done
    raise AssertionError


@pytest.mark.parametrize("knows", [True, False])
@pytest.mark.parametrize("name", ["citizen", "anonymous"])
@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(1, 150), min_size=1, max_size=3))
def test_a_card_cut_off_anywhere_is_finished_later(
    name: str,
    knows: bool,  # noqa: FBT001 - parametrized
    cuts: list[int],
) -> None:
    card, done = a_chip(), 0
    for after in cuts:
        _, reached = cut_off(card, name, after, done)
        done = reached if knows else 0
        card.reset()
    finished, _ = cut_off(card, name, 10_000, done)
    assert finished == Finished(Result.DONE, "check")
    whole = personalised(name).memory.cells()
    assert {cell: data for cell, data in card.memory.cells().items() if data and _kept(cell)} == {
        cell: data for cell, data in whole.items() if data and _kept(cell)
    }


def _kept(cell: int) -> bool:
    """Not the count of commits, and not the sequence of channels."""
    return cell not in (0, 0x301)


def test_power_lost_inside_any_write_leaves_a_card_that_can_be_finished() -> None:
    writes = 0

    def counting(_: int) -> None:
        nonlocal writes
        writes += 1

    whole = a_chip()
    whole.memory.power = counting
    drive(personalisation.personalise(a_plan("anonymous"), KEYS, HOST_CHALLENGE), whole.transmit)
    for at in range(1, writes, 17):
        card, left = a_chip(), at

        def failing(length: int) -> int | None:
            nonlocal left
            left -= 1
            return length // 2 if left == 0 else None

        card.memory.power = failing
        with pytest.raises(PowerLossError):
            drive(
                personalisation.personalise(a_plan("anonymous"), KEYS, HOST_CHALLENGE),
                card.transmit,
            )
        card.memory.power = None
        card.reset()
        talk = personalisation.personalise(a_plan("anonymous"), KEYS, HOST_CHALLENGE)
        assert drive(talk, card.transmit).result is Result.DONE


@pytest.mark.parametrize("after", [5, 20, 60, 100, 10_000])
def test_an_unfinished_or_finished_card_goes_back_to_stock_and_can_be_another(after: int) -> None:
    card = a_chip()
    cut_off(card, "citizen", after)
    card.reset()
    voided = drive(personalisation.void(a_plan(), KEYS, HOST_CHALLENGE), card.transmit)
    assert voided.result is Result.DONE
    assert listed(FileSystem(card.memory)) == []
    assert "张三".encode("gbk") not in card.image()
    talk = personalisation.personalise(a_plan("student"), KEYS, HOST_CHALLENGE)
    assert drive(talk, card.transmit).result is Result.DONE


def test_an_application_is_added_in_the_field_and_nothing_else_moves() -> None:
    student = shipped("student")
    without = {name: each for name, each in student.applications.items() if name != "library"}
    card = a_chip()
    first = make_plan(
        replace(student, applications=without), replace(an_order("student"), pin=b""), LABEL
    )
    talk = personalisation.personalise(first, KEYS, HOST_CHALLENGE)
    assert drive(talk, card.transmit).result is Result.DONE
    terminal_for(card, "purse").load(3_000)
    before = card.memory.cells()
    talk = personalisation.extend(a_plan("student"), {"library"}, KEYS, HOST_CHALLENGE)
    answer = b""
    for number in range(9):
        exchange = talk.send(answer) if number else next(talk)
        answer = card.transmit(exchange.command)
    card.reset()
    talk = personalisation.extend(a_plan("student"), {"library"}, KEYS, HOST_CHALLENGE)
    assert drive(talk, card.transmit) == Finished(Result.DONE, "check")
    applications = {each.name: each.aid for each in a_plan("student").applications}
    assert {each.aid for each in listed(FileSystem(card.memory))} == set(applications.values())
    assert terminal_for(card, "purse").balance() == 3_000
    changed = {cell for cell, data in before.items() if card.memory.read(cell) != data}
    assert {cell >> 8 for cell in changed if _kept(cell)} <= _directory_files(card)


def _directory_files(card: Card) -> set[int]:
    """The PPSE and DIR."""
    tree = FileSystem(card.memory)
    directory = tree.child(tree.root, 0x0001)
    assert directory is not None
    return {tree.named(PPSE_NAME)[0].number, directory.number}


def test_a_card_with_money_on_it_is_not_taken_back() -> None:
    card = personalised()
    terminal_for(card, "purse").load(100)
    card.reset()
    voided = drive(personalisation.void(a_plan(), KEYS, HOST_CHALLENGE), card.transmit)
    assert (voided.result, voided.step, voided.sw) == (Result.REFUSED, "delete purse", 0x6985)
    assert terminal_for(card, "purse").balance() == 100


def test_another_chip_than_the_ordered_one_is_left_as_it_is() -> None:
    other = a_chip(replace(PUBLIC, card_number="03105840000000000099"))
    before = other.memory.cells()
    talk = personalisation.personalise(a_plan(), KEYS, HOST_CHALLENGE)
    finished = drive(talk, other.transmit)
    assert (finished.result, finished.step) == (Result.OTHER_CARD, "look")
    changed = {cell for cell, data in other.memory.cells().items() if before[cell] != data}
    assert all(not _kept(cell) for cell in changed)


def test_a_chip_with_other_keys_is_named_before_anything_is_sent_to_it() -> None:
    refs = key_refs(replace(shipped("citizen")), "elsewhere")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureKeyServiceWarning)
        elsewhere = InProcessKeyService(published_vault(refs))
    image = stock_chip(PUBLIC, shipped("citizen"), elsewhere, "elsewhere")
    stranger = Card.from_image(image, counting_random())
    talk = personalisation.personalise(a_plan(), KEYS, HOST_CHALLENGE)
    with pytest.raises(CryptogramError, match="other keys"):
        drive(talk, stranger.transmit)


def test_an_answer_forged_on_the_way_is_an_error() -> None:
    card = a_chip()

    def forging(command: bytes) -> bytes:
        answer = bytearray(card.transmit(command))
        if command[1] == 0xE8:
            answer[0] ^= 1
        return bytes(answer)

    with pytest.raises(CryptogramError):
        drive(personalisation.personalise(a_plan(), KEYS, HOST_CHALLENGE), forging)


def test_the_check_finds_what_was_changed_behind_its_back() -> None:
    card = personalised()
    done = len(a_plan().applications) * 3
    tree = FileSystem(card.memory)
    library_directory = tree.named(library.NAME)[0]
    file = tree.by_sfi(library_directory, 0x15)
    assert file is not None
    changes: dict[int, bytes] = {}
    tree.write_body(file, bytes(file.size), changes)
    card.memory.commit(changes)
    card.reset()
    talk = personalisation.personalise(a_plan(), KEYS, HOST_CHALLENGE, done)
    finished = drive(talk, card.transmit)
    assert (finished.result, finished.step) == (Result.CHECK_FAILED, "check")
    assert finished.detail.startswith("library")


@pytest.mark.parametrize(
    ("product", "change", "message"),
    [
        ("citizen", {"holder": HolderInformation()}, "needs name"),
        ("citizen", {"pin": b""}, "needs a PIN"),
        ("citizen", {"reader_number": ""}, "reader number"),
        ("anonymous", {"holder": HolderInformation(name="张三", id_number="1")}, "has no holder"),
        ("anonymous", {"pin": PIN}, "has no PIN"),
    ],
)
def test_an_order_that_does_not_fit_its_product_is_named(
    product: str, change: dict[str, object], message: str
) -> None:
    order = replace(an_order(product), **change)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=message):
        orders.plan_applications(shipped(product), order, LABEL)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("card_kind = 1", "", "card_kind is missing"),
        ("card_kind = 1", "card_kind = 1\ncolour = 3", "colour is unknown"),
        ('holder = "anonymous"', 'holder = "somebody"', "holder = somebody"),
        ("channel_level = 0x33", "channel_level = 0x13", "channel_level = 19"),
        ("algorithm = 1", "algorithm = 2", "algorithm = 2"),
        ("overdraft_limit_fen = 0", "overdraft_limit_fen = '0'", "transit: overdraft_limit_fen"),
        ("overdraft_limit_fen = 0", "overdraft_limit_fen = -1", "transit: overdraft_limit_fen"),
        ('"bicycle"', '"boat"', "transit: records = boat"),
        ("[applications.purse]", "[applications.wallet]", "applications = wallet"),
        ("[applications.purse]", "[applications.library]", "library needs a named holder"),
        ("[keys]", "[keys", "product: "),
    ],
)
def test_a_product_file_that_no_card_can_be_is_named(old: str, new: str, message: str) -> None:
    from importlib import resources

    text = (
        resources.files("cardcore.issuing.products").joinpath("anonymous.toml").read_text("utf-8")
    )
    assert old in text
    with pytest.raises(ProductError, match=message):
        parse(text.replace(old, new, 1))


def test_city_union_is_only_another_product_file() -> None:
    from importlib import resources

    text = (
        resources.files("cardcore.issuing.products").joinpath("anonymous.toml").read_text("utf-8")
    )
    product = parse(text.replace('form = "t-union"', 'form = "city-union"'))
    plan = make_plan(product, an_order("anonymous"), LABEL)
    card = a_chip()
    talk = personalisation.personalise(plan, KEYS, HOST_CHALLENGE)
    assert drive(talk, card.transmit).result is Result.DONE
    Reader(card).select(bytes.fromhex("A00000000386980701"))
