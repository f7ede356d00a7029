"""Sync many small references from a server that lies in every way that rows N of the fault matrix know.

After each run all that has its final name is summed. The program ends with 0 when the cache is whole, nothing
wrong was ever visible and each kind of fault was played; tests/faults/test_chaos.py does so with few files.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import harness

sys.path.insert(0, str(harness.CHECKOUT))

from tests.caches import OBSERVATORY, Cache
from tests.faults import chaos
from tests.invariants import check_invariants


def main() -> None:
    """Run it, and tell each run and how often what was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--percent", type=int, default=4, help="of the files, each with up to five faults")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=40, help="the most that it may take")
    options = parser.parse_args()
    harness.introduce(f"chaos, seed {options.seed}")
    with (
        chaos.serve(options.files) as server,
        tempfile.TemporaryDirectory(prefix="crdscache-bench-") as place,
    ):
        named = chaos.reference_names(options.files)
        cache = Cache(Path(place), server, Path(place) / "cache")
        chaos.set_up(cache, cache.run)
        n_before = server.requests.total()
        chaos.lie(server, chaos.new_ones(named), options.files * options.percent // 100, seed=options.seed)
        runs = chaos.until_whole(cache, cache.run, named, most=options.runs)
        began, run = time.monotonic(), None
        for number, run in enumerate(runs, start=1):
            here = f"{run.n_here:6} of {len(named)} here, none wrong"
            print(f"  run {number:2}  status {run.status}  {run.took_s:6.1f} s  {here}", flush=True)
        check_invariants(cache.root, OBSERVATORY, server, is_clean=True)
        played = chaos.played(server)
        n_replies = server.requests.total() - n_before
    for kind in chaos.KINDS:
        print(f"  {played[kind]:6}  {kind}")
    share = 100 * played.total() / n_replies
    print(
        f"  {played.total()} of {n_replies} replies faulty ({share:.1f} %), {time.monotonic() - began:.0f} s"
    )
    if run is None or run.n_here < len(named) or run.status or not all(played[kind] for kind in chaos.KINDS):
        sys.exit("the cache is not whole, or a kind of fault was never played")


if __name__ == "__main__":
    main()
