"""Lines of a width: where words may go on in a next line, and how wide they are on a terminal.

Decides that a figure, a date or a name is never cut. Loaded by help as well, so by itself: nothing
here waits for what draws tables.
"""

from collections.abc import Iterable

from rich.cells import cell_len

_NO_LINE_BEGINS_WITH = "，。；：、）？！"
_NO_LINE_ENDS_WITH = "（(["


def wrap(text: str, width: int) -> list[str]:
    """Words on lines of a width; between Chinese characters a line may end anywhere.

    >>> wrap("a line that is long", 11)
    ['a line that', 'is long']
    >>> wrap("two  spaces", 4)
    ['two', 'spaces']
    >>> wrap("密钥名称、状态", 8)
    ['密钥名', '称、状态']
    >>> wrap("密钥名（状态）", 8)
    ['密钥名', '（状态）']
    """
    lines, line = [], ""
    for word in _breakable(text):
        if cell_len(line + word.rstrip()) > width and line:
            lines.append(line.rstrip())
            line = ""
        line += word if line or not lines else word.lstrip()
    return [*lines, line.rstrip()]


def _breakable(text: str) -> Iterable[str]:
    """Pieces behind which a line may end."""
    piece = ""
    for each in text:
        if piece and piece[-1] in _NO_LINE_BEGINS_WITH and each not in f"{_NO_LINE_BEGINS_WITH} ":
            yield piece
            piece = ""
        if cell_len(each) == 2 and each not in _NO_LINE_BEGINS_WITH:
            if piece and piece[-1] in _NO_LINE_ENDS_WITH:
                piece += each
                continue
            if piece:
                yield piece
            piece = each
        elif each == " ":
            yield piece + each
            piece = ""
        else:
            piece += each
    if piece:
        yield piece
