"""What was hashed when: the one record that vouches for a file beyond a run. Source: docs/design.md."""

import logging
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from crdscache.cache import locks, publish, tables
from crdscache.contexts import times

logger = logging.getLogger(__name__)

FILE = "hashes.tsv"

_KIND = "hashes"
_COLUMNS = ("name", "size_bytes", "mtime_ns", "ctime_ns", "inode", "file_sha1", "expected_sha1", "when")
_HEAD_LINES = 2
_SHA1_LENGTHS = frozenset({0, 40})
# A shorter file is read in no time, whatever is in it.
_COMPACT_FROM_LINES = 10_000
# To tell by its length that a file is short.
_LINE_BYTES_AT_LEAST = 50


class Hashed(NamedTuple):
    """What one file was when it was hashed: a tuple, as tens of thousands are read in each run."""

    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    file_sha1: str  # "" where it could not be read
    expected_sha1: str  # what the catalogue said then, "" where it had none
    when: str  # UTC

    @property
    def was_right(self) -> bool:
        """Whether the sum was the one of the catalogue, as it was then; where that had none nobody knows."""
        return self.file_sha1 != "" and self.expected_sha1 == self.file_sha1

    def is_of(self, status: os.stat_result) -> bool:
        """Tell whether a file is still as it was when it was hashed.

        No program can put the time of change back, as it can that of modification.
        """
        return (
            self.ctime_ns == status.st_ctime_ns
            and self.size_bytes == status.st_size
            and self.mtime_ns == status.st_mtime_ns
            and self.inode == status.st_ino
        )


def hashed(status: os.stat_result, file_sha1: str, expected_sha1: str | None) -> Hashed:
    """Note what a file is that was hashed just now.

    Parameters
    ----------
    file_sha1
        "" where it could not be read.
    expected_sha1
        What the catalogue says.
    """
    return Hashed(
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_ino,
        file_sha1,
        expected_sha1 or "",
        times.now(),
    )


def load(*paths: Path) -> dict[str, Hashed]:
    """Read what was hashed when, by name; of several notes of one file the last one counts.

    Parameters
    ----------
    paths
        Of the cache, and of a user who may not write there; they need not be there.

    Raises
    ------
    NotACacheError
        Another version of this software wrote it.
    """
    known: dict[str, Hashed] = {}
    for path in paths:
        with suppress(FileNotFoundError, NotADirectoryError):
            found = _read(path)
            known = found if not known else _latest(known, found)
    return known


def _read(path: Path) -> dict[str, Hashed]:
    known = {}
    for name, size, mtime, ctime, inode, file_sha1, expected, when in tables.read(path, _KIND, _COLUMNS):
        try:
            one = Hashed(int(size), int(mtime), int(ctime), int(inode), file_sha1, expected, when)
        except ValueError:  # a damaged line
            continue
        if len(file_sha1) in _SHA1_LENGTHS:
            known[name] = one
    return known


def _latest(known: dict[str, Hashed], found: dict[str, Hashed]) -> dict[str, Hashed]:
    newer = {name: one for name, one in found.items() if name not in known or known[name].when <= one.when}
    return known | newer


def append(path: Path, notes: Iterable[tuple[str, Hashed]]) -> None:
    """Add what was hashed just now, in whole lines; other jobs and hosts may add theirs at the same time."""
    # Not flushed to disk: what a power cut takes is hashed again.
    data = "".join("\t".join(_cells(name, one)) + "\n" for name, one in notes).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with locks.exclusive(_lock(path)), publish.naming(path):
        if not path.exists():
            tables.write(path, _KIND, _COLUMNS, ())
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        try:
            end = os.pread(descriptor, 1, os.fstat(descriptor).st_size - 1)
            # A writer that was killed, or a full disk, can have left half a line: ours begins a new one.
            _write(descriptor, data if end == b"\n" else b"\n" + data)
        finally:
            os.close(descriptor)


def merge(path: Path, journals: Iterable[Path]) -> None:
    """Take over what each job has noted in a file of its own, and remove those files."""
    known = {journal: load(journal) for journal in journals}
    if not known:
        return
    append(path, (note for notes in known.values() for note in notes.items()))
    for journal in known:
        journal.unlink(missing_ok=True)
    compact(path)


def compact(path: Path) -> None:
    """Leave the last note of each file alone, where the others are more; to be called now and then."""
    with suppress(FileNotFoundError):
        if path.stat().st_size < _COMPACT_FROM_LINES * _LINE_BYTES_AT_LEAST:
            return
        with locks.exclusive(_lock(path)):
            n_lines = path.read_bytes().count(b"\n") - _HEAD_LINES
            if n_lines <= _COMPACT_FROM_LINES:
                return
            known = _read(path)
            if n_lines > 2 * len(known):
                tables.write(path, _KIND, _COLUMNS, (_cells(name, known[name]) for name in sorted(known)))
                logger.info("compacted path=%s lines=%d files=%d", path, n_lines, len(known))


def _lock(path: Path) -> Path:
    return path.with_suffix(".lock")


def _cells(name: str, one: Hashed) -> Sequence[str]:
    return name, *map(str, one)


def _write(descriptor: int, data: bytes) -> None:
    written = os.write(descriptor, data)
    while written < len(data):  # the disk fills up: the next call tells so
        written += os.write(descriptor, data[written:])
