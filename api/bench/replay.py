"""`onecard bench replay`: published taps on whole citizen cards, beside the slim cards of before.

Decides what is measured: the same rows are driven twice in one run, to closed days, in parts that
take turns. The baseline city makes each card at once, as one transit application without a secure
channel, and writes the whole image of a card whenever it changes. Issuing and everything after it
are told apart, by the seconds of the processor; both cities must come to the same fen.
"""

import secrets
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from api.bench.figures import show_figures
from api.composition import PSAM_KEY_INDEX, open_city_keys
from api.exits import EXIT_USAGE
from api.output import JsonOption, print_json, progress_bar, refuse, refuse_choice, say
from api.settings import read_settings
from api.simulation.chips import ChipAtRest
from api.simulation.drive import CARDS, TAPS, drive
from api.simulation.issuing import order_card
from api.simulation.plan import Plan, PlannedCard
from api.simulation.published import plan_published
from api.simulation.taps import TapsFileError, read_taps_file
from api.simulation.virtual_city import CARD_LIFE, SIMULATION, VirtualCity
from cardcore.applets.transit import TransitProfile, personalise
from cardcore.chip.card import Card
from cardcore.chip.memory import Memory
from cardcore.errors import placed_system_words
from cardcore.issuing.products import shipped
from cardcore.keys import Algorithm, KeyRef, KeyUsage
from cardcore.layouts.transit import RECORD_BUS, RECORD_METRO, TransitRecord, TransitStatus
from cardcore.schemes import Scheme
from cardcore.schemes.catalogue import SCHEMES
from cardcore.text import Text, words
from settlement.city import create_city
from settlement.engine.local import LocalEngine
from settlement.people.actions import Action
from settlement.reports.statement import read_statement
from terminals.link.connection import InProcessConnection

_KEY_VERSION = 1
_PURSE_USAGES = (KeyUsage.PURCHASE, KeyUsage.LOAD, KeyUsage.TAC)
#: Rows are dealt out to so many plans.
PARTS = 4
#: What both cities must agree on.
_FIGURES = ("records", "accepted", "duplicates", "charged_fen", "tariff_fen", "card_balance_fen")


class SlimCity(VirtualCity):
    """The city as it was before: a card is one application, and lies as one image."""

    def _issue(self, orders: Sequence[PlannedCard], on_cards: Callable[[int], None]) -> None:
        for order in orders:
            self._drawer.put(f"card/{order.number}", self._slim_card(order))
        on_cards(len(orders))

    def _slim_card(self, planned: PlannedCard) -> bytes:
        scheme, product = self._plan.scheme, shipped("anonymous")
        until = planned.valid_from + CARD_LIFE
        order = order_card(scheme, product, planned.number, planned.valid_from, until)
        metro = TransitRecord(RECORD_METRO)
        if planned.inside_since is not None:
            metro = replace(metro, status=TransitStatus.INSIDE, entry_time=planned.inside_since)
        return personalise(
            TransitProfile(
                order.public,
                properties=order.properties,
                rides=(metro, TransitRecord(RECORD_BUS)),
            ),
            {
                usage: self._keys.service.derive_card_key(
                    KeyRef(usage, scheme.name, _KEY_VERSION), order.public.factor
                )
                for usage in _PURSE_USAGES
            },
            key_version=_KEY_VERSION,
            algorithm=Algorithm.PBOC_3DES,
            key_index=PSAM_KEY_INDEX,
        )

    def _card_in_field(self, number: str) -> InProcessConnection:
        chip_id = f"card/{number}"
        image = self._drawer.image(chip_id)
        assert image is not None, number
        memory = Memory.from_image(image)
        card = Card(memory, secrets.token_bytes)
        return InProcessConnection(ChipAtRest(self._drawer, chip_id, card))


class Driven(NamedTuple):
    """What cities of one kind cost, and what came of them."""

    issuing_seconds: float = 0.0
    driving_seconds: float = 0.0
    figures: Mapping[str, int] = Counter()

    @property
    def total_seconds(self) -> float:
        """Issuing and everything after it."""
        return self.issuing_seconds + self.driving_seconds

    def __add__(self, other: "Driven") -> "Driven":  # type: ignore[override]
        return Driven(
            self.issuing_seconds + other.issuing_seconds,
            self.driving_seconds + other.driving_seconds,
            Counter(self.figures) + Counter(other.figures),
        )


