"""What cards and PSAMs signed, proven under the keys that the city knows.

Decides when a key that showed itself is registered. Leaves what is believed, and whose keys are
asked, to `settlement.facts.proof`.
"""

from cardcore.keys import KeyService
from settlement.city import City
from settlement.facts.proof import Proof, prove_records
from settlement.people.actions import Action
from settlement.registry.book import since_ever
from settlement.registry.placing import PlacedNumbers, place_numbers
from settlement.store.registry import (
    load_card_numbers,
    load_ended_keys,
    load_tac_keys,
    register,
)

#: Why a key is registered that nobody registered by hand.
SHOWN = "it proved the records of a file that name it"


def prove_in_city(city: City, records: bytes, key_service: KeyService, action: Action) -> Proof:
    """What cards and PSAMs signed, proven; keys that show themselves are registered.

    Raises what the port raises, and `RegistryConflictError` when another process registered
    another key under the same version meanwhile.
    """
    known, ended = load_tac_keys(city.database), load_ended_keys(city.database)
    numbers = _numbers(city)
    found = prove_records(records, key_service, city.scheme.name, known, ended, numbers)
    if found.shown:
        register(city.database, since_ever(*found.shown), action)
    return found


def prove_for_city(city: City, records: bytes, key_service: KeyService) -> Proof:
    """What they were worth when they came in, whatever was ended since; nothing is registered."""
    known = load_tac_keys(city.database)
    numbers = _numbers(city)
    return prove_records(records, key_service, city.scheme.name, known, numbers=numbers)


def _numbers(city: City) -> tuple[PlacedNumbers, ...]:
    """Whose card numbers are whose, on whatever day."""
    return tuple(place_numbers(load_card_numbers(city.database), city.scheme.name))
