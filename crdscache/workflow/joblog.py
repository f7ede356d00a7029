"""The log of one job; the only place that sets handlers."""

import atexit
import ctypes
import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crdscache.contexts.records import ManifestRow, Receipt
from crdscache.errors import CacheError, disk_error

FATAL = "FATAL: "
PROGRESS = "PROGRESS: "

_SECONDS = "ended seconds="
_LAST_LINE_BYTES = 200
_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"
_PR_SET_PDEATHSIG = 1
_TELL_EVERY_S = 0.5
# Objects to make before cycles are looked for: a plan makes 100,000 without any, and looking took a third
# of its time.
_GC_AFTER = 50_000


def log_to(path: Path | None, level: int = logging.INFO) -> None:
    """Send all that is logged in this process to one file; None: nowhere, warnings included."""
    handler: logging.Handler = logging.NullHandler()
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, mode="w", encoding="utf-8")
    formatter = logging.Formatter(_FORMAT, "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=level, force=True)
    logging.raiseExceptions = False  # a full disk would add a traceback for each line that it cannot take


def warn(command: str) -> None:
    """Send the warnings of a command that has no log to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(f"{command}: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.raiseExceptions = False  # as above


@contextmanager
def job_log(path: str) -> Iterator[None]:
    """Run a job's work: its log goes to `path`, and what stops it is told in one line, no traceback."""
    die_with_parent(signal.SIGTERM)
    gc.set_threshold(_GC_AFTER)
    atexit.register(gc.freeze)  # nor does the end look for cycles: a tenth of a small job
    started = time.monotonic()
    try:
        log_to(Path(path))
        yield
        logging.getLogger(__name__).info("%s%.3f", _SECONDS, time.monotonic() - started)
    except CacheError as error:
        _stop(error)
    except (MemoryError, RuntimeError) as error:
        if (told := short_of_memory(error)) is None:
            raise
        _stop(told)
    except OSError as error:  # the state's own disk is full, say: nothing that a job could write down
        # The second name, where there is one, is what a rename or a link would have made.
        _stop(disk_error(error, Path(error.filename2 or error.filename or path)))


def seconds(logs: Path, since_s: float) -> dict[str, float]:
    """Tell how long the jobs of a run took that came to their end, by rule; of shards the longest.

    Parameters
    ----------
    since_s
        When the run began, by the clock of the files: logs of earlier runs lie there too.
    """
    found: dict[str, float] = {}
    for path in logs.glob("*.log"):
        if path.name.startswith("run-") or path.stat().st_mtime < since_s:
            continue
        with path.open("rb") as stream:  # a log can have a line for each file
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - _LAST_LINE_BYTES))
            told = stream.read().decode(errors="replace").rpartition(_SECONDS)[2].strip()
        if told.replace(".", "", 1).isdecimal():
            rule = path.stem.partition("-")[0]
            found[rule] = max(found.get(rule, 0.0), float(told))
    return found


def short_of_memory(error: MemoryError | RuntimeError) -> CacheError | None:
    """Tell that a limit of memory, processes or threads is reached; None of any other error."""
    if isinstance(error, MemoryError):
        return CacheError("no more memory: a limit of this process, or of the machine, is reached")
    if "start new thread" not in str(error):
        return None
    return CacheError(
        "no more threads: a limit of processes or of memory is reached; fewer `connections` need fewer"
    )


class Progress:
    """Counts files for the live line of a terminal: a line on standard error, at most twice a second."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n_files, self._size_bytes, self._told = 0, 0, 0.0

    def __call__(self, file: Receipt | ManifestRow) -> None:
        """Count one file that is done."""
        with self._lock:
            self._n_files += 1
            self._size_bytes += file.size_bytes or 0
            now = time.monotonic()
            if now - self._told < _TELL_EVERY_S:
                return
            self._told = now
            sys.stderr.write(f"{PROGRESS}{os.getpid()} {self._n_files} {self._size_bytes}\n")


def _stop(error: CacheError) -> None:
    logging.getLogger(__name__).critical("stopped reason=%s", error)
    sys.stderr.write(f"{FATAL}{error}\n")
    raise SystemExit(3) from None


def die_with_parent(number: signal.Signals) -> None:
    """Ask the kernel to end this process by a signal when its parent is gone: no orphan works on alone."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
