"""What the missions' own client answers, and how answers of ours are compared with it.

A way to choose is asked for all headers of a context at once, so that one data set at a time and many at a
time are held to the same answers.
"""

import gzip
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from crdscache.bestrefs import answers, columns, parameters
from crdscache.bestrefs.answers import Answer
from crdscache.bestrefs.choose import Chooser, Load
from crdscache.contexts import mapping
from crdscache.errors import BestrefsError, CacheError, MappingError, MissingMappingError

ORACLE = Path(__file__).parents[3] / "shared" / "oracle"
FILES = sorted(path.name for path in (ORACLE / "bestrefs").glob("*.jsonl.gz"))

# What the client says where a date or number has no reason of its own is said by its Python.
_PYTHON = re.compile(
    r"(not enough|too many) values to unpack.*|could not convert string to float.*|invalid literal for int.*"
    r"|\w+ (is out of range|must be in).*"
)
_REASON = re.compile(r"exception is .*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Call:
    """How the client was called: by one call and for one context, many headers."""

    context: str
    observatory: str
    ignores_sums: bool
    is_fast: bool | None  # None: not `getrecommendations`, but the library's own look-up
    reftypes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """One header, and the answers to it."""

    line: int
    header: dict[str, Any]
    expected: object  # of each type, in order; or the class of the error that the whole call raised


Choose = Callable[[Chooser, Call, Sequence[Case]], Sequence[Mapping[str, Answer] | CacheError]]


def one_at_a_time(
    chooser: Chooser, call: Call, cases: Sequence[Case]
) -> list[Mapping[str, Answer] | CacheError]:
    """Ask the plain engine."""

    def ask(header: dict[str, Any]) -> Mapping[str, Answer] | CacheError:
        try:
            if call.is_fast is None:
                return chooser.choose(header, call.reftypes)
            return chooser.recommend(header, call.reftypes, is_fast=call.is_fast)
        except CacheError as error:
            return error

    return [ask(case.header) for case in cases]


def many_at_a_time(
    chooser: Chooser, call: Call, cases: Sequence[Case]
) -> list[Mapping[str, Answer] | CacheError]:
    """Ask the engine for whole columns; what only the client's `getrecommendations` does is done before."""
    headers: list[Mapping[str, object]] = [case.header for case in cases]
    if call.is_fast is None:
        return columns.choose(chooser, headers, call.reftypes)
    given = headers if call.is_fast else list(map(parameters.simple, headers))
    headers = [parameters.recommended(header, chooser.observatory) for header in given]
    found = columns.choose(chooser, headers, call.reftypes, str)
    unnamed = BestrefsError("KeyError", "")
    return [
        unnamed
        if call.is_fast is False and isinstance(one, dict) and not parameters.names_instrument(case.header)
        else one
        for case, one in zip(cases, found, strict=True)
    ]


def disagreements(file: str, roots: Sequence[Path], choose: Choose) -> list[str]:
    """List the lines of a file of the oracle for which we answer otherwise; fail if it is empty.

    Parameters
    ----------
    roots : where mappings are, the first counts
    """
    calls, texts = _read(file)
    found = []
    for call, cases in calls.items():
        load = loader(roots, call.observatory, ignores_sums=call.ignores_sums, texts=texts)
        chooser = Chooser(call.context, load)
        for case, answer in zip(cases, choose(chooser, call, cases), strict=True):
            given = _settled(answer)
            if given != case.expected:
                found.append(
                    f"{file}, line {case.line}: {call} {case.header}\n{_difference(case.expected, given)}"
                )
    assert calls
    return found


def _read(file: str) -> tuple[dict[Call, list[Case]], dict[str, bytes]]:
    calls: dict[Call, list[Case]] = {}
    texts = {}
    for number, line in enumerate(_lines(file), start=1):
        if "text" in line:
            texts[line["mapping"]] = line["text"].encode()
        context = line.get("context") or line["mapping"]
        call = Call(
            context=context,
            observatory=line.get("observatory") or re.split(r"[_.]", context)[0],
            ignores_sums=line.get("ignore_checksum", False),
            is_fast=line.get("fast"),
            reftypes=tuple(line.get("reftypes") or ()),
        )
        bestrefs = line["bestrefs"]
        expected = line["error"].partition(":")[0] if bestrefs is None else _settled_texts(bestrefs)
        calls.setdefault(call, []).append(Case(number, line["header"], expected))
    return calls, texts


def _lines(file: str) -> Iterator[dict[str, Any]]:
    with gzip.open(ORACLE / "bestrefs" / file, "rt") as lines:
        yield from map(json.loads, lines)


def _settled(answer: Mapping[str, Answer] | CacheError) -> object:
    if isinstance(answer, CacheError):
        return answer.client_class if isinstance(answer, BestrefsError) else type(answer).__name__
    return _settled_texts(answers.to_json(answer))


def _settled_texts(bestrefs: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Take away the words that depend on the version of Python."""
    return [
        (reftype, _settled_text(each) if isinstance(each, str) else each)
        for reftype, each in bestrefs.items()
    ]


def _settled_text(text: str) -> str:
    return _PYTHON.sub("<reason>", _REASON.sub("exception is", text))


def _difference(expected: object, given: object) -> str:
    pairs = [(expected, given)]
    if isinstance(expected, list) and isinstance(given, list) and len(expected) == len(given):
        pairs = [(one, other) for one, other in zip(expected, given, strict=True) if one != other]
    return "\n".join(f"    {one} but ours {other}" for one, other in pairs)


@cache
def _parsed(path: Path) -> mapping.Mapping:
    return mapping.parse_mapping(path.name, path.read_bytes())


def loader(
    roots: Sequence[Path],
    observatory: str,
    *,
    ignores_sums: bool = False,
    texts: Mapping[str, bytes] | None = None,
) -> Load:
    """Load from files, each read once; a header's wrong sum is an error, as it is to the client."""

    def load(name: str) -> mapping.Mapping:
        if texts and name in texts:
            read = mapping.parse_mapping(name, texts[name])
        else:
            paths = [root / "mappings" / observatory / name for root in roots]
            existing = next((path for path in paths if path.exists()), None)
            if existing is None:
                raise MissingMappingError(name)
            read = _parsed(existing)
        if not (ignores_sums or read.has_right_sum):
            raise MappingError(name, "the header's sum is not that of the text")
        return read

    return load
