"""The journal: durable, re-opened after any cut, refused when full, never answered differently."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from cardcore.records.kinds import RecordKind
from cardcore.records.record import decode_record
from terminals.errors import JournalDamagedError, JournalError, JournalFullError
from terminals.journal.journal import Journal
from terminals.journal.salvage import SERIAL_MARGIN, salvage
from terminals.journal.upload import plan_batch
from terminals.link.connection import InProcessConnection
from terminals.taps import Fare, TapOutcome
from tests.terminals.equipment import (
    NOON,
    SENDER,
    a_card,
    a_request,
    a_terminal,
    an_open_journal,
    balance,
    load,
    records_of,
)
from tests.terminals.faults import TornConnection, check_money


def _journal_with_small_pages(folder: Path) -> Journal:
    """Small pages make a small log, so that it can be cut at every byte in little time."""
    path = folder / "depot.journal"
    Journal.open(path, sender=SENDER).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA journal_mode = DELETE")
        database.execute("PRAGMA page_size = 512")
    database.execute("VACUUM")
    database.close()
    return Journal.open(path, sender=SENDER)


def _copy_as_after_a_crash(journal_path: Path, folder: Path) -> tuple[bytes, bytes]:
    log = journal_path.with_name(journal_path.name + "-wal")
    folder.mkdir()
    return journal_path.read_bytes(), log.read_bytes()


def test_log_cut_at_every_byte_reopens_with_a_prefix_of_the_steps(tmp_path: Path) -> None:
    with _journal_with_small_pages(tmp_path) as journal:
        card = a_card()
        load(card, journal)
        torn = TornConnection(card, 5, after=True)
        a_terminal("bus", journal).tap(torn, a_request("torn", "bus"), NOON)
        whole = records_of(journal)
        main, log = _copy_as_after_a_crash(tmp_path / "depot.journal", tmp_path / "cut")
    path = tmp_path / "cut" / "depot.journal"
    seen = set()
    for length in range(len(log) + 1):
        path.write_bytes(main)
        path.with_name("depot.journal-wal").write_bytes(log[:length])
        with Journal.open(path, sender=SENDER) as again:
            records = records_of(again)
            taps = [row[0] for row in again.query("SELECT state FROM taps ORDER BY id")]
        assert records == whole[: len(records)]
        seen.add((len(records), tuple(taps)))
    # Nothing, the load's intent, its record, the torn ride's intent: each step whole or absent.
    assert seen == {(0, ()), (0, (1,)), (1, (2,)), (1, (2, 1))}


def _a_busy_journal(folder: Path, rides: int = 12) -> list[bytes]:
    """Loads, rides, a torn tap and a planned file; closed, so that all stands in the main file."""
    with an_open_journal(folder) as journal:
        terminal = a_terminal("bus", journal)
        for number in range(1, rides + 1):
            card = a_card(number)
            load(card, journal, name=f"load {number}")
            terminal.tap(InProcessConnection(card), a_request(f"ride {number}", "bus"), NOON)
        torn = TornConnection(a_card(rides + 1), 5, after=True)
        terminal.tap(torn, a_request("torn", "bus", Fare(0, 0)), NOON)
        plan_batch(journal, key_version=1, now=NOON)
        return records_of(journal)


def test_cut_main_file_is_named_and_salvage_keeps_what_is_readable(tmp_path: Path) -> None:
    whole = _a_busy_journal(tmp_path)
    path, data = tmp_path / "depot.journal", (tmp_path / "depot.journal").read_bytes()
    kept = []
    for length in (*range(0, len(data), 1021), len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(JournalDamagedError):
            Journal.open(path, sender=SENDER)
        assert path.read_bytes() == data[:length]
        target = tmp_path / f"salvaged {length}"
        report = salvage(path, target, sender=SENDER, last_sequence=1)
        with Journal.open(target, sender=SENDER) as journal:
            saved = records_of(journal)
            assert report.records == len(saved)
            assert set(saved) <= set(whole)
        kept.append(len(saved))
    assert kept == sorted(kept)
    assert kept[-1] >= len(whole) // 2


def test_salvage_of_a_whole_file_keeps_every_row_and_goes_on(tmp_path: Path) -> None:
    whole = _a_busy_journal(tmp_path)
    target = tmp_path / "salvaged"
    report = salvage(tmp_path / "depot.journal", target, sender=SENDER, last_sequence=1)
    assert (report.records, report.open_taps, report.pages_unreadable) == (len(whole), 1, 0)
    with Journal.open(target, sender=SENDER) as journal:
        assert records_of(journal) == whole
        card = a_card(1)
        load(card, journal, name="after the salvage")
        highest = max(decode_record(each).terminal_serial for each in whole)
        newest = decode_record(records_of(journal)[-1])
        assert newest.terminal_serial == highest + SERIAL_MARGIN + 1
        assert plan_batch(journal, key_version=1, now=NOON) == 2
    with pytest.raises(JournalError):
        salvage(tmp_path / "depot.journal", target, sender=SENDER, last_sequence=1)


def test_salvage_reads_the_log_up_to_its_last_commit(tmp_path: Path) -> None:
    with an_open_journal(tmp_path) as journal:
        load(a_card(1), journal, name="one")
        main, log = _copy_as_after_a_crash(tmp_path / "depot.journal", tmp_path / "cut")
        whole = records_of(journal)
    path = tmp_path / "cut" / "depot.journal"
    path.write_bytes(b"\xff" * 200 + main[200:])
    path.with_name("depot.journal-wal").write_bytes(log)
    target = tmp_path / "salvaged"
    salvage(path, target, sender=SENDER, last_sequence=0)
    with Journal.open(target, sender=SENDER) as journal:
        assert records_of(journal) == whole


@pytest.mark.parametrize("offset", [0, 17, 101, 4096, 9000, 20_000])
def test_overwritten_main_file_never_gives_a_record_that_was_not_written(
    tmp_path: Path, offset: int
) -> None:
    whole = _a_busy_journal(tmp_path)
    path = tmp_path / "depot.journal"
    data = bytearray(path.read_bytes())
    data[offset : offset + 700] = bytes(byte ^ 0x5A for byte in data[offset : offset + 700])
    path.write_bytes(data)
    target = tmp_path / "salvaged"
    salvage(path, target, sender=SENDER, last_sequence=1)
    with Journal.open(target, sender=SENDER) as journal:
        assert set(records_of(journal)) <= set(whole)


def test_missing_main_file_beside_its_log_is_damage_not_a_new_journal(tmp_path: Path) -> None:
    (tmp_path / "depot.journal-wal").write_bytes(b"left over")
    with pytest.raises(JournalDamagedError):
        an_open_journal(tmp_path)
    assert not (tmp_path / "depot.journal").exists()


def test_creation_cut_off_halfway_is_begun_again(tmp_path: Path) -> None:
    (tmp_path / "depot.journal.new").write_bytes(b"half a file")
    an_open_journal(tmp_path).close()
    assert not (tmp_path / "depot.journal.new").exists()


def test_journal_of_another_collector_or_format_is_refused(tmp_path: Path) -> None:
    an_open_journal(tmp_path).close()
    path = tmp_path / "depot.journal"
    with pytest.raises(JournalError, match="belongs to sender 101, not to 102"):
        Journal.open(path, sender=102)
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 9")
    database.close()
    with pytest.raises(JournalError, match="format 9"):
        an_open_journal(tmp_path)


def _fill_until_full(journal: Journal) -> None:
    """SQLite's own limit of pages gives the very error of a full disk."""
    pages = journal.query("PRAGMA page_count")[0][0]
    journal.query(f"PRAGMA max_page_count = {pages}")


