"""A demonstration never mints a card, a chip or a PSAM under keys that open anything."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from api.composition import CityKeys, LocalPsams, city_key_refs, open_city_keys, refuse_real_keys
from api.settings import Settings, SettingsRefusedError
from api.simulation.single_card import issue_card, sample_plan, stock_card
from api.simulation.virtual_city import SIMULATION, VirtualCity
from cardcore.keys import KeyRef, KeyState, KeyUsage
from cardcore.schemes.catalogue import SCHEMES
from hsm_sim.keys.operations import KeyOperations
from hsm_sim.keys.published_keys import published_vault
from hsm_sim.keys.vault import KeyVault
from settlement.city import create_city
from settlement.people.actions import Action
from tests.api.simulation.test_killed_city import PLAN

SCHEME = SCHEMES["demo"]
TAC = KeyRef(KeyUsage.TAC, SCHEME.name, 1)
REAL = bytes.fromhex("8f3a5c7e1b9d2f4068a7c5e3d1b0f297")


def the_keys(vault: KeyVault) -> CityKeys:
    return CityKeys(KeyOperations(vault), LocalPsams(vault))


def with_one_real_key(ref: KeyRef = TAC) -> KeyVault:
    """Every public test key of the city, but one master that somebody made."""
    vault = published_vault(each for each in city_key_refs(SCHEME) if each != ref)
    vault.install(ref, REAL)
    return vault


@pytest.mark.parametrize("make", [stock_card, issue_card])
def test_card_serve_mints_no_card_under_a_real_master(make: Callable[..., object]) -> None:
    with pytest.raises(SettingsRefusedError, match=r"tac/demo/v1 and 1 such keys.*KEY_SERVICE"):
        make(the_keys(with_one_real_key()), sample_plan(SCHEME, "anonymous"))
    assert make(open_city_keys(Settings(), SCHEME), sample_plan(SCHEME, "anonymous"))


def test_a_virtual_city_mints_nothing_under_a_real_master_and_leaves_no_trace(
    tmp_path: Path,
) -> None:
    action = Action(SIMULATION, datetime.now(UTC), "a test")
    with create_city(tmp_path / "city", SCHEME.name, action) as city:
        before = sorted(path.name for path in city.folder.rglob("*"))
        with pytest.raises(SettingsRefusedError, match="under public test keys only"):
            VirtualCity(city, the_keys(with_one_real_key()), PLAN)
        assert sorted(path.name for path in city.folder.rglob("*")) == before


def test_a_key_under_another_version_or_label_is_no_less_real() -> None:
    for ref in (TAC._replace(version=7), KeyRef(KeyUsage.CHANNEL_DEK, "another-chip", 1)):
        vault = published_vault(city_key_refs(SCHEME))
        vault.install(ref, REAL)
        with pytest.raises(SettingsRefusedError, match=str(ref)):
            refuse_real_keys(KeyOperations(vault))
        vault.move(ref, KeyState.DESTROYED)
        refuse_real_keys(KeyOperations(vault))
