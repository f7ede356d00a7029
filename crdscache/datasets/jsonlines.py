"""Reads data sets from a file with a JSON object in each line.

`{"id", "context", "instrument", "header": {...}}`; a header that is a text says why there is none.
"""

import gzip
import json
import math
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

from crdscache.contexts import names
from crdscache.contexts.records import Problem
from crdscache.datasets import opening
from crdscache.datasets.opening import Source
from crdscache.datasets.records import Dataset

MAX_LINE_BYTES = 16 * 2**20

_GZIP = b"\x1f\x8b"
_SCALARS = (str, int, float, type(None))


def read(path: Path) -> Iterator[Dataset | Problem]:
    """Read data sets, line by line; blank lines are skipped.

    Plain or gzip, told by the content. The id is the line's number where there is none; whatever else a line
    holds is ignored. A line that cannot be read is a problem, and those after it are read all the same.

    Raises
    ------
    DatasetError
        The file cannot be read, or its compression is damaged; after the data sets that came before.
    """
    name = opening.shown(path)
    with opening.opened(path) as source:
        for number, line in enumerate(lines(source), start=1):
            if line.isspace():
                continue
            try:
                yield _dataset(line, str(number))
            except (ValueError, RecursionError) as error:
                yield Problem(f"{name}, line {number}", f"{error!s:.200}")


def lines(source: Source) -> Iterator[bytes]:
    """Read all lines, plain or gzip; of one that is too long, enough to see that it is."""
    is_gzip = source.read_at(0, len(_GZIP)) == _GZIP
    with (
        open(source.descriptor, "rb", closefd=False) as plain,
        gzip.open(plain) if is_gzip else nullcontext(plain) as stream,
    ):
        try:
            while line := stream.readline(MAX_LINE_BYTES + 1):
                yield line
                while not line.endswith(b"\n") and (line := stream.readline(MAX_LINE_BYTES)):
                    pass
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise source.refusal(f"whole gzip-compressed data were expected: {error}") from error


def _dataset(line: bytes, number: str) -> Dataset | Problem:
    if len(line) > MAX_LINE_BYTES:
        raise ValueError(f"it is longer than {MAX_LINE_BYTES} bytes")
    entry = json.loads(
        line.decode().rstrip(),
        object_pairs_hook=_without_twins,
        parse_constant=_refuse_constant,
        parse_float=_finite,
    )
    if not isinstance(entry, dict) or not isinstance(entry.get("header"), dict | str):
        raise ValueError('an object with a "header" was expected')
    header, name = entry["header"], entry.get("id", number)
    context, instrument = entry.get("context"), entry.get("instrument")
    if not isinstance(name, str) or not all(isinstance(each, str | None) for each in (context, instrument)):
        raise ValueError("id, context and instrument: texts were expected")
    f"{name}{context}{instrument}".encode()
    if isinstance(header, str):
        return Problem(names.printable(name) if not name.isprintable() else name, f"{header!r:.200}")
    _require_plain(header)
    return Dataset(name, header, context, instrument)


def _require_plain(header: dict[str, object]) -> None:
    for keyword, value in header.items():
        if not isinstance(value, _SCALARS):
            raise ValueError(
                f"{keyword!r:.80}: a text or a number was expected, found {type(value).__name__}"
            )
        f"{keyword}{value}".encode()  # half a surrogate pair is no text, and would fail later in a write


def _without_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        [(twin, _)] = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"{twin!r:.80} comes twice")
    return found


def _refuse_constant(text: str) -> object:
    raise ValueError(f"{text} is no JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text:.80} is beyond all numbers")
    return value
