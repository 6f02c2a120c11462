"""Statements and segments on tables made by hand: what a run posts, day after day."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from settlement.dispositions import SegmentKind
from settlement.facts import columnar
from settlement.reconciliation.statements import (
    STATEMENT_OUTPUTS,
    begin_statements,
    follow_statements,
)

DAY = date(2018, 9, 1)
ISSUER, CARD, TRANSIT = 1, 7, 0
_LOAD, _PURCHASE = 1, 2
_ACCEPTED = 99


@dataclass(frozen=True, slots=True)
class Moved:
    """A movement that is posted: a load says what the card held after it."""

    number: int  # names the record
    dated: datetime
    amount_fen: int
    counter: int = 0
    after_fen: int = 0
    is_load: bool = False
    card: int = CARD
    application: int = TRANSIT


@dataclass(frozen=True, slots=True)
class Asked:
    """MAC1 in the load host's log: what the card held when it asked for a load."""

    dated: datetime
    counter: int
    balance_fen: int
    card: int = CARD
    application: int = TRANSIT


@dataclass(frozen=True, slots=True)
class Segment:
    """An open segment, as far as tests ask."""

    price_fen: int
    missing_loads: int
    kind: SegmentKind
    opened_day: date
    card: int = CARD


def at(text: str, day: date = DAY) -> datetime:
    """That moment of the day."""
    return datetime.combine(day, datetime.strptime(text, "%H:%M").time())  # noqa: DTZ007 - local


