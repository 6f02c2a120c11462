"""A city under a scheme of its own: the file is copied, read from there, and fixed for good."""

import json
from importlib import resources
from pathlib import Path

import pytest

from cardcore.keys import KeyRef, KeyUsage
from cardcore.schemes.reading import SchemeError
from hsm_sim.keys.in_process import InProcessKeyService
from hsm_sim.keys.published_keys import published_key, published_vault
from settlement.city import create_own_city, open_city
from settlement.days.closing import ClosedDay
from settlement.engine.local import LocalEngine
from settlement.errors import CityError
from settlement.service.close import close_day
from settlement.service.receive import receive_file
from settlement.store.registry import load_registry, register
from settlement.verification.verify import verify
from tests.settlement.device_files import (
    ACTION,
    CLERK,
    DAY,
    NOW,
    SENDER,
    Street,
    public_registry,
    signing_ref,
    tac_ref,
)

SHENZHEN = resources.files("cardcore.schemes").joinpath("shenzhen.toml").read_text("utf-8")
#: Adults pay 80 fen of 2 yuan here, where Shenzhen charges 160: its records stay unexplained. The
#: cards of the street are this city's.
OWN = (
    SHENZHEN.replace('name = "shenzhen"', 'name = "pengcheng"')
    .replace("to_fen = 300, percent = 80", "to_fen = 300, percent = 40")
    .replace('prefix = "03105840"', 'prefix = "00000000"')
)


def test_a_city_reads_its_own_scheme_from_its_folder(tmp_path: Path) -> None:
    with create_own_city(tmp_path, OWN.encode(), "own.toml", ACTION, 1) as made:
        assert len(load_registry(made.database).participants) == 15
    assert (tmp_path / "scheme.toml").read_text("utf-8") == OWN
    with open_city(tmp_path) as city:
        assert (city.scheme, city.scheme_sha256) == (made.scheme, made.scheme_sha256)
        assert city.scheme.name == "pengcheng"


def test_what_the_city_was_made_with_cannot_be_changed_afterwards(tmp_path: Path) -> None:
    create_own_city(tmp_path, OWN.encode(), "own.toml", ACTION, 1).close()
    (tmp_path / "scheme.toml").write_text(OWN + "# cheaper\n", encoding="utf-8")
    with pytest.raises(CityError, match="is not the file the city was made with"):
        open_city(tmp_path)
    (tmp_path / "scheme.toml").unlink()
    with pytest.raises(CityError, match="cannot be read"):
        open_city(tmp_path)


@pytest.mark.parametrize(
    ("text", "error", "match"),
    [
        (SHENZHEN, CityError, "ships with onecard"),
        (OWN.replace('kind = "operator"', 'kind = "bank"', 1), SchemeError, r"own.toml:\d+: kind"),
    ],
)
def test_a_refused_scheme_makes_no_city(
    tmp_path: Path, text: str, error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        create_own_city(tmp_path / "city", text.encode(), "own.toml", ACTION, 1)
    assert not (tmp_path / "city").exists()


def own_keys() -> InProcessKeyService:
    """Cards of the street prove themselves in this city too: its key has Shenzhen's bytes."""
    vault = published_vault([signing_ref(SENDER), KeyRef(KeyUsage.DAY_SEAL, "pengcheng", 1)])
    vault.install(KeyRef(KeyUsage.TAC, "pengcheng", 1), published_key(tac_ref(1)))
    return InProcessKeyService(vault)


def test_worker_processes_judge_by_the_city_s_own_rules(tmp_path: Path) -> None:
    with create_own_city(tmp_path, OWN.encode(), "own.toml", ACTION, 2) as city:
        register(city.database, public_registry(), ACTION)
        keys, engine = own_keys(), LocalEngine(2)
        street = Street()
        card = street.card(7)
        ride = [card.load(1_000), card.bus()]
        receive_file(city, street.file(ride), keys, NOW)
        day = close_day(city, None, keys, engine, NOW, CLERK)
        assert isinstance(day, ClosedDay)
        document = json.loads(city.seal_path(DAY).read_bytes())["document"]
        assert document["inputs"]["scheme_sha256"] == city.scheme_sha256
        assert document["totals"]["notes"]["fare_unexplained"] == 1
        assert verify(city, keys, engine).is_sound
