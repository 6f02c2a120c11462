"""Loads as an office sees them: its log, its closed days and open files; what does not match."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from cardcore.records.record import decode_record, encode_record
from settlement.city import City
from settlement.loads.ages import LoadLine
from settlement.loads.standings import LoadEvidence, LoadStanding
from settlement.registry.decide import Decided
from settlement.reports.loads import read_load, read_loads
from settlement.service.receive import receive_file
from settlement.service.registering import change_row
from tests.settlement.device_files import (
    ACTION,
    AGENT,
    BUS,
    DAY,
    KIOSK,
    NOW,
    OTHER_SENDER,
    Street,
    key_service,
    make_office,
)
from tests.settlement.intake.test_intake import disk
from tests.settlement.load_logs import Host, register_host
from tests.settlement.service.test_service import close, receive

KEYS = key_service()
EVENING = datetime(2018, 9, 1, 23)  # noqa: DTZ001 - the host's wall clock
TOMORROW = DAY + timedelta(days=1)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[City]:
    with make_office(tmp_path / "city") as city:
        register_host(city)
        yield city


def standings(lines: tuple[LoadLine, ...]) -> list[LoadStanding]:
    return [each.judged.standing for each in lines]


def log_until(city: City, host: Host, created_at: datetime = EVENING) -> None:
    """The host sends what it has; on an empty day one entry of nobody's card lets its log reach."""
    if host.filed == len(host.entries):
        host.allow(card_number=f"{99:020}", time=created_at)
    receive(city, host.file(created_at))


def test_loads_match_in_open_files_and_in_closed_days_alike(office: City) -> None:
    street, host = Street(), Host()
    cards = [street.card(number) for number in range(1, 5)]
    loads = [card.load(1000 * number) for number, card in enumerate(cards, start=1)]
    for record in loads:
        host.allow_record(record)
    log_until(office, host)
    receive(office, street.file(loads))
    open_report = read_loads(office)
    assert standings(open_report.lines) == [LoadStanding.CONFIRMED] * 4
    assert open_report.unmatched == ()
    before = disk(office)
    close(office)
    closed = read_loads(office)
    assert [each.judged.evidence for each in closed.lines] == [LoadEvidence.TAC] * 4
    assert (closed.unmatched, closed.older) == ((), 0)
    (figures,) = closed.figures
    assert (figures.agent, figures.loads, figures.amount_fen) == (AGENT, 4, 10_000)
    assert closed.agents.keys() == {AGENT}
    assert disk(office).items() >= before.items()


def test_allowed_and_never_recorded_is_listed_by_age_and_agent(office: City) -> None:
    street, host = Street(), Host()
    record = street.card(1).load(1000)
    host.allow_record(record)
    host.allow(card_number=f"{2:020}", amount_fen=5000)
    log_until(office, host)
    receive(office, street.file([record]))
    close(office)
    receive(office, street.file([], business_day=DAY + timedelta(days=9)))
    close(office, DAY + timedelta(days=9))
    report = read_loads(office)
    (line,) = report.unmatched
    assert (line.judged.standing, line.age_days) == (LoadStanding.ALLOWED_ONLY, 9)
    assert (line.agent, line.judged.amount_fen) == (AGENT, 5000)
    assert [(each.standing, each.unmatched_fen, each.oldest_days) for each in report.figures] == [
        (LoadStanding.CONFIRMED, 0, 0),
        (LoadStanding.ALLOWED_ONLY, 5000, 9),
    ]


def test_recorded_and_never_allowed_is_a_contradiction(office: City) -> None:
    street, host = Street(), Host()
    forged = street.card(1).load(50_000)
    receive(office, street.file([forged]))
    assert standings(read_loads(office).unmatched) == [LoadStanding.LOG_AWAITED]
    close(office)
    log_until(office, host)
    assert LoadStanding.NEVER_ALLOWED not in standings(read_loads(office).lines)
    log_until(office, host, EVENING + timedelta(days=1))
    alarms = [each for each in read_loads(office).lines if each.judged.standing.is_alarm]
    assert standings(tuple(alarms)) == [LoadStanding.NEVER_ALLOWED]
    assert alarms[0].judged.amount_fen == 50_000


@pytest.mark.parametrize(
    "changes",
    [
        {"terminal_serial": 77},
        {"hotlist_version": 6},
        {"issuer": bytes(8)},
        {"operator": 777},
        {"balance_before_fen": 1},
    ],
)
def test_a_load_sent_twice_with_one_unsigned_byte_changed_is_one_load(
    office: City, changes: dict[str, object]
) -> None:
    street, host = Street(), Host()
    record = street.card(1).load(10_000)
    other = encode_record(replace(decode_record(record), **changes))  # type: ignore[arg-type]
    host.allow_record(record)
    log_until(office, host)
    receive(office, street.file([record]), street.file([other], OTHER_SENDER))
    for _ in range(2):
        (line,) = read_loads(office).lines
        assert (line.judged.standing, line.judged.amount_fen) == (LoadStanding.CONFIRMED, 10_000)
        if not office.seal_path(DAY).exists():
            close(office)


