"""Change anything that was kept, and the check names it."""

import hashlib
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from cardcore.errors import KeyServiceUnavailableError
from cardcore.keys import ProofReason, TacColumn
from cardcore.records.record import decode_record
from settlement.city import City, open_city
from settlement.days.closing import ClosedDay
from settlement.engine.local import LocalEngine
from settlement.intake.answers import StoredFile
from settlement.ledger.entries import Entry, seal_entry
from settlement.service.close import close_day
from settlement.service.receive import receive_file
from settlement.store.days import load_entries
from settlement.store.files import load_files
from settlement.verification.findings import Invariant, Verification
from settlement.verification.verify import verify
from tests.settlement.device_files import CLERK, DAY, NOW, Street, key_service, make_office, prove
from tests.settlement.intake.test_intake import disk
from tests.settlement.service.test_service import close, receive, two_days_of_files

KEYS = key_service()
ENGINE = LocalEngine(1)


def check(folder: Path) -> Verification:
    with open_city(folder) as city:
        return verify(city, KEYS, ENGINE)


def names(found: Verification, what: str) -> bool:
    return any(what in f"{each.where} {each.text}" for each in found.findings)


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def test_an_undisturbed_city_is_sound_and_the_check_writes_nothing(tmp_path: Path) -> None:
    monday, tuesday = two_days_of_files()
    heard: list[tuple[str, int, int]] = []
    with make_office(tmp_path / "city") as city:
        receive(city, *monday)
        close(city)
        receive(city, *tuesday)
        close(city)
        before = disk(city)
        found = verify(city, KEYS, ENGINE, lambda *step: heard.append(step))
        assert disk(city) == before
    assert found.findings == ()
    assert (found.is_sound, found.files, found.days) == (True, 4, 2)
    assert found.invariants == {f"I{number}": True for number in range(1, 11)}
    assert heard[-1] == ("days", 2, 2)


def test_a_city_without_any_file_is_sound(tmp_path: Path) -> None:
    with make_office(tmp_path / "city") as city:
        assert verify(city, KEYS, ENGINE).findings == ()


@pytest.mark.parametrize("position", [0, 11, 64 + 100, -1, -120])
def test_one_altered_byte_of_a_raw_file_is_named(folder: Path, position: int) -> None:
    path = max((folder / "raw").rglob("*.ocb"), key=lambda each: each.stat().st_size)
    flip(path, position)
    found = check(folder)
    assert names(found, str(path.relative_to(folder)))
    assert not found.invariants["I10"]


@pytest.mark.parametrize("share", [0.0, 0.4, 0.999])
@pytest.mark.parametrize("kind", ["facts", "runs", "inputs", "seals"])
def test_one_altered_byte_of_any_other_kept_file_is_named(
    folder: Path, kind: str, share: float
) -> None:
    kept = sorted(path for path in (folder / kind).rglob("*") if path.is_file())
    path = kept[int(share * len(kept))]
    flip(path, int(share * path.stat().st_size))
    found = check(folder)
    assert names(found, str(path.relative_to(folder)).removeprefix(f"{kind}/")), found.findings


