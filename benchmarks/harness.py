"""What the benchmarks share: a served observatory, caches to fill, commands timed beside those of the peer.

The peer is the missions' own client (`make client`). Both work against the same server in the same run, so
ratios count, whatever the machine.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
CLIENT = Path(os.environ.get("CRDSCACHE_TEST_CLIENT", CHECKOUT / ".venv-client" / "bin" / "crds"))
CONTEXT = "hst_0729.pmap"
PAYLOAD_BYTES = 2048


@dataclass(frozen=True, slots=True)
class Timing:
    """One command that ended well."""

    wall_s: float
    cpu_s: float  # of it and all its descendants
    largest_mb: float  # resident memory of its largest process
    together_mb: float  # of it and all its descendants, at most


@dataclass(frozen=True, slots=True)
class Site:
    """A server, and a directory for caches."""

    url: str
    place: Path

    def environ(self, cache: str) -> dict[str, str]:
        """Make the environment of a command that works on one cache."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("CRDS")}
        root = self.place / cache
        return {**kept, "CRDS_PATH": str(root), "CRDS_SERVER_URL": self.url, "CRDS_OBSERVATORY": "hst"}

    def ours(self, cache: str, *words: str, good: Sequence[int] = (0,)) -> Timing:
        """Time one of our commands."""
        return timed([str(CHECKOUT / "bin" / words[0]), *words[1:]], self.environ(cache), good)

    def peer(self, cache: str, *words: str) -> Timing:
        """Time a command of the missions' client."""
        (self.place / cache).mkdir(exist_ok=True)
        return timed([str(CLIENT), *words], self.environ(cache))


def timed(
    command: Sequence[str], environ: dict[str, str] | None = None, good: Sequence[int] = (0,)
) -> Timing:
    """Run a command to its good end, and time it.

    Parameters
    ----------
    good
        Statuses that a good end has.
    """
    # By a process of its own: a child's memory counts from that of its parent, which may hold a lot here.
    launcher = [sys.executable, "-I", str(CHECKOUT / "benchmarks" / "time_command.py")]
    told = subprocess.run([*launcher, *command], env=environ, capture_output=True, text=True, check=True)
    status, *figures = json.loads(told.stdout)
    if status not in good:
        sys.exit(f"{' '.join(command)} ended with {status}:\n{told.stderr[-2000:]}")
    return Timing(*figures)


@contextmanager
def sample(*, everything: bool = False) -> Iterator[Path]:
    """Make a directory that holds the sample cache of hst, or of all, as `data`: rules and catalogue."""
    unpack = CHECKOUT.parent / "shared" / "data" / "unpack.sh"
    if not unpack.exists() or not CLIENT.exists():
        sys.exit(
            "needed: the sample caches beside the checkout (../shared/data), and the client (make client)"
        )
    with tempfile.TemporaryDirectory(prefix="crdscache-bench-") as place:
        which = [] if everything else ["hst"]
        subprocess.run([unpack, Path(place) / "data", *which], check=True, stdout=subprocess.DEVNULL)
        yield Path(place)


@contextmanager
def site(latency_s: float = 0.0, prepare: Callable[[Path], None] | None = None) -> Iterator[Site]:
    """Serve the real hst rules with references of 2 KB each, from a process of its own.

    Parameters
    ----------
    latency_s
        Pause before each answer; others go on meanwhile.
    prepare
        Changes what is served, a directory laid out like a cache, before the server starts.
    """
    with sample() as place:
        if prepare is not None:
            prepare(place / "data")
        words = [sys.executable, "-m", "demo.server", str(place / "data"), "--observatory", "hst"]
        words += ["--cap", str(PAYLOAD_BYTES), "--latency", str(latency_s)]
        environ = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
        server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environ)
        try:
            url = server.stdout.readline().strip() if server.stdout else ""
            yield Site(url, place)
        finally:
            server.terminate()
            server.wait()


def curl(site: Site, names: Sequence[str], *options: str) -> Timing:
    """Fetch references with curl, without sums and without fsync: the floor."""
    target = site.place / "curl"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    base = f"{site.url}/unchecked_get/references/hst/"
    urls = site.place / "urls"
    urls.write_text("".join(f'url = "{base}{name}"\noutput = "{target / name}"\n' for name in names))
    return timed(["curl", "--silent", "--fail", *options, "--config", str(urls)])


def references(site: Site, cache: str) -> list[Path]:
    """List the references of one of the caches."""
    return sorted(path for path in (site.place / cache / "references" / "hst").iterdir() if path.is_file())


def show(work: str, ours: Sequence[Timing], peer: Sequence[Timing] | None, goal: str) -> None:
    """Print the best of several runs of each side, and their ratio."""
    best = min(ours, key=lambda timing: timing.wall_s)
    print(f"{work}")
    print(
        f"  ours  {best.wall_s:8.2f} s wall {best.cpu_s:8.2f} s cpu {largest(ours):6.0f} MB largest process"
    )
    if peer:
        other = min(peer, key=lambda timing: timing.wall_s)
        print(f"  peer  {other.wall_s:8.2f} s wall {other.cpu_s:8.2f} s cpu {largest(peer):6.0f} MB")
        print(f"  ratio {best.wall_s / other.wall_s:8.3f}")
    print(f"  goal  {goal}")


def largest(timings: Sequence[Timing]) -> float:
    """Give the memory of the largest process, in MB."""
    return max(timing.largest_mb for timing in timings)


def introduce(title: str) -> None:
    """Say what is measured, where and when."""
    cores = len(os.sched_getaffinity(0))
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    print(f"{title}: {now}, {cores} cores, {system}")
