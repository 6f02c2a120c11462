"""One language at a time: what chooses it, help and mistakes in either, and what help waits for."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from api.cli.frame.faults import run
from api.cli.frame.help import Group
from api.cli.frame.program import app
from api.language import LanguageUnknownError, choose_language
from cardcore.text import Language, spoken
from tests.support.languages import assert_one_language
from tests.support.shared import SHARED, needs_shared

LANGUAGES = list(Language)
#: What no command waits for that only reads a card or shows help.
HEAVY = ("duckdb", "numpy", "sqlalchemy", "hsm_sim", "settlement.city")
#: Measured: 0.1 and 0.3. Three times as much is a library that nobody asked for.
HELP_CPU_SECONDS_MAX = 0.5
PARSE_CPU_SECONDS_MAX = 0.9

_MAIN = "from api.cli import main; main()"
_MEASURED = f"""
import atexit, json, sys, time
atexit.register(lambda: sys.stderr.write(json.dumps(
    [time.process_time(), [each for each in {HEAVY!r} if each in sys.modules]])))
{_MAIN}
"""
#: Help is words, and said as a command is loaded: each language has a process of its own.
_ALL_HELP = """
import contextlib, io, json, sys
from cardcore.text import Language, speak
speak(Language(sys.argv[1]))
from typer.main import get_command
from api.cli.frame.program import app
def walk(command, context, path):
    # What a command prints instead of giving it to us is what people see.
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        given = command.get_help(context)
    told[" ".join(path)] = given + printed.getvalue()
    for name in command.list_commands(context) if hasattr(command, "list_commands") else ():
        below = command.get_command(context, name)
        walk(below, type(context)(below, info_name=name, parent=context), [*path, name])
told = {}
root = get_command(app)
walk(root, root.context_class(root, info_name="onecard"), [])
print(json.dumps(told))
"""


def child(*arguments: str, code: str = _MAIN, **environ: str) -> subprocess.CompletedProcess[str]:
    """A command line in a process of its own, with no more of our environment than it needs."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[3],
        env={"PATH": "/usr/bin:/bin", "PYTHONUTF8": "1", **environ},
    )


@pytest.mark.parametrize(
    ("arguments", "environ", "expected", "rest"),
    [
        (["verify"], {}, "en", ["verify"]),
        (["--lang", "zh", "verify"], {}, "zh", ["verify"]),
        (["files", "--lang=zh", "list"], {}, "zh", ["files", "list"]),
        (["files", "list", "--lang", "zh"], {}, "zh", ["files", "list"]),
        (["verify", "--lang", "en"], {"ONECARD_LANG": "zh"}, "en", ["verify"]),
        (["verify"], {"ONECARD_LANG": "zh", "LANG": "en_GB.UTF-8"}, "zh", ["verify"]),
        (["verify"], {"ONECARD_LANG": "", "LANG": "zh_CN.UTF-8"}, "zh", ["verify"]),
        (["verify"], {"LC_ALL": "C", "LANG": "zh_CN.UTF-8"}, "en", ["verify"]),
        (["verify"], {"LC_MESSAGES": "zh_TW", "LANG": "de_DE"}, "zh", ["verify"]),
        (["files", "add", "--", "--lang", "zh"], {}, "en", ["files", "add", "--", "--lang", "zh"]),
        (["--lang", "zh", "--lang", "en"], {}, "en", []),
    ],
)
def test_the_option_is_stronger_than_the_variable_and_that_than_the_locale(
    arguments: list[str], environ: dict[str, str], expected: str, rest: list[str]
) -> None:
    assert choose_language(arguments, environ) == (Language(expected), rest)


