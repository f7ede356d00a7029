"""What lies in the cache but is wanted by nothing: it is listed, for people to decide."""

import os
from collections.abc import Iterable
from contextlib import suppress

from crdscache.cache import inventory
from crdscache.cache.layout import Layout, Mode
from crdscache.contexts.catalogue import Catalogue
from crdscache.contexts.records import Verdict, VerdictRow


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
    expected = set(places.values())
    rows = []
    for path, entry in inventory.entries(cache, mode, {each.rpartition("/")[0] for each in expected}):
        if path not in expected:
            with suppress(FileNotFoundError):  # gone again
                rows.append(_row(path, entry, places, catalogue))
    return sorted(rows, key=lambda row: row.name)


def _row(path: str, entry: os.DirEntry[str], places: dict[str, str], catalogue: Catalogue) -> VerdictRow:
    if entry.name in places:
        reason = f"its place is {places[entry.name]}"
    elif entry.name in catalogue.records:
        reason = "no selected context needs it"
    else:
        reason = "not in the catalogue"
    n_bytes = entry.stat(follow_symlinks=False).st_size
    return VerdictRow(path, Verdict.DARK, found=str(n_bytes), reason=reason)
