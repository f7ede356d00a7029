"""One writer at a time, without ever holding readers up. Source: docs/design.md, "Locks"."""

import errno
import json
import logging
import os
import socket
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import filelock

from crdscache.cache import publish
from crdscache.cache.layout import CONFIG_LOCK, Layout
from crdscache.contexts import times
from crdscache.errors import DiskError, LockedError, LockLostError, disk_error

SYNC_LOCK = "crds.sync.lock"

WRITER_FILE = "writer.json"
_TOUCH_EVERY_S = 60
# flock does not reach other hosts: there a writer is believed as long as it touches its card.
_OTHER_HOST_S = 600
_CONFIG_WAIT_S = 1.0
# A writer has its lock a little before its card is there.
_CARD_WAIT_S = 1.0
_POLL_S = 0.02
# What file systems say that have no locks, or whose server is short of them.
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP})
_ELSEWHERE = "set CRDS_LOCKS, or lock_dir, to a local directory that all writers of this cache share"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes."""

    host: str
    pid: int
    started: str  # UTC
    command: str
    run_id: str

    def __str__(self) -> str:
        return f"{self.command} (host {self.host}, PID {self.pid}, since {self.started} UTC)"


class WriterLock:
    """The lock of the one writer of a root, on a descriptor of our own.

    It is given back by closing only, never unlocked: the descriptor is standard input of snakemake and its
    jobs too, so orphans of a killed run still count as the writer.

    Attributes
    ----------
    warnings
        What an operator should know, though it does not keep this writer from its work.

    Raises
    ------
    LockedError
        Another writer is at work, here or on another host.
    DiskError
        The file cannot be opened, or its file system has no locks.
    """

    def __init__(self, cache: Layout, command: str, run_id: str) -> None:
        self._card = cache.state / WRITER_FILE
        self._writer = Writer(socket.gethostname(), os.getpid(), times.now(), command, run_id)
        self._stop = threading.Event()
        self.descriptor = _open(cache.locks / SYNC_LOCK)
        with ExitStack() as undo:
            undo.callback(os.close, self.descriptor)
            if not _lock(self.descriptor, cache.locks / SYNC_LOCK):
                raise LockedError(_busy(self._card))
            self.warnings = self._look_at_other_hosts(cache)
            self._card.parent.mkdir(parents=True, exist_ok=True)
            publish.write_text(self._card, json.dumps(asdict(self._writer)) + "\n")
            undo.pop_all()
        threading.Thread(target=self._keep_touching, name="writer card", daemon=True).start()

    def close(self) -> None:
        """Give the lock back, unless children still hold it."""
        self._stop.set()
        self._card.unlink(missing_ok=True)
        os.close(self.descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _look_at_other_hosts(self, cache: Layout) -> tuple[str, ...]:
        """Refuse to write beside another host; a card that is old is told, as its writer may be paused."""
        passed_over = []
        # The lock is that of the whole root, whatever the observatory.
        for card in sorted(cache.state.parent.glob(f"*/{WRITER_FILE}")):
            writer, age_s = read_writer(card)
            if writer is None or age_s is None or writer.host == self._writer.host:
                continue
            if age_s < _OTHER_HOST_S:
                message = f"another host wrote here {age_s:.0f} s ago: {writer}"
                raise LockedError(message)
            told = f"{writer} has not ended, but was silent for {age_s / 60:.0f} minutes: taken for dead"
            passed_over.append(told)
        return tuple(passed_over)

    def _keep_touching(self) -> None:
        while not self._stop.wait(_TOUCH_EVERY_S):
            with suppress(OSError):  # a file server that is away for a moment: the next minute may be better
                os.utime(self._card)


def read_writer(card: Path) -> tuple[Writer | None, float | None]:
    """Tell who wrote last, and how long ago by the file server's clock, in seconds."""
    writer = read_card(card)
    try:
        written = card.stat().st_mtime
    except OSError:
        return None, None
    return (None, None) if writer is None else (writer, max(0.0, _file_server_now(card.parent) - written))


