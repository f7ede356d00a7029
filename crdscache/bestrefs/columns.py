"""Which references a context assigns to many data sets: the plain engine decides each distinct case once.

What an answer depends on is few parameters with few values, and a date that counts only by the starts that it
lies between. So a million data sets are some thousand cases.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from crdscache.bestrefs import dates, parameters
from crdscache.bestrefs.answers import Answer, Cause, Failure, NoFile, special
from crdscache.bestrefs.choose import Chooser, Instrument
from crdscache.bestrefs.conditioning import condition
from crdscache.bestrefs.expressions import plain
from crdscache.bestrefs.parameters import Header
from crdscache.bestrefs.rmaps import Rmap
from crdscache.bestrefs.selectors import UseAfter
from crdscache.errors import CacheError

Numbers: TypeAlias = NDArray[np.intp]

_FEW = 3  # so many data sets of a case are decided one by one
_DENSE = 8  # codes may be so many times as many as data sets before they are counted anew
# Their text has the date of the data set itself.
_DATED = frozenset({Cause.TOO_LOW, Cause.CHILD_FAILED})


@dataclass(frozen=True, slots=True)
class Column:
    """One parameter of many data sets."""

    values: tuple[str, ...]  # distinct, in their one form
    codes: Numbers  # (n_datasets,): which of the values


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers for one type."""

    distinct: tuple[Answer, ...]
    codes: Numbers  # (n_datasets,): which of them

    def each(self) -> list[Answer]:
        """List the answer of each data set."""
        return [self.distinct[code] for code in self.codes]


@dataclass(frozen=True, slots=True)
class Times:
    """The times of many data sets: readable ones by their order, then the others."""

    texts: NDArray[np.str_]  # (n_readable,), in normal form, ascending, distinct
    codes: Numbers  # (n_datasets,): position in `texts`; from n_readable on: a number for each unreadable one


class Table:
    """What the rules of one instrument look at, of many data sets."""

    def __init__(self, columns: Mapping[str, Column], n_datasets: int) -> None:
        self.columns, self.n_datasets = columns, n_datasets
        self._times: dict[tuple[str, ...], Times] = {}

    @classmethod
    def of_values(
        cls,
        values: Mapping[str, Sequence[object]],
        n_datasets: int,
        form: Callable[[object], str] = condition,
    ) -> "Table":
        """Bring columns of raw values into their one form.

        Parameters
        ----------
        values : for each parameter, in capitals, `n_datasets` values
        """
        return cls({name: _column(column, form) for name, column in values.items()}, n_datasets)

    @classmethod
    def joined(cls, tables: Sequence["Table"]) -> "Table":
        """Put tables of the same parameters behind each other."""
        columns = {name: _joined([table.columns[name] for table in tables]) for name in tables[0].columns}
        return cls(columns, sum(table.n_datasets for table in tables))

    def only(self, names: Iterable[str]) -> "Table":
        """Give a table of some of the parameters, if it has them; what is known of times, both know."""
        part = Table({name: self.columns[name] for name in names if name in self.columns}, self.n_datasets)
        part._times = self._times
        return part

    def take(self, datasets: Numbers) -> "Table":
        """Give a table of some of the data sets."""
        columns = {
            name: Column(column.values, column.codes[datasets]) for name, column in self.columns.items()
        }
        return Table(columns, len(datasets))

    def values(self, dataset: int | np.intp) -> dict[str, str]:
        """Give the values of one data set, under the names that rules and conditions have for them."""
        found = {}
        for name, column in self.columns.items():
            found[name] = found[plain(name)] = column.values[column.codes[dataset]]
        return found

    def cases(self, names: Iterable[str]) -> tuple[Numbers, Numbers]:
        """Give a number to each combination of values that occurs.

        Returns
        -------
        case_of : shape (n_datasets,)
        first : shape (n_cases,), a data set of each case
        """
        codes, n_codes = np.zeros(self.n_datasets, np.intp), min(self.n_datasets, 1)
        for name in names:
            column = self.columns[name]
            if len(column.values) <= 1:
                continue
            codes, n_codes = _numbered(
                codes * len(column.values) + column.codes, n_codes * len(column.values)
            )
        first = np.zeros(n_codes, np.intp)  # (n_cases,)
        first[codes[::-1]] = np.arange(self.n_datasets - 1, -1, -1)
        return codes, first

    def times(self, parkeys: tuple[str, ...]) -> Times:
        """Read the times of all data sets, each distinct one once."""
        if parkeys not in self._times:
            self._times[parkeys] = self._read_times(parkeys)
        return self._times[parkeys]

    def _read_times(self, parkeys: tuple[str, ...]) -> Times:
        codes, first = self.cases(parkeys)
        columns = [self.columns[parkey] for parkey in parkeys]
        parts = ([column.values[code] for code in column.codes[first]] for column in columns)
        forms = list(map(_normal_form, zip(*parts, strict=True)))
        readable = np.array([form is not None for form in forms], bool)  # (n_forms,)
        texts, position = np.unique(
            np.array([form for form in forms if form is not None], np.str_), return_inverse=True
        )  # (n_readable,)
        code_of = np.empty(len(forms), np.intp)
        code_of[readable] = position
        code_of[~readable] = len(texts) + np.arange(np.count_nonzero(~readable))
        return Times(texts, code_of[codes])


