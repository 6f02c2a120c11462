"""Batch files: planned once, the same bytes for ever, sent until they are settled."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from cardcore.records.batch import DeviceRegister, decode_batch
from terminals.journal import upload
from terminals.journal.upload import (
    batch_name,
    batches,
    build_batch,
    pending_batches,
    plan_batch,
    store_answer,
    write_batch,
)
from terminals.link.connection import InProcessConnection
from tests.terminals.equipment import (
    KEYS,
    NOON,
    SENDER,
    SIGNING,
    a_card,
    a_request,
    a_terminal,
    an_open_journal,
    load,
    records_of,
    rides,
    sign,
)
from tests.terminals.faults import TornConnection, run_and_kill


def test_file_carries_the_records_and_the_registers_as_they_stood_after_it(tmp_path: Path) -> None:
    card = a_card()
    with an_open_journal(tmp_path) as journal:
        load(card, journal)
        bus = a_terminal("bus", journal)
        for number in range(3):
            bus.tap(InProcessConnection(card), a_request(f"{number}", "bus"), NOON)
        bus.tap(TornConnection(card, 5, after=True), a_request("torn", "bus"), NOON)
        assert plan_batch(journal, key_version=1, now=NOON) == 1
        data = build_batch(journal, 1, sign)
        batch = decode_batch(data, KEYS.public_key(SIGNING))
        assert batch.records == b"".join(records_of(journal))
        assert (batch.header.sender, batch.header.sequence) == (SENDER, 1)
        assert batch.header.business_day == NOON.date()
        assert batch.registers == (
            DeviceRegister("584000000001", 1, 3, 3, 480, 0, 1, 160),
            DeviceRegister("584000000005", 1, 1, 1, 0, 10_000, 0, 0),
        )
        bus.tap(InProcessConnection(card), a_request("torn", "bus"), NOON)
        assert plan_batch(journal, key_version=1, now=NOON) == 2
        second = decode_batch(build_batch(journal, 2, sign), KEYS.public_key(SIGNING))
        assert second.registers == (DeviceRegister("584000000001", 4, 4, 4, 640, 0, 0, 0),)


def test_same_sequence_is_the_same_bytes_whatever_happened_since(tmp_path: Path) -> None:
    with an_open_journal(tmp_path) as journal:
        rides(journal, 1, 3)
        plan_batch(journal, key_version=1, now=NOON)
        first = build_batch(journal, 1, sign)
        rides(journal, 4, 3)
        plan_batch(journal, key_version=1, now=NOON + timedelta(days=1))
        store_answer(journal, 1, {"answer": "TRUNCATED"}, settled=False)
    with an_open_journal(tmp_path) as journal:
        assert build_batch(journal, 1, sign) == first
        assert build_batch(journal, 2, sign) != first
        with pytest.raises(KeyError):
            build_batch(journal, 3, sign)


def test_nothing_to_send_plans_nothing(tmp_path: Path) -> None:
    with an_open_journal(tmp_path) as journal:
        assert plan_batch(journal, key_version=1, now=NOON) is None
        rides(journal, 1, 1)
        assert plan_batch(journal, key_version=1, now=NOON) == 1
        assert plan_batch(journal, key_version=1, now=NOON) is None


def test_long_backlog_is_cut_into_files_whose_registers_follow_one_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "RECORDS_MAX", 4)
    with an_open_journal(tmp_path) as journal:
        rides(journal, 1, 10)
        planned = [plan_batch(journal, key_version=1, now=NOON) for _ in range(4)]
        assert planned == [1, 2, 3, None]
        registers = [
            decode_batch(build_batch(journal, number, sign), KEYS.public_key(SIGNING)).registers[0]
            for number in (1, 2, 3)
        ]
    serials = [(each.first_serial, each.last_serial) for each in registers]
    assert serials == [(1, 4), (5, 8), (9, 10)]
    assert [each.lifetime_records for each in registers] == [4, 8, 10]


def test_file_stays_pending_until_an_answer_settles_it_and_then_keeps_that_answer(
    tmp_path: Path,
) -> None:
    with an_open_journal(tmp_path) as journal:
        rides(journal, 1, 1)
        plan_batch(journal, key_version=1, now=NOON)
        assert [batch.sequence for batch in pending_batches(journal)] == [1]
        store_answer(journal, 1, {"answer": "TRUNCATED"}, settled=False)
        assert pending_batches(journal)[0].answer == {"answer": "TRUNCATED"}
        store_answer(journal, 1, {"answer": "ACCEPTED", "说明": "已收妥"}, settled=True)
        store_answer(journal, 1, {"answer": "ALREADY_RECEIVED"}, settled=True)
        assert pending_batches(journal) == ()
        assert batches(journal)[0].answer == {"answer": "ACCEPTED", "说明": "已收妥"}


def test_outbox_holds_whole_files_only(tmp_path: Path) -> None:
    outbox = tmp_path / "outbox"
    outbox.mkdir()
    with an_open_journal(tmp_path) as journal:
        rides(journal, 1, 2)
        plan_batch(journal, key_version=1, now=NOON)
        path = write_batch(journal, 1, sign, outbox)
        again = write_batch(journal, 1, sign, outbox)
        assert path == again == outbox / batch_name(SENDER, 1)
        assert [each.name for each in outbox.iterdir()] == [path.name]
        assert path.read_bytes() == build_batch(journal, 1, sign)


@pytest.mark.parametrize(
    "step",
    [
        *(f"batch {part}" for part in ("before", "written", "durable")),
        *("outbox written", "outbox durable"),
        *(f"answer {part}" for part in ("before", "written", "durable")),
    ],
)
def test_kill_at_an_upload_step_changes_no_byte_of_the_file(tmp_path: Path, step: str) -> None:
    outbox = tmp_path / "outbox"
    outbox.mkdir()
    with an_open_journal(tmp_path) as journal:
        rides(journal, 1, 3)

    def send(hear: Callable[[str], None] | None) -> None:
        with an_open_journal(tmp_path, hear) as journal:
            plan_batch(journal, key_version=1, now=NOON)
            for batch in pending_batches(journal):
                write_batch(journal, batch.sequence, sign, outbox)
                store_answer(journal, batch.sequence, {"answer": "ACCEPTED"}, settled=True)

    assert run_and_kill(send, step)
    send(None)
    with an_open_journal(tmp_path) as journal:
        assert [(each.sequence, each.records, each.settled) for each in batches(journal)] == [
            (1, 3, True)
        ]
        data = (outbox / batch_name(SENDER, 1)).read_bytes()
        assert data == build_batch(journal, 1, sign)
        assert decode_batch(data, KEYS.public_key(SIGNING)).records == b"".join(records_of(journal))
