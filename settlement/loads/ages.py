"""Loads by agent and age (账龄): what does not match, summed for whoever has to ask.

Decides how old a load is, in days from the day on which log or record was there, and what is summed
together. Leaves how it stands to `settlement.loads.decide`, whose a terminal was to the registry.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from settlement.loads.decide import JudgedLoad
from settlement.loads.standings import LoadStanding


@dataclass(frozen=True, slots=True)
class LoadLine:
    """A load, its agent (the owner of the terminal on that day; None where nobody owned it, or no
    terminal is known) and its age in days. `billed_on` is the settlement day that billed it by the
    log alone, for want of a record.
    """

    judged: JudgedLoad
    agent: int | None
    age_days: int
    billed_on: date | None = None


@dataclass(frozen=True, slots=True)
class AgentFigures:
    """The loads of an agent that stand alike. `unmatched` are those on which log, record and card
    do not agree.
    """

    agent: int | None
    standing: LoadStanding
    loads: int
    amount_fen: int
    unmatched: int
    unmatched_fen: int
    oldest_days: int  # of the unmatched; 0 without any


def sum_by_agent(lines: Iterable[LoadLine]) -> tuple[AgentFigures, ...]:
    """The figures of every agent, the unregistered last, by standing."""
    groups: dict[tuple[int | None, LoadStanding], list[LoadLine]] = {}
    for line in lines:
        groups.setdefault((line.agent, line.judged.standing), []).append(line)
    return tuple(
        _figures(agent, standing, group)
        for (agent, standing), group in sorted(
            groups.items(), key=lambda item: (item[0][0] is None, item[0][0] or 0, item[0][1].value)
        )
    )


def _figures(agent: int | None, standing: LoadStanding, group: list[LoadLine]) -> AgentFigures:
    unmatched = [each for each in group if not each.judged.is_matched]
    return AgentFigures(
        agent,
        standing,
        sum(each.judged.count for each in group),
        sum(each.judged.amount_fen for each in group),
        sum(each.judged.count for each in unmatched),
        sum(each.judged.amount_fen for each in unmatched),
        max((each.age_days for each in unmatched), default=0),
    )
