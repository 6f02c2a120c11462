"""A card of the pool from the issuing desk to the sealed day, with nothing but catalogues.

Run as a program inside a tree that has the four files in their places; prints what came of it.
"""

import json
import sys
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import cardcore
from api.composition import PSAM_KEY_INDEX, CityKeys, open_city_keys
from api.settings import Settings
from api.simulation.single_card import issue_card
from api.simulation.virtual_city import SECOND_TRY, TornAtDebit
from cardcore.applets.catalogue import application_named
from cardcore.chip.card import Card
from cardcore.digits import encode_bcd
from cardcore.issuing.orders import CardOrder
from cardcore.issuing.personalisation import make_plan
from cardcore.issuing.products import parse
from cardcore.key_labels import application_label, load_host_label
from cardcore.keys import KeyUsage, ProofReason, TacColumn
from cardcore.layouts.transit import CardProperties, PublicInformation
from cardcore.records.load_log import decode_load_log
from cardcore.records.record import TransactionRecord, encode_record
from cardcore.records.tac import tac_message
from cardcore.schemes import Scheme
from settlement.city import City, create_own_city
from settlement.days.closing import ClosedDay
from settlement.engine.local import LocalEngine
from settlement.people.actions import Action, Actor
from settlement.reports.days import read_balances
from settlement.reports.history import explain
from settlement.reports.registry import read_registry
from settlement.reports.statement import read_statement
from settlement.service.clear import RunResult, run_clearing
from settlement.service.close import close_day
from settlement.service.receive import receive_file
from settlement.verification.verify import verify
from terminals.device import NO_PSAM
from terminals.journal.journal import Journal
from terminals.journal.load_log import LoadLog
from terminals.link.connection import InProcessConnection
from terminals.partners import PARTNERS
from terminals.partners.ports import PartnerSetting
from terminals.roles import ROLES
from terminals.tap.terminal import Identity, Terminal, make_device, read_psam
from terminals.taps import Fare, Hotlist, Place, TapRequest
from tests.support.collectors import Site, moment, register_sites, signed_files

DAY, POOL = date(2026, 9, 1), 601
CLOSING = datetime(2026, 9, 2, 1, tzinfo=UTC)
ACTION = Action(Actor("李雷"), CLOSING, "the city gets a pool")
GATE, DESK = Site("000601000001", "pool-gate", POOL), Site("000601000002", "pool-desk", POOL)
#: What the city says of itself: its scheme and its products are data.
PARTICIPANT = """
[[participant]]
code = 601
name = "湖滨泳池"
kind = "operator"
sector = 88
senders = [601]

[[card_numbers]]
application = "swimming"
prefix = "0310"
issuer = "02153310FFFFFFFF"
"""
PRODUCT = """
name = "swimmer"
title = "泳客卡"
holder = "anonymous"
card_kind = 1
channel_level = 0x33

[keys]
version = 1
algorithm = 1

[applications.transit]
form = "t-union"
records = ["metro", "bus"]
concession = "adult"
overdraft_limit_fen = 0

[applications.swimming]
balance_max_fen = 50000
"""
#: Site, amount, and whether the card is torn out at DEBIT and held there again.
STORY = (
    (DESK, 30_001, False),
    (DESK, 10_000, False),
    (GATE, 3_001, True),
    (GATE, 2_999, False),
    (GATE, 4_001, False),
)


def own_scheme() -> bytes:
    """The scheme of the demonstration, called otherwise, with a pool."""
    text = resources.files("cardcore.schemes").joinpath("demo.toml").read_text(encoding="utf-8")
    return (text.replace('name = "demo"', 'name = "lakeside"', 1) + PARTICIPANT).encode()


def new_card(scheme: Scheme, keys: CityKeys) -> Card:
    """Made as at a desk: packages and keys over SCP03."""
    public = PublicInformation(
        issuer=scheme.issuer,
        application_type=2,
        application_version=1,
        card_number=f"0310{scheme.city_code}000000000041",
        valid_from=date(2026, 1, 1),
        valid_to=date(2035, 12, 31),
    )
    order = CardOrder(public, CardProperties(city=scheme.city_code))
    return issue_card(keys, make_plan(parse(PRODUCT), order, scheme.name))


