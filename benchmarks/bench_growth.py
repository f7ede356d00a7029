"""Growth: 10,000, 20,000 and 40,000 references of 2 KB; twice the files, little more than twice the time."""

import itertools
import sys
import tempfile
from pathlib import Path

import harness

sys.path.insert(0, str(harness.CHECKOUT))

from tests.faults import chaos

COUNTS = (10_000, 20_000, 40_000)
FETCH = ("cron_sync", "--contexts", chaos.NEW, "--fetch-references")


def main() -> None:
    """Fill a cache of each size, and look at it again when there is nothing to do."""
    harness.introduce("growth")
    fetched, idle = [], []
    for n_files in COUNTS:
        with (
            tempfile.TemporaryDirectory(prefix="crdscache-bench-") as place,
            chaos.serve(n_files) as server,
        ):
            site = harness.Site(server.url, Path(place))
            site.ours("ours", "remote_cache_init", "--contexts", chaos.NEW)
            fetched.append(site.ours("ours", *FETCH))
            idle.append(min((site.ours("ours", *FETCH) for _ in range(3)), key=lambda one: one.wall_s))
    for what, timings in (("fetch", fetched), ("nothing to do", idle)):
        print(what)
        for n_files, one in zip(COUNTS, timings, strict=True):
            print(f"  {n_files:6} files  {one.wall_s:7.2f} s wall {one.largest_mb:6.0f} MB largest process")
        pairs = itertools.pairwise(timings)
        print("  ratios " + ", ".join(f"{after.wall_s / before.wall_s:.2f}" for before, after in pairs))
    print("  goal   at most 2.2")


if __name__ == "__main__":
    main()
