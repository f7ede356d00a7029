"""A reader's hold on contexts: neither purge nor repair takes their rules away as long as it lasts.

Readers need neither write access nor locks to be right: where one cannot be had they go on without.
Source: docs/design.md, "Locks".
"""

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Self

from crdscache.cache import identity, remote, serverconfig
from crdscache.cache.layout import CONFIG_LOCK, Layout
from crdscache.contexts import selection
from crdscache.contexts.serverinfo import ServerInfo
from crdscache.errors import ContextError, NotACacheError, SettingsError, disk_error

logger = logging.getLogger(__name__)

CONFIG_WAIT_S = 180.0
# Who replaces a mapping, or looks whether it is held, has it for an instant; a purge has it for longer.
_PURGE_WAIT_S = 1.0

_POLL_S = 0.05


class Lease:
    """A hold on any number of contexts, until it is closed, or the last process that has it has ended.

    Attributes
    ----------
    info
        The saved configuration without its catalogue: read once, so that all of a run is of one default.
    """

    def __init__(self, cache: Layout, info: ServerInfo) -> None:
        self.info = info
        self._mappings = cache.mappings
        self._held: dict[str, int] = {}

    @property
    def contexts(self) -> tuple[str, ...]:
        """The contexts that are held, in the order in which they came."""
        return tuple(self._held)

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What holds them: a process that inherits these holds them too."""
        return tuple(self._held.values())

    def hold(self, asked: str | None) -> str:
        """Hold one more context, and give its name.

        Parameters
        ----------
        asked
            A name, a symbolic name or a date; None: the default context.

        Raises
        ------
        SettingsError
            It is no context.
        ContextError
            It is not in the cache, or is being purged.
        """
        context = self.info.default_context if asked is None else selection.resolve(self.info, asked)
        if not context.endswith(".pmap"):
            message = f"context {context}: expected a name that ends in .pmap"
            raise SettingsError(message)
        if context not in self._held:
            self._held[context] = _hold(self._mappings / context)
        return context

    def read(self, name: str) -> bytes:
        """Read a mapping that a held context reaches.

        Raises
        ------
        ContextError
            It is not in the cache: the context is not whole.
        """
        path = self._mappings / name
        try:
            return remote.patiently(path.read_bytes, path.parent)
        except FileNotFoundError as error:
            raise ContextError(
                name, f"is not in {path.parent}: cron_sync brings what a context needs"
            ) from error
        except OSError as error:
            raise disk_error(error, path) from error

    def close(self) -> None:
        """Give all back."""
        while self._held:
            os.close(self._held.popitem()[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def take(cache: Layout, *asked: str | None, wait_s: float = CONFIG_WAIT_S) -> Lease:
    """Read the saved configuration and hold contexts, with no switch of the default in between.

    Parameters
    ----------
    asked
        As for `Lease.hold`.
    wait_s
        How long to wait for a writer that holds the lock of the configuration; then without it.

    Raises
    ------
    NotACacheError
        The root is no cache, or has no configuration yet.
    UnreadableConfigError
        The configuration is damaged; the message names it.
    """
    # Read before, as it takes longest: readers that come one after the other would keep the writer out.
    stamp, info = _stamp(cache), _configuration(cache)
    with _shared(cache.locks / CONFIG_LOCK, wait_s), ExitStack() as undo:
        lease = Lease(cache, info if stamp == _stamp(cache) else _configuration(cache))
        undo.callback(lease.close)
        for each in asked:
            lease.hold(each)
        undo.pop_all()
    return lease


def _stamp(cache: Layout) -> tuple[int, ...]:
    """Tell one saved configuration from another."""
    try:
        status = (cache.config / serverconfig.CONFIG_FILE).stat()
    except OSError:  # what is wrong with it is told when it is read
        return ()
    return status.st_ino, status.st_mtime_ns, status.st_size


def _configuration(cache: Layout) -> ServerInfo:
    read = partial(serverconfig.read_info, cache.config, cache.observatory, with_catalogue=False)
    try:
        info = remote.patiently(read, cache.config)
    except OSError as error:
        raise disk_error(error, cache.config / serverconfig.CONFIG_FILE) from error
    if info is not None:
        return info
    if identity.load(cache) is None:
        raise identity.no_cache(cache)
    message = f"{cache.config / serverconfig.CONFIG_FILE} is not there yet: cron_sync writes it"
    raise NotACacheError(message)


def is_held(path: Path) -> bool:
    """Tell whether a reader has a lease on the context of a mapping.

    Raises
    ------
    DiskError
        It cannot be told: this file system has no locks, or none for us.
    """
    try:
        descriptor = _open(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise disk_error(error, path) from error
    try:
        return not _lock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        raise disk_error(error, path) from error
    finally:
        os.close(descriptor)


@contextmanager
def without_readers(path: Path) -> Iterator[None]:
    """Keep readers from taking a lease on a context, as long as its mapping is replaced or removed.

    Raises
    ------
    ContextError
        A reader has one.
    """
    descriptor = _open(path)
    try:
        if not _lock(descriptor, fcntl.LOCK_EX):
            raise ContextError(path.name, "is held by a reader")
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _shared(lock: Path, wait_s: float) -> Iterator[None]:
    with ExitStack() as end:
        # Not made yet, not ours to open, no locks on this file system: readers are right without it.
        with suppress(OSError):
            descriptor = _open(lock)
            end.callback(os.close, descriptor)
            if not _wait(descriptor, wait_s):
                logger.warning("configuration read without its lock lock=%s waited_s=%.0f", lock, wait_s)
        yield


def _wait(descriptor: int, wait_s: float) -> bool:
    deadline = time.monotonic() + wait_s
    while not _lock(descriptor):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def _hold(path: Path) -> int:
    while True:
        with ExitStack() as undo:
            descriptor = _open_mapping(path)
            undo.callback(os.close, descriptor)
            # An error is no refusal: a file system without locks, or a file server that is short of them.
            with suppress(OSError):
                if not _wait(descriptor, _PURGE_WAIT_S):
                    raise ContextError(path.name, "is being purged")
            if _is_at(path, descriptor):
                undo.pop_all()
                return descriptor


def _open_mapping(path: Path) -> int:
    try:
        return remote.patiently(partial(_open, path), path.parent)
    except FileNotFoundError as error:
        reason = f"is not in {path.parent}: cron_sync --contexts {path.name} brings it"
        raise ContextError(path.name, reason) from error
    except OSError as error:
        raise disk_error(error, path) from error


def _open(path: Path) -> int:
    # Not to be kept waiting by what is no regular file, and never to make one.
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)


def _lock(descriptor: int, kind: int = fcntl.LOCK_SH) -> bool:
    """Take a lock, by default beside other readers; filelock knows exclusive ones only."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    """Tell whether an open file still has its name: a lock on one that was replaced holds nothing."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
