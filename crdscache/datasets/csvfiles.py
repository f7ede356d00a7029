"""Reads data sets from CSV: a line of names, then a data set in each line.

Columns `id`, as PRODUCT:EXPOSURE, or `product` and `exposure`; `instrument`; all others are parameters.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from crdscache.contexts.records import Problem
from crdscache.datasets import jsonlines, opening
from crdscache.datasets.records import Dataset
from crdscache.errors import DatasetError


@dataclass(frozen=True, slots=True)
class _Columns:
    names: tuple[str, ...]  # in capitals

    def dataset(self, cells: Sequence[str]) -> Dataset:
        """Make a data set of a line; what is empty is not there."""
        if len(cells) != len(self.names):
            raise ValueError(f"{len(self.names)} cells were expected, found {len(cells)}")
        values = {name: cell for name, cell in zip(self.names, cells, strict=True) if cell}
        name = values.pop("ID", "")
        product, exposure = values.pop("PRODUCT", ""), values.pop("EXPOSURE", "")
        name = name or (f"{product or exposure}:{exposure}" if exposure else "")
        if not name.isprintable() or not name:
            raise ValueError(f"an id was expected, found {name!r:.80}")
        return Dataset(name, values, instrument=values.pop("INSTRUMENT", None))


def read(path: Path) -> Iterator[Dataset | Problem]:
    """Read data sets, line by line, plain or gzip; a line that cannot be read is a problem.

    Raises
    ------
    DatasetError
        The file cannot be read, or its first line has no ids.
    """
    name = opening.shown(path)
    with opening.opened(path) as source:
        lines = jsonlines.lines(source)
        columns = _columns(name, next(lines, b""))
        for number, line in enumerate(lines, start=2):
            if line.isspace():
                continue
            try:
                yield columns.dataset(_cells(line))
            except (ValueError, csv.Error) as error:
                yield Problem(f"{name}, line {number}", f"{error!s:.200}")


def _cells(line: bytes) -> list[str]:
    if len(line) > jsonlines.MAX_LINE_BYTES:
        raise ValueError(f"it is longer than {jsonlines.MAX_LINE_BYTES} bytes")
    text = line.decode()
    if "\0" in text:
        raise ValueError("it holds NUL")
    # A text with a line break in it would be two lines here: parameters have none.
    return next(csv.reader([text.rstrip("\r\n")], strict=True), [])


def _columns(path: str, line: bytes) -> _Columns:
    try:
        names = tuple(cell.strip().upper() for cell in _cells(line.removeprefix(b"\xef\xbb\xbf")))
    except (ValueError, csv.Error) as error:
        raise DatasetError(path, f"a line of names was expected first: {error!s:.200}") from error
    if twins := sorted({name for name in names if names.count(name) > 1}):
        raise DatasetError(path, f"column {twins[0]!r:.80} comes twice")
    if not {"ID", "EXPOSURE"} & {*names}:
        found = ", ".join(names)
        raise DatasetError(path, f"a column `id` or `exposure` was expected, found {found!r:.200}")
    return _Columns(names)
