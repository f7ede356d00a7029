"""Row D27 of the fault matrix, by method M3: each rename and fsync of the cache takes a second."""

import fcntl
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from tests.faults.lab import Lab, end_state

SLOW = "delay_exit=1000000"  # microseconds
LONGEST_S = 30


def longest_wait_s(lock: Path, over: Event) -> float:
    """Take the readers' lock again and again, as many readers do; gives the longest wait."""
    longest = 0.0
    while not over.wait(0.01):
        if lock.exists():
            descriptor = os.open(lock, os.O_RDONLY)
            began = time.monotonic()
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            longest = max(longest, time.monotonic() - began)
            os.close(descriptor)
    return longest


@pytest.mark.parametrize("stage", ["switch", "adopt by hardlink", "repair"])
def test_D27_slow_disk_delays_a_run_and_no_reader(lab: Lab, stage: str) -> None:
    undisturbed = lab.undisturbed(stage)
    of_cache = [point for point in undisturbed.points if "/.crdscache/" not in point.path]
    places = sorted({point.path for point in of_cache if point.call in {"rename", "fsync"}})
    lab.begin(stage)
    over = Event()

    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(longest_wait_s, lab.cache.root / "crds.config.lock", over)
        try:
            done = lab.delay(stage, ("rename", "fsync"), places, SLOW)
        finally:
            over.set()

    assert places
    assert done.status == 0, done
    assert end_state(lab.cache) == undisturbed.end
    assert waiting.result() < LONGEST_S
