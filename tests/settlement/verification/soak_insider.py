"""The insider for as long as one likes: `python -m tests.settlement.verification.soak_insider`.

Stops at the first blow that nobody sees, and names its seed.
"""

import argparse
import tempfile
import time
from pathlib import Path

from tests.settlement.verification.test_insider import make_cities, strike


def main() -> None:
    """Strike until the time is over."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=3600)
    parser.add_argument("--seed", type=int, default=1_000)
    asked = parser.parse_args()
    until, seed, seen = time.monotonic() + asked.seconds, asked.seed, 0
    with tempfile.TemporaryDirectory() as folder:
        cities = make_cities(Path(folder))
        while time.monotonic() < until:
            said, found = strike(cities, Path(folder), seed)
            if said and not found:
                raise SystemExit(f"seed {seed}: nobody sees: {said}")
            seed, seen = seed + 1, seen + bool(said)
    print(f"{seen} blows, each found; the next seed is {seed}")  # noqa: T201 - a program of tests


if __name__ == "__main__":
    main()
