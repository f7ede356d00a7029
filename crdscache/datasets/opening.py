"""Opens the file of a data set, whatever it turns out to be, and notices when it changes meanwhile."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from crdscache.errors import ChangedError, DatasetError

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


_CHANGED = "it was changed or replaced by someone else meanwhile"


@dataclass(frozen=True, slots=True)
class Source:
    """One regular file, open for reading."""

    path: Path
    descriptor: int
    status: os.stat_result  # when it was opened

    @property
    def size_bytes(self) -> int:
        """How long the file was when it was opened."""
        return self.status.st_size

    def read_at(self, offset: int, n_bytes: int) -> bytes:
        """Read some bytes; fewer where the file ends."""
        return os.pread(self.descriptor, n_bytes, offset)

    def refusal(self, reason: str) -> DatasetError:
        """Make the error that names the file."""
        return DatasetError(shown(self.path), reason)

    def require_unchanged(self) -> None:
        """Make sure that the name still stands for what was opened, and that nobody has written to it.

        Raises
        ------
        ChangedError
        """
        is_same = _stamp(self.path.stat()) == _stamp(os.fstat(self.descriptor)) == _stamp(self.status)
        if not is_same:
            raise ChangedError(shown(self.path), _CHANGED)

    def require_seen(self, seen: os.stat_result) -> None:
        """Make sure that this is what the name stood for when its status was `seen`.

        Raises
        ------
        ChangedError
        """
        if _stamp(self.status) != _stamp(seen):
            raise ChangedError(shown(self.path), _CHANGED)


@contextmanager
def opened(path: Path) -> Iterator[Source]:
    """Open a regular file; a link is followed.

    Raises
    ------
    DatasetError
        It is missing, something else than a file, or cannot be read, now or as long as it is open.
    """
    with naming(path):
        _require_regular(path, path.stat())  # opening alone can already do something to a device
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        try:
            status = os.fstat(descriptor)
            _require_regular(path, status)  # it may have been replaced just now
            yield Source(path, descriptor, status)
        finally:
            os.close(descriptor)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn the system's errors into ours, with the name of the data set."""
    try:
        yield
    except OSError as error:
        raise DatasetError(shown(path), str(error.strerror or error)) from error


def shown(path: Path) -> str:
    """Show a path in one line; a name may hold anything."""
    text = str(path)
    return text if text.isprintable() else repr(text)


def _require_regular(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise DatasetError(shown(path), f"a file was expected, found {kind}")


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
