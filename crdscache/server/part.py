"""The temporary of one download: what has come so far, and the sum of it."""

import hashlib
import os
import stat
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from crdscache.contexts.records import FileRecord
from crdscache.errors import MismatchError

CHUNK_BYTES = 2**18  # larger ones are no quicker
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_VERSION = "user.crdscache.version"  # an attribute of the temporary: the next run continues with it
_OLD = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Part:
    """What has come of one file, taken up from an earlier run where there was one, and left for a later one.

    There is a file from the first byte on. It goes when its bytes prove wrong, and with an OSError, which
    another try would only meet again.
    """

    __slots__ = ("_descriptor", "_path", "_record", "_sum", "n_bytes", "version")

    def __init__(self, path: Path, record: FileRecord) -> None:
        self._path, self._record = path, record
        self._descriptor: int | None = None
        self.n_bytes = 0
        self.version: str | None = None  # of what is here, as its source calls it
        self._sum = hashlib.sha1(usedforsecurity=False)

    def __enter__(self) -> Self:
        try:
            self._descriptor = os.open(self._path, _OLD)
        except FileNotFoundError:
            return self
        except OSError:  # a link, a directory, or not ours to write
            self._path.unlink()
            return self
        try:
            self._take_up(self._descriptor)
        except OSError:
            self.start_over()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, OSError):
            self.start_over()
        else:
            self._close()

    @property
    def is_whole(self) -> bool:
        """Whether all bytes are here."""
        return self._descriptor is not None and self.n_bytes == self._record.size_bytes

    @property
    def file_sha1(self) -> str:
        """The sum of what is here."""
        return self._sum.hexdigest()

    def mark(self, version: str | None) -> None:
        """Note which version of the file comes now, for whoever continues with it."""
        self.version = version
        with suppress(OSError):  # not every file system takes notes, and the sum decides in the end
            os.setxattr(self._open(), _VERSION, (version or "").encode())

    def append(self, data: bytes) -> None:
        """Write what came next."""
        descriptor = self._open()
        written = os.write(descriptor, data)
        while written < len(data):  # the disk fills up: the next call tells so
            written += os.write(descriptor, data[written:])
        self._sum.update(data)
        self.n_bytes += len(data)

    def start_over(self) -> None:
        """Drop what is here."""
        self._close()
        # Not truncated but unlinked: should this be a link of somebody's file, that one stays as it is.
        self._path.unlink(missing_ok=True)
        self.n_bytes, self.version = 0, None
        self._sum = hashlib.sha1(usedforsecurity=False)

    def verify(self) -> None:
        """Compare with the record.

        Raises
        ------
        MismatchError
            The bytes are wrong, and gone.
        """
        record, size_bytes, file_sha1 = self._record, self.n_bytes, self.file_sha1
        if size_bytes != record.size_bytes:
            self.start_over()
            raise MismatchError(
                record.name, "size", expected=record.size_bytes, actual=f"{size_bytes} or more"
            )
        if record.file_sha1 not in (None, file_sha1):
            self.start_over()
            raise MismatchError(record.name, "SHA-1", expected=record.file_sha1, actual=file_sha1)

    def finish(self, target: Path | None) -> None:
        """Make the verified bytes durable, and then give them their name, if there is one."""
        descriptor = self._open()
        if self.version is not None:
            with suppress(OSError):
                os.removexattr(descriptor, _VERSION)
        os.fsync(descriptor)
        self._close()
        if target is not None:
            self._path.replace(target)  # a link that stands there is replaced, not followed

    def _open(self) -> int:
        if self._descriptor is None:
            self._descriptor = os.open(self._path, _NEW, 0o666)
        return self._descriptor

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _take_up(self, descriptor: int) -> None:
        record, status = self._record, os.fstat(descriptor)
        # Without a sum nobody can tell whether two halves are of one file.
        is_ours = stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and record.file_sha1 is not None
        if not is_ours or status.st_size > record.size_bytes:
            self.start_over()
            return
        with suppress(OSError, UnicodeDecodeError):
            self.version = os.getxattr(descriptor, _VERSION).decode() or None
        while data := os.read(descriptor, CHUNK_BYTES):
            self._sum.update(data)
            self.n_bytes += len(data)
        if self.is_whole and self.file_sha1 != record.file_sha1:
            self.start_over()
