"""What a client may take in a day: keys that leave, PSAMs that get power, and wrong guesses.

Decides when a day's budget is over. Leaves who asks and how many keys a day each of his rights
gives to `rights`, and what is written about it to `dispatch`. Budgets are written to a file before
an answer is given, so a day goes on where the service was started again; a budget that cannot be
written is no service, as with the log (docs/adr/0039-quotas.md).

A proof in bulk tells right from wrong, so whoever may ask it could try TACs of 4 bytes until one
holds. Of a card, the first thousand rows of a call that do not hold are answered, and what stands
behind them is not: `UNKNOWN_VERSION`, whatever it holds. Settlement holds those records (可疑) and
asks again, so a file of forged records keeps a card's true ones unjudged in its own call only.
What was answered is counted, by client and card; a row of a version that is not held as well, for
it is tried under the others. A card over its day's budget is not judged until tomorrow. A client
over its own is answered a call whose rows all hold, and learns nothing of any other: true records
go on, whoever fills the day with forged ones. Long before that alarms say how many answers of the
client did not hold, over all cards: who tries a little of each is seen as well.

A MAC that is verified by itself is a guess as well: above the same budget it is refused by name.

A card is counted in one of a million buckets, which a multiplier of the day chooses: what one
client can make this keep does not grow, and a card that shares its bucket costs another nothing
before a thousand wrong rows.
"""

import hashlib
import os
import secrets
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cardcore.errors import KeyRightError, KeyServiceUnavailableError, system_words
from cardcore.keys import ProofReason
from cardcore.text import Text
from hsm_sim.wire.access.rights import Allowance

#: Answers that do not hold about one card: so many in a call, and of MACs verified one by one so
#: many a day. Above it an alarm is in the log.
GUESSES_A_CARD = 1_000
#: A day, in bulk: of one card, and of one client. A TAC has 4 bytes, so a card's budget finds one
#: in twelve years of alarms, and nobody forges a million records of one card a day. A client's is
#: for the day on which a key is missing and every record of the city is asked about twice; it finds
#: one TAC of some card in 200 days of alarms.
GUESSES_A_CARD_A_DAY, GUESSES_A_CLIENT = 1_000_000, 20_000_000
#: Calls of a client over its budget in which a row does not hold: each may have been one guess.
CALLS_OVER_BUDGET = 1_000_000
#: Answers that do not hold of one client, over all cards and in a day, at which there is an alarm,
#: as there is where its budget ends. A file in a hundred thousand of whose records nothing holds is
#: worth a look, whoever made it.
CLIENT_ALARMS = (100_000, 1_000_000, 10_000_000)
_HOLDING = (ProofReason.PROVEN, ProofReason.WRONG_VERSION)
#: PSAMs made, renewed and woken up, a day and client: each is an entry of the log, so this bounds
#: it. A city's 20,000 terminals lose power five times.
PSAMS_A_DAY = 100_000
#: Chips that get keys, a day and client: each is remembered with its card, in some 200 bytes.
CHIPS_A_DAY = 200_000
_BUCKET_BITS = 20
_FACTOR_BYTES = 8
#: In the folder of the device: a folder a day, in it a file a client, and one a right that gives
#: keys out.
BUDGETS = "budgets"
#: Numbers of 8 bytes before the buckets of 4.
_MULTIPLIER, _GUESSES, _PSAMS, _CALLS_OVER = range(4)
_HEAD_WORDS = 8
_FILE_BYTES = 8 * _HEAD_WORDS + 4 * (1 << _BUCKET_BITS)
_ALARMS_MAX = 1_000  # cards named in the log, of one client in one day


