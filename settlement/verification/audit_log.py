"""What people did, proven again: each act is signed, each ruling is two people's, nothing is cut.

Decides what is wrong with the audit log, and with what follows from it elsewhere: changes of the
registry that a person made alone, days that two closed without a ruling, wrong secrets that were
taken out. That the log as a whole is the one that stood under a day's seal is found in `days`,
where the sealed document is made again; here it is said which day it fell short of.
"""

from collections.abc import Sequence

from cardcore.text import Text
from settlement.city import City
from settlement.errors import AuditEntryError
from settlement.registry.proposed import read_changes
from settlement.rulings.book import RulingBook
from settlement.rulings.kinds import RulingKind
from settlement.rulings.log import LogEntry
from settlement.rulings.proof import prove_log
from settlement.service.ruling.registry_proof import changed_alone, lone_changes
from settlement.store import days as day_store
from settlement.store.people import load_try_numbers
from settlement.store.registry import load_changes
from settlement.store.rulings import load_log
from settlement.verification.findings import Findings, Invariant, numbered_row, row_of

_TABLE = Text("audit_log 表", "audit_log")
#: What to do about an act that nobody can be shown to have done.
_ASK = Text(
    "由备份恢复数据目录；所述之人未办此事者，请安全员查明谁能写入该目录",
    "restore the folder from a copy; if whoever it names did not do it, have the security officer "
    "find out who can write into the folder",
)


def verify_audit_log(city: City, findings: Findings) -> int:
    """Check the log and what follows from it; returns how many entries there are."""
    try:
        log = load_log(city.database)
    except AuditEntryError as error:
        findings.cannot_read(Invariant.I8, numbered_row("audit_log", error.number), error, _ASK)
        return 0
    faults = prove_log(log)
    for each in faults:
        findings.add(Invariant.I8, numbered_row("audit_log", each.number), each.text, _ASK)
    _verify_seals(city, log, findings)
    _verify_tries(city, findings)
    if not faults:  # else it says nothing that could be compared
        book = RulingBook(log)
        _verify_registry(city, book, findings)
        _verify_days(city, book, findings)
    return len(log)


def _verify_seals(city: City, log: Sequence[LogEntry], findings: Findings) -> None:
    for day in day_store.load_closed_days(city.database):
        if (day.audit_entries or 0) > len(log):
            text = Text(
                f"{day.settlement_day} 关闭时有 {day.audit_entries} 条，现存 {len(log)} 条",
                f"had {day.audit_entries} entries when {day.settlement_day} was closed, and has "
                f"{len(log)}",
            )
            findings.add(Invariant.I8, _TABLE, text, _ASK)


def _verify_tries(city: City, findings: Findings) -> None:
    numbers = load_try_numbers(city.database)
    for number in sorted(set(range(1, max(numbers, default=0) + 1)) - set(numbers)):
        text = Text("已缺失：有密语错误的记载被删", "is gone: a wrong secret was taken out")
        findings.add(Invariant.I8, numbered_row("wrong_secrets", number), text)


def _verify_registry(city: City, book: RulingBook, findings: Findings) -> None:
    """Since two people are enrolled no person changes the registry but by a ruling, and what was
    ruled is there.
    """
    made = {
        (each.action.by.name, each.action.at, each.what): each.number
        for each in load_changes(city.database)
    }
    for proposal, answered in book.approved(RulingKind.REGISTRY_CHANGE):
        for what in read_changes(_list_of(proposal.details)):
            if made.pop((proposal.proposed_by, answered.at, what), None) is None:
                text = Text(
                    f"所批准的 {what.kind} {what.subject} 不在登记簿中",
                    f"what it approved of {what.kind} {what.subject} is not in the registry",
                )
                findings.add(Invariant.I8, numbered_row("audit_log", answered.number), text)
    for each in lone_changes(city, book):
        where = numbered_row("registry_changes", each.number)
        findings.add(Invariant.I8, where, changed_alone(each), _ASK)


def _list_of(details: object) -> list[dict[str, object]]:
    assert isinstance(details, list), details
    return details


def _verify_days(city: City, book: RulingBook, findings: Findings) -> None:
    """Since two people are enrolled a day that two closed has a ruling by the same two."""
    begun = book.two_since
    approved = list(book.approved(RulingKind.DAYS_CLOSE))
    for day in day_store.load_closed_days(city.database):
        if begun is None or day.closed_at <= begun or day.confirmed_by is None:
            continue
        assert day.closed_by is not None, day
        pairs = {
            (proposal.proposed_by, answered.by)
            for proposal, answered in approved
            if f"day/{day.settlement_day}" in proposal.subjects
        }
        if (day.closed_by.name, day.confirmed_by.name) not in pairs:
            text = Text(
                "由两人关闭，而审计日志中没有此裁定",
                "was closed by two, and the audit log has no such ruling",
            )
            findings.add(Invariant.I8, row_of("days", day.settlement_day), text, _ASK)
