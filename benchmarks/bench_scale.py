"""Growth: references from 1,000 to 40,000, plans of 40,000 to 420,000, data sets from 10,000 to a million.

    python benchmarks/bench_scale.py files plans
    python benchmarks/bench_scale.py datasets --least 10000000 --most 10000000

Each row has its ratio to the row before, and the exponent: 1 is as much more time as there is more to do.
"""

import argparse
import math
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import affected
import bestrefs
import harness
from bench_context_list import SNAKEMAKE
from harness import Timing

from tests.faults import chaos

FILES = (1_000, 10_000, 20_000, 40_000)
PLANS = (40_000, 120_000, 420_000)
DATASETS = (10_000, 100_000, 1_000_000, 10_000_000)
CONTEXTS = ("--contexts", chaos.NEW)
FETCH = ("cron_sync", *CONTEXTS, "--fetch-references")
N_RUNS = 3  # of what takes little


def of_files(n_files: int) -> dict[str, Timing]:
    """Fill a cache with references of 2 KB each, and do with it all that an operator does."""
    with tempfile.TemporaryDirectory(prefix="crdscache-bench-") as place, chaos.serve(n_files) as server:
        site = harness.Site(server.url, Path(place))
        site.ours("ours", "remote_cache_init", *CONTEXTS)
        return {
            "fetch": site.ours("ours", *FETCH),
            "nothing to do": best(site, *FETCH),
            "check of lengths (`--check-files`)": best(site, *FETCH, "--check-files"),
            "all bytes read (`--check-sha1sum`)": site.ours(
                "ours", *FETCH, "--check-sha1sum", "--config", "verify_max_age_days=0"
            ),
            "estimate of a purge": best(site, "cron_sync", *CONTEXTS, "--purge-references", "--dry-run"),
            "context list (target)": listed(site),
        }


def of_plans(n_files: int) -> dict[str, Timing]:
    """Plan for references that are missing, then for as many that are there, of right length only."""
    with tempfile.TemporaryDirectory(prefix="crdscache-bench-") as place, chaos.serve(n_files) as server:
        site = harness.Site(server.url, Path(place))
        site.ours("ours", "remote_cache_init", *CONTEXTS)
        missing = site.ours("ours", *FETCH, "--dry-run")
        directory = site.place / "ours" / "references" / "hst"
        directory.mkdir(parents=True, exist_ok=True)
        for name in chaos.reference_names(n_files):
            path = directory / name
            path.touch()
            os.truncate(path, harness.PAYLOAD_BYTES)
        return {
            "plan, all missing (`--dry-run`)": missing,
            "the first run that finds all there": site.ours("ours", *FETCH),
            "plan, all there: nothing to do": best(site, *FETCH),
            "estimate of a purge of what is there": best(
                site, "cron_sync", *CONTEXTS, "--purge-references", "--dry-run"
            ),
        }


def best(site: harness.Site, *words: str) -> Timing:
    """Give the best of several runs."""
    return min((site.ours("ours", *words) for _ in range(N_RUNS)), key=lambda one: one.wall_s)


def listed(site: harness.Site) -> Timing:
    """Time the target that lists a context, started by hand."""
    environ = site.environ("ours") | {"HOME": str(site.place)}
    target = f"contexts/{chaos.NEW}.sha1"
    return harness.timed(["env", "-C", str(harness.CHECKOUT), str(SNAKEMAKE), target], environ)


def of_datasets(n_datasets: int) -> dict[str, Timing]:
    """Compare a usual change and a far one over a made-up archive in SQLite."""
    with bestrefs.serverless() as site:
        url = affected.make_catalogue(site, n_datasets)
        return {
            f"{what} change, {pair[0]} to {pair[1]}": compared(site, url, pair)
            for what, pair in (("usual", affected.USUAL), ("far", affected.FAR))
        }


def compared(site: harness.Site, url: str, pair: tuple[str, str]) -> Timing:
    """Time the whole command; undetermined data sets end it with 1."""
    words = ["--old-context", pair[0], "--new-context", pair[1], "--catalog", url]
    output = ["--output", str(site.place / "out")]
    return site.ours(bestrefs.CACHE, "affected_datasets", *words, *output, good=(0, 1))


PARTS: dict[str, tuple[Sequence[int], Callable[[int], dict[str, Timing]]]] = {
    "files": (FILES, of_files),
    "plans": (PLANS, of_plans),
    "datasets": (DATASETS, of_datasets),
}


def show(unit: str, measured: Sequence[tuple[int, dict[str, Timing]]]) -> None:
    """Print a table for each measure."""
    for what in measured[0][1]:
        print(
            f"\n{what}\n\n| {unit} | s | MB in all | MB largest | ratio | exponent |\n" + "| --- " * 6 + "|"
        )
        before: tuple[int, float] | None = None
        for n, timings in measured:
            one = timings[what]
            grown = ""
            if before is not None:
                ratio = one.wall_s / before[1]
                grown = f"{ratio:.2f} | {math.log(ratio) / math.log(n / before[0]):.2f}"
            memory = f"{one.together_mb:.0f} | {one.largest_mb:.0f}"
            print(f"| {n:,} | {one.wall_s:.2f} | {memory} | {grown or ' | '} |")
            before = n, one.wall_s


def main() -> None:
    """Measure what was asked for, else all up to the usual sizes."""
    how = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=how)
    parser.add_argument("parts", nargs="*", default=[*PARTS], metavar="|".join(PARTS))
    parser.add_argument("--least", type=int, default=0, help="leave out smaller sizes")
    parser.add_argument("--most", type=int, default=1_000_000, help="leave out larger ones")
    options = parser.parse_args()
    if not PARTS.keys() >= {*options.parts}:
        parser.error(f"parts are {', '.join(PARTS)}")
    harness.introduce("growth")
    for part in options.parts:
        sizes, measure = PARTS[part]
        show(part, [(n, measure(n)) for n in sizes if options.least <= n <= options.most])
    print("\ngoals: exponent at most 1.1; twice the files at most 2.2 x")
    print("10 million data sets, usual change: under 300 s, below 2,000 MB in all")


if __name__ == "__main__":
    main()
