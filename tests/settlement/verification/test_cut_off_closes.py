"""A close that was cut off is finished as it was begun: the key service seals a number once."""

import json
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from cardcore.errors import KeyStateError
from cardcore.keys import KeyRef, KeyUsage
from hsm_sim.keys.operations import KeyOperations
from hsm_sim.keys.published_keys import published_key
from hsm_sim.keys.seal_register import SealRegister
from hsm_sim.keys.vault import KeyVault
from settlement.city import City
from settlement.days.closing import ClosedDay
from settlement.days.opening import DayAnswer
from settlement.durable import write_once
from settlement.engine.local import LocalEngine
from settlement.people.actions import Actor
from settlement.service.close import close_day
from settlement.service.receive import receive_file
from settlement.store.days import load_closed_days
from settlement.store.files import load_files
from settlement.verification.verify import verify
from tests.settlement.device_files import (
    CLERK,
    DAY,
    NOW,
    OTHER_SENDER,
    Street,
    key_service,
    make_office,
)
from tests.settlement.job_process import finish, start_clerk

ENGINE, LATER, OTHER_CLERK = LocalEngine(1), NOW + timedelta(hours=3), Actor("韩梅梅")
#: From the first moment at which a close is kept, until the day is.
STEPS = ("close_begun", "day_signed", "seal_kept", "day_kept")


@pytest.fixture
def office(tmp_path: Path) -> Iterator[City]:
    with make_office(tmp_path / "city", bucket_count=1) as city:
        yield city


@pytest.mark.parametrize("step", STEPS)
def test_killed_behind_a_signature_another_clerk_finishes_the_same_day_later(
    office: City, tmp_path: Path, step: str
) -> None:
    register, street = tmp_path / "register.jsonl", Street()
    keys, card = key_service(register=register), street.card(1)
    first = street.file([card.load(5000), card.bus()])
    assert receive_file(office, first, keys, NOW).answer.is_kept
    clerk = start_clerk(office.folder, "close", "--kill-at", step, "--register", str(register))
    assert finish(clerk) == (-signal.SIGKILL, "")
    signed = keys.sealed_days("shenzhen").newest
    assert (signed is None) == (step == "close_begun")
    if step != "day_kept":
        # What came in since belongs to the next day.
        street.now += timedelta(days=1)
        second = street.file([card.bus()], OTHER_SENDER)
        assert receive_file(office, second, keys, LATER).answer.is_kept
    day = close_day(office, DAY, keys, ENGINE, LATER, OTHER_CLERK)
    assert isinstance(day, ClosedDay)
    assert (day.closed_at, day.closed_by, day.number) == (NOW, CLERK, 1)
    newest = keys.sealed_days("shenzhen").newest
    assert newest is not None
    assert newest.digest.hex() == day.seal
    assert signed in {None, newest}
    if step != "day_kept":
        settled = [row for row in load_files(office.database) if row.settlement_day == DAY]
        assert len(settled) == 1
        following = close_day(office, None, keys, ENGINE, LATER, OTHER_CLERK)
        assert isinstance(following, ClosedDay)
        assert (following.number, following.closed_by) == (2, OTHER_CLERK)
        assert not office.closing_path.exists()
    assert verify(office, keys, ENGINE).findings == ()


def begin(office: City, register: Path, step: str) -> None:
    """A close that is killed at a step."""
    street = Street()
    card = street.card(1)
    data = street.file([card.load(5000), card.bus()])
    assert receive_file(office, data, key_service(), NOW).answer.is_kept
    clerk = start_clerk(office.folder, "close", "--kill-at", step, "--register", str(register))
    assert finish(clerk) == (-signal.SIGKILL, "")


def test_a_begun_close_that_nobody_signed_is_forgotten_when_it_cannot_be_finished(
    office: City, tmp_path: Path
) -> None:
    """Its raw file is damaged since, and there is no other."""
    register = tmp_path / "register.jsonl"
    begin(office, register, "close_begun")
    raw = next((office.folder / "raw").rglob("*.ocb"))
    raw.write_bytes(b"damaged")
    keys = key_service(register=register)
    assert close_day(office, None, keys, ENGINE, LATER, OTHER_CLERK) is DayAnswer.FILES_SET_ASIDE
    assert not office.closing_path.exists()


