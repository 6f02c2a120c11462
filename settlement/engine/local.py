"""The engine of one machine: worker processes, or none at all.

Decides how processes are started and what happens when one dies. One worker means this very
process: a small city pays for nothing it does not need.
"""

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from cardcore.text import Text
from settlement.engine import Result, Task, WorkerLostError


@contextmanager
def _unheard_stops() -> Iterator[None]:
    """Processes that are started meanwhile never hear Ctrl-C, which a terminal sends to all: this
    one decides what is done about it, and would otherwise be told of each worker's end as well.
    """
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


class LocalEngine:
    """Runs tasks in `workers` processes; with one worker, in this process."""

    def __init__(self, workers: int = 1) -> None:
        assert workers >= 1, workers
        self._workers = workers

    def map(
        self,
        function: Callable[[Task], Result],
        tasks: Sequence[Task],
        on_done: Callable[[int], None],
    ) -> list[Result]:
        """See `settlement.engine.Engine`."""
        if self._workers == 1 or len(tasks) <= 1:
            return self._map_here(function, tasks, on_done)
        # Workers start from nothing: a forked one would inherit open databases and locks.
        context = multiprocessing.get_context("spawn")
        workers = min(self._workers, len(tasks))
        before = set(multiprocessing.active_children())
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            with _unheard_stops():
                futures = [pool.submit(function, task) for task in tasks]
            try:
                for done, future in enumerate(as_completed(futures), 1):
                    future.result()
                    on_done(done)
                return [future.result() for future in futures]
            except BrokenProcessPool as error:
                raise WorkerLostError(
                    Text(
                        f"一个工作进程中止，尚有 {len(tasks)} 项任务；请重新执行此命令",
                        f"a worker process died with {len(tasks)} tasks at hand; repeat the "
                        "command",
                    )
                ) from error
            except KeyboardInterrupt:
                # Tasks are pure: nobody waits for what they are in the middle of.
                for process in set(multiprocessing.active_children()) - before:
                    process.terminate()
                raise
            finally:
                for future in futures:
                    future.cancel()

    @staticmethod
    def _map_here(
        function: Callable[[Task], Result],
        tasks: Sequence[Task],
        on_done: Callable[[int], None],
    ) -> list[Result]:
        results = []
        for done, task in enumerate(tasks, 1):
            results.append(function(task))
            on_done(done)
        return results
