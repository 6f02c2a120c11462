"""What the office answers to a file of the load host's log; a refused one changes nothing."""

import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardcore.records.load_log import ENTRY_BYTES, HEADER
from settlement.city import City
from settlement.intake.answers import FileAnswer
from settlement.registry.book import Dated
from settlement.registry.decide import Decided
from settlement.registry.rows import LoadHostRow
from settlement.service.receive import receive_file
from settlement.service.registering import end_row
from settlement.store.files import load_refusals
from settlement.store.load_logs import (
    load_allowed,
    load_allowed_of_cards,
    load_load_logs,
    load_reach,
)
from tests.settlement.device_files import ACTION, DAY, NOW, key_service, make_office
from tests.settlement.intake.test_intake import disk
from tests.settlement.job_process import finish, start_clerk
from tests.settlement.load_logs import ISSUER, STRANGERS_SECRET, Host, register_host

KEYS = key_service()


@pytest.fixture
def office(tmp_path: Path) -> Iterator[City]:
    with make_office(tmp_path / "city") as city:
        register_host(city)
        yield city


def answer_of(city: City, data: bytes) -> FileAnswer:
    return receive_file(city, data, KEYS, NOW).answer


def a_log(count: int = 3) -> Host:
    host = Host()
    for number in range(1, count + 1):
        host.allow(card_number=f"{number:020}", amount_fen=number * 1000)
    return host


def kept(city: City) -> object:
    return disk(city), load_load_logs(city.database), load_allowed(city.database, DAY, DAY)


def test_a_whole_log_is_accepted_and_its_entries_stand_as_the_host_wrote_them(
    office: City,
) -> None:
    host = a_log()
    data = host.file()
    answer = receive_file(office, data, KEYS, NOW)
    assert (answer.answer, answer.record_count, answer.load_fen) == (FileAnswer.ACCEPTED, 3, 6000)
    assert office.load_log_path(answer.content_hash).read_bytes() == data
    logged = load_allowed(office.database, DAY, DAY)
    assert [each.load for each in logged] == host.loads
    assert {(each.issuer, each.logged_on) for each in logged} == {(ISSUER, DAY)}
    (found,) = load_allowed_of_cards(office.database, [f"{2:020}"])
    assert found.load == host.loads[1]
    ((file, row_hash),) = load_load_logs(office.database)
    assert file.row_hash == row_hash


def test_the_same_file_again_gets_the_first_answer_and_changes_nothing(office: City) -> None:
    data = a_log().file()
    first = receive_file(office, data, KEYS, NOW)
    before = kept(office)
    again = receive_file(office, data, KEYS, NOW + timedelta(days=3))
    assert (again.answer, again.first_answer) == (FileAnswer.ALREADY_RECEIVED, first.answer)
    assert (again.received_at, again.record_count) == (first.received_at, 3)
    assert kept(office) == before


def test_a_log_with_a_hole_waits_and_nothing_is_read_behind_it(office: City) -> None:
    host = a_log(9)
    late = receive_file(office, host.file_of(6, 9), KEYS, NOW)
    assert (late.answer, late.missing) == (FileAnswer.WAITING_FOR_GAP, ((1, 6),))
    assert load_allowed(office.database, DAY, DAY) == ()
    assert answer_of(office, host.file_of(0, 2)) is FileAnswer.ACCEPTED
    (reach,) = load_reach(office.database)
    assert (reach.last_number, reach.missing) == (2, ((3, 6),))
    assert len(load_allowed(office.database, DAY, DAY)) == 2
    assert load_allowed_of_cards(office.database, [f"{8:020}"]) == ()
    assert answer_of(office, host.file_of(2, 6)) is FileAnswer.ACCEPTED
    assert [each.load for each in load_allowed(office.database, DAY, DAY)] == host.loads


def test_other_entries_under_numbers_that_are_kept_are_a_conflict_and_an_alarm(
    office: City,
) -> None:
    assert answer_of(office, a_log(3).file_of(0, 3)) is FileAnswer.ACCEPTED
    before = kept(office)
    for first, end in ((0, 3), (2, 4), (0, 5)):
        host = Host()
        for number in range(5):
            host.allow(card_number=f"{77 + number:020}")
        answer = receive_file(office, host.file_of(first, end), KEYS, NOW)
        assert (answer.answer, answer.answer.is_alarm) == (FileAnswer.SEQUENCE_CONFLICT, True)
    assert kept(office) == before
    assert len(load_refusals(office.database)) == 3


