"""What is said of a key that comes to be or comes in: options that several commands have.

Decides how they are asked. Leaves what they mean to `hsm_sim.device`.
"""

from datetime import date, datetime
from typing import Annotated

import typer

from cardcore.text import words
from hsm_sim.keys.masters import LEVELS_MAX

ExportableOption = Annotated[
    bool,
    typer.Option(
        "--exportable", help=words("可在传输密钥下导出。", "It may leave under a transport key.")
    ),
]
LevelsOption = Annotated[
    int,
    typer.Option(
        "--levels",
        min=1,
        max=LEVELS_MAX,
        help=words(
            "分散级数：1 为发卡方主密钥，2 为系统主密钥。",
            "Levels from it to a card's key: 1 for an issuer's master, 2 for the scheme's.",
        ),
    ),
]
FirstDayOption = Annotated[
    datetime | None,
    typer.Option(
        "--from", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help=words("首日。", "First day.")
    ),
]
LastDayOption = Annotated[
    datetime | None,
    typer.Option(
        "--until", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help=words("末日。", "Last day.")
    ),
]


def day_of(said: datetime | None) -> date | None:
    """A day as it was said."""
    return None if said is None else said.date()
