"""`onecard bench`: the budgets, each figure beside its baseline from the same run."""

import typer

from api.bench.cards import personalise
from api.bench.replay import replay
from api.bench.shapes import shapes
from api.bench.tac import tac
from api.bench.tap import tap

app = typer.Typer(help="Measure against the budgets. 性能测量。", no_args_is_help=True)
for command in (tac, tap, personalise, replay, shapes):
    app.command()(command)