@pytest.mark.parametrize(
    ("arguments", "environ"),
    [(["--lang", "fr"], {}), (["--lang"], {}), (["verify"], {"ONECARD_LANG": "de"})],
)
def test_a_language_that_nothing_is_said_in_is_refused(
    arguments: list[str], environ: dict[str, str]
) -> None:
    with pytest.raises(LanguageUnknownError):
        choose_language(arguments, environ)
    ended = child(*arguments, **environ)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "there are zh and en" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    # Said in the language that the locale asks for.
    ended = child(*arguments, **environ, LC_ALL="zh_CN.UTF-8")
    assert "只有 zh 与 en" in ended.stderr
    assert "there are" not in ended.stderr


def test_the_option_may_stand_anywhere_and_the_variable_does_the_same() -> None:
    said = {
        child(*words, **environ).stdout
        for words, environ in (
            (("--lang", "zh", "files", "--help"), {}),
            (("files", "--lang=zh", "--help"), {}),
            (("files", "--help", "--lang", "zh"), {}),
            (("files", "--help"), {"ONECARD_LANG": "zh"}),
            (("files", "--help"), {"LANG": "zh_CN.UTF-8"}),
        )
    }
    assert len(said) == 1
    assert_one_language(said.pop(), Language.ZH)


def test_the_version_is_the_same_in_both(language: Language) -> None:
    ended = child("--version", "--lang", language)
    assert ended.returncode == 0
    assert ended.stdout.startswith("onecard ")
    assert len(ended.stdout.split()) == 2
    assert_one_language(ended.stdout, language)


def lazy_commands() -> list[str]:
    """Every command and noun that stands behind `onecard`."""
    root = get_command(app)
    assert isinstance(root, Group)
    return root.list_commands(root.context_class(root))


@pytest.fixture(scope="module")
def all_help() -> dict[Language, dict[str, str]]:
    told = {}
    for each in LANGUAGES:
        ended = child(each, code=_ALL_HELP)
        assert ended.returncode == 0, ended.stderr
        told[each] = json.loads(ended.stdout)
    return told


@pytest.mark.parametrize("noun", ["", *lazy_commands()])
def test_every_command_is_explained_in_one_language(
    language: Language, all_help: dict[Language, dict[str, str]], noun: str
) -> None:
    told = {
        path: each for path, each in all_help[language].items() if path.split()[:1] == noun.split()
    }
    assert told
    for path, text in told.items():
        assert text, path
        assert_one_language(text, language)


def test_help_names_the_same_in_both_languages(all_help: dict[Language, dict[str, str]]) -> None:
    assert all_help[Language.ZH].keys() == all_help[Language.EN].keys()
    for path, text in all_help[Language.ZH].items():
        other = all_help[Language.EN][path].splitlines()
        options = [line.split()[0] for line in text.splitlines() if line.startswith("  -")]
        assert options == [line.split()[0] for line in other if line.startswith("  -")], path


def test_no_line_of_help_is_cut_and_none_is_wider_than_the_terminal(
    all_help: dict[Language, dict[str, str]],
) -> None:
    from rich.cells import cell_len

    for told in all_help.values():
        for path, text in told.items():
            assert "..." not in re.sub(r"([A-Z]+|\])\.\.\.", "", text), path
            assert max(map(cell_len, text.splitlines())) <= 80, path


