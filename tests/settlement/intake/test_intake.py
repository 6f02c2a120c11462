"""What the office answers to a file, and that a refused one changes nothing."""

import hashlib
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardcore.errors import KeyServiceUnavailableError
from cardcore.keys import TacColumn
from cardcore.records import batch
from cardcore.records.record import RECORD_BYTES
from settlement.city import City
from settlement.intake.answers import FileAnswer
from settlement.service.receive import receive_file
from settlement.store.files import load_files, load_refusals
from tests.settlement.device_files import (
    NOW,
    OTHER_SENDER,
    SENDER,
    STRANGER,
    Street,
    key_service,
    make_office,
)
from tests.settlement.job_process import finish, start_clerk

KEYS = key_service()


@pytest.fixture
def office(tmp_path: Path) -> Iterator[City]:
    with make_office(tmp_path / "city") as city:
        yield city


def small_file(street: Street | None = None, **changes: object) -> bytes:
    street = street or Street()
    card = street.card(1)
    return street.file([card.load(5000), card.bus(), card.bus()], **changes)  # type: ignore[arg-type]


def disk(city: City) -> dict[str, str]:
    """Every file of the city but the database, by content."""
    return disk_of(city.folder)


def disk_of(folder: Path) -> dict[str, str]:
    """The same of a city that is not open."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith("control.sqlite") and path.suffix != ".lock"
    }


def answer_of(city: City, data: bytes) -> FileAnswer:
    return receive_file(city, data, KEYS, NOW).answer


def test_a_whole_file_in_sequence_is_accepted_with_its_totals(office: City) -> None:
    data = small_file()
    answer = receive_file(office, data, KEYS, NOW)
    assert (answer.answer, answer.record_count) == (FileAnswer.ACCEPTED, 3)
    assert (answer.debit_fen, answer.load_fen, answer.missing) == (320, 5000, ())
    assert office.raw_path(answer.content_hash).read_bytes() == data
    (row,) = load_files(office.database)
    assert (row.is_ready, row.settlement_day, row.row_hash) == (True, None, row.file.row_hash)
    assert sum(each.row_count for each in row.facts) == 3


def test_an_empty_file_holds_its_place_in_the_sequence(office: City) -> None:
    street = Street()
    assert answer_of(office, street.file([])) is FileAnswer.ACCEPTED
    assert answer_of(office, small_file(street)) is FileAnswer.ACCEPTED


def test_a_file_sent_twice_gets_the_first_answer_back_and_changes_nothing(office: City) -> None:
    data = small_file()
    first = receive_file(office, data, KEYS, NOW)
    before = disk(office), load_files(office.database)
    again = receive_file(office, data, KEYS, NOW + timedelta(days=3))
    assert again.answer is FileAnswer.ALREADY_RECEIVED
    assert again.first_answer is FileAnswer.ACCEPTED
    assert (again.received_at, again.record_count) == (first.received_at, first.record_count)
    assert (disk(office), load_files(office.database)) == before


def test_another_content_under_the_same_sequence_is_a_conflict_and_an_alarm(office: City) -> None:
    street = Street()
    first = receive_file(office, small_file(street, sequence=1), KEYS, NOW)
    before = disk(office), load_files(office.database)
    other = receive_file(office, small_file(street, sequence=1), KEYS, NOW)
    assert other.answer is FileAnswer.SEQUENCE_CONFLICT
    assert first.content_hash in str(other.detail)
    assert (disk(office), load_files(office.database)) == before
    assert [each.acknowledgement.answer for each in load_refusals(office.database)] == [
        FileAnswer.SEQUENCE_CONFLICT
    ]
    assert other.answer.is_alarm


def test_a_hole_in_the_sequence_is_named_and_the_file_is_kept(office: City) -> None:
    street = Street()
    assert answer_of(office, small_file(street, sequence=2)) is FileAnswer.WAITING_FOR_GAP
    late = receive_file(office, small_file(street, sequence=9), KEYS, NOW)
    assert (late.answer, late.missing) == (FileAnswer.WAITING_FOR_GAP, ((1, 1), (3, 8)))
    assert not any(row.is_ready for row in load_files(office.database))


def test_readiness_follows_from_the_files_present_not_from_their_order(office: City) -> None:
    street = Street()
    for sequence in (3, 2):
        answer_of(office, small_file(street, sequence=sequence))
    other = small_file(street, sender=OTHER_SENDER, sequence=1)
    assert answer_of(office, other) is FileAnswer.ACCEPTED
    assert answer_of(office, small_file(street, sequence=1)) is FileAnswer.ACCEPTED
    assert all(row.is_ready for row in load_files(office.database))


def test_sequence_zero_is_no_sequence(office: City) -> None:
    assert answer_of(office, small_file(sequence=0)) is FileAnswer.NOT_A_BATCH


@pytest.mark.parametrize("cut", [0, 1, 4, 63, 64, 300, 639, -1])
def test_a_truncated_file_is_named_and_changes_nothing(office: City, cut: int) -> None:
    expected = FileAnswer.TRUNCATED if cut not in {0, 1} else FileAnswer.NOT_A_BATCH
    before = disk(office)
    assert answer_of(office, small_file()[:cut]) is expected
    assert (disk(office), load_files(office.database)) == (before, ())


REGIONS = {
    "magic": (0, FileAnswer.NOT_A_BATCH),
    "version": (4, FileAnswer.VERSION_UNKNOWN),
    "signature algorithm": (5, FileAnswer.VERSION_UNKNOWN),
    "record size": (6, FileAnswer.VERSION_UNKNOWN),
    "sender": (11, FileAnswer.SENDER_UNKNOWN),
    "sequence": (15, FileAnswer.ALTERED),
    "business day": (19, FileAnswer.ALTERED),
    "record count": (23, FileAnswer.TRUNCATED),
    "register count": (27, FileAnswer.TRUNCATED),
    "key version": (31, FileAnswer.SENDER_UNKNOWN),
    "creation time": (38, FileAnswer.ALTERED),
    "header padding": (50, FileAnswer.ALTERED),
    "first record": (64 + 30, FileAnswer.ALTERED),
    "last record": (64 + 3 * RECORD_BYTES - 1, FileAnswer.ALTERED),
    "trailer magic": (64 + 3 * RECORD_BYTES, FileAnswer.ALTERED),
    "trailer count": (64 + 3 * RECORD_BYTES + 7, FileAnswer.SIGNATURE_WRONG),
    "trailer sum": (64 + 3 * RECORD_BYTES + 15, FileAnswer.SIGNATURE_WRONG),
    "digest": (64 + 3 * RECORD_BYTES + 40, FileAnswer.ALTERED),
    "signature": (-1, FileAnswer.SIGNATURE_WRONG),
}


@pytest.mark.parametrize("region", REGIONS)
def test_one_altered_bit_is_named_in_every_region(office: City, region: str) -> None:
    position, expected = REGIONS[region]
    data = bytearray(small_file())
    data[position] ^= 4
    answer = receive_file(office, bytes(data), KEYS, NOW)
    assert answer.answer is expected, answer.detail
    assert load_files(office.database) == ()
    refusal = load_refusals(office.database)[0].acknowledgement
    assert (refusal.answer, refusal.content_hash) == (expected, answer.content_hash)


@pytest.fixture(scope="module")
def shared_office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    with make_office(tmp_path_factory.mktemp("office") / "city") as city:
        yield city


@given(position=st.integers(0, 64 + 3 * RECORD_BYTES + 64 + 64 - 1), bit=st.integers(0, 7))
def test_no_single_bit_can_be_altered_unseen(shared_office: City, position: int, bit: int) -> None:
    data = bytearray(small_file())
    data[position % len(data)] ^= 1 << bit
    assert not answer_of(shared_office, bytes(data)).is_kept
    assert load_files(shared_office.database) == ()


@given(data=st.binary(max_size=400), front=st.sampled_from([b"", b"OCB1", b"OCB1\1\1\0\xc0"]))
def test_any_bytes_get_an_answer(shared_office: City, data: bytes, front: bytes) -> None:
    assert not answer_of(shared_office, front + data).is_kept


def test_a_file_signed_by_a_stranger_is_refused(office: City) -> None:
    assert answer_of(office, small_file(sender=STRANGER)) is FileAnswer.SENDER_UNKNOWN


def test_a_stranger_posing_as_a_sender_is_refused(office: City) -> None:
    data = small_file(sender=STRANGER)
    posing = bytearray(data)
    posing[8:12] = SENDER.to_bytes(4, "big")
    records_end = 64 + 3 * RECORD_BYTES
    posing[records_end + 32 : records_end + 64] = hashlib.sha256(posing[:records_end]).digest()
    assert answer_of(office, bytes(posing)) is FileAnswer.SIGNATURE_WRONG


def test_bytes_after_the_end_are_refused(office: City) -> None:
    assert answer_of(office, small_file() + b"\0") is FileAnswer.TOO_LONG


def test_a_file_larger_than_the_limit_is_refused_unread(office: City) -> None:
    header = bytearray(small_file()[:64])
    header[20:24] = (batch.RECORDS_MAX + 1).to_bytes(4, "big")
    assert answer_of(office, bytes(header)) is FileAnswer.TOO_LARGE
    stuffed = small_file() + bytes(batch.FILE_BYTES_MAX)
    assert answer_of(office, stuffed) is FileAnswer.TOO_LARGE


def test_totals_that_are_not_the_records_are_refused(
    office: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lie(_: bytes, _bytes: int) -> batch.BatchTotals:
        return batch.BatchTotals(3, 1, 1, 1)

    with monkeypatch.context() as patch:
        patch.setattr(batch, "total_records", lie)  # the sender's program is wrong, and signs
        data = small_file()
    assert answer_of(office, data) is FileAnswer.TOTALS_WRONG


def test_every_answer_is_told_in_two_languages_and_says_what_to_do() -> None:
    for answer in FileAnswer:
        assert answer.text.zh
        assert answer.text.en
    assert not FileAnswer.SIGNATURE_WRONG.retry_may_help
    assert FileAnswer.TRUNCATED.retry_may_help


class AbsentKeyService:
    """A key service that does not answer."""

    def __getattr__(self, name: str) -> object:
        return getattr(KEYS, name)

    def prove_tacs(self, label: str, column: TacColumn) -> bytes:
        raise KeyServiceUnavailableError(f"no answer for {len(column)} TACs of {label}")


def test_an_absent_key_service_stops_intake_with_nothing_changed(office: City) -> None:
    before = disk(office)
    data = small_file()
    with pytest.raises(KeyServiceUnavailableError):
        receive_file(office, data, AbsentKeyService(), NOW)  # type: ignore[arg-type]
    assert (disk(office), load_files(office.database)) == (before, ())
    assert load_refusals(office.database) == ()
    assert answer_of(office, data) is FileAnswer.ACCEPTED


def test_the_same_file_sent_by_two_at_once_is_kept_once(office: City, tmp_path: Path) -> None:
    path = tmp_path / "file.ocb"
    path.write_bytes(small_file())
    clerks = [start_clerk(office.folder, "receive", str(path)) for _ in range(2)]
    assert sorted(map(finish, clerks)) == [(0, "ACCEPTED"), (0, "ALREADY_RECEIVED")]
    assert len(load_files(office.database)) == 1


STEPS = ("tacs_proven", "raw_kept", "facts_kept", "row_decided", "row_kept")


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_a_commit_point_of_intake_a_repeat_gives_the_same(
    office: City, tmp_path: Path, step: str
) -> None:
    data = small_file()
    path = tmp_path / "file.ocb"
    path.write_bytes(data)
    clerk = start_clerk(office.folder, "receive", str(path), "--kill-at", step)
    assert finish(clerk) == (-signal.SIGKILL, "")
    kept = step == "row_kept"
    assert len(load_files(office.database)) == kept
    answer = receive_file(office, data, KEYS, NOW)
    assert answer.answer is (FileAnswer.ALREADY_RECEIVED if kept else FileAnswer.ACCEPTED)
    with make_office(tmp_path / "undisturbed") as other:
        receive_file(other, data, KEYS, NOW)
        assert disk(office) == disk(other)
        assert load_files(office.database) == load_files(other.database)


@pytest.mark.parametrize("disk_bytes", [0, 700, 3_000, 6_000, 20_000, 50_000])
def test_a_full_disk_stops_intake_with_nothing_half_kept(
    office: City, tmp_path: Path, disk_bytes: int
) -> None:
    data = small_file()
    path = tmp_path / "file.ocb"
    path.write_bytes(data)
    clerk = start_clerk(office.folder, "receive", str(path), "--disk-bytes", str(disk_bytes))
    status, _ = finish(clerk)
    assert (status == 0) == (len(load_files(office.database)) == 1)
    assert receive_file(office, data, KEYS, NOW).answer.is_kept
    with make_office(tmp_path / "undisturbed") as other:
        receive_file(other, data, KEYS, NOW)
        assert load_files(office.database) == load_files(other.database)
        assert disk(other).items() <= disk(office).items()
