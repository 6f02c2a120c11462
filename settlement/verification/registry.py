"""The registry's chain of changes again, and what closed days read of it.

Decides what is wrong with the registry: a change that does not follow from the one before it, and
a closed day that read what the chain does not say. That the chain as a whole is the one that stood
under a day's seal is found in `days`, where the sealed document is made again.
"""

from collections.abc import Sequence

from cardcore.errors import DecodeError
from cardcore.text import Text
from settlement.city import City
from settlement.days.closing import ClosedDay
from settlement.errors import RegistryRowError, StoredBytesError
from settlement.registry.book import Change, Registry, broken_link
from settlement.registry.documents import decode_registry, read_by_runs
from settlement.service.proven import proven_bytes
from settlement.store import days as day_store
from settlement.store.registry import load_changes
from settlement.verification.findings import (
    REBUILD,
    Findings,
    Invariant,
    column,
    file_at,
    numbered_row,
)


def verify_registry(city: City, findings: Findings) -> int:
    """Check the chain and every closed day's view of it; returns how many changes there are."""
    try:
        changes = load_changes(city.database)
    except (
        RegistryRowError,
        ValueError,
        TypeError,
    ) as error:  # the last two: a day or moment is none
        where = Text("registry_changes 表", "registry_changes")
        findings.cannot_read(Invariant.I8, where, error)
        return 0
    broken = broken_link(changes)
    if broken is not None:
        what = next((each.what for each in changes if each.number >= broken), None)
        who = Text("链的末端", "the end of the chain")
        if what is not None:
            who = column(f"{what.kind} {what.subject}")
        text = Text(
            f"{who.zh} 被改动，或与前一变更不衔接",
            f"{who.en} was changed, or does not follow from the change before it",
        )
        findings.add(Invariant.I8, numbered_row("registry_changes", broken), text)
    before = 0
    for day in day_store.load_closed_days(city.database):
        _verify_day(city, day, changes, before, findings)
        before = day.registry_changes or 0
    return len(changes)


def _verify_day(
    city: City, day: ClosedDay, changes: Sequence[Change], before: int, findings: Findings
) -> None:
    """What the day's run read was what the chain said at some moment since the day before."""
    run = day_store.load_run(city.database, day.run_id)
    if run is None:
        return
    path = city.input_path(run.registry_sha256)
    try:
        read = decode_registry(proven_bytes(path, run.registry_sha256))
    except (DecodeError, StoredBytesError) as error:
        where = file_at(Text("清分输入", "input"), path.relative_to(city.folder))
        findings.cannot_read(Invariant.I10, where, error, REBUILD)
        return
    # Days closed before the chain was sealed with them may have read any part of it.
    latest = len(changes) if day.registry_changes is None else day.registry_changes
    where = Text(f"{day.settlement_day} 的登记簿", f"registry of day {day.settlement_day}")
    if latest > len(changes):
        text = Text(
            f"关闭时有 {latest} 个变更，现存 {len(changes)} 个",
            f"{latest} changes were registered when it was closed, {len(changes)} are left",
        )
        findings.add(Invariant.I8, where, text)
    elif not any(
        _as_of(changes[:count]) == read for count in range(latest, min(before, latest) - 1, -1)
    ):
        text = Text("所读内容与变更不符", "what it read is not what the changes say")
        findings.add(Invariant.I8, where, text)


def _as_of(changes: Sequence[Change]) -> Registry:
    return read_by_runs(changes)
