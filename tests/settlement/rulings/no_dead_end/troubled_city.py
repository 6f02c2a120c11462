"""Cities in which a seed's worth of things goes wrong, and two people who clear up what is open.

Decides what goes wrong, and when, by the seed alone. People rule by what the lists say may be
ruled, never by knowing what went wrong.
"""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random

from cardcore.records.batch import DeviceRegister
from cardcore.records.record import decode_record, encode_record
from settlement.city import City
from settlement.days.opening import DayAnswer
from settlement.people.actions import Action
from settlement.registry.book import since_ever
from settlement.registry.rows import HotlistRow
from settlement.reports.files import read_missing
from settlement.reports.open_items.asking import ask, show
from settlement.reports.open_items.nouns import NOUNS
from settlement.reports.open_items.values import Question
from settlement.rulings.kinds import RulingKind
from settlement.service.close import close_day
from settlement.service.receive import receive_file
from settlement.store.registry import register
from tests.settlement.device_files import (
    BUS_TERMINAL,
    CLERK,
    NOW,
    OTHER_SENDER,
    SENDER,
    Street,
    StreetCard,
    make_office,
)
from tests.settlement.rulings.crew import CAI, DAN
from tests.settlement.rulings.desk import Desk
from tests.settlement.service.test_service import ENGINE, KEYS

STRANGE_TERMINAL = "0000000000ff"
DAYS, CARDS = 3, 4
_HAPPENS = [*["true"] * 6, "strange", "torn", "forged", "lying", "lost", "jump", "late"]


def _tap(dice: Random, card: StreetCard) -> list[bytes]:
    """What comes of a tap: mostly a true record, sometimes one that lies, is torn, or is lost."""
    if card.balance_fen < 1_000 or dice.random() < 0.15:
        return [card.load(dice.choice([2_000, 5_000]))]
    match dice.choice(
        ["true"] * 6 + ["strange", "torn", "forged", "lying", "lost", "jump", "late"]
    ):
        case "strange":
            return [card.bus(terminal=STRANGE_TERMINAL)]
        case "torn":
            return [encode_record(replace(decode_record(card.bus()), tac=bytes(4)))]
        case "forged":
            return [encode_record(replace(decode_record(card.bus()), tac=b"\x01\x02\x03\x04"))]
        case "lying":
            return [card.bus(balance_before_fen=dice.randrange(1_000))]
        case "lost":
            card.bus()
            return []
        case "jump":  # money that no load brought
            card.balance_fen += dice.choice([100, 700])
            return [card.load(1_000)]
        case "late":
            card.street.now += timedelta(days=9)
            ahead = card.bus()
            card.street.now -= timedelta(days=9)
            return [ahead]
        case _:
            return [card.bus()]


def make_troubled(folder: Path, seed: int) -> City:
    """The city of a seed after its files came, no day of it closed yet. Whoever asked closes it."""
    dice = Random(seed)
    city = make_office(folder, bucket_count=1)
    desk = Desk(city)
    desk.found()
    desk.enrol(CAI, DAN)
    street = Street()
    cards = [street.card(number) for number in range(1, CARDS + 1)]
    row = since_ever(HotlistRow(cards[0].number, 1))
    register(city.database, row, Action(CLERK, NOW - timedelta(days=40), "stolen"))
    for _ in range(DAYS):
        taps = [each for _ in range(8) for each in _tap(dice, dice.choice(cards))]
        wrong = DeviceRegister(BUS_TERMINAL, 1, 1, dice.randrange(9), 160, 0, 0, 0)
        registers = [wrong] if dice.random() < 0.5 else []
        data = street.file(taps, dice.choice([SENDER, OTHER_SENDER]), registers=registers)
        if dice.random() < 0.8:  # else it is lost, and those behind it wait
            receive_file(city, data, KEYS, NOW)
        if dice.random() < 0.3:
            receive_file(city, data[:-1], KEYS, NOW)
    return city


def clear_up(city: City, rounds: int = 12) -> int:
    """Two people rule on all that is listed, and close what is ready, until nothing is; how many
    rulings that took.
    """
    desk, made = Desk(city), 0
    for _ in range(rounds):
        desk.now += timedelta(days=1)
        while not isinstance(close_day(city, None, KEYS, ENGINE, desk.now, CLERK), DayAnswer):
            pass
        ruled = _rule_once(city, desk)
        if not ruled:
            return made
        made += ruled
    raise AssertionError(f"still open after {rounds} rounds: {open_items(city)}")


def open_items(city: City) -> dict[str, list[str]]:
    """What stands open, by noun; positions are what is owed, and no trouble."""
    question = Question(page_size=1_000)
    found = {
        name: [line.item for line in ask(city, noun, question).lines]
        for name, noun in NOUNS.items()
        if name != "positions"
    }
    found["files"] = [str(each) for each in read_missing(city)]
    return {name: items for name, items in found.items() if items}


def _rule_once(city: City, desk: Desk) -> int:
    """Everything that may be ruled of what is open now, once."""
    made = 0
    for gone in read_missing(city):
        desk.rule(RulingKind.FILES_SKIP, str(gone), by=CAI, second=DAN)
        made += 1
    for name, items in open_items(city).items():
        for item in items if name != "files" else ():
            shown = show(city, NOUNS[name], item, desk.now)
            assert shown is not None, item
            if shown.may_propose:
                kind = Random(item).choice(shown.may_propose)
                desk.rule(kind, item, by=CAI, second=DAN)
                made += 1
    return made
