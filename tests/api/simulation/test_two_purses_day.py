"""One citizen card, two purses, one day: it rides a bus and eats in a canteen, both torn once, and
the day closes with both chains whole. From the chip to the seal, and nothing of it is played.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import duckdb
import pytest

from api.composition import PSAM_KEY_INDEX, CityKeys, open_city_keys
from api.settings import Settings
from api.simulation.single_card import issue_card, sample_plan
from api.simulation.virtual_city import SECOND_TRY, TornAtDebit
from cardcore.chip.card import Card
from cardcore.keys import InsecureKeyServiceWarning, ProofReason
from cardcore.records.kinds import RecordFlag, RecordKind
from cardcore.records.record import FIELD, TransactionRecord
from cardcore.schemes.catalogue import SCHEMES
from settlement.city import City, create_city
from settlement.days.closing import ClosedDay
from settlement.dispositions import Note, Reason, RecordMac
from settlement.engine.local import LocalEngine
from settlement.people.actions import Action, Actor
from settlement.reports.days import read_balances
from settlement.reports.history import explain
from settlement.reports.statement import Statement, read_statement
from settlement.service.close import close_day
from settlement.service.receive import receive_file
from settlement.verification.verify import verify
from terminals.device import NO_PSAM
from terminals.journal.journal import Journal
from terminals.journal.load_log import LoadLog
from terminals.link.connection import CardConnection, InProcessConnection
from terminals.partners import PARTNERS, PSAM
from terminals.partners.ports import Authoriser, PartnerSetting
from terminals.roles import ROLES
from terminals.tap.terminal import Identity, Terminal, make_device, read_psam
from terminals.taps import Fare, Hotlist, Place, TapOutcome, TapRequest
from tests.support.collectors import Site, moment, register_sites, rewritten, signed_files

SCHEME = SCHEMES["demo"]
DAY = date(2026, 3, 2)
CLOSING = datetime(2026, 3, 3, 1, tzinfo=UTC)
CLERK = Actor("李雷")
BUS = Site("000101000001", "bus", 101)
CANTEEN = Site("000502000001", "canteen", 502)
KIOSK = Site("000901000001", "kiosk", 901)
SITES = (BUS, CANTEEN, KIOSK)
TRANSIT, MICROPAYMENT = 0, 1


class Tap(NamedTuple):
    """One line of the day. `purse` is what the kiosk is asked to load."""

    clock: str
    site: Site
    tariff_fen: int
    amount_fen: int
    torn: bool = False
    purse: str = ""


# Both purses begin at counter 0 and are torn at their first debit: what names one card, one
# counter and one terminal's torn tap would find the other purse's. Then they differ.
STORY = (
    Tap("08:00", KIOSK, 10_000, 10_000, purse="transit"),
    Tap("08:01", KIOSK, 5_000, 5_000, purse="purse"),
    Tap("08:10", BUS, 200, 180, torn=True),
    Tap("12:00", CANTEEN, 1_500, 1_500, torn=True),
    Tap("12:20", CANTEEN, 300, 300),
    Tap("18:00", BUS, 200, 180),
    Tap("18:30", CANTEEN, 1_200, 1_200),
)
TRANSIT_FEN, MICROPAYMENT_FEN = 10_000 - 2 * 180, 5_000 - 1_500 - 300 - 1_200
RIDES_FEN, MEALS_FEN = 2 * 180, 1_500 + 300 + 1_200


@dataclass(frozen=True, slots=True)
class Street:
    """What the day left outside: the card, its records in order, and the files of collectors."""

    card: Card
    number: str
    records: tuple[TransactionRecord, ...]
    files: Mapping[int, bytes]


@pytest.fixture(scope="module")
def keys() -> CityKeys:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureKeyServiceWarning)
        return open_city_keys(Settings(), SCHEME)


@pytest.fixture(scope="module")
def street(keys: CityKeys, tmp_path_factory: pytest.TempPathFactory) -> Street:
    folder = tmp_path_factory.mktemp("street")
    plan = sample_plan(SCHEME, "citizen")
    card = issue_card(keys, plan)
    with ExitStack() as stack:
        log = stack.enter_context(LoadLog.open(folder / "loads.sqlite", issuer=SCHEME.issuer))
        journals = {
            site: stack.enter_context(
                Journal.open(folder / f"{site.participant}.sqlite", sender=site.participant)
            )
            for site in SITES
        }
        devices = {site: a_device(site, keys, journals[site], log) for site in SITES}
        records = tuple(
            tap(card, devices[line.site], line, str(number)) for number, line in enumerate(STORY)
        )
        files = {
            site.participant: data
            for site, journal in journals.items()
            for data in signed_files(journal, keys, moment(DAY, "23:59"), folder / "outbox")
        }
    return Street(card, plan.order.public.card_number, records, files)


def a_device(site: Site, keys: CityKeys, journal: Journal, log: LoadLog) -> Terminal:
    role = ROLES[site.role]
    partner: CardConnection | Authoriser
    if role.partner == PSAM:
        psam = keys.new_psam(SCHEME, site.terminal, role.applications[0])
        partner, identity = InProcessConnection(psam), read_psam(psam)
    else:
        assert role.partner is not None
        setting = PartnerSetting(keys.service, SCHEME.name, log)
        partner = PARTNERS[role.partner].start(setting)
        identity = Identity(site.terminal, NO_PSAM, PSAM_KEY_INDEX)
    return Terminal(
        role, make_device(identity, SCHEME, site.participant, Hotlist()), journal, partner
    )


def tap(card: Card, device: Terminal, line: Tap, name: str) -> TransactionRecord:
    request = TapRequest(
        name, Fare(line.tariff_fen, line.amount_fen), Place(), DAY, application=line.purse
    )
    now = moment(DAY, line.clock)
    if line.torn:
        torn = device.tap(TornAtDebit(InProcessConnection(card)), request, now)
        assert torn.outcome is TapOutcome.CARD_REMOVED
        now += SECOND_TRY
    result = device.tap(InProcessConnection(card), request, now)
    assert result.outcome is (TapOutcome.RECOVERED if line.torn else TapOutcome.APPROVED)
    device.sign_records()
    assert result.record is not None
    return result.record


@pytest.fixture
def city(tmp_path: Path, keys: CityKeys) -> Iterator[City]:
    action = Action(CLERK, CLOSING, "for a test")
    with create_city(tmp_path / "city", SCHEME.name, action, bucket_count=2) as opened:
        register_sites(opened, keys, SITES, action)
        yield opened


def settle(city: City, keys: CityKeys, *files: bytes) -> Statement:
    """The files received, the day closed, everything proven again from the raw bytes."""
    for data in files:
        answer = receive_file(city, data, keys.service, CLOSING)
        assert answer.answer.is_kept, answer
    engine = LocalEngine(1)
    closed = close_day(city, DAY, keys.service, engine, CLOSING + timedelta(hours=1), CLERK)
    assert isinstance(closed, ClosedDay), closed
    found = verify(city, keys.service, engine)
    assert found.is_sound, found.findings
    return read_statement(city, [DAY])


def rows(city: City, pattern: str, columns: str) -> list[tuple[object, ...]]:
    with duckdb.connect() as connection:
        return connection.execute(
            f"SELECT {columns} FROM read_parquet($path) ORDER BY ALL",
            {"path": str(city.folder / pattern)},
        ).fetchall()


def balances(city: City) -> dict[str, int]:
    """What every account holds, without those that ended at zero."""
    return {account: fen for account, fen in read_balances(city).items() if fen}


def purses(city: City) -> list[tuple[object, ...]]:
    """Both purses as the closed day left them."""
    columns = "application, balance_fen, next_offline, next_online, gap_count"
    return rows(city, "runs/*/*/buckets/*/cards.parquet", columns)


def reasons(city: City) -> list[tuple[object, ...]]:
    columns = "application, kind, counter, reason, notes"
    return rows(city, "runs/*/*/buckets/*/decisions.parquet", columns)


def test_a_card_rides_and_eats_and_the_day_closes_with_both_chains_whole(
    city: City, keys: CityKeys, street: Street
) -> None:
    statement = settle(city, keys, *street.files.values())
    totals = statement.totals
    assert (totals["records"], totals["accepted"], totals["gaps_open"]) == (7, 7, 0)
    assert totals["notes"] == {"recovered": 2}
    assert purses(city) == [
        (TRANSIT, TRANSIT_FEN, 2, 1, 0),
        (MICROPAYMENT, MICROPAYMENT_FEN, 3, 1, 0),
    ]
    assert totals["float_fen"] == totals["card_balance_fen"] == TRANSIT_FEN + MICROPAYMENT_FEN
    assert {name: each.charged_fen for name, each in statement.applications.items()} == {
        "transit": RIDES_FEN,
        "purse": MEALS_FEN,
    }
    assert balances(city) == {
        "card_float": -TRANSIT_FEN - MICROPAYMENT_FEN,
        "load_agent/901": 15_000,
        "operator/101": -RIDES_FEN,
        "operator/502": -MEALS_FEN,
    }


def test_every_record_is_proven_by_its_purse_and_every_debit_by_its_psam(
    city: City, keys: CityKeys, street: Street
) -> None:
    settle(city, keys, *street.files.values())
    found = rows(city, "facts/*/*.parquet", "application, kind, proof, record_mac")
    load, debit, proven = RecordKind.LOAD, RecordKind.PURCHASE, ProofReason.PROVEN
    assert found == [
        *[(TRANSIT, load, proven, RecordMac.NONE)],
        *[(TRANSIT, debit, proven, RecordMac.HELD)] * 2,
        *[(MICROPAYMENT, load, proven, RecordMac.NONE)],
        *[(MICROPAYMENT, debit, proven, RecordMac.HELD)] * 3,
    ]


def test_each_torn_tap_was_recovered_by_its_own_purse(street: Street) -> None:
    recovered = [each for each in street.records if RecordFlag.RECOVERED in each.flags]
    assert [(each.application, each.counter, each.operator) for each in recovered] == [
        (TRANSIT, 0, BUS.participant),
        (MICROPAYMENT, 0, CANTEEN.participant),
    ]
    assert {each.card_number for each in street.records} == {street.number}


def test_the_history_of_a_meal_follows_the_purse_it_was_paid_from(
    city: City, keys: CityKeys, street: Street
) -> None:
    settle(city, keys, *street.files.values())
    meals = [each for each in street.records if each.operator == CANTEEN.participant]
    (copy,) = explain(city, meals[1].id).copies
    card = next(step.data for step in copy.steps if step.name == "card")
    # A ride lies between the second meal and the third; it is another chain.
    assert (card["before"], card["after"], card["joins"]) == (meals[0].id, meals[2].id, True)


def test_a_record_mac_altered_by_the_collector_is_noted_and_the_money_is_paid(
    city: City, keys: CityKeys, street: Street
) -> None:
    def alter(number: int, record: bytearray) -> None:
        if number == 1:
            record[FIELD["mac"].offset] ^= 1

    files = dict(street.files)
    files[CANTEEN.participant], _ = rewritten(files[CANTEEN.participant], keys, alter)
    totals = settle(city, keys, *files.values()).totals
    assert (totals["accepted"], totals["gaps_open"]) == (7, 0)
    assert totals["notes"] == {"recovered": 2, "record_mac_wrong": 1}
    noted = [each for each in reasons(city) if each[-1] == Note.RECORD_MAC_WRONG]
    assert noted == [(MICROPAYMENT, RecordKind.PURCHASE, 1, Reason.NONE, Note.RECORD_MAC_WRONG)]
    assert balances(city)["operator/502"] == -MEALS_FEN


def test_a_claim_altered_by_the_collector_breaks_the_record_mac_and_moves_nothing_else(
    city: City, keys: CityKeys, street: Street
) -> None:
    """Nobody's card signs the line of a bus; its PSAM does."""

    def alter(number: int, record: bytearray) -> None:
        if number == 1:
            record[FIELD["line"].offset + 3] ^= 1

    files = dict(street.files)
    files[BUS.participant], _ = rewritten(files[BUS.participant], keys, alter)
    totals = settle(city, keys, *files.values()).totals
    assert totals["notes"] == {"recovered": 2, "record_mac_wrong": 1}
    assert balances(city)["operator/101"] == -RIDES_FEN


def test_records_of_one_purse_are_not_those_of_the_other(
    city: City, keys: CityKeys, street: Street
) -> None:
    """Called transit, the meals name counters that the rides have used. Their TACs were made under
    the other purse's keys: nothing of them is accepted, and no ride is held for them.
    """

    def rename(_: int, record: bytearray) -> None:
        record[FIELD["application"].offset] = TRANSIT

    files = dict(street.files)
    files[CANTEEN.participant], before = rewritten(files[CANTEEN.participant], keys, rename)
    assert {each[FIELD["application"].offset] for each in before} == {MICROPAYMENT}
    totals = settle(city, keys, *files.values()).totals
    refused = [(TRANSIT, RecordKind.PURCHASE, counter, Reason.TAC_WRONG, 0) for counter in range(3)]
    assert [each for each in reasons(city) if each[3] != Reason.NONE] == refused
    assert (totals["accepted"], totals["claims"]) == (4, 3)
    assert balances(city) == {
        "card_float": -TRANSIT_FEN - 5_000,
        "load_agent/901": 15_000,
        "operator/101": -RIDES_FEN,
    }
    assert purses(city) == [(TRANSIT, TRANSIT_FEN, 2, 1, 0), (MICROPAYMENT, 5_000, 0, 1, 0)]
