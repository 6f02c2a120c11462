"""One city's folder: where everything lies, what was fixed when it was made, its database.

Decides paths and settings only. The number of buckets is fixed with the city, never by the number
of workers. Raw files are kept by content hash and are the only truth; everything else beside them
can be computed again from them, except what people decided, which is in the database.

    city.json                              scheme, number of buckets, format version
    scheme.toml                            the city's own scheme, when it brought one
    control.sqlite                         registry, files, runs, ledger, audit
    raw/<aa>/<sha256>.ocb                  batch files as received
    raw/<aa>/<sha256>.ocl                  files of the load host's log as received
    facts/<sha256>/<bucket>.parquet        the same as columns
    inputs/<sha256>.json                   registry as a run saw it
    inputs/<sha256>.parquet                what a run judged that could not be judged before
    runs/<settlement day>/<run id>/        what a run wrote
    seals/<settlement day>.json            closed days
    key-service/day-seals.jsonl            what the key service in this process has sealed
    closing.json                           a day that is being closed, until it is kept
    scratch/                               what is computed aside and thrown away
"""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cardcore.applets.catalogue import APPLICATIONS
from cardcore.key_labels import application_label
from cardcore.schemes import Scheme
from cardcore.schemes.catalogue import SCHEMES
from cardcore.schemes.reading import SchemeError, read_scheme
from cardcore.text import Text, shorten
from settlement.durable import write_durable
from settlement.errors import CityError, DatabaseDamagedError, SchemaDiffersError, reason_of
from settlement.people.actions import Action
from settlement.registry.book import AnyDated, since_ever
from settlement.registry.rows import CardNumbersRow, ParticipantRow
from settlement.seal import Sealable, canonical_json
from settlement.store.database import Database
from settlement.store.registry import register

#: Since 6 closed days have a number and the key service's signature, and facts name the PSAM.
#: Since 7 the audit log of people stands under a day's seal.
FORMAT = 7
BUCKET_COUNT_DEFAULT = 4
BUCKET_COUNT_MAX = 4096
_SETTINGS, _SCHEME, _DATABASE = "city.json", "scheme.toml", "control.sqlite"
#: The head of an SQLite file; a shorter one holds nothing.
_DATABASE_BYTES_MIN = 100


@dataclass(frozen=True, slots=True)
class City:
    """An open city. Use as a context manager, or close its database."""

    folder: Path
    scheme: Scheme
    scheme_sha256: str | None  # of the city's own file; None for a scheme that ships
    bucket_count: int
    database: Database

    def raw_path(self, content_hash: str) -> Path:
        """Where a batch file is kept."""
        return self.folder / "raw" / content_hash[:2] / f"{content_hash}.ocb"

    def load_log_path(self, content_hash: str) -> Path:
        """Where a file of the load host's log is kept."""
        return self.raw_path(content_hash).with_suffix(".ocl")

    def facts_folder(self, content_hash: str) -> Path:
        """Where a batch file's fact files are kept."""
        return self.folder / "facts" / content_hash

    def input_path(self, sha256: str) -> Path:
        """Where a registry is kept as a run saw it."""
        return self.folder / "inputs" / f"{sha256}.json"

    def review_path(self, sha256: str) -> Path:
        """Where a review is kept as a run saw it."""
        return self.folder / "inputs" / f"{sha256}.parquet"

    def run_folder(self, settlement_day: date, run_id: str) -> Path:
        """Where a run writes."""
        return self.runs_folder(settlement_day) / run_id

    def runs_folder(self, settlement_day: date) -> Path:
        """Where all the runs of a day write."""
        return self.folder / "runs" / settlement_day.isoformat()

    def seal_path(self, settlement_day: date) -> Path:
        """The sealed document of a closed day."""
        return self.seals_folder / f"{settlement_day}.json"

    @property
    def seals_folder(self) -> Path:
        """Where the sealed documents are."""
        return self.folder / "seals"

    @property
    def closing_path(self) -> Path:
        """The day that is being closed."""
        return self.folder / "closing.json"

    @contextmanager
    def clearing(self) -> Iterator[None]:
        """Only one process at a time clears or closes; the next one waits here."""
        with self._locked("clearing"):
            yield

    @contextmanager
    def scratch(self, name: str) -> Iterator[Path]:
        """An empty folder to compute aside in, for one process at a time. What a killed one left
        there is removed first. A city that nobody may write into is computed beside.
        """
        if not os.access(self.folder, os.W_OK):
            with tempfile.TemporaryDirectory(prefix=f"onecard-{name}-") as aside:
                yield Path(aside)
            return
        folder = self.folder / "scratch" / name
        with self._locked(f"scratch-{name}"):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        # The lock is the operating system's, so a killed process lets go of it.
        with (self.folder / f"{name}.lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def create_city(
    folder: Path, scheme_name: str, action: Action, bucket_count: int = BUCKET_COUNT_DEFAULT
) -> City:
    """Make a city in a folder that holds none, under a scheme that ships, and register whom and
    which cards the scheme names: from then on the registry says it.

    Raises `CityError` for a folder that holds a city, an unknown scheme or a number of buckets
    that is no power of two. Repeating a call that was killed is safe.
    """
    if scheme_name not in SCHEMES:
        raise CityError(folder, _no_scheme(scheme_name))
    return _create(folder, SCHEMES[scheme_name], None, action, bucket_count)


