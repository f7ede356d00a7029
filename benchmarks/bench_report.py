"""The page for people over 40,000 references of 2 KB: how long it takes with its plots, how large it is."""

import sys
import tempfile
from pathlib import Path

import harness

sys.path.insert(0, str(harness.CHECKOUT))

from tests.faults import chaos

N_FILES = 40_000
N_RUNS = 3
GOAL_S, GOAL_BYTES = 15, 5_000_000


def main() -> None:
    """Fill a cache, add a tenth of dark files, which make long tables, and make the page some times."""
    harness.introduce("report")
    with tempfile.TemporaryDirectory(prefix="crdscache-bench-") as place, chaos.serve(N_FILES) as server:
        site = harness.Site(server.url, Path(place))
        site.ours("ours", "remote_cache_init", "--contexts", chaos.NEW)
        site.ours("ours", "cron_sync", "--contexts", chaos.NEW, "--fetch-references")
        for number in range(N_FILES // 10):
            (Path(place) / "ours" / "references" / "hst" / f"dark{number:06}_drk.fits").write_bytes(b"dark")
        timings = [site.ours("ours", "cache_report") for _ in range(N_RUNS)]
        page = Path(place) / "ours" / ".crdscache" / "hst" / "readers" / "report" / "report.html"
        harness.show(f"cache_report over {N_FILES} references", timings, None, f"{GOAL_S} s")
        print(f"  page  {page.stat().st_size / 1e6:8.2f} MB")
        print(f"  goal  {GOAL_BYTES / 1e6:8.2f} MB")


if __name__ == "__main__":
    main()
