"""How a file gets its final name: written aside, flushed to disk, then renamed."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

from crdscache.errors import DiskError, disk_error

_PART = re.compile(r"\..+\.[0-9a-f]{12}\.part")
_ASIDE = re.compile(r"\..+\.[0-9a-f]{8}\.crdstmp")
_NO_SUM = "0" * 12
_DISK_REFUSES = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG})
_NO_PERMISSION = frozenset({errno.EACCES, errno.EPERM})


def part_name(name: str, file_sha1: str | None) -> str:
    """Name a download that is not verified yet: the same in every run, so that a cut one is resumed."""
    return f".{name}.{(file_sha1 or _NO_SUM)[:12]}.part"


def is_part(name: str) -> bool:
    """Tell a download that is not verified yet, which a later run resumes."""
    return _PART.fullmatch(name) is not None


def is_temporary(name: str) -> bool:
    """Tell our own temporaries from the files of the cache and from those of foreign tools."""
    return is_part(name) or _ASIDE.fullmatch(name) is not None


def flush_to_disk(path: Path) -> None:
    """Make a file's bytes durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable: a rename alone can be lost in a power cut."""
    with naming(path):
        flush_to_disk(path)


def rename_into_place(temporary: Path, target: Path) -> None:
    """Give a durable, verified temporary its final name; a link there is replaced, not followed."""
    temporary.replace(target)


def aside(target: Path) -> Path:
    """Name a hidden temporary beside `target`."""
    # Random, not the pid: on a shared file system two hosts can have the same pid. The ending tells it from
    # foreign files.
    return target.with_name(f".{target.name}.{token_hex(4)}.crdstmp")


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let errors of the disk name the file: a full one tells of itself in a write, where no name is known."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def refused(error: OSError, target: Path, needed_bytes: int | None) -> DiskError | None:
    """Tell whether the disk refuses a file its place, so that no other file would fare better there."""
    # What stands at the target may be another one's; a directory that is closed is closed to all.
    is_closed = error.errno in _NO_PERMISSION and not os.access(target.parent, os.W_OK | os.X_OK)
    if error.errno not in _DISK_REFUSES and not is_closed:
        return None
    return disk_error(error, target, needed_bytes=needed_bytes)


@contextmanager
def publish(target: Path) -> Iterator[Path]:
    """Yield a hidden temporary beside `target`; on success it becomes `target`, else it is gone."""
    temporary = aside(target)
    try:
        with naming(target):
            yield temporary
            flush_to_disk(temporary)  # else a power cut can keep the name and lose the bytes
            rename_into_place(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(target: Path, text: str) -> None:
    """Replace a small file as a whole, durably."""
    with publish(target) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")
    sync_directory(target.parent)