def tap_all(
    scheme: Scheme, keys: CityKeys, journal: Journal, log: LoadLog
) -> tuple[list[str], list[TransactionRecord]]:
    """The day at the pool: outcomes in words, and the records."""
    psam = InProcessConnection(keys.new_psam(scheme, GATE.terminal, "swimming"))
    club = PARTNERS["swimming-club"].start(PartnerSetting(keys.service, scheme.name, log))
    desk = Identity(DESK.terminal, NO_PSAM, PSAM_KEY_INDEX)
    gate = read_psam(psam)
    devices = {
        DESK: Terminal(ROLES[DESK.role], make_device(desk, scheme, POOL, Hotlist()), journal, club),
        GATE: Terminal(ROLES[GATE.role], make_device(gate, scheme, POOL, Hotlist()), journal, psam),
    }
    card, said, records = new_card(scheme, keys), [], []
    for number, (site, amount_fen, torn) in enumerate(STORY):
        request = TapRequest(str(number), Fare(amount_fen, amount_fen), Place(), DAY)
        now = moment(DAY, "10:00") + timedelta(minutes=number)
        if torn:
            devices[site].tap(TornAtDebit(InProcessConnection(card)), request, now)
            now += SECOND_TRY
        result = devices[site].tap(InProcessConnection(card), request, now)
        devices[site].sign_records()
        said.append(f"{site.role} {amount_fen} {result.outcome.name}")
        if result.record is not None:
            records.append(result.record)
    return said, records


def proof(record: TransactionRecord, label: str, keys: CityKeys) -> str:
    """What the key service says of a TAC under one label."""
    message = tac_message(encode_record(record))
    column = TacColumn(
        algorithms=bytes((record.algorithm,)),
        key_versions=bytes((record.key_version,)),
        factors=encode_bcd(record.card_number[-16:], 8),
        messages=message,
        message_bytes=len(message),
        tacs=record.tac,
    )
    return ProofReason(keys.service.prove_tacs(label, column)[0]).name


def allowed_loads(log: LoadLog, scheme: Scheme, keys: CityKeys) -> list[list[int]]:
    """What the load host's signed file says that it allowed: application and amount."""
    key = keys.key_to_make(KeyUsage.FILE_SIGNING, load_host_label(scheme.name)).ref
    first = log.plan_file(key_version=key.version, now=moment(DAY, "22:00"))
    assert first is not None
    data = log.build_file(first, partial(keys.service.sign, key))
    found = decode_load_log(data, keys.service.public_key(key))
    return [[each.application, each.amount_fen] for each in found.loads]


def settle(city: City, keys: CityKeys, files: list[bytes]) -> Mapping[str, Any]:
    """Receive, clear, close, verify; what everything then says."""
    answers = [receive_file(city, data, keys.service, CLOSING).answer.name for data in files]
    engine = LocalEngine(1)
    later = CLOSING + timedelta(hours=1)
    run = run_clearing(city, DAY, keys.service, engine, later, ACTION.by)
    closed = close_day(city, DAY, keys.service, engine, later, ACTION.by)
    assert isinstance(run, RunResult), run
    assert isinstance(closed, ClosedDay), closed
    found = verify(city, keys.service, engine)
    statement = read_statement(city, [DAY])
    return {
        "answers": answers,
        "output_hashes": [run.run.output_hash, closed.output_hash],
        "totals": statement.totals,
        "applications": {name: asdict(each) for name, each in statement.applications.items()},
        "sectors": {name: asdict(each) for name, each in statement.sectors.items()},
        "balances": read_balances(city),
        "invariants": found.invariants,
        "findings": [each.text.en for each in found.findings],
        "keys": [each.row.label for each in read_registry(city).tac_keys],
    }


def drive(folder: Path) -> Mapping[str, Any]:
    """The whole road in an empty folder."""
    with create_own_city(folder / "city", own_scheme(), "lakeside.toml", ACTION, 2) as city:
        keys, scheme = open_city_keys(Settings(), city.scheme), city.scheme
        register_sites(city, keys, (GATE, DESK), ACTION)
        with (
            Journal.open(folder / "pool.sqlite", sender=POOL) as journal,
            LoadLog.open(folder / "loads.sqlite", issuer=scheme.issuer) as log,
        ):
            said, records = tap_all(scheme, keys, journal, log)
            allowed = allowed_loads(log, scheme, keys)
            files = list(signed_files(journal, keys, moment(DAY, "22:00"), folder / "outbox"))
        own = application_label(scheme.name, application_named("swimming").key_ending)
        settled = settle(city, keys, files)
        histories = [explain(city, each.id).copies[0].steps for each in records]
        return {
            "origin": cardcore.__file__,
            "taps": said,
            "allowed": allowed,
            "records": [
                [each.kind.name, each.application, each.sector, each.amount_fen, each.counter]
                for each in records
            ],
            "proofs": [
                [proof(each, label, keys) for label in (own, scheme.name)] for each in records
            ],
            "histories": [
                [[step.name, step.text.en, step.data] for step in steps] for steps in histories
            ],
            **settled,
        }


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.stdout.write(json.dumps(drive(Path(sys.argv[1])), default=str, ensure_ascii=False))
