"""The command line `onecard`: one file a noun. See `docs/architecture.md` for the commands."""

import warnings

import typer

from api.cli import bench, card, city, clearing, doctor, explain, files, proof, taps
from api.cli.output import EXIT_USAGE, console_error
from api.settings import SettingsRefusedError
from cardcore.keys import InsecureKeyServiceWarning

app = typer.Typer(
    help="onecard 市民卡: cards, terminals, settlement, keys of a city.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(taps.demo)
app.command()(taps.replay)
app.add_typer(files.app, name="files")
app.command()(clearing.clear)
app.command()(clearing.close)
app.command()(explain.explain)
app.command()(proof.verify)
app.add_typer(city.app, name="city")
app.add_typer(card.app, name="card")
app.add_typer(bench.app, name="bench")
app.command()(doctor.doctor)


def main() -> None:
    """Entry point. Settings that must not run end with usage, not with a traceback."""
    # Said once in words; a Python warning with a source line helps nobody at a terminal.
    warnings.simplefilter("ignore", InsecureKeyServiceWarning)
    try:
        app()
    except SettingsRefusedError as error:
        console_error.print(str(error), style="red", highlight=False, markup=False)
        raise SystemExit(EXIT_USAGE) from error