@dataclass(slots=True)
class _Spent:
    """What one client took in one day. `head` and `cards` lie in its file, where there is one."""

    head: NDArray[np.uint64]
    cards: NDArray[np.uint32]
    is_over: bool
    named: set[bytes] = field(default_factory=set)

    @property
    def guesses(self) -> int:
        """Rows that did not hold."""
        return int(self.head[_GUESSES])

    def count_call(self) -> None:
        """One answer that does not hold, or a call over the budget that was not answered."""
        if self.guesses > GUESSES_A_CLIENT:
            self.head[_CALLS_OVER] += np.uint64(1)
        self.head[_GUESSES] += np.uint64(1)

    def buckets(self, of: str, factors: NDArray[np.generic]) -> NDArray[np.uint64]:
        """One a row. `of` tells keys of other operations and labels apart."""
        apart = np.uint64(int.from_bytes(hashlib.blake2b(of.encode(), digest_size=8).digest()))
        mixed: NDArray[np.uint64] = (factors.astype(np.uint64) ^ apart) * self.head[_MULTIPLIER]
        return mixed >> np.uint64(64 - _BUCKET_BITS)


def _mapped(folder: Path | None, name: str, file_bytes: int) -> NDArray[np.uint64]:
    """Begin a day or go on with it. Raises `OSError`.

    What is written into a mapped file stands there when the process is killed. Its room is taken at
    once, so that none is missing later.
    """
    if folder is None:
        return np.zeros(file_bytes // 8, np.uint64)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / hashlib.sha256(name.encode()).hexdigest()
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
        os.posix_fallocate(file.fileno(), 0, file_bytes)
        return np.memmap(file, np.uint64, "r+", shape=(file_bytes // 8,))


@dataclass(frozen=True, slots=True)
class Judged:
    """The answers as they may be given, the cards about which there is an alarm since now, and how
    many answers of the client did not hold, over all cards, where that is one.
    """

    reasons: bytes
    alarming: tuple[bytes, ...] = ()
    alarming_guesses: int = 0


class Budgets:
    """What clients have taken today, UTC. Threads share it."""

    def __init__(self, today: Callable[[], date], folder: Path | None = None) -> None:
        self._today = today
        self._folder = folder
        self._lock = threading.Lock()
        self._day = max(today(), _newest_day(folder))
        self._spent: dict[str, _Spent] = {}
        self._keys: dict[str, NDArray[np.uint64]] = {}
        self._chips: dict[str, dict[str, bytes]] = {}

    def spend_keys(self, client: str, wanted: Sequence[Sequence[Allowance]]) -> None:
        """Count keys that are about to leave: of each, the rights that give it. A key counts for
        the first of them that has room today; without one it raises `KeyRightError`, and none of
        them may leave.
        """
        with self._lock:
            taken: Counter[str] = Counter()
            for giving in wanted:
                for right, keys_a_day in ((each.right, each.keys_a_day) for each in giving):
                    if int(self._keys_of(client, right)[0]) + taken[right] < keys_a_day:
                        taken[right] += 1
                        break
                else:
                    raise self._no_key_left(client, giving[0])
            for right, count in taken.items():
                self._keys_of(client, right)[0] += np.uint64(count)

    def _no_key_left(self, client: str, allowance: Allowance) -> KeyRightError:
        spent = int(self._keys_of(client, allowance.right)[0])
        return KeyRightError(
            Text(
                f"{client}：今日已取 {spent} 把密钥，限 {allowance.keys_a_day} 把；"
                f"由密钥服务的运行者在其权限文件中规定（{allowance.right} 的 keys_a_day）",
                f"{client}: {spent} keys have left for it today, of {allowance.keys_a_day}; "
                "whoever runs the key service decides, in its rights file (keys_a_day of "
                f"{allowance.right})",
            )
        )

    def bind_chip(self, client: str, chip: str, card: bytes) -> None:
        """One chip is one card for a day, whatever channel and connection it is spoken to over.
        Raises `KeyRightError` for a second card, and for more chips than are remembered.
        """
        with self._lock:
            self._turn_day()
            bound = self._chips.setdefault(client, {})
            if len(bound) >= CHIPS_A_DAY and chip not in bound:
                raise KeyRightError(
                    Text(
                        f"{client}：今日已为 {CHIPS_A_DAY} 个芯片装密钥；明日再来",
                        f"{client}: {CHIPS_A_DAY} chips got keys today; come back tomorrow",
                    )
                )
            first = bound.setdefault(chip, card)
        if first != card:
            raise KeyRightError(
                Text(
                    f"芯片 {chip} 今日已用于卡片 {first.hex().upper()}：一个芯片只装一张卡的密钥",
                    f"chip {chip} is card {first.hex().upper()}'s today: one chip gets the keys of "
                    "one card",
                )
            )

    def spend_psam(self, client: str) -> None:
        """Count a PSAM that is about to get power. Raises `KeyRightError` above a day's number."""
        with self._lock:
            today = self._of(client)
            if int(today.head[_PSAMS]) >= PSAMS_A_DAY:
                raise KeyRightError(
                    Text(
                        f"{client}：今日已为 PSAM 上电 {PSAMS_A_DAY} 次，明日再来，并查明是谁在反复"
                        "制作、换钥或唤醒",
                        f"{client}: PSAMs got power {PSAMS_A_DAY} times for it today; come back "
                        "tomorrow, and find out who makes, renews or wakes them again and again",
                    )
                )
            today.head[_PSAMS] += np.uint64(1)

    def check_guesses(self, client: str) -> None:
        """Raises `KeyRightError` for a client whose guesses are over for today."""
        with self._lock:
            spent = self._of(client)
            guesses = spent.guesses
            if int(spent.head[_CALLS_OVER]) >= CALLS_OVER_BUDGET:
                raise KeyRightError(
                    Text(
                        f"{client}：今日已有 {guesses} 个答案不成立，限 {GUESSES_A_CLIENT} "
                        "个；明日再验证，并查明是谁在试",
                        f"{client}: {guesses} answers did not hold today, of "
                        f"{GUESSES_A_CLIENT}; ask again tomorrow, and find out who is guessing",
                    )
                )

    def check_card(self, client: str, of: str, card: bytes) -> None:
        """Raises `KeyRightError` where this client's guesses about a card are over for today: what
        tells a right MAC from a wrong one does not tell it any more.
        """
        with self._lock:
            spent = self._of(client)
            guesses = int(spent.cards[spent.buckets(of, _rows(card))[0]])
        if guesses > GUESSES_A_CARD:
            shown = card.hex().upper()
            raise KeyRightError(
                Text(
                    f"{client}：今日关于卡片 {shown} 已有 {guesses} 个答案不成立，限 "
                    f"{GUESSES_A_CARD} 个；明日再验证，并查明是谁在试",
                    f"{client}: {guesses} answers about card {shown} did not hold today, of "
                    f"{GUESSES_A_CARD}; ask again tomorrow, and find out who is guessing",
                )
            )

    def count_wrong(self, client: str, of: str, card: bytes) -> Judged:
        """One answer that does not hold, and what is alarming about it."""
        with self._lock:
            spent = self._of(client)
            bucket = spent.buckets(of, _rows(card))[0]
            before = spent.guesses
            spent.count_call()
            spent.cards[bucket] += np.uint32(1)
            is_over = int(spent.cards[bucket]) == GUESSES_A_CARD + 1
            return Judged(b"", (card,) if is_over else (), _alarming(before, spent.guesses))

    def judge(self, client: str, of: str, factors: bytes, reasons: bytes) -> Judged:
        """Count the rows that do not hold, and hide what may not be told.

        Raises `KeyRightError` when the client's calls over its budget are too many as well; then
        nothing may be answered.
        """
        wrong = len(reasons) - sum(reasons.count(each) for each in _HOLDING)
        with self._lock:
            spent = self._of(client)
            if not wrong and not spent.is_over:
                return Judged(reasons)
            before = spent.guesses
            if wrong and before > GUESSES_A_CLIENT:
                spent.count_call()
                judged = Judged(bytes((ProofReason.UNKNOWN_VERSION,)) * len(reasons))
            else:
                judged = _judge(spent, of, factors, reasons)
            judged = replace(judged, alarming_guesses=_alarming(before, spent.guesses))
        self.check_guesses(client)
        return judged

    def _of(self, client: str) -> _Spent:
        self._turn_day()
        if client not in self._spent:
            words = self._file(client, _FILE_BYTES)
            head, cards = words[:_HEAD_WORDS], words[_HEAD_WORDS:].view(np.uint32)
            if not head[_MULTIPLIER]:
                head[_MULTIPLIER] = secrets.randbits(64) | 1
            self._spent[client] = _Spent(head, cards, bool((cards > GUESSES_A_CARD_A_DAY).any()))
        return self._spent[client]

    def _keys_of(self, client: str, right: str) -> NDArray[np.uint64]:
        """How many keys left by a right of this client."""
        self._turn_day()
        name = f"{client}\n{right}"
        if name not in self._keys:
            self._keys[name] = self._file(name, 8)
        return self._keys[name]

    def _turn_day(self) -> None:
        """Days never go back: a clock that was ahead and is put right goes on with the day it had,
        or each turn of it would give the same budget again.
        """
        today = self._today()
        if today > self._day:
            self._day = today
            self._spent.clear()
            self._keys.clear()
            self._chips.clear()

    def _file(self, name: str, file_bytes: int) -> NDArray[np.uint64]:
        """Raises `KeyServiceUnavailableError` where it cannot be written down."""
        today = self._day.isoformat()
        try:
            if self._folder is None:
                return _mapped(None, name, file_bytes)
            if self._folder.is_dir():
                for each in self._folder.iterdir():
                    if each.name < today:
                        shutil.rmtree(each)
            return _mapped(self._folder / today, name, file_bytes)
        except OSError as error:
            said = system_words(error)
            raise KeyServiceUnavailableError(
                Text(
                    f"今日额度写不进去，故不提供服务：{self._folder}：{said.zh}",
                    "no budget, no service: what was taken today cannot be written down: "
                    f"{self._folder}: {said.en}",
                )
            ) from None


def _newest_day(folder: Path | None) -> date:
    """The newest that was written down, by whatever clock. What cannot be read gets no service at
    the first budget that is asked for.
    """
    newest = date.min
    with suppress(OSError):
        for each in [] if folder is None else folder.iterdir():
            with suppress(ValueError):
                newest = max(newest, date.fromisoformat(each.name))
    return newest


def _alarming(before: int, now: int) -> int:
    """How many there are now, where one of the marks was passed; else 0."""
    marks = (*CLIENT_ALARMS, GUESSES_A_CLIENT)
    return now if any(before <= mark < now for mark in marks) else 0


def _rows(factors: bytes) -> NDArray[np.generic]:
    return np.frombuffer(factors, ">u8")


def _judge(spent: _Spent, of: str, factors: bytes, reasons: bytes) -> Judged:
    answers, rows = np.frombuffer(reasons, np.uint8), _rows(factors)
    # All but true rows are few: the others are not so much as read.
    wrong = np.flatnonzero(answers)
    wrong = wrong[~np.isin(answers[wrong], _HOLDING)]
    cards, counts = np.unique(rows[wrong], return_counts=True)
    told = np.minimum(counts, GUESSES_A_CARD)
    buckets = spent.buckets(of, cards)
    np.add.at(spent.cards, buckets, told.astype(np.uint32))
    spent.head[_GUESSES] += np.uint64(told.sum())
    spent.is_over |= bool((spent.cards[buckets] > GUESSES_A_CARD_A_DAY).any())
    hidden = answers.copy()
    for card in cards[counts > GUESSES_A_CARD]:
        last_told = wrong[rows[wrong] == card][GUESSES_A_CARD - 1]
        behind = np.flatnonzero(rows[last_told + 1 :] == card)
        hidden[last_told + 1 + behind] = ProofReason.UNKNOWN_VERSION
    if spent.is_over:
        over = spent.cards[spent.buckets(of, rows)] > GUESSES_A_CARD_A_DAY
        hidden[over] = ProofReason.UNKNOWN_VERSION
    is_alarming = (spent.cards[buckets] > GUESSES_A_CARD) | (counts > GUESSES_A_CARD)
    alarming = cards[is_alarming][:_ALARMS_MAX]
    new = tuple(sorted({int(each).to_bytes(_FACTOR_BYTES) for each in alarming} - spent.named))
    if len(spent.named) < _ALARMS_MAX:
        spent.named.update(new)
    else:
        new = ()
    return Judged(hidden.tobytes(), new)
