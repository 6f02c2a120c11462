"""R14: what is made dear on purpose costs a constant times the records.

Steps are counted where they can be; where a database works, four times the records may take nine
times as long, but not sixteen.
"""

import sys
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import pytest

from api.bench.shapes import SHAPES, TIMES, measure
from settlement.reconciliation import chain, continuity, placing, terminals, threads
from tests.api.cli.test_command_line import run, run_json

TraceFunction = Callable[[FrameType, str, Any], Any]
#: Modules that look at records one by one.
_WALKED = frozenset(module.__file__ for module in (chain, continuity, placing, terminals, threads))
GROWTH_MAX = 1.6 * TIMES


def steps_of(work: Callable[[], object]) -> int:
    """Lines gone through in those modules: the same on every machine, however busy it is."""
    counted = 0

    def trace(frame: FrameType, _event: str, _argument: object) -> TraceFunction | None:
        return count if frame.f_code.co_filename in _WALKED else None

    def count(_frame: FrameType, _event: str, _argument: object) -> TraceFunction:
        nonlocal counted
        counted += 1
        return count

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return counted


@pytest.mark.parametrize("name", ["card_gaps", "loads_into_gaps", "claims", "serial_gaps"])
def test_four_times_the_gaps_are_about_four_times_the_steps(name: str) -> None:
    days = SHAPES[name].days
    small, large = (steps_of(partial(measure, days(size))) for size in (60, 60 * TIMES))
    assert 60 < small < large < GROWTH_MAX * small


@pytest.mark.slow
def test_every_shape_is_measured_at_both_sizes() -> None:
    document = run_json("bench", "shapes", "--size", "40")
    assert list(document["shapes"]) == list(SHAPES)
    for figures in document["shapes"].values():
        assert figures["records"] >= 3.5 * figures["baseline_records"]
        assert min(figures["baseline_seconds"], figures["growth"]) > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["card_gaps", "serial_gaps"])
def test_a_thousand_gaps_and_four_thousand_are_far_from_each_against_each(name: str) -> None:
    figures = run_json("bench", "shapes", "--size", "1000", "--shape", name)["shapes"][name]
    assert figures["close_growth"] < 9


def test_a_shape_that_is_none_is_named() -> None:
    assert "no shape triangle" in run("bench", "shapes", "--shape", "triangle", exit_code=2)
