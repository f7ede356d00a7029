"""Where data sets can come from, by how the source is named."""

from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from crdscache.contexts.records import Problem
from crdscache.datasets import csvfiles, fitstrees, jsonlines
from crdscache.datasets.records import Dataset
from crdscache.errors import DatasetError


class Kind(Enum):
    """A kind of source."""

    DATABASE = "a database"
    SERVER = "the server's parameters"
    TREE = "a tree of files"
    CSV = "CSV"
    JSON_LINES = "JSON lines"


def kind_of(source: str) -> Kind:
    """Tell the kind of a source."""
    if "://" in source:
        return Kind.DATABASE
    if source == "server":
        return Kind.SERVER
    if Path(source).is_dir():
        return Kind.TREE
    return Kind.CSV if source.lower().endswith((".csv", ".csv.gz")) else Kind.JSON_LINES


def datasets(source: str) -> Iterator[Dataset | Problem]:
    """Read the data sets of a path.

    Raises
    ------
    DatasetError
        It cannot be read.
    """
    path = Path(source)
    match kind_of(source):
        case Kind.TREE:
            yield from fitstrees.read(path)
        case Kind.CSV:
            yield from csvfiles.read(path)
        case Kind.JSON_LINES:
            yield from jsonlines.read(path)
        case kind:
            raise DatasetError(source, f"a path was expected, found {kind.value}")
