"""Faults of the back office, in one short tree split by what is broken.

A refusal the business expects is a value (`FileAnswer`, `DayAnswer`), never one of these::

    SettlementError
    ├── CityError           the folder is no city, or one this version cannot read
    ├── DatabaseDamagedError  the database holds what no version of it can have written
    ├── SchemaDiffersError  the database is older or newer than this version
    ├── StoredBytesError    a stored file is absent or no longer what its hash says
    ├── AuditEntryError     a kept entry of the audit log is not what this version can read
    ├── RegistryRowError    a kept change of the registry is not what this version can read
    └── RunDiffersError     the same inputs gave other output bytes than before
"""

from pathlib import Path

from cardcore.errors import system_words
from cardcore.text import Text, text_of


class SettlementError(Exception):
    """Root of everything this package raises. What people read of it is a `cardcore.text.Text`."""


class CityError(SettlementError):
    """The folder does not hold a city that this version can open; `folder` names it."""

    def __init__(self, folder: Path, reason: Text) -> None:
        super().__init__(Text(f"{folder}：{reason.zh}", f"{folder}: {reason.en}"))
        self.folder = folder
        self.reason = reason


class DatabaseDamagedError(SettlementError):
    """The control database cannot be read; `path` names it. Nothing was decided from it."""

    def __init__(self, path: Path, reason: Text) -> None:
        super().__init__(
            Text(
                f"{path}：数据库已损坏：{reason.zh}",
                f"{path}: the database is damaged: {reason.en}",
            )
        )
        self.path = path
        self.reason = reason


class SchemaDiffersError(SettlementError):
    """A database opened for reading has another schema, and a reader changes nothing."""

    def __init__(self, found: str | None, expected: str | None) -> None:
        super().__init__(
            Text(
                f"数据库结构为 {found}，本版本读取 {expected}；较旧的由 `onecard rebuild` 升级",
                f"the database has schema {found}, this version reads {expected}; "
                "`onecard rebuild` brings an older one up to date",
            )
        )


class StoredBytesError(SettlementError):
    """A stored file is absent or altered; `path` names it. Nothing was decided from it."""

    def __init__(self, path: Path, reason: Text) -> None:
        super().__init__(Text(f"{path}：{reason.zh}", f"{path}: {reason.en}"))
        self.path = path
        self.reason = reason


class RunDiffersError(SettlementError):
    """The same inputs gave other output bytes: a stored byte, or the machine, is damaged."""

    def __init__(self, run_id: str, stored_hash: str, computed_hash: str) -> None:
        super().__init__(
            Text(
                f"清分 {run_id}：已存结果 {stored_hash}，重算得 {computed_hash}",
                f"run {run_id}: stored {stored_hash}, computed {computed_hash}",
            )
        )
        self.run_id = run_id
        self.stored_hash = stored_hash
        self.computed_hash = computed_hash


class RegistryRowError(SettlementError):
    """A kept change of the registry cannot be read; `number` names it. Nothing was decided."""

    def __init__(self, number: int, reason: Text) -> None:
        super().__init__(
            Text(
                f"registry_changes 第 {number} 行：无法读取：{reason.zh}",
                f"registry_changes, row {number}: cannot be read: {reason.en}",
            )
        )
        self.number = number


class AuditEntryError(SettlementError):
    """A kept entry of the audit log cannot be read; `number` names it. Nothing was decided."""

    def __init__(self, number: int, reason: Text) -> None:
        super().__init__(
            Text(
                f"audit_log 第 {number} 行：无法读取：{reason.zh}",
                f"audit_log, row {number}: cannot be read: {reason.en}",
            )
        )
        self.number = number


def hash_differs(sha256: str) -> Text:
    """A stored file is not what its name or its row says."""
    return Text(f"哈希不是 {sha256}", f"does not hash to {sha256}")


#: Of whatever fails in its own words over bytes that nobody here wrote so.
_DAMAGED = Text("内容已损坏", "what stands there is damaged")


def reason_of(error: Exception) -> Text:
    """What another error says is wrong, without a word that only programmers read.

    >>> print(reason_of(KeyError("valid_from")))
    what stands there is damaged
    """
    if isinstance(error, OSError):
        return system_words(error)
    if len(error.args) == 1 and isinstance(error.args[0], Text):
        return text_of(error)
    return _DAMAGED
