"""The insider machine: whatever is damaged at random, `verify` finds on a copy and names."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from settlement.city import open_city
from settlement.engine.local import LocalEngine
from settlement.errors import CityError
from settlement.service.receive import receive_file
from settlement.verification.verify import CHECKS, verify
from tests.settlement.device_files import NOW, key_service, make_office
from tests.settlement.load_logs import Host, register_host
from tests.settlement.rulings.crew import CAI, DAN
from tests.settlement.rulings.desk import Desk
from tests.settlement.service.test_service import close, receive, two_days_of_files
from tests.settlement.verification.conftest import fold_in
from tests.settlement.verification.insider import DATABASE, Insider, act

KEYS = key_service()
ENGINE = LocalEngine(1)
#: Blows of one run of the tests; `soak_insider` goes on for an hour.
BLOWS = 24


def make_cities(folder: Path) -> tuple[Path, Path]:
    """A city with people, two closed days, a load log, refusals before and after they were closed;
    and the same as it was before the second day was closed.
    """
    monday, tuesday = two_days_of_files()
    host = Host()
    host.allow(card_number=f"{1:020}", online_counter=1)
    with make_office(folder / "city", bucket_count=1) as city:
        register_host(city)
        desk = Desk(city)
        desk.found()
        desk.enrol(CAI, DAN)
        receive(city, host.file_of(0, 1), *monday)
        close(city)
        assert not receive_file(city, b"nothing", KEYS, NOW).answer.is_kept
        receive(city, *tuesday)
    fold_in(folder / "city")
    shutil.copytree(folder / "city", folder / "earlier")
    with open_city(folder / "city") as city:
        close(city)
        for data in (b"nothing else", b"nor this"):
            assert not receive_file(city, data, KEYS, NOW).answer.is_kept
    fold_in(folder / "city")
    for name in ("clearing.lock", "scratch-facts.lock"):
        (folder / "city" / name).unlink(missing_ok=True)
    return folder / "city", folder / "earlier"


def finds(folder: Path) -> list[str]:
    """What is found: a city that is not even opened is named as a whole."""
    try:
        with open_city(folder, aside=True) as city:
            found = verify(city, KEYS, ENGINE).findings
    except CityError as error:
        return [str(error)]
    return [f"{each.where.en}: {each.text.en}" for each in found]


def strike(cities: tuple[Path, Path], scratch: Path, seed: int) -> tuple[str, list[str]]:
    """A blow against a copy, and what is found of it."""
    folder = scratch / str(seed)
    shutil.copytree(cities[0], folder)
    try:
        said = Insider(folder, cities[1], seed).strike()
        return said, finds(folder) if said else []
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def cities(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    folder = tmp_path_factory.mktemp("insider")
    made = make_cities(folder)
    assert finds(made[0]) == []
    yield made
    shutil.rmtree(folder)


def test_whatever_an_insider_damages_is_found(cities: tuple[Path, Path], tmp_path: Path) -> None:
    seen = 0
    for seed in range(BLOWS):
        said, found = strike(cities, tmp_path, seed)
        assert found or not said, (seed, said)
        seen += bool(said)
    assert seen > BLOWS // 2


@pytest.mark.parametrize("kind", ["raw", "facts", "runs", "inputs", "seals"])
def test_a_file_that_is_damaged_is_named(
    cities: tuple[Path, Path], kind: str, tmp_path: Path
) -> None:
    folder = shutil.copytree(cities[0], tmp_path / "city")
    path = Random(kind).choice(
        sorted(each for each in (folder / kind).rglob("*") if each.is_file())
    )
    path.unlink()
    assert [each for each in finds(folder) if str(path.relative_to(folder)) in each]


def _strays(folder: Path) -> None:
    (folder / "facts" / "stray").write_bytes(b"")


def _trigger(folder: Path) -> None:
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        connection.execute("CREATE TRIGGER extra AFTER INSERT ON days BEGIN SELECT 1; END")


def _orphan(folder: Path) -> None:
    act(
        folder,
        "INSERT INTO gaps SELECT '1999-01-01', issuer, card_number, application, 99, opened_day, "
        "counter_kind, first_counter, last_counter, price_fen, state FROM gaps LIMIT 1",
    )


#: By check: what nobody but this check sees.
ONLY_SEEN_BY: dict[str, Callable[[Path], object]] = {
    "database": _orphan,
    "schema": _trigger,
    "folder": _strays,
    "files": lambda folder: act(
        folder, "DELETE FROM file_terminals WHERE terminal = '0000000000b1'"
    ),
    "load_logs": lambda folder: act(folder, "UPDATE allowed_loads SET amount_fen = amount_fen + 1"),
    "refusals": lambda folder: act(folder, "DELETE FROM refusals WHERE number = 2"),
    "registry": lambda folder: act(
        folder, "UPDATE registry_changes SET why = 'x' WHERE number = 2"
    ),
    "audit_log": lambda folder: act(folder, "UPDATE audit_log SET by = 'x' WHERE number = 3"),
    "days": lambda folder: act(
        folder, "UPDATE postings SET account = 'operator/102' WHERE account = 'operator/101'"
    ),
}
#: Sums over what the days compare row by row: `test_each_check` shows by its words that each is
#: made. Reviews stand in cities with a review, there as well; seals have their own tests in
#: `test_put_back`, rulings in `tests.settlement.rulings.test_records_ruled`, openings in
#: `tests.settlement.takeover`.
TOLD_APART_BY_WORDS = {"openings", "positions", "reviews", "rulings", "seals"}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE refusals SET detail = 'x' WHERE number = 1",
        "UPDATE refusals SET is_alarm = 1 - is_alarm WHERE number = 1",
        "UPDATE refusals SET received_at = '2018-09-01 00:00:00.000000' WHERE number = 1",
        "DELETE FROM refusals",
    ],
)
def test_a_refusal_that_a_day_has_sealed_is_not_changed_unseen(
    cities: tuple[Path, Path], tmp_path: Path, change: str
) -> None:
    folder = shutil.copytree(cities[0], tmp_path / "city")
    assert act(folder, change)
    assert finds(folder)


def test_every_check_is_held_against_a_blow() -> None:
    assert set(ONLY_SEEN_BY) | TOLD_APART_BY_WORDS == set(CHECKS)


@pytest.mark.parametrize("name", ONLY_SEEN_BY)
def test_with_a_check_switched_off_something_goes_unseen(
    cities: tuple[Path, Path], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(cities[0], tmp_path / "city")
    ONLY_SEEN_BY[name](folder)
    assert finds(folder)
    monkeypatch.delitem(CHECKS, name)
    assert finds(folder) == []
