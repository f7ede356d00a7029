"""How fast files come, over all jobs of a run, and until when."""

import fcntl
import os
import struct
import time
from contextlib import suppress
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

FILE = "pace"  # in the state

_FREE_AT = struct.Struct("d")
_AT_A_TIME_S = 0.25  # what a read brings at most: a longer pause would look like a stall to the server


class Pace:
    """A limit of bytes a second that all jobs of a run share, and the end of its time; a context manager.

    Parameters
    ----------
    ends
        By the monotonic clock, which all processes of a machine share; None: never.
    bytes_s
        None: as fast as it goes.
    file
        Where jobs tell each other when the line is free again. Needed for a limit only.
    """

    def __init__(
        self, ends: float | None = None, bytes_s: float | None = None, file: Path | None = None
    ) -> None:
        self.ends, self._bytes_s = ends, bytes_s
        self._lock = Lock()  # the file's lock does not part threads
        self._file = None
        if bytes_s is not None and file is not None:
            self._file = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            os.close(self._file)

    @property
    def is_over(self) -> bool:
        """Whether the time of the run is over."""
        return self.ends is not None and time.monotonic() >= self.ends

    def at_a_time(self, most_bytes: int) -> int:
        """Tell how many bytes to read at a time, at most."""
        return most_bytes if self._bytes_s is None else min(most_bytes, int(self._bytes_s * _AT_A_TIME_S) + 1)

    def hold_back(self, n_bytes: int) -> float:
        """Wait until so many bytes have had their time; tell for how many seconds."""
        if self._bytes_s is None or self._file is None:
            return 0.0
        now = time.monotonic()
        pause_s = self._reserve(self._file, n_bytes / self._bytes_s, now) - now
        if self.ends is not None:
            pause_s = min(pause_s, self.ends - now)
        time.sleep(max(0.0, pause_s))
        return max(0.0, pause_s)

    def _reserve(self, file: int, seconds: float, now: float) -> float:
        """Take the next free time of the line, and give its end."""
        with self._lock:
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                free_at = now
                with suppress(struct.error):  # nothing was written yet
                    free_at = _FREE_AT.unpack(os.pread(file, _FREE_AT.size, 0))[0]
                # What an earlier boot wrote is of another clock.
                begins = free_at if now < free_at < now + 2 * seconds + 60 else now
                os.pwrite(file, _FREE_AT.pack(begins + seconds), 0)
                return begins + seconds
            finally:
                fcntl.flock(file, fcntl.LOCK_UN)
