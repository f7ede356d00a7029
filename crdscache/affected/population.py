"""Brings data sets, from wherever they come, into the columns that rules are asked by."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np

from crdscache.affected import since
from crdscache.affected.compare import Batch
from crdscache.affected.difference import InstrumentChange
from crdscache.bestrefs import parameters
from crdscache.bestrefs.answers import UNDEFINED
from crdscache.bestrefs.choose import Chooser
from crdscache.bestrefs.columns import Table
from crdscache.contexts import changes
from crdscache.contexts.records import Problem
from crdscache.datasets.records import Asked, Dataset, Rows
from crdscache.errors import BestrefsError

AT_ONCE = 50_000  # are read
MOST_AT_ONCE = 500_000  # are compared


def asked(change: InstrumentChange, primary: str, more: Iterable[str] = (), day: str | None = None) -> Asked:
    """Say what a catalogue has to tell of the data sets of an instrument.

    Parameters
    ----------
    primary
        The parameter by which contexts distinguish instruments: no catalogue need have it.
    more
        Parameters beside those of the rules.
    """
    wanted = dict.fromkeys((*change.parameters, *more))
    return Asked(change.name, tuple(name for name in wanted if name != primary), day)


def of_rows(rows: Iterable[Rows], primary: str, instrument: str) -> Iterator[Batch]:
    """Give the data sets of a catalogue that has columns."""
    for some in rows:
        given: dict[str, Sequence[object]] = {
            name: [UNDEFINED if value is None else value for value in column] if None in column else column
            for name, column in some.columns.items()
        }
        given[primary] = [instrument.upper()] * len(some.ids)
        yield Batch(some.ids, Table.of_values(given, len(some.ids)), some.problems)


def of_datasets(
    datasets: Iterable[Dataset | Problem],
    change: InstrumentChange,
    choosers: Sequence[Chooser],
    more: Iterable[str] = (),
    *,
    tells_unknown: bool,
) -> Iterator[Batch]:
    """Give the data sets of one instrument among those of a source that has headers.

    Parameters
    ----------
    choosers
        Old and new rules: they know the instrument of a header.
    tells_unknown
        Whether to tell of data sets that have no instrument: who reads the source for several instruments
        tells of them once.
    """
    chosen = _of_instrument(datasets, change.name, choosers, tells_unknown=tells_unknown)
    wanted = tuple(dict.fromkeys((*change.parameters, *more)))
    while some := list(islice(chosen, AT_ONCE)):
        problems = tuple(each for each in some if isinstance(each, Problem))
        found = [each for each in some if isinstance(each, Dataset)]
        headers = [parameters.renamed(each.header, choosers[-1].observatory) for each in found]
        columns = parameters.Wanted.of(wanted).columns(headers)
        yield Batch([each.id for each in found], Table.of_values(columns, len(found)), problems)


def _of_instrument(
    datasets: Iterable[Dataset | Problem],
    instrument: str,
    choosers: Sequence[Chooser],
    *,
    tells_unknown: bool,
) -> Iterator[Dataset | Problem]:
    known = {name for chooser in choosers for name in changes.imaps(chooser.root)}
    for each in datasets:
        name = None if isinstance(each, Problem) else _name_of_instrument(each, choosers[-1])
        if name == instrument:
            yield each
        elif tells_unknown and name not in known:
            yield each if isinstance(each, Problem) else Problem(each.id, _unknown(name))


def _unknown(name: str | None) -> str:
    return (
        "its header tells no instrument" if name is None else f"neither context knows instrument {name!r:.80}"
    )


def _name_of_instrument(dataset: Dataset, chooser: Chooser) -> str | None:
    """Tell the instrument of a data set, in lower case; None where nothing tells it."""
    header = parameters.renamed(dataset.header, chooser.observatory)
    try:
        return parameters.instrument(header, chooser.primary, chooser.context)
    except BestrefsError:
        return None if dataset.instrument is None else dataset.instrument.lower()


def joined(batches: Iterable[Batch]) -> Iterator[Batch]:
    """Bring batches together: each is compared by its distinct cases, and codes take little memory."""
    waiting: list[Batch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(len(each.ids) for each in waiting) >= MOST_AT_ONCE:
            yield _taken(waiting)
    if waiting:
        yield _taken(waiting)


def _taken(batches: list[Batch]) -> Batch:
    """Bring batches together, and leave none: the others would take as much memory again."""
    ids = [name for batch in batches for name in batch.ids]
    problems = tuple(problem for batch in batches for problem in batch.problems)
    table = Table.joined([batch.table for batch in batches])
    batches.clear()
    return Batch(ids, table, problems)


def not_before(batches: Iterable[Batch], day: str | None) -> Iterator[Batch]:
    """Leave out data sets of an earlier day."""
    for batch in batches:
        is_before = since.is_before(batch.table, day)  # (n_datasets,)
        if not is_before.any():
            yield batch
            continue
        kept = np.flatnonzero(~is_before)  # (n_kept,)
        yield Batch([batch.ids[number] for number in kept.tolist()], batch.table.take(kept), batch.problems)
