"""The attacker, for as long as one likes.

    python -m tests.settlement.attacker.soak_attacker --seconds 3600

It stops at the first attack that it finds, and prints it step by step.
"""

import argparse
import sys
import time

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.settlement.attacker.attacker import Attacker

#: Steps of one life of the attacker at most: some days, each with files and a close.
STEPS = 40
#: A search of a dozen lives. Nothing is made shorter: a life that was found is told as it was.
SEARCH = settings(
    stateful_step_count=STEPS,
    max_examples=12,
    deadline=None,
    derandomize=False,
    phases=[Phase.generate],
    database=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    chosen = parser.parse_args()
    searches, deadline = 0, time.monotonic() + chosen.seconds
    while time.monotonic() < deadline:
        run_state_machine_as_test(Attacker, settings=SEARCH)
        searches += 1
        sys.stderr.write(f"{searches * SEARCH.max_examples} lives, no attack\n")
    sys.stdout.write(
        f"{searches * SEARCH.max_examples:,} lives of an attacker, none paid too much\n"
    )


if __name__ == "__main__":
    main()