def create_own_city(
    folder: Path,
    scheme_file: bytes,
    name: str,
    action: Action,
    bucket_count: int = BUCKET_COUNT_DEFAULT,
) -> City:
    """The same under a scheme of the city's own, which is copied into its folder.

    Raises `SchemeError`, which calls the file by `name`, and `CityError` as above and for a scheme
    that is called like one that ships.
    """
    scheme = read_scheme(scheme_file, name)
    if scheme.name in SCHEMES:
        raise CityError(
            folder,
            Text(
                f"规则 {scheme.name} 随 onecard 发布；请给自己的规则另取名称",
                f"scheme {scheme.name} ships with onecard; name yours otherwise",
            ),
        )
    return _create(folder, scheme, scheme_file, action, bucket_count)


def _create(
    folder: Path, scheme: Scheme, own: bytes | None, action: Action, bucket_count: int
) -> City:
    if (folder / _SETTINGS).exists():
        raise CityError(
            folder,
            Text(
                "此处已有一座城市；请另选目录：--data",
                "a city is here already; name another folder: --data",
            ),
        )
    if not 1 <= bucket_count <= BUCKET_COUNT_MAX or bucket_count & (bucket_count - 1):
        raise CityError(
            folder,
            Text(
                f"分桶数 {bucket_count}：应为 2 的幂，至多 {BUCKET_COUNT_MAX}",
                f"{bucket_count} buckets: a power of two up to {BUCKET_COUNT_MAX}",
            ),
        )
    folder.mkdir(parents=True, exist_ok=True)
    database = Database.sqlite(folder / _DATABASE)
    register(database, _seed(scheme), action)
    settings: dict[str, Sealable] = {
        "format": FORMAT,
        "scheme": scheme.name,
        "bucket_count": bucket_count,
    }
    sha256 = None
    if own is not None:
        write_durable(folder / _SCHEME, own)
        sha256 = settings["scheme_sha256"] = hashlib.sha256(own).hexdigest()
    # The settings come last: a folder with settings is a whole city.
    write_durable(folder / _SETTINGS, canonical_json(settings))
    return City(folder, scheme, sha256, bucket_count, database)


