"""The first minute in both languages, at three widths: kept pictures are what is printed."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rich.cells import cell_len

from cardcore.schemes.catalogue import SCHEMES
from cardcore.text import Language
from tests.api.first_minute.recording import COMMANDS, KEPT, WIDTHS, record
from tests.support.languages import assert_one_language

#: Cards throw true dice, so random numbers, cryptograms, hashes and seals are others each time.
_THROWN = re.compile(r"(?:[0-9A-Z]{4}-){5}[0-9A-Z]{4}|[0-9A-Fa-f]{8,}")
_TEXT = "{http://www.w3.org/2000/svg}text"


@pytest.mark.parametrize("language", Language)
def test_the_kept_pictures_are_what_the_program_prints(language: Language, tmp_path: Path) -> None:
    names = {each.name for each in SCHEMES["demo"].participants}
    for recording in record(language, tmp_path, demo_widths=(80,)):
        kept = (KEPT / recording.name).read_text(encoding="utf-8")
        assert _said(kept) == _said(recording.svg), (
            f"{recording.name} is no longer what is printed: make pictures"
        )
        text = "\n".join(line.plain for line in recording.lines)
        assert_one_language(text, language, names)


@pytest.mark.parametrize("path", sorted(KEPT.glob("*.svg")), ids=lambda path: path.name)
def test_no_line_of_a_picture_leaves_its_terminal(path: Path) -> None:
    columns = int(path.stem.rsplit(".", 1)[1])
    texts = list(ET.parse(path).iter(_TEXT))[1:]
    assert texts
    for text in texts:
        at = round((float(text.attrib["x"]) - 12) / 9)
        assert text.text
        assert at + cell_len(text.text) <= columns, text.text


def test_every_command_has_a_picture_in_each_language_and_width() -> None:
    wanted = {
        f"{name}.{language.value}.{columns}.svg"
        for name in COMMANDS
        for language in Language
        for columns in WIDTHS
    }
    assert {path.name for path in KEPT.glob("*.svg")} == wanted


def _said(svg: str) -> str:
    """All that is said in a picture, without spaces, since what is long goes on in a next line."""
    said = "".join(text.text or "" for text in ET.fromstring(svg).iter(_TEXT))
    return _THROWN.sub("…", "".join(said.split()))