def test_a_signed_close_that_cannot_be_finished_is_refused_until_what_it_needs_is_back(
    office: City, tmp_path: Path
) -> None:
    register = tmp_path / "register.jsonl"
    begin(office, register, "day_signed")
    raw = next((office.folder / "raw").rglob("*.ocb"))
    whole = raw.read_bytes()
    raw.write_bytes(b"damaged")
    keys = key_service(register=register)
    for _ in range(2):
        found = close_day(office, None, keys, ENGINE, LATER, OTHER_CLERK)
        assert found is DayAnswer.SEALED_OTHERWISE
    assert load_closed_days(office.database) == ()
    raw.write_bytes(whole)
    day = close_day(office, None, keys, ENGINE, LATER, OTHER_CLERK)
    assert isinstance(day, ClosedDay)
    assert day.closed_by == CLERK
    assert verify(office, keys, ENGINE).findings == ()


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"document": [], "seal": 1}'])
def test_a_damaged_note_of_a_begun_close_stops_nothing(
    office: City, tmp_path: Path, content: bytes
) -> None:
    register = tmp_path / "register.jsonl"
    begin(office, register, "close_begun")
    office.closing_path.write_bytes(content)
    keys = key_service(register=register)
    day = close_day(office, None, keys, ENGINE, LATER, OTHER_CLERK)
    assert isinstance(day, ClosedDay)
    assert day.closed_by == OTHER_CLERK


@pytest.mark.parametrize("share", [0.1, 0.5, 0.97])
def test_a_damaged_sealed_document_of_a_cut_off_close_is_made_again(
    office: City, tmp_path: Path, share: float
) -> None:
    register = tmp_path / "register.jsonl"
    begin(office, register, "seal_kept")
    path = office.seal_path(DAY)
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[int(share * len(whole))] ^= 1
    path.write_bytes(damaged)
    keys = key_service(register=register)
    assert isinstance(close_day(office, None, keys, ENGINE, LATER, OTHER_CLERK), ClosedDay)
    assert path.read_bytes() == whole
    assert verify(office, keys, ENGINE).findings == ()


def test_the_newest_active_key_seals_and_days_before_are_proven_under_theirs(
    office: City, tmp_path: Path
) -> None:
    vault, register = KeyVault({}), SealRegister(tmp_path / "register.jsonl")
    keys = KeyOperations(vault, seals=register)
    with pytest.raises(KeyStateError, match="onecard hsm ceremony generate day-seal/shenzhen/v1"):
        close_day(office, DAY, keys, ENGINE, LATER, CLERK)
    for version, day in ((1, DAY), (2, DAY + timedelta(days=1))):
        ref = KeyRef(KeyUsage.DAY_SEAL, "shenzhen", version)
        vault.install(ref, published_key(ref))
        closed = close_day(office, day, keys, ENGINE, LATER, CLERK)
        assert isinstance(closed, ClosedDay)
        assert (closed.number, closed.key_version) == (version, version)
    assert verify(office, keys, ENGINE).findings == ()


def test_a_file_that_stands_is_never_replaced_by_another(tmp_path: Path) -> None:
    path = tmp_path / "seals" / "day.json"
    write_once(path, b"one")
    write_once(path, b"one")
    with pytest.raises(FileExistsError):
        write_once(path, b"other")
    assert path.read_bytes() == b"one"
    assert [each.name for each in path.parent.iterdir()] == ["day.json"]


def test_every_answer_carries_the_newest_seal_so_that_its_keeper_is_a_witness(
    office: City, tmp_path: Path
) -> None:
    keys, street = key_service(register=tmp_path / "register.jsonl"), Street()
    card = street.card(1)
    data = street.file([card.load(5000)])
    assert receive_file(office, data, keys, NOW).newest_seal is None
    day = close_day(office, None, keys, ENGINE, NOW, CLERK)
    assert isinstance(day, ClosedDay)
    sealed = json.loads(office.seal_path(DAY).read_bytes())
    for each in (data, street.file([card.bus()], OTHER_SENDER), b"no file at all"):
        seal = receive_file(office, each, keys, NOW).newest_seal
        assert seal is not None
        assert (seal.number, seal.seal, seal.signature) == (1, day.seal, day.signature)
        assert sealed["signed"] == seal.document()
