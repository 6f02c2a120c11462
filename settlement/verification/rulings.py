"""What closed days applied of what people ruled: everything, once, in order, and nothing else.

Decides what is wrong with a day's rulings and with what its review says of them. That the rulings
are ones, signed by two people, is found by the check of the audit log; what became of the records
by the day computed again.
"""

from collections.abc import Mapping

from cardcore.text import Text
from settlement.city import City
from settlement.days.closing import ClosedDay
from settlement.days.rulings import AppliedRuling, Verdicts, applied, ruled_records
from settlement.dispositions import Verdict
from settlement.rulings.kinds import RulingKind
from settlement.rulings.ruling import Ruling
from settlement.service.review import Review
from settlement.service.ruling.decisions import read_held
from settlement.store import days as day_store
from settlement.store.applied import load_applied
from settlement.store.rulings import load_book
from settlement.verification.findings import Findings, Invariant


def verify_applied(city: City, findings: Findings) -> int:
    """Check which rulings each closed day applied; returns how many there are that a day applies.

    The days' rulings, one behind the other, are the first of those in the audit log.
    """
    made = applied(load_book(city.database).rulings())
    following = iter(made)
    for day in day_store.load_closed_days(city.database):
        run = day_store.load_run(city.database, day.run_id)
        if run is None:
            continue  # found where the days are computed again
        where = Text(f"{day.settlement_day} 的裁定", f"rulings of day {day.settlement_day}")
        for each in run.rulings:
            _compare(each, next(following, None), where, findings)
        for ruling in load_applied(city.database, run.rulings):
            if ruling.kind is RulingKind.CASES_SETTLE:
                _compare_paid(city, day, ruling, where, findings)
    return len(made)


def _compare_paid(
    city: City, day: ClosedDay, ruling: Ruling, where: Text, findings: Findings
) -> None:
    """What is paid out to holders is what days before it have held of these very records."""
    held_fen = sum(
        read_held(city, day.settlement_day, file, row) for file, row in ruled_records(ruling)
    )
    name = Text(
        f"第 {ruling.number} 号裁定退付（分）", f"paid out by ruling {ruling.number}, in fen,"
    )
    findings.expect_equal(Invariant.I4, where, name, ruling.sum_fen, held_fen)


def _compare(
    there: AppliedRuling, due: AppliedRuling | None, where: Text, findings: Findings
) -> None:
    if there == due:
        return
    if due is None:
        text = Text(
            f"执行了第 {there.number} 号裁定，审计日志中没有它",
            f"applied ruling {there.number}, which the audit log does not have",
        )
    elif there.number == due.number:
        text = Text(
            f"第 {there.number} 号裁定的内容已被改动",
            f"ruling {there.number} says something else than when it was applied",
        )
    else:
        text = Text(
            f"执行了第 {there.number} 号裁定，应为第 {due.number} 号",
            f"applied ruling {there.number}, must be {due.number}",
        )
    findings.add(Invariant.I4, where, text)


def verify_verdicts(
    review: Review,
    verdicts: Verdicts,
    is_suspended: Mapping[tuple[int, int], bool],
    where: Text,
    findings: Findings,
) -> None:
    """A review says of a record what people ruled of it, of every one that was suspended still and
    of no other. `is_suspended` has the records of earlier days that either names.
    """
    said = {
        (file, row): each.verdict
        for file, rows in review.items()
        for row, each in rows.items()
        if each.verdict is not None
    }
    for key in sorted(said.keys() | verdicts.keys()):
        right = verdicts.get(key) if is_suspended.get(key, False) else None
        if said.get(key) is not right:
            file, row = key
            found, expected = _said(said.get(key)), _said(right)
            text = Text(
                f"文件 {file:016x}… 第 {row} 行记为“{found.zh}”，应为“{expected.zh}”",
                f"row {row} of file {file:016x}... says: {found.en}; must be: {expected.en}",
            )
            findings.add(Invariant.I4, where, text)


def _said(verdict: Verdict | None) -> Text:
    return _SAID[verdict]


_SAID: Mapping[Verdict | None, Text] = {
    None: Text("未裁定", "not ruled on"),
    Verdict.RELEASE: Text("放行", "released"),
    Verdict.RETURN: Text("退还", "returned"),
}
