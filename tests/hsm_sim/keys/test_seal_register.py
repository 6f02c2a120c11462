"""One seal a day number, for ever: what the register takes, refuses, and survives."""

import hashlib
import threading
from datetime import date, timedelta
from pathlib import Path

import pytest

from cardcore.crypto.day_seals import seal_holds
from cardcore.errors import (
    KeyServiceUnavailableError,
    KeyUsageError,
    SealRefusedError,
    UnknownKeyVersionError,
)
from cardcore.keys import DaySeal, KeyRef, KeyState, KeyUsage
from hsm_sim.keys.operations import KeyOperations
from hsm_sim.keys.published_keys import published_vault
from hsm_sim.keys.seal_register import SEALS, SealRegister
from tests.support.forgetful_disk import ForgetfulDisk

KEY = KeyRef(KeyUsage.DAY_SEAL, "demo", 1)
SECOND_KEY, OTHER_CITY = KEY._replace(version=2), KEY._replace(label="shenzhen")


def day(number: int, content: str = "") -> DaySeal:
    digest = hashlib.sha256(f"{number} {content}".encode()).digest()
    return DaySeal(number, date(2018, 9, 1) + timedelta(days=number), digest)


def a_service(folder: Path) -> KeyOperations:
    vault = published_vault((KEY, SECOND_KEY, OTHER_CITY))
    return KeyOperations(vault, seals=SealRegister(folder / SEALS))


def test_a_day_number_is_sealed_once_and_the_same_again_gives_the_same_signature(
    tmp_path: Path,
) -> None:
    service = a_service(tmp_path)
    first = service.seal_day(KEY, day(1))
    assert seal_holds(service.public_key(KEY), "demo", day(1), first)
    for number in range(2, 5):
        service.seal_day(KEY, day(number))
    # Another process over the same folder, and another version of the key, are the same register.
    again = a_service(tmp_path)
    assert again.seal_day(KEY, day(1)) == first
    for ref in (KEY, SECOND_KEY):
        with pytest.raises(
            SealRefusedError, match=r"day number 1 is sealed as 2018-09-02 .* never"
        ):
            again.seal_day(ref, day(1, "without one file"))
    assert again.sealed_days("demo").newest == day(4)


def test_numbers_have_no_gap_and_days_go_forward(tmp_path: Path) -> None:
    service = a_service(tmp_path)
    assert service.sealed_days("demo") == (True, None)
    service.seal_day(KEY, day(1))
    with pytest.raises(SealRefusedError, match="day number 2 is due, not 3"):
        service.seal_day(KEY, day(3))
    for settled in (day(1).day, day(1).day - timedelta(days=1)):
        with pytest.raises(SealRefusedError, match="does not follow day number 1"):
            service.seal_day(KEY, day(2)._replace(day=settled))
    with pytest.raises(SealRefusedError):
        service.seal_day(KEY, day(0))
    assert service.sealed_days("demo").newest == day(1)


def test_cities_do_not_stand_in_each_others_way(tmp_path: Path) -> None:
    service = a_service(tmp_path)
    service.seal_day(KEY, day(1))
    service.seal_day(OTHER_CITY, day(7))  # a register that begins later than its city
    with pytest.raises(SealRefusedError, match="day-seal/shenzhen: day number 8 is due, not 2"):
        service.seal_day(OTHER_CITY, day(9)._replace(number=2))
    assert [service.sealed_days(each).newest for each in ("demo", "shenzhen")] == [day(1), day(7)]


def test_a_key_that_seals_signs_nothing_else_and_no_other_key_seals(tmp_path: Path) -> None:
    service = a_service(tmp_path)
    with pytest.raises(KeyUsageError, match="a day-seal key may not sign files"):
        service.sign(KEY, b"a file")
    vault = published_vault([KEY._replace(usage=KeyUsage.FILE_SIGNING)])
    with pytest.raises(KeyUsageError, match="may not seal days"):
        KeyOperations(vault).seal_day(KEY._replace(usage=KeyUsage.FILE_SIGNING), day(1))


def test_a_retiring_key_finishes_what_it_began_and_a_refusal_enters_nothing(
    tmp_path: Path,
) -> None:
    vault = published_vault((KEY, SECOND_KEY))
    service = KeyOperations(vault, seals=SealRegister(tmp_path / SEALS))
    vault.move(KEY, KeyState.RETIRING)
    assert service.seal_day(KEY, day(1)) != service.seal_day(SECOND_KEY, day(1))
    with pytest.raises(UnknownKeyVersionError):
        service.seal_day(KEY._replace(version=3), day(2))
    assert service.sealed_days("demo").newest == day(1)


def test_a_line_that_was_cut_by_the_power_was_told_to_nobody(tmp_path: Path) -> None:
    service, path = a_service(tmp_path), tmp_path / SEALS
    service.seal_day(KEY, day(1))
    whole = path.read_bytes()
    service.seal_day(KEY, day(2))
    line = path.read_bytes()[len(whole) :]
    for kept in range(len(line)):
        path.write_bytes(whole + line[:kept])
        assert service.sealed_days("demo").newest == day(1)
        service.seal_day(KEY, day(2, "as it is now"))
        assert service.sealed_days("demo").newest == day(2, "as it is now")


def test_a_changed_line_stops_sealing_and_is_named(tmp_path: Path) -> None:
    service, path = a_service(tmp_path), tmp_path / SEALS
    for number in (1, 2, 3):
        service.seal_day(KEY, day(number))
    lines = path.read_bytes().splitlines(keepends=True)
    changed = {
        "a digit": b"".join([lines[0].replace(b'"number": 1', b'"number": 4'), *lines[1:]]),
        "a digest": lines[0].replace(day(1).digest.hex().encode(), b"0" * 64) + lines[1] + lines[2],
        "a line left out": lines[0] + lines[2],
        "two lines changed about": lines[1] + lines[0] + lines[2],
        "no JSON": lines[0] + b"{}\n" + lines[2],
    }
    for what, content in changed.items():
        path.write_bytes(content)
        with pytest.raises(KeyServiceUnavailableError, match="register of day seals was changed"):
            service.seal_day(KEY, day(4))
        with pytest.raises(KeyServiceUnavailableError):
            service.sealed_days("demo")
        assert path.read_bytes() == content, what


def test_a_seal_is_on_the_disk_before_its_signature_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "key-service"
    with ForgetfulDisk.under(tmp_path) as disk:
        service = a_service(folder)
        for number in (1, 2):
            service.seal_day(KEY, day(number))
            assert disk.forgotten() == []


def test_a_disk_that_takes_nothing_is_no_refusal(tmp_path: Path) -> None:
    (tmp_path / SEALS).mkdir()
    with pytest.raises(KeyServiceUnavailableError, match="cannot be used: is a folder"):
        a_service(tmp_path).seal_day(KEY, day(1))


def test_of_two_that_seal_a_number_at_once_one_is_refused(tmp_path: Path) -> None:
    for number in range(1, 6):
        met, refused = threading.Barrier(2), list[str]()

        def seal(
            content: str,
            number: int = number,
            met: threading.Barrier = met,
            refused: list[str] = refused,
        ) -> None:
            service = a_service(tmp_path)
            met.wait(10)
            try:
                service.seal_day(KEY, day(number, content))
            except SealRefusedError:
                refused.append(content)

        threads = [threading.Thread(target=seal, args=(each,)) for each in ("one", "other")]
        for each in threads:
            each.start()
        for each in threads:
            each.join(10)
        (lost,) = refused
        newest = a_service(tmp_path).sealed_days("demo").newest
        assert newest == day(number, {"one": "other", "other": "one"}[lost])
