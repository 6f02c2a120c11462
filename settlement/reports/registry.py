"""The registry (登记簿) as it stands: what a city exports, and which keys it knows.

Decides nothing of the rows: they stand in `settlement.registry`.
"""

from settlement.city import City
from settlement.registry import Registry
from settlement.store.registry import load_registry


def read_registry(city: City) -> Registry:
    """Every row, sorted by key."""
    return load_registry(city.database)
