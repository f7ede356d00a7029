"""Reads data sets from a tree of files: one header for each exposure."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from crdscache.contexts.records import Problem
from crdscache.datasets import files, opening
from crdscache.datasets.records import Dataset
from crdscache.errors import DatasetError

_ENDINGS = (".fits", ".asdf")
_FIRST = ("_raw", "_uncal")  # as an exposure begins its way
_NONE = frozenset({"", "NONE", "N/A", "UNDEFINED"})


@dataclass(frozen=True, slots=True)
class Member:
    """The file that stands for an exposure."""

    path: Path
    size_bytes: int
    mtime_ns: int


def members(tree: Path) -> Iterator[Member]:
    """List the files to read, one for each exposure of a directory: `_raw`, `_uncal`, else the first by name.

    Links to directories are not followed, so that none leads round in a circle.

    Raises
    ------
    DatasetError
        The tree cannot be read.
    """
    for place, folders, names in os.walk(tree, onerror=_refuse):
        folders.sort()
        chosen: dict[str, str] = {}
        for name in sorted(names):
            stem, ending = Path(name).stem, Path(name).suffix
            if ending.lower() not in _ENDINGS:
                continue
            exposure = stem.rpartition("_")[0] or stem
            if exposure not in chosen or stem.lower().endswith(_FIRST):
                chosen[exposure] = name
        for name in chosen.values():
            path = Path(place, name)
            try:
                status = path.stat()
            except OSError:  # a link that dangles: reading says so
                yield Member(path, 0, 0)
                continue
            yield Member(path, status.st_size, status.st_mtime_ns)


def _refuse(error: OSError) -> None:
    raise DatasetError(str(error.filename), f"cannot be read: {error.strerror}") from error


def read(tree: Path) -> Iterator[Dataset | Problem]:
    """Read the header of each exposure below a directory; raises as `members`."""
    yield from (read_one(member.path) for member in members(tree))


def read_one(path: Path) -> Dataset | Problem:
    """Read the header of one file."""
    shown = opening.shown(path)
    try:
        header = files.read_header(path)
    except DatasetError as error:
        return Problem(shown, error.reason_for(shown))
    name = _id(path, header)
    if not name.isprintable() or " " in name or name.count(":") > 1:
        return Problem(shown, f"ids without blanks and colons were expected, found {name!r:.80}")
    return Dataset(name, header)


def _id(path: Path, header: Mapping[str, object]) -> str:
    """Tell product and exposure: hst's files name the association that they belong to."""
    stem = path.stem.rpartition("_")[0] or path.stem
    exposure, product = (str(header.get(key) or "").strip().upper() for key in ("ROOTNAME", "ASN_ID"))
    if exposure in _NONE:
        exposure = stem.upper()
    return f"{exposure if product in _NONE else product}:{exposure}"
