"""Every exception that the package raises, as one tree: the class tells the caller what to do."""

import shutil
from pathlib import Path


class CacheError(Exception):
    """Base of all errors that the package raises; the message is for an operator."""

    def __reduce__(self) -> tuple[object, ...]:
        """Go from one process to another as it is: Python would make it anew, and of its message alone."""
        return Exception.__new__, (type(self), *self.args), self.__dict__


class SettingsError(CacheError):
    """Arguments, environment or settings are wrong: the operator must act; nothing was touched."""


class LockedError(CacheError):
    """Another writer holds the cache."""


class LockLostError(CacheError):
    """The lock file was taken away under its holder: what is done is right, but it must not go on."""


class NotACacheError(CacheError):
    """The root is not this cache: not mounted, not set up, or of another server or observatory."""


class NewerStateError(CacheError):
    """A later version of this software has written the state: only that one, or a later one, may go on."""


class StrangerError(CacheError):
    """The account is none of the cache's writers: they could not replace what it would make."""


class DiskError(CacheError):
    """The disk refuses: full, read-only, or no permission; no other file would fare better."""


class UnreadableConfigError(CacheError):
    """The saved configuration is damaged: it is treated as absent, and written anew from the server."""


class ServerError(CacheError):
    """The server refused, or its answer makes no sense; asking again would not help."""


class NotDeliveredError(CacheError):
    """The server knows the file but does not hand it out (yet)."""


class NotAskedError(CacheError):
    """Left for a later run: the time of this one is over, or the source has failed too often."""


class UnsafeNameError(CacheError):
    """A name that must not become a path."""

    def __init__(self, name: object, why: str) -> None:
        super().__init__(f"{name!r:.140} is refused as a file name: {why}")
        self.name = name


class MappingError(CacheError):
    """A mapping cannot be read."""

    def __init__(self, name: str, reason: str, *, line: int | None = None) -> None:
        super().__init__(f"{name}{'' if line is None else f', line {line}'}: {reason}")
        self.name, self.line = name, line


class MissingMappingError(CacheError):
    """A mapping is named, but it is neither here nor on the server."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name}: neither here nor on the server")
        self.name = name


class ContextError(CacheError):
    """A context cannot be worked with: it is not (whole) in the cache, or is being purged."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} {reason}")
        self.name = name


class BestrefsError(CacheError):
    """No type of a data set can be looked up."""

    def __init__(self, client_class: str, reason: str) -> None:
        super().__init__(reason)
        self.client_class = client_class  # what the missions' client raises: programs know these names


class DatasetError(CacheError):
    """One data set cannot be read or written; the others go on."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name, self.reason = name, reason

    def reason_for(self, name: str) -> str:
        """Give the reason where the data set is named already; a link leads to a file of another name."""
        return self.reason if name == self.name else str(self)


class ChangedError(DatasetError):
    """A data set was changed or replaced while we worked on it: another look may be worth it."""


class TransferError(CacheError):
    """What another attempt may cure: the only branch that is retried."""


class UnreachableError(TransferError):
    """No connection, a time-out, a cut, or a server that says it cannot answer now."""


class BusyError(UnreachableError):
    """The server says when to ask again."""

    def __init__(self, reason: str, wait_s: float) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class MismatchError(TransferError):
    """A file's bytes are not what its record says; they are never kept."""

    def __init__(self, name: str, field: str, *, expected: object, actual: object) -> None:
        super().__init__(f"{name}: {field} is {actual}, the catalogue says {expected}")
        self.name, self.field = name, field


def disk_error(error: OSError, path: Path, *, needed_bytes: int | None = None) -> DiskError:
    """Turn the system's error into ours, with what an operator needs to act on it."""
    needed = "" if needed_bytes is None else f", {needed_bytes} bytes needed"
    free = "" if isinstance(error, PermissionError) else _free(path)  # room is not what lacks
    return DiskError(f"{path}: {error.strerror or error}{needed}{free}")


def _free(path: Path) -> str:
    for place in (path, *path.parents):
        try:
            return f", {shutil.disk_usage(place).free} bytes free"
        except OSError:
            continue
    return ""
