"""The city's folder from the other side: is there a row behind every file?

Decides which files nothing explains. That every row has its file is found where the row is
compared. What a command that was cut off leaves, and nothing ever reads, is explained: unfinished
writes, the registry or a review under its own hash, and runs of days that are still open.
"""

import re
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

from cardcore.text import Text
from settlement.city import City
from settlement.service.proven import fact_path, hash_of
from settlement.store.days import load_closed_days, load_provisional_runs, load_run
from settlement.store.files import load_files
from settlement.store.load_logs import load_load_logs
from settlement.store.takeover import load_openings
from settlement.verification.findings import (
    REBUILD,
    RESTORE,
    SEND_AGAIN,
    Findings,
    Invariant,
    file_at,
)

#: What an unfinished write is called until it is finished.
_UNFINISHED = re.compile(r"\..*\.part|.*\.partial")
_FILE = Text("文件", "file")
_CUT_SHORT = Text(
    "没有对应的行：接收中断，或该行被删",
    "has no row: its intake was cut short, or the row was removed",
)
_UNEXPLAINED = Text("没有任何行说明它", "no row explains it")


def verify_folder(city: City, findings: Findings) -> int:
    """Look at every file that lies where the office keeps its own; returns how many there are."""
    checks: tuple[tuple[str, Callable[[City], set[Path]], Text, Text], ...] = (
        ("raw", _raw, _CUT_SHORT, SEND_AGAIN),
        ("facts", _facts, _CUT_SHORT, SEND_AGAIN),
        ("runs", _runs, _UNEXPLAINED, REBUILD),
        ("inputs", _inputs, _UNEXPLAINED, RESTORE),
        ("seals", _seals, Text("数据库中没有这一日", "the database has no such day"), RESTORE),
    )
    count = 0
    for name, explained_by, text, remedy in checks:
        explained = explained_by(city)
        for path in _files(city.folder / name):
            count += 1
            if path not in explained and not _is_left_over(city, name, path):
                where = file_at(_FILE, path.relative_to(city.folder))
                findings.add(Invariant.I8, where, text, remedy)
    return count


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_dir():
            yield path


def _raw(city: City) -> set[Path]:
    files = (city.raw_path(row.file.content_hash) for row in load_files(city.database))
    logs = (city.load_log_path(file.content_hash) for file, _ in load_load_logs(city.database))
    handed = (city.openings_path(file.content_hash) for file, _ in load_openings(city.database))
    return {*files, *logs, *handed}


def _facts(city: City) -> set[Path]:
    return {
        fact_path(city, row.file.content_hash, fact.bucket)
        for row in load_files(city.database)
        for fact in row.facts
    }


def _runs(city: City) -> set[Path]:
    runs = [load_run(city.database, day.run_id) for day in load_closed_days(city.database)]
    return {
        city.run_folder(run.settlement_day, run.run_id) / name
        for run in runs
        if run is not None
        for name, _ in run.outputs
    }


def _inputs(city: City) -> set[Path]:
    closed = [load_run(city.database, day.run_id) for day in load_closed_days(city.database)]
    explained = set()
    for run in (*closed, *load_provisional_runs(city.database)):
        if run is not None:
            explained.add(city.input_path(run.registry_sha256))
            if run.review_sha256 is not None:
                explained.add(city.review_path(run.review_sha256))
    return explained


def _seals(city: City) -> set[Path]:
    """Of each day its document, and the damaged one that a close put aside: nothing reads that."""
    paths = {city.seal_path(day.settlement_day) for day in load_closed_days(city.database)}
    return paths | {each.with_suffix(".damaged") for each in paths}


def _is_left_over(city: City, name: str, path: Path) -> bool:
    if _UNFINISHED.fullmatch(path.name):
        return True
    if name == "inputs":
        return path in {city.input_path(path.stem), city.review_path(path.stem)} and (
            hash_of(path) == path.stem
        )
    if name == "seals" and path.suffix == ".json":
        return True  # told by `seals`, with what it means
    return name == "runs" and _is_open(city, path)


def _is_open(city: City, path: Path) -> bool:
    """Whether this belongs to a run of a day that can still be closed: whoever closes it computes
    it again.
    """
    days = load_closed_days(city.database)
    try:
        day = date.fromisoformat(path.relative_to(city.folder / "runs").parts[0])
    except ValueError:
        return False
    return not days or day > days[-1].settlement_day
