"""What was taken out of the cache, kept aside for an operator, with a table that tells why."""

import logging
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from crdscache.cache import locks, publish, tables
from crdscache.cache.layout import Layout
from crdscache.contexts import times

logger = logging.getLogger(__name__)

TABLE = "trash.tsv"
COLUMNS = ("when", "name", "from", "why", "expected_sha1", "found_sha1")


@dataclass(frozen=True, slots=True)
class Why:
    """Why something is taken out."""

    reason: str
    expected_sha1: str | None = None  # by the catalogue
    found_sha1: str | None = None  # None where it was not, or could not be, found out


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
            place = cache.state
        else:
            branches = (cache.mappings, cache.references, cache.config)
            place = next(one for one in branches if target.is_relative_to(one)) / ".crdscache"
        return place / "trash" / self._run_id

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
