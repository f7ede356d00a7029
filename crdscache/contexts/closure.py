"""What a context reaches: mappings by name, and the references that they name."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from crdscache.contexts import names
from crdscache.contexts.mapping import Level, Mapping, Node
from crdscache.contexts.records import Problem
from crdscache.errors import MappingError, MissingMappingError, UnsafeNameError

MAX_MAPPINGS = 100_000
# Of a longer path, only so many names at each end are told.
_PATH_ENDS = 4


@dataclass(frozen=True, slots=True)
class Links:
    """What one mapping names: mappings in a pmap or imap, references in an rmap."""

    level: Level
    observatory: str
    instrument: str
    reftype: str
    names: tuple[str, ...]  # safe, in the order of the file, each once
    refused: tuple[Problem, ...] = ()


# Raises MappingError for a mapping that cannot be read, MissingMappingError for one that cannot be had.
Load = Callable[[str], Links]


@dataclass(frozen=True, slots=True)
class Closure:
    """All mappings that a context needs, itself included."""

    context: str
    mappings: tuple[str, ...]  # sorted; also those that are missing or cannot be read
    rmaps: tuple[str, ...]  # sorted; those that were read
    problems: tuple[Problem, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Tell whether every mapping is here and can be read."""
        return not self.problems


@dataclass(frozen=True, slots=True)
class ReferenceUse:
    """A reference that a mapping names, and where it belongs."""

    name: str
    instrument: str
    reftype: str
    is_doubtful: bool = False  # its name does not tell the instrument: the first rmap that names it did


def links_of(mapping: Mapping) -> Links:
    """Collect what a mapping names; values that stand for no file are left out."""
    leaves: dict[str, None] = {}
    _collect(mapping.selector, leaves)
    level = mapping.level
    named, refused = [], []
    for leaf in leaves:
        if names.is_special(leaf):
            continue
        try:
            name = names.require_safe(leaf)
        except UnsafeNameError as error:
            refused.append(Problem(names.printable(leaf), str(error)))
            continue
        if names.is_mapping(name) is (level is Level.RMAP):
            refused.append(Problem(name, f"a mapping of kind {level.value} may not name it"))
        else:
            named.append(name)
    return Links(
        level, mapping.observatory, mapping.instrument, mapping.reftype, tuple(named), tuple(refused)
    )


def _collect(node: Node, leaves: dict[str, None]) -> None:
    if isinstance(node, str):
        leaves[node] = None
    elif isinstance(node, tuple):
        for each in node:
            _collect(each, leaves)
    else:
        for _, each in node.items:
            _collect(each, leaves)


def walk(context: str, load: Load) -> Closure:
    """Follow names from a context (or from any mapping) to the rmaps.

    What cannot be followed is a problem, told with the path of names that leads to it; the rest is followed
    all the same. `load` is asked once for each mapping; where it remembers, more contexts cost little.
    """
    walker = _Walker(load)
    walker.enter(context)
    while walker.trail:
        walker.step()
    return Closure(context, tuple(sorted(walker.seen)), tuple(sorted(walker.rmaps)), tuple(walker.problems))


class _Walker:
    """Depth first without recursion, since a chain of mappings may be longer than Python's stack."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.seen: set[str] = set()
        self.rmaps: list[str] = []
        self.problems: list[Problem] = []
        self.trail: dict[
            str, Iterator[str]
        ] = {}  # the mappings from the context to here, with what is left of each

    def step(self) -> None:
        """Go on with the next name of the mapping at the end of the trail."""
        name = next(iter(self.trail[next(reversed(self.trail))]), None)
        if name is None:
            self.trail.popitem()
        elif name in self.trail:
            self.tell(name, name, "it names itself in a circle")
        elif name not in self.seen:
            self.enter(name)

    def enter(self, name: str) -> None:
        """Load a mapping and put it at the end of the trail."""
        if len(self.seen) >= MAX_MAPPINGS:
            self.tell(name, name, f"more than {MAX_MAPPINGS} mappings")
            self.trail.clear()
            return
        self.seen.add(name)
        try:
            links = self.load(name)
        except (MappingError, MissingMappingError) as error:
            self.tell(name, name, str(error))
            return
        if links.level is Level.RMAP:
            self.rmaps.append(name)
        for problem in links.refused:
            self.tell(problem.name, name, problem.reason)
        self.trail[name] = iter(() if links.level is Level.RMAP else links.names)

    def tell(self, culprit: str, last: str, reason: str) -> None:
        """Write down a problem with the path from the context to the mapping `last`."""
        path = [*self.trail, last]
        if len(path) > 2 * _PATH_ENDS:
            path[_PATH_ENDS:-_PATH_ENDS] = [f"({len(path) - 2 * _PATH_ENDS} more)"]
        self.problems.append(Problem(culprit, f"{reason} (path: {' > '.join(path)})"))


def named(rmap: str, load: Load) -> set[str]:
    """Name the references that one rmap names, with the data halves of GEIS pairs."""
    found = set(load(rmap).names)
    return found | {half for half in map(names.geis_data, found) if half is not None}


def references(rmaps: Iterable[str], load: Load) -> dict[str, ReferenceUse]:
    """Collect the references that rmaps name, with the data halves of GEIS pairs, sorted by name.

    The first rmap by name decides where a reference belongs, unless its own name tells the instrument.
    """
    uses: dict[str, ReferenceUse] = {}
    for rmap in sorted(set(rmaps)):
        links = load(rmap)
        for name in links.names:
            if name in uses:
                continue
            told = names.instrument_of(name, links.observatory)
            for half in (name, names.geis_data(name)):
                if half is not None:
                    part = (told or links.instrument, links.reftype)
                    uses[half] = ReferenceUse(half, *part, is_doubtful=told is None)
    return dict(sorted(uses.items()))
