"""Every check of `verify` by its name: a damage, and the very finding that only this check makes.

Other checks see most of these damages as well. So what is asserted is the invariant, the place and
the words: switched off, the check leaves its words unsaid.
"""

import hashlib
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from settlement.city import open_city
from settlement.days.closing import ClosedDay
from settlement.engine.local import LocalEngine
from settlement.service.close import close_day
from settlement.verification.findings import Invariant
from settlement.verification.verify import verify
from tests.settlement.device_files import CLERK, NOW, Street, key_service, make_office
from tests.settlement.service.test_service import close, receive
from tests.settlement.verification.conftest import fold_in
from tests.settlement.verification.test_verify import tamper

ENGINE = LocalEngine(1)
EVERY_KEY = key_service(1, 2, 3)


def findings(folder: Path) -> list[tuple[Invariant, str]]:
    with open_city(folder) as city:
        found = verify(city, EVERY_KEY, ENGINE)
    return [(each.invariant, f"{each.where.en}: {each.text.en}") for each in found.findings]


_LAST = "(SELECT max(rowid) FROM entries)"
#: Damage, then the invariant and the words that must be said of it.
DAMAGES: dict[str, tuple[tuple[str, ...], Invariant, str]] = {
    "an entry without postings": (
        ("DELETE FROM postings WHERE entry = (SELECT max(number) FROM entries)",),
        Invariant.I1,
        "is out of balance by",
    ),
    "an entry of a day that is not closed": (
        (f"UPDATE entries SET settlement_day = '2018-08-01' WHERE rowid = {_LAST}",),
        Invariant.I8,
        "belongs to 2018-08-01, which is not closed",
    ),
    "gross against net": (
        (
            (
                "UPDATE positions SET gross_debit_fen = gross_debit_fen + 7 "
                "WHERE rowid = (SELECT max(rowid) FROM positions)"
            ),
        ),
        Invariant.I6,
        "net in fen is",
    ),
    "nets that do not sum to zero": (
        (
            (
                "UPDATE positions SET net_fen = net_fen + 7, gross_debit_fen = gross_debit_fen + 7 "
                "WHERE rowid = (SELECT max(rowid) FROM positions)"
            ),
        ),
        Invariant.I6,
        "nets sum to",
    ),
    "accounts that do not sum to zero": (
        ("UPDATE postings SET amount_fen = amount_fen + 7 WHERE entry = 1 AND line = 1",),
        Invariant.I2,
        "all accounts: sum to",
    ),
    "a clearing account that is not zero": (
        (
            (
                "UPDATE postings SET amount_fen = amount_fen + 7 WHERE rowid = "
                "(SELECT min(rowid) FROM postings WHERE account LIKE 'clearing/%')"
            ),
        ),
        Invariant.I7,
        "account clearing/2018-09-01: stands at",
    ),
    "a file's row that does not hash to its hash": (
        (
            (
                "UPDATE files SET row_hash = 'f' || substr(row_hash, 2) "
                "WHERE rowid = (SELECT max(rowid) FROM files)"
            ),
        ),
        Invariant.I8,
        "the row does not hash to row_hash",
    ),
    "a file's row that is not the one that was sealed": (
        (
            (
                "UPDATE files SET size_bytes = size_bytes + 1 "
                "WHERE rowid = (SELECT max(rowid) FROM files)"
            ),
        ),
        Invariant.I8,
        "is not the row that was sealed with day 2018-09-01",
    ),
    "shares of load agents": (
        (
            (
                "UPDATE postings SET amount_fen = amount_fen + 7 WHERE rowid = "
                "(SELECT min(rowid) FROM postings WHERE account LIKE 'load_agent/%')"
            ),
        ),
        Invariant.I5,
        "load agents, in fen, is",
    ),
    "shares of operators": (
        (
            (
                "UPDATE postings SET amount_fen = amount_fen + 7 WHERE rowid = "
                "(SELECT min(rowid) FROM postings WHERE account LIKE 'operator/%')"
            ),
        ),
        Invariant.I5,
        "operators and holders, in fen, is",
    ),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_a_damage_is_named_by_the_check_that_is_about_it(folder: Path, what: str) -> None:
    statements, invariant, words = DAMAGES[what]
    tamper(folder, *statements)
    found = findings(folder)
    assert any(each is invariant and words in text for each, text in found), found


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three days: what waited for a key of version 2 was judged on the second, for one of version 3
    on the third.
    """
    folder = tmp_path_factory.mktemp("reviewed") / "city"
    street = Street()
    second, third = street.card(1, key_version=2), street.card(2, key_version=3)
    with make_office(folder, bucket_count=1) as city:
        receive(city, street.file([street.card(3).load(300), second.load(5000), third.load(400)]))
        close(city)
        for versions in ((1, 2), (1, 2, 3)):
            closed = close_day(city, None, key_service(*versions), ENGINE, NOW, CLERK)
            assert isinstance(closed, ClosedDay)
    fold_in(folder)
    assert findings(folder) == []
    return folder


def review_of_the_last_day(folder: Path) -> Path:
    with closing(sqlite3.connect(folder / "control.sqlite")) as connection:
        ((name,),) = connection.execute(
            "SELECT review_sha256 FROM runs ORDER BY settlement_day DESC LIMIT 1"
        ).fetchall()
    return folder / "inputs" / f"{name}.parquet"


def test_a_review_that_is_not_what_its_name_says_is_named(reviewed: Path, tmp_path: Path) -> None:
    """Well-formed, with the same rows."""
    folder = tmp_path / "city"
    shutil.copytree(reviewed, folder)
    path = review_of_the_last_day(folder)
    whole = path.read_bytes()
    with closing(duckdb.connect()) as connection:
        connection.execute(f"CREATE TABLE review AS FROM read_parquet('{path}')")
        connection.execute(f"COPY review TO '{path}' (FORMAT parquet, KV_METADATA {{of: 'x'}})")
    assert path.read_bytes() != whole
    said = f"input inputs/{path.name}: is not what its name says"
    assert (Invariant.I10, said) in findings(folder)


def test_a_review_of_what_waited_once_and_was_settled_since_is_named(
    reviewed: Path, tmp_path: Path
) -> None:
    """On the third day the record of the second day: it had waited on the first, and no longer."""
    folder = tmp_path / "city"
    shutil.copytree(reviewed, folder)
    path = review_of_the_last_day(folder)
    with closing(duckdb.connect()) as connection:
        connection.execute(f"CREATE TABLE review AS FROM read_parquet('{path}')")
        connection.execute("UPDATE review SET row = 1 WHERE row = 2")
        connection.sql("FROM review").write_parquet(str(folder / "forged"))
    name = hashlib.sha256((folder / "forged").read_bytes()).hexdigest()
    (folder / "forged").rename(path.with_name(f"{name}.parquet"))
    tamper(folder, f"UPDATE runs SET review_sha256 = '{name}' WHERE review_sha256 = '{path.stem}'")
    assert any(
        each is Invariant.I4 and "row 1 of file" in text and "settled for good" in text
        for each, text in findings(folder)
    )
