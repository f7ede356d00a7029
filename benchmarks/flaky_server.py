"""Sync every few seconds from a server that cuts, stalls, lies and vanishes in turn, while its default moves.

Prints the lines of each run, as cron would mail them. Another process sums all that gets its final name.
The program ends with 0 when the cache is whole in the end and nothing wrong was ever visible.
"""

import argparse
import hashlib
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Event, Thread

import harness

sys.path.insert(0, str(harness.CHECKOUT))

from demo import faults, rpcfaults
from demo.server import Server
from tests.caches import OBSERVATORY, Cache
from tests.faults import chaos
from tests.invariants import check_invariants

PAUSE_S = 3
PER_CONTEXT = 100
MOST_LINES = 20  # of a mail
SITE = "shards: 2\nconnections: 4\ntries: 3\nbackoff_s: 0.1\nread_timeout_s: 2\nholdings: all\n"


def well(server: Server) -> None:
    """Answer rightly."""


def cuts(server: Server) -> None:
    """Cut more than half of the answers."""
    kinds = (
        faults.truncate(1000),
        faults.reset_in_body(700),
        faults.truncate_unframed(1000),
        faults.truncate_chunked(1000),
        faults.reset(),
    )
    server.faults.at_rate(dict.fromkeys(kinds, 12), names="*")


def stalls(server: Server) -> None:
    """Be silent in half of the answers."""
    kinds = (faults.stall(), faults.stall_in_headers(), faults.stall_in_body(700), faults.drip())
    server.faults.at_rate(dict.fromkeys(kinds, 12), names="*")


def lies(server: Server) -> None:
    """Answer more than half with what is wrong."""
    of_files = (
        faults.flip(9),
        faults.content_of(chaos.DECOY),
        faults.html(),
        faults.shorter(3),
        faults.longer_unframed(9),
    )
    of_calls = (
        faults.html(),
        rpcfaults.wrong_id(),
        rpcfaults.rpc_error(),
        rpcfaults.result(),
        rpcfaults.other_observatory(),
    )
    server.faults.at_rate(dict.fromkeys(of_files, 12))
    server.faults.at_rate(dict.fromkeys(of_calls, 12), names="get_*")


def vanishes(server: Server) -> None:
    """Be gone."""
    server.vanish()


PHASES: tuple[Callable[[Server], None], ...] = (cuts, stalls, well, lies, vanishes)


class Trial:
    """The server's bad days: each phase has a default context of its own, with more references."""

    def __init__(self, server: Server, n_phases: int, phase_s: float) -> None:
        self._server, self._phase_s = server, phase_s
        self.contexts = [f"hst_{number:04}.pmap" for number in range(n_phases + 1)]
        self.named = chaos.reference_names(PER_CONTEXT * (n_phases + 1))
        self.phase = "well"
        server.add_reference(chaos.DECOY, 2048)
        rmaps: list[str] = []
        for number, context in enumerate(self.contexts):
            part = self.named[PER_CONTEXT * number : PER_CONTEXT * (number + 1)]
            rmaps.append(chaos.add_rmap(server, number, part))
            chaos.add_context(server, context, rmaps)
        eras = [
            [f"2024-01-01 00:{number // 60:02}:{number % 60:02}", name, ""]
            for number, name in enumerate(self.contexts)
        ]
        server.archive.eras = eras[::-1]
        server.set_edit(self.contexts[-1])
        server.set_default(self.contexts[0])

    @contextmanager
    def under_way(self) -> Iterator[Thread]:
        """Go through the phases; in the end, all is well."""
        over = Event()
        thread = Thread(target=self._go_on, args=(over,))
        thread.start()
        try:
            yield thread
        finally:
            over.set()
            thread.join()

    def _go_on(self, over: Event) -> None:
        for number, context in enumerate(self.contexts[1:]):
            begin = PHASES[number % len(PHASES)]
            self.phase = begin.__name__
            self._server.set_default(context)
            begin(self._server)
            is_over = over.wait(self._phase_s)
            if begin is vanishes:
                self._server.come_back()
            self._server.faults.clear()
            if is_over:
                break
        self.phase = "well"


