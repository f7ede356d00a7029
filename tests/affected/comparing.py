"""Comparisons for tests: of headers, by columns and by brute force."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from crdscache.affected import compare, difference, population
from crdscache.affected.compare import Counts, Effect
from crdscache.bestrefs.answers import Answer, Failure, NoFile
from crdscache.bestrefs.choose import Chooser, Load
from crdscache.contexts import changes
from crdscache.contexts.mapping import Mapping as MappingFile
from crdscache.contexts.records import Problem
from crdscache.datasets.records import Dataset
from crdscache.errors import CacheError, MissingMappingError
from tests.bestrefs import rules

# By data set and type: what it means, the old file and the new one.
Found = dict[str, dict[str, tuple[Effect, str, str]]]


def loader_of(roots: Sequence[Path], observatory: str) -> Load:
    """Load the missions' own mappings from several caches."""

    def load(name: str) -> MappingFile:
        for root in roots:
            path = root / "mappings" / observatory / name
            if path.exists():
                return rules.parse_as(name, path.read_bytes())
        raise MissingMappingError(name)

    return load


def both(old: Chooser, new: Chooser) -> Load:
    """Load what either context has."""

    def load(name: str) -> MappingFile:
        try:
            return new.load(name)
        except MissingMappingError:
            return old.load(name)

    return load


def by_columns(
    old: Chooser, new: Chooser, datasets: Sequence[Dataset | Problem], counts: Counts | None = None
) -> tuple[Found, set[str]]:
    """Compare as the product does; also give the data sets that cannot be compared."""
    found: Found = {}
    failed: set[str] = set()
    names = changes.instruments(old.root, new.root)
    for name in names:
        change = difference.of_instrument(old, new, name, both(old, new))
        more = counts.parameters(change) if counts else ()
        for batch in population.of_datasets(
            datasets, change, (old, new), more, tells_unknown=name == names[0]
        ):
            failed |= {problem.name for problem in batch.problems}
            for each in compare.compare(change, batch, counts or Counts()):
                for number in each.members.tolist():
                    types = found.setdefault(batch.ids[number], {})
                    types[each.change.reftype] = (each.effect, each.old, each.new)
    return found, failed


def by_brute_force(old: Chooser, new: Chooser, datasets: Sequence[Dataset]) -> Found:
    """Ask the plain engine for every type of every data set under both contexts."""
    found: Found = {}
    for dataset in datasets:
        before, after = _choose(old, dataset.header), _choose(new, dataset.header)
        for reftype in {**before, **after}:
            pair = before.get(reftype, NoFile.OMITTED), after.get(reftype, NoFile.OMITTED)
            effect = _effect(*pair)
            if effect is not Effect.NONE:
                told = (effect, compare.file_of(pair[0]), compare.file_of(pair[1]))
                found.setdefault(dataset.id, {})[reftype] = told
    return found


def _choose(chooser: Chooser, header: Mapping[str, object]) -> dict[str, Answer]:
    try:
        return chooser.choose(header)
    except CacheError:
        return {}  # the context does not have the instrument


def _effect(old: Answer, new: Answer) -> Effect:
    """Tell what a change means, by the words of the definition."""
    is_error = [
        isinstance(answer, Failure) or compare.file_of(answer).startswith("error") for answer in (old, new)
    ]
    if is_error[1]:
        return Effect.NONE if is_error[0] else Effect.UNDETERMINED
    return Effect.NONE if compare.file_of(old) == compare.file_of(new) else Effect.AFFECTED
