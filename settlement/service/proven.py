"""Kept bytes, proven by their hash before anything starts from them.

Decides which bytes a run may read: facts, raw files, and the logs of load hosts up to where it
reads them. Up to where that is, is decided by `settlement.days.load_log`. Of a log the raw files
are read, never the rows made of them: a run starts from what hosts signed.
"""

import hashlib
from collections.abc import Iterable
from datetime import date
from pathlib import Path

from cardcore.records.load_log import ENTRY_BYTES, HASH_BYTES, HEADER
from cardcore.text import Text
from settlement.city import City
from settlement.days.aside import AsideReason, SetAside
from settlement.days.load_log import LogEnd, log_ends, read_between
from settlement.errors import StoredBytesError, hash_differs, reason_of
from settlement.facts.load_log import LogEntries
from settlement.intake.answers import FileRow
from settlement.reconciliation.inputs import FactInput
from settlement.registry.book import Registry, civil_day
from settlement.registry.placing import participant_of
from settlement.store.load_logs import load_load_logs


def hash_of(path: Path) -> str | None:
    """SHA-256 of a file, hexadecimal; None when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def proven_bytes(path: Path, sha256: str) -> bytes:
    """A kept file whole. Raises `StoredBytesError` when it is not what its hash says."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StoredBytesError(path, reason_of(error)) from error
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise StoredBytesError(path, hash_differs(sha256))
    return data


def fact_path(city: City, content_hash: str, bucket: int) -> Path:
    """Where the facts of a batch file for one bucket are kept."""
    return city.facts_folder(content_hash) / f"{bucket:04}.parquet"


def participant_of_file(row: FileRow, registry: Registry) -> int:
    """For whom a file was sent, when it was taken in."""
    day = civil_day(row.file.received_at)
    return participant_of(registry.senders, row.file.sender, day)


def proven_facts(city: City, row: FileRow, registry: Registry) -> list[tuple[int, FactInput]]:
    """(bucket, facts) of a batch file. Raises `StoredBytesError` when they are damaged."""
    file, participant = row.file, participant_of_file(row, registry)
    return [
        (bucket, FactInput(file.content_hash, path, file.received_at, participant))
        for bucket, path in proven_paths(city, row)
    ]


def proven_paths(city: City, row: FileRow) -> list[tuple[int, str]]:
    """(bucket, where its facts are) of a batch file. Raises `StoredBytesError` when they are
    damaged.
    """
    found = []
    for fact in row.facts:
        path = fact_path(city, row.file.content_hash, fact.bucket)
        if hash_of(path) != fact.sha256:
            raise StoredBytesError(path, hash_differs(fact.sha256))
        found.append((fact.bucket, str(path)))
    return found


def find_log_ends(city: City, settlement_day: date, before: Iterable[LogEnd]) -> tuple[LogEnd, ...]:
    """Up to where a run over a day reads each log. `before` is where the last closed day's run
    stopped: what lies before it was whole then, and `verify` looks whether it still is.
    """
    damaged = {each.content_hash for each in damaged_logs(city, before)}
    return log_ends(
        [file for file, _ in load_load_logs(city.database)],
        settlement_day,
        city.scheme.business_day,
        lambda file: file.content_hash not in damaged,
    )


def damaged_logs(city: City, before: Iterable[LogEnd]) -> tuple[SetAside, ...]:
    """The files of load hosts' logs, behind where a run stopped, that are not what was signed."""
    read = {each.issuer: each.number for each in before}
    return tuple(
        SetAside(0, file.first_number, file.content_hash, AsideReason.LOG_DAMAGED)
        for file, _ in load_load_logs(city.database)
        if file.first_number > read.get(file.issuer, 0)
        and hash_of(city.load_log_path(file.content_hash)) != file.content_hash
    )


def entries_between(
    city: City, before: Iterable[LogEnd], ends: tuple[LogEnd, ...]
) -> tuple[LogEntries, ...]:
    """The entries from where one run stopped to where another one does, by issuer and number.

    Raises `StoredBytesError` when a file is damaged, or the log does not end as the run saw it.
    """
    if not ends:
        return ()
    before = tuple(before)
    files = read_between([file for file, _ in load_load_logs(city.database)], before, ends)
    found, reached = [], {each.issuer: each for each in before}
    for file in files:
        path = city.load_log_path(file.content_hash)
        data = proven_bytes(path, file.content_hash)
        if file.first_number != _number(reached.get(file.issuer)) + 1:
            raise StoredBytesError(
                path, Text("日志中在它之前的文件缺失", "what lies before it in its log is gone")
            )
        entries = data[HEADER.size : HEADER.size + file.entry_count * ENTRY_BYTES]
        found.append(LogEntries(file.issuer, entries))
        digest = entries[-HASH_BYTES:].hex()
        reached[file.issuer] = LogEnd(file.issuer, file.last_number, digest)
    for end in ends:
        if reached.get(end.issuer) != end:
            where = city.folder / "raw"
            raise StoredBytesError(
                where,
                Text(
                    f"发卡机构 {end.issuer} 的日志末尾与读取时不符",
                    f"the log of {end.issuer} does not end as it was read",
                ),
            )
    return tuple(found)


def _number(end: LogEnd | None) -> int:
    return 0 if end is None else end.number
