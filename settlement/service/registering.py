"""Register rows of the public registry: one transaction, its only commit point."""

from settlement.city import City
from settlement.registry import Registry
from settlement.store.registry import register


def register_rows(city: City, offered: Registry) -> Registry:
    """Add the rows that are new and return them.

    Raises `RegistryConflictError`, with nothing added, when one contradicts a held row.
    """
    return register(city.database, offered)
