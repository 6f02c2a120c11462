"""Accounts (账户) of the ledger: a value with a grammar, written and read here and nowhere else.

Decides which kinds of account there are, whose each is, and how one is written: `card_float`,
`clearing/2018-09-01`, `operator/101`. Leaves what moves on them to `movements`. An account stands
as text in postings and positions, because their hashes cover it; text that is no account is an
error wherever it is read.
"""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from cardcore.text import Text, shorten


class AccountKind(StrEnum):
    """What an account holds. The order is that of the lines of an entry."""

    CARD_FLOAT = "card_float"  # 卡内备付金: what is owed to all cards, a liability
    HOLDER_DUE = "holder_due"  # 应退持卡人: charged above a known tariff, held for holders as cases
    PAID_OUT = "paid_out"  # 已退持卡人: what holders got of it outside their cards
    CLEARING = "clearing"  # 清分户: of a day, between cards and participants; ends at zero
    OPERATOR = "operator"  # 应付运营商: what is owed to an operator
    LOAD_AGENT = "load_agent"  # 应收充值代理: what a load agent owes
    CENTRE = "centre"  # 应收发卡中心: what another issuer's centre owes for its cards
    SUSPENSE = "suspense"  # 可疑账: of a participant, held until somebody decides

    @property
    def text(self) -> Text:
        """For people."""
        return _TEXTS[self]


_TEXTS = {
    AccountKind.CARD_FLOAT: Text("备付金", "the float of all cards"),
    AccountKind.HOLDER_DUE: Text("应退持卡人", "due to holders"),
    AccountKind.PAID_OUT: Text("已退持卡人", "paid out to holders"),
    AccountKind.CLEARING: Text("清分户", "clearing"),
    AccountKind.OPERATOR: Text("应付运营商", "due to an operator"),
    AccountKind.LOAD_AGENT: Text("应收充值代理", "due from a load agent"),
    AccountKind.CENTRE: Text("应收发卡中心", "due from an issuing centre"),
    AccountKind.SUSPENSE: Text("可疑挂账", "held in suspense"),
}
assert set(_TEXTS) == set(AccountKind)


_OF_A_DAY = frozenset({AccountKind.CLEARING})
_OF_A_PARTICIPANT = frozenset(
    {AccountKind.OPERATOR, AccountKind.LOAD_AGENT, AccountKind.CENTRE, AccountKind.SUSPENSE}
)
_ORDER = tuple(AccountKind)


class AccountTextError(ValueError):
    """The text is no account."""


@dataclass(frozen=True, slots=True)
class Account:
    """One account: its kind, and whose it is where there is one of a participant or of a day.

    >>> Account(AccountKind.OPERATOR, participant=101).text
    'operator/101'
    >>> Account(AccountKind.CLEARING, day=date(2018, 9, 1)).text
    'clearing/2018-09-01'
    """

    kind: AccountKind
    participant: int | None = None
    day: date | None = None

    def __post_init__(self) -> None:
        assert (self.participant is not None) == (self.kind in _OF_A_PARTICIPANT), self
        assert (self.day is not None) == (self.kind in _OF_A_DAY), self

    @property
    def text(self) -> str:
        """As it stands in postings and under their hashes."""
        owner = self.day if self.participant is None else self.participant
        return self.kind.value if owner is None else f"{self.kind}/{owner}"

    @property
    def order(self) -> tuple[int, int]:
        """Where its lines stand in an entry: by kind, then by participant."""
        return _ORDER.index(self.kind), self.participant or 0


#: What the city owes to its cards.
CARD_FLOAT = Account(AccountKind.CARD_FLOAT)
#: What the city owes to holders beside their cards.
HOLDER_DUE = Account(AccountKind.HOLDER_DUE)
#: What holders were given of that.
PAID_OUT = Account(AccountKind.PAID_OUT)


def parse_account(text: str) -> Account:
    """The account that is written so.

    >>> parse_account("suspense/201")
    Account(kind=<AccountKind.SUSPENSE: 'suspense'>, participant=201, day=None)

    Raises `AccountTextError` when no account is, or when it would be written otherwise.
    """
    name, _, owner = text.partition("/")
    try:
        kind = AccountKind(name)
        account = Account(
            kind,
            int(owner) if kind in _OF_A_PARTICIPANT else None,
            date.fromisoformat(owner) if kind in _OF_A_DAY else None,
        )
    except ValueError as error:
        raise AccountTextError(_no_account(text)) from error
    if account.text != text:
        said = _no_account(text)
        raise AccountTextError(
            Text(f"{said.zh}，{account.text} 才是", f"{said.en}; {account.text} is one")
        )
    return account


def _no_account(text: str) -> Text:
    said = shorten(text)
    return Text(f"{said} 不是账户", f"{said} is no account")