def test_every_output_of_every_closed_run_is_watched(folder: Path) -> None:
    outputs = sorted(path for path in (folder / "runs").rglob("*") if path.is_file())
    for path in outputs:
        flip(path, path.stat().st_size // 2)
    found = check(folder)
    for path in outputs:
        assert names(found, f"run output {path.relative_to(folder)}"), path


@pytest.mark.parametrize("kind", ["raw", "facts", "runs", "inputs", "seals"])
def test_an_absent_file_is_named(folder: Path, kind: str) -> None:
    path = min(path for path in (folder / kind).rglob("*") if path.is_file())
    path.unlink()
    found = check(folder)
    assert names(found, str(path.relative_to(folder)).removeprefix(f"{kind}/")), found.findings


TABLES = (
    "days", "discounts", "entries", "facts", "files", "gaps", "positions", "postings", "runs",
    "registry_changes",
)  # fmt: skip


def columns(folder: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(folder / "control.sqlite")) as connection:
        return [
            (table, name)
            for table in TABLES
            for (_, name, *_) in connection.execute(f"PRAGMA table_info({table})")
        ]


def tamper(folder: Path, *statements: str) -> None:
    """What somebody with the database file in hand can do."""
    with closing(sqlite3.connect(folder / "control.sqlite")) as connection:
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (name,) in triggers.fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            assert connection.execute(statement).rowcount > 0, statement
        connection.commit()


def changed(table: str, column: str) -> str:
    """A statement that changes one column of one row, whatever its type."""
    return f"""
        UPDATE {table} SET {column} = CASE
            WHEN {column} IS NULL THEN '1'
            WHEN typeof({column}) = 'integer' THEN {column} + 1
            WHEN '{column}' IN ('settlement_day', 'business_day', 'opened_day')
                THEN date({column}, '-40 days')
            WHEN '{column}' IN ('closed_at', 'received_at', 'created_at')
                THEN replace({column}, ':00.', ':01.')
            WHEN substr({column}, 1, 1) = '[' THEN '[]'
            WHEN substr({column}, 1, 1) = '{{' THEN '{{}}'
            ELSE substr({column}, 2) || 'f'
        END
        WHERE rowid = (SELECT max(rowid) FROM {table})
    """


@pytest.mark.slow
def test_every_column_of_every_sealed_row_is_watched(sealed: Path, tmp_path: Path) -> None:
    unseen = []
    for table, column in columns(sealed):
        folder = tmp_path / f"{table}-{column}"
        shutil.copytree(sealed, folder)
        if (table, column) == ("files", "missing"):
            tamper(folder, "UPDATE files SET missing = '[[1,1]]' WHERE sequence = 2")
        else:
            tamper(folder, changed(table, column))
        found = check(folder)
        if found.is_sound or not names(
            found, "entrie" if table == "entries" else table.rstrip("s")
        ):
            unseen.append((table, column, found.findings))
        shutil.rmtree(folder)
    assert unseen == []


@pytest.mark.parametrize("table", TABLES)
def test_a_deleted_row_is_missed(folder: Path, table: str) -> None:
    tamper(folder, f"DELETE FROM {table} WHERE rowid = (SELECT max(rowid) FROM {table})")
    assert not check(folder).is_sound


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM file_terminals WHERE terminal = '0000000000b1'",
        "UPDATE file_terminals SET last_serial = last_serial + 1 WHERE terminal = '0000000000b1'",
        "INSERT INTO file_terminals SELECT '0000000000b9', 1, 1, content_hash FROM files LIMIT 1",
    ],
)
def test_a_record_that_could_not_be_found_or_is_found_in_vain_is_missed(
    folder: Path, statement: str
) -> None:
    tamper(folder, statement)
    found = check(folder)
    assert names(found, "file_terminals rows")
    assert not found.invariants["I10"]


def test_an_entry_that_follows_from_no_record_is_named(folder: Path) -> None:
    with open_city(folder) as city:
        last = load_entries(city.database)[-1]
    bare = replace(last, number=last.number + 1, previous_hash=last.postings[-1].hash)
    forged = seal_entry(bare, [("operator/101", -100), ("card_float", 100)])
    tamper(folder, *insert_entry(forged))
    found = check(folder)
    assert names(found, f"entries, row {forged.number}")
    assert {Invariant.I3, Invariant.I4, Invariant.I8} <= {each.invariant for each in found.findings}


def insert_entry(entry: Entry) -> list[str]:
    head = (
        "INSERT INTO entries (number, settlement_day, kind, bucket, participant, previous_hash, "
        f"hash) VALUES ({entry.number}, '{entry.settlement_day}', '{entry.kind}', "
        f"NULL, {entry.participant}, '{entry.previous_hash}', '{entry.hash}')"
    )
    return [head] + [
        f"INSERT INTO postings VALUES ({entry.number}, {each.line}, '{each.account}', "
        f"{each.amount_fen}, '{each.previous_hash}', '{each.hash}')"
        for each in entry.postings
    ]


def test_an_unbalanced_posting_breaks_the_money_invariants_by_name(folder: Path) -> None:
    tamper(folder, "UPDATE postings SET amount_fen = amount_fen + 1 WHERE entry = 1 AND line = 1")
    broken = {name for name, holds in check(folder).invariants.items() if not holds}
    assert broken == {"I1", "I2", "I3", "I4", "I8"}


def test_a_row_changed_together_with_its_hash_breaks_the_seal(folder: Path) -> None:
    with open_city(folder) as city:
        row = load_files(city.database)[0]
    later = StoredFile(**{
        **{name: getattr(row.file, name) for name in StoredFile.__slots__},
        "received_at": row.file.received_at + timedelta(hours=1),
    })  # fmt: skip
    tamper(
        folder,
        f"UPDATE files SET received_at = '{later.received_at:%Y-%m-%d %H:%M:%S}.000000', "
        f"row_hash = '{later.row_hash}' WHERE content_hash = '{later.content_hash}'",
    )
    found = check(folder)
    assert names(found, f"files row {later.content_hash}")
    assert not found.invariants["I8"]


def test_a_database_that_cannot_be_read_is_a_finding_not_a_crash(folder: Path) -> None:
    tamper(folder, "UPDATE days SET closed_at = 'yesterday'")
    assert not check(folder).is_sound


