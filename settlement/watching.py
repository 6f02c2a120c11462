"""Who watches the work: commit points as they are passed, tasks as they are done."""

from collections.abc import Callable

#: Told the name of each commit point as it is passed.
OnStep = Callable[[str], None]
#: Told how many tasks of a run are done, and how many there are.
OnProgress = Callable[[int, int], None]


def pass_by(_: str) -> None:
    """Nobody is watching the commit points."""


def be_silent(_done: int, _total: int) -> None:
    """Nobody is watching the progress."""
