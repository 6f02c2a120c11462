"""The proof of the float (备付金证明): what stands behind every fen that cards are owed (I3, R5).

Decides which figures the proof has, how they make the float, and what is wrong with a proof whose
parts do not add up. Leaves finding the figures to `settlement.reconciliation`, and reading them
again, from other files than they were summed from, to `settlement.reports.float_proof`.

    float = balances signed by cards - debits since - debits of cards that signed none yet
            + what of these is due to be opened + missing debits - missing loads + contradictions

Every line is gross. What an old centre handed over stands among the balances, and
is shown apart. Beside it stands what claims say of the time since, which no card has signed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime
from typing import Any

from cardcore.text import Text
from settlement.ledger.accounts import CARD_FLOAT, OPENING_DUE, AccountKind
from settlement.seal import Sealable

#: Ages are told in these classes: days up to which, None for all that is older.
AGE_CLASSES: tuple[int | None, ...] = (1, 7, 30, 90, None)


@dataclass(frozen=True, slots=True)
class AgeLine:
    """How many of something are so old, and their money."""

    count: int = 0
    amount_fen: int = 0

    def __add__(self, other: "AgeLine") -> "AgeLine":
        return AgeLine(self.count + other.count, self.amount_fen + other.amount_fen)


_NO_AGES = (AgeLine(),) * len(AGE_CLASSES)


@dataclass(frozen=True, slots=True)
class FloatFigures:
    """The figures of the proof. All are gross and count what is open: a price is the difference
    between two statements of a purse, less the debits posted between.
    """

    stated_purses: int = 0  # that signed a balance at least once
    stated_fen: int = 0
    tail_debits: int = 0  # posted debits dated after it
    tail_fen: int = 0
    unopened_purses: int = 0  # that signed none yet
    unopened_debits: int = 0
    unopened_fen: int = 0
    missing_debits_fen: int = 0
    missing_loads: int = 0  # load counters
    missing_loads_fen: int = 0
    openings: int = 0  # open segments before a purse's first statement, counted above or below
    openings_fen: int = 0
    contradictions: int = 0
    contradictions_out_fen: int = 0  # left a card, and cannot have
    contradictions_in_fen: int = 0  # came onto a card, and nobody allowed it
    claimed_gaps: int = 0  # since the last statement, by counters and balances nobody signed
    claimed_debits_fen: int = 0
    claimed_loads_fen: int = 0
    claims: int = 0  # records that nobody's card has proven
    claims_fen: int = 0
    #: Cards that came from an old centre: opened, by its file or by what they stated themselves;
    #: those of them of which nobody but the old centre has said anything yet; those that contradict
    #: it; and what the others paid, which is due until somebody says what they had.
    opened_purses: int = 0
    opened_fen: int = 0
    handed_purses: int = 0  # counted among stated_purses, too
    handed_fen: int = 0
    disputed_purses: int = 0
    due_purses: int = 0  # counted among unopened_purses, too
    due_fen: int = 0
    #: By `AGE_CLASSES`.
    stated_by_age: tuple[AgeLine, ...] = _NO_AGES
    claims_by_age: tuple[AgeLine, ...] = _NO_AGES

    @property
    def explained_fen(self) -> int:
        """What the float has to be."""
        return (
            self.stated_fen
            - self.tail_fen
            - self.unopened_fen
            + self.due_fen
            + self.missing_debits_fen
            - self.missing_loads_fen
            + self.contradictions_out_fen
            - self.contradictions_in_fen
        )

    def __add__(self, other: "FloatFigures") -> "FloatFigures":
        return FloatFigures(
            **{
                each.name: _add(getattr(self, each.name), getattr(other, each.name))
                for each in fields(self)
            }
        )

    def document(self) -> dict[str, Sealable]:
        """As they go into JSON."""
        document: dict[str, Any] = asdict(self)
        for name in ("stated_by_age", "claims_by_age"):
            document[name] = [
                {"days_max": days, **asdict(line)}
                for days, line in zip(AGE_CLASSES, getattr(self, name), strict=True)
            ]
        return document


def read_figures(document: Any) -> FloatFigures:  # noqa: ANN401 - out of JSON
    """The figures out of JSON."""
    ages = {
        name: tuple(AgeLine(each["count"], each["amount_fen"]) for each in document[name])
        for name in ("stated_by_age", "claims_by_age")
    }
    return FloatFigures(**{**document, **ages})


def sum_figures(figures: Iterable[FloatFigures]) -> FloatFigures:
    """The figures of several buckets as one."""
    return sum(figures, FloatFigures())


def _add(mine: Any, other: Any) -> Any:  # noqa: ANN401 - a number, or a number an age
    if isinstance(mine, tuple):
        return tuple(one + two for one, two in zip(mine, other, strict=True))
    return mine + other


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A segment that cannot be, of a card that has a name: from one statement to the next. Without
    balances it stands alone: a movement at a moment that is accounted for already.
    """

    issuer: str
    card_number: str
    application: int
    left_time: datetime | None
    left_balance_fen: int | None
    right_time: datetime
    right_balance_fen: int | None
    missing_loads: int
    price_fen: int
    opened_day: date


