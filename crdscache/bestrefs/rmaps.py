"""The rules of one type, made ready to be asked; one data set at a time, step by step.

Source: docs/protocol.md, "One type, step by step".
"""

import logging
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from crdscache.bestrefs import elements, hooks, parameters, selectors
from crdscache.bestrefs.answers import Answer, Cause, Compound, Failure, Json, NoFile, special
from crdscache.bestrefs.conditioning import NOT_APPLICABLE, condition
from crdscache.bestrefs.elements import ElementError
from crdscache.bestrefs.expressions import Expression, ExpressionError, plain
from crdscache.bestrefs.hooks import HookError, Hooks
from crdscache.bestrefs.matching import Match
from crdscache.bestrefs.parameters import Wanted
from crdscache.bestrefs.selectors import ByKey, Child, Header, Result, RulesError, Selector, UseAfter
from crdscache.contexts import mapping
from crdscache.contexts.mapping import Key, Node, SelectorClass, Table, Value
from crdscache.errors import MappingError

logger = logging.getLogger(__name__)

_BY_KEY: Mapping[SelectorClass, tuple[type[ByKey], Callable[[Key], str]]] = {
    SelectorClass.USE_AFTER: (selectors.UseAfter, str),
    SelectorClass.VERSION_AFTER: (
        selectors.VersionAfter,
        lambda key: ".".join(map(str, selectors.version(str(key)))),
    ),
    SelectorClass.SELECT_VERSION: (selectors.SelectVersion, str),
    SelectorClass.CLOSEST_TIME: (selectors.ClosestTime, str),
    SelectorClass.GEOMETRICALLY_NEAREST: (selectors.GeometricallyNearest, condition),
    SelectorClass.BRACKET: (selectors.Bracket, repr),  # text keys keep their quotes: they are no numbers
}
Form = TypeVar("Form", bound=Hashable)

_GENERIC = {"GENERIC": "N/A"}
_BUILT_IN_SUBSTITUTIONS = {"SUBARRAY": _GENERIC, "META.SUBARRAY.NAME": _GENERIC}
_NOT_REPROCESSED_BY = ("DETECTOR", "CCDGAIN")
_NOT_REPROCESSED_GAINS = {0.5, 1.4}


