"""What differs between the references that a data set had and those that it should have.

Source: docs/protocol.md, "Comparison of best references".
"""

from collections.abc import Mapping
from dataclasses import dataclass

from crdscache.assignment import keywords
from crdscache.assignment.assign import NO_NAMES, Assignment
from crdscache.bestrefs.answers import Answer, NoFile
from crdscache.bestrefs.matching import NO_MATCH
from crdscache.bestrefs.parameters import Header

NONE = "n/a"
FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Change:
    """One type for which a data set should have another reference; names are in lower case."""

    reftype: str
    old: str
    new: str


def outcomes(assignment: Assignment) -> dict[str, str]:
    """Tell for each type the name, that there is none, or that the look-up failed."""
    found = {reftype: reference.lower() for reftype, reference in assignment.references.items()}
    return found | dict.fromkeys((problem.name for problem in assignment.failures), FAILED)


def chosen(bestrefs: Mapping[str, Answer]) -> dict[str, str]:
    """Tell the same of rules alone: what they chose was the reference, though it may be rejected by now."""
    return {reftype: _chosen(answer) for reftype, answer in bestrefs.items()}


def _chosen(answer: Answer) -> str:
    if isinstance(answer, str):
        return NONE if answer.upper() in NO_NAMES else answer.lower()
    return NONE if isinstance(answer, NoFile) or answer == NO_MATCH else FAILED


def recorded(header: Header, assignment: Assignment, observatory: str) -> dict[str, str]:
    """Tell what a header names for the types that were looked up."""
    return {reftype: keywords.recorded(observatory, reftype, header) for reftype in outcomes(assignment)}


def changes(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[Change, ...]:
    """List what changed, by type; a type that one of them does not have has no reference there.

    A new look-up that failed is no change but an error, and hides no other type.
    """
    pairs = {reftype: (old.get(reftype, NONE), new.get(reftype, NONE)) for reftype in sorted({*old, *new})}
    return tuple(
        Change(reftype, before, after)
        for reftype, (before, after) in pairs.items()
        if before != after != FAILED
    )