@pytest.mark.parametrize("role", ["bus", "kiosk"])
def test_full_disk_refuses_the_tap_before_the_card_is_debited(tmp_path: Path, role: str) -> None:
    card = a_card()
    with an_open_journal(tmp_path) as journal:
        load(card, journal)
        _fill_until_full(journal)
        terminal, outcomes = a_terminal(role, journal), []
        fare = Fare(1, 1)
        for number in range(200):
            before = balance(card)
            try:
                result = terminal.tap(
                    InProcessConnection(card), a_request(f"{number}", role, fare), NOON
                )
            except JournalFullError:
                # The intent still fitted, the record did not: the card's next visit completes it.
                assert journal.unresolved(terminal.device.terminal).records == 1
                break
            outcomes.append(result.outcome)
            if result.outcome is TapOutcome.JOURNAL_FULL:
                assert balance(card) == before
                assert result.outcome.retry_may_help
                break
        else:
            pytest.fail("the disk was never full")
        journal.query("PRAGMA max_page_count = 1073741823")
        after = terminal.tap(InProcessConnection(card), a_request("after", role, fare), NOON)
        assert after.outcome.done
        check_money(journal, card)


def test_same_request_gives_the_first_answer_without_a_word_to_the_card(tmp_path: Path) -> None:
    card = a_card()
    with an_open_journal(tmp_path) as journal:
        load(card, journal)
        terminal, request = a_terminal("shop", journal), a_request("one", "shop")
        first = terminal.tap(InProcessConnection(card), request, NOON)
        torn = TornConnection(card, 0, after=False)
        assert terminal.tap(torn, request, NOON) == first
        assert torn.count == 0
    with an_open_journal(tmp_path) as journal:
        again = a_terminal("shop", journal).tap(torn, request, NOON)
        assert again == first
        assert balance(card) == 10_000 - 1250


