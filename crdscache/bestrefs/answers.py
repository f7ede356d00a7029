"""What the engine answers for one type, and how an answer is written down.

Source: docs/protocol.md, "Answers".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias, Union

UNDEFINED = "UNDEFINED"  # the value of a parameter that a header does not have

_NOT_FOUND = "NOT FOUND "
_NOT_APPLICABLE = frozenset({"N/A", "TEMP_N/A", "n/a", "temp_n/a"})
_OMITTED = frozenset({"OMIT", "TEMP_OMIT", "omit"})

Json: TypeAlias = Union[str, list["Json"], dict[str, "Json"]]  # noqa: UP007 (it names itself)


class NoFile(Enum):
    """Why the answer for a type is not a reference, though nothing failed."""

    NOT_APPLICABLE = "N/A"  # the type has no meaning for this exposure
    OMITTED = "OMIT"  # the type must be left out of the result


class Cause(Enum):
    """Why a look-up failed."""

    NO_MATCH = "no row fits"
    TOO_LOW = "no date or version is low enough"
    CHILD_FAILED = "the row that was chosen leads nowhere"
    BAD_VALUE = "a value of the header is not usable"
    BAD_RULES = "the rules are ambiguous or damaged"
    UNKNOWN_TYPE = "the instrument has no such type"


# After these a look-up goes on with the next best rows; any other ends it.
SOFT = frozenset({Cause.NO_MATCH, Cause.TOO_LOW, Cause.CHILD_FAILED})


@dataclass(frozen=True, slots=True)
class Failure:
    """No answer."""

    cause: Cause
    reason: str  # in the words of the missions' client, but for what its Python adds


@dataclass(frozen=True, slots=True)
class Compound:
    """Several names at once: what rows of equal weight, and a selector between two keys, give."""

    value: Json


Answer: TypeAlias = str | NoFile | Failure | Compound


def special(leaf: str) -> str | NoFile:
    """Read a leaf of the rules: most name a file, some say that there is none; letter case counts."""
    if leaf in _NOT_APPLICABLE:
        return NoFile.NOT_APPLICABLE
    return NoFile.OMITTED if leaf in _OMITTED else leaf


def to_json(bestrefs: Mapping[str, Answer]) -> dict[str, Json]:
    """Write answers in the forms that programs around the missions' client know; omitted types are absent."""
    return {reftype: _written(answer) for reftype, answer in bestrefs.items() if answer is not NoFile.OMITTED}


def _written(answer: Answer) -> Json:
    match answer:
        case Failure(reason=reason):
            return _NOT_FOUND + reason
        case Compound(value=value):
            return value
        case NoFile():
            return f"{_NOT_FOUND}n/a"
    return answer
