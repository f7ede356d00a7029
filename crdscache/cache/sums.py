"""The sum of a file's bytes, at the speed of the disk."""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

_CHUNK_BYTES = 2**18  # larger ones are no quicker


def open_regular(path: Path | str) -> int | None:
    """Open a file to be read from end to end; links are followed.

    Returns
    -------
    int
        Its descriptor; None where a directory, a pipe, a socket or a device stands there.
    """
    # Before it is opened, too: that alone rewinds a tape.
    if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 (as fast as can be: for each file of a cache)
        return None
    # Should a pipe come in between, it keeps nobody waiting.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with ExitStack() as undo:
        undo.callback(os.close, descriptor)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        undo.pop_all()
    return descriptor


@contextmanager
def opened(path: Path | str) -> Iterator[int | None]:
    """Have a file open as long as it is read; see `open_regular`."""
    descriptor = open_regular(path)
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)


def file_sha1(descriptor: int, *, limit_bytes: int | None = None) -> tuple[str, int]:
    """Read on to the end of a file.

    Parameters
    ----------
    limit_bytes
        Where it should end: no more than a byte beyond is read.

    Returns
    -------
    tuple
        The SHA-1 and the number of the bytes that were read.
    """
    digest = hashlib.sha1(usedforsecurity=False)
    most = _CHUNK_BYTES if limit_bytes is None else min(_CHUNK_BYTES, limit_bytes + 1)
    buffer = memoryview(bytearray(most))
    n_bytes = 0
    while True:
        room = buffer if limit_bytes is None else buffer[: limit_bytes + 1 - n_bytes]
        n_read = os.readv(descriptor, [room])
        if n_read == 0:  # the end, or no room left
            return digest.hexdigest(), n_bytes
        digest.update(buffer[:n_read])
        n_bytes += n_read


def copy(source: int, target: int, *, limit_bytes: int) -> str:
    """Write to a new file what is read of another, and sum it; no more than a byte beyond the limit."""
    digest = hashlib.sha1(usedforsecurity=False)
    buffer = memoryview(bytearray(_CHUNK_BYTES))
    room = limit_bytes + 1
    while n_read := os.readv(source, [buffer[:room]]):
        written = 0
        while written < n_read:  # the disk fills up: the next call tells so
            written += os.write(target, buffer[written:n_read])
        digest.update(buffer[:n_read])
        room -= n_read
    return digest.hexdigest()
