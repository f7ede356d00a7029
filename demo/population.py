"""Made-up data sets of an instrument that look like an archive's: their values are those of the rules.

    population = Population(Chooser("hst_0729.pmap", load), "acs", seed=1)
    rows = population.rows(10_000)

An archive has many exposures and few ways to take one. So some thousand combinations of values are drawn from
the rules, row by row so that they fit together, and each data set is one of them with its own time and name.
"""

import ast
import string
from bisect import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from crdscache.bestrefs import dates, elements
from crdscache.bestrefs.answers import Failure
from crdscache.bestrefs.choose import Chooser, Instrument
from crdscache.bestrefs.conditioning import ANY, NOT_APPLICABLE
from crdscache.bestrefs.expressions import Expression, plain
from crdscache.bestrefs.matching import Match
from crdscache.bestrefs.rmaps import Rmap
from crdscache.bestrefs.selectors import ByKey, Child
from crdscache.contexts import changes
from crdscache.datasets.records import Rows

BLOCK = 10_000  # data sets that are drawn together: the same ones, whichever are asked for
# How data sets spread over instruments is our choice; no count of an archive is behind it.
SHARES: Mapping[str, Mapping[str, float]] = {
    "hst": {"acs": 0.19, "cos": 0.05, "nicmos": 0.09, "stis": 0.16, "wfc3": 0.25, "wfpc2": 0.26},
    "jwst": {"fgs": 0.05, "miri": 0.2, "nircam": 0.4, "niriss": 0.1, "nirspec": 0.25},
}

_N_PROTOTYPES = 2_000
_COMMON = 50  # prototypes of which each is about as frequent as the first
_ASSOCIATED, _MOST_MEMBERS = 1 / 3, 4  # share of products, exposures in one
_ODD, _UNDATED = 0.01, 0.005  # shares of data sets
_ODD_VALUES = ("UNDEFINED", "N/A", "NONE", "", "-999", "1.5", "F9999Z")
_PERFORMED, _UNKNOWN = 0.8, 0.3  # shares of steps and of parameters that decide nothing

_DATES = ("DATE-OBS", "META.OBSERVATION.DATE")
_TIMES = ("TIME-OBS", "META.OBSERVATION.TIME")
_DETECTOR = "META.INSTRUMENT.DETECTOR"
_ERAS = {
    "acs": ("2002-03-07", "2019-08-31"),
    "cos": ("2009-05-25", "2019-08-31"),
    "nicmos": ("1997-02-21", "2008-09-30"),
    "stis": ("1997-02-21", "2019-08-31"),
    "wfc3": ("2009-05-25", "2019-08-31"),
    "wfpc2": ("1997-01-01", "2009-05-11"),
}
_ERA = ("2012-01-01", "2019-08-31")  # jwst's instruments: tests on the ground

# Names of hst begin with a letter of the instrument and a program, of which the first sign is 6 or more.
_LETTERS = {"acs": "J", "cos": "L", "nicmos": "N", "stis": "O", "wfc3": "I", "wfpc2": "U"}
_SIGNS = string.digits + string.ascii_uppercase
_PAIRS = ["".join(pair) for pair in product(_SIGNS, repeat=2)]
_FIRST_PROGRAM = 6 * len(_PAIRS) ** 2
# jwst: JWpppppooovvv_ggsaa_eeeee.DETECTOR, with a program, observation and exposure of each number.
_JWST_PROGRAM, _N_OBSERVATIONS, _N_EXPOSURES = 80_500, 999, 99

_RULE = ("<", ">", "(", "{", "#", "[", "NOT", "BETWEEN")  # how elements begin that are no values

Numbers = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Prototype:
    """One way to take an exposure."""

    values: Mapping[str, str]  # by parameter in capitals, as headers have them
    first: np.datetime64  # the day from which on there are references for it


