"""What a terminal says is durable is on the disk: the journal by its settings at the moment of each
commit, a new journal and the outbox by a model of a disk that forgets what was not synced.
"""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from terminals.journal.journal import Journal
from terminals.journal.upload import batch_name, plan_batch, write_batch
from terminals.link.connection import InProcessConnection
from tests.support.forgetful_disk import ForgetfulDisk
from tests.terminals.equipment import (
    NOON,
    SENDER,
    a_card,
    a_request,
    a_terminal,
    an_open_journal,
    load,
    rides,
    sign,
)

FULL = 2


class Asking(sqlite3.Connection):
    """A connection that tells how durable each commit is going to be."""

    levels: list[int] = []  # noqa: RUF012 - of all connections, cleared by the test

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:  # noqa: ANN401
        if sql == "COMMIT":
            self.levels.append(super().execute("PRAGMA synchronous").fetchone()[0])
        return super().execute(sql, *parameters)


def test_every_commit_of_a_journal_is_forced_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = sqlite3.connect
    Asking.levels.clear()
    monkeypatch.setattr(
        sqlite3, "connect", lambda *given, **named: connect(*given, **named, factory=Asking)
    )
    steps: list[str] = []
    with an_open_journal(tmp_path, steps.append) as journal:
        card = a_card()
        load(card, journal)
        a_terminal("bus", journal).tap(InProcessConnection(card), a_request("ride", "bus"), NOON)
        plan_batch(journal, key_version=1, now=NOON)
    durable = [step for step in steps if step.endswith(" durable")]
    assert {"intent durable", "record durable", "batch durable"} <= set(durable)
    # Beside the steps there are the new journal itself, and the load host's log.
    assert len(Asking.levels) > len(durable)
    assert min(Asking.levels) >= FULL


def test_a_step_that_is_not_forced_leaves_the_next_one_forced(tmp_path: Path) -> None:
    with an_open_journal(tmp_path) as journal:
        for force in (True, False, True, False):
            with journal.transaction("step", force=force) as database:
                level = database.execute("PRAGMA synchronous").fetchone()[0]
            assert (level >= FULL) is force


def test_a_new_journal_is_on_the_disk_under_its_name(tmp_path: Path) -> None:
    with ForgetfulDisk.under(tmp_path) as disk, an_open_journal(tmp_path):
        assert "depot.journal" in disk.after_a_cut()
        assert "depot.journal.new" not in disk.after_a_cut()


def test_a_file_in_the_outbox_is_on_the_disk_at_every_step_that_says_so(tmp_path: Path) -> None:
    outbox = tmp_path / "outbox"
    outbox.mkdir()
    with an_open_journal(tmp_path) as journal:
        rides(journal, 1, 2)
        sequence = plan_batch(journal, key_version=1, now=NOON)
    assert sequence is not None
    name = batch_name(SENDER, sequence)
    heard: list[str] = []
    with ForgetfulDisk.under(outbox) as disk:

        def on_step(step: str) -> None:
            heard.append(step)
            if step == "outbox written":
                # Renamed before its bytes are there, a cut would leave an empty file in its place.
                fresh = (outbox / name).with_suffix(".part")
                assert disk.content(fresh) == fresh.read_bytes()
            if step == "outbox durable":
                assert disk.forgotten() == []

        with Journal.open(tmp_path / "depot.journal", sender=SENDER, on_step=on_step) as journal:
            path = write_batch(journal, sequence, sign, outbox)
        assert disk.after_a_cut() == {name: path.read_bytes()}
    assert heard[-2:] == ["outbox written", "outbox durable"]
