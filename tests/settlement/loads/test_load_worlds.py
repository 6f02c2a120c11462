"""Small worlds of loads: tried, torn, silent, late. What came about is billed, and once."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from cardcore.keys import ProofReason
from cardcore.records.kinds import Funding, RecordFlag
from cardcore.records.load_log import AllowedLoad, encode_entry
from cardcore.records.record import TransactionRecord, encode_record
from settlement.clearing.tally import BucketResult
from settlement.facts.load_log import LogEntries
from settlement.registry.rows import TerminalRow
from tests.settlement.reconciliation.run_inputs import (
    BUS,
    BUS_OPERATOR,
    DAY,
    KIOSK,
    LOAD_AGENT,
    Desk,
    Proven,
    load,
)

OTHER_KIOSK = "0000000000c2"
TERMINALS = (
    TerminalRow(BUS, BUS_OPERATOR, "bus"),
    TerminalRow(KIOSK, LOAD_AGENT, "kiosk"),
    TerminalRow(OTHER_KIOSK, LOAD_AGENT, "kiosk"),
)
ISSUER = load().issuer.hex().upper()
DAYS, CARDS = 5, 16
MIDNIGHT = datetime(DAY.year, DAY.month, DAY.day)  # noqa: DTZ001 - wall clock of the city


@dataclass
class Purse:
    """A purse that spends without a trace."""

    card: int
    balance_fen: int = 0
    counter: int = 0


@dataclass
class World:
    """What happens to the loads of some purses, day after day."""

    dice: Random
    numbers: int = 0
    done_fen: int = 0
    done: list[TransactionRecord] = field(default_factory=list)
    deliveries: dict[int, list[Proven]] = field(default_factory=dict)
    entries: dict[int, list[bytes]] = field(default_factory=dict)

    def live(self, purse: Purse, day: int) -> None:
        """Tries to load the purse until one try comes about, or it is given up."""
        purse.balance_fen -= self.dice.randint(0, purse.balance_fen)
        for _ in range(self.dice.choice((1, 1, 1, 2, 3))):
            amount_fen = self.dice.choice((1000, 1000, 5000))
            self.numbers += 1
            record = load(
                purse.card,
                online_counter=purse.counter,
                balance_before_fen=purse.balance_fen,
                balance_after_fen=purse.balance_fen + amount_fen,
                amount_fen=amount_fen,
                terminal=self.dice.choice((KIOSK, KIOSK, OTHER_KIOSK)),
                terminal_serial=self.numbers,
                time=MIDNIGHT + timedelta(days=day, minutes=self.numbers),
            )
            self.allow(record, day)
            if self.dice.random() < 0.6:
                self.done_fen += amount_fen
                self.done.append(record)
                purse.counter += 1
                purse.balance_fen += amount_fen
                self.tell(record, day)
                return
            if self.dice.random() < 0.3:
                self.deliver(torn(record), ProofReason.WRONG, day)

    def allow(self, record: TransactionRecord, day: int) -> None:
        """The host's entry; its file comes on the day or on the next one, in order."""
        entry = AllowedLoad(
            self.numbers,
            record.application,
            record.card_number,
            1,
            b"1234",
            record.online_counter,
            record.balance_before_fen,
            record.amount_fen,
            record.terminal,
            record.time,
            b"mac1",
            b"mac2",
            Funding.CASH,
        )
        self.entries.setdefault(day, []).append(encode_entry(entry, bytes(32)))

    def tell(self, record: TransactionRecord, day: int) -> None:
        """What the kiosk makes of a load that came about: a record, a torn one, or nothing."""
        match self.dice.choice(("proven", "proven", "torn", "both", "silent")):
            case "proven":
                self.deliver(record, ProofReason.PROVEN, day)
            case "torn":
                self.deliver(torn(record), ProofReason.WRONG, day)
            case "both":
                self.deliver(torn(record), ProofReason.WRONG, day)
                self.deliver(record, ProofReason.PROVEN, day)

    def deliver(self, record: TransactionRecord, proof: ProofReason, day: int) -> None:
        """On the day, or a few days later."""
        on = day + self.dice.choice((0, 0, 0, 1, 3))
        self.deliveries.setdefault(on, []).append((encode_record(record), proof))


def torn(record: TransactionRecord) -> TransactionRecord:
    return replace(record, tac=bytes(4), flags=RecordFlag.TAC_MISSING)


def billed(results: tuple[BucketResult, ...]) -> int:
    return sum(tally.float_fen for each in results for tally in each.tallies)


@pytest.mark.parametrize("seed", range(4))
def test_what_came_about_is_billed_once_and_nothing_else(tmp_path: Path, seed: int) -> None:
    world, desk = World(Random(seed)), Desk(tmp_path, buckets=2, terminals=TERMINALS)
    purses = [Purse(number) for number in range(1, CARDS + 1)]
    log_lag = seed % 2
    agent_fen = by_log = 0
    for day in range(DAYS + 4):
        if day < DAYS:
            for purse in purses:
                world.live(purse, day)
        files = [world.deliveries[day]] if day in world.deliveries else []
        log = b"".join(world.entries.get(day - log_lag, []))
        outcome = desk.run(
            *files,
            day=DAY + timedelta(days=day),
            load_log=[LogEntries(ISSUER, log)] if log else [],
        )
        agent_fen += billed(outcome.buckets)
        by_log += outcome.clearing.totals.loads_by_log
        assert 0 <= agent_fen <= world.done_fen
    assert by_log > 0
    # At last the agent sends what every card has proven.
    late = [(encode_record(each), ProofReason.PROVEN) for each in world.done]
    for after in range(2):
        outcome = desk.run(late[after:], day=DAY + timedelta(days=DAYS + 4 + after))
        agent_fen += billed(outcome.buckets)
        assert agent_fen == world.done_fen
