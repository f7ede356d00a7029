"""Which references some data sets need: a cache for them alone holds megabytes, not terabytes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from crdscache.bestrefs import parameters
from crdscache.bestrefs.answers import Answer, Compound, Json
from crdscache.bestrefs.choose import Chooser, Load
from crdscache.contexts import names
from crdscache.contexts.records import Needs, Problem
from crdscache.datasets import files, opening, rpc
from crdscache.datasets.records import Dataset
from crdscache.errors import BestrefsError, DatasetError, MappingError, MissingMappingError
from crdscache.server.rpc import RpcClient


@dataclass(frozen=True, slots=True)
class Wanted:
    """The data sets whose references are wanted; none at all means every reference."""

    files: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()  # as the server knows them


def find(wanted: Wanted, contexts: Iterable[str], load: Load, server: RpcClient, batch: int) -> Needs:
    """Find the best references of data sets under each of some contexts.

    A context whose rules are not usable needs nothing here: they are told of where they are brought.

    Parameters
    ----------
    server
        Asked for the headers of ids, `batch` of them at a time.
    """
    if not (wanted.files or wanted.ids):
        return Needs(None, ())
    given = [_read(path) for path in wanted.files]
    references: set[str] = set()
    problems: dict[str, Problem] = {}
    for context in contexts:
        asked = rpc.headers(server, context, wanted.ids, batch) if wanted.ids else ()
        try:
            chooser = Chooser(context, load)
            for item in (*given, *asked):
                needed = item if isinstance(item, Problem) else _choose(chooser, item)
                if isinstance(needed, Problem):
                    problems[needed.name] = needed
                else:
                    references |= needed
        except (MappingError, MissingMappingError):
            continue
    halves = {half for name in references if (half := names.geis_data(name)) is not None}
    return Needs(frozenset(references | halves), tuple(problems.values()))


def _read(path: str) -> Dataset | Problem:
    try:
        return Dataset(path, files.read_header(Path(path)))
    except DatasetError as error:
        name = opening.shown(Path(path))
        return Problem(name, error.reason_for(name))


def _choose(chooser: Chooser, dataset: Dataset) -> set[str] | Problem:
    try:
        answers = chooser.choose(parameters.identified(dataset.header))
    except BestrefsError as error:
        return Problem(opening.shown(Path(dataset.id)), str(error))
    return {name for answer in answers.values() for name in _names(answer)}


def _names(answer: Answer | Json) -> Iterator[str]:
    match answer:
        case str():
            yield answer
        case Compound(value=value):
            yield from _names(value)
        case list():
            for each in answer:
                yield from _names(each)
        case dict():
            yield from _names(list(answer.values()))
