"""An ext4 disk whose power can be cut (method M10), and what a cache on it makes of that; as root."""

import fcntl
import os
import random
import struct
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from demo.server import Server
from tests.caches import Done
from tests.faults import tiny
from tests.faults.lab import Lab
from tests.faults.strikes import Runs

STAGES = ("init", "sync", "switch")
_SIZE_BYTES = 64 << 20
_SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
# What is lost: contents that were not flushed, though their names are kept; or such names too.
_LOSSES = (1, 2)
_N_MEASURED = 3  # the shortest counts: a cut after the end tells less


class Disk:
    """A file system in a file, mounted as long as the context lasts."""

    def __init__(self, home: Path) -> None:
        self._image, self.place = home / "image", home / "disk"

    def __enter__(self) -> Self:
        with self._image.open("wb") as stream:
            stream.truncate(_SIZE_BYTES)
        subprocess.run(["mkfs.ext4", "-q", self._image], check=True)
        self.place.mkdir()
        self._mount()
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", self.place], check=True)

    def _mount(self) -> None:
        line = ["mount", "-o", "loop", self._image, self.place]
        subprocess.run(line, check=True, capture_output=True, text=True)

    def flush(self) -> None:
        """Make durable all that there is."""
        os.sync()

    def cut(self, loss: int) -> None:
        """Lose what is not durable; whoever works here now gets errors."""
        descriptor = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("i", loss))
        finally:
            os.close(descriptor)

    def restart(self) -> None:
        """Mount it again as it is now."""
        subprocess.run(["umount", self.place], check=True)
        self._mount()


class PowerCuts:
    """Cuts the power in the stages of a cache's life."""

    def __init__(self, disk: Disk, server: Server, runs: Runs) -> None:
        self._disk = disk
        self._lab = Lab(disk.place / "lab", server, runs)
        self._durations_s: dict[str, float] = {}

    def cut(self, stage: str, chance: random.Random) -> Done:
        """Cut the power at a random moment of a stage; after that one plain run must make all whole."""
        self._measure(stage)
        self._lab.begin(stage)
        self._disk.flush()
        with ThreadPoolExecutor(1) as threads:
            running = threads.submit(self._lab.run, stage)
            time.sleep(chance.uniform(0, self._durations_s[stage]))
            self._disk.cut(chance.choice(_LOSSES))
            done = running.result()
        self._disk.restart()
        self._lab.recover(stage)
        return done

    def _measure(self, stage: str) -> None:
        if stage in self._durations_s:
            return
        self._lab.undisturbed(stage)
        took_s = []
        for _ in range(_N_MEASURED):
            self._lab.begin(stage)
            began = time.monotonic()
            self._lab.run(stage)
            took_s.append(time.monotonic() - began)
        self._durations_s[stage] = min(took_s)


@contextmanager
def opened(home: Path) -> Iterator[PowerCuts]:
    """Make a disk, with a tiny observatory's server beside it.

    Raises
    ------
    CalledProcessError
        This may not be mounted.
    """
    with Disk(home) as disk, tiny.serve() as server, Runs(home) as runs:
        (disk.place / "lab").mkdir()
        yield PowerCuts(disk, server, runs)
