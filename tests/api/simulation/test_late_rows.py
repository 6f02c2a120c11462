"""Rows that are settled days after they were tapped: the card tells its own order, the day that
closes without them says what is missing, the day that brings them says nothing is.
"""

import csv
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pytest

from api.composition import CityKeys, open_city_keys
from api.settings import Settings
from api.simulation.chips import ChipDrawer, ImageSeal
from api.simulation.demonstration import plan_demonstration
from api.simulation.drive import DAYS, drive
from api.simulation.plan import Plan
from api.simulation.published import plan_published
from api.simulation.virtual_city import chips_path
from cardcore.apdu import CommandApdu, ResponseApdu
from cardcore.chip.card import Card
from cardcore.keys import KeyUsage
from cardcore.layouts.transit import AID_PURSE, LogRecord
from cardcore.schemes.catalogue import SCHEMES
from settlement.city import City, create_city, open_city
from settlement.dispositions import GapState
from settlement.engine.local import LocalEngine
from settlement.store.days import load_closed_days
from settlement.verification.verify import verify
from settlement.watching import OnStep, pass_by
from terminals.dialogue.commands import select
from terminals.roles import ROLES
from terminals.roles.load_kiosk import KIOSK
from terminals.tap import commands
from tests.api.cli.test_command_line import run_json
from tests.api.simulation.test_killed_city import in_child
from tests.api.simulation.test_taps_file import read, write
from tests.settlement.device_files import ACTION
from tests.support.shared import DATA, needs_shared

SCHEME = SCHEMES["shenzhen"]
TAPS = DATA / "shenzhen" / "taps.csv"

CARD = "0310" + SCHEME.city_code + "001574587192"
EVE, SATURDAY, SUNDAY = (date(2018, 8, 31) + timedelta(days=n) for n in range(3))
Totals = Mapping[date, Mapping[str, Any]]


def plan_of_a_bus_that_did_not_come_home(folder: Path) -> Plan:
    """Three rides of one card in one morning; the bus of the first two is read out a day later.

    The second bus rode again before it was read out, and its newer record goes up first.
    """
    lost = {"close_date": "2018-09-02 00:00:00"}
    rides = (
        {"deal_date": "2018-09-01 09:10:00", "equ_no": "231017001", **lost},
        {"deal_date": "2018-09-01 09:20:00", "equ_no": "231017002", **lost, "deal_money": "80"},
        {"deal_date": "2018-09-01 09:30:00", "equ_no": "231017003"},
        {"deal_date": "2018-09-01 09:40:00", "equ_no": "231017002", "card_no": "AAAAAAAAA"},
    )
    return plan_published(read(write(folder, *rides)), SCHEME)


def drive_and_prove(folder: Path, plan: Plan) -> Totals:
    """Drive a plan; every invariant holds whenever a day has closed."""
    return drive_from_where_it_stands(folder, plan, pass_by, prove)


def drive_from_where_it_stands(
    folder: Path, plan: Plan, on_step: OnStep, on_day: Callable[[City, CityKeys], None]
) -> Totals:
    keys = open_city_keys(Settings(), plan.scheme)
    is_new = not (folder / "city.json").exists()
    opened = (
        create_city(folder, plan.scheme.name, ACTION, bucket_count=1)
        if is_new
        else open_city(folder)
    )
    with opened as city:

        def on_progress(stage: str, _: int) -> None:
            if stage == DAYS:
                on_day(city, keys)

        return drive(city, keys, plan, LocalEngine(1), on_progress, on_step).days


def prove(city: City, keys: CityKeys) -> None:
    assert verify(city, keys.service, LocalEngine(1)).findings == ()


def trust(_city: City, _keys: CityKeys) -> None:
    """Nothing is proven on the way."""


