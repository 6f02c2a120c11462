"""A program run in a real terminal of a given width, and a picture of what stood there.

Decides how a pseudo terminal is opened and how its text becomes an SVG. Leaves what is run to
whoever records. Progress goes to standard error, which is no terminal here, so that only what stays
on the screen is in a picture.
"""

import fcntl
import io
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby
from pathlib import Path

from rich.cells import cell_len
from rich.color import Color
from rich.style import Style
from rich.terminal_theme import MONOKAI
from rich.text import Text

_ROWS = 50
#: Pixels: a cell, the space above the first line and around all, the bar with the command in it.
_CELL, _LINE, _EDGE, _BAR = 9.0, 19.0, 12.0, 34.0
_BASELINE = 14.0
#: Whatever fixed-width font the reader has; nothing is fetched.
_FONT = "DejaVu Sans Mono, Menlo, Consolas, Noto Sans Mono CJK SC, Microsoft YaHei, monospace"


def run_in_terminal(
    command: Sequence[str | Path], columns: int, environment: Mapping[str, str], folder: Path
) -> str:
    """What a command prints to a terminal so wide, with its colours; it must end with exit 0."""
    outer, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, columns, 0, 0))
    kept = {
        name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "COLUMNS"}
    }
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=inner,
        stderr=subprocess.PIPE,
        cwd=folder,
        env={**kept, "TERM": "xterm-256color", **environment},
    )
    os.close(inner)
    printed = io.BytesIO()
    try:
        while data := os.read(outer, 65_536):
            printed.write(data)
    except OSError:
        pass  # Linux: the other end is closed
    finally:
        os.close(outer)
    assert child.stderr is not None
    told = child.stderr.read().decode()
    child.stderr.close()
    assert child.wait() == 0, told
    return printed.getvalue().decode().replace("\r\n", "\n")


def screen(text: str, columns: int) -> list[Text]:
    """The lines of a terminal so wide: what is longer is broken where the terminal ends."""
    lines: list[Text] = []
    for printed in text.splitlines():
        rest = Text.from_ansi(printed)
        while True:
            fits = rest.copy()
            fits.truncate(columns, overflow="crop")
            lines.append(fits)
            if len(fits) >= len(rest):
                break
            rest = rest[len(fits) :]
    return lines


def picture(lines: Sequence[Text], columns: int, title: str) -> str:
    """An SVG of a terminal with these lines in it. A text is as long as its cells are, whatever the
    reader's font; one that takes two cells a character stands apart from one that takes one.
    """
    width = columns * _CELL + 2 * _EDGE
    height = _BAR + len(lines) * _LINE + _EDGE
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}">',
        f'<g font-family="{_FONT}" font-size="15">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width:g}" height="{height:g}" rx="8" fill="#0c0c0c"/>',
        f'<text x="{_EDGE:g}" y="22" fill="#98a2b3">$ {escape(title)}</text>',
    ]
    for number, line in enumerate(lines):
        drawn += _drawn(line, _BAR + number * _LINE + _BASELINE)
    return "\n".join([*drawn, "</g>", "</svg>"]) + "\n"


def _drawn(line: Text, y: float) -> list[str]:
    drawn, at, styled = [], 0, _styles(line)
    for (style, cells), together in groupby(
        zip(line.plain, styled, strict=True), key=lambda each: (each[1], cell_len(each[0]))
    ):
        words = "".join(character for character, _ in together)
        length = cell_len(words) if cells else 0
        if words.strip():
            drawn.append(
                f'<text x="{_EDGE + at * _CELL:g}" y="{y:g}" textLength="{length * _CELL:g}" '
                f'lengthAdjust="spacingAndGlyphs"{_looks(style)}>{_kept(words)}</text>'
            )
        at += length
    return drawn


def _kept(words: str) -> str:
    """Spaces are of the text; readers of SVG leave out those at its ends."""
    return escape(words).replace(" ", "\u00a0")


def _styles(line: Text) -> list[Style]:
    """The style of each character."""
    styles = [Style.null()] * len(line)
    for span in line.spans:
        assert isinstance(span.style, Style), span
        for at in range(span.start, min(span.end, len(line))):
            styles[at] += span.style
    return styles


def _looks(style: Style) -> str:
    color = style.color or Color.parse("#d9d9d9")
    red, green, blue = color.get_truecolor(MONOKAI)
    looks = f' fill="#{red:02x}{green:02x}{blue:02x}"'
    looks += ' font-weight="bold"' if style.bold else ""
    return looks + (' opacity="0.6"' if style.dim else "")
