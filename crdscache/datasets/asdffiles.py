"""Reads the headers of Roman's files, which are ASDF. Source: docs/protocol.md, "Headers"."""

import datetime as dt
import importlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import yaml

from crdscache.datasets import opening
from crdscache.errors import DatasetError

_MAX_DEPTH = 50


def read_header(path: Path) -> Mapping[str, object]:
    """Read the tree of an ASDF file as a header: `ROMAN.META.INSTRUMENT.NAME` and so on.

    Raises
    ------
    DatasetError
        It cannot be read, or the library `asdf` is not installed.
    """
    with opening.opened(path) as source:
        asdf = _library(path)
        with open(source.descriptor, "rb", closefd=False) as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of classes that only the mission's own packages know
            try:
                with asdf.open(stream) as file:
                    header = flattened(file.tree)
            except (ValueError, KeyError, yaml.YAMLError) as error:
                raise source.refusal(f"an ASDF file was expected, found {error!r:.200}") from error
        source.require_unchanged()
    return header


def flattened(tree: Mapping[object, object]) -> dict[str, object]:
    """Name each value by its path through a tree, in upper case, with dots; arrays and lists are left out."""
    header: dict[str, object] = {}
    _flatten("", tree, header, 0)
    return header


def _flatten(path: str, tree: Mapping[object, object], header: dict[str, object], depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise ValueError(f"its tree is more than {_MAX_DEPTH} deep")
    for key, value in tree.items():
        if not isinstance(key, str):
            continue
        name = f"{path}{key.upper()}"
        match value:
            case Mapping():
                _flatten(f"{name}.", value, header, depth + 1)
            case str() | int() | float():
                header.setdefault(name, value)
            case dt.datetime():
                header.setdefault(name, value.isoformat())
            # astropy's, by name: to import it takes long, and to try an attribute would load an array.
            case _ if type(value).__name__ == "Time":
                header.setdefault(name, value.utc.strftime("%Y-%m-%dT%H:%M:%S"))  # type: ignore[attr-defined]


def _library(path: Path) -> ModuleType:
    try:
        return importlib.import_module("asdf")
    except ImportError as error:
        raise DatasetError(opening.shown(path), "to read it, the library asdf must be installed") from error
