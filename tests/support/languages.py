"""Holds what is printed to one language.

Decides what counts as the other one. English text has no Chinese character in it, and no Chinese
punctuation. Chinese text has no English words side by side: names of commands, options, files, keys
and standards may stand in it.
"""

import re
from collections.abc import Iterable

from cardcore.text import Language

#: Ideographs, their punctuation, and full-width forms.
_CHINESE = re.compile("[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]")
#: What is said in no language.
_NAMES = (
    r"\bonecard(?: [a-z][a-z0-9-]*)*",  # a command's path, as the line on usage says it
    r"(?<![\w-])--?[A-Za-z][\w-]*(?:=\S+)?",  # options
    r"[!-_a-~]*[/\\@=|][!-_a-~]*",  # paths, keys, tokens, choices
    r"[!-_a-~]*[0-9A-Za-z][._][0-9A-Za-z][!-_a-~]*",  # files, addresses, names of fields
    r"\b[0-9A-Fa-f-]*\d[0-9A-Fa-f-]*\b",  # ids, hashes, days
    r"\[[A-Z_]+\](?:\.\.\.)?",  # places of arguments
)
#: Commands and names in quotes: taken out before anything else.
_QUOTED = re.compile(r"`[^`\n]*`")
_NAME = re.compile("|".join(_NAMES))
_ENGLISH = re.compile(r"[A-Za-z]*[a-z]{2,}[’']?[ ,;:.]+[a-z]{2,}\b")
_WORD = re.compile(r"\b[A-Za-z][a-z]{2,}\b")


def assert_one_language(text: str, language: Language, names: Iterable[str] = ()) -> None:
    """All of it is in this language. `names` are what comes out of data and is said as it is: names
    of people and operators, lines of files.
    """
    for name in names:
        text = text.replace(name, " ")
    if language is Language.EN:
        found = [line for line in text.splitlines() if _CHINESE.search(line)]
        assert not found, f"Chinese in English: {found}"
        return
    bare = [
        (line, _NAME.sub(" \u2026 ", _QUOTED.sub(" \u2026 ", line))) for line in text.splitlines()
    ]
    found = [line for line, rest in bare if _ENGLISH.search(rest)]
    assert not found, f"English in Chinese: {found}"
    said = any(_WORD.search(rest) for _, rest in bare)
    assert not said or _CHINESE.search(text), f"no word of Chinese: {text!r}"
