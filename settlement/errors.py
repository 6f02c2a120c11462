"""Faults of the back office, in one short tree split by what is broken.

A refusal the business expects is a value (`FileAnswer`, `DayAnswer`), never one of these::

    SettlementError
    ├── CityError           the folder is no city, or one this version cannot read
    ├── DatabaseDamagedError  the database holds what no version of it can have written
    ├── SchemaDiffersError  the database is older or newer than this version
    ├── StoredBytesError    a stored file is absent or no longer what its hash says
    ├── RegistryRowError    a kept change of the registry is not what this version can read
    ├── RegistryRowError  a change of the registry is not what this version can read
    └── RunDiffersError     the same inputs gave other output bytes than before
"""

from pathlib import Path


class SettlementError(Exception):
    """Root of everything this package raises."""


class CityError(SettlementError):
    """The folder does not hold a city that this version can open; `folder` names it."""

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(f"{folder}: {reason}")
        self.folder = folder
        self.reason = reason


class DatabaseDamagedError(SettlementError):
    """The control database cannot be read; `path` names it. Nothing was decided from it."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: 数据库已损坏 / the database is damaged: {reason}")
        self.path = path
        self.reason = reason


class SchemaDiffersError(SettlementError):
    """A database opened for reading has another schema, and a reader changes nothing."""

    def __init__(self, found: str | None, expected: str | None) -> None:
        super().__init__(
            f"the database has schema {found}, this version reads {expected}; "
            "`onecard verify` brings an older one up to date"
        )


class StoredBytesError(SettlementError):
    """A stored file is absent or altered; `path` names it. Nothing was decided from it."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class RunDiffersError(SettlementError):
    """The same inputs gave other output bytes: a stored byte, or the machine, is damaged."""

    def __init__(self, run_id: str, stored_hash: str, computed_hash: str) -> None:
        super().__init__(f"run {run_id}: stored {stored_hash}, computed {computed_hash}")
        self.run_id = run_id
        self.stored_hash = stored_hash
        self.computed_hash = computed_hash


class RegistryRowError(SettlementError):
    """A kept change of the registry cannot be read; `number` names it. Nothing was decided."""

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(f"registry_changes, row {number}: cannot be read: {reason}")
        self.number = number
