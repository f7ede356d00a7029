"""The trash: what is in it, what of it comes back, and when it is emptied."""

import os
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from crdscache.cache import publish, trash
from crdscache.cache.layout import Layout
from crdscache.cache.trash import Gone
from crdscache.contexts import names
from crdscache.contexts.records import Problem
from crdscache.errors import SettingsError

_FORM = "%Y%m%dT%H%M%SZ"  # of a run's id, before the dash


@dataclass(frozen=True, slots=True)
class Bin:
    """What one run has taken out."""

    run_id: str
    n_files: int
    size_bytes: int
    frees_bytes: int  # what the disk gets back if this one is emptied


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back."""

    n_files: int
    size_bytes: int
    left: tuple[Problem, ...]  # what could not, and why


def bins(cache: Layout) -> list[Bin]:
    """List what is in the trash, by run, oldest first."""
    return [_bin(cache, run_id) for run_id in _run_ids(cache)]


def _run_ids(cache: Layout) -> list[str]:
    return sorted({path.name for path in _of_runs(cache)})


def _of_runs(cache: Layout) -> list[Path]:
    found = (path for place in trash.places(cache) for path in place.iterdir())
    return [path for path in found if path.is_dir() and not path.is_symlink()]


def _directories(cache: Layout, run_id: str) -> list[Path]:
    # Found among what is there: a name from outside may lead anywhere.
    return [path for path in _of_runs(cache) if path.name == run_id]


def _bin(cache: Layout, run_id: str) -> Bin:
    found = [status for each in _directories(cache, run_id) for _, status in trash.contents(each)]
    names_of = Counter((status.st_dev, status.st_ino) for status in found)
    once = {(status.st_dev, status.st_ino): status for status in found}
    freed = (trash.allocated(one) for inode, one in once.items() if names_of[inode] >= one.st_nlink)
    return Bin(run_id, len(found), sum(status.st_size for status in found), sum(freed))


def restore(cache: Layout, run_id: str, *, dry_run: bool = False) -> Restored:
    """Bring back what a run has taken out, leaves before roots; what has its name again stays in the trash.

    The caller holds the writer's lock, but in a dry run.

    Raises
    ------
    SettingsError
        There is no such run in the trash.
    """
    directories = _directories(cache, run_id)
    if not directories:
        known = ", ".join(_run_ids(cache)) or "it is empty"
        raise SettingsError(f"--restore {run_id!r:.80}: no such run in the trash: {known}")
    done, left, touched = [], [], set()
    rows = [(directory, row) for directory in directories for row in trash.table_of(directory)]
    for directory, row in sorted(rows, key=lambda pair: -names.depth(pair[1].path)):
        kept, target = directory / row.name, cache.absolute(row.path)
        if not os.path.lexists(kept):  # it never came here, or is back already
            continue
        size_bytes = kept.lstat().st_size
        reason = _obstacle(cache, row, target)
        if reason is None and not dry_run:
            reason = _bring_back(kept, target)
            touched.add(target.parent)
        if reason is None:
            done.append(size_bytes)
        else:
            left.append(Problem(row.path, reason))
    for parent in sorted(touched):
        publish.sync_directory(parent)
    for directory in () if dry_run else directories:
        if not any(trash.contents(directory)):
            shutil.rmtree(directory)
    return Restored(len(done), sum(done), tuple(left))


def _obstacle(cache: Layout, row: Gone, target: Path) -> str | None:
    """Say why something must not come back; the table may have been changed by hand."""
    branches = (cache.mappings, cache.references)
    depth = {0, 1}  # the directory of an instrument
    place = next((one for one in branches if target.is_relative_to(one)), None)
    if place is None or ".." in target.parts or len(target.relative_to(place).parts) - 1 not in depth:
        return "it was not a file of the cache's mappings or references"
    if not (names.is_mapping(target.name) or names.is_reference(target.name)) or "/" in row.name:
        return "its name is not that of a mapping or a reference"
    if target.parent.is_symlink() and target.parent not in branches:
        return f"{target.parent} is a link now"
    return "something has its name again" if os.path.lexists(target) else None


def _bring_back(kept: Path, target: Path) -> str | None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        kept.rename(target)
    except OSError as error:
        return f"cannot be brought back: {error.strerror}"
    return None


def empty(cache: Layout, run_ids: Iterable[str]) -> tuple[int, int]:
    """Give the space of some runs back for good: how many files went, and how many bytes the disk got."""
    n_files = frees_bytes = 0
    for run_id in run_ids:
        for directory in _directories(cache, run_id):
            for path, _ in trash.contents(directory):
                status = path.lstat()
                path.unlink()
                n_files += 1
                frees_bytes += trash.allocated(status) if status.st_nlink == 1 else 0
            shutil.rmtree(directory)
    return n_files, frees_bytes


def due(cache: Layout, days: float, reserve_bytes: int) -> list[str]:
    """Name the runs whose trash is to be emptied now: those too old, and the oldest if space is short."""
    before = datetime.now(UTC) - timedelta(days=days)
    waiting = _run_ids(cache)
    old = [run_id for run_id in waiting if days == 0 or _is_before(run_id, before)]
    free = shutil.disk_usage(cache.root).free
    return old + _for_space([run_id for run_id in waiting if run_id not in old], cache, reserve_bytes - free)


def _for_space(waiting: Sequence[str], cache: Layout, missing_bytes: int) -> list[str]:
    chosen: list[str] = []
    for run_id in waiting:
        if missing_bytes <= 0:
            break
        chosen.append(run_id)
        missing_bytes -= _bin(cache, run_id).frees_bytes
    return chosen


def _is_before(run_id: str, moment: datetime) -> bool:
    try:
        return datetime.strptime(run_id.partition("-")[0], _FORM).replace(tzinfo=UTC) < moment
    except ValueError:  # not made by a run of ours: people decide
        return False