def test_a_key_that_arrives_later_does_not_make_an_old_answer_wrong(tmp_path: Path) -> None:
    street = Street()
    card = street.card(1)
    load = card.load(5000)
    ahead = prove(replace(decode_record(card.bus()), key_version=2))
    with make_office(tmp_path / "city") as city:
        receive(city, street.file([load, ahead]))
        close(city)
        assert verify(city, key_service(1, 2), ENGINE).findings == ()


@pytest.fixture
def reviewed(tmp_path: Path) -> Path:
    """A city that decided records again on a later day, when their key had come."""
    street = Street()
    card = street.card(1, key_version=2)
    with make_office(tmp_path / "city", bucket_count=1) as city:
        receive(city, street.file([street.card(2).load(300), card.load(5000), card.bus()]))
        close(city)
        assert isinstance(close_day(city, None, key_service(1, 2), ENGINE, NOW, CLERK), ClosedDay)
        assert verify(city, key_service(1, 2), ENGINE).findings == ()
    with closing(sqlite3.connect(tmp_path / "city" / "control.sqlite")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return tmp_path / "city"


def check_reviewed(folder: Path, *versions: int) -> Verification:
    with open_city(folder) as city:
        return verify(city, key_service(*versions), ENGINE)


def test_an_altered_review_is_named(reviewed: Path) -> None:
    (path,) = (reviewed / "inputs").glob("*.parquet")
    flip(path, path.stat().st_size // 2)
    assert names(check_reviewed(reviewed, 1, 2), path.name)


def test_a_review_of_another_day_is_noticed(reviewed: Path) -> None:
    tamper(reviewed, "UPDATE runs SET review_sha256 = NULL WHERE review_sha256 IS NOT NULL")
    found = check_reviewed(reviewed, 1, 2)
    assert not found.invariants["I8"]
    assert names(found, "give run")


def forge_review(folder: Path, row: int, proof: ProofReason) -> None:
    """Put a review in place of the true one, with the row of the run that says so."""
    (path,) = (folder / "inputs").glob("*.parquet")
    with closing(duckdb.connect()) as connection:
        connection.execute(f"CREATE TABLE review AS FROM read_parquet('{path}')")
        connection.execute(f"UPDATE review SET row = {row}, proof = {int(proof)} WHERE row = 2")
        connection.sql("FROM review").write_parquet(str(folder / "forged"))
    name = hashlib.sha256((folder / "forged").read_bytes()).hexdigest()
    (folder / "forged").rename(path.with_name(f"{name}.parquet"))
    statement = f"UPDATE runs SET review_sha256 = '{name}' WHERE review_sha256 IS NOT NULL"
    tamper(folder, statement)


def test_a_review_that_takes_up_a_settled_record_is_named(reviewed: Path) -> None:
    forge_review(reviewed, 0, ProofReason.PROVEN)
    found = check_reviewed(reviewed, 1, 2)
    assert names(found, "settled for good")
    assert not found.invariants["I4"]


def test_a_review_that_says_what_the_tacs_do_not_is_named(reviewed: Path) -> None:
    forge_review(reviewed, 2, ProofReason.WRONG)
    assert names(
        check_reviewed(reviewed, 1, 2), "says: does not hold under any key; must be: holds"
    )


def test_what_was_judged_with_a_key_that_is_lost_again_is_not_claimed(reviewed: Path) -> None:
    found = check_reviewed(reviewed, 1)
    assert {each.invariant for each in found.findings} == {Invariant.I10}
    assert names(found, "its key is not held as registered")


def test_facts_judged_with_a_key_that_is_lost_again_are_not_claimed(folder: Path) -> None:
    with open_city(folder) as city:
        found = verify(city, key_service(1, misheld=(1,)), ENGINE)
    assert names(found, "TACs that were judged cannot be")
    assert not found.invariants["I10"]


class AbsentKeyService:
    """A key service that does not answer."""

    def __getattr__(self, name: str) -> object:
        return getattr(KEYS, name)

    def prove_tacs(self, label: str, column: TacColumn) -> bytes:
        raise KeyServiceUnavailableError(f"no answer for {len(column)} TACs of {label}")


def test_without_a_key_service_nothing_is_claimed(folder: Path) -> None:
    with open_city(folder) as city, pytest.raises(KeyServiceUnavailableError):
        verify(city, AbsentKeyService(), ENGINE)  # type: ignore[arg-type]


def test_files_that_wait_for_a_day_are_checked_too(tmp_path: Path) -> None:
    monday, tuesday = two_days_of_files()
    with make_office(tmp_path / "city") as city:
        receive(city, *monday, *tuesday)
        flip(min((city.folder / "raw").rglob("*.ocb")), 100)
        assert not verify(city, KEYS, ENGINE).invariants["I10"]
        assert isinstance(city, City)
        assert isinstance(close_day(city, DAY, KEYS, ENGINE, NOW, CLERK), ClosedDay)
        assert receive_file(city, monday[0], KEYS, NOW).answer.is_kept