class Rmap:
    """The rules of one type of references.

    Parameters
    ----------
    read
        The file, parsed.

    Raises
    ------
    MappingError
        The rules make no sense.
    """

    def __init__(self, read: mapping.Mapping) -> None:
        self.name, self.reftype, self.observatory = read.name, read.reftype, read.observatory
        self.names = parameters.own_names(read)
        self.levels = parameters.levels(read)
        self._wanted = Wanted.of(self.names)
        header = read.header
        try:
            self.omit = self._expression(header.get("rmap_omit"))
            self.relevance = self._relevance(header.get("rmap_relevance"))
            self.parkey_relevance = self._parkey_relevance(header.get("parkey_relevance"))
            builder = _Builder(self.levels, header)
            self.selector = builder.build(read.selector, 0)
        except (ExpressionError, ElementError, RulesError) as error:
            raise MappingError(read.name, str(error)) from error
        self.comment_parkeys = parameters.texts(header.get("comment_parkeys"))
        # Any word but these two means that a type may be without a reference.
        required = header.get("reffile_required", "none")
        self.is_required = not isinstance(required, str) or required.upper() in {"YES", "NONE"}
        self.hooks = hooks.of(header, read.instrument, read.reftype)
        # What follows is for many data sets at a time.
        self.classes = builder.classes  # of selectors, at each level
        self.time_parkeys = self._time_parkeys(builder.classes)
        self.all_starts = builder.starts | hooks.THRESHOLDS
        self.inputs = self._inputs()

    def _expression(self, value: Value) -> Expression | None:
        if not isinstance(value, str):
            return None
        return Expression(_as_read(value), self.names)

    def _relevance(self, value: Value) -> Expression | None:
        if not isinstance(value, str):
            return None
        return Expression(_as_read(value).replace("always", "True"), self.names)

    def _parkey_relevance(self, value: Value) -> tuple[tuple[str, Expression], ...]:
        table = value if isinstance(value, dict) else {}
        texts = {
            key.lower(): text for key, text in table.items() if isinstance(key, str) and isinstance(text, str)
        }
        conditions = {key: Expression(text, self.names) for key, text in texts.items()}
        return tuple((name, conditions[name.lower()]) for name in self.names if name.lower() in conditions)

    def _time_parkeys(self, classes: Sequence[set[SelectorClass]]) -> tuple[str, ...]:
        """Find the parameters on which answers depend by the starts of UseAfter alone."""
        timed = {
            level
            for level, found in zip(self.levels, classes, strict=False)
            if SelectorClass.USE_AFTER in found
        }
        others = {
            name
            for level, found in zip(self.levels, classes, strict=False)
            for name in level
            if found != {SelectorClass.USE_AFTER}
        }
        names = next(iter(timed)) if len(timed) == 1 else ()
        # These can make a time unreadable.
        others |= {*self.comment_parkeys, *(name for name, _ in self.parkey_relevance)}
        conditional = {name for condition in self._conditions() for name in condition.names}
        is_alone = others.isdisjoint(names) and conditional.isdisjoint(map(plain, names))
        by_hooks = not self.has_hooks or names == hooks.TIME_PARKEYS
        return names if is_alone and by_hooks and set(names) <= set(self.names) else ()

    @property
    def has_hooks(self) -> bool:
        """Whether headers are changed by code of ours."""
        return self.hooks != Hooks()

    def _conditions(self) -> list[Expression]:
        conditions = (self.omit, self.relevance, *(condition for _, condition in self.parkey_relevance))
        return [condition for condition in conditions if condition is not None]

    def _inputs(self) -> frozenset[str]:
        """Collect the parameters that an answer may depend on; a condition may use those of other types."""
        conditional = {name for condition in self._conditions() for name in condition.names}
        return frozenset(self.names).union(
            conditional, _NOT_REPROCESSED_BY, hooks.INPUTS if self.has_hooks else ()
        )

    def tried(self, header: Header) -> tuple[UseAfter, ...]:
        """List the tables of starts and names that are tried first, in turn, whatever the time in the header.

        What follows where none of them has a start that early enough is not told; it may be more of them.
        """
        if self.has_hooks or not self._is_asked(header):
            return ()
        relevant = self.with_relevant_parkeys(header)
        if isinstance(relevant, Failure) or not isinstance(self.selector, Selector):
            return ()
        return tuple(_tables(self.selector.tried(relevant)))

    def starts(self, header: dict[str, str]) -> frozenset[str]:
        """Collect the starts between which the answer is the same, if only the time of the header changes."""
        if not self._is_asked(header):
            return frozenset()
        if not self.has_hooks:
            return self._starts(self.with_relevant_parkeys(header))
        found = hooks.THRESHOLDS
        for era in hooks.ERAS:
            for look_up in (self._first, self.fallback):
                try:
                    found |= self._starts(look_up(header | era))
                except HookError:
                    continue
        return found

    def _starts(self, header: Header | Failure | None) -> frozenset[str]:
        if header is None or isinstance(header, Failure):
            return frozenset()
        return selectors.starts_of([self.selector], header)

    def choose(self, header: Header) -> Answer:
        """Give the reference for a data set.

        Parameters
        ----------
        header
            The minimum header of the whole instrument: a condition may use what only another type asks for.
        """
        if self.is_omitted(header):
            return NoFile.OMITTED
        if not self.is_relevant(header):
            return NoFile.NOT_APPLICABLE
        try:
            relevant = self._first(header)
            if isinstance(relevant, Failure):
                return relevant
            result = self.look_up(relevant)
            if isinstance(result, Failure):
                return self._after_failure(result, header, relevant)
        except HookError as error:  # an answer, even if the type may be without a reference
            return Failure(Cause.BAD_VALUE, str(error))
        return special(result) if isinstance(result, str) else result

    def _first(self, header: Header) -> Header | Failure:
        """Make a header ready for the first look-up; raises as hooks do."""
        before = self.hooks.precondition(header) if self.hooks.precondition else header
        return self.with_relevant_parkeys(before)

    def _is_asked(self, header: Header) -> bool:
        return self.is_relevant(header) and not self.is_omitted(header)

    def is_omitted(self, header: Header) -> bool:
        """Tell whether the type is to be left out; a condition that fails says no."""
        return self.omit is not None and self._holds(self.omit, header, otherwise=False)

    def is_relevant(self, header: Header) -> bool:
        """Tell whether the type has a meaning for a data set; a condition that fails says yes."""
        return self.relevance is None or self._holds(self.relevance, header, otherwise=True)

    def _holds(self, condition: Expression, header: Header, *, otherwise: bool) -> bool:
        try:
            return condition.is_true(header)
        except ExpressionError as error:
            logger.debug(
                "condition not usable rmap=%s condition=%s reason=%s", self.name, condition.text, error
            )
            return otherwise

    def with_relevant_parkeys(self, header: Header) -> Header | Failure:
        """Set the parameters that have no meaning for a data set to N/A."""
        if not self.parkey_relevance and not self.comment_parkeys:
            return header
        try:
            irrelevant = [name for name, condition in self.parkey_relevance if not condition.is_true(header)]
        except ExpressionError as error:
            return Failure(Cause.BAD_RULES, str(error))
        return {**header, **dict.fromkeys((*irrelevant, *self.comment_parkeys), NOT_APPLICABLE)}

    def look_up(self, header: Header) -> Result:
        """Ask the selectors alone."""
        return self.selector.look_up(header) if isinstance(self.selector, Selector) else self.selector

    def _after_failure(self, failure: Failure, header: Header, relevant: Header) -> Answer:
        if self.observatory == "hst" and _is_never_reprocessed(relevant):
            return NoFile.NOT_APPLICABLE
        changed = self.fallback(header)
        if changed is not None:
            result = changed if isinstance(changed, Failure) else self.look_up(changed)
            if not isinstance(result, Failure):
                return special(result) if isinstance(result, str) else result
            failure = result
        return failure if self.is_required else NoFile.NOT_APPLICABLE

    def fallback(self, header: Header) -> Header | Failure | None:
        """Change a header for which the look-up failed, to try again; None: there is no such rule.

        Raises
        ------
        HookError
            The header cannot be read.
        """
        if self.hooks.fallback is None:
            return None
        return self.with_relevant_parkeys(self._wanted.minimum(self.hooks.fallback(header)))


