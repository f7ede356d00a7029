"""What differs between the rules of two contexts: only that can change what is assigned to a data set.

Source: docs/protocol.md, "Affected data sets".
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from crdscache.bestrefs import elements
from crdscache.bestrefs.answers import NoFile
from crdscache.bestrefs.choose import Chooser, Instrument, Load
from crdscache.bestrefs.conditioning import NOT_APPLICABLE
from crdscache.bestrefs.matching import Column, Match
from crdscache.bestrefs.rmaps import Rmap
from crdscache.bestrefs.selectors import UseAfter
from crdscache.contexts import changes, mapping, times
from crdscache.contexts.mapping import Key, Node, SelectorClass, Table, Value
from crdscache.datasets.records import DATES

# They tell one version of a mapping from another, and decide nothing.
_SAYS_NOTHING = ("name", "derived_from", "sha1sum")
_DAY = len("2000-01-01")
_STARTS_ONLY = [{SelectorClass.MATCH}, {SelectorClass.USE_AFTER}]

Rules: TypeAlias = Rmap | NoFile | None  # None: the context does not have the type


@dataclass(frozen=True, slots=True)
class Counts:
    """How many rows of the rules changed."""

    added: int = 0
    deleted: int = 0
    replaced: int = 0  # the same key and start, another name
    is_header_changed: bool = False

    def __str__(self) -> str:
        told = [
            f"{number} {word}" for word in ("added", "deleted", "replaced") if (number := getattr(self, word))
        ]
        return ", ".join([*told, *(["header"] if self.is_header_changed else [])])


@dataclass(frozen=True, slots=True)
class TypeChange:
    """What changed for one type."""

    reftype: str
    old: Rules
    new: Rules
    counts: Counts = Counts()
    since: str | None = None  # nothing changed for data sets of an earlier time; None: it may have for all

    def __str__(self) -> str:
        if not (isinstance(self.old, Rmap) and isinstance(self.new, Rmap)):
            return self.rmaps
        return f"{self.rmaps}: {str(self.counts) or 'parameters of other types'}"

    @property
    def rmaps(self) -> str:
        """Name the rules of both sides."""
        return f"{_name(self.old)} -> {_name(self.new)}"


@dataclass(frozen=True, slots=True)
class InstrumentChange:
    """What changed for one instrument; a side is None where the context has no rules for it."""

    name: str
    old: Instrument | None
    new: Instrument | None
    types: tuple[TypeChange, ...]  # those that can differ, by name

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters that the types look at which can differ, on either side, in capitals."""
        wanted = [side.wanted.names for side in (self.old, self.new) if side is not None]
        rules = [each for change in self.types for each in (change.old, change.new) if isinstance(each, Rmap)]
        inputs = frozenset[str]().union(*(rmap.inputs for rmap in rules))
        seen = (
            upper for names in wanted for _, upper, plain in names if not inputs.isdisjoint({upper, plain})
        )
        return tuple(dict.fromkeys(seen))

    @property
    def dates(self) -> tuple[str, ...]:
        """The parameters that tell the day of a data set, whether its types look at it or not."""
        sides = [side for side in (self.old, self.new) if side is not None]
        wanted = {upper for side in sides for _, upper, _ in side.wanted.names}
        return tuple(name for name in DATES if name in wanted)

    @property
    def since(self) -> str | None:
        """A time before which nothing changed; None: there is none."""
        starts = [each.since for each in self.types]
        return None if None in starts else min(filter(None, starts), default=None)


def of_instrument(old: Chooser, new: Chooser, name: str, load: Load) -> InstrumentChange:
    """Compare the rules of one instrument, by content.

    Raises
    ------
    MappingError, MissingMappingError, ContextError
        Some of them are not usable.
    """
    before, after = (
        chooser.instrument(name) if name in changes.imaps(chooser.root) else None for chooser in (old, new)
    )
    reftypes = sorted({*(before.types if before else ()), *(after.types if after else ())})
    found = (_of_type(reftype, before, after, load) for reftype in reftypes)
    return InstrumentChange(name, before, after, tuple(each for each in found if each is not None))


