"""History that is cut back: the last closed day deleted, or yesterday's database put back, and the
day closed again without one file. Found, and the other seal refused.
"""

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from cardcore.text import Text
from hsm_sim.keys.in_process import InProcessKeyService
from settlement.city import City, open_city
from settlement.day_seals import find_seals, written_seal
from settlement.days.closing import ClosedDay
from settlement.days.opening import DayAnswer
from settlement.engine.local import LocalEngine
from settlement.service.close import close_day
from settlement.service.receive import receive_file
from settlement.store.days import load_closed_days
from settlement.verification.findings import Invariant
from settlement.verification.seals import ShownSeal
from settlement.verification.verify import verify
from tests.settlement.device_files import CLERK, DAY, NOW, key_service, make_office
from tests.settlement.service.test_service import two_days_of_files
from tests.settlement.verification.conftest import fold_in

ENGINE, TUESDAY = LocalEngine(1), DAY + timedelta(days=1)
LATER, WITNESS = NOW + timedelta(hours=2), Text("见证", "witness")


@dataclass
class Centre:
    """A city of two closed days, its key service with a register of its own, and what an insider
    kept of yesterday.
    """

    folder: Path
    yesterday: Path
    keys: InProcessKeyService
    tuesday: tuple[bytes, ...]
    acknowledgement: dict[str, object]  # given when both days were closed

    def close(self, city: City, keys: InProcessKeyService | None = None) -> ClosedDay | DayAnswer:
        return close_day(city, None, keys or self.keys, ENGINE, LATER, CLERK)

    def findings(self, *shown: ShownSeal, keys: InProcessKeyService | None = None) -> list[str]:
        with open_city(self.folder) as city:
            found = verify(city, keys or self.keys, ENGINE, shown=shown)
        assert all(each.invariant is Invariant.I8 for each in found.findings)
        return [f"{each.where.en}: {each.text.en}" for each in found.findings]

    def put_yesterday_back(self) -> None:
        """Database and folder as they were when one day was closed."""
        shutil.rmtree(self.folder)
        shutil.copytree(self.yesterday, self.folder)

    def put_yesterdays_database_back(self) -> None:
        for left in self.folder.glob("control.sqlite*"):
            left.unlink()
        shutil.copy(self.yesterday / "control.sqlite", self.folder)

    def delete_the_last_day(self) -> None:
        """As whoever knows the schema would: triggers, rows, and what points at them."""
        with closing(sqlite3.connect(self.folder / "control.sqlite")) as connection, connection:
            names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            for (name,) in names.fetchall():
                connection.execute(f"DROP TRIGGER {name}")
            of_day = f"settlement_day = '{TUESDAY}'"
            connection.execute(
                f"DELETE FROM postings WHERE entry IN (SELECT number FROM entries WHERE {of_day})"
            )
            connection.execute(f"UPDATE files SET settlement_day = NULL WHERE {of_day}")
            for table in ("entries", "positions", "gaps", "discounts", "days"):
                connection.execute(f"DELETE FROM {table} WHERE {of_day}")

    def take_tuesdays_file_out(self) -> None:
        """As if it had never come."""
        with closing(sqlite3.connect(self.folder / "control.sqlite")) as connection, connection:
            connection.execute("DROP TRIGGER IF EXISTS files_refuse_delete")
            connection.execute("DROP TRIGGER IF EXISTS facts_refuse_delete")
            for table in ("facts", "file_terminals", "files"):
                connection.execute(
                    f"DELETE FROM {table} WHERE content_hash IN "
                    "(SELECT content_hash FROM files WHERE settlement_day IS NULL LIMIT 1)"
                )

    def delete_day_and_seal(self) -> None:
        self.delete_the_last_day()
        (self.folder / "seals" / f"{TUESDAY}.json").unlink(missing_ok=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Centre:
    base = tmp_path_factory.mktemp("centre")
    keys = key_service(register=base / "register.jsonl")
    monday, tuesday = two_days_of_files()
    with make_office(base / "city", bucket_count=1) as city:
        for files in (monday, tuesday):
            for data in files:
                assert receive_file(city, data, keys, NOW).answer.is_kept
            if files is monday:
                fold_in(city.folder)
            assert isinstance(close_day(city, None, keys, ENGINE, NOW, CLERK), ClosedDay)
            if files is monday:
                fold_in(city.folder)
                shutil.copytree(city.folder, base / "yesterday")
        seal = receive_file(city, monday[0], keys, NOW).newest_seal
    assert seal is not None
    fold_in(base / "city")
    return Centre(
        base / "city", base / "yesterday", keys, tuple(tuesday), {"newest_seal": seal.document()}
    )


@pytest.fixture
def centre(made: Centre, tmp_path: Path) -> Iterator[Centre]:
    """That centre, for one insider; the register is not his to touch."""
    shutil.copytree(made.folder, tmp_path / "city")
    shutil.copytree(made.yesterday, tmp_path / "yesterday")
    register = made.folder.parent / "register.jsonl"
    shutil.copy(register, tmp_path / "register.jsonl")
    keys = key_service(register=tmp_path / "register.jsonl")
    yield Centre(
        tmp_path / "city", tmp_path / "yesterday", keys, made.tuesday, made.acknowledgement
    )
    assert (tmp_path / "register.jsonl").read_bytes() == register.read_bytes()


def witness(centre: Centre) -> ShownSeal:
    (seal,) = find_seals(json.loads(json.dumps(centre.acknowledgement)))
    return ShownSeal(WITNESS, seal.number, seal.written, seal)


def written_down(centre: Centre) -> ShownSeal:
    shown = witness(centre)
    return ShownSeal(WITNESS, shown.number, shown.written)


def test_an_undisturbed_centre_is_sound_whoever_shows_what(centre: Centre) -> None:
    assert centre.findings(witness(centre), written_down(centre)) == []


Attack = Callable[[Centre], None]
CUTS: dict[str, Attack] = {
    "yesterday's folder put back": Centre.put_yesterday_back,
    "yesterday's database put back": Centre.put_yesterdays_database_back,
    "the last closed day deleted": Centre.delete_the_last_day,
    "the last closed day and its seal deleted": Centre.delete_day_and_seal,
}


@pytest.mark.parametrize("what", CUTS)
def test_a_database_older_than_the_register_or_a_seal_shown_is_found(
    centre: Centre, what: str
) -> None:
    CUTS[what](centre)
    found = centre.findings()
    assert any(
        "the database: ends with day number 1, and the key service has sealed number 2" in each
        for each in found
    ), found
    for shown in (witness(centre), written_down(centre)):
        # A key service that remembers nothing, as a bare token: the witness is enough.
        found = centre.findings(shown, keys=key_service())
        assert any(
            "witness: is the seal of day number 2, and the database ends" in e for e in found
        )


@pytest.mark.parametrize("what", CUTS)
def test_the_day_closed_again_without_one_file_is_refused_its_seal(
    centre: Centre, what: str
) -> None:
    CUTS[what](centre)
    seal_before = {each: each.read_bytes() for each in (centre.folder / "seals").iterdir()}
    if "deleted" in what:
        centre.take_tuesdays_file_out()
    with open_city(centre.folder) as city:
        # A day is closed all the same: of nothing, or of what came instead.
        answer = close_day(city, TUESDAY, centre.keys, ENGINE, LATER, CLERK)
        assert answer is DayAnswer.SEALED_OTHERWISE
        again = close_day(city, TUESDAY, centre.keys, ENGINE, LATER, CLERK)
        assert again is DayAnswer.SEALED_OTHERWISE
        assert [day.number for day in load_closed_days(city.database)] == [1]
        assert not city.closing_path.exists()
    for path, content in seal_before.items():
        assert path.read_bytes() == content


def test_the_last_closed_day_deleted_is_closed_again_as_it_was_and_not_otherwise(
    centre: Centre,
) -> None:
    """Its sealed document lies there still: by other people at another time the same day."""
    with open_city(centre.folder) as city:
        before = load_closed_days(city.database)
    centre.delete_the_last_day()
    with open_city(centre.folder) as city:
        assert centre.close(city) == before[-1]
        assert load_closed_days(city.database) == before
    assert [each for each in centre.findings(witness(centre)) if "trigger" not in each] == []


def test_a_bare_token_closes_the_day_again_and_witnesses_find_it(centre: Centre) -> None:
    """What nobody but a witness can say, and what a register would."""
    centre.put_yesterday_back()
    token = key_service()
    with open_city(centre.folder) as city:
        closed = close_day(city, TUESDAY, token, ENGINE, LATER, CLERK)
        assert isinstance(closed, ClosedDay)
    assert centre.findings(keys=token) == []
    ours = written_seal(2, closed.seal)
    for shown in (witness(centre), written_down(centre)):
        (found,) = centre.findings(shown, keys=token)
        assert found.startswith(f"witness: day number 2 is {shown.written} there, and {ours} here")
    (found,) = centre.findings()
    assert "the key service sealed another day number 2" in found
    assert witness(centre).written in found


def test_a_seal_signed_with_another_key_is_not_the_city_s(centre: Centre) -> None:
    with closing(sqlite3.connect(centre.folder / "control.sqlite")) as connection, connection:
        connection.execute("DROP TRIGGER days_refuse_update")
        connection.execute(
            "UPDATE days SET signature = (SELECT signature FROM days ORDER BY number LIMIT 1)"
        )
    found = centre.findings()
    assert any("days row 2018-09-02: day-seal/shenzhen/v1 did not sign this" in e for e in found)
    assert not any("days row 2018-09-01: day-seal" in each for each in found)


def test_a_number_that_was_skipped_is_found(centre: Centre) -> None:
    with closing(sqlite3.connect(centre.folder / "control.sqlite")) as connection, connection:
        connection.execute("DROP TRIGGER days_refuse_update")
        connection.execute("UPDATE days SET number = 7 WHERE number = 2")
    assert any("has number 7, by its place 2" in each for each in centre.findings())


def test_a_register_that_was_put_back_is_found(centre: Centre, tmp_path: Path) -> None:
    lines = (tmp_path / "register.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "older.jsonl").write_bytes(lines[0])
    (found,) = centre.findings(keys=key_service(register=tmp_path / "older.jsonl"))
    assert found.startswith("the register of day seals: ends with day number 1")