def _tables(children: Iterable[Child | Failure]) -> Iterator[UseAfter]:
    for child in children:
        if not (isinstance(child, UseAfter) and all(isinstance(leaf, str) for leaf in child.children)):
            return
        yield child


def _as_read(text: str) -> str:
    """Give a text of a header as the missions' client has it: in lower case, unless in parentheses."""
    return text if text.startswith("(") and text.endswith(")") else text.lower()


def _is_never_reprocessed(header: Header) -> bool:
    if header.get("DETECTOR") != "WFC":
        return False
    try:
        return float(header.get("CCDGAIN", "")) in _NOT_REPROCESSED_GAINS
    except ValueError:
        return False


class _Builder:
    """Makes selectors of the tree that a file has."""

    def __init__(self, levels: Sequence[tuple[str, ...]], header: Mapping[str, Value]) -> None:
        self._levels = levels
        self.classes: list[set[SelectorClass]] = [set() for _ in levels]  # that occur at each level
        self.starts: frozenset[str] = frozenset()
        named = header.get("substitutions")
        tables = named if isinstance(named, dict) else {}
        # From elements as they stand in the file: letter case counts.
        self._substitutions: dict[str, dict[str, str]] = _BUILT_IN_SUBSTITUTIONS | {
            parkey: {old: str(new) for old, new in table.items() if isinstance(old, str)}
            for parkey, table in tables.items()
            if isinstance(parkey, str) and isinstance(table, dict)
        }
        merging = header.get("merge_overlaps")
        self._may_merge = merging is None or str(merging).upper() in {"TRUE", "1"}

    def build(self, node: Node, depth: int) -> Child:
        """Make a child of a selector at `depth` - 1."""
        match node:
            case str():
                return node
            case tuple() | Table():
                return Compound(_plain(node))
        if depth >= len(self._levels):
            raise RulesError(f"selectors are nested deeper than the {len(self._levels)} levels of parkey")
        parkeys = self._levels[depth]
        self.classes[depth].add(node.class_name)
        # Of equal keys in the file the last counts, as in Python.
        items = {key: self.build(child, depth + 1) for key, child in dict(node.items).items()}
        if node.class_name is SelectorClass.MATCH:
            rows = self._rows(items, parkeys)
            return Match(parkeys, rows, self._substitutions, may_merge=self._may_merge)
        kind, normal = _BY_KEY[node.class_name]
        by_key = _without_clash((normal(key), child) for key, child in items.items())
        if node.class_name is SelectorClass.USE_AFTER:
            self.starts |= by_key.keys()
        return kind(parkeys, by_key)

    def _rows(self, items: Mapping[Key, Child], parkeys: Sequence[str]) -> dict[tuple[str, ...], Child]:
        plain: list[tuple[tuple[str, ...], Child]] = []
        substituted: list[tuple[tuple[str, ...], Child]] = []
        for key, child in items.items():
            raw = key if isinstance(key, tuple) else (key,)
            if len(raw) != len(parkeys):
                raise RulesError(f"the key {key!r:.200} has {len(raw)} elements for {len(parkeys)} parkeys")
            changed = tuple(
                self._substitutions.get(parkey, {}).get(element, element)
                if isinstance(element, str)
                else element
                for parkey, element in zip(parkeys, raw, strict=True)
            )
            rows = plain if changed == raw else substituted
            rows.append((tuple(map(elements.normal, changed)), child))
        return _without_clash(plain) | _without_clash(substituted)


def _without_clash(pairs: Iterable[tuple[Form, Child]]) -> dict[Form, Child]:
    found: dict[Form, Child] = {}
    for key, child in pairs:
        if key in found:
            raise RulesError(f"Key {key!r:.200} appears more than once")
        found[key] = child
    return found


def _plain(node: Node) -> Json:
    match node:
        case str():
            return node
        case tuple():
            return [_plain(each) for each in node]
        case Table(items=items):
            return {str(key): _plain(each) for key, each in items}
    return f"<Selector {node.class_name.value}>"
