"""Why a reference was chosen: the row that decided, and the next best one with what speaks against it."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from crdscache.bestrefs import answers, elements, parameters
from crdscache.bestrefs.answers import SOFT, Failure, Json
from crdscache.bestrefs.choose import Chooser
from crdscache.bestrefs.conditioning import NOT_APPLICABLE
from crdscache.bestrefs.hooks import HookError
from crdscache.bestrefs.matching import Match
from crdscache.bestrefs.rmaps import Rmap
from crdscache.bestrefs.selectors import Child, Header, Selector, UseAfter

_SHORT = 32
_ALWAYS = "True"
_VERDICTS = {elements.FITS: "fits", elements.DOES_NOT_MATTER: "does not matter", elements.DIFFERS: "differs"}


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a row against the value of the header."""

    parkey: str
    rule: str
    value: str
    verdict: str

    def short_rule(self) -> str:
        """Give the rule; of a long list the part that matters, and how many there are."""
        pieces = self.rule.split("|")
        if len(self.rule) <= _SHORT or len(pieces) == 1:
            return self.rule
        shown = self.value if self.value in pieces else pieces[0]
        return f"{shown}|... ({len(pieces)} values)"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a Match."""

    weight: int  # elements that fit
    elements: tuple[Element, ...]
    leads_to: str

    @property
    def rule(self) -> tuple[str, ...]:
        """The whole key, as `Match.keys` has it."""
        return tuple(each.rule for each in self.elements)

    @property
    def n_differing(self) -> int:
        """How many elements rule the row out."""
        return sum(each.verdict == _VERDICTS[elements.DIFFERS] for each in self.elements)

    def key(self) -> str:
        """Give the key in one line, and where it leads."""
        return f"({', '.join(each.short_rule() for each in self.elements)}): {self.leads_to}"

    def why_not(self) -> str:
        """Say what speaks against the row."""
        differing = [each.parkey for each in self.elements if each.verdict == _VERDICTS[elements.DIFFERS]]
        return f"{', '.join(differing)} differs" if differing else f"its weight is only {self.weight}"

    def table(self) -> Iterator[str]:
        """Give a line for each element, in columns."""
        cells = [(each.parkey, each.value, each.short_rule(), each.verdict) for each in self.elements]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for line in cells:
            padded = (f"{cell:{width}}" for cell, width in zip(line, widths, strict=True))
            yield "    " + "  ".join(padded).rstrip()


@dataclass(frozen=True, slots=True)
class Explanation:
    """How the answer for one type came about."""

    reftype: str
    rmap: str  # "" where the imap decides
    answer: Json | None  # None: the type is omitted
    steps: tuple[str, ...]  # what happened, in order
    decided_by: tuple[Row, ...] = ()  # several of equal weight are one
    next_best: Row | None = None

    def to_json(self) -> dict[str, object]:
        """Give it as data."""
        return asdict(self)

    def lines(self) -> Iterator[str]:
        """Give it for a terminal."""
        yield f"{self.reftype}: {'omitted' if self.answer is None else self.answer}"
        yield from (f"  {step}" for step in self.steps)
        for row in self.decided_by:
            yield f"  decided by a row of weight {row.weight}: {row.leads_to}"
            yield from row.table()
        if self.next_best is not None:
            yield f"  not by the next best, since {self.next_best.why_not()}: {self.next_best.leads_to}"
            yield from self.next_best.table()


def explain(chooser: Chooser, header: parameters.Header, reftype: str) -> Explanation:
    """Explain the answer for one type; raises as `Chooser.choose`."""
    rules, values = chooser.prepare(header)
    reftype = reftype.lower()
    told = answers.to_json({reftype: rules.choose(reftype, values)}).get(reftype)
    rmap = rules.types.get(reftype)
    if not isinstance(rmap, Rmap):
        says = f"{rules.imap} has no such type" if rmap is None else f"{rules.imap} says {rmap.value}"
        return Explanation(reftype, "", told, (says,))
    found = Walk(rmap)
    found.walk(values)
    return Explanation(reftype, rmap.name, told, tuple(found.steps), found.decided_by, found.next_best())


class Walk:
    """Goes the way of a look-up once more, and writes down what happens."""

    def __init__(self, rmap: Rmap) -> None:
        self._rmap = rmap
        self.steps = [f"rules: {rmap.name}"]
        self.decided_by: tuple[Row, ...] = ()
        self._rest: tuple[Match, Header, int | None] | None = None  # where the next best row is found

    def walk(self, values: Header) -> None:
        """Follow the steps of `Rmap.choose`."""
        rmap = self._rmap
        if rmap.omit is not None and rmap.is_omitted(values):
            self.steps.append(f"omitted, since {rmap.omit.text}")
            return
        if rmap.relevance is not None and rmap.relevance.text != _ALWAYS:
            is_relevant = rmap.is_relevant(values)
            self.steps.append(f"{'relevant' if is_relevant else 'not relevant'} by {rmap.relevance.text}")
            if not is_relevant:
                return
        try:
            before = rmap.hooks.precondition(values) if rmap.hooks.precondition else values
        except HookError as error:
            self.steps.append(f"the header cannot be made ready: {error}")
            return
        self._tell_changes(values, before)
        if not self._try(before, rmap.with_relevant_parkeys(before)) and rmap.hooks.fallback:
            try:
                changed = rmap.fallback(values)
            except HookError as error:
                self.steps.append(f"the header cannot be made ready to try again: {error}")
                return
            self.steps.append("once more, with the parameters that stand in for those")
            if changed is not None:
                self._try(values, changed)

    def _try(self, before: Header, header: Header | Failure) -> bool:
        """Follow one look-up, and tell whether it found something."""
        if isinstance(header, Failure):
            self.steps.append(header.reason.strip())
            return False
        self._tell_changes(before, header)
        selector = self._rmap.selector
        if isinstance(selector, Match):
            self._tell_rows(selector, header)
        else:
            self.steps.append(_outcome(selector, header))
        result = self._rmap.look_up(header)
        if isinstance(result, Failure):
            self.steps.append(f"failed: {result.reason.strip()}")
        return not isinstance(result, Failure)

    def _tell_changes(self, before: Header, after: Header) -> None:
        for name in self._rmap.names:
            old, new = before.get(name), after.get(name)
            if old != new:
                self.steps.append(f"{name} counts as {new}, not {old}")

    def _tell_rows(self, match: Match, header: Header) -> None:
        groups = match.candidates(header)
        if isinstance(groups, Failure):
            return
        for number, group in enumerate(groups):
            child = match.child_of(group)
            result = child.look_up(header) if isinstance(child, Selector) else child
            rows = tuple(_row(match, row, header) for row in group.rows)
            if isinstance(result, Failure) and result.cause in SOFT:
                self.steps.append(f"of weight {group.weight}, tried without success: {rows[0].key()}")
                continue
            self.decided_by = tuple(row for row in rows if row.leads_to.startswith(str(result))) or rows
            if len(rows) > len(self.decided_by):
                self.steps.append(
                    f"{len(rows)} rows of equal weight count as one; of one start the last name wins"
                )
            following = groups[number + 1 : number + 2]
            self._rest = match, header, following[0].rows[0] if following else None
            return
        self._rest = match, header, None

    def next_best(self) -> Row | None:
        """Find the row that would have come next, else the one that fails by the least."""
        if self._rest is None:
            return None
        match, header, row = self._rest
        return _nearest(match, header) if row is None else _row(match, row, header)


def _nearest(match: Match, header: Header) -> Row | None:
    """Find the row that fails by the fewest elements."""
    rows = [_row(match, number, header) for number in range(len(match.keys))]
    differing = [row for row in rows if row.n_differing]
    return min(differing, key=lambda row: (row.n_differing, -row.weight), default=None)


def _row(match: Match, number: int, header: Header) -> Row:
    found = tuple(
        Element(column.parkey, column.rows[number], value, _VERDICTS[column.verdict(number, value)])
        for column in match.columns
        for value in [header.get(column.parkey, NOT_APPLICABLE)]
    )
    weight = sum(element.verdict == _VERDICTS[elements.FITS] for element in found)
    return Row(weight, found, _outcome(match.children[number], header))


def _outcome(child: Child, header: Header) -> str:
    """Tell in a line what a child of a selector leads to."""
    if not isinstance(child, Selector):
        return child if isinstance(child, str) else str(child.value)
    result = child.look_up(header)
    if isinstance(result, Failure):
        return result.reason.strip()
    name = result if isinstance(result, str) else str(result.value)
    if not isinstance(child, UseAfter):
        return name
    number = child.children.index(name) if name in child.children else None
    return name if number is None else in_use(name, child.keys[number])


def in_use(name: object, start: str) -> str:
    """Say from when on a row of starts leads to a name."""
    return f"{name}, in use from {start}"
