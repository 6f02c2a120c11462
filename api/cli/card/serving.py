"""`onecard card serve`: a personalised card in a virtual reader, until Ctrl-C."""

from datetime import datetime
from typing import Annotated

import typer

from api.cli.frame.stopping import standing
from api.exits import EXIT_USAGE
from api.output import complain, refuse, refuse_choice
from api.settings import read_settings
from cardcore.chip.card import Card
from cardcore.issuing.products import SHIPPED
from cardcore.money import yuan
from cardcore.schemes.catalogue import SCHEMES
from cardcore.text import Text, words
from terminals.link.connection import InProcessConnection
from terminals.link.vpcd import SLOT_PORTS, VirtualCard, VirtualReaderMissingError

SCHEME = SCHEMES["demo"]
_TAKEN_OUT = Text(
    "卡已取出，不再保留；再次执行同一命令即放入一张新卡。",
    "The card is out and not kept; the same command puts in a new one.",
)


def serve(
    vpcd: Annotated[
        bool,
        typer.Option(
            "--vpcd",
            help=words(
                "放入 vsmartcard-vpcd 的虚拟读卡器。",
                "Into the virtual reader of vsmartcard-vpcd.",
            ),
        ),
    ] = False,
    product: Annotated[
        str,
        typer.Option(
            help=words(f"卡产品：{'、'.join(SHIPPED)}。", f"Which product: {', '.join(SHIPPED)}.")
        ),
    ] = "citizen",
    balance: Annotated[
        int,
        typer.Option("--balance", min=0, help=words("预先充值，分。", "Fen to load before.")),
    ] = 10_000,
    port: Annotated[
        int,
        typer.Option(
            min=1,
            max=65_535,
            help=words("35963 为槽 0，35964 为槽 1。", "35963 is slot 0, 35964 slot 1."),
        ),
    ] = SLOT_PORTS[0],
) -> None:
    """Ends with the reader (1) or with Ctrl-C (130)."""
    if not vpcd:
        refuse(
            words(
                "没有说放入何处；虚拟读卡器请写 `onecard card serve --vpcd`",
                "nothing says where to; for the virtual reader say `onecard card serve --vpcd`",
            ),
            EXIT_USAGE,
        )
    if product not in SHIPPED:
        refuse_choice("--product", Text("卡产品", "product"), product, SHIPPED)
    card = _loaded_card(product, balance)
    try:
        virtual = VirtualCard(card, card.atr, port)
    except VirtualReaderMissingError as error:
        refuse(str(error))
    with standing(_TAKEN_OUT):
        complain(
            words(
                f"卡产品 {product} 的一张卡已放入虚拟读卡器，余额 {yuan(balance)}。可试 "
                "`onecard card info`；Ctrl-C 取出。",
                f"A card of product {product} with {yuan(balance)} is in the virtual reader. Try "
                "`onecard card info`; Ctrl-C takes it out.",
            ),
            style="",
        )
        virtual.serve()
    refuse(
        words(
            "读卡器已断开；请启动 pcscd 后再执行同一命令",
            "the reader went away; start pcscd and repeat the command",
        )
    )


def _loaded_card(product: str, balance_fen: int) -> Card:
    """A personalised card of that product with so much in its purse."""
    # Keys and a whole card: whoever only reads a dump does not wait for them.
    from api.composition import open_city_keys  # noqa: PLC0415
    from api.simulation.single_card import issue_card, load_card, sample_plan  # noqa: PLC0415

    keys = open_city_keys(read_settings(), SCHEME)
    card = issue_card(keys, sample_plan(SCHEME, product))
    if not balance_fen:
        return card
    # The city's wall clock, as every terminal has it.
    now = datetime.now()  # noqa: DTZ005
    outcome = load_card(InProcessConnection(card), keys, SCHEME, balance_fen, now)
    if not outcome.done:
        why, amount = outcome.text, yuan(balance_fen)
        refuse(
            words(
                f"--balance：卡产品 {product} 不能充入 {amount}：{why.zh}；请写较小的数",
                f"--balance: a card of product {product} cannot take {amount}: {why.en}; name less",
            )
        )
    return card
