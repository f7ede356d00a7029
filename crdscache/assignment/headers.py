"""The work on files of headers: as `work`, but for many data sets at a time."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from crdscache.assignment.work import OF_ONE, Done, Worker, failed
from crdscache.bestrefs import columns
from crdscache.contexts.records import Problem
from crdscache.datasets import jsonlines
from crdscache.datasets.records import Dataset
from crdscache.errors import CacheError, DatasetError

AT_ONCE = 10_000


def of_file(worker: Worker, source: Path) -> Iterator[Done]:
    """Work through a file of headers, in its order; raises as `of_lines` and `jsonlines.read`."""
    lines = jsonlines.read(source)
    while some := list(islice(lines, AT_ONCE)):
        yield from of_lines(worker, some)


def of_lines(worker: Worker, lines: Sequence[Dataset | Problem]) -> list[Done]:
    """Do a task for headers; a context of their own that is not usable is their own problem.

    Raises
    ------
    ContextError, MappingError, MissingMappingError
        The context of the task is not usable.
    """
    done: dict[int, Done] = {}
    groups: dict[str | None, list[tuple[int, Dataset]]] = {}
    for number, line in enumerate(lines):
        if isinstance(line, Problem):
            done[number] = failed(line.name, None, DatasetError(line.name, line.reason))
        else:
            groups.setdefault(line.context or worker.task.context, []).append((number, line))
    for context, members in groups.items():
        results = _of_context(worker, context, [line for _, line in members])
        done |= zip((number for number, _ in members), results, strict=True)
    return [done[number] for number in range(len(lines))]


def _of_context(worker: Worker, context: str | None, lines: Sequence[Dataset]) -> Iterator[Done]:
    is_own = context != worker.task.context
    try:
        assigner = worker.session.assigner(context)
    except CacheError as error:
        if not is_own:
            raise
        yield from (failed(line.id, context, error) for line in lines)
        return
    results = columns.choose(assigner.chooser, [line.header for line in lines], assigner.reftypes)
    for line, result in zip(lines, results, strict=True):
        if not isinstance(result, CacheError):
            yield worker.done(line.id, assigner, line.header, assigner.vet(line.header, result))
        elif is_own or isinstance(result, OF_ONE):
            yield failed(line.id, assigner.chooser.context, result)
        else:
            raise result
