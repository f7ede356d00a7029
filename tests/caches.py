"""Caches of the demo observatory as an operator has them: the real commands, with a server in the test."""

import ast
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from demo.observatory import CONTEXTS
from demo.server import Server

CHECKOUT = Path(__file__).parents[1]
OBSERVATORY = "hst"
FORMER, LATEST = CONTEXTS[-2:]  # a test begins with the former as default of server and cache
# Nothing waits without need: one shard, two tries, no pause between them.
QUICK = "shards: 1\ntries: 2\nbackoff_s: 0\nread_timeout_s: 5\n"


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def data(self) -> Any:  # noqa: ANN401 (it is what JSON is)
        """What `--json` gave."""
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Cache:
    """One cache of one server, and who works with it."""

    home: Path  # the directory of the test: nothing else may be touched
    server: Server
    root: Path
    checkout: Path = CHECKOUT
    more: dict[str, str] = field(default_factory=dict)  # variables beside the usual ones

    @property
    def state(self) -> Path:
        """The working directory of Snakemake."""
        return self.root / ".crdscache" / OBSERVATORY

    @property
    def config(self) -> Path:
        """Where `server_config` lies."""
        return self.root / "config" / OBSERVATORY

    @property
    def mappings(self) -> Path:
        """Where the rules lie."""
        return self.root / "mappings" / OBSERVATORY

    @property
    def references(self) -> Path:
        """Where the references lie."""
        return self.root / "references" / OBSERVATORY

    @property
    def environ(self) -> dict[str, str]:
        """The environment of cron, and what an operator sets."""
        return {
            "PATH": "/usr/bin:/bin",
            "CRDS_PATH": str(self.root),
            "CRDS_OBSERVATORY": OBSERVATORY,
            "CRDS_SERVER_URL": self.server.url,
            "CRDSCACHE_SITE": str(self.home / "quick.yaml"),
            **self.more,
        }

    def line(self, command: str, *words: str) -> list[str | Path]:
        """Give the command line of a command of bin/."""
        return [self.checkout / "bin" / command, *words]

    def start(self, command: str, *words: str) -> subprocess.Popen[str]:
        """Start a command of bin/, without a terminal."""
        return start(self.line(command, *words), self.environ)

    def run(self, command: str, *words: str) -> Done:
        """Run a command of bin/ to its end, without a terminal."""
        return finish(self.start(command, *words))

    def snakemake(self, *words: str) -> Done:
        """Run snakemake by hand in the checkout."""
        program = CHECKOUT / ".venv" / "bin" / "snakemake"
        environ = self.environ | {"HOME": str(self.home), "PYTHONDONTWRITEBYTECODE": "1"}
        return finish(start([program, *words], environ, cwd=self.checkout))

    def default(self) -> str:
        """Name the default context that the saved configuration has."""
        saved = ast.literal_eval((self.config / "server_config").read_text())
        return str(saved["operational_context"])

    def copy_to(self, root: Path, server: Server) -> "Cache":
        """Make a copy of this cache that belongs to another server."""
        shutil.copytree(self.root, root, symlinks=True)
        copy = Cache(root.parent, server, root)
        stamp = copy.state / "identity.json"
        former = json.loads(stamp.read_text())["server_url"]
        for path in (stamp, copy.config / "server_config"):
            path.write_text(path.read_text().replace(former, server.url))
        return copy


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Make a directory that all workers share; nobody writes to it any more."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    place = base / name
    with FileLock(base / f"{name}.lock"):
        if not place.exists():
            making = factory.mktemp(name)
            make(making)
            making.rename(place)
    return place


def start(line: list[str | Path], environ: dict[str, str], cwd: Path = Path("/")) -> subprocess.Popen[str]:
    """Start a program that nobody watches, in a session of its own."""
    return subprocess.Popen(
        line,
        env=environ,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> Done:
    """Wait for a program to end."""
    out, err = process.communicate(timeout=90)
    return Done(process.returncode, out, err)


def wait_until(is_so: Callable[[], bool], timeout_s: float = 60) -> None:
    """Wait for what another process does."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def listing(*places: Path) -> dict[str, tuple[int, ...]]:
    """Map each path below some places to all that a write would change."""
    found: dict[str, tuple[int, ...]] = {}
    for place in places:
        for directory, folders, files in os.walk(place):
            for path in (Path(directory), *(Path(directory, name) for name in (*folders, *files))):
                status = path.lstat()
                found[str(path)] = (status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size)
    return found


def proper(cache: Cache) -> dict[str, tuple[int, ...]]:
    """List the cache proper, and the names in its root: what a run without work may not touch."""
    names: dict[str, tuple[int, ...]] = {path.name: () for path in cache.root.iterdir()}
    return names | listing(*(cache.root / folder for folder in ("mappings", "references", "config")))