def test_a_log_that_does_not_follow_what_is_kept_is_forked_and_an_alarm(office: City) -> None:
    true, other = a_log(6), Host()
    for number in range(6):
        other.allow(card_number=f"{50 + number:020}")
    for kept_part, offered in (((0, 2), (2, 6)), ((4, 6), (2, 4))):
        assert answer_of(office, true.file_of(*kept_part)).is_kept
        answer = receive_file(office, other.file_of(*offered), KEYS, NOW)
        assert (answer.answer, answer.answer.is_alarm) == (FileAnswer.LOG_FORKED, True)
    wrong_start = Host().file_of(0, 0, entry_count=0)
    assert answer_of(office, wrong_start) is FileAnswer.NOT_A_LOAD_LOG
    assert len(load_load_logs(office.database)) == 2


def test_a_first_file_must_begin_where_the_log_of_its_issuer_begins(office: City) -> None:
    host = a_log(2)
    behind = host.file_of(1, 2, first_number=1)
    assert answer_of(office, behind) is FileAnswer.ENTRY_WRONG
    assert load_load_logs(office.database) == ()


@pytest.mark.parametrize("cut", [4, 71, 72, 200, -1])
def test_a_cut_log_is_named_and_changes_nothing(office: City, cut: int) -> None:
    before = kept(office)
    assert answer_of(office, a_log().file()[:cut]) is FileAnswer.TRUNCATED
    assert answer_of(office, a_log().file() + b"\0") is FileAnswer.TOO_LONG
    assert kept(office) == before


@pytest.fixture(scope="module")
def shared_office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    with make_office(tmp_path_factory.mktemp("office") / "city") as city:
        register_host(city)
        yield city


@given(position=st.integers(4, HEADER.size + 3 * ENTRY_BYTES + 48 + 64 - 1), bit=st.integers(0, 7))
def test_no_single_bit_of_a_log_can_be_altered_unseen(
    shared_office: City, position: int, bit: int
) -> None:
    data = bytearray(a_log().file())
    data[position] ^= 1 << bit
    assert not answer_of(shared_office, bytes(data)).is_kept
    assert load_load_logs(shared_office.database) == ()


@given(data=st.binary(max_size=300))
def test_any_bytes_that_begin_like_a_log_get_an_answer(shared_office: City, data: bytes) -> None:
    assert not answer_of(shared_office, b"OCL1" + data).is_kept


def test_a_log_signed_by_a_stranger_is_refused(office: City) -> None:
    host = a_log()
    host.secret = STRANGERS_SECRET
    assert answer_of(office, host.file()) is FileAnswer.SIGNATURE_WRONG
    unknown = a_log().file(key_version=2)
    assert answer_of(office, unknown) is FileAnswer.SENDER_UNKNOWN
    other_issuer = a_log().file(issuer=bytes(8))
    assert answer_of(office, other_issuer) is FileAnswer.SENDER_UNKNOWN
    assert load_load_logs(office.database) == ()


def test_a_log_under_a_key_that_is_registered_no_more_is_refused(office: City) -> None:
    ended = end_row(office, ("load_host", f"{ISSUER}/1"), DAY - timedelta(days=1), ACTION)
    assert isinstance(ended, Decided)
    assert answer_of(office, a_log().file()) is FileAnswer.SENDER_UNKNOWN


def test_a_host_is_registered_with_each_version_of_its_key() -> None:
    row = LoadHostRow(ISSUER, 7, "00" * 32)
    assert Dated(row).subject == ("load_host", f"{ISSUER}/7")


@pytest.mark.parametrize("step", ["raw_kept", "row_decided", "row_kept"])
def test_killed_at_a_commit_point_of_a_log_a_repeat_gives_the_same(
    office: City, tmp_path: Path, step: str
) -> None:
    data = a_log().file()
    path = tmp_path / "file.ocl"
    path.write_bytes(data)
    clerk = start_clerk(office.folder, "receive", str(path), "--kill-at", step)
    assert finish(clerk) == (-signal.SIGKILL, "")
    was_kept = step == "row_kept"
    assert len(load_allowed(office.database, DAY, DAY)) == 3 * was_kept
    expected = FileAnswer.ALREADY_RECEIVED if was_kept else FileAnswer.ACCEPTED
    assert answer_of(office, data) is expected
    with make_office(tmp_path / "undisturbed") as other:
        register_host(other)
        receive_file(other, data, KEYS, NOW)
        assert kept(office) == kept(other)


def test_the_same_log_sent_by_two_at_once_is_kept_once(office: City, tmp_path: Path) -> None:
    path = tmp_path / "file.ocl"
    path.write_bytes(a_log().file())
    clerks = [start_clerk(office.folder, "receive", str(path)) for _ in range(2)]
    assert sorted(map(finish, clerks)) == [(0, "ACCEPTED"), (0, "ALREADY_RECEIVED")]
    assert len(load_load_logs(office.database)) == 1