def replay(
    taps: Annotated[
        Path,
        typer.Argument(help=words("已公布的刷卡数据文件（CSV）。", "A published tap file (CSV).")),
    ],
    rows: Annotated[
        int, typer.Option(min=1, max=1_000_000, help=words("只取前若干行。", "Its first rows."))
    ] = 1_000,
    scheme: Annotated[
        str,
        typer.Option(
            help=words(f"何地的规则：{'、'.join(SCHEMES)}。", f"Whose rules: {', '.join(SCHEMES)}.")
        ),
    ] = "shenzhen",
    as_json: JsonOption = False,
) -> None:
    """Both cities must come to the same figures."""
    if scheme not in SCHEMES:
        refuse_choice("--scheme", Text("规则", "scheme"), scheme, SCHEMES)
    plans = _plans(taps, rows, SCHEMES[scheme])
    steps = 2 * sum(len(plan.cards) + len(plan.taps) for plan in plans)
    slim, whole = Driven(), Driven()
    with progress_bar(words("制卡、刷卡", "cards, taps"), steps) as advance:
        for number, plan in enumerate(plans):
            # Who goes first changes from part to part: the machine is not the same all the time.
            for kind in (SlimCity, VirtualCity) if number % 2 else (VirtualCity, SlimCity):
                driven = _driven(plan, kind, advance)
                slim, whole = (slim + driven, whole) if kind is SlimCity else (slim, whole + driven)
    if whole.figures != slim.figures:
        differing = ", ".join(
            name for name in _FIGURES if whole.figures[name] != slim.figures[name]
        )
        refuse(
            words(
                f"两座城市的结果不同：{differing}；所测之数作废",
                f"the two cities came to different figures: {differing}; nothing was measured",
            )
        )
    document = {
        "records": whole.figures["records"],
        "cards": sum(len(plan.cards) for plan in plans),
        "seconds": round(whole.driving_seconds, 3),
        "baseline_seconds": round(slim.driving_seconds, 3),
        "ratio": round(whole.driving_seconds / slim.driving_seconds, 2),
        "issuing_seconds": round(whole.issuing_seconds, 3),
        "baseline_issuing_seconds": round(slim.issuing_seconds, 3),
        "total_seconds": round(whole.total_seconds, 3),
        "baseline_total_seconds": round(slim.total_seconds, 3),
        "total_ratio": round(whole.total_seconds / slim.total_seconds, 2),
    }
    if as_json:
        print_json(document)
        return
    show_figures(Text("真实刷卡数据回放", "Published taps on whole cards"), document)
    say(
        words(
            "秒：CPU 秒，自第一笔充值至最后关闭的清算日；基准：同样的刷卡用以映像保存的单应用卡；"
            "制卡另计，合计含制卡。与以前的程序相比：`benchmarks/replay.py`。",
            "seconds: of the processor, from the first load to the last closed day; baseline: the "
            "same on cards of one application, kept as one image; issuing apart, total with it. "
            "Beside the program as it was before: `benchmarks/replay.py`.",
        ),
        style="dim",
    )


def _plans(taps: Path, rows: int, scheme: Scheme) -> list[Plan]:
    """The first rows, dealt out."""
    try:
        file = read_taps_file(taps, scheme)
        return [
            plan_published(replace(file, taps=part), scheme)
            for number in range(PARTS)
            if (part := file.taps[number : min(rows, len(file.taps)) : PARTS])
        ]
    except OSError as error:
        refuse(str(placed_system_words(error)), EXIT_USAGE)
    except TapsFileError as error:
        refuse(
            words(
                f"{taps}：{error}；文件须有什么，见 docs/replay-file.md",
                f"{taps}: {error}; docs/replay-file.md says what the file must have",
            ),
            EXIT_USAGE,
        )


def _driven(plan: Plan, kind: type[VirtualCity], advance: Callable[[int], None]) -> Driven:
    """Drive the plan in a city of that kind, in a folder that is thrown away."""
    keys = open_city_keys(read_settings(), plan.scheme)
    action = Action(SIMULATION, datetime.now(UTC), "onecard bench replay")
    issued = started = time.process_time()

    def on_progress(stage: str, steps: int) -> None:
        nonlocal issued
        if stage == CARDS:
            issued = time.process_time()
        if stage in {CARDS, TAPS}:
            advance(steps)

    with (
        tempfile.TemporaryDirectory(prefix="onecard-bench-") as folder,
        create_city(Path(folder) / "city", plan.scheme.name, action) as city,
    ):
        drive(city, keys, plan, LocalEngine(1), on_progress, world=kind)
        ended = time.process_time()
        totals = read_statement(city, plan.settlement_days).totals
    return Driven(issued - started, ended - issued, {name: totals[name] for name in _FIGURES})
