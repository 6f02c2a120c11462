"""What it costs to take a city's cards over, in seconds of the processor.

    python benchmarks/takeover.py [cards]

Hands so many cards over in a signed file (one in twenty stands in none), closes three days on which
they ride, load and state what they have, and prints what is still to be opened at the end.
"""

import sys
import tempfile
from pathlib import Path

from tests.settlement.device_files import make_office
from tests.settlement.takeover.many_cards import take_over
from tests.settlement.takeover.world import TakenOver

CARDS = 100_000


def main() -> None:
    """One city, once."""
    card_count = int(sys.argv[1]) if sys.argv[1:] else CARDS
    with (
        tempfile.TemporaryDirectory() as folder,
        make_office(Path(folder) / "city", bucket_count=4) as city,
    ):
        world = TakenOver(city)
        taken = take_over(world, card_count)
        holds = world.report.holds
    for name, seconds in taken.seconds.items():
        print(f"{name}\t{seconds:.2f} s")
    due = ", ".join(f"{fen / 100:.2f}" for fen in taken.due_fen)
    print(f"openings due after each day\t{due}\t({len(taken.silent):,} cards by name)")
    print(f"the float is proven\t{holds}")


if __name__ == "__main__":
    main()
