"""The operator's morning of `docs/clearing.md`, typed as it stands there."""

import re
import shlex
from pathlib import Path

from settlement.city import open_city
from tests.api.cli.office.morning.city import DUTY, make_morning
from tests.api.cli.test_command_line import run
from tests.settlement.rulings.crew import secret_of
from tests.settlement.rulings.no_dead_end.troubled_city import open_items
from tests.settlement.verification.test_verify import check
from tests.support.shared import REPOSITORY

HEADING = "## An operator's morning 清算员的早晨"
#: A command of the page, and what it exits with where that is not 0.
TYPED = re.compile(r"^(onecard [^#\n]+?)\s*(?:# exit (\d))?$", re.MULTILINE)


def typed() -> list[tuple[list[str], int]]:
    page = (REPOSITORY / "docs/clearing.md").read_text(encoding="utf-8")
    section = page.split(HEADING)[1].split("\n## ")[0]
    blocks = "\n".join(re.findall(r"```\n(.*?)```", section, re.DOTALL))
    return [(shlex.split(text)[1:], int(code or 0)) for text, code in TYPED.findall(blocks)]


def test_six_things_that_went_wrong_in_the_night(tmp_path: Path) -> None:
    mail = make_morning(tmp_path)
    secrets = {name: tmp_path / name for name in DUTY}
    for name, path in secrets.items():
        path.write_text(secret_of(name), encoding="utf-8")
        path.chmod(0o600)
    said = []
    for words, exit_code in typed():
        arguments: list[str | Path] = [mail.get(word, word) for word in words]
        if "--by" in words:
            who = words[words.index("--by") + 1]
            if words[0] in {"approvals", "registry"}:
                arguments += ["--secret-file", secrets[who]]
        said.append(run(*arguments, "--data", tmp_path / "city", exit_code=exit_code))
    assert len(said) > 20
    with open_city(tmp_path / "city", to_read=True) as city:
        assert open_items(city) == {}
    found = check(tmp_path / "city")
    assert found.is_sound, found.findings
