"""Closed days (清算日) and what they left: totals, positions, balances.

Decides what belongs to the report of a day, and under which name an account's owner stands. Every
figure is one that the close stored.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from settlement.city import City
from settlement.day_seals import SignedSeal
from settlement.days.closing import ClosedDay
from settlement.ledger.accounts import parse_account
from settlement.seal import Sealable
from settlement.service.review import review_size
from settlement.store.days import (
    load_balances,
    load_closed_days,
    load_day,
    load_newest_seal,
    load_positions,
    load_run,
)
from settlement.store.registry import load_participants


@dataclass(frozen=True, slots=True)
class PositionLine:
    """The position of an account on a day, and whose it is: "" for the cards' float and for
    what is held for holders. A positive net is owed by the owner, a negative one to it.
    """

    account: str
    owner: str
    gross_debit_fen: int
    gross_credit_fen: int
    net_fen: int


@dataclass(frozen=True, slots=True)
class DayReport:
    """A closed day. `reviewed` is how many records it judged that could not be judged before."""

    day: ClosedDay
    totals: Mapping[str, Sealable]
    reviewed: int
    positions: tuple[PositionLine, ...]


def read_closed_days(city: City) -> tuple[ClosedDay, ...]:
    """Every closed day, in order."""
    return load_closed_days(city.database)


def read_newest_seal(city: City) -> SignedSeal | None:
    """The seal of the day closed last; None before the first."""
    return load_newest_seal(city.database, city.scheme.name)


def read_day(city: City, settlement_day: date) -> DayReport | None:
    """One day; None when it is not closed."""
    day = load_day(city.database, settlement_day)
    if day is None:
        return None
    run = load_run(city.database, day.run_id)
    assert run is not None, day  # the database refers to it
    return DayReport(
        day, run.totals, review_size(city, run.review_sha256), _positions(city, settlement_day)
    )


def read_balances(city: City) -> dict[str, int]:
    """Every ledger account's balance in fen, debits positive, over all closed days."""
    return load_balances(city.database)


def _positions(city: City, settlement_day: date) -> tuple[PositionLine, ...]:
    positions = load_positions(city.database, settlement_day)
    owners = {each.account: parse_account(each.account).participant for each in positions}
    codes = {code for code in owners.values() if code is not None}
    names = {each.code: each.name for each in load_participants(city.database, codes)}
    return tuple(
        PositionLine(
            each.account,
            "" if (code := owners[each.account]) is None else names[code],
            each.gross_debit_fen,
            each.gross_credit_fen,
            each.net_fen,
        )
        for each in positions
    )
