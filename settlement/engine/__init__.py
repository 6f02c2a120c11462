"""Where the tasks of a run are worked off: one interface, whatever machines stand behind it.

Decides what a task is (a picklable value and a function of a module) and in which order results
come back. Leaves what tasks do to the caller. A task is pure and safe to run twice, so an engine
may lose a worker, and a run may be started again from the beginning, with the same bytes out::

    local.py  processes of this machine
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


class WorkerLostError(Exception):
    """A worker process died; the run can simply be started again."""


class Engine(Protocol):
    """Works off tasks."""

    def map(
        self,
        function: Callable[[Task], Result],
        tasks: Sequence[Task],
        on_done: Callable[[int], None],
    ) -> list[Result]:
        """The results in the order of the tasks. `on_done` hears how many are done so far.

        Raises what the first failing task raises, or `WorkerLostError`.
        """
        ...
