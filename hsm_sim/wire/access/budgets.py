"""What a client may take in a day: keys that leave for it, and wrong guesses it may make.

Decides when a day's budget is over. Leaves who asks and how many keys a day he may have to
`rights`, and what is written about it to `dispatch`. Budgets are kept in memory: to begin a day
anew by another start of the service takes the PINs of two custodians, and stands in the log.

A proof in bulk tells right from wrong, so whoever may ask it could try TACs of 4 bytes until one
holds. Every row that does not hold is counted, by client and card; a row of a version that is not
held as well, for it is tried under the others. Over the budget of a card its rows are answered
`UNKNOWN_VERSION`, whatever they hold: nothing is learnt, settlement holds those records (可疑) and
asks again on another day, and no file of forged records stops the clearing of the others.

A card is counted in one of a million buckets, which a multiplier of this process chooses: what one
client can make this keep does not grow, and a card that shares its bucket costs another nothing
before a thousand wrong rows.
"""

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

import numpy as np
from numpy.typing import NDArray

from cardcore.errors import KeyRightError
from cardcore.keys import ProofReason
from cardcore.text import Text

#: Rows that do not hold, a day: of one card, and of one client. A TAC has 4 bytes, so a card's
#: budget finds one in four million days. A client's is for the day on which a key is missing and
#: every record of the city is asked about several times.
GUESSES_A_CARD, GUESSES_A_CLIENT = 1_000, 100_000_000
_HOLDING = (ProofReason.PROVEN, ProofReason.WRONG_VERSION)
_BUCKET_BITS = 20
_FACTOR_BYTES = 8
_ALARMS_MAX = 1_000  # cards named in the log, of one client in one day


@dataclass(slots=True)
class _Guesses:
    """What one client guessed in one day."""

    multiplier: np.uint64 = field(default_factory=lambda: np.uint64(secrets.randbits(64) | 1))
    cards: NDArray[np.uint32] = field(
        default_factory=lambda: np.zeros(1 << _BUCKET_BITS, np.uint32)
    )
    total: int = 0
    is_over: bool = False
    named: set[bytes] = field(default_factory=set)

    def buckets(self, of: str, factors: NDArray[np.generic]) -> NDArray[np.uint64]:
        """One a row. `of` tells keys of other operations and labels apart."""
        apart = np.uint64(hash(of) & 0xFFFF_FFFF_FFFF_FFFF)
        return ((factors.astype(np.uint64) ^ apart) * self.multiplier) >> np.uint64(
            64 - _BUCKET_BITS
        )


@dataclass(slots=True)
class _Day:
    day: date
    keys: dict[str, int] = field(default_factory=dict)
    guesses: dict[str, _Guesses] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judged:
    """The answers as they may be given, and the cards whose budget is over since now."""

    reasons: bytes
    cards_over: tuple[bytes, ...] = ()


class Budgets:
    """What clients have taken today, UTC. Threads share it."""

    def __init__(self, today: Callable[[], date]) -> None:
        self._today = today
        self._lock = threading.Lock()
        self._day = _Day(today())

    def spend_keys(self, client: str, count: int, keys_a_day: int | None) -> None:
        """Count keys that are about to leave. Raises `KeyRightError` when they are too many for
        today; then none of them may leave.
        """
        with self._lock:
            day = self._this_day()
            spent = day.keys.get(client, 0) + count
            if keys_a_day is not None and spent > keys_a_day:
                raise KeyRightError(
                    Text(
                        f"{client}：今日已取 {spent - count} 把密钥，限 {keys_a_day} 把；"
                        "由密钥服务的运行者在其权限文件中规定（keys_a_day）",
                        f"{client}: {spent - count} keys have left for it today, of "
                        f"{keys_a_day}; whoever runs the key service decides, in its rights file "
                        "(keys_a_day)",
                    )
                )
            day.keys[client] = spent

    def check_guesses(self, client: str) -> None:
        """Raises `KeyRightError` for a client whose guesses are over for today."""
        with self._lock:
            guesses = self._this_day().guesses.get(client)
            if guesses is not None and guesses.total > GUESSES_A_CLIENT:
                raise KeyRightError(
                    Text(
                        f"{client}：今日已有 {guesses.total} 个答案不成立，限 {GUESSES_A_CLIENT} "
                        "个；明日再验证，并查明是谁在试",
                        f"{client}: {guesses.total} answers did not hold today, of "
                        f"{GUESSES_A_CLIENT}; ask again tomorrow, and find out who is guessing",
                    )
                )

    def judge(self, client: str, of: str, factors: bytes, reasons: bytes) -> Judged:
        """Count the rows that do not hold, and hide those of cards whose budget is over.

        Raises `KeyRightError` when the client's own is; then nothing may be answered.
        """
        wrong = len(reasons) - sum(reasons.count(each) for each in _HOLDING)
        with self._lock:
            day = self._this_day()
            guesses = day.guesses.get(client)
            if not wrong and (guesses is None or not guesses.is_over):
                return Judged(reasons)
            guesses = day.guesses.setdefault(client, guesses or _Guesses())
            guesses.total += wrong
            judged = _judge(guesses, of, factors, reasons)
        self.check_guesses(client)
        return judged

    def _this_day(self) -> _Day:
        today = self._today()
        if today != self._day.day:
            self._day = _Day(today)
        return self._day


def _judge(guesses: _Guesses, of: str, factors: bytes, reasons: bytes) -> Judged:
    answers, rows = np.frombuffer(reasons, np.uint8), np.frombuffer(factors, ">u8")
    # All but true rows are few: the others are not so much as read.
    wrong = np.flatnonzero(answers)
    wrong = wrong[~np.isin(answers[wrong], _HOLDING)]
    guessed = guesses.buckets(of, rows[wrong])
    np.add.at(guesses.cards, guessed, 1)
    guesses.is_over |= bool((guesses.cards[guessed] > GUESSES_A_CARD).any())
    if not guesses.is_over:
        return Judged(reasons)
    over = np.flatnonzero(guesses.cards[guesses.buckets(of, rows)] > GUESSES_A_CARD)
    hidden = answers.copy()
    hidden[over] = ProofReason.UNKNOWN_VERSION
    cards = {
        factors[_FACTOR_BYTES * row : _FACTOR_BYTES * (row + 1)]
        for row in over[np.unique(rows[over], return_index=True)[1]][:_ALARMS_MAX].tolist()
    }
    new = tuple(sorted(cards - guesses.named))
    if len(guesses.named) < _ALARMS_MAX:
        guesses.named.update(new)
    else:
        new = ()
    return Judged(hidden.tobytes(), new)
