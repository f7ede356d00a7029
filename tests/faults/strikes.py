"""Strikes a run before any one of its system calls that change something below a root; needs strace.

A run is traced once. Each call that changed something is a point: its number among the calls of its kind, in
its thread, that name its path. By that strace finds it again, whatever the other threads do meanwhile.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from tests.caches import CHECKOUT, Done
from tests.faults.pipeline import Order

KILL = "signal=SIGKILL"
NO_SPACE = "error=ENOSPC"

_CALLS = (
    "open,openat,creat,write,pwrite64,writev,sendfile,copy_file_range,rename,renameat,renameat2,link,linkat,"
    "symlink,symlinkat,unlink,unlinkat,mkdir,mkdirat,rmdir,truncate,ftruncate,fallocate,fsync,fdatasync,chmod,"
    "fchmod,fchmodat,chown,fchown,fchownat,utimensat,flock"
)
_LINE = re.compile(r"(\d+) +(\w+)\((.*)")
_PATH = re.compile(r'\d<([^>]*)>|"([^"]*)"')
_REFUSED = re.compile(r"\) += -1 E")
_LOGS = "/logs/"  # their bytes, and even their names, differ from run to run


@dataclass(frozen=True, slots=True)
class Point:
    """One system call of a run, as strace can be told to find it."""

    call: str
    path: str  # of a rename, the former name
    number: int  # the first is 1

    @property
    def is_of_body(self) -> bool:
        """Whether it stores what came from the network, in as many pieces as that gave."""
        return self.call == "write" and self.path.endswith(".part") and self.number > 1


class Runs:
    """Runs of commands in a process that has all imported; see `pipeline`."""

    def __init__(self, home: Path) -> None:
        self._output, self._trace = home / "output", home / "trace"
        self._process = subprocess.Popen(
            [sys.executable, "-B", "-m", "tests.faults.pipeline"],
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def run(
        self, line: Sequence[str], environ: Mapping[str, str], *, seed: int = 0, strace: Sequence[str] = ()
    ) -> Done:
        """Run a command to its end; both streams are one.

        Parameters
        ----------
        strace : words for strace, which is to look on; none: nobody does
        """
        order = Order(list(line), dict(environ), str(self._output), seed)
        self._process.stdin.write(json.dumps(asdict(order)) + "\n")  # type: ignore[union-attr]
        self._process.stdin.flush()  # type: ignore[union-attr]
        child = self._read()
        with _watched(child, strace):
            os.kill(child, signal.SIGCONT)
            status = self._read()
        return Done(status, self._output.read_text(), "")

    def trace(
        self, line: Sequence[str], environ: Mapping[str, str], root: Path, *, seed: int = 0
    ) -> tuple[Done, list[Point]]:
        """Run a command undisturbed, and list what could be struck."""
        words = ["-y", "-s", "0", "-e", f"trace={_CALLS}", "-o", str(self._trace)]
        done = self.run(line, environ, seed=seed, strace=words)
        return done, list(_points(self._trace.read_text(), root))

    def strike(
        self, line: Sequence[str], environ: Mapping[str, str], point: Point, how: str, *, seed: int = 0
    ) -> Done:
        """Run a command whose call at `point` meets `how`, an action of strace."""
        where = ["-P", point.path, "-e", f"trace={point.call}"]
        words = [*where, "-e", f"inject={point.call}:{how}:when={point.number}", "-o", os.devnull]
        return self.run(line, environ, seed=seed, strace=words)

    def _read(self) -> int:
        return int(self._process.stdout.readline())  # type: ignore[union-attr]


@contextmanager
def _watched(process: int, words: Sequence[str]) -> Iterator[None]:
    """Let strace look on for as long as a process lives."""
    if not words:
        yield
        return
    line = ["strace", "-f", "-p", str(process), *words]
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True) as strace:
        first = strace.stderr.readline()  # type: ignore[union-attr]
        assert first.endswith("attached\n"), first
        yield
        strace.communicate()


def _points(trace: str, root: Path) -> Iterator[Point]:
    counts: Counter[tuple[str, str, str]] = Counter()
    seen: set[Point] = set()
    for thread, call, rest in _LINE.findall(trace):
        paths = [path for pair in _PATH.findall(rest) for path in pair if path]
        if not any(path.startswith(str(root)) and _LOGS not in path for path in paths):
            continue
        path = paths[-1 if call == "symlink" else 0]  # strace looks at no other
        counts[thread, call, path] += 1
        if not _changes(call, rest):
            continue
        point = Point(call, path, counts[thread, call, path])
        assert point not in seen, f"{point} is in two threads: it cannot be told apart"
        seen.add(point)
        yield point


def _changes(call: str, rest: str) -> bool:
    is_only_read = call in {"open", "openat"} and "O_CREAT" not in rest and "O_TRUNC" not in rest
    return not is_only_read and _REFUSED.search(rest) is None
