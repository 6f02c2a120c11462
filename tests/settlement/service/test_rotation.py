"""Keys of a city rotated in a generated week; held wrongly, lost, and loaded in the end.

Records of a version that cannot be judged are claims, never rejected, and accepted when it can be,
whether their day is still open or closed for good.
"""

import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from cardcore.keys import KeyService
from cardcore.records.record import decode_record, encode_record
from cardcore.schemes.catalogue import SCHEMES
from settlement.city import City
from settlement.days.closing import ClosedDay
from settlement.days.opening import DayAnswer
from settlement.days.run import StoredRun
from settlement.dispositions import Disposition, Reason
from settlement.engine.local import LocalEngine
from settlement.facts.proof import tac_keys
from settlement.registry.book import since_ever
from settlement.registry.decide import RegistryConflictError
from settlement.registry.rows import TerminalRow
from settlement.reports.history import explain
from settlement.service.clear import RunResult, run_clearing
from settlement.service.close import close_day
from settlement.service.receive import receive_file
from settlement.store.days import (
    load_balances,
    load_closed_days,
    load_gaps,
    load_positions,
    load_run,
)
from settlement.store.registry import load_tac_keys, register
from settlement.verification.verify import verify
from tests.settlement.device_files import (
    ACTION,
    BUS,
    BUS_TERMINAL,
    CLERK,
    METRO,
    NOW,
    OTHER_SENDER,
    Street,
    key_service,
    make_office,
)
from tests.settlement.intake.test_intake import disk
from tests.settlement.job_process import finish, start_clerk
from tests.settlement.service.rotated_week import DAYS, ROTATED, Audited, make_week
from tests.settlement.service.test_service import everything_stored

SCHEME = SCHEMES["shenzhen"]

FIRST, BOTH, THIRD = key_service(1), key_service(1, 2), key_service(1, 2, 3)
MISHELD = key_service(1, 2, misheld=(2,))
ENGINE = LocalEngine(1)
WEEK = make_week()
FEW_DAYS = make_week(days=ROTATED + 2)
RIDE = f"{BUS_TERMINAL}-00000001"


@pytest.fixture
def office(tmp_path: Path) -> Iterator[City]:
    with make_office(tmp_path / "city") as city:
        yield city


def check(city: City, keys: KeyService) -> None:
    assert verify(city, keys, ENGINE).findings == ()


def suspense_fen(city: City) -> int:
    balances = load_balances(city.database)
    return -sum(fen for name, fen in balances.items() if name.startswith("suspense/"))


def test_a_rotated_key_leaves_no_trace_in_the_money_of_the_week(office: City) -> None:
    audited = Audited(office)
    for files in WEEK.days:
        audited.receive(files, BOTH)
        audited.close(BOTH, (1, 2))
    assert WEEK.named[1] > 0
    assert WEEK.named[2] > 0
    assert audited.totals["claims"] == audited.totals["rejected"] == 0
    assert audited.totals["duplicates"] == DAYS
    assert [each.version for each in load_tac_keys(office.database)] == [1, 2]
    assert all(run.review_sha256 is None for run in runs(office))
    check(office, BOTH)


def runs(city: City) -> list[StoredRun]:
    found = [load_run(city.database, day.run_id) for day in load_closed_days(city.database)]
    return [run for run in found if run is not None]


@pytest.mark.parametrize("wrong", ["lost", "misheld"])
def test_with_the_wrong_version_loaded_records_are_held_and_accepted_the_same_day(
    office: City, tmp_path: Path, wrong: str
) -> None:
    keys = {"lost": FIRST, "misheld": MISHELD}[wrong]
    with make_office(tmp_path / "undisturbed") as other:
        audited, undisturbed = Audited(office), Audited(other)
        for number, files in enumerate(FEW_DAYS.days):
            audited.receive(files, keys)
            undisturbed.receive(files, BOTH)
            if number >= ROTATED:
                held = audited.clear(keys).run.totals
                assert held["claims"]
                assert held["rejected"] == 0
                assert audited.clear(keys).run.totals == held
            day, same = audited.close(BOTH, (1, 2)), undisturbed.close(BOTH, (1, 2))
            # As if the key had never been missing, to the byte.
            assert day.output_hash == same.output_hash
        assert load_balances(office.database) == load_balances(other.database)
        check(office, BOTH)


