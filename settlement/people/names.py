"""Names of people: each is read as one name only, and by whoever reads it as the same (pure).

Decides which characters a name has, and which names are the same to whoever reads them. Leaves who
is called so already to the audit log.
"""

import unicodedata
from bisect import bisect_right
from collections.abc import Sequence

from cardcore.text import Text, shorten
from settlement.people.actions import Actor, ActorError

#: Unicode, DerivedCoreProperties.txt: Default_Ignorable_Code_Point, first and last of each range.
#: They may stand in a name and are not to be seen there.
_IGNORABLE: Sequence[tuple[int, int]] = (
    (0x00AD, 0x00AD), (0x034F, 0x034F), (0x061C, 0x061C), (0x115F, 0x1160), (0x17B4, 0x17B5),
    (0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164),
    (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip
_FIRSTS = [first for first, _ in _IGNORABLE]
#: Letters that look alike across them: a word is written in one of them.
_SCRIPTS = ("LATIN", "CYRILLIC", "GREEK")
#: Letters, marks, numbers and punctuation; of what is no letter, nothing that shows as a blank.
_CATEGORIES = frozenset("LMNP")


def fold_name(name: str) -> str:
    """What two names have in common that are read as the same: compatibility forms and the case of
    letters aside.

    >>> fold_name("ＤＡＮ") == fold_name("dan")
    True
    """
    once = unicodedata.normalize("NFKC", name).casefold()
    return unicodedata.normalize("NFKC", once).casefold()


def check_person_name(name: str) -> None:
    """Raises `ActorError` for a name that a person cannot have.

    >>> check_person_name("李雷")
    >>> check_person_name("dan" + chr(0x3164))
    Traceback (most recent call last):
    settlement.people.actions.ActorError: a name has no U+3164
    """
    Actor(name)
    hidden = [each for each in name if not _is_seen(each)]
    if hidden:
        codes = " ".join(f"U+{ord(each):04X}" for each in hidden[:3])
        raise ActorError(
            Text(
                f"姓名中不得有 {codes}",
                f"a name has no {codes}",
            )
        )
    for word in unicodedata.normalize("NFKC", name).split():
        if len({script for each in word for script in _SCRIPTS if _is_of(each, script)}) > 1:
            said = shorten(word)
            raise ActorError(
                Text(
                    f"{said} 在一词中混用两种字母",
                    f"{said} mixes letters of two scripts in one word",
                )
            )


def _is_seen(character: str) -> bool:
    if character == " ":
        return True
    at = bisect_right(_FIRSTS, ord(character)) - 1
    is_ignorable = at >= 0 and ord(character) <= _IGNORABLE[at][1]
    return not is_ignorable and unicodedata.category(character)[0] in _CATEGORIES


def _is_of(character: str, script: str) -> bool:
    return unicodedata.name(character, "").startswith(f"{script} ")