@dataclass(frozen=True, slots=True)
class ProofFault:
    """Two things that have to be equal and are not. `where` names the figure or the purse."""

    where: str
    stated_fen: int
    found_fen: int
    text: Text

    @property
    def place(self) -> Text:
        """`where` for people."""
        card = self.where.removeprefix(_CARD)
        if card != self.where:
            return Text(f"卡 {card}", f"card {card}")
        said = _PLACES[self.where]
        return Text(f"{said.zh}（{self.where}）", f"{said.en} ({self.where})")


_CARD = "card "
_PLACES = {
    "stated_purses": Text("卡签余额的钱包数", "purses that signed a balance"),
    "stated_fen": Text("卡签余额", "balances signed by cards"),
    "tail_debits": Text("此后扣款笔数", "debits since, counted"),
    "tail_fen": Text("此后扣款", "debits since"),
    "unopened_purses": Text("未开户钱包数", "purses that signed nothing yet"),
    "unopened_debits": Text("未开户卡扣款笔数", "their debits, counted"),
    "unopened_fen": Text("未开户卡扣款", "debits of cards that signed nothing yet"),
    "missing_debits_fen": Text("缺失扣款", "missing debits"),
    "missing_loads": Text("缺失充值笔数", "missing loads, counted"),
    "missing_loads_fen": Text("缺失充值", "missing loads"),
    "openings": Text("首次陈述之前的区间数", "segments before first statements, counted"),
    "openings_fen": Text("首次陈述之前", "segments before first statements"),
    "contradictions": Text("矛盾数", "contradictions, counted"),
    "contradictions_out_fen": Text("矛盾：多出卡", "contradictions that left a card"),
    "contradictions_in_fen": Text("矛盾：多入卡", "contradictions that came onto a card"),
    "claimed_gaps": Text("所称缺口数", "claimed gaps, counted"),
    "claimed_debits_fen": Text("所称扣款", "claimed debits"),
    "claimed_loads_fen": Text("所称充值", "claimed loads"),
    "claims": Text("未证实主张数", "claims, counted"),
    "claims_fen": Text("未证实主张", "claims"),
    "opened_purses": Text("已开户的接管钱包数", "purses taken over and opened"),
    "opened_fen": Text("接管期初", "openings of cards taken over"),
    "handed_purses": Text("仅老中心所报的钱包数", "purses stated by the old centre alone"),
    "handed_fen": Text("仅老中心所报余额", "balances stated by the old centre alone"),
    "disputed_purses": Text("与老中心所报不符的钱包数", "purses that contradict the old centre"),
    "due_purses": Text("期初待定钱包数", "purses whose opening is due"),
    "due_fen": Text("期初待定", "openings still to be told"),
    "opening ledger": Text("总账应收老中心期初", "openings due from old centres, in the ledger"),
    "due ledger": Text("总账期初待定", "openings still to be told, in the ledger"),
    "stated_by_age": Text("卡签余额按账龄", "signed balances by age"),
    "claims_by_age": Text("未证实主张按账龄", "claims by age"),
    "float_fen": Text("清分的备付金", "the float of the run"),
    "ledger": Text("总账", "the ledger"),
    "posted": Text("逐卡入账", "what was posted purse by purse"),
    "card_balance_fen + open_gap_fen": Text("记录所称余额与缺口", "balances and gaps as claimed"),
}
assert {each.name for each in fields(FloatFigures)} <= _PLACES.keys()