@pytest.mark.parametrize("wrong", ["lost", "misheld"])
def test_with_the_wrong_version_loaded_for_days_records_are_held_and_accepted_later(
    office: City, tmp_path: Path, wrong: str
) -> None:
    keys = {"lost": FIRST, "misheld": MISHELD}[wrong]
    audited = Audited(office)
    if wrong == "misheld":  # the city knows version 2 by its check value, from the ceremony
        register(office.database, since_ever(*tac_keys(BOTH, SCHEME.name)), ACTION)
    seals = {}
    for files in WEEK.days[:-1]:
        audited.receive(files, keys)
        day = audited.close(keys, (1,))
        seals[day.settlement_day] = office.seal_path(day.settlement_day).read_bytes()
    assert audited.totals["claims"] > 0
    assert audited.totals["rejected"] == 0
    assert suspense_fen(office) == 0  # what no key proves yet moves nothing
    check(office, keys)
    audited.receive(WEEK.days[-1], keys)
    last = audited.close(BOTH, (1, 2))
    assert audited.totals["claims"] == audited.totals["rejected"] == 0
    for closed, sealed in seals.items():
        assert office.seal_path(closed).read_bytes() == sealed
    check(office, BOTH)
    # And computed again, with another number of workers, it is the same day.
    again = run_clearing(office, last.settlement_day, BOTH, LocalEngine(2), NOW, CLERK)
    assert isinstance(again, RunResult)
    assert (again.is_closed, again.run.output_hash) == (True, last.output_hash)
    with make_office(tmp_path / "undisturbed") as other:
        undisturbed = Audited(other)
        for files in WEEK.days:
            undisturbed.receive(files, BOTH)
            undisturbed.close(BOTH, (1, 2))
        assert load_balances(office.database).items() >= {
            (name, fen)
            for name, fen in load_balances(other.database).items()
            if not name.startswith("clearing/")
        }
        assert undisturbed.totals == audited.totals
        gaps = [load_gaps(city.database, last.settlement_day) for city in (office, other)]
        assert [gap for gap in gaps[0] if gap.state == 1] == [g for g in gaps[1] if g.state == 1]


def test_two_versions_lost_at_once_come_back_one_after_the_other(office: City) -> None:
    street = Street()
    cards = [street.card(number, version) for number, version in ((1, 1), (2, 2), (3, 3))]
    audited = Audited(office)
    audited.receive([street.file([card.load(5000) for card in cards], OTHER_SENDER)], FIRST)
    audited.receive([street.file([card.bus() for card in cards])], FIRST)
    audited.close(FIRST, (1,))
    assert (audited.totals["accepted"], audited.totals["claims"]) == (2, 4)
    street.now += timedelta(days=1)
    audited.receive([street.file([card.bus() for card in cards])], FIRST)
    audited.close(BOTH, (1, 2))
    assert (audited.totals["accepted"], audited.totals["claims"]) == (6, 3)
    # The third comes back on a day without any file.
    audited.close(THIRD, (1, 2, 3))
    assert (audited.totals["accepted"], audited.totals["claims"]) == (9, 0)
    check(office, THIRD)


def test_a_copy_of_a_held_record_stays_a_copy_and_the_record_is_paid_once(office: City) -> None:
    street = Street()
    card = street.card(1, key_version=2)
    load, ride = card.load(5000), card.bus()
    audited = Audited(office)
    audited.receive([street.file([load, ride])], FIRST)
    audited.close(FIRST, (1,))
    street.now += timedelta(days=1)
    audited.receive([street.file([ride])], FIRST)
    audited.close(FIRST, (1,))
    assert (audited.totals["claims"], audited.totals["duplicates"]) == (2, 1)
    street.now += timedelta(days=1)
    audited.receive([street.file([ride, card.bus()])], BOTH)
    audited.close(BOTH, (1, 2))
    totals = [audited.totals[name] for name in ("accepted", "claims", "duplicates", "rejected")]
    assert totals == [3, 0, 2, 0]
    assert load_balances(office.database)["operator/101"] == -2 * 160
    street.now += timedelta(days=1)
    audited.receive([street.file([ride])], BOTH)
    audited.close(BOTH, (1, 2))
    assert audited.totals["duplicates"] == 3
    check(office, BOTH)


def forged(record: bytes) -> bytes:
    return encode_record(replace(decode_record(record), tac=b"\xba\xdc\x0d\xe5"))


@pytest.mark.parametrize("day", ["open", "closed"])
def test_a_forged_record_of_a_lost_version_is_a_claim_and_stays_one(office: City, day: str) -> None:
    street = Street()
    card = street.card(1, key_version=2)
    load, ride = card.load(5000), card.bus()
    receive(office, FIRST, street.file([load, forged(ride), card.bus()]))
    held = cleared(office, FIRST).run.totals
    assert (held["claims"], held["rejected"]) == (3, 0)
    claims = 1
    if day == "closed":
        close(office, FIRST)
        assert load_balances(office.database) == {}
        claims -= 3  # they are taken back where they stood
    totals = cleared(office, BOTH).run.totals
    assert (totals["accepted"], totals["claims"]) == (2, claims)
    close(office, BOTH)
    assert load_balances(office.database)["operator/101"] == -160
    last = load_closed_days(office.database)[-1].settlement_day
    # What the card paid for a ride that nobody can prove.
    assert [gap.price_fen for gap in load_gaps(office.database, last) if gap.state == 1] == [160]
    check(office, BOTH)


