"""All that lies in the branches of a cache, by one reading of each directory; links are not followed."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from crdscache.cache import layout, publish
from crdscache.cache.layout import Layout, Mode
from crdscache.contexts import names

_OURS = ".crdscache"


def entries(cache: Layout, mode: Mode, used: Iterable[str] = ()) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield what lies among mappings and references; own temporaries and directories of instruments are not.

    Parameters
    ----------
    used
        Directories of references that are used beside those of the instruments; as the paths of a manifest.

    Yields
    ------
    tuple
        The path, as in a manifest, and the entry of the directory.
    """
    instruments = _instruments(cache, mode, set(used))
    # In the layout by instrument, nothing but their directories belongs beside each other.
    for directory in dict.fromkeys([cache.mappings, cache.references, *instruments]):
        where = cache.relative(directory)
        for entry in _read(directory):
            if not is_ours(entry.name) and not _leads_to(entry, instruments):
                yield f"{where}/{entry.name}", entry


def is_ours(name: str) -> bool:
    """Tell what is ours in a branch, and no file of the cache: temporaries, and state on another disk."""
    return name.startswith(_OURS) or publish.is_temporary(name)


def _instruments(cache: Layout, mode: Mode, used: set[str]) -> list[Path]:
    """List the directories of references that belong to the cache."""
    return [
        directory
        for directory in layout.reference_directories(cache, mode)
        if directory.name in names.INSTRUMENTS[cache.observatory] or cache.relative(directory) in used
    ]


def _read(directory: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as found:
            return list(found)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _leads_to(entry: os.DirEntry[str], instruments: list[Path]) -> bool:
    """Tell whether something is the directory of an instrument, or a link to one."""
    if entry.is_file(follow_symlinks=False):
        return False
    path = Path(entry.path)
    return path.is_dir() and any(path.samefile(directory) for directory in instruments)
