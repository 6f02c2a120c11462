"""Settle many seeds of small worlds twice, or one seed again.

python -m tests.settlement.audited.soak_worlds --worlds 10000
python -m tests.settlement.audited.soak_worlds --seed 4711
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

from tests.settlement.audited.compare import Compared, DisagreementError, compare_block
from tests.settlement.audited.world import BLOCK, SCHEME_NAMES


def blocks(first: int, worlds: int) -> Iterator[list[int]]:
    """Seeds of one scheme that are settled together."""
    for start in range(first, first + worlds, BLOCK):
        end = min(start + BLOCK, first + worlds)
        for scheme in range(len(SCHEME_NAMES)):
            if seeds := [n for n in range(start, end) if n % len(SCHEME_NAMES) == scheme]:
                yield seeds


def settle(first: int, worlds: int, *, is_loud: bool = False) -> Compared:
    """Settle so many worlds from a seed on. Raises `DisagreementError` at the first difference."""
    compared = Compared()
    for number, seeds in enumerate(blocks(first, worlds)):
        with tempfile.TemporaryDirectory() as folder:
            compared.add(compare_block(seeds, Path(folder), buckets=1 + number % 2))
        if is_loud:
            sys.stderr.write(f"\r{compared.worlds} worlds, {compared.records} records ")
    return compared


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    fresh = BLOCK * Random().randrange(1_000, 1_000_000)
    parser.add_argument("--first", type=int, default=fresh)
    parser.add_argument("--worlds", type=int, default=10_000)
    parser.add_argument("--seed", type=int)
    asked = parser.parse_args()
    began = time.monotonic()
    try:
        if asked.seed is not None:
            compared = settle(asked.seed, 1)
        else:
            compared = settle(asked.first, asked.worlds, is_loud=True)
    except DisagreementError as error:
        sys.exit(f"\n{error}")
    took = time.monotonic() - began
    sys.stdout.write(f"{compared.shares()}no difference in {took:.0f} s\n")


if __name__ == "__main__":
    main()
