"""The command line `onecard`: one file a noun, loaded when it is asked for. See README.

Read it in this order::

    frame/       what stands around every command
    city.py      `onecard city`: makes a city, carries its registry, knows its keys
    registry/    `onecard registry`: dated rows, from a file or one by one
    files.py     `onecard files`
    loads.py     `onecard loads`
    clearing.py  `onecard clear`, `onecard close` and `onecard rebuild`
    proof.py     `onecard verify`
    float_proof.py  `onecard float`
    days.py      `onecard days`
    statements.py  the tables in which `demo`, `replay`, `clear`, `close` and `days` end
    explain.py   `onecard explain`
    taps.py      `onecard replay` and `onecard demo`
    doctor.py    `onecard doctor`
    office/      `onecard people`, `onecard approvals`, `onecard audit`
    bench/       `onecard bench`
    card/        `onecard card`
    hsm/         `onecard hsm`
"""

import gc
import io
import os
import sys
from typing import NoReturn

from api.cli.frame.stopping import hear_stops, was_stopped, what_stands
from api.exits import EXIT_INTERRUPTED, EXIT_USAGE
from api.language import LanguageUnknownError, choose_language
from cardcore.text import Text, shorten, speak

#: Cards, records and rows hold no circles; looking for some after every 700 of them costs a
#: twentieth of a long command.
_OBJECTS_BETWEEN_COLLECTIONS = 100_000


def main() -> None:
    """Entry point: whatever ends a command early is said in a sentence, never as a traceback."""
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, 50, 50)
    try:
        hear_stops()
        sys.exit(_run())
    except KeyboardInterrupt:
        _leave(str(what_stands()), EXIT_INTERRUPTED)
    except Exception:
        # Stopped while modules were loaded, a library says that it cannot be imported.
        if was_stopped():
            _leave(str(what_stands()), EXIT_INTERRUPTED)
        raise


def _run() -> int:
    for stream in (sys.stdout, sys.stderr):
        # A name that is no text, or a terminal without 中文, must not end a command half-way.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        language, arguments = choose_language(sys.argv[1:], os.environ)
    except LanguageUnknownError as error:
        speak(error.otherwise)
        asked = shorten(error.asked) or "–"
        said = Text(
            f"{error.where}：{asked} 不是；只有 zh 与 en",
            f"{error.where}: {asked} is none, there are zh and en",
        )
        _leave(str(said), EXIT_USAGE)
    speak(language)
    # Only now: help is words too, and said as it is loaded.
    from api.cli.frame.faults import run  # noqa: PLC0415

    return run(arguments)


def _leave(message: str, exit_code: int) -> NoReturn:
    sys.stderr.write(f"{message}\n")
    raise SystemExit(exit_code)