def _column(values: Sequence[object], form: Callable[[object], str]) -> Column:
    # Python takes 1, 1.0 and True for one value; as texts they are not.
    texts = values if set(map(type, values)) == {str} else list(map(str, values))
    raw = {text: number for number, text in enumerate(dict.fromkeys(texts))}
    codes = np.fromiter(map(raw.__getitem__, texts), np.intp, len(values))  # (n_datasets,)
    formed: dict[str, int] = {}
    code_of = np.array([formed.setdefault(form(text), len(formed)) for text in raw], np.intp)
    return Column(tuple(formed), code_of[codes])


def _joined(columns: Sequence[Column]) -> Column:
    number = {
        value: n for n, value in enumerate(dict.fromkeys(v for column in columns for v in column.values))
    }
    renumbered = [
        np.array([number[value] for value in column.values], np.intp)[column.codes] for column in columns
    ]
    return Column(tuple(number), np.concatenate(renumbered))


def _numbered(codes: Numbers, n_codes: int) -> tuple[Numbers, int]:
    """Leave out the codes that do not occur, once there are too many of them."""
    if n_codes <= _DENSE * len(codes):
        occurs = np.zeros(n_codes, bool)
        occurs[codes] = True
        number = np.cumsum(occurs) - 1  # (n_codes,)
        return number[codes], int(number[-1]) + 1
    distinct, codes = np.unique(codes, return_inverse=True)
    return codes, len(distinct)


def _normal_form(values: tuple[str, ...]) -> str | None:
    """Read a time as UseAfter and hooks both do; None where they do not agree that it is readable."""
    stripped = [value.strip() for value in values]
    text, raw = " ".join(stripped).strip(), " ".join(values)
    form = dates.form_of(text)
    is_agreed = isinstance(form, str) and (text == raw or dates.form_of(raw) == form)
    return form if is_agreed and isinstance(form, str) else None


def decide(rules: Instrument, table: Table, reftypes: Iterable[str] = ()) -> dict[str, Answers]:
    """Give the answers for each type, or for those asked for; the same as the plain engine's, one by one."""
    return {
        reftype: _decide(rules, reftype, table)
        for reftype in [reftype.lower() for reftype in reftypes] or rules.types
    }


def _decide(rules: Instrument, reftype: str, table: Table) -> Answers:
    rmap = rules.types.get(reftype)
    if not isinstance(rmap, Rmap):
        return Answers((rules.choose(reftype, {}),), np.zeros(table.n_datasets, np.intp))
    return _Decider(rmap, table).decide()


