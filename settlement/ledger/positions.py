"""Net positions (净额): what a day's entries come to for each account.

Decides gross and net. Leaves who pays whom for them to netting.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from settlement.ledger.accounts import Account, AccountKind
from settlement.ledger.entries import Entry


@dataclass(frozen=True, slots=True)
class Position:
    """What moved on an account in a day: gross debit and credit, both positive, and their
    difference. A positive net is owed by the account's owner, a negative one to it.
    """

    account: str
    gross_debit_fen: int
    gross_credit_fen: int
    net_fen: int


def net_positions(entries: Sequence[Entry]) -> tuple[Position, ...]:
    """Positions of one day's entries, by account, without the clearing account.

    Their nets sum to zero (I6) exactly when the clearing account does (I7).
    """
    debit: dict[str, int] = {}
    credit: dict[str, int] = {}
    for entry in entries:
        clearing = Account(AccountKind.CLEARING, day=entry.settlement_day).text
        for posting in entry.postings:
            if posting.account != clearing:
                debit.setdefault(posting.account, 0)
                credit.setdefault(posting.account, 0)
                side = debit if posting.amount_fen > 0 else credit
                side[posting.account] += abs(posting.amount_fen)
    return tuple(
        Position(account, debit[account], credit[account], debit[account] - credit[account])
        for account in sorted(debit)
    )
