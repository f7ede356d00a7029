"""The selectors that choose by a date, a version or a number.

Source: docs/protocol.md, "UseAfter" and "Other selectors".
"""

import math
import re
import struct
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import reduce
from typing import Any, ClassVar, Self, TypeAlias

from crdscache.bestrefs import dates
from crdscache.bestrefs.answers import SOFT, UNDEFINED, Cause, Compound, Failure, Json

_VERSION = re.compile(r"(\d{1,8})(?:\.(\d{1,8}))?(?:\.(\d{1,8}))?[A-Za-z0-9_+.-]{0,128}", re.ASCII)
_LIMIT = re.compile(r"(<=|<|==|=)?(.*)", re.DOTALL)
_DEFAULT = "default"
_BEYOND = 2**63 - 1  # the client's idea of a number that no value reaches

Header: TypeAlias = Mapping[str, str]
Leaf: TypeAlias = str | Compound
Result: TypeAlias = Leaf | Failure


class RulesError(ValueError):
    """A selector makes no sense: the rmap that has it is not usable."""


def version(text: str) -> tuple[int, int, int]:
    """Read a version: up to three numbers count.

    Raises
    ------
    RulesError
        It does not begin with a number.
    """
    found = _VERSION.fullmatch(text)
    if found is None:
        raise RulesError(f"Invalid version string {text!r}")
    major, minor, patch = (int(part or 0) for part in found.groups())
    return major, minor, patch


def limit(text: str) -> tuple[float, str]:
    """Read a limit such as `<5`, `=6` or `default` as a pair that sorts as the missions' client has it.

    Raises
    ------
    RulesError
        There is no number in it.
    """
    if text == _DEFAULT:
        return _BEYOND, "="
    found = _LIMIT.fullmatch(text)
    relation, number = found.groups() if found else (None, "")
    return _float(number), "=" if relation in {None, "=="} else str(relation)


def number_or_nan(text: str) -> float:
    """Read a number; what is none sorts anywhere."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise RulesError(f"{text!r:.80} is no number") from error


class Selector(ABC):
    """Chooses one of its children by the values of a header."""

    class_name: ClassVar[str]

    @abstractmethod
    def look_up(self, header: Header) -> Result:
        """Give the reference that the header leads to, or why there is none."""

    def tried(self, _header: Header) -> "Iterator[Child | Failure]":
        """List what is tried in turn until something answers, or fails for good."""
        yield self

    @abstractmethod
    def starts(self, header: Header) -> frozenset[str]:
        """Collect the starts below that may decide, whatever the date in the header is."""


Child: TypeAlias = Leaf | Selector


def starts_of(children: Iterable[Child | Failure], header: Header) -> frozenset[str]:
    """Collect the starts below any of the children."""
    selectors = [child for child in children if isinstance(child, Selector)]
    return frozenset[str]().union(*(selector.starts(header) for selector in selectors))


def merge(children: Sequence[Child]) -> Child | Failure:
    """Make one of rows that fit equally well, as the missions' client does, where that makes no sense too."""
    if not isinstance(children[0], Selector):
        return Compound([_shown(child) for child in children])
    try:
        return reduce(_merged, children)
    except RulesError as error:
        return Failure(Cause.BAD_RULES, str(error))


def _shown(child: Child) -> Json:
    if isinstance(child, Selector):
        return f"<Selector {child.class_name}>"
    return child.value if isinstance(child, Compound) else child


def _merged(one: Child, other: Child) -> Child:
    if not isinstance(one, Mergeable):
        name = one.class_name if isinstance(one, Selector) else type(one).__name__
        raise RulesError(
            f"More than one match was found at the same weight and {name} does not support merging."
        )
    if not isinstance(other, Selector):
        raise RulesError(f"{_kind(other)!r} object has no attribute '_selections'")
    return one.merged_with(other)


