"""The first minute with the program, as a terminal shows it: what is kept in `docs/first-minute`.

    python -m tests.api.first_minute.recording docs/first-minute

Decides which commands are shown, at which widths, in which languages. The pictures are made of what
the program really prints; `test_pictures.py` finds any that is no longer so.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rich.text import Text

from cardcore.text import Language
from tests.support.recorded_terminal import picture, run_in_terminal, screen

WIDTHS = (60, 80, 120)
ROOT = Path(__file__).resolve().parents[3]
KEPT = ROOT / "docs" / "first-minute"
#: A torn ride of the demonstration.
_TORN = "000502000001-00000020"
#: Name of the picture, and the command line.
COMMANDS = {
    "demo": ("demo",),
    "verify": ("verify",),
    "explain": ("explain", _TORN),
    "files": ("files", "list"),
}


class Recording(NamedTuple):
    """One picture: its name, and what stood in the terminal."""

    name: str
    lines: list[Text]
    svg: str


def record(
    language: Language, folder: Path, demo_widths: tuple[int, ...] = WIDTHS
) -> Iterator[Recording]:
    """Run the first minute in a city of its own, which stays in `folder`. The demonstration takes
    its time: `demo_widths` says at which widths it is run.
    """
    # Called as people call it, so that it names itself as they do.
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {"ONECARD_LANG": language.value, "PYTHONPATH": str(ROOT), "PATH": programs}
    for name, arguments in COMMANDS.items():
        for columns in demo_widths if name == "demo" else WIDTHS:
            command = ("onecard", *arguments)
            lines = screen(run_in_terminal(command, columns, environment, folder), columns)
            title = " ".join(("onecard", *arguments))
            yield Recording(
                f"{name}.{language.value}.{columns}.svg", lines, picture(lines, columns, title)
            )


def main() -> None:
    """Draw all of them anew."""
    kept = Path(sys.argv[1]) if len(sys.argv) > 1 else KEPT
    kept.mkdir(parents=True, exist_ok=True)
    for language in Language:
        with tempfile.TemporaryDirectory(prefix="onecard-first-minute-") as folder:
            for recording in record(language, Path(folder)):
                (kept / recording.name).write_text(recording.svg, encoding="utf-8")
                sys.stderr.write(f"{recording.name}\n")


if __name__ == "__main__":
    main()