class Purses:
    """Runs days over tables made by hand; every run's files are what the next one begins with."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._previous: Path | None = None
        self._history: dict[date, str] = {}
        self.opened: list[date] = []  # days looked up by the last run

    def run(
        self,
        *moved: Moved,
        asked: Sequence[Asked] = (),
        taken_back: Sequence[Moved] = (),
        day: date = DAY,
    ) -> None:
        """Close a day over what it posts and what it takes back."""
        output = self._folder / day.isoformat()
        output.mkdir()
        with columnar.connect(output) as connection:
            columnar.define_words(connection)
            columnar.set_variables(connection, settlement_day=day, cutover_hour=0)
            self._decisions(connection, moved, taken_back)
            begin_statements(connection, self._previous)
            columnar.insert(
                connection,
                "load_log",
                [
                    (
                        ISSUER,
                        each.card,
                        each.application,
                        each.counter,
                        each.balance_fen,
                        each.dated,
                    )
                    for each in asked
                ],
            )
            follow_statements(connection, self._history)
            days = connection.execute("FROM looked_up_day ORDER BY ALL").fetchall()
            self.opened = [found for (found,) in days]
            state = {name: STATEMENT_OUTPUTS[name] for name in ("statements", "segments")}
            columnar.write_tables(connection, {**state, "claims": "FROM claim_before"}, output)
            columnar.write_tables(
                connection,
                {
                    "decisions": "FROM decision ORDER BY file, row",
                    "settled_days": "SELECT DISTINCT business_day_of(dated) AS signed_day, "
                    "getvariable('settlement_day') AS settlement_day FROM decision "
                    "UNION FROM settled_day_before ORDER BY ALL",
                },
                output,
            )
        self._previous = output
        self._history[day] = str(output)

    def _decisions(
        self,
        connection: duckdb.DuckDBPyConnection,
        moved: Sequence[Moved],
        taken_back: Sequence[Moved],
    ) -> None:
        connection.execute(
            "CREATE TABLE decision (file UBIGINT, row UINTEGER, issuer UBIGINT, "
            "card_number UBIGINT, application UTINYINT, is_load BOOLEAN, kind UTINYINT, "
            "counter UINTEGER, amount_fen UINTEGER, signed_balance_fen UINTEGER, "
            "dated TIMESTAMP, reason UTINYINT, centre UINTEGER);"
            "CREATE TABLE taken_up AS FROM decision;"
            "CREATE TABLE torn_before (file UBIGINT, row UINTEGER, issuer UBIGINT, "
            "card_number UBIGINT, application UTINYINT, settlement_day DATE, left_online BIGINT, "
            "left_balance_fen BIGINT, left_time TIMESTAMP, right_online BIGINT, "
            "right_balance_fen BIGINT, right_time TIMESTAMP, is_taken_back BOOLEAN);"
            "CREATE TABLE torn_after AS FROM torn_before;"
            "CREATE TABLE settled_day_before (signed_day DATE, settlement_day DATE);"
            "CREATE TABLE load_log (issuer UBIGINT, card_number UBIGINT, application UTINYINT, "
            "online_counter USMALLINT, balance_before_fen UINTEGER, time TIMESTAMP);"
            "CREATE TABLE number (application UTINYINT, issuer UBIGINT, first_number UBIGINT, "
            "last_number UBIGINT, centre UINTEGER, is_asked BOOLEAN, valid_from DATE, "
            "valid_to DATE)"
        )
        rows = [_row(each, _ACCEPTED) for each in moved]
        rows += [_row(each, 2) for each in taken_back]
        columnar.insert(connection, "decision", rows)
        columnar.insert(connection, "taken_up", [_row(each, 8) for each in taken_back])
        if self._previous is not None:
            connection.execute(
                "INSERT INTO settled_day_before FROM read_parquet($path)",
                {"path": str(self._previous / "settled_days.parquet")},
            )

    def segments(self) -> list[Segment]:
        """What is open, by price."""
        return sorted(
            (
                Segment(price_fen, missing, SegmentKind(kind), opened, card)
                for card, price_fen, missing, kind, opened in self._read(
                    "segments", "card_number, price_fen, missing_loads, kind, opened_day"
                )
            ),
            key=lambda each: (each.card, each.price_fen, each.missing_loads),
        )

    def statement(self, card: int = CARD, application: int = TRANSIT) -> tuple[Any, ...]:
        """(counter, balance, time, tail) of a purse."""
        ((_, _, *rest),) = [
            row
            for row in self._read(
                "statements", "card_number, application, online, balance_fen, time, tail_fen"
            )
            if row[:2] == (card, application)
        ]
        return tuple(rest)

    def _read(self, name: str, columns: str) -> list[tuple[Any, ...]]:
        path = str(self._previous / f"{name}.parquet") if self._previous else ""
        with duckdb.connect() as connection:
            return connection.execute(
                f"SELECT {columns} FROM read_parquet($path) ORDER BY ALL", {"path": path}
            ).fetchall()


def _row(each: Moved, reason: int) -> tuple[Any, ...]:
    return (
        each.number, 0, ISSUER, each.card, each.application, each.is_load,
        _LOAD if each.is_load else _PURCHASE, each.counter, each.amount_fen,
        each.after_fen, each.dated, reason, 0,
    )  # fmt: skip


class Life:
    """A card that lives minute by minute; what it moves and states may come in any order."""

    def __init__(self, card: int = CARD, *, counter: int = 0, balance_fen: int = 0) -> None:
        self.card = card
        self.counter = counter
        self.balance_fen = balance_fen
        self.now = at("06:00")
        self._number = card * 10_000

    def load(self, amount_fen: int) -> Moved:
        """A load that the card proves."""
        self.balance_fen += amount_fen
        made = replace(
            self._moved(amount_fen), is_load=True, counter=self.counter, after_fen=self.balance_fen
        )
        self.counter = self.counter % 65_535 + 1
        return made

    def debit(self, amount_fen: int) -> Moved:
        """A debit that the card proves."""
        self.balance_fen -= amount_fen
        return self._moved(amount_fen)

    def ask(self) -> Asked:
        """MAC1; the load may or may not go on."""
        self.now += timedelta(minutes=1)
        return Asked(self.now, self.counter, self.balance_fen, card=self.card)

    def _moved(self, amount_fen: int) -> Moved:
        self.now += timedelta(minutes=1)
        self._number += 1
        return Moved(self._number, self.now, amount_fen, card=self.card)