class Population:
    """Data sets of one instrument; the same ones for the same rules and seed.

    Parameters
    ----------
    instrument : in lower case
    more
        Other contexts: of the parameters that only these ask for each is drawn by their rules.
    """

    def __init__(self, chooser: Chooser, instrument: str, seed: int, more: Sequence[Chooser] = ()) -> None:
        self.instrument, self._seed = instrument, (seed, crc32(instrument.encode()))
        rules = chooser.instrument(instrument)
        self._own = tuple(upper for _, upper, _ in rules.wanted.names)
        self._others = [
            Population(each, instrument, seed) for each in more if instrument in changes.imaps(each.root)
        ]
        names = dict.fromkeys(self._own)
        for other in self._others:
            names |= dict.fromkeys(other.parameters)
        self.parameters: tuple[str, ...] = tuple(names)
        self._fixed = {chooser.primary, *_DATES, *_TIMES}
        drawing = _Drawing(rules, {chooser.primary: instrument.upper()}, self._seed)
        self.prototypes = [drawing.prototype() for _ in range(_N_PROTOTYPES)]
        self._first = np.array([each.first for each in self.prototypes])  # (n_prototypes,)
        self._columns = {name: self._column(name) for name in self._own}
        weights = np.cumsum(1 / (np.arange(_N_PROTOTYPES) + _COMMON))  # (n_prototypes,)
        self._popularity = weights / weights[-1]  # (n_prototypes,), up to 1

    def _column(self, name: str) -> NDArray[np.object_]:
        values = np.empty(_N_PROTOTYPES, object)
        values[:] = [each.values.get(name) for each in self.prototypes]
        return values

    def rows(self, n: int, start: int = 0) -> Rows:
        """Give `n` data sets, from the one of number `start` on."""
        ids: list[str] = []
        columns: dict[str, list[object]] = {name: [] for name in self._own}
        for block in range(start // BLOCK, -(-(start + n) // BLOCK)):
            first = block * BLOCK
            part = slice(max(start - first, 0), start + n - first)
            drawn = self._block(block)
            ids += drawn.ids[part]
            for name, column in columns.items():
                column.extend(drawn.columns[name][part])
        every: dict[str, Sequence[object]] = {**columns}
        for other in self._others:
            every = {**other.rows(n, start).columns, **every}
        return Rows(ids, {name: every[name] for name in self.parameters})

    def _block(self, number: int) -> Rows:
        draw = np.random.default_rng((*self._seed, number + 1))  # 0 would be what the prototypes are drawn by
        product_of = _products(draw, self.instrument)  # (n_datasets,)
        chosen = np.searchsorted(self._popularity, draw.random(BLOCK), side="right")  # (n_products,)
        first, last = self._first[chosen], np.datetime64(_ERAS.get(self.instrument, _ERA)[1])
        n_days = (last - first).astype(np.intp) + 1  # (n_products,)
        days = first + (draw.random(BLOCK) * n_days).astype(np.intp)  # (n_products,)
        seconds = draw.integers(0, 86_400, BLOCK)  # (n_datasets,)
        moments = np.datetime_as_string(days[product_of] + seconds.astype("timedelta64[s]"))  # (n_datasets,)
        prototype_of = chosen[product_of]  # (n_datasets,)
        columns = {name: column[prototype_of] for name, column in self._columns.items()}
        _date(draw, columns, moments.tolist())
        self._spoil(draw, columns)
        return Rows(
            self._ids(number, product_of, prototype_of),
            {name: column.tolist() for name, column in columns.items()},
        )

    def _spoil(self, draw: np.random.Generator, columns: Mapping[str, NDArray[np.object_]]) -> None:
        """Give some data sets a value, in one parameter each, that no rule expects."""
        names = [name for name in columns if name not in self._fixed]
        odd = np.flatnonzero(draw.random(BLOCK) < _ODD)  # (n_odd,)
        which = draw.integers(0, max(len(names), 1), len(odd))  # (n_odd,)
        values = draw.choice(np.array(_ODD_VALUES, object), len(odd))  # (n_odd,)
        for number, name in enumerate(names):
            columns[name][odd[which == number]] = values[which == number]

    def _ids(self, block: int, product_of: Numbers, prototype_of: Numbers) -> list[str]:
        numbers = block * BLOCK + product_of  # (n_datasets,)
        if self.instrument in _LETTERS:
            return list(_hst_ids(_LETTERS[self.instrument], numbers, product_of))
        detectors = [self._detector(each) for each in self.prototypes]
        names = zip(numbers.tolist(), prototype_of.tolist(), strict=True)
        return [_jwst_id(number, detectors[prototype]) for number, prototype in names]

    def _detector(self, prototype: Prototype) -> str:
        value = prototype.values.get(_DETECTOR, "")
        return value if value.isalnum() else self.instrument.upper()


def _products(draw: np.random.Generator, instrument: str) -> Numbers:
    """Tell which product of the block each data set belongs to; only hst has associations here."""
    if instrument not in _LETTERS:
        return np.arange(BLOCK)
    is_associated = draw.random(BLOCK) < _ASSOCIATED  # (n_products,)
    sizes = np.where(is_associated, draw.integers(2, _MOST_MEMBERS, BLOCK, endpoint=True), 1)
    return np.repeat(np.arange(BLOCK), sizes)[:BLOCK]


def _date(
    draw: np.random.Generator, columns: Mapping[str, NDArray[np.object_]], moments: Iterable[str]
) -> None:
    parts = [moment.split("T") for moment in moments]
    is_undated = draw.random(BLOCK) < _UNDATED  # (n_datasets,)
    for number, names in enumerate((_DATES, _TIMES)):
        for name in columns.keys() & set(names):
            columns[name][:] = [part[number] for part in parts]
            columns[name][is_undated] = None


def _hst_ids(letter: str, numbers: Numbers, product_of: Numbers) -> Iterator[str]:
    n_members = np.bincount(product_of)[product_of]  # (n_datasets,)
    member = np.arange(BLOCK) - np.searchsorted(product_of, product_of)  # (n_datasets,)
    for number, members, nth in zip(numbers.tolist(), n_members.tolist(), member.tolist(), strict=True):
        high, low = divmod(_FIRST_PROGRAM + number, len(_PAIRS))
        first, middle = divmod(high, len(_PAIRS))
        stem = f"{letter}{_SIGNS[first]}{_PAIRS[middle]}{_PAIRS[low]}"
        exposure = f"{stem}D{nth + 1}Q"
        yield f"{stem}010:{exposure}" if members > 1 else f"{exposure}:{exposure}"


def _jwst_id(number: int, detector: str) -> str:
    rest, exposure = divmod(number, _N_EXPOSURES)
    program, observation = divmod(rest, _N_OBSERVATIONS)
    name = f"JW{_JWST_PROGRAM + program:05}{observation + 1:03}001_02101_{exposure + 1:05}.{detector.upper()}"
    return f"{name}:{name}"


class _Drawing:
    """Draws prototypes from the rules of an instrument."""

    def __init__(self, rules: Instrument, fixed: Mapping[str, str], seed: tuple[int, ...]) -> None:
        self._fixed, self._draw = fixed, np.random.default_rng(seed)
        self._era = _ERAS.get(rules.name, _ERA)
        rmaps = [each for each in rules.types.values() if isinstance(each, Rmap)]
        matching = [(each, each.selector) for each in rmaps if isinstance(each.selector, Match)]
        # The more rows an rmap has, the fewer combinations it takes: it chooses before the others.
        self._rmaps = sorted(matching, key=lambda pair: -len(pair[1].keys))
        self._weights = np.cumsum([len(match.keys) for _, match in self._rmaps])
        unset = [upper for _, upper, _ in rules.wanted.names if upper not in {*fixed, *_DATES, *_TIMES}]
        in_keys, in_conditions = _values_of_keys(rmaps), _values_of_conditions(rmaps)
        self._of_rows = {name: in_keys[name] for name in unset if in_keys.get(name)}
        self._of_conditions = {
            name: in_conditions[plain(name)]
            for name in unset
            if name not in self._of_rows and in_conditions.get(plain(name))
        }

    def prototype(self) -> Prototype:
        """Draw one: a row of one rmap, then of each other a row that goes with what is drawn already."""
        values = dict(self._fixed)
        values |= {name: self._condition_value(name) for name in self._of_conditions}
        starts = [np.datetime64(self._era[0])]
        for rmap, match in self._in_turn():
            if not rmap.is_omitted(_named(values)) and rmap.is_relevant(_named(values)):
                starts += self._follow(match, values)
        for name, known in self._of_rows.items():
            if name not in values:
                values[name] = NOT_APPLICABLE if self._draw.random() < _UNKNOWN else self._one(known)
        # What the first row describes was not done before it begins; others may be of steps that came later.
        first = min(max(starts[:2]), np.datetime64(self._era[1]))
        return Prototype({name: self._spelt(value) for name, value in values.items()}, first)

    def _in_turn(self) -> list[tuple[Rmap, Match]]:
        if not self._rmaps or not self._weights[-1]:
            return []
        start = bisect(self._weights.tolist(), int(self._draw.integers(self._weights[-1])))
        return [self._rmaps[start], *self._rmaps[:start], *self._rmaps[start + 1 :]]

    def _follow(self, match: Match, values: dict[str, str]) -> list[np.datetime64]:
        """Set what one row that goes with the values says beyond them; give the day that it begins at."""
        possible = (1 << len(match.keys)) - 1
        for column in match.columns:
            if column.parkey in values:
                verdict = column.ask(values[column.parkey])
                possible &= 0 if isinstance(verdict, Failure) else verdict.possible
        if not possible:
            return []
        rows = [number for number in range(len(match.keys)) if possible >> number & 1]
        row = rows[int(self._draw.integers(len(rows)))]
        for column in match.columns:
            known = _plain_values(column.rows[row])
            if known and column.parkey not in values:
                values[column.parkey] = self._one(known)
        return [_first_day(match.children[row], self._era[0])]

    def _condition_value(self, name: str) -> str:
        if name.endswith("CORR"):
            return "PERFORM" if self._draw.random() < _PERFORMED else "OMIT"
        return self._one(self._of_conditions[name])

    def _one(self, choices: Sequence[str]) -> str:
        return choices[int(self._draw.integers(len(choices)))]

    def _spelt(self, value: str) -> str:
        """Write a number with or without its point, as headers do."""
        is_whole = value.endswith(".0") and value[:-2].lstrip("-").isdigit()
        return value[:-2] if is_whole and self._draw.random() < 1 / 2 else value


def _named(values: Mapping[str, str]) -> dict[str, str]:
    return {**values, **{plain(name): value for name, value in values.items()}}


def _plain_values(element: str) -> list[str]:
    """List the values that an element of a key stands for, of those that can be told."""
    if element.startswith("{") and element.endswith("}"):
        return [element[1:-1]]
    if element.startswith("BETWEEN"):
        return [element.split()[1]]
    return [
        piece
        for piece in elements.pieces(element)
        if piece != NOT_APPLICABLE and ANY not in piece and not piece.startswith(_RULE)
    ]


def _first_day(child: Child, otherwise: str) -> np.datetime64:
    starts: list[str] = []
    if isinstance(child, ByKey):
        found = (dates.form_of(key) for key in child.keys)
        starts = [form[:10] for form in found if isinstance(form, str)]
    return np.datetime64(min(starts, default=otherwise)) + 1


def _values_of_keys(rmaps: Iterable[Rmap]) -> dict[str, list[str]]:
    found: dict[str, set[str]] = {}
    for rmap in rmaps:
        if isinstance(rmap.selector, Match):
            for column in rmap.selector.columns:
                values = (value for element in column.rows for value in _plain_values(element))
                found.setdefault(column.parkey, set()).update(values)
    return {name: sorted(values) for name, values in found.items()}


def _values_of_conditions(rmaps: Iterable[Rmap]) -> dict[str, list[str]]:
    """Collect what conditions compare each parameter with, by its name as conditions write it."""
    found: dict[str, set[str]] = {}
    for rmap in rmaps:
        conditions = (rmap.omit, rmap.relevance, *(each for _, each in rmap.parkey_relevance))
        for condition in filter(None, conditions):
            for name, value in _compared(condition):
                found.setdefault(plain(name), set()).add(value)
    return {name: sorted(values) for name, values in found.items()}


def _compared(condition: Expression) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(condition.text.strip(), mode="eval")):
        if isinstance(node, ast.Compare):
            for other in node.comparators:
                yield from (
                    (ast.unparse(node.left), part.value)
                    for part in ast.walk(other)
                    if isinstance(part, ast.Constant) and isinstance(part.value, str)
                )