def test_a_record_without_a_tac_proves_nothing_until_the_card_comes_again(office: City) -> None:
    street, host = Street(), Host()
    card = street.card(1)
    record = card.load(5000)
    host.allow_record(record)
    spoilt = encode_record(replace(decode_record(record), tac=b"\0\0\0\0"))
    receive(office, street.file([spoilt]))
    log_until(office, host)
    assert standings(read_loads(office).unmatched) == [LoadStanding.RECORDED]
    close(office)
    assert standings(read_loads(office).unmatched) == [LoadStanding.RECORDED]
    host.allow_record(card.load(700))
    log_until(office, host, EVENING + timedelta(days=1))
    first, second = (each.judged for each in read_loads(office).lines)
    assert (first.standing, first.evidence) == (LoadStanding.CONFIRMED, LoadEvidence.LATER_MAC1)
    assert second.standing is LoadStanding.ALLOWED_ONLY


def test_void_by_a_later_mac1_with_an_unchanged_counter(office: City) -> None:
    street, host = Street(), Host()
    record = street.card(1).load(5000)
    host.allow_record(record, random=b"torn", time=street.now - timedelta(minutes=9))
    host.allow_record(record)
    log_until(office, host)
    receive(office, street.file([record]))
    void, true = (each.judged for each in read_loads(office).lines)
    assert (void.standing, true.standing) == (LoadStanding.VOID, LoadStanding.CONFIRMED)
    assert (void.is_matched, true.is_matched) == (True, True)


def test_the_agent_is_who_owned_the_terminal_on_the_day_of_the_load(office: City) -> None:
    changed = change_row(office, ("terminal", KIOSK), {"participant": BUS}, TOMORROW, None, ACTION)
    assert isinstance(changed, Decided)
    host = Host()
    for number in (0, 1, 2):
        day = timedelta(days=number)
        host.allow(card_number=f"{number:020}", time=datetime(2018, 9, 1, 8) + day)  # noqa: DTZ001
    host.allow(card_number=f"{9:020}", terminal="0000000000ff")
    log_until(office, host, EVENING + timedelta(days=3))
    agents = {each.judged.card_number: each.agent for each in read_loads(office).lines}
    assert [agents[f"{number:020}"] for number in (0, 1, 2, 9)] == [AGENT, BUS, BUS, None]


@pytest.mark.parametrize("year", [1999, 2099])
def test_no_clock_of_a_kiosk_hides_a_load(office: City, year: int) -> None:
    host = Host()
    host.allow(time=datetime(year, 1, 1))  # noqa: DTZ001
    log_until(office, host)
    (line,) = read_loads(office).lines
    assert (line.judged.standing, line.age_days) == (LoadStanding.ALLOWED_ONLY, 0)


def test_nothing_behind_a_hole_of_the_log_is_read(office: City) -> None:
    host = Host()
    for number in range(4):
        host.allow(card_number=f"{number:020}")
    receive(office, host.file_of(0, 1, EVENING), host.file_of(2, 4, EVENING))
    report = read_loads(office)
    assert len(report.lines) == 1
    assert [each.missing for each in report.logs] == [((2, 2),)]
    receive(office, host.file_of(1, 2, EVENING))
    assert len(read_loads(office).lines) == 4


def test_a_record_that_comes_long_after_its_load_is_no_contradiction(office: City) -> None:
    street, host = Street(), Host()
    record = street.card(1).load(5000)
    host.allow_record(record)
    log_until(office, host)
    late = DAY + timedelta(days=80)
    log_until(office, host, EVENING + timedelta(days=81))
    receive_file(office, street.file([record], business_day=late), KEYS, NOW + timedelta(days=80))
    close(office, late)
    report = read_loads(office, late - timedelta(days=5), late + timedelta(days=5))
    assert LoadStanding.NEVER_ALLOWED not in standings(report.lines)
    assert report.older == 1
    assert LoadStanding.CONFIRMED in standings(read_loads(office).lines)


def test_one_load_is_shown_with_the_others_of_its_purse(office: City) -> None:
    host = Host()
    host.allow(amount_fen=5000)
    host.allow(card_number=f"{2:020}")
    host.allow(online_counter=1, balance_before_fen=4000, amount_fen=100)
    log_until(office, host)
    found = read_load(office, 1)
    assert found is not None
    assert (found.line.judged.standing, found.line.judged.evidence) == (
        LoadStanding.CONFIRMED, LoadEvidence.LATER_MAC1,
    )  # fmt: skip
    assert [each.judged.logged.load.number for each in found.purse if each.judged.logged] == [1, 3]
    assert read_load(office, 9) is None
    assert read_load(office, 1, "0" * 16) is None


def test_an_office_that_knows_no_day_has_no_loads(office: City) -> None:
    report = read_loads(office)
    assert (report.lines, report.logs, report.as_of) == ((), (), None)
    assert read_loads(office, date(2018, 1, 1), date(9999, 12, 31)).lines == ()


def test_any_days_may_be_asked_for(office: City) -> None:
    host = Host()
    host.allow()
    log_until(office, host)
    assert len(read_loads(office, DAY, date.max).lines) == 1
    assert read_loads(office, date.min, DAY - timedelta(days=1)).lines == ()