def log_of(folder: Path, card_number: str) -> list[LogRecord]:
    """EF18 as the chip itself reads it out, oldest first."""
    with open_city(folder) as city:
        keys = open_city_keys(Settings(), city.scheme)
        silicon = keys.key_to_make(KeyUsage.DATA_ENCRYPTION, city.scheme.name)
    drawer = ChipDrawer(chips_path(folder), ImageSeal(keys.service, silicon.ref))
    image = drawer.image(f"card/{card_number}")
    drawer.close()
    assert image is not None
    card = Card.from_image(image, bytes)
    card.reset()
    exchange(card, select(AID_PURSE))
    count = 4
    return [
        LogRecord.decode(exchange(card, commands.read_log(number)).data)
        for number in range(count, 0, -1)
    ]


def exchange(card: Card, command: CommandApdu) -> ResponseApdu:
    return ResponseApdu.decode(card.transmit(command.encode()))


def of_run(folder: Path, day: date, name: str, columns: str) -> list[tuple[Any, ...]]:
    """Rows of a file of the run on which a day was closed."""
    with open_city(folder) as city:
        run_id = next(
            each.run_id for each in load_closed_days(city.database) if each.settlement_day == day
        )
        path = city.run_folder(day, run_id) / "terminals" / f"{name}.parquet"
    with duckdb.connect() as connection:
        return connection.execute(
            f"SELECT {columns} FROM read_parquet(?) ORDER BY ALL",
            [str(path)],
        ).fetchall()


@pytest.fixture(scope="module")
def driven(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Totals]:
    folder = tmp_path_factory.mktemp("late")
    plan = plan_of_a_bus_that_did_not_come_home(folder)
    return folder / "city", drive_and_prove(folder / "city", plan)


def test_the_log_of_the_card_is_in_the_order_of_its_taps(driven: tuple[Path, Totals]) -> None:
    log = log_of(driven[0], CARD)
    times = [each.time for each in log[1:]]
    assert times == [datetime.combine(SATURDAY, time(9, minute)) for minute in (10, 20, 30)]
    assert [(each.counter, each.amount_fen) for each in log[1:]] == [(0, 160), (1, 80), (2, 160)]
    assert (log[0].transaction_type, log[0].counter) == (2, 0)


def test_the_day_without_the_older_rows_closes_with_a_gap_and_the_next_one_fills_it(
    driven: tuple[Path, Totals],
) -> None:
    names = ("accepted", "late", "suspended", "gaps_open", "open_gap_fen", "charged_fen")
    table = {day: tuple(totals[name] for name in names) for day, totals in driven[1].items()}
    assert table == {
        EVE: (2, 0, 0, 0, 0, 0),
        SATURDAY: (2, 0, 0, 1, 240, 320),
        SUNDAY: (2, 2, 0, 0, 0, 240),
    }


def test_the_terminal_is_missed_on_the_day_its_newer_record_comes_and_complete_on_the_next(
    driven: tuple[Path, Totals],
) -> None:
    folder, _ = driven
    terminal = int("000231017002", 16)
    gap = "terminal, first_serial, last_serial, state"
    difference = "terminal, expected_records, expected_debit_fen, found_records, found_debit_fen"
    assert of_run(folder, SATURDAY, "terminal_gaps", gap) == [(terminal, 1, 1, GapState.OPEN)]
    assert of_run(folder, SATURDAY, "register_differences", difference) == [
        (terminal, 2, 240, 1, 160)
    ]
    assert of_run(folder, SUNDAY, "terminal_gaps", gap) == [(terminal, 1, 1, GapState.FILLED)]
    assert of_run(folder, SUNDAY, "register_differences", difference) == []


def late_city(seed: int, roles: set[str]) -> Plan:
    """A demonstration city in which a third of the records of some roles come days late, without
    the mishaps of the demonstration.
    """
    dice = Random(seed)
    whole = plan_demonstration(seed, 5, 2, date(2026, 9, 1))
    taps = tuple(
        replace(
            tap,
            settlement_day=tap.settlement_day
            + timedelta(days=dice.choice((0, 0, 0, 0, 1, 2)) if tap.role in roles else 0),
            copies=int(dice.random() < 0.1),
            torn=tap.role != KIOSK.name and dice.random() < 0.1,
            forged_fen=0,
        )
        for tap in whole.taps
    )
    return replace(whole, fingerprint=f"late {seed}", taps=taps, lost={})


