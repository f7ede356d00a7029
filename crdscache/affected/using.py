"""Which data sets use some references under a context: asked when a file is declared bad."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from crdscache.affected.archives import Reader
from crdscache.affected.compare import file_of
from crdscache.affected.difference import InstrumentChange, TypeChange
from crdscache.bestrefs import columns
from crdscache.bestrefs.choose import Chooser
from crdscache.bestrefs.rmaps import Rmap
from crdscache.contexts import changes
from crdscache.contexts.mapping import Mapping, Node, Selector, Table


@dataclass(frozen=True, slots=True)
class Use:
    """One data set that uses one of the references."""

    id: str
    instrument: str
    reftype: str
    reference: str


def find(reader: Reader, references: Iterable[str]) -> Iterator[Use]:
    """Find the data sets of an archive that use references; letter case of names does not count.

    Raises
    ------
    MappingError, MissingMappingError, ContextError
        Rules are not usable.
    DatasetError, ServerError, UnreachableError
        The archive cannot be read, or not to its end.
    """
    chooser, wanted = reader.choosers[1], {name.lower() for name in references}
    for instrument in sorted(changes.imaps(chooser.root)):
        change = _rules_that_name(chooser, instrument, wanted)
        if not change.types:
            continue
        for batch in reader.batches(change, (), None, tells_unknown=False):
            for each in change.types:
                answers = columns.decide(change.new, batch.table, (each.reftype,))[each.reftype]  # type: ignore[arg-type]
                is_wanted = np.array([file_of(answer) in wanted for answer in answers.distinct], bool)
                for number in np.flatnonzero(is_wanted[answers.codes]).tolist():
                    name = file_of(answers.distinct[answers.codes[number]])
                    yield Use(batch.ids[number], instrument, each.reftype, name)


def _rules_that_name(chooser: Chooser, instrument: str, wanted: set[str]) -> InstrumentChange:
    """Give the types of an instrument that name one of the references, as if all of them were new."""
    rules = chooser.instrument(instrument)
    named = [
        TypeChange(reftype, None, rmap)
        for reftype, rmap in rules.types.items()
        if isinstance(rmap, Rmap) and not wanted.isdisjoint(names_in(chooser.load(rmap.name)))
    ]
    return InstrumentChange(instrument, None, rules, tuple(named))


def names_in(rmap: Mapping) -> Iterator[str]:
    """List what the leaves of an rmap say, in lower case."""
    waiting: list[Node] = [rmap.selector]
    while waiting:
        match waiting.pop():
            case Selector(items=items) | Table(items=items):
                waiting += [child for _, child in items]
            case tuple() as several:
                waiting += several
            case str(leaf):
                yield leaf.lower()
