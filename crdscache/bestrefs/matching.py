"""Match: the rows of a table whose keys fit the header, tried by how much of them fits.

A column asks each of its elements once for each distinct value, and remembers the verdicts as bits, one for
each row.

Source: docs/protocol.md, "Match".
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from crdscache.bestrefs import elements, selectors
from crdscache.bestrefs.answers import SOFT, UNDEFINED, Cause, Failure
from crdscache.bestrefs.conditioning import ANY, NOT_APPLICABLE, condition
from crdscache.bestrefs.selectors import Child, Header, Result, Selector

_REMEMBER = 4096  # distinct values of one column; more are judged anew
NO_MATCH = Failure(Cause.NO_MATCH, "No match found.")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a column says of a value: two sets of rows, as bits."""

    possible: int  # the rows that it does not rule out
    fitting: int  # those that count one more for it


class Column:
    """One parameter of a Match: an element in each row.

    Parameters
    ----------
    substitutions
        From values that stand for others; here they only widen what is accepted.
    """

    def __init__(self, parkey: str, rows: Sequence[str], substitutions: Mapping[str, str]) -> None:
        self.parkey, self.rows, self._substitutions = parkey, rows, substitutions
        self._judges = {element: elements.judge(element) for element in rows}
        is_open = any(map(elements.is_esoteric, rows))
        pieces = set() if is_open else {piece for row in rows for piece in elements.pieces(row)}
        self.known = sorted(pieces)  # the values that are accepted; none: any
        self._verdicts: dict[str, Verdict | Failure] = {}

    def ask(self, value: str) -> Verdict | Failure:
        """Judge a value, or refuse it: it is none that the column knows."""
        verdict = self._verdicts.get(value)
        if verdict is None:
            verdict = self._ask(value)
            if len(self._verdicts) < _REMEMBER:
                self._verdicts[value] = verdict
        return verdict

    def verdict(self, row: int, value: str) -> int:
        """Judge a value by the element of one row."""
        return self._judges[self.rows[row]](value)

    def _ask(self, value: str) -> Verdict | Failure:
        if refusal := self._refusal(value):
            return refusal
        of_element = {element: judge(value) for element, judge in self._judges.items()}
        possible = fitting = 0
        for number, element in enumerate(self.rows):
            possible |= (of_element[element] != elements.DIFFERS) << number
            fitting |= (of_element[element] == elements.FITS) << number
        return Verdict(possible, fitting)

    def _refusal(self, value: str) -> Failure | None:
        known = self.known
        if not known or not {value, condition(value), ANY, NOT_APPLICABLE}.isdisjoint(known):
            return None
        if value.startswith("NOT"):
            return self._refusal(value[3:].strip())
        if elements.is_esoteric(value) or value in {ANY, "ANY", NOT_APPLICABLE}:
            return None
        if len(known) == 1 and ":" in known[0]:
            return self._outside(value, known[0])
        if value in self._substitutions:
            return self._refusal(self._substitutions[value])
        return self._refuse(value, f"not in {known}")

    def _outside(self, value: str, interval: str) -> Failure | None:
        try:
            low, high = map(float, interval.split(":"))
            if low <= float(value) <= high:
                return None
        except ValueError:
            return self._refuse(value, f"not a number for the range {interval}")
        return self._refuse(value, f"not in range [{low} .. {high}]")

    def _refuse(self, value: str, why: str) -> Failure:
        return Failure(Cause.BAD_VALUE, f" parameter={self.parkey!r} value={value!r} is {why}")


@dataclass(frozen=True, slots=True)
class Candidates:
    """Rows of equal weight, in the order of their keys."""

    weight: int  # elements that fit
    rows: tuple[int, ...]


class Match(Selector):
    """Chooses among rows by the parameters of one level."""

    class_name = "Match"

    def __init__(
        self,
        parkeys: Sequence[str],
        rows: Mapping[tuple[str, ...], Child],
        substitutions: Mapping[str, Mapping[str, str]],
        *,
        may_merge: bool,
    ) -> None:
        self.keys = sorted(rows)
        self.children = [rows[key] for key in self.keys]
        self.columns = [
            Column(parkey, [key[number] for key in self.keys], substitutions.get(parkey, {}))
            for number, parkey in enumerate(parkeys)
        ]
        self.may_merge = may_merge
        self._merged: dict[tuple[int, ...], Child | Failure] = {}

    def look_up(self, header: Header) -> Result:
        """Try the candidates, those of the highest weight first."""
        for child in self.tried(header):
            result = child.look_up(header) if isinstance(child, Selector) else child
            if not (isinstance(result, Failure) and result.cause in SOFT):
                return result
        return NO_MATCH

    def tried(self, header: Header) -> Iterator[Child | Failure]:
        """List what is tried in turn until something answers, or fails for good."""
        groups = self.candidates(header)
        if isinstance(groups, Failure):
            yield groups
        else:
            yield from map(self.child_of, groups)

    def candidates(self, header: Header) -> list[Candidates] | Failure:
        """Find the rows that fit, by weight, highest first; the first value that a column refuses ends it."""
        possible, fitting = (1 << len(self.keys)) - 1, []
        for column in self.columns:
            value = header.get(column.parkey)
            if value is None:
                if NOT_APPLICABLE not in column.known:
                    return _undefined(column.parkey)
                value = UNDEFINED
            verdict = column.ask(value)
            if isinstance(verdict, Failure):
                return verdict
            possible &= verdict.possible
            fitting.append(verdict.fitting)
        groups: dict[int, list[int]] = {}
        for row in _bits(possible):
            weight = sum(fits >> row & 1 for fits in fitting)
            groups.setdefault(weight, []).append(row)
        return [Candidates(weight, tuple(groups[weight])) for weight in sorted(groups, reverse=True)]

    def child_at(self, key: tuple[str, ...]) -> Child | None:
        """Find what the row of a key leads to; None: there is no such row."""
        number = bisect_left(self.keys, key)
        return self.children[number] if self.keys[number : number + 1] == [key] else None

    def child_of(self, group: Candidates) -> Child | Failure:
        """Find what rows of one weight lead to: the child of a single one, or several made one."""
        if len(group.rows) == 1:
            return self.children[group.rows[0]]
        if group.rows not in self._merged:
            if len(self._merged) >= _REMEMBER:
                self._merged.clear()
            self._merged[group.rows] = self._merge([self.children[row] for row in group.rows])
        return self._merged[group.rows]

    def _merge(self, children: Sequence[Child]) -> Child | Failure:
        if not self.may_merge:
            return Failure(Cause.BAD_RULES, "More than one match clause matched.")
        return selectors.merge(children)

    def starts(self, header: Header) -> frozenset[str]:
        """Collect those of all candidates."""
        return selectors.starts_of(self.tried(header), header)


def _undefined(parkey: str) -> Failure:
    return Failure(Cause.BAD_RULES, f"Match required lookup parameter {parkey!r} is undefined.")


def _bits(rows: int) -> Iterator[int]:
    while rows:
        lowest = rows & -rows
        yield lowest.bit_length() - 1
        rows ^= lowest