def read_card(card: Path) -> Writer | None:
    """Tell who wrote last, or writes; None where nothing readable tells."""
    try:
        return Writer(**json.loads(card.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _file_server_now(directory: Path) -> float:
    probe = publish.aside(directory / WRITER_FILE)
    try:
        probe.touch()
        now = probe.stat().st_mtime
        probe.unlink()
    except OSError:  # read-only for us
        return time.time()
    return now


def _busy(card: Path) -> str:
    deadline = time.monotonic() + _CARD_WAIT_S
    while (writer := read_card(card)) is None and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    return f"another writer is at work: {writer or 'a tool that leaves no card'}"


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        # With O_CREAT, Linux refuses other users' files in a directory like /tmp. The mode lets every writer
        # that the umask admits open it; the old tool's text in it is no obstacle.
        descriptor = os.open(path, flags if path.exists() else flags | os.O_CREAT, 0o666)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.EISDIR}:
            raise _no_file(path) from error
        raise disk_error(error, path) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _no_file(path)
    return descriptor


def _no_file(path: Path) -> DiskError:
    return DiskError(f"{path}: expected a regular file to lock, and no link; remove it if nothing needs it")


def _lock(descriptor: int, path: Path) -> bool:
    """Try once to lock for writing; False where another one has it."""
    try:
        return filelock.lock_descriptor(descriptor, blocking=False)
    except OSError as error:
        advice = f"; {_ELSEWHERE}" if error.errno in _NO_LOCKS else ""
        raise DiskError(f"{path}: cannot be locked: {error.strerror}{advice}") from error


def holds(descriptor: int, lock: Path) -> bool:
    """Tell whether an open descriptor is the lock file: then this process works for the writer."""
    try:
        return os.path.samestat(os.fstat(descriptor), lock.stat())
    except OSError:
        return False


def require_held(descriptor: int, cache: Layout) -> None:
    """Make sure that this process still works for the one writer of a root.

    Raises
    ------
    LockLostError
        The file was removed or replaced, so another writer can have begun.
    """
    path = cache.locks / SYNC_LOCK
    if not holds(descriptor, path):
        message = f"{path} was removed or replaced while it was held: another may write now, so we stop"
        raise LockLostError(message)


@contextmanager
def exclusive(path: Path, *, busy: str | None = None) -> Iterator[int]:
    """Hold a lock of our own state; whoever inherits the descriptor holds it too.

    Where the file system has no locks it goes without, with a warning: what is written under it are whole
    lines, and what is done twice is right twice.

    Parameters
    ----------
    busy
        What is at work where another one has the lock; None: wait for it, as it is held for a few lines.

    Yields
    ------
    int
        The descriptor that has the lock.

    Raises
    ------
    LockedError
        Another one has it.
    """
    descriptor = _open(path)
    try:
        try:
            had = filelock.lock_descriptor(descriptor, blocking=busy is None)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise disk_error(error, path) from error
            logger.warning("no lock here path=%s reason=%s", path, error.strerror)
            had = True
        if not had:
            raise LockedError(f"{busy} already: {path} is held")
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def config_lock(cache: Layout) -> Iterator[bool]:
    """Hold `crds.config.lock` for one rename; after a second of waiting go on without it, which is as right.

    Yields
    ------
    bool
        Whether the lock was had; not where another writer's is not ours to open, or where there are no locks.
    """
    try:
        descriptor = _open(cache.locks / CONFIG_LOCK)
    except DiskError:
        yield False
        return
    try:
        yield _lock_soon(descriptor)
    finally:
        os.close(descriptor)


def _lock_soon(descriptor: int) -> bool:
    deadline = time.monotonic() + _CONFIG_WAIT_S
    try:
        while not (had := filelock.lock_descriptor(descriptor, blocking=False)):
            if time.monotonic() >= deadline:
                break
            time.sleep(_POLL_S)
    except OSError as error:
        logger.warning("no lock here name=%s reason=%s", CONFIG_LOCK, error.strerror)
        return False
    return had