def receive(city: City, keys: KeyService, *files: bytes) -> None:
    for data in files:
        assert receive_file(city, data, keys, NOW).answer.is_kept


def cleared(city: City, keys: KeyService) -> RunResult:
    found = run_clearing(city, None, keys, ENGINE, NOW, CLERK)
    assert isinstance(found, RunResult)
    return found


def close(city: City, keys: KeyService) -> ClosedDay:
    found = close_day(city, None, keys, ENGINE, NOW, CLERK)
    assert isinstance(found, ClosedDay)
    return found


def test_a_key_that_comes_is_reason_enough_to_open_the_next_day(office: City) -> None:
    street = Street()
    card = street.card(1, key_version=2)
    receive(office, FIRST, street.file([card.load(5000), card.bus()]))
    first = close(office, FIRST)
    for keys in (FIRST, MISHELD):
        assert run_clearing(office, None, keys, ENGINE, NOW, CLERK) is DayAnswer.NOTHING_READY
        assert close_day(office, None, keys, ENGINE, NOW, CLERK) is DayAnswer.NOTHING_READY
    day = close(office, BOTH)
    assert day.settlement_day == first.settlement_day + timedelta(days=1)
    assert close_day(office, None, BOTH, ENGINE, NOW, CLERK) is DayAnswer.NOTHING_READY
    assert [(each.account, each.gross_debit_fen, each.gross_credit_fen) for each in load_positions(
        office.database, day.settlement_day
    )] == [
        ("card_float", 160, 5000), ("load_agent/900", 5000, 0), ("operator/101", 0, 160),
    ]  # fmt: skip
    check(office, BOTH)


def test_a_terminal_registered_late_is_paid_what_was_held_for_it(office: City) -> None:
    street = Street()
    card = street.card(1)
    load = card.load(5000)
    rides = [card.bus(terminal="0000000000b9") for _ in range(2)]
    audited = Audited(office)
    audited.receive([street.file([load, *rides])], FIRST)
    audited.close(FIRST, (1,))
    assert (audited.totals["accepted"], suspense_fen(office)) == (1, 320)
    # Its registered owner is paid, whoever sent it.
    row = TerminalRow("0000000000b9", METRO, "bus", collector=BUS)
    register(office.database, since_ever(row), ACTION)
    street.now += timedelta(days=1)
    audited.receive([street.file([card.bus(terminal="0000000000b8")])], FIRST)
    audited.close(FIRST, (1,))
    register(office.database, since_ever(TerminalRow("0000000000b8", BUS, "bus")), ACTION)
    audited.close(FIRST, (1,))
    assert (audited.totals["accepted"], audited.totals["suspended"]) == (4, 0)
    balances = load_balances(office.database)
    assert (balances["operator/101"], balances["operator/201"]) == (-160, -320)
    assert suspense_fen(office) == 0
    check(office, FIRST)


def test_a_held_record_with_a_strange_terminal_is_held_for_that_when_its_key_comes(
    office: City,
) -> None:
    street = Street()
    card = street.card(1, key_version=2)
    audited = Audited(office)
    audited.receive([street.file([card.load(5000), card.bus(terminal="0000000000b8")])], FIRST)
    audited.close(FIRST, (1,))
    audited.close(BOTH, (1, 2))
    history = explain(office, "0000000000b8-00000001").copies[0]
    assert history.decision is not None
    assert history.decision.reason is Reason.TERMINAL_UNKNOWN
    register(office.database, since_ever(TerminalRow("0000000000b8", BUS, "bus")), ACTION)
    audited.close(BOTH, (1, 2))
    assert (audited.totals["accepted"], suspense_fen(office)) == (2, 0)
    check(office, BOTH)


def test_the_story_says_when_and_why_a_record_was_decided_again(office: City) -> None:
    street = Street()
    card = street.card(1, key_version=2)
    receive(office, FIRST, street.file([card.load(5000), card.bus(), card.bus()]))
    first = close(office, FIRST)
    run_clearing(office, None, BOTH, ENGINE, NOW, CLERK)
    (copy,) = explain(office, RIDE).copies
    assert copy.decision is not None
    assert copy.decision.disposition is Disposition.ACCEPTED  # provisionally
    second = close(office, BOTH)
    (copy,) = explain(office, RIDE).copies
    assert [each.name for each in copy.steps] == [
        "tap", "file", "tac", "card",
        "decision", "ledger", "seal",
        "review", "decision", "ledger", "position", "seal",
    ]  # fmt: skip
    assert copy.steps[2].data["proof"] == "UNKNOWN_VERSION"
    assert copy.steps[3].data["joins"]  # its neighbours are proven by now, too
    assert copy.steps[4].data["reason"] == "KEY_VERSION_UNKNOWN"
    assert copy.steps[6].data["seal"] == first.seal
    review, decision, ledger = copy.steps[7:10]
    assert review.data == {
        "proof": "PROVEN",
        "settlement_day": second.settlement_day,
        "before": "KEY_VERSION_UNKNOWN",
    }
    assert str(second.settlement_day) in review.text.en
    assert decision.data["disposition"] == "ACCEPTED"
    assert ledger.data["postings"] == {"card_float": 160, "operator/101": -160}
    assert copy.steps[-1].data["seal"] == second.seal


