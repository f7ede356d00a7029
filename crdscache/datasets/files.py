"""Reads the header of a data set, whichever kind of file it is."""

from collections.abc import Mapping
from pathlib import Path

from crdscache.datasets import asdffiles, fitsfiles


def read_header(path: Path) -> Mapping[str, object]:
    """Read the header of a file: ASDF if its name says so, else FITS.

    Raises
    ------
    DatasetError
    """
    return asdffiles.read_header(path) if path.suffix.lower() == ".asdf" else fitsfiles.read_header(path)
