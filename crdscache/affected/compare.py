"""Which of some data sets get other references by new rules: by columns, type by type.

Source: docs/protocol.md, "Affected data sets".
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeAlias

import numpy as np

from crdscache.affected import deciding, exposuretypes, since, tablerows
from crdscache.affected.difference import InstrumentChange, TypeChange
from crdscache.affected.exposuretypes import ExposureTypes
from crdscache.bestrefs import columns
from crdscache.bestrefs.answers import Answer, Compound, Failure, NoFile
from crdscache.bestrefs.choose import Instrument
from crdscache.bestrefs.columns import Answers, Numbers, Table
from crdscache.bestrefs.expressions import plain
from crdscache.bestrefs.rmaps import Rmap
from crdscache.contexts.records import Problem

NO_FILE = "n/a"

# Whether a data set selects the same rows of both tables: instrument, type, old and new name, its values.
SameRows: TypeAlias = Callable[[str, str, str, str, Mapping[str, str]], bool]


class Effect(Enum):
    """What a change of rules means for one type of a data set."""

    NONE = "none"
    AFFECTED = "affected"  # another file, or one more or less
    SAME_ROWS = "same rows"  # another table, but the rows that the data set selects are the same
    UNDETERMINED = "undetermined"  # there was an answer, and now the look-up fails


@dataclass(frozen=True, slots=True)
class Batch:
    """Some data sets of one instrument, with what the rules look at."""

    ids: Sequence[str]  # (n_datasets,): PRODUCT:EXPOSURE
    table: Table  # all parameters that either side looks at
    problems: tuple[Problem, ...] = ()  # data sets without usable parameters


@dataclass(frozen=True, slots=True)
class Difference:
    """Data sets that one change of a type touches alike."""

    change: TypeChange
    effect: Effect
    old: str
    new: str
    rule: str  # the row of the rules that made the difference
    members: Numbers  # (n_members,): positions in the batch


@dataclass(frozen=True, slots=True)
class Counts:
    """What counts beside the names."""

    same_rows: SameRows | None = None  # tables count by the rows that a data set selects
    exposure_types: ExposureTypes | None = None  # only the types count that belong to an exposure's

    def parameters(self, change: InstrumentChange) -> tuple[str, ...]:
        """List what has to be known of data sets for it, beside what the rules look at."""
        of_tables = [field for each in change.types for field in tablerows.fields(change.name, each.reftype)]
        more = [exposuretypes.PARAMETER] if self.exposure_types else []
        return (*(of_tables if self.same_rows else ()), *more)

    def are_same(
        self, instrument: str, reftype: str, old: Answer, new: Answer, values: Mapping[str, str]
    ) -> bool:
        """Tell whether two answers are tables of which a data set selects the same rows."""
        if self.same_rows is None or not (isinstance(old, str) and isinstance(new, str)):
            return False
        return self.same_rows(instrument, reftype, old, new, values)


def compare(change: InstrumentChange, batch: Batch, counts: Counts) -> Iterator[Difference]:
    """Find what the change means for some data sets; those that it does not touch are left out."""
    for each in change.types:
        is_open = ~since.is_before(batch.table, each.since)  # (n_datasets,)
        if is_open.all():
            yield from _of_type(change, each, batch.table, counts)
        elif is_open.any():
            numbers = np.flatnonzero(is_open)  # (n_open,)
            for found in _of_type(change, each, batch.table.take(numbers), counts):
                yield replace(found, members=numbers[found.members])


def _seen(table: Table, side: Instrument | None) -> Table:
    """Leave of a table what one side looks at: to the other's parameters its conditions are blind."""
    return table.only(() if side is None else [upper for _, upper, _ in side.wanted.names])


def _answers(side: Instrument | None, reftype: str, table: Table) -> Answers:
    if side is None or reftype not in side.types:
        return Answers((NoFile.OMITTED,), np.zeros(table.n_datasets, np.intp))
    return columns.decide(side, table, (reftype,))[reftype]


def effect(old: Answer, new: Answer) -> Effect:
    """Tell what it means that one answer became another."""
    if isinstance(new, Failure | Compound):
        return Effect.NONE if isinstance(old, Failure | Compound) else Effect.UNDETERMINED
    return Effect.NONE if file_of(old) == file_of(new) else Effect.AFFECTED


def file_of(answer: Answer) -> str:
    """Tell which file an answer stands for: its name in lower case, none, or the error itself."""
    match answer:
        case NoFile():
            return NO_FILE
        case Failure(reason=reason):
            return f"error: {reason.strip()}"
        case Compound(value=value):
            return f"error: several: {value}"
    return answer.lower()


def _of_type(
    of_instrument: InstrumentChange, change: TypeChange, table: Table, counts: Counts
) -> Iterator[Difference]:
    instrument = of_instrument.name
    seen_by_old, seen_by_new = _seen(table, of_instrument.old), _seen(table, of_instrument.new)
    old = _answers(of_instrument.old, change.reftype, seen_by_old)
    new = _answers(of_instrument.new, change.reftype, seen_by_new)
    pairs, pair_of = np.unique(old.codes * len(new.distinct) + new.codes, return_inverse=True)  # (n_pairs,)
    answers = [
        (old.distinct[pair // len(new.distinct)], new.distinct[pair % len(new.distinct)]) for pair in pairs
    ]
    effects = [effect(*pair) for pair in answers]
    is_touched = np.array([each is not Effect.NONE for each in effects], bool)[pair_of]  # (n_datasets,)
    if counts.exposure_types is not None:
        is_touched &= counts.exposure_types.applies(change.reftype, table)
    touched = np.flatnonzero(is_touched)  # (n_touched,)
    if not len(touched):
        return
    fields = tablerows.fields(instrument, change.reftype) if counts.same_rows else ()
    cases = [pair_of, *_cases(change, (seen_by_old, seen_by_new)), table.cases(fields)[0]]
    for members in _alike([codes[touched] for codes in cases], touched):
        one, number = members[0], int(pair_of[members[0]])
        before, after = answers[number]
        found, row = effects[number], ""
        if found is Effect.AFFECTED:
            row = deciding.rule(change, seen_by_old.values(one), seen_by_new.values(one))
            if counts.are_same(instrument, change.reftype, before, after, table.values(one)):
                found = Effect.SAME_ROWS
        yield Difference(change, found, file_of(before), file_of(after), row, members)


def _cases(change: TypeChange, tables: Sequence[Table]) -> Iterator[Numbers]:
    """Give a number to each case of each side: within one only time decides."""
    for rules, table in zip((change.old, change.new), tables, strict=True):
        if isinstance(rules, Rmap):
            inputs = rules.inputs.difference(rules.time_parkeys)
            yield table.cases(name for name in table.columns if not inputs.isdisjoint({name, plain(name)}))[0]


def _alike(codes: Sequence[Numbers], numbers: Numbers) -> list[Numbers]:
    """Bring together the data sets whose codes are all the same.

    Parameters
    ----------
    codes : each of shape (n_numbers,)
    """
    order = np.lexsort(codes)  # (n_numbers,)
    is_new = np.any([each[order][1:] != each[order][:-1] for each in codes], axis=0)  # (n_numbers - 1,)
    return np.split(numbers[order], np.flatnonzero(is_new) + 1)
