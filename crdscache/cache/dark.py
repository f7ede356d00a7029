"""What lies in the cache but is wanted by nothing: it is listed, for people to decide."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from crdscache.cache import layout, publish
from crdscache.cache.layout import Layout, Mode
from crdscache.contexts import names
from crdscache.contexts.catalogue import Catalogue
from crdscache.contexts.records import Verdict, VerdictRow

# The state of ours on another file system.
_OURS = ".crdscache"


def find(cache: Layout, mode: Mode, wanted: Iterable[str], catalogue: Catalogue) -> list[VerdictRow]:
    """List what is dark among mappings and references, in order of path; own temporaries are left out.

    Parameters
    ----------
    wanted
        Paths, as in the manifest.

    Returns
    -------
    list
        Each `name` is a path, as in the manifest: the same name may lie in two places. A directory that does
        not belong here, or a link, is one row; neither is followed.
    """
    places = {path.rpartition("/")[2]: path for path in wanted}
    rows = []
    for entry in _entries(cache, mode, set(places.values())):
        with suppress(FileNotFoundError):  # gone again
            rows.append(_row(cache, entry, places, catalogue))
    return sorted(rows, key=lambda row: row.name)


def _entries(cache: Layout, mode: Mode, wanted: set[str]) -> Iterator[os.DirEntry[str]]:
    instruments = _instruments(cache, mode, wanted)
    # In the layout by instrument, nothing but their directories belongs beside each other.
    for directory in dict.fromkeys([cache.mappings, cache.references, *instruments]):
        where = cache.relative(directory)
        for entry in _read(directory):
            is_ours = entry.name.startswith(_OURS) or publish.is_temporary(entry.name)
            if not is_ours and f"{where}/{entry.name}" not in wanted and not _leads_to(entry, instruments):
                yield entry


def _instruments(cache: Layout, mode: Mode, wanted: set[str]) -> list[Path]:
    """List the directories of references that belong to the cache."""
    used = {path.rpartition("/")[0] for path in wanted}
    return [
        directory
        for directory in layout.reference_directories(cache, mode)
        if directory.name in names.INSTRUMENTS[cache.observatory] or cache.relative(directory) in used
    ]


def _read(directory: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _leads_to(entry: os.DirEntry[str], instruments: list[Path]) -> bool:
    """Tell whether something is the directory of an instrument, or a link to one."""
    path = Path(entry.path)
    return path.is_dir() and any(path.samefile(directory) for directory in instruments)


def _row(cache: Layout, entry: os.DirEntry[str], places: dict[str, str], catalogue: Catalogue) -> VerdictRow:
    if entry.name in places:
        reason = f"its place is {places[entry.name]}"
    elif entry.name in catalogue.records:
        reason = "no selected context needs it"
    else:
        reason = "not in the catalogue"
    n_bytes = entry.stat(follow_symlinks=False).st_size
    return VerdictRow(cache.relative(Path(entry.path)), Verdict.DARK, found=str(n_bytes), reason=reason)
