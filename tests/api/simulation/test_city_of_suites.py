"""A whole city whose keys are SM4 or AES: the cards follow the keys, every record proves, the day
closes; and which version new cards are made from while keys are rotated.
"""

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.composition import CityKeys, LocalPsams, city_key_refs
from api.simulation.drive import drive
from api.simulation.virtual_city import VirtualCity
from cardcore.chip.keyfile import KeySlot
from cardcore.errors import KeyStateError
from cardcore.issuing.key_choices import with_newest_keys
from cardcore.issuing.products import shipped
from cardcore.key_labels import application_label
from cardcore.keys import Algorithm, InsecureKeyServiceWarning, KeyRef, KeyState, KeyUsage
from cardcore.records.batch import decode_batch
from cardcore.records.record import RECORD_BYTES, TransactionRecord, decode_record
from cardcore.schemes.catalogue import SCHEMES
from hsm_sim.keys.in_process import InProcessKeyService
from hsm_sim.keys.published_keys import published_key, published_vault
from hsm_sim.keys.vault import KeyVault
from settlement.city import City, create_city
from settlement.engine.local import LocalEngine
from settlement.reports.statement import read_statement
from settlement.verification.verify import verify
from tests.api.simulation.test_killed_city import PLAN
from tests.settlement.device_files import ACTION

SCHEME = SCHEMES["demo"]

SUITES = (Algorithm.SM4, Algorithm.AES)
PURSE = (KeyUsage.PURCHASE, KeyUsage.LOAD, KeyUsage.TAC)


def purse_keys(version: int, label: str = SCHEME.name) -> list[KeyRef]:
    return [KeyRef(usage, label, version) for usage in PURSE]


def a_vault(algorithm: Algorithm) -> KeyVault:
    """The keys of the demonstration, those of its purses of another algorithm."""
    purses = [*purse_keys(1), *purse_keys(1, application_label(SCHEME.name, "-purse"))]
    vault = published_vault(ref for ref in city_key_refs(SCHEME) if ref not in purses)
    for ref in purses:
        vault.install(ref, published_key(ref), algorithm)
    return vault


def a_room(vault: KeyVault) -> CityKeys:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureKeyServiceWarning)
        return CityKeys(InProcessKeyService(vault), LocalPsams(vault))


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    with create_city(tmp_path / "city", "demo", ACTION, bucket_count=1) as opened:
        yield opened


def sent_records(city: City, keys: CityKeys) -> list[TransactionRecord]:
    """Everything the collectors have sent."""
    records = []
    for path in city.folder.glob("outbox/*/*.ocb"):
        (signer,) = keys.sender_keys(int(path.parent.name))
        batch = decode_batch(path.read_bytes(), keys.service.public_key(signer.ref))
        starts = range(0, len(batch.records), RECORD_BYTES)
        records += [decode_record(batch.records[at : at + RECORD_BYTES]) for at in starts]
    return records


@pytest.mark.parametrize("algorithm", SUITES, ids=lambda each: each.name)
def test_the_cards_follow_the_algorithm_of_the_keys_and_every_fen_settles(
    city: City, algorithm: Algorithm
) -> None:
    keys = a_room(a_vault(algorithm))
    drive(city, keys, PLAN, LocalEngine(1), lambda _stage, _steps: None)
    totals = read_statement(city, PLAN.settlement_days).totals
    assert totals["accepted"] > 0
    assert (totals["suspended"], totals["rejected"]) == (0, 0)
    sound = verify(city, keys.service, LocalEngine(1))
    assert sound.is_sound, sound.findings
    assert {each.algorithm for each in sent_records(city, keys)} == {algorithm}


def keys_of_new_cards(vault: KeyVault) -> tuple[int, int]:
    """Version and algorithm of the purse's keys on a card made now."""
    described = a_room(vault).service.describe_keys()
    product = with_newest_keys(shipped("citizen"), SCHEME.name, described)
    keys = {product.key(KeySlot(usage), SCHEME.name) for usage in PURSE}
    ((version, algorithm),) = {(ref.version, algorithm) for ref, algorithm in keys}
    return version, algorithm


def test_new_cards_are_made_from_the_newest_version_that_is_whole_and_active(city: City) -> None:
    vault = a_vault(Algorithm.PBOC_3DES)
    with VirtualCity(city, a_room(vault), PLAN) as world:
        assert keys_of_new_cards(vault) == (1, Algorithm.PBOC_3DES)
        for ref in purse_keys(2):
            vault.install(ref, published_key(ref), Algorithm.SM4, state=KeyState.PREPARED)
        for ref in purse_keys(2)[:2]:
            vault.move(ref, KeyState.ACTIVE)
            assert keys_of_new_cards(vault) == (1, Algorithm.PBOC_3DES)
        vault.move(purse_keys(2)[2], KeyState.ACTIVE)
        assert keys_of_new_cards(vault) == (2, Algorithm.SM4)
        vault.move(purse_keys(1)[0], KeyState.RETIRING)
        assert keys_of_new_cards(vault) == (2, Algorithm.SM4)
        vault.move(purse_keys(2)[0], KeyState.RETIRING)
        with pytest.raises(KeyStateError, match="rotate the three together"):
            world.prepare()


def test_keys_of_two_algorithms_make_no_card(city: City) -> None:
    vault = a_vault(Algorithm.PBOC_3DES)
    vault.move(purse_keys(1)[0], KeyState.RETIRING)
    for ref, algorithm in zip(purse_keys(2), (*SUITES, Algorithm.SM4), strict=True):
        vault.install(ref, published_key(ref), algorithm)
    with (
        VirtualCity(city, a_room(vault), PLAN) as world,
        pytest.raises(KeyStateError, match="active keys of one algorithm"),
    ):
        world.prepare()