def test_the_story_of_a_record_judged_before_its_day_closed_says_so_too(office: City) -> None:
    street = Street()
    card = street.card(1, key_version=2)
    receive(office, FIRST, street.file([card.load(5000), card.bus()]))
    run_clearing(office, None, FIRST, ENGINE, NOW, CLERK)
    run_clearing(office, None, BOTH, ENGINE, NOW, CLERK)
    for _ in range(2):
        (copy,) = explain(office, RIDE).copies
        assert [each.name for each in copy.steps][:6] == [
            "tap", "file", "tac", "card", "review", "decision",
        ]  # fmt: skip
        assert copy.decision is not None
        assert copy.decision.disposition is Disposition.ACCEPTED
        if not load_closed_days(office.database):
            close(office, BOTH)


def test_a_version_once_registered_never_gets_another_check_value(office: City) -> None:
    street = Street()
    card = street.card(1, key_version=2)
    receive(office, BOTH, street.file([card.load(5000)]))
    known = load_tac_keys(office.database)
    assert known == tac_keys(BOTH, SCHEME.name)
    with pytest.raises(RegistryConflictError):
        register(office.database, since_ever(*tac_keys(MISHELD, SCHEME.name)), ACTION)
    receive(office, MISHELD, street.file([card.bus()]))
    assert load_tac_keys(office.database) == known


CLEAR_STEPS = ("inputs_kept", "outputs_kept", "run_kept")


@pytest.mark.parametrize(
    ("job", "step"),
    [
        *(("clear", step) for step in CLEAR_STEPS),
        *(("close", step) for step in (*CLEAR_STEPS, "seal_kept", "day_kept")),
    ],
)
def test_killed_while_records_are_judged_again_a_repeat_gives_the_same(
    office: City, tmp_path: Path, job: str, step: str
) -> None:
    street = Street()
    cards = [street.card(number, 1 + number % 2) for number in range(1, 5)]
    monday = street.file([card.load(5000) for card in cards] + [card.bus() for card in cards])
    street.now += timedelta(days=1)
    tuesday = street.file([card.bus() for card in cards])
    with make_office(tmp_path / "undisturbed") as other:
        for city in (office, other):
            receive(city, FIRST, monday)
            close(city, FIRST)
            receive(city, FIRST, tuesday)
        clerk = start_clerk(office.folder, job, "--keys", "1", "2", "--kill-at", step)
        assert finish(clerk) == (-signal.SIGKILL, "")
        if step != "day_kept":
            assert cleared(office, BOTH) == cleared(other, BOTH)
            assert close(office, BOTH) == close(other, BOTH)
        else:
            close(other, BOTH)
        assert everything_stored(office) == everything_stored(other)
        # What a killed close could not sweep away any more is all there may be beside it.
        assert disk(other).items() <= disk(office).items()
        check(office, BOTH)


@pytest.mark.parametrize("amount_fen", range(700, 705))
def test_a_key_that_shows_itself_in_one_file_judges_the_others_at_once(
    office: City, amount_fen: int
) -> None:
    street = Street()
    # Whichever of the two has the lower hash, and so is asked about first.
    false = street.file([forged(street.card(9, 2).load(amount_fen))], OTHER_SENDER)
    receive(office, FIRST, false, street.file([street.card(1, 2).load(5000)]))
    totals = cleared(office, BOTH).run.totals
    assert (totals["accepted"], totals["claims"]) == (1, 1)


def test_whoever_sends_first_the_day_is_the_same(tmp_path: Path) -> None:
    street = Street()
    cards = [street.card(number, 2) for number in range(1, 5)]
    false = street.file([forged(street.card(9, 2).load(700))], OTHER_SENDER)
    true = street.file([card.load(5000) for card in cards])
    found = set()
    for number, files in enumerate([(false, true), (true, false)]):
        with make_office(tmp_path / str(number)) as city:
            # Only the true ones show that version 2 is the cards' key.
            receive(city, BOTH, *files)
            result = cleared(city, BOTH)
            found.add(result.run.output_hash)
            assert (result.run.totals["accepted"], result.run.totals["claims"]) == (4, 1)
            check(city, BOTH)
    assert len(found) == 1