def watch(folders: list[str], sums: dict[str, str], over: Connection) -> None:
    """Sum each file that gets a final name, again if it is replaced; tells how many, and what was wrong."""
    seen: dict[str, tuple[int, int, int]] = {}
    n_summed, wrong = 0, []
    while not over.poll(0.01):
        for folder in folders:
            for entry in [entry for entry in os.scandir(folder) if entry.name in sums]:
                with suppress(FileNotFoundError):
                    status = entry.stat()
                    look = status.st_ino, status.st_mtime_ns, status.st_size
                    if seen.get(entry.name) == look:
                        continue
                    seen[entry.name], n_summed = look, n_summed + 1
                    if hashlib.sha1(Path(entry).read_bytes()).hexdigest() != sums[entry.name]:
                        wrong.append(entry.name)
    over.send((n_summed, wrong))


@contextmanager
def watched(cache: Cache) -> Iterator[Callable[[], tuple[int, list[str]]]]:
    """Let another process look on; what it gives ends that, and tells what was seen."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    sums = {record.name: record.file_sha1 for record in cache.server.archive.records.values()}
    process = spawn.Process(
        target=watch, args=([str(cache.mappings), str(cache.references)], sums, theirs), daemon=True
    )

    def end() -> tuple[int, list[str]]:
        ours.send("over")
        return ours.recv()

    process.start()
    yield end
    process.join()


def sync(cache: Cache, trial: Trial, began: float) -> int:
    """Sync once, and print what cron would mail; gives the status."""
    phase, start_s = trial.phase, time.monotonic() - began
    done = cache.run(*chaos.SYNC)
    told = (done.out + done.err).splitlines()
    took_s = time.monotonic() - began - start_s
    print(
        f"{start_s:6.0f} s  {phase:9} status {done.status} after {took_s:.1f} s, {len(told)} lines",
        flush=True,
    )
    for line in told:
        print(f"            {line}")
    check_invariants(cache.root, OBSERVATORY, cache.server)
    if done.status not in {0, 1, 3} or len(told) > MOST_LINES or "Traceback" in done.err:
        sys.exit("no run may end like this")
    return done.status


def main() -> None:
    """Do as a new user would who has found a bad server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--phase", type=float, default=12, metavar="SECONDS", help="how long each of them is")
    options = parser.parse_args()
    harness.introduce("flaky server")
    with Server.empty() as server, tempfile.TemporaryDirectory(prefix="crdscache-bench-") as place:
        trial = Trial(server, round(60 * options.minutes / options.phase), options.phase)
        cache = Cache(Path(place), server, Path(place) / "cache")
        (cache.home / "quick.yaml").write_text(SITE)
        cache.references.mkdir(parents=True)
        cache.run("remote_cache_init")
        began, ends = time.monotonic(), Counter()
        with watched(cache) as end:
            with trial.under_way() as phases:
                while phases.is_alive():
                    ends[sync(cache, trial, began)] += 1
                    phases.join(PAUSE_S)
            last = [sync(cache, trial, began) for _ in range(2)]
            n_summed, wrong = end()
        check_invariants(cache.root, OBSERVATORY, server, is_clean=True)
        n_here = sum((cache.references / name).is_file() for name in trial.named)
        is_whole = n_here == len(trial.named) and cache.default() == trial.contexts[-1]
    print(f"  runs by status: {dict(ends)}, then with a good server {last}")
    print(f"  {n_here} of {len(trial.named)} references here")
    print(f"  {n_summed} files summed as they came, {len(wrong)} wrong")
    if wrong or not is_whole or last[-1]:
        sys.exit(f"the cache is not whole, or was wrong: {wrong}")


if __name__ == "__main__":
    main()