def _seed(scheme: Scheme) -> tuple[AnyDated, ...]:
    participants = (
        ParticipantRow(each.code, each.name, each.kind, each.sector) for each in scheme.participants
    )
    endings = {each.name: each.key_ending for each in APPLICATIONS.values()}
    numbers = (
        CardNumbersRow(
            application_label(scheme.name, endings[each.application]),
            each.prefix,
            each.issuer.hex().upper(),
        )
        for each in scheme.card_numbers
    )
    return since_ever(*participants, *numbers)


def open_city(folder: Path, *, to_read: bool = False, aside: bool = False) -> City:
    """Open the city in a folder, its database brought up to date; or, `to_read`, as it is and so
    that nothing can be written into it; or over a copy of its database, `aside`, so that no byte of
    the folder changes whatever version it is.

    Raises `CityError` when there is none, or one of another version, or its scheme was changed.
    """
    try:
        settings: dict[str, Any] = json.loads((folder / _SETTINGS).read_bytes())
        version, name, bucket_count = (
            settings[key] for key in ("format", "scheme", "bucket_count")
        )
    except FileNotFoundError as error:
        raise CityError(folder, Text("此处没有城市", "no city here")) from error
    except (ValueError, KeyError, TypeError) as error:
        reason = Text(f"{_SETTINGS} 无法读取", f"{_SETTINGS} cannot be read")
        raise CityError(folder, reason) from error
    if version != FORMAT:
        given = shorten(str(version), 20)
        raise CityError(
            folder,
            Text(
                f"格式为 {given}；本版本读取 {FORMAT}",
                f"format {given}; this version reads {FORMAT}",
            ),
        )
    sha256 = settings.get("scheme_sha256")
    scheme = SCHEMES.get(name) if sha256 is None else _own_scheme(folder, sha256)
    if scheme is None:
        raise CityError(folder, _no_scheme(str(name)))
    database = _open_database(folder, to_read=to_read, aside=aside)
    return City(folder, scheme, sha256, bucket_count, database)


def _open_database(folder: Path, *, to_read: bool, aside: bool) -> Database:
    """A city that lost its database, or holds another file in its place, is not given a new one."""
    path = folder / _DATABASE
    try:
        if path.stat().st_size < _DATABASE_BYTES_MIN:
            reason = Text(f"数据库 {_DATABASE} 为空", f"its database {_DATABASE} is empty")
            raise CityError(folder, reason)
        if aside:
            return Database.sqlite_aside(path)
        return Database.sqlite_to_read(path) if to_read else Database.sqlite(path)
    except FileNotFoundError as error:
        reason = Text(f"数据库 {_DATABASE} 缺失", f"its database {_DATABASE} is missing")
        raise CityError(folder, reason) from error
    except (OSError, SchemaDiffersError) as error:
        raise CityError(folder, reason_of(error)) from error
    except DatabaseDamagedError as error:
        reason = Text(
            f"数据库 {_DATABASE} 已损坏：{error.reason.zh}",
            f"its database {_DATABASE} is damaged: {error.reason.en}",
        )
        raise CityError(folder, reason) from error


def _no_scheme(name: str) -> Text:
    given = shorten(name, 40)
    return Text(
        f"没有规则 {given}；可用：{'、'.join(SCHEMES)}",
        f"no scheme {given}; there are {', '.join(SCHEMES)}",
    )


def _own_scheme(folder: Path, sha256: str) -> Scheme:
    """The city's own scheme. What its closed days were judged by must never change."""
    try:
        data = (folder / _SCHEME).read_bytes()
        if hashlib.sha256(data).hexdigest() != sha256:
            reason = Text(
                f"{_SCHEME} 不是建城时的文件", f"{_SCHEME} is not the file the city was made with"
            )
            raise CityError(folder, reason)
        return read_scheme(data, _SCHEME)
    except (OSError, SchemeError) as error:
        why = reason_of(error)
        reason = Text(f"{_SCHEME} 无法读取：{why.zh}", f"{_SCHEME} cannot be read: {why.en}")
        raise CityError(folder, reason) from error
