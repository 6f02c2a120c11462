"""Random APDUs against one chip for a given time: no crash, and no invariant broken.

    python -m tests.cardcore.chip.walks.soak_apdus --seconds 600 --seed 1

Commands are random bytes, real headers with random data, and whole transactions with right keys,
so that the card moves through its states. Every answer must be data and a status word the card
knows; money, counters and tries must stay what the accepted commands make of them. The card is
cut off the power now and then, and must be in the old state or the new one.
"""

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from cardcore.apdu import StatusWord
from cardcore.errors import PowerLossError
from tests.cardcore.chip.full_chips import AID, EVERYTHING, PIN, Reader
from tests.cardcore.chip.purse.test_deposit import Host
from tests.cardcore.chip.walks.test_cos_machine import State, look

#: Header and the length of data that it may carry, `*` any.
COMMANDS = """
00A40400/6 00A40000/2 00A40200/2 00B08100/0 00B09400/0 00B00000/0 00B20108/0 00B2018C/0 00B20090/0
00D68100/* 00D68200/* 00D68600/* 04D68400/* 04D68500/12 00DC018C/* 00DC0988/* 04DC018C/* 00E20090/5
00E20088/* 00200000/3 805E0100/7 805E0000/7 84240000/12 00840000/0 00880001/8 00820001/8 841E0000/4
841E0001/4 84180000/4 84160000/4 805C0002/0 805C0001/0 80500002/11 80500001/11 80500102/11
80500201/11 80500302/11 80500401/7 80500501/11 80520000/11 80540100/15 80540300/11 80580000/14
80DC0188/* 805A0006/2 80E60200/36 80E80000/* 80E40000/6 80D80000/25 80CA00E0/0 80503000/8
84820100/16 80E28800/*
"""
HEADERS = [
    (bytes.fromhex(header), None if length == "*" else int(length))
    for header, _, length in (text.partition("/") for text in COMMANDS.split())
]
LENGTHS = (0, 1, 2, 4, 5, 6, 7, 8, 11, 14, 15, 16, 20, 36, 128, 255)
KNOWN = {int(word) for word in StatusWord} | {0x63C0 | left for left in range(16)}
CHECK_EVERY = 4_096


def a_command(dice: random.Random) -> bytes:
    """Mostly near a real command, sometimes any bytes."""
    kind = dice.random()
    if kind < 0.1:
        return dice.randbytes(dice.randrange(0, 24))
    chosen, length = dice.choice(HEADERS)
    header = bytearray(chosen)
    if kind < 0.4:
        header[dice.randrange(4)] = dice.randrange(256)
    if length is None or kind < 0.6:
        length = dice.choice(LENGTHS)
    data = dice.randbytes(length)
    if kind > 0.9:
        data = AID if header[1] == 0xA4 else PIN if header[1] == 0x20 else data
    if header[0] == 0x80 and header[1] == 0x50 and kind > 0.8:
        data = b"\x01\x00\x00\x00\x01" + data[5:]
    tail = dice.choice((b"", b"", b"\x00", dice.randbytes(1)))
    stated = len(data) if dice.random() < 0.98 else dice.randrange(256)
    return bytes(header) + (bytes((stated,)) + data if data else b"") + tail


@dataclass
class Soak:
    """One chip under fire."""

    dice: random.Random
    sent: int = 0

    def __post_init__(self) -> None:
        self.words: Counter[int] = Counter()
        self.renew()

    def renew(self) -> None:
        self.reader = Reader(EVERYTHING, self.dice.randbytes)
        self.reader.verify()
        assert Host(self.reader, 2).load(400) == "9000"
        self.sent += 3
        self.money: State = look(self.reader)

    def check(self) -> None:
        """Nobody without keys moves money, counters, log, or the files behind keys."""
        found, was = look(self.reader), self.money
        assert found.purses == was.purses, (found, was)
        assert found.log == was.log
        # Whoever guesses MACs until no try is left has closed the application, and no more.
        assert found.blocked == (not found.mac_tries)
        assert found.files[2:] == was.files[2:]
        assert found.external_tries <= was.external_tries
        assert found.mac_tries <= was.mac_tries
        again = Reader(self.reader.card.image())
        assert look(again) == found

    def fire(self, count: int) -> None:
        transmit, dice, words = self.reader.card.transmit, self.dice, self.words
        for _ in range(count):
            answer = transmit(a_command(dice))
            assert 2 <= len(answer) <= 258, answer
            words[answer[-2] << 8 | answer[-1]] += 1
        self.sent += count

    def tear(self) -> None:
        """A purchase, cut off somewhere; afterwards the card is used like any other."""
        self.reader.card.reset()
        self.reader.select()
        left = self.dice.randrange(12)

        def supply(length: int) -> int | None:
            nonlocal left
            left -= 1
            return None if left >= 0 else self.dice.randrange(length + 1)

        old = look(self.reader)
        self.reader.card.memory.power = supply
        with suppress(PowerLossError):
            assert Host(self.reader, 2).purchase(1) in (
                ("6A81",) if old.blocked else ("9000", "9401")
            )
        self.reader.card.memory.power = None
        self.reader.card.reset()
        found = look(self.reader)
        moved = old.purses[1].balance - found.purses[1].balance
        assert moved in (0, 1)
        assert moved == found.purses[1].offline - old.purses[1].offline
        assert (moved == 1) == (found.log != old.log)
        self.sent += 2
        self.reader.select()
        self.money = found


def run(seconds: float, seed: int, report: Callable[[str], object]) -> Soak:
    """Fire for that long; `report` gets a line now and then."""
    soak = Soak(random.Random(seed))
    start = time.perf_counter()
    rounds = 0
    while (passed := time.perf_counter() - start) < seconds:
        soak.fire(CHECK_EVERY)
        soak.check()
        soak.tear()
        rounds += 1
        if rounds % 8 == 0:
            soak.renew()
        if rounds % 64 == 0:
            report(f"{soak.sent:>12,} APDUs  {soak.sent / passed:>8,.0f}/s")
    unknown = {
        word for word in soak.words if word not in KNOWN and word >> 8 != StatusWord.LE_WRONG >> 8
    }
    assert not unknown, sorted(map(hex, unknown))
    return soak


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    soak = run(chosen.seconds, chosen.seed, lambda line: sys.stderr.write(line + "\n"))
    words = ", ".join(f"{word:04X} {count:,}" for word, count in soak.words.most_common(24))
    done = f"{soak.sent:,} APDUs, seed {chosen.seed}, no invariant broken"
    sys.stdout.write(f"{done}\n{words}\n")


if __name__ == "__main__":
    main()
