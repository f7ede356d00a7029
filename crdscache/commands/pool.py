"""Work spread over processes, its results in order."""

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import ForkContext, ForkProcess
from typing import Any, TypeVar

from crdscache.errors import CacheError
from crdscache.workflow import joblog

Item = TypeVar("Item")
Result = TypeVar("Result")

_FEW = 8  # not worth the start of a process
_MOST_AT_ONCE = 8  # so that a stop is not kept waiting


def ordered(work: Callable[[Item], Result], items: Sequence[Item], jobs: int) -> Iterator[Result]:
    """Do the same with each item, over processes if there are many; the results come in the items' order.

    The first one is done here: what it loads, all processes have.

    Raises
    ------
    CacheError
        What `work` raises, or a process has been killed.
    """
    yield from map(work, items[:1])
    rest = items[1:]
    if jobs == 1 or len(rest) < _FEW:
        yield from map(work, rest)
        return
    chunk = min(_MOST_AT_ONCE, -(-len(rest) // (4 * jobs)))
    for stream in (sys.stdout, sys.stderr):
        stream.flush()  # else each process would print what waits here
    executor = ProcessPoolExecutor(jobs, _Context(), _begin, (work,))
    try:
        yield from executor.map(_do, rest, chunksize=chunk)
    except BrokenProcessPool as error:
        message = "a process of ours was killed; the files that it had are whole, old or new"
        raise CacheError(message) from error
    finally:
        executor.shutdown(cancel_futures=True)


class _Process(ForkProcess):
    """A process that ignores signals: the executor, which ends all after one was killed, has to kill too."""

    def terminate(self) -> None:
        """End it."""
        self.kill()


class _Context(ForkContext):
    """Starts such processes."""

    Process = _Process


_of_process: list[Callable[[Any], Any]] = []


def _begin(work: Callable[[Any], Any]) -> None:
    """Prepare a process: it ends when we say so, or when we are gone; signals are our business."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    joblog.die_with_parent(signal.SIGKILL)
    _of_process.append(work)


def _do(item: Any) -> Any:  # noqa: ANN401 (whatever the work is about)
    return _of_process[0](item)