class _Decider:
    """Decides one type for many data sets."""

    def __init__(self, rmap: Rmap, table: Table) -> None:
        self.rmap, self.table = rmap, table
        # Conditions may name a parameter of another type, in their own spelling.
        self.columns = [
            (name, plain(name), column)
            for name, column in table.columns.items()
            if not rmap.inputs.isdisjoint({name, plain(name)})
        ]
        self.distinct: list[Answer] = []
        self.numbers: dict[object, int] = {}
        self.tables: dict[UseAfter, tuple[Numbers, Numbers]] = {}

    def decide(self) -> Answers:
        """Decide case after case."""
        parkeys = self.rmap.time_parkeys
        case_of, first = self.table.cases(name for name, _, _ in self.columns if name not in parkeys)
        if not parkeys:
            codes = np.array([self._decide_one(dataset) for dataset in first], np.intp)[case_of]
            return Answers(tuple(self.distinct), codes)
        times = self.table.times(parkeys)
        codes = np.empty(self.table.n_datasets, np.intp)
        order = np.argsort(case_of, kind="stable")  # (n_datasets,): case after case
        bounds = np.searchsorted(case_of[order], np.arange(len(first) + 1))  # (n_cases + 1,)
        for start, stop in pairwise(bounds):
            members = order[start:stop]  # (n_members,)
            codes[members] = self._decide_case(members, times)
        return Answers(tuple(self.distinct), codes)

    def _decide_case(self, members: Numbers, times: Times) -> Numbers:
        """Decide data sets that differ in their time only, by what the rules try in turn."""
        if len(members) <= _FEW:
            return np.array([self._decide_one(dataset) for dataset in members], np.intp)
        when = times.codes[members]  # (n_members,)
        codes = np.full(len(members), -1)  # (n_members,)
        is_open = when < len(times.texts)  # (n_members,)
        for tried in self.rmap.tried(self._header(members[0])):
            bounds, names = self._table(tried, times)
            last = np.searchsorted(bounds, when, side="right") - 1  # (n_members,)
            is_found = is_open & (last >= 0)
            codes[is_found] = names[last[is_found]]
            is_open &= ~is_found
        rest = np.flatnonzero(codes < 0)
        if len(rest):
            codes[rest] = self._decide_intervals(members[rest], times)
        return codes

    def _table(self, tried: UseAfter, times: Times) -> tuple[Numbers, Numbers]:
        """Give for each start the first time that is not earlier, and the answer from there on."""
        if tried not in self.tables:
            answers = [self._number(special(str(leaf))) for leaf in tried.children]
            self.tables[tried] = _positions(tried.keys, times), np.array(answers, np.intp)
        return self.tables[tried]

    def _decide_intervals(self, members: Numbers, times: Times) -> Numbers:
        """Decide data sets that differ in their time only, once for each interval between starts."""
        starts = self.rmap.starts(self._header(members[0]))
        interval = np.searchsorted(_positions(sorted(starts), times), times.codes[members], side="right")
        is_unreadable = times.codes[members] >= len(times.texts)
        interval[is_unreadable] = len(starts) + 1 + times.codes[members][is_unreadable]
        _, chosen, number = np.unique(interval, return_index=True, return_inverse=True)
        found = [self._decide_one(dataset) for dataset in members[chosen]]
        codes = np.array(found, np.intp)[number]  # (n_members,)
        is_dated = np.array([_is_dated(self.distinct[code]) for code in found], bool)[number]  # (n_members,)
        codes[is_dated] = [self._decide_one(dataset) for dataset in members[is_dated]]
        return codes

    def _decide_one(self, dataset: np.intp) -> int:
        return self._number(self.rmap.choose(self._header(dataset)))

    def _header(self, dataset: np.intp) -> dict[str, str]:
        found = {}
        for name, underscored, column in self.columns:
            found[name] = found[underscored] = column.values[column.codes[dataset]]
        return found

    def _number(self, answer: Answer) -> int:
        key = answer if isinstance(answer, str | NoFile | Failure) else repr(answer)
        number = self.numbers.setdefault(key, len(self.distinct))
        if number == len(self.distinct):
            self.distinct.append(answer)
        return number


def _positions(starts: Sequence[str], times: Times) -> Numbers:
    return np.searchsorted(times.texts, np.array(starts, np.str_))


def _is_dated(answer: Answer) -> bool:
    return isinstance(answer, Failure) and answer.cause in _DATED


def choose(
    chooser: Chooser,
    headers: Sequence[Header],
    reftypes: Sequence[str] = (),
    form: Callable[[object], str] = condition,
) -> list[dict[str, Answer] | CacheError]:
    """Do what `Chooser.choose` does, for many headers; what it would raise stands in their place.

    Parameters
    ----------
    form : `str` for values that are in their one form already; again, `inf` would not stay as it is
    """
    groups: dict[tuple[str, str], list[int]] = {}
    results: list[dict[str, Answer] | CacheError] = [{} for _ in headers]
    named = [parameters.renamed(header, chooser.observatory) for header in headers]
    for number, header in enumerate(named):
        try:
            groups.setdefault(chooser.instruments_of(header, form), []).append(number)
        except CacheError as error:
            results[number] = error
    for (first, second), numbers in groups.items():
        members = [named[number] for number in numbers]
        values = chooser.instrument(first).wanted.columns(members)
        table = Table.of_values(values, len(members), form)
        answers = decide(chooser.instrument(second), table, reftypes)
        for reftype, of_type in answers.items():
            for number, answer in zip(numbers, of_type.each(), strict=True):
                if answer is not NoFile.OMITTED:
                    results[number][reftype] = answer  # type: ignore[index]
    return results