class ByKey(Selector):
    """A selector whose items are tried by their keys, in order."""

    def __init__(self, parkeys: Sequence[str], items: Mapping[str, Child]) -> None:
        self.parkeys, self.items = tuple(parkeys), items
        self.keys = sorted(items, key=self.order)
        self.children = [items[key] for key in self.keys]

    @staticmethod
    def order(text: str) -> Any:  # noqa: ANN401 (whatever sorts)
        """Give what keys sort by."""
        return text

    def starts(self, header: Header) -> frozenset[str]:
        """Collect those of the children."""
        return starts_of(self.children, header)

    def child(self, index: int, header: Header) -> Result:
        """Give what a chosen child answers; that it leads nowhere is an answer of its own."""
        child = self.children[index]
        result = child.look_up(header) if isinstance(child, Selector) else child
        if isinstance(result, Failure) and result.cause in SOFT:
            reason = f"All lookup attempts failed. last exception: {result.reason}"
            return Failure(Cause.CHILD_FAILED, reason)
        return result

    def number(self, header: Header) -> float | Failure:
        """Read the parameter as a number."""
        value = header.get(self.parkeys[0], UNDEFINED)
        try:
            return float(value)
        except ValueError:
            reason = f"{self.class_name} Invalid number for {self.parkeys[0]!r} value = {value!r}"
            return Failure(Cause.BAD_VALUE, reason)


class Mergeable(ByKey):
    """Selectors of rows that fit equally well become one; of equal keys the greater name wins."""

    def merged_with(self, other: Selector) -> Self:
        """Make one selector of two."""
        if not isinstance(other, ByKey):
            raise RulesError(f"{other.class_name} cannot be merged with {self.class_name}")
        items = dict(self.items)
        for key, child in other.items.items():
            items[key] = _greater(items[key], child) if key in items else child
        return type(self)(self.parkeys, items)


def _greater(one: Child, other: Child) -> Child:
    if isinstance(one, str) and isinstance(other, str):
        return max(one, other)
    names, others = (child.value if isinstance(child, Compound) else None for child in (one, other))
    if isinstance(names, list) and isinstance(others, list):
        try:
            return one if names >= others else other
        except TypeError as error:  # tables among the names
            raise RulesError(str(error)) from error
    kinds = " and ".join(repr(_kind(child)) for child in (one, other))
    raise RulesError(f"'>=' not supported between instances of {kinds}")


def _kind(child: Child) -> str:
    """Name what a child is in the client."""
    if isinstance(child, str):
        return "str"
    if isinstance(child, Selector):
        return f"{child.class_name}Selector"
    return "dict" if isinstance(child.value, dict) else "tuple"


class UseAfter(Mergeable):
    """Chooses the last start that is not later than the exposure; dates compare as text."""

    class_name = "UseAfter"

    def look_up(self, header: Header) -> Result:
        """Find the last start, and what stands there."""
        when = time_of(self.parkeys, header, self.class_name)
        if isinstance(when, Failure):
            return when
        index = bisect_right(self.keys, when) - 1
        if index < 0:
            return Failure(Cause.TOO_LOW, f"No selection <= {when!r}")
        return self.child(index, header)

    def starts(self, header: Header) -> frozenset[str]:
        """Collect its own, and those below."""
        return super().starts(header).union(self.keys)


def time_of(parkeys: Sequence[str], header: Header, class_name: str) -> str | Failure:
    """Read the time of an exposure from its parameters, in normal form."""
    values = []
    for parkey in parkeys:
        value = header.get(parkey, UNDEFINED).strip()
        if value == UNDEFINED:
            return Failure(Cause.BAD_VALUE, f"UseAfter parameter {parkey!r} is UNDEFINED.")
        values.append(value)
    text = " ".join(values).strip()
    try:
        return dates.normal_form(text)
    except dates.DateError as error:
        found = f"value = {text!r} exception is {str(error)!r}"
        reason = f"{class_name} Invalid date/time format for {tuple(parkeys)} {found}"
        return Failure(Cause.BAD_VALUE, reason)


class ClosestTime(Mergeable):
    """Chooses the key that is nearest in time."""

    class_name = "ClosestTime"

    def look_up(self, header: Header) -> Result:
        """Find the nearest time."""
        when = time_of(self.parkeys, header, self.class_name)
        if isinstance(when, Failure):
            return when
        moment = datetime.fromisoformat(when)
        try:
            times = [datetime.fromisoformat(dates.normal_form(key)) for key in self.keys]
        except dates.DateError as error:
            return Failure(Cause.BAD_RULES, str(error))
        nearest = _nearest([(time - moment).total_seconds() for time in times])
        return nearest if isinstance(nearest, Failure) else self.child(nearest, header)