@dataclass(frozen=True, slots=True)
class FloatLedger:
    """What the ledger says: owed to cards, owed by old centres, due to be opened."""

    float_fen: int
    opened_fen: int
    due_fen: int


def read_ledger(balances_fen: Mapping[str, int]) -> FloatLedger:
    """Out of the balances of all accounts, debits positive."""
    opened_fen = sum(
        balance_fen
        for text, balance_fen in balances_fen.items()
        if text.startswith(f"{AccountKind.OPENING}/")
    )
    return FloatLedger(
        -balances_fen.get(CARD_FLOAT.text, 0), opened_fen, balances_fen.get(OPENING_DUE.text, 0)
    )


@dataclass(frozen=True, slots=True)
class UnevenPurse:
    """A purse whose movements are not its last statement, its tail and its open segments."""

    card_number: str
    application: int
    posted_fen: int
    explained_fen: int


_ADDED_AGAIN = Text("与逐卡重算不符", "is not what the purses add up to")


def check_proof(
    stated: FloatFigures,
    again: FloatFigures,
    *,
    float_fen: int,
    ledger: FloatLedger,
    posted_fen: int,
    claimed_worth_fen: int,
    uneven: Sequence[UnevenPurse],
) -> tuple[ProofFault, ...]:
    """What is wrong: `stated` are the figures of the run, `again` the same added up anew from its
    purses. The float of the run, the ledger's with what old centres owe and what is due, what was
    posted purse by purse, and the balances and gaps that records claim, each have to be what
    the figures explain.
    """
    faults = [
        ProofFault(each.name, _fen(mine), _fen(other), _ADDED_AGAIN)
        for each in fields(stated)
        if (mine := getattr(stated, each.name)) != (other := getattr(again, each.name))
    ]
    explained_fen = stated.explained_fen
    faults += [
        ProofFault(name, explained_fen, found_fen, text)
        for name, found_fen, text in (
            (
                "float_fen",
                float_fen,
                Text("与清分所得备付金不符", "do not explain the float of the run"),
            ),
            (
                "ledger",
                ledger.float_fen,
                Text("与总账不符", "do not explain the ledger's card float"),
            ),
            ("posted", posted_fen, Text("与逐卡入账不符", "do not explain what was posted")),
            (
                "card_balance_fen + open_gap_fen",
                claimed_worth_fen,
                Text("与记录所称余额及缺口不符", "differ from balances and gaps as claimed"),
            ),
        )
        if found_fen != explained_fen
    ]
    for name, figure_fen, found_fen in (
        ("opening ledger", stated.opened_fen, ledger.opened_fen),
        ("due ledger", stated.due_fen, ledger.due_fen),
    ):
        if figure_fen != found_fen:
            text = Text("与已开户各钱包不符", "is not what the purses were opened with")
            faults.append(ProofFault(name, figure_fen, found_fen, text))
    for age, whole in (("stated_by_age", "stated"), ("claims_by_age", "claims")):
        found_fen = sum(each.amount_fen for each in getattr(stated, age))
        if found_fen != getattr(stated, f"{whole}_fen"):
            text = Text("各账龄之和不符", "is not the sum of its ages")
            faults.append(ProofFault(age, getattr(stated, f"{whole}_fen"), found_fen, text))
    faults += [
        ProofFault(
            f"{_CARD}{each.card_number}/{each.application}",
            each.posted_fen,
            each.explained_fen,
            Text("该钱包不平", "the purse does not add up"),
        )
        for each in uneven
    ]
    return tuple(faults)


def _fen(figure: Any) -> int:  # noqa: ANN401 - a number, or a number an age
    return sum(each.amount_fen for each in figure) if isinstance(figure, tuple) else figure
