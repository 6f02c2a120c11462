"""What a decision moves, from which account to which: the one place that says so.

Decides it for one record and for records that ended alike, and sums movements up by account.
Leaves the decision to reconciliation, how an accepted debit is shared out to `settlement.sectors`,
and posting to `entries`. The float, both sides of a day and the history of a record follow from
here, so they cannot say different things; `settlement.verification.records` says it once more on
purpose, to check.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from cardcore.records.kinds import RecordKind
from settlement.dispositions import Disposition, Reason
from settlement.ledger.accounts import CARD_FLOAT, HOLDER_DUE, Account, AccountKind


@dataclass(frozen=True, slots=True)
class Movement:
    """Money that leaves one account for another. The source is debited (借) and the destination
    credited (贷): cards are owed less and an operator more, or a load agent owes more and cards are
    owed more.
    """

    source: Account
    destination: Account
    amount_fen: int

    def __post_init__(self) -> None:
        assert self.amount_fen > 0, self

    @property
    def taken_back(self) -> "Movement":
        """The same money on its way back."""
        return Movement(self.destination, self.source, self.amount_fen)


@dataclass(frozen=True, slots=True)
class Gross:
    """What moved on an account, each side for itself; neither is ever negative."""

    debit_fen: int = 0
    credit_fen: int = 0

    @property
    def net_fen(self) -> int:
        """Debits positive."""
        return self.debit_fen - self.credit_fen


#: Gross debit and credit by account.
Sums: TypeAlias = Mapping[Account, Gross]


def decide_movements(
    reason: Reason,
    *,
    kind: int,
    operator: int,
    centre: int,
    amount_fen: int,
    excess_fen: int,
    passed_on_fen: Mapping[int, int],
) -> tuple[Movement, ...]:
    """What records with that reason move: nothing where no purse does. `centre` answers for the
    cards, 0 where that is us: then they are part of the float; others' cards are owed by and to
    their centre, and the operator is paid once it has answered (I3). `excess_fen` is what an
    accepted debit charges above a known tariff, all of one that people returned: it has left the
    card, is nobody's pay, and is held for the holder. `passed_on_fen` is what others than the
    operator get of what is paid, by participant; the rest is the operator's, so that all sums to
    the amount (I5).

    What the card has proven is posted, to suspense where somebody has still to decide. A claim
    moves nothing (R3).
    """
    disposition = reason.disposition
    if not disposition.is_posted or not RecordKind(kind).moves_purse:
        return ()
    if reason is Reason.RETURNED and centre:
        return ()  # its centre keeps what its card paid, and answers to the holder
    is_load = kind == RecordKind.LOAD
    cards = Account(AccountKind.CENTRE, centre) if centre else CARD_FLOAT
    if disposition is Disposition.SUSPENDED:
        shares_fen = {Account(AccountKind.SUSPENSE, operator): amount_fen}
    elif is_load:
        shares_fen = {Account(AccountKind.LOAD_AGENT, operator): amount_fen}
    else:
        assert operator not in passed_on_fen, (operator, passed_on_fen)
        rest_fen = amount_fen - excess_fen - sum(passed_on_fen.values())
        shares_fen = {Account(AccountKind.OPERATOR, operator): rest_fen} | {
            Account(AccountKind.OPERATOR, code): share_fen
            for code, share_fen in passed_on_fen.items()
        }
        shares_fen[HOLDER_DUE] = excess_fen
    return tuple(
        Movement(account, cards, share_fen) if is_load else Movement(cards, account, share_fen)
        for account, share_fen in shares_fen.items()
        if share_fen
    )


def sum_up(movements: Iterable[Movement]) -> dict[Account, Gross]:
    """Gross debit and credit of every account that the movements touch."""
    debits_fen: dict[Account, int] = {}
    credits_fen: dict[Account, int] = {}
    for each in movements:
        debits_fen[each.source] = debits_fen.get(each.source, 0) + each.amount_fen
        credits_fen[each.destination] = credits_fen.get(each.destination, 0) + each.amount_fen
    return {
        account: Gross(debits_fen.get(account, 0), credits_fen.get(account, 0))
        for account in debits_fen | credits_fen
    }


def cards_side(sums: Sums) -> dict[Account, Gross]:
    """The accounts that are the cards'."""
    return {account: gross for account, gross in sums.items() if account.participant is None}


def participants_side(sums: Sums) -> dict[int, dict[Account, Gross]]:
    """The accounts that are a participant's, by its code, in order."""
    found: dict[int, dict[Account, Gross]] = {}
    for account, gross in sums.items():
        if account.participant is not None:
            found.setdefault(account.participant, {})[account] = gross
    return {code: found[code] for code in sorted(found)}