@pytest.mark.parametrize("other", ["fare", "role"])
def test_same_request_with_other_content_is_a_named_conflict(tmp_path: Path, other: str) -> None:
    card = a_card()
    with an_open_journal(tmp_path) as journal:
        load(card, journal)
        a_terminal("shop", journal).tap(InProcessConnection(card), a_request("one", "shop"), NOON)
        before = card.image()
        if other == "fare":
            request = a_request("one", "shop", Fare(1, 1))
            result = a_terminal("shop", journal).tap(InProcessConnection(card), request, NOON)
        else:
            result = a_terminal("bus", journal).tap(
                InProcessConnection(card), a_request("one", "bus"), NOON
            )
        assert result.outcome is TapOutcome.REQUEST_DIFFERS
        assert card.image() == before
        assert len(records_of(journal)) == 2


def test_torn_request_cannot_be_finished_by_another_card(tmp_path: Path) -> None:
    mine, other = a_card(1), a_card(2)
    with an_open_journal(tmp_path) as journal:
        load(mine, journal, name="mine")
        load(other, journal, name="other")
        terminal, request = a_terminal("bus", journal), a_request("torn", "bus")
        terminal.tap(TornConnection(mine, 5, after=True), request, NOON)
        result = terminal.tap(InProcessConnection(other), request, NOON)
        assert result.outcome is TapOutcome.REQUEST_DIFFERS
        assert balance(other) == 10_000
        recovered = terminal.tap(InProcessConnection(mine), request, NOON)
        assert recovered.outcome is TapOutcome.RECOVERED
        check_money(journal, mine, other)


def test_several_terminals_of_one_journal_count_their_own_serials(tmp_path: Path) -> None:
    card = a_card()
    with an_open_journal(tmp_path) as journal:
        load(card, journal)
        for role in ("bus", "shop"):
            for number in range(3):
                request = a_request(f"{role} {number}", role)
                a_terminal(role, journal).tap(InProcessConnection(card), request, NOON)
        records = [decode_record(each) for each in records_of(journal)]
        assert [each.terminal_serial for each in records] == [1, 1, 2, 3, 1, 2, 3]
        assert records[0].kind is RecordKind.LOAD
        check_money(journal, card)


def test_second_process_at_one_journal_waits_and_sees_what_the_first_wrote(tmp_path: Path) -> None:
    card = a_card()
    with an_open_journal(tmp_path) as first, an_open_journal(tmp_path) as second:
        load(card, first)
        result = a_terminal("bus", second).tap(
            InProcessConnection(card), a_request("one", "bus"), NOON
        )
        assert result.outcome is TapOutcome.APPROVED
        assert len(records_of(first)) == 2


def test_closed_journal_is_one_file(tmp_path: Path) -> None:
    _a_busy_journal(tmp_path, rides=1)
    shutil.copy(tmp_path / "depot.journal", tmp_path / "copy")
    with Journal.open(tmp_path / "copy", sender=SENDER) as journal:
        assert len(records_of(journal)) == 2
