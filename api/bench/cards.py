"""`onecard bench personalise`: cards made in process, beside the cryptography of it alone.

Decides the figures and their words. Leaves making and measuring to `api.bench.issuing`.
"""

import os
import resource
from typing import Annotated

import typer

from api.bench.issuing import personalise_many
from api.composition import open_city_keys, refuse_real_keys
from api.output import EXIT_USAGE, JsonOption, amount_table, console, print_json, refuse
from api.settings import read_settings
from cardcore.issuing.products import SHIPPED, shipped
from cardcore.schemes.catalogue import SCHEMES


def personalise(
    cards: Annotated[int, typer.Option(min=1, max=100_000, help="Cards to make. 制卡数。")] = 100,
    product: Annotated[str, typer.Option(help="Which product: " + ", ".join(SHIPPED))] = "citizen",
    as_json: JsonOption = False,
) -> None:
    """Cards made over the secure channel in process, beside their cryptography alone. 制卡。"""
    if product not in SHIPPED:
        refuse(f"no product {product!r}; there are {', '.join(SHIPPED)}", EXIT_USAGE)
    keys = open_city_keys(read_settings(), SCHEMES["demo"])
    refuse_real_keys(keys.service)
    figures = personalise_many(cards, shipped(product), SCHEMES["demo"], keys.service, os.urandom)
    document = {
        "records": figures.cards,
        "commands": figures.commands,
        "seconds": round(figures.seconds, 3),
        "records_per_second": round(figures.cards_per_second, 1),
        "cpu_seconds": round(figures.cpu_seconds, 3),
        "baseline_seconds": round(figures.baseline_seconds, 3),
        "ratio": round(figures.ratio, 2),
        "operations": figures.operations,
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    if as_json:
        print_json(document)
        return
    table = amount_table(f"Personalisation 制卡: {product}", "", "")
    for name, value in document.items():
        table.add_row(name, str(value))
    console.print(table)
    console.print(
        "baseline: the ciphers and MACs of both ends, the same operations of as many cards done "
        "bare, by the processor's seconds; ratio: cpu_seconds to them.",
        style="dim",
    )
