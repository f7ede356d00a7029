"""Which row of the rules made the difference for a data set."""

from collections.abc import Mapping
from typing import TypeAlias

from crdscache.affected.difference import Rules, TypeChange
from crdscache.bestrefs import explain
from crdscache.bestrefs.answers import NoFile
from crdscache.bestrefs.explain import Row, Walk
from crdscache.bestrefs.matching import Match
from crdscache.bestrefs.rmaps import Rmap
from crdscache.bestrefs.selectors import UseAfter

Values: TypeAlias = Mapping[str, str]


def rule(change: TypeChange, old: Values, new: Values) -> str:
    """Name the row that is new or no longer there; else say what decides now.

    Parameters
    ----------
    old, new
        What each side looks at of a data set.
    """
    now, how = _decided(change.new, new)
    if now is not None and not _has(change.old, now):
        return f"new: {now.key()}"
    before, _ = _decided(change.old, old)
    if before is not None and not _has(change.new, before):
        return f"no longer: {before.key()}"
    return f"now: {now.key() if now is not None else how}"


def _decided(rules: Rules, values: Values) -> tuple[Row | None, str]:
    """Give the row that decides, and the last thing that happened on the way there."""
    if not isinstance(rules, Rmap):
        return None, f"imap: {rules.value}" if isinstance(rules, NoFile) else "no such type"
    walk = Walk(rules)
    walk.walk(values)
    return (walk.decided_by[-1] if walk.decided_by else None), walk.steps[-1]


def _has(rules: Rules, row: Row) -> bool:
    """Tell whether rules have a row that can lead to the same."""
    if not isinstance(rules, Rmap) or not isinstance(rules.selector, Match):
        return False
    child = rules.selector.child_at(row.rule)
    if not isinstance(child, UseAfter):
        return child == row.leads_to
    return any(
        explain.in_use(name, start) == row.leads_to
        for start, name in zip(child.keys, child.children, strict=True)
    )