def _of_type(
    reftype: str, before: Instrument | None, after: Instrument | None, load: Load
) -> TypeChange | None:
    old = before.types.get(reftype) if before else None
    new = after.types.get(reftype) if after else None
    if not (isinstance(old, Rmap) and isinstance(new, Rmap)):
        # A type that is left out, and one that the context does not have, come to the same.
        is_same = (old or NoFile.OMITTED) is (new or NoFile.OMITTED)
        return None if is_same else TypeChange(reftype, old, new)
    # A condition may look at what only another type asks for: the same rules can then decide otherwise.
    is_seen_alike = _inputs(old, before) == _inputs(new, after)
    if old.name == new.name:
        return None if is_seen_alike else TypeChange(reftype, old, new)
    read = load(old.name), load(new.name)
    headers = [_deciding(each.header) for each in read]
    if is_seen_alike and headers[0] == headers[1] and read[0].selector == read[1].selector:
        return None
    leaves = [dict(_leaves(each.selector, ())) for each in read]
    is_header_changed = headers[0] != headers[1]
    counts = _counts(*leaves, is_header_changed=is_header_changed)
    since = None if is_header_changed or not is_seen_alike else _since(old, new, *leaves)
    return TypeChange(reftype, old, new, counts, since)


def _inputs(rmap: Rmap, instrument: Instrument | None) -> set[str]:
    known = (
        {name for _, upper, plain in instrument.wanted.names for name in (upper, plain)} if instrument else ()
    )
    return set(rmap.inputs).intersection(known)


def _deciding(header: Mapping[str, Value]) -> dict[str, Value]:
    return {key: value for key, value in header.items() if key not in _SAYS_NOTHING}


def _leaves(node: Node, path: tuple[Key, ...]) -> Iterator[tuple[tuple[Key, ...], Node]]:
    """List where each name stands in a tree of selectors."""
    if isinstance(node, mapping.Selector | Table):
        for key, child in node.items:
            yield from _leaves(child, (*path, key))
    else:
        yield path, node


Leaves: TypeAlias = Mapping[tuple[Key, ...], Node]


def _counts(old: Leaves, new: Leaves, *, is_header_changed: bool) -> Counts:
    found = Counter(
        "added" if path not in old else "deleted" if path not in new else "replaced"
        for path in {**old, **new}
        if old.get(path) != new.get(path)
    )
    return Counts(found["added"], found["deleted"], found["replaced"], is_header_changed)


def _since(old: Rmap, new: Rmap, before: Leaves, after: Leaves) -> str | None:
    """Find the earliest start that changed, where answers depend on time by the starts of rows alone."""
    one, other = _by_starts(old), _by_starts(new)
    if one is None or other is None or old.levels != new.levels:
        return None
    starts = [str(path[-1]) for path in {**before, **after} if before.get(path) != after.get(path)]
    is_ordered = all(times.parse(start[:_DAY]) for start in starts)  # as text, day by day
    is_alike = all(map(_refuse_alike, one.columns, other.columns))
    return min(starts) if starts and is_ordered and is_alike else None


def _by_starts(rmap: Rmap) -> Match | None:
    """Give the rows of rules by which the day of a data set matters through starts alone."""
    match, is_by_day = rmap.selector, rmap.time_parkeys[:1] in [(name,) for name in DATES]
    if not is_by_day or rmap.has_hooks or rmap.classes != _STARTS_ONLY or not isinstance(match, Match):
        return None
    return match if match.may_merge and all(isinstance(row, UseAfter) for row in match.children) else None


def _refuse_alike(one: Column, other: Column) -> bool:
    """Tell whether a value that only one side knows fits just rows that the other does not have.

    Else a row that is late makes it known, and with that an earlier row, which fits it too, is found.
    """
    if one.known == other.known or (NOT_APPLICABLE in one.known and NOT_APPLICABLE in other.known):
        return True
    return all(map(elements.is_literal, (*one.known, *other.known)))


def _name(rules: Rules) -> str:
    match rules:
        case Rmap():
            return rules.name
        case NoFile():
            return rules.value
    return "none"
