"""The comprehensive check: the bytes of files are read, and summed."""

import errno
import logging
import os
import time
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from crdscache.cache import hashes, shards, sums, verdicts
from crdscache.cache.hashes import Hashed
from crdscache.cache.layout import Layout
from crdscache.contexts import times
from crdscache.contexts.records import Kind, ManifestRow, Verdict, VerdictRow

logger = logging.getLogger(__name__)

T = TypeVar("T")

# What a file takes beside the reading, in bytes that could be read meanwhile.
_FILE_COST_BYTES = 2**20
# A file that changes is looked at so many times.
_LOOKS = 3
# What may be over at the next try, and tells nothing of the bytes: not worth to be remembered.
_PASSING = frozenset({errno.ESTALE, errno.EAGAIN, errno.ETIMEDOUT, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
# Smaller files are remembered some at a time, but no later than this.
_SMALL_BYTES = 10**6
_REMEMBER_AFTER_S = 1.0


def due(
    rows: Iterable[ManifestRow],
    statuses: Mapping[str, os.stat_result],
    known: Mapping[str, Hashed],
    *,
    now: datetime,
    max_age_days: float,
    budget_bytes: int | None = None,
) -> list[ManifestRow]:
    """Choose the files that are to be hashed in this run, what waited longest first.

    That is each regular file of the right length that is on disk, but was not hashed since it changed last,
    or too long ago, or could not be read.

    Parameters
    ----------
    rows, statuses
        The manifest; what is there of it, by path.
    now
        UTC.
    budget_bytes
        How much may be read, rules aside; None: all. At least one file is chosen, however large.
    """
    latest, oldest = (each.strftime(times.FORM) for each in (now, now - timedelta(days=max_age_days)))
    waiting: list[tuple[str, str, ManifestRow]] = []
    for row in rows:
        status = statuses.get(row.path)
        if status is None or verdicts.decide(row, status, None) is not Verdict.OK:
            continue
        one = known.get(row.name)
        when = one.when if one is not None and one.is_of(status) else ""
        # The text of times sorts as they do. A time to come is none: the clock was put back.
        if not oldest < when <= latest or (one is not None and not one.file_sha1):
            waiting.append((when if when <= latest else "", row.name, row))
    waiting.sort(key=lambda each: each[:2])
    chosen = [row for _, _, row in waiting]
    return chosen if budget_bytes is None else _within(budget_bytes, chosen, statuses)


def _within(
    budget_bytes: int, rows: Iterable[ManifestRow], statuses: Mapping[str, os.stat_result]
) -> list[ManifestRow]:
    chosen: list[ManifestRow] = []
    total_bytes, is_over = 0, False
    for row in rows:
        if row.kind is Kind.MAPPING:
            chosen.append(row)
        elif not is_over:
            size_bytes = statuses[row.path].st_size
            is_over = total_bytes > 0 and total_bytes + size_bytes > budget_bytes
            if not is_over:
                chosen.append(row)
                total_bytes += size_bytes
    return chosen


def balance(rows: Sequence[ManifestRow], n_shards: int) -> list[list[ManifestRow]]:
    """Cut the reading into shards that take as long as each other."""
    return shards.balance(rows, lambda row: _FILE_COST_BYTES + (row.size_bytes or 0), n_shards)


def hash_one(row: ManifestRow, path: Path) -> tuple[VerdictRow, Hashed | None]:
    """Read one file, if it is regular, of the right length and on disk, and judge it.

    Returns
    -------
    tuple
        The verdict, and what is to be remembered of the file; None where it was not read to an end.
    """
    for _ in range(_LOOKS):
        looked = _look(row, path)
        if looked is not None:
            return looked
    return verdicts.unreadable(row, "it changes while it is read"), None


def _look(row: ManifestRow, path: Path) -> tuple[VerdictRow, Hashed | None] | None:
    """Read one file; None where it was changed or replaced, or went or came meanwhile."""
    try:
        status = again_once(path.stat)
    except OSError:
        return verdicts.judge(row, path, None, None), None
    found = verdicts.judge(row, path, status, None)
    if found.verdict is not Verdict.OK:
        return found, None
    try:
        file_sha1 = again_once(lambda: _sum_of(path, status))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        known = None if error.errno in _PASSING else hashes.hashed(status, "", row.file_sha1)
        return verdicts.unreadable(row, verdicts.cause(error)), known
    if file_sha1 is None:
        return None
    known = hashes.hashed(status, file_sha1, row.file_sha1)
    return verdicts.judge(row, path, status, known), known


def again_once(read: Callable[[], T]) -> T:
    """Read something; once more where the file system says what may pass."""
    try:
        return read()
    except OSError as error:
        if error.errno not in _PASSING:
            raise
        logger.warning("read again reason=%s", verdicts.cause(error))
    return read()


def _sum_of(path: Path, status: os.stat_result) -> str | None:
    """Sum the bytes of a file, None if it is not all the time what its status says."""
    with sums.opened(path) as descriptor:
        if descriptor is None:
            return None
        opened = os.fstat(descriptor)
        file_sha1, n_bytes = sums.file_sha1(descriptor, limit_bytes=status.st_size)
    is_same = n_bytes == status.st_size and _state(opened) == _state(status) == _state(path.stat())
    return file_sha1 if is_same else None


def _state(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


class _Notes:
    """Writes down what was hashed: large files at once, small ones some at a time."""

    def __init__(self, memory: Path) -> None:
        self._memory = memory
        self._waiting: list[tuple[str, Hashed]] = []
        self._written = time.monotonic()

    def add(self, name: str, known: Hashed) -> None:
        self._waiting.append((name, known))
        if known.size_bytes >= _SMALL_BYTES or time.monotonic() - self._written > _REMEMBER_AFTER_S:
            self.flush()

    def flush(self) -> None:
        if self._waiting:
            hashes.append(self._memory, self._waiting)
        self._waiting.clear()
        self._written = time.monotonic()


def hash_shard(
    rows: Iterable[ManifestRow],
    cache: Layout,
    memory: Path,
    progress: Callable[[ManifestRow], None] | None = None,
) -> list[VerdictRow]:
    """Read files one after the other, and judge them.

    Parameters
    ----------
    memory
        Where it is written down what was hashed, soon enough that a killed run has lost next to nothing.
    progress
        Told of each file that is done.
    """
    found = []
    notes = _Notes(memory)
    try:
        for row in rows:
            verdict, known = hash_one(row, cache.absolute(row.path))
            if known is not None:
                notes.add(row.name, known)
            logger.debug("hashed name=%s verdict=%s", row.name, verdict.verdict.value)
            found.append(verdict)
            if progress is not None:
                progress(row)
    finally:
        notes.flush()
    hashes.compact(memory)
    return found


def recheck(
    found: Iterable[VerdictRow],
    rows: Iterable[ManifestRow],
    cache: Layout,
    memory: Sequence[Path],
    wanted: Container[str],
) -> list[VerdictRow]:
    """Look once more at what is bad, as files come, go and are replaced while others are read.

    Parameters
    ----------
    rows
        Of the manifest, those of the bad files at least.
    memory
        Where what was hashed is written down; the last of them is added to.
    wanted
        Names of the files that are wanted by now: what is bad of others is left out.
    """
    by_name = {row.name: row for row in rows}
    known = hashes.load(*memory)
    notes = _Notes(memory[-1])
    looked = []
    for one in found:
        if not one.verdict.is_bad:
            looked.append(one)
        elif one.name in wanted:
            row = by_name[one.name]
            again, fresh = _look_again(one, row, cache.absolute(row.path), known.get(row.name))
            if fresh is not None:
                notes.add(row.name, fresh)
            looked.append(again)
    notes.flush()
    return looked


def _look_again(
    one: VerdictRow, row: ManifestRow, path: Path, known: Hashed | None
) -> tuple[VerdictRow, Hashed | None]:
    try:
        status = path.stat()
    except OSError:
        return verdicts.judge(row, path, None, None), None
    if known is None or not known.is_of(status):
        return hash_one(row, path)
    if one.verdict is Verdict.UNREADABLE:
        # The first verdict has the cause. That it was read well before tells nothing of now.
        return hash_one(row, path) if known.file_sha1 else (one, None)
    return verdicts.judge(row, path, status, known), None
