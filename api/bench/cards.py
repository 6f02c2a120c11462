"""`onecard bench personalise`: cards made in process, beside the cryptography of it alone.

Decides the figures and their words. Leaves making and measuring to `api.bench.issuing`.
"""

import os
import resource
from typing import Annotated

import typer

from api.bench.figures import show_figures
from api.bench.issuing import personalise_many
from api.composition import open_city_keys, refuse_real_keys
from api.output import JsonOption, print_json, refuse_choice, say
from api.settings import read_settings
from cardcore.issuing.products import SHIPPED, shipped
from cardcore.schemes.catalogue import SCHEMES
from cardcore.text import Text, words


def personalise(
    cards: Annotated[
        int, typer.Option(min=1, max=100_000, help=words("制卡数。", "Cards to make."))
    ] = 100,
    product: Annotated[
        str,
        typer.Option(
            help=words(f"卡产品：{'、'.join(SHIPPED)}。", f"Which product: {', '.join(SHIPPED)}.")
        ),
    ] = "citizen",
    as_json: JsonOption = False,
) -> None:
    """What a card costs beyond its cryptography is what the ratio says."""
    if product not in SHIPPED:
        refuse_choice("--product", Text("卡产品", "product"), product, SHIPPED)
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
    show_figures(Text(f"制卡：{product}", f"Personalisation: {product}"), document)
    say(
        words(
            "基准：两端的加解密、MAC 与摘要，同样多张卡的同样运算单独执行，按 CPU 秒计；比：CPU 秒"
            "与之相比。",
            "baseline: the ciphers, MACs and digests of both ends, the same operations of as many "
            "cards done bare, by the processor's seconds; ratio: CPU seconds to them.",
        ),
        style="dim",
    )
