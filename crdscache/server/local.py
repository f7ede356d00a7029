"""A file of a directory that is a source: another cache that is mounted here, say. It is only read."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from crdscache.contexts.records import FileRecord
from crdscache.errors import CacheError, MismatchError, NotDeliveredError, ServerError, UnreachableError

_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # a FIFO would make us wait


def read(path: Path, record: FileRecord, start: int, chunk_bytes: int) -> Iterator[bytes]:
    """Yield what a file has from byte `start` on.

    Raises
    ------
    NotDeliveredError
        There is none.
    ServerError
        It is no file, or not ours to read.
    MismatchError
        Its length is not that of the record.
    UnreachableError
        The disk fails.
    """
    try:
        descriptor = os.open(path, _READ)
        try:
            _require(os.fstat(descriptor), record)
            while data := os.pread(descriptor, chunk_bytes, start):
                start += len(data)
                yield data
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _told(error) from error


def _require(status: os.stat_result, record: FileRecord) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ServerError("not a file")
    if status.st_size != record.size_bytes:
        raise MismatchError(record.name, "size", expected=record.size_bytes, actual=status.st_size)


def _told(error: OSError) -> CacheError:
    reason = error.strerror or str(error)
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return NotDeliveredError(reason)
    return ServerError(reason) if isinstance(error, PermissionError) else UnreachableError(reason)