@pytest.mark.parametrize(
    ("seed", "roles"),
    [
        pytest.param(4, set(ROLES) - {KIOSK.name}, id="debits"),
        pytest.param(6, set(ROLES), id="debits and loads"),
    ],
)
def test_whatever_comes_late_the_float_is_proven_every_day_and_nothing_is_missing_at_the_end(
    tmp_path: Path, seed: int, roles: set[str]
) -> None:
    plan = late_city(seed, roles)
    days = drive_and_prove(tmp_path / "city", plan)
    for day, totals in days.items():
        assert totals["float_fen"] == totals["card_balance_fen"] + totals["open_gap_fen"], day
        settled = [tap for tap in plan.taps if tap.settlement_day == day]
        assert totals["accepted"] == len(settled), day
        assert totals["duplicates"] == sum(tap.copies for tap in settled), day
        assert totals["late"] == sum(tap.time.date() < day for tap in settled), day
    assert any(totals["gaps_open"] for totals in days.values())
    *_, end = days.values()
    assert (end["gaps_open"], end["open_gap_fen"]) == (0, 0)
    last_day = max(days)
    assert of_run(tmp_path / "city", last_day, "register_differences", "terminal") == []
    states = of_run(tmp_path / "city", last_day, "terminal_gaps", "state")
    assert set(states) <= {(GapState.FILLED,)}


@pytest.mark.slow
def test_killed_around_a_hold_every_record_is_settled_on_its_day(tmp_path: Path) -> None:
    plan = plan_of_a_bus_that_did_not_come_home(tmp_path)
    steps: list[str] = []
    expected = drive_from_where_it_stands(tmp_path / "whole", plan, steps.append, trust)
    holds = [number for number, step in enumerate(steps) if step.startswith("hold")]
    assert len(holds) == 6
    # Just before a hold its record is durable and a day is closed already.
    others = [n for n, step in enumerate(steps) if step in {"batch durable", "day_kept"}]
    for number in (holds[0] - 1, *holds, *others):
        folder = tmp_path / f"killed-{number}"

        def killed(folder: Path = folder, number: int = number) -> None:
            drive_from_where_it_stands(folder, plan, kill_at(number), trust)

        def again(folder: Path = folder) -> None:
            assert drive_from_where_it_stands(folder, plan, pass_by, trust) == expected

        assert os.WIFSIGNALED(in_child(killed)), steps[number]
        assert in_child(again) == 0, f"killed at step {number}: {steps[number]}"


def kill_at(number: int) -> Callable[[str], None]:
    left = number

    def on_step(_: str) -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    return on_step


@needs_shared
@pytest.mark.slow
def test_rows_settled_on_a_later_day_are_late_not_wrong(tmp_path: Path) -> None:
    dice = Random(9)
    with TAPS.open(encoding="utf-8-sig", newline="") as file:
        rows = dice.sample(list(csv.DictReader(file)), 1_500)
    late = 0
    for row in rows:
        moment, chance = datetime.fromisoformat(row["deal_date"]), dice.random()
        if chance < 0.2:  # tapped the day before it was settled
            row["deal_date"] = str(moment - timedelta(days=1))
            late += 1
        elif chance < 0.5:  # another, timely day
            row["deal_date"] = str(moment + timedelta(days=1))
            row["close_date"] = "2018-09-02 00:00:00"
        elif chance < 0.6:  # settled two days after
            row["close_date"] = "2018-09-03"
            late += 1
    columns = list(rows[0])
    dice.shuffle(columns)
    taps = tmp_path / "taps.csv"
    with taps.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    city = tmp_path / "city"
    result = run_json("replay", taps, "--data", city)
    assert result["late"] == late
    assert (result["suspended"], result["rejected"], result["gaps_open"]) == (0, 0, 0)
    assert result["charged_fen"] == sum(int(row["deal_money"]) for row in rows)
    assert set(result["days"]) >= {"2018-09-01", "2018-09-02", "2018-09-03"}
    assert all(run_json("verify", "--data", city)["invariants"].values())
