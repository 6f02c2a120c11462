"""Which language the command line speaks: `--lang`, else `ONECARD_LANG`, else the locale.

Decides it before any command is loaded, because help is words too. Leaves the words to whoever says
them.
"""

from collections.abc import Mapping, Sequence

from cardcore.text import Language

OPTION = "--lang"
VARIABLE = "ONECARD_LANG"
#: What says the language of messages, the strongest first (POSIX, Environment Variables, 8.2).
_LOCALES = ("LC_ALL", "LC_MESSAGES", "LANG")


class LanguageUnknownError(Exception):
    """A language was asked for that nothing is said in; `asked` is what, `where` who asked, and
    `otherwise` the one that the locale asks for.
    """

    def __init__(self, where: str, asked: str, otherwise: Language) -> None:
        super().__init__(f"{where} {asked!r}")
        self.where = where
        self.asked = asked
        self.otherwise = otherwise


def choose_language(
    arguments: Sequence[str], environ: Mapping[str, str]
) -> tuple[Language, list[str]]:
    """The language, and the arguments without the option, which may stand anywhere before `--`.

    >>> choose_language(["files", "--lang", "zh", "list"], {})
    (<Language.ZH: 'zh'>, ['files', 'list'])
    >>> choose_language(["verify"], {"LANG": "zh_CN.UTF-8"})[0].value
    'zh'

    Raises `LanguageUnknownError`.
    """
    asked, rest = _take_option(arguments)
    locale = next((environ[name] for name in _LOCALES if environ.get(name)), "")
    otherwise = Language.ZH if locale.lower().startswith("zh") else Language.EN
    if asked is not None:
        return _language(OPTION, asked, otherwise), rest
    if variable := environ.get(VARIABLE):
        return _language(VARIABLE, variable, otherwise), rest
    return otherwise, rest


def _take_option(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    asked: str | None = None
    rest: list[str] = []
    waiting = iter(arguments)
    for each in waiting:
        if each == "--":
            return asked, [*rest, each, *waiting]
        if each == OPTION:
            asked = next(waiting, "")
        elif each.startswith(f"{OPTION}="):
            asked = each.removeprefix(f"{OPTION}=")
        else:
            rest.append(each)
    return asked, rest


def _language(where: str, asked: str, otherwise: Language) -> Language:
    try:
        return Language(asked)
    except ValueError as error:
        raise LanguageUnknownError(where, asked, otherwise) from error
