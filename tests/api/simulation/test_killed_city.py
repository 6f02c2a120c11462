"""Power cuts in the whole city: SIGKILL at every commit point, then the same drive again.

Every role taps once, one tap is torn, one record is uploaded twice. The process is killed at step
n of the drive for every n; driven again, the city must end as if nothing had happened.
"""

import os
import signal
import traceback
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from api.composition import CityKeys, open_city_keys
from api.settings import Settings
from api.simulation.demonstration import plan_demonstration
from api.simulation.drive import drive
from api.simulation.plan import Plan
from settlement.city import create_city, open_city
from settlement.engine.local import LocalEngine
from settlement.reports.days import read_balances
from settlement.reports.statement import read_statement
from settlement.verification.verify import verify
from terminals.roles.bus import BUS
from terminals.roles.metro_gate import EXIT
from tests.settlement.device_files import ACTION

WALKERS = 4


def small_plan() -> Plan:
    """One citizen's day with every role in it, one tap torn, one record copied."""
    whole = plan_demonstration(5, 40, 1, date(2026, 9, 1))
    roles: dict[str, set[str]] = {}
    for tap in whole.taps:
        roles.setdefault(tap.card, set()).add(tap.role)
    card = next(
        card
        for card, seen in roles.items()
        if len(seen) == len({order.role for order in whole.terminals})
    )
    taps = [replace(tap, torn=False, copies=0) for tap in whole.taps if tap.card == card]
    torn = next(n for n, tap in enumerate(taps) if tap.role == EXIT.name)
    copied = next(n for n, tap in enumerate(taps) if tap.role == BUS.name)
    taps[torn] = replace(taps[torn], torn=True)
    taps[copied] = replace(taps[copied], copies=1)
    cards = tuple(order for order in whole.cards if order.number == card)
    return replace(whole, fingerprint="one citizen", cards=cards, taps=tuple(taps))


PLAN = small_plan()


def run(folder: Path, on_step: Callable[[str], None]) -> dict[str, Any]:
    """`run_with` keys in this process."""
    return run_with(open_city_keys(Settings(), PLAN.scheme), folder, on_step)


def run_with(keys: CityKeys, folder: Path, on_step: Callable[[str], None]) -> dict[str, Any]:
    """Drive the plan in a folder, from wherever it stands, prove it, and give what people see."""
    city = (
        open_city(folder)
        if (folder / "city.json").exists()
        else create_city(folder, "demo", ACTION, bucket_count=1)
    )
    with city:
        drive(city, keys, PLAN, LocalEngine(1), lambda _stage, _steps: None, on_step)
        statement = read_statement(city, PLAN.settlement_days)
        balances = read_balances(city)
        sound = verify(city, keys.service, LocalEngine(1))
    assert sound.is_sound, sound.findings
    return {
        "totals": {
            name: value for name, value in statement.totals.items() if name != "output_hash"
        },
        "operators": statement.operators,
        "balances": balances,
        "classes": statement.classes,
    }


def in_child(work: Callable[[], None]) -> int:
    """Run in a forked process and give its wait status; a failing assertion is exit code 1."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001 - the parent sees the exit code
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def without_recovery(result: dict[str, Any]) -> dict[str, Any]:
    """A kill tears taps of its own: how many were recovered is the one figure that may differ."""
    totals = dict(result["totals"])
    totals["notes"] = {n: c for n, c in totals["notes"].items() if n != "recovered"}
    return {**result, "totals": totals}


@pytest.mark.slow
@pytest.mark.parametrize("walker", range(WALKERS))
def test_killed_at_every_commit_point_the_city_ends_the_same(tmp_path: Path, walker: int) -> None:
    steps: list[str] = []
    expected = without_recovery(run(tmp_path / "whole", steps.append))
    assert expected["totals"]["duplicates"] == 1
    assert {"intent durable", "record durable", "row_kept", "day_kept"} <= set(steps)
    for number in range(walker, len(steps), WALKERS):
        folder = tmp_path / f"killed-{number}"

        def killed(folder: Path = folder, number: int = number) -> None:
            left = number

            def on_step(_: str) -> None:
                nonlocal left
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left -= 1

            run(folder, on_step)

        def again(folder: Path = folder) -> None:
            assert without_recovery(run(folder, lambda _: None)) == expected

        status = in_child(killed)
        assert os.WIFSIGNALED(status), steps[number]
        assert in_child(again) == 0, f"killed at step {number}: {steps[number]}"
