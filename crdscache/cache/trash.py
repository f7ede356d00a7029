"""What was taken out of the cache, kept aside for an operator, with a table that tells why."""

import logging
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from crdscache.cache import locks, publish, tables
from crdscache.cache.layout import Layout
from crdscache.contexts import times

logger = logging.getLogger(__name__)

_DIRECTORY = "trash"
TABLE = "trash.tsv"
_BLOCK = 512  # of st_blocks, whatever the file system
COLUMNS = ("when", "name", "from", "why", "expected_sha1", "found_sha1")


@dataclass(frozen=True, slots=True)
class Why:
    """Why something is taken out."""

    reason: str
    expected_sha1: str | None = None  # by the catalogue
    found_sha1: str | None = None  # None where it was not, or could not be, found out


@dataclass(frozen=True, slots=True)
class Gone:
    """One line of a table: something that was taken out, or was about to be."""

    when: str  # UTC
    name: str  # in the trash
    path: str  # where it stood, as in the manifest
    why: Why


class Trash:
    """What one run takes out of a cache: a directory, in which names stay as they are.

    Each file system that the cache is spread over has its own, so that nothing is ever copied.
    """

    def __init__(self, cache: Layout, run_id: str) -> None:
        self._cache, self._run_id = cache, run_id

    def directory(self, target: Path) -> Path:
        """Tell where what stands at `target` goes."""
        cache = self._cache
        device = target.parent.stat().st_dev
        if cache.root.stat().st_dev == device:
            place = cache.state / _DIRECTORY
        else:
            branch = next(one for one in _branches(cache) if target.is_relative_to(one))
            place = _place_of(branch)
        return place / self._run_id

    def replace(self, temporary: Path, target: Path, why: Why) -> None:
        """Give a verified temporary the name of what stands there; that is kept.

        A reader finds the old or the new file under the name, never none, but where the file system has no
        hard links or no file stands there.
        """
        kept = self._kept_as(target, why)
        _keep(target, kept)
        publish.rename_into_place(temporary, target)
        logger.warning("replaced name=%s reason=%s kept=%s", target.name, why.reason, kept)

    def _kept_as(self, target: Path, why: Why) -> Path:
        directory = self.directory(target)
        directory.mkdir(parents=True, exist_ok=True)
        where = self._cache.relative(target)
        sums = (why.expected_sha1 or "", why.found_sha1 or "")
        # Told before it is done: what lies there without a line would be a riddle.
        with locks.exclusive(directory / f".{TABLE}.lock"):
            tables.append(
                directory / TABLE, "trash", COLUMNS, (times.now(), target.name, where, why.reason, *sums)
            )
        return directory / target.name


def _keep(target: Path, kept: Path) -> None:
    try:
        mode = target.lstat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISLNK(mode):
        # The link alone: what it leads to is somebody's original.
        with suppress(FileExistsError):
            kept.symlink_to(target.readlink())
    elif stat.S_ISREG(mode):
        _keep_file(target, kept)
    else:
        target.rename(kept)


def _keep_file(target: Path, kept: Path) -> None:
    try:
        os.link(target, kept)
    except FileExistsError:  # a run that was cut has come this far
        return
    except OSError:  # no hard links here: for a moment the name is free
        target.rename(kept)


def places(cache: Layout) -> list[Path]:
    """List the directories in which the runs have theirs: one for each file system, if it is there."""
    found = [cache.state / _DIRECTORY, *map(_place_of, _branches(cache))]
    return [place for place in found if place.is_dir()]


def _branches(cache: Layout) -> tuple[Path, ...]:
    return cache.mappings, cache.references, cache.config


def _place_of(branch: Path) -> Path:
    return branch / ".crdscache" / _DIRECTORY


def allocated(status: os.stat_result) -> int:
    """Tell what a file takes on its disk, in bytes, whatever its length."""
    return status.st_blocks * _BLOCK


def contents(directory: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield all that a run has taken out, at any depth, directories left out; links are not followed."""
    for where, folders, files in os.walk(directory):
        linked = [name for name in folders if (Path(where) / name).is_symlink()]
        for name in (*files, *linked):
            path = Path(where) / name
            if not (path.parent == directory and _is_own(name)):
                with suppress(FileNotFoundError):
                    yield path, path.lstat()


def _is_own(name: str) -> bool:
    return name in {TABLE, f".{TABLE}.lock"} or publish.is_temporary(name)


def inodes(cache: Layout) -> Iterator[tuple[int, int]]:
    """Yield device and number of each name in the trash."""
    for place in places(cache):
        for _, status in contents(place):
            yield status.st_dev, status.st_ino


def table_of(directory: Path) -> list[Gone]:
    """Read what a run has taken out of one file system; nothing where there is no table."""
    path = directory / TABLE
    if not path.exists():
        return []
    return [
        Gone(when, name, where, Why(reason, expected or None, found or None))
        for when, name, where, reason, expected, found in tables.read(path, "trash", COLUMNS)
    ]


def write_table(directory: Path, rows: list[Gone]) -> None:
    """Tell what is about to be taken out; durable, so that what is found there is no riddle."""
    directory.mkdir(parents=True, exist_ok=True)
    cells = (
        (row.when, row.name, row.path, row.why.reason, row.why.expected_sha1 or "", row.why.found_sha1 or "")
        for row in rows
    )
    tables.write(directory / TABLE, "trash", COLUMNS, cells)
    publish.sync_directory(directory)
    publish.sync_directory(directory.parent)
