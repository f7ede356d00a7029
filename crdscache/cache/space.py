"""Whether there is room for what a plan is to bring: told before the first byte, not when it is all gone."""

import os
from collections.abc import Iterable
from pathlib import Path

from crdscache.cache import publish
from crdscache.cache.layout import Layout
from crdscache.contexts.records import Action, AdoptMode, PlanRow


def lack(cache: Layout, rows: Iterable[PlanRow], adopt_mode: AdoptMode) -> str | None:
    """Tell how much room is lacking for the references of a plan; None where there is enough.

    What came of a file in an earlier run needs no room again. Where links are asked for, files that would be
    copied in their place count for nothing, as that shows only file by file.
    """
    takes_room = {Action.FETCH, Action.ADOPT} if adopt_mode is AdoptMode.COPY else {Action.FETCH}
    rows = [row for row in rows if row.action in takes_room]
    place = next(path for path in (cache.references, *cache.references.parents) if path.exists())
    disk = os.statvfs(place)
    block_bytes = disk.f_frsize
    free_bytes = disk.f_bavail * block_bytes
    needed_bytes = sum(-(-(row.file.size_bytes or 0) // block_bytes) * block_bytes for row in rows)
    if needed_bytes > free_bytes:
        needed_bytes -= sum(_came(cache.absolute(row.file.path), row.file.file_sha1) for row in rows)
    if needed_bytes <= free_bytes:
        return None
    return f"{cache.references}: not enough room, {needed_bytes} bytes needed, {free_bytes} bytes free"


def _came(target: Path, file_sha1: str | None) -> int:
    try:
        return target.with_name(publish.part_name(target.name, file_sha1)).lstat().st_size
    except OSError:
        return 0