MISTAKES = [
    (["nope"], "没有命令 nope", "there is no command nope"),
    (["hsm", "seve"], "没有命令 seve，是否指 serve", "no command seve; did you mean serve"),
    (["hsm", "--"], "缺少命令", "a command is missing"),
    (["hsm", "serve", "--tsl", "x"], "没有选项 --tsl，是否指", "no option --tsl; did you mean"),
    (["hsm", "keys", "-x"], "没有选项 -x", "there is no option -x"),
    (["--nope"], "没有选项 --nope", "there is no option --nope"),
    (["hsm", "rotate", "tac/a", "--on"], "--on 后须有值 YYYY-MM-DD", "--on needs a value YYYY-MM-DD"),
    (["hsm", "keys", "--json=1"], "--json 不带值", "--json takes no value"),
    (["hsm", "ceremony", "load"], "缺少参数 KEY", "argument KEY is missing"),
    (["hsm", "export", "tac/a/v1", "--under", "x"], "缺少选项 --out", "option --out is missing"),
    (["hsm", "ceremony", "component", "--out", "x"], "缺少选项 --usage：purchase、load、",
     "option --usage is missing: one of purchase, load, "),
    (["hsm", "keys", "one", "two"], "多出的参数：one two", "more arguments than it takes: one two"),
    (["hsm", "serve", "--workers", "99"], "--workers：99 不是 1 至 64 的整数",
     "--workers: 99 is not a whole number that is 1 to 64"),
    (["hsm", "serve", "--workers", "two"], "--workers：two 不是 1 至 64 的整数",
     "--workers: two is not a whole number that is 1 to 64"),
    (["hsm", "rotate", "tac/a", "--overlap-days", "-1"], "-1 不是至少 0 的整数",
     "-1 is not a whole number that is at least 0"),
    (["hsm", "ceremony", "validity", "tac/a/v1", "--from", "soon"],
     "--from：soon 不是日期 YYYY-MM-DD", "--from: soon is not a date YYYY-MM-DD"),
    (["hsm", "ceremony", "component", "--usage", "sun", "--out", "x"],
     "--usage：sun 不是 purchase、load、", "--usage: sun is none of purchase, load, "),
]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "zh", "en"), MISTAKES, ids=[" ".join(each[0]) for each in MISTAKES]
)
def test_a_mistake_says_what_where_and_what_to_do(
    language: Language,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    zh: str,
    en: str,
) -> None:
    assert run(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert (zh if language is Language.ZH else en) in said.err
    assert "--help`" in said.err
    assert len(said.err.splitlines()) == 1
    typed = [word for each in arguments for word in each.split("=") if not word.startswith("-")]
    assert_one_language(said.err, language, [" ".join(typed[-2:]), *typed])


@pytest.mark.parametrize("place", ["command", "option", "value", "argument"])
def test_a_mistake_repeats_at_most_a_line_of_what_was_typed(
    language: Language, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    typed = "x" * 10_000 + "\x1b[31m\nmore"
    arguments = {
        "command": ["hsm", typed],
        "option": ["hsm", "keys", f"--{typed}"],
        "value": ["hsm", "serve", "--workers", typed],
        "argument": ["hsm", "keys", typed],
    }[place]
    assert run(arguments) == 2
    said = capsys.readouterr().err
    assert len(said) < 300
    assert "\x1b" not in said
    assert len(said.splitlines()) == 1
    assert_one_language(said, language)


def test_a_noun_alone_shows_its_help(
    language: Language, capsys: pytest.CaptureFixture[str]
) -> None:
    del language
    assert run(["hsm"]) == 2
    assert "ceremony" in capsys.readouterr().err


def test_help_waits_for_no_database() -> None:
    ended = child("--help", code=_MEASURED)
    assert ended.returncode == 0
    seconds, loaded = json.loads(ended.stderr)
    assert loaded == []
    assert seconds < HELP_CPU_SECONDS_MAX


@needs_shared
def test_a_dump_is_parsed_without_a_database_or_a_key() -> None:
    ended = child("card", "parse", str(SHARED / "cases" / "card_dual.json"), code=_MEASURED)
    assert ended.returncode == 0
    seconds, loaded = json.loads(ended.stderr.splitlines()[-1])
    assert loaded == []
    assert seconds < PARSE_CPU_SECONDS_MAX


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_name_between_colons_is_shown_as_it_was_typed(
    language: Language, capsys: pytest.CaptureFixture[str]
) -> None:
    with spoken(language):
        run(["card", "parse", "a:smile:b.json"])
    assert "a:smile:b.json" in capsys.readouterr().err


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_wrong_path_is_not_said_to_be_a_full_disk(
    language: Language, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = tmp_path / "plain"
    plain.write_text("no folder")
    with spoken(language):
        assert run(["files", "list", "--data", str(plain)]) == 1
    said = capsys.readouterr().err
    assert "`ls`" in said
    assert "disk" not in said
    assert "磁盘" not in said
