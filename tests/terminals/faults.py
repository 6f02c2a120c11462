"""Faults the tests switch on: a card torn out, a power cut, a killed process."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

from cardcore.chip.card import Card
from cardcore.keys import ProofReason
from cardcore.records.batch import total_records
from cardcore.records.kinds import RecordFlag
from cardcore.records.record import decode_record
from terminals.errors import CardRemovedError
from terminals.journal.journal import Journal
from terminals.link.connection import InProcessConnection
from tests.terminals.equipment import balance, proof, records_of


class PowerCutError(Exception):
    """The terminal lost power at a journal step."""


@dataclass
class TornConnection:
    """A card that leaves the field at its `index`-th command, before or after it was done."""

    card: Card
    index: int
    after: bool
    count: int = 0

    def __post_init__(self) -> None:
        self._inner = InProcessConnection(self.card)

    def transmit(self, command: bytes) -> bytes:
        torn = self.count == self.index
        self.count += 1
        if torn and not self.after:
            raise CardRemovedError("torn out before the command")
        response = self._inner.transmit(command)
        if torn:
            raise CardRemovedError("torn out before the answer")
        return response


def cut_power_at(step: str) -> Callable[[str], None]:
    """A journal hook that ends everything at one step."""

    def hear(name: str) -> None:
        if name == step:
            raise PowerCutError(step)

    return hear


def run_and_kill(work: Callable[[Callable[[str], None]], None], step: str) -> bool:
    """Do `work` in a child process that kills itself at a step; whether it came to the step."""
    child = os.fork()
    if child == 0:

        def hear(name: str) -> None:
            if name == step:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            work(hear)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def check_money(journal: Journal, *cards: Card) -> None:
    """Money is conserved: what the records say is what the cards hold, to the fen; serials have no
    holes; every record decodes, and every TAC that is there proves.
    """
    data = records_of(journal)
    totals = total_records(b"".join(data))
    assert totals.load_fen - totals.debit_fen == sum(balance(card) for card in cards)
    serials: dict[str, list[int]] = {}
    for each in data:
        record = decode_record(each)
        serials.setdefault(record.terminal, []).append(record.terminal_serial)
        if RecordFlag.TAC_MISSING not in record.flags:
            assert proof(record) is ProofReason.PROVEN, record
        sign = 1 if record.is_load else -1
        change = record.balance_after_fen - record.balance_before_fen
        assert change == sign * record.amount_fen
    for terminal, numbers in serials.items():
        assert numbers == list(range(1, len(numbers) + 1)), terminal
