"""`onecard bench tap`: one offline bus ride, beside a baseline from the same run.

Decides the ride, the baseline and the figures. Leaves rides through readers to `readers.py`.
"""

import os
import resource
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import quantiles
from typing import Annotated

import typer

from api.bench.figures import show_figures
from api.bench.readers import Rides, ride_over_readers
from api.composition import open_city_keys
from api.output import JsonOption, print_json, progress_bar, refuse, say
from api.settings import read_settings
from api.simulation.plan import Plan, PlannedCard, PlannedTap, PlannedTerminal
from api.simulation.virtual_city import SIMULATION, VirtualCity
from cardcore.schemes.catalogue import SCHEMES
from cardcore.text import Text, words
from settlement.city import create_city
from settlement.people.actions import Action
from terminals.link.connection import decode_trace
from terminals.link.reader_faults import ReaderError
from terminals.link.vpcd import VirtualReaderMissingError
from terminals.roles.bus import BUS
from terminals.roles.load_kiosk import KIOSK

SCHEME = SCHEMES["demo"]

_BUS, _KIOSK, _CARD = "000101000001", "000901000001", f"0310{SCHEME.city_code}000000000001"
_LOAD_EVERY, _LOAD_FEN = 50, 10_000
#: A tap is durable twice: the intent before DEBIT, the record after it.
FSYNCS_PER_TAP = 2
_PAGE = bytes(4096)


def tap(
    taps: Annotated[
        int,
        typer.Option(
            min=100, max=100_000, help=words("测量的公交刷卡数。", "Bus taps to measure.")
        ),
    ] = 1_000,
    data: Annotated[
        Path | None,
        typer.Option(
            help=words(
                "流水放在何处，默认为临时目录。",
                "Where to put the journal; a temporary folder by default.",
            )
        ),
    ] = None,
    pcsc: Annotated[
        bool,
        typer.Option(
            "--pcsc", help=words("经 pcscd 与虚拟读卡器。", "Through pcscd and virtual readers.")
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """The baseline is measured in the same folder, right after the rides."""
    extra: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="onecard-bench-", dir=data) as folder:
        if pcsc:
            measured = _ride_over_readers(Path(folder), taps)
            baseline = sum(measured.round_trips)
            bare = quantiles(measured.round_trips, n=100)
            extra = {
                "round_trip_p50_ms": round(bare[49] * 1000, 3),
                "round_trip_p99_ms": round(bare[98] * 1000, 3),
                "fsync_seconds": round(
                    _fsync_seconds(Path(folder) / "fsync", taps * FSYNCS_PER_TAP), 3
                ),
            }
        else:
            measured = _ride(Path(folder), taps)
            baseline = _fsync_seconds(Path(folder) / "fsync", taps * FSYNCS_PER_TAP)
    ride_seconds = measured.rides
    cuts = quantiles(ride_seconds, n=100)
    signed = quantiles(map(sum, zip(ride_seconds, measured.signing, strict=True)), n=100)
    seconds = sum(ride_seconds)
    document = {
        "records": taps,
        "seconds": round(seconds, 3),
        "records_per_second": round(taps / seconds, 1),
        "baseline_seconds": round(baseline, 3),
        "ratio": round(seconds / baseline, 2),
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "p50_ms": round(cuts[49] * 1000, 3),
        "p99_ms": round(cuts[98] * 1000, 3),
        "signed_p50_ms": round(signed[49] * 1000, 3),
        "signed_p99_ms": round(signed[98] * 1000, 3),
        "apdus": measured.apdus,
        "psam_apdus": measured.psam_apdus,
        **extra,
    }
    if as_json:
        print_json(document)
    else:
        _show(document, pcsc=pcsc)


def _show(document: Mapping[str, object], *, pcsc: bool) -> None:
    show_figures(Text("一次公交刷卡，从卡到流水", "One bus ride, card to journal"), document)
    of_what = (
        Text(
            "同样多条指令的往返，卡与 PSAM 合计",
            "as many bare APDU round trips, card and PSAM together",
        )
        if pcsc
        else Text(
            f"同一目录中每次刷卡 {FSYNCS_PER_TAP} 次单页 fsync",
            f"{FSYNCS_PER_TAP} fsyncs of one page a tap in the same folder",
        )
    )
    say(
        words(
            f"基准：{of_what.zh}；比：刷卡与基准。", f"baseline: {of_what.en}; ratio: taps to it."
        ),
        style="dim",
    )
    say(
        words(
            "含记录签名：同样的刷卡，每次之后再由 PSAM 为记录签名，多一条指令。",
            "signed: the same rides and the record MAC after each, one more command to the PSAM.",
        ),
        style="dim",
    )


def _ride_over_readers(folder: Path, taps: int) -> Rides:
    try:
        return ride_over_readers(folder, taps)
    except (ReaderError, VirtualReaderMissingError) as error:
        refuse(str(error))


def _ride(folder: Path, taps: int) -> Rides:
    """Bus taps in process, each followed by the MAC under its record."""
    plan = _plan(taps)
    keys = open_city_keys(read_settings(), plan.scheme)
    action = Action(SIMULATION, datetime.now(UTC), "onecard bench tap")
    seconds, signing = [], []
    with (
        create_city(folder / "city", plan.scheme.name, action) as city,
        VirtualCity(city, keys, plan) as world,
        progress_bar(words("刷卡", "taps"), taps) as advance,
    ):
        world.prepare()
        for planned in plan.taps:
            started = time.perf_counter()
            result = world.tap(planned)
            answered = time.perf_counter()
            assert result.outcome.done, result
            signed = world.sign_records()
            if planned.role == BUS.name:
                seconds.append(answered - started)
                signing.append(time.perf_counter() - answered)
                assert signed == 1, planned
                advance()
        assert result.record is not None
        journal = world.journal(plan.taps[-1].participant)
        trace = decode_trace(journal.trace(result.record.terminal, result.record.terminal_serial))
        return Rides(seconds, signing, trace)


def _plan(taps: int) -> Plan:
    """One passenger, one bus, and a load now and then."""
    day = date(2026, 9, 1)
    clock = datetime(2026, 9, 1, 6)  # noqa: DTZ001 - wall clock of the city
    planned = []
    for number in range(taps):
        clock += timedelta(seconds=2)
        if number % _LOAD_EVERY == 0:
            planned.append(
                PlannedTap(
                    f"load {number}",
                    _CARD,
                    clock,
                    KIOSK.name,
                    _KIOSK,
                    901,
                    _LOAD_FEN,
                    _LOAD_FEN,
                    day,
                )
            )
        planned.append(
            PlannedTap(
                f"ride {number}",
                _CARD,
                clock,
                BUS.name,
                _BUS,
                101,
                200,
                180,
                day,
                line=1,
                vehicle=1,
            )
        )
    return Plan(
        SCHEME,
        f"bench {taps}",
        (PlannedCard(_CARD, "citizen", day),),
        (PlannedTerminal(_BUS, 101, BUS.name), PlannedTerminal(_KIOSK, 901, KIOSK.name)),
        {},
        tuple(planned),
    )


def _fsync_seconds(path: Path, count: int) -> float:
    """Seconds for so many appended pages, each forced to the disk."""
    handle = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    try:
        started = time.perf_counter()
        for _ in range(count):
            os.write(handle, _PAGE)
            os.fsync(handle)
        return time.perf_counter() - started
    finally:
        os.close(handle)
