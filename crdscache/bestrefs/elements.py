"""One element of a Match key: whether a value of the header fits it.

Source: docs/protocol.md, "Elements of Match keys".
"""

import fnmatch
import operator
import re
import warnings
from collections.abc import Callable

from crdscache.bestrefs.conditioning import ANY, NOT_APPLICABLE, condition
from crdscache.contexts.mapping import Key

FITS = 1
DOES_NOT_MATTER = 0
DIFFERS = -1

_MAX_DEPTH = 20  # of negations and combinations in one another; real rules have none in another

Judge = Callable[[str], int]

_INEQUALITY = re.compile(
    r"(?P<relation>[<>]=?)\s*(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:E[+-]?\d+)?)", re.ASCII
)
_RELATIONS = {">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le}
_WILD = re.compile(r"[*?\[]")


class ElementError(ValueError):
    """An element makes no sense: the rmap that has it is not usable."""


def is_esoteric(text: str) -> bool:
    """Tell whether an element is a rule rather than a value: then its column takes any value."""
    text = text.upper()
    return text.startswith(("BETWEEN", "NOT")) or (
        text[:1] in {"{", "(", "#"} and text[-1:] in {"}", ")", "#"}
    )


def normal(raw: Key) -> str:
    """Write an element as it is compared, from what stands in the rmap."""
    if isinstance(raw, tuple):
        return "|".join(map(condition, raw))
    if not isinstance(raw, str):
        return condition(raw)
    if (raw.startswith("{") and raw.endswith("}")) or (raw.startswith("(") and raw.endswith(")")):
        return raw
    if "|" in raw and not is_esoteric(raw):
        parts = (part.strip() for part in raw.split("|"))
        return "|".join(condition(part) for part in sorted(filter(None, parts)))
    return condition(raw)


def pieces(element: str) -> list[str]:
    """List the values that an element stands for; of a rule, itself."""
    return [element] if is_esoteric(element) else element.split("|")


def is_literal(piece: str) -> bool:
    """Tell whether nothing but itself, and what stands for anything, fits a piece."""
    return piece != NOT_APPLICABLE and piece[:1] not in {"<", ">"} and not _WILD.search(piece)


def judge(element: str, depth: int = 0) -> Judge:
    """Make the test that an element is; it gives FITS, DOES_NOT_MATTER or DIFFERS for a value.

    Raises
    ------
    ElementError
        A number in it cannot be read, an interval is upside down, or it is nested too deeply.
    """
    if depth > _MAX_DEPTH:
        raise ElementError(f"{element:.80}: nested deeper than {_MAX_DEPTH}")
    if element.startswith("NOT "):
        return _negation(judge(element[4:].strip(), depth + 1))
    if element == NOT_APPLICABLE:
        return lambda _value: DOES_NOT_MATTER
    if element[:1] == element[-1:] == "#" and not _is_combination(element):
        return judge(element.upper()[1:-1], depth + 1)
    own, fits = _test(element, depth)

    def verdict(value: str) -> int:
        if value in {own, ANY}:
            return FITS
        if value == NOT_APPLICABLE:
            return DOES_NOT_MATTER
        return FITS if fits(value) else DIFFERS

    return verdict


def _negation(inner: Judge) -> Judge:
    return lambda value: -inner(value)


def _test(element: str, depth: int) -> tuple[str | None, Callable[[str], bool]]:  # noqa: PLR0911 (a kind each)
    """Give the value that always fits an element, and the test for all others."""
    first, last = element[:1], element[-1:]
    if first == "(" and last == ")":
        return element[1:-1], _pattern(element[1:-1])
    if first == "{" and last == "}":
        return element[1:-1], lambda _value: False
    if first == "#" and last == "#":
        return element.upper(), _combination(element.upper()[1:-1], depth + 1)
    if element.startswith("BETWEEN"):
        return _interval(element)
    if "|" in element or "*" in element:
        return None, _any_of(element.split("|"))
    if first in {"<", ">"}:
        return element, _inequality(element)
    return element, lambda _value: False


def _pattern(text: str) -> Callable[[str], bool]:
    try:
        with warnings.catch_warnings(action="ignore"):  # of sets that a later Python may read otherwise
            compiled = re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise ElementError(f"({text:.80}) is no regular expression: {error}") from error
    return lambda value: compiled.match(value) is not None


def _is_combination(element: str) -> bool:
    return any(f" {word} " in element.upper() for word in ("AND", "OR"))


def _combination(inside: str, depth: int) -> Callable[[str], bool]:
    word, holds = ("AND", all) if " AND " in inside else ("OR", any)
    # Of more than two parts the client drops the rest.
    parts = [judge(part.strip(), depth) for part in inside.split(word)[:2]]
    return lambda value: holds(part(value.upper()) == FITS for part in parts)


def _interval(element: str) -> tuple[str, Callable[[str], bool]]:
    """Give also the text that the client makes of it."""
    try:
        _, low_text, high_text = element.split()
        low, high = float(low_text), float(high_text)
    except ValueError as error:
        raise ElementError(f"{element:.80}: expected BETWEEN and two numbers") from error
    if low > high:
        raise ElementError(f"{element:.80}: the first number is the larger one")

    def is_inside(value: str) -> bool:
        number = _number(value)
        return number is not None and low <= number < high

    return f">={low_text} AND <{high_text}", is_inside


def _any_of(parts: list[str]) -> Callable[[str], bool]:
    values = frozenset(part for part in parts if not _WILD.search(part))
    patterns = [re.compile(fnmatch.translate(part)) for part in parts if _WILD.search(part)]
    return lambda value: value in values or any(pattern.match(value) for pattern in patterns)


def _inequality(element: str) -> Callable[[str], bool]:
    found = _INEQUALITY.match(element)
    if found is None:
        raise ElementError(f"{element:.80}: expected a number after the relation")
    relation, bound = _RELATIONS[found["relation"]], float(found["number"])

    def holds(value: str) -> bool:
        number = _number(value)
        return number is not None and relation(number, bound)

    return holds


def _number(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None
