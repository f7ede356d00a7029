"""What the missions' own client answers, and how answers of ours are compared with it.

A way to choose is asked for all headers of a context at once, so that one data set at a time and many at a
time are held to the same answers.
"""

import gzip
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from crdscache.bestrefs import answers, columns, parameters
from crdscache.bestrefs.answers import Answer
from crdscache.bestrefs.choose import Chooser, Load, require_good
from crdscache.cache import serverconfig
from crdscache.contexts import mapping
from crdscache.errors import BestrefsError, CacheError, MappingError, MissingMappingError

ORACLE = Path(__file__).parents[3] / "shared" / "oracle"
FILES = sorted(path.name for path in (ORACLE / "bestrefs").glob("*.jsonl.gz"))

# What the client says where a date or number has no reason of its own is said by its Python.
_PYTHON = re.compile(
    r"(not enough|too many) values to unpack.*|could not convert string to float.*|invalid literal for int.*"
    r"|\w+ (is out of range|must be in).*"
)
UNLOADED = "the rules do not load"
_REASON = re.compile(r"exception is .*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Call:
    """How the client was called: by one call and for one context, many headers."""

    context: str
    observatory: str
    ignores_sums: bool
    is_fast: bool | None  # None: not `getrecommendations`, but the library's own look-up
    reftypes: tuple[str, ...]
    rejected: frozenset[str] = field(default=frozenset(), repr=False)  # by the client's own configuration


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
            return chooser.recommend(header, call.reftypes, is_fast=call.is_fast, rejected=call.rejected)
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
    if call.is_fast:
        return found
    return [
        _refused(chooser, call, case.header, header, one) or one
        for case, header, one in zip(cases, headers, found, strict=True)
    ]


def _refused(
    chooser: Chooser,
    call: Call,
    raw: dict[str, Any],
    header: Mapping[str, object],
    found: Mapping[str, Answer] | CacheError,
) -> CacheError | None:
    """Give the error of the client's tests after a look-up."""
    if isinstance(found, CacheError):
        return None
    if not parameters.names_instrument(raw):
        return BestrefsError("KeyError", "")
    try:
        require_good(found, chooser.prepare(header, str)[0], call.rejected)
    except BestrefsError as error:
        return error
    return None


def disagreements(file: str, roots: Sequence[Path], choose: Choose) -> list[str]:
    """List the lines of a file of the oracle for which we answer otherwise; fail if it is empty.

    Parameters
    ----------
    roots : where mappings are, the first counts
    """
    calls, texts = _read(file, roots)
    found = []
    for call, cases in calls.items():
        load = loader(roots, call.observatory, ignores_sums=call.ignores_sums, texts=texts)
        for case, answer in zip(cases, _asked(call, cases, load, choose), strict=True):
            given = _settled(answer)
            if case.expected == UNLOADED and _is_unloaded(answer):
                given = UNLOADED
            if given != case.expected:
                found.append(
                    f"{file}, line {case.line}: {call} {case.header}\n{_difference(case.expected, given)}"
                )
    assert calls
    return found


def _asked(
    call: Call, cases: Sequence[Case], load: Load, choose: Choose
) -> Sequence[Mapping[str, Answer] | CacheError]:
    try:
        return choose(Chooser(call.context, load), call, cases)
    except (MappingError, MissingMappingError) as error:
        return [error] * len(cases)


def _is_unloaded(answer: Mapping[str, Answer] | CacheError) -> bool:
    """Tell whether rules are not usable: of that the client has many classes."""
    return isinstance(answer, CacheError) and not isinstance(answer, BestrefsError)


@cache
def _rejected(roots: tuple[Path, ...], observatory: str) -> frozenset[str]:
    """Name what the client's configuration says is bad."""
    saved = [serverconfig.read(root / "config" / observatory) for root in roots]
    listed = next((one["bad_files_list"] for one in saved if one is not None), [])
    return frozenset(listed if isinstance(listed, list) else ())


def _read(file: str, roots: Sequence[Path]) -> tuple[dict[Call, list[Case]], dict[str, bytes]]:
    calls: dict[Call, list[Case]] = {}
    texts = {}
    for number, line in enumerate(_lines(file), start=1):
        if "text" in line:
            texts[line["mapping"]] = line["text"].encode()
        context = line.get("context") or line["mapping"]
        observatory = line.get("observatory") or re.split(r"[_.]", context)[0]
        call = Call(
            context=context,
            observatory=observatory,
            ignores_sums=line.get("ignore_checksum", False),
            is_fast=line.get("fast"),
            reftypes=tuple(line.get("reftypes") or ()),
            rejected=_rejected(tuple(roots), observatory) if line.get("fast") is False else frozenset(),
        )
        calls.setdefault(call, []).append(Case(number, line.get("header") or {}, _expected(line)))
    return calls, texts


def _expected(line: Mapping[str, Any]) -> object:
    if "load_error" in line:
        return UNLOADED
    bestrefs = line["bestrefs"]
    return line["error"].partition(":")[0] if bestrefs is None else _settled_texts(bestrefs)


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