class GeometricallyNearest(ByKey):
    """Chooses the key that is nearest as a number."""

    class_name = "GeometricallyNearest"

    def look_up(self, header: Header) -> Result:
        """Find the nearest number."""
        number = self.number(header)
        if isinstance(number, Failure):
            return number
        nearest = _nearest([number_or_nan(key) - number for key in self.keys])
        return nearest if isinstance(nearest, Failure) else self.child(nearest, header)


def _nearest(differences: Sequence[float]) -> int | Failure:
    if not differences:
        return Failure(Cause.BAD_RULES, "attempt to get argmin of an empty sequence")
    distances = [_single(abs(difference)) for difference in differences]
    for index, distance in enumerate(distances):
        if math.isnan(distance):
            return index
    return distances.index(min(distances))


def _single(value: float) -> float:
    """Round to 32 bits: the client compares so, and ties depend on it."""
    try:
        rounded: float = struct.unpack("f", struct.pack("f", value))[0]
    except OverflowError:
        return math.inf
    return rounded


class Bracket(ByKey):
    """Gives the two neighbours of a number; the same one twice at a key and beyond the ends."""

    class_name = "Bracket"
    order = staticmethod(number_or_nan)

    def __init__(self, parkeys: Sequence[str], items: Mapping[str, Child]) -> None:
        if len({math.isnan(number_or_nan(key)) for key in items}) > 1:
            raise RulesError("the keys of Bracket are numbers and texts: they do not compare")
        super().__init__(parkeys, items)

    def look_up(self, header: Header) -> Result:
        """Find the neighbours."""
        number = self.number(header)
        if isinstance(number, Failure):
            return number
        numbers = [number_or_nan(key) for key in self.keys]
        if any(map(math.isnan, numbers)):
            return Failure(Cause.BAD_RULES, "'>' not supported between instances of 'float' and 'str'")
        if not numbers:
            return Failure(Cause.BAD_RULES, "list index out of range")
        last = len(numbers) - 1
        low = 0 if math.isnan(number) else min(max(bisect_right(numbers, number) - 1, 0), last)
        is_between = numbers[low] < number < numbers[last]
        pair = [self.child(low, header), self.child(low + is_between, header)]
        failed = next((each for each in pair if isinstance(each, Failure)), None)
        return failed or Compound([_shown(each) for each in pair if not isinstance(each, Failure)])


class VersionAfter(Mergeable):
    """Chooses the last version that is not later; its keys are in normal form."""

    class_name = "VersionAfter"
    order = staticmethod(version)

    def look_up(self, header: Header) -> Result:
        """Find the last version."""
        text = ".".join(header.get(parkey, UNDEFINED) for parkey in self.parkeys)
        try:
            wanted = version(text)
        except RulesError as error:
            return Failure(Cause.BAD_VALUE, str(error))
        index = bisect_right(self.keys, wanted, key=version) - 1
        if index < 0:
            return Failure(Cause.TOO_LOW, f"No selection <= {wanted}")
        return self.child(index, header)


class SelectVersion(ByKey):
    """Chooses the first limit that is not below the number."""

    class_name = "SelectVersion"
    order = staticmethod(limit)

    def __init__(self, parkeys: Sequence[str], items: Mapping[str, Child]) -> None:
        if len({limit(key) for key in items}) < len(items):
            raise RulesError(f"a limit appears more than once among {list(items)!r:.200}")
        super().__init__(parkeys, items)

    def look_up(self, header: Header) -> Result:
        """Find the first limit."""
        number = self.number(header)
        if isinstance(number, Failure):
            return number
        if not math.isfinite(number):
            value = header.get(self.parkeys[0], UNDEFINED)
            return Failure(Cause.BAD_VALUE, f"Invalid version expression in: {'=' + value!r}")
        for index, key in enumerate(self.keys):
            if limit(key) >= (number, "="):
                return self.child(index, header)
        return Failure(Cause.BAD_RULES, "list index out of range")
