"""The keys of a city are rotated in the middle of its week: real cards, PSAMs and terminals of both
versions, side by side until the end.
"""

import warnings
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from api.composition import CityKeys, LocalPsams, city_key_refs
from api.simulation.demonstration import plan_demonstration
from api.simulation.drive import drive
from api.simulation.plan import Plan
from cardcore.key_labels import sender_label
from cardcore.keys import Algorithm, InsecureKeyServiceWarning, KeyRef, KeyState, KeyUsage
from cardcore.records.batch import decode_batch
from cardcore.records.record import RECORD_BYTES, decode_record
from hsm_sim.keys.in_process import InProcessKeyService
from hsm_sim.keys.published_keys import published_key, published_vault
from hsm_sim.keys.vault import KeyVault
from settlement.city import City, create_city
from settlement.engine.local import LocalEngine
from settlement.reports.statement import read_statement
from settlement.verification.verify import verify
from tests.settlement.device_files import ACTION

FIRST_DAY, DAYS, ROTATED_ON = date(2026, 9, 7), 5, date(2026, 9, 10)
OLD, NEW = 10, 8
ROTATED = (KeyUsage.PURCHASE, KeyUsage.LOAD, KeyUsage.TAC)
ENGINE = LocalEngine(1)


def week() -> tuple[Plan, Plan]:
    """The days before the rotation, and the whole week: old cards go on, new ones are issued, and
    every record is proven and to be paid.
    """
    old = plan_demonstration(3, OLD, DAYS, FIRST_DAY)
    later = plan_demonstration(3, OLD + NEW, DAYS - 3, ROTATED_ON)
    known = {each.number for each in old.cards}
    cards = tuple(each for each in later.cards if each.number not in known)
    assert len(cards) == NEW
    numbers = {each.number for each in cards}
    taps = [*old.taps, *(tap for tap in later.taps if tap.card in numbers)]
    whole = replace(
        old,
        fingerprint="a week with a rotation",
        cards=(*old.cards, *cards),
        taps=tuple(replace(tap, forged_fen=0) for tap in sorted(taps, key=lambda tap: tap.time)),
        lost={},
    )
    before = replace(
        whole,
        cards=old.cards,
        taps=tuple(tap for tap in whole.taps if tap.settlement_day < ROTATED_ON),
    )
    return before, whole


def rotate(vault: KeyVault, algorithm: Algorithm) -> None:
    for usage in ROTATED:
        ref = KeyRef(usage, "demo", 2)
        vault.install(ref, published_key(ref), algorithm)
        vault.move(ref._replace(version=1), KeyState.RETIRING)


def city_keys_of(vault: KeyVault) -> CityKeys:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureKeyServiceWarning)
        return CityKeys(InProcessKeyService(vault), LocalPsams(vault))


def run(city: City, keys: CityKeys, plan: Plan) -> None:
    drive(city, keys, plan, ENGINE, lambda _stage, _steps: None)


def uploaded(folder: Path, keys: CityKeys) -> Counter[tuple[int, int, bool]]:
    """Version and algorithm of every uploaded record, and whether its day is after the rotation."""
    found: Counter[tuple[int, int, bool]] = Counter()
    for path in (folder / "outbox").rglob("*.ocb"):
        ref = KeyRef(KeyUsage.FILE_SIGNING, sender_label(int(path.parent.name)), 1)
        batch = decode_batch(path.read_bytes(), keys.service.public_key(ref))
        for start in range(0, len(batch.records), RECORD_BYTES):
            record = decode_record(batch.records[start : start + RECORD_BYTES])
            late = record.business_day >= ROTATED_ON
            found[record.key_version, record.algorithm, late] += 1
    return found


@pytest.mark.parametrize("algorithm", [Algorithm.PBOC_3DES, Algorithm.SM4])
def test_a_week_with_a_rotation_in_the_middle_proves_every_record(
    tmp_path: Path, algorithm: Algorithm
) -> None:
    before, whole = week()
    vault = published_vault(city_key_refs(whole.scheme))
    keys = city_keys_of(vault)
    with create_city(tmp_path / "city", "demo", ACTION, bucket_count=1) as city:
        run(city, keys, before)
        rotate(vault, algorithm)
        run(city, keys, whole)
        days = [FIRST_DAY + timedelta(days=number) for number in range(DAYS)]
        totals = read_statement(city, days).totals
        checked = verify(city, keys.service, ENGINE)
    assert checked.is_sound, checked.findings
    assert (totals["suspended"], totals["rejected"], totals["gaps_open"]) == (0, 0, 0)
    assert totals["float_fen"] == totals["card_balance_fen"] > 0
    made = uploaded(tmp_path / "city", keys)
    assert set(made) == {(1, 1, False), (1, 1, True), (2, algorithm, True)}
    assert min(made.values()) > 10


def test_destroying_the_old_version_after_its_cards_are_gone_harms_no_card_of_the_new(
    tmp_path: Path,
) -> None:
    before, whole = week()
    vault = published_vault(city_key_refs(whole.scheme))
    keys = city_keys_of(vault)
    old_cards = {each.number for each in before.cards}
    new_only = replace(whole, taps=tuple(tap for tap in whole.taps if tap.card not in old_cards))
    with create_city(tmp_path / "city", "demo", ACTION, bucket_count=1) as city:
        run(city, keys, before)
        rotate(vault, Algorithm.PBOC_3DES)
        for usage in ROTATED:
            vault.move(KeyRef(usage, "demo", 1), KeyState.DESTROYED)
        run(city, keys, replace(new_only, taps=(*before.taps, *new_only.taps)))
        totals = read_statement(city, new_only.settlement_days).totals
    assert totals["records"] == totals["accepted"] + totals["duplicates"]
    assert (totals["suspended"], totals["rejected"]) == (0, 0)
