"""A purge: its estimate over 36,000 files and the 60 packed contexts of hst, the deed, the way back.

The peer purges a copy of the same cache. What removing alone takes is compared with `rm` of the same files.
"""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import harness

sys.path.insert(0, str(harness.CHECKOUT))

from crdscache.cache import keep, layout, locks, removal, restore, tables
from crdscache.cache.purge import Estimate, PurgeRow
from crdscache.contexts.records import Kind

SNAKEMAKE = harness.CHECKOUT / ".venv" / "bin" / "snakemake"
LAST = "40"  # of the contexts: some 6,000 references go
PURGE = ("cron_sync", "--last", LAST, "--purge-references", "--max-purge", "100", "--config", "keep_default_days=0")
N_RUNS = 3


def fill(site: harness.Site) -> None:
    """Make a cache with all references of all contexts, and copies of it."""
    site.ours("ours", "remote_cache_init")
    site.ours("ours", "cron_sync", "--all", "--fetch-references")
    for name in ("peer", "bare"):
        shutil.copytree(site.place / "ours", site.place / name, ignore=shutil.ignore_patterns(".crdscache"))


def count(root: Path) -> int:
    """Count the references of a cache."""
    return sum(1 for _ in (root / "references" / "hst").iterdir())


def by_hand(site: harness.Site, *words: str) -> harness.Timing:
    """Time the workflow, started by hand."""
    line = [str(SNAKEMAKE), *words, "--config", "last_n_contexts=" + LAST, "purge_references=true"]
    environ = site.environ("ours") | {"HOME": str(site.place)}
    return harness.timed(["env", "-C", str(harness.CHECKOUT), *line], environ, good=(0, 1))


def rows_of(root: Path) -> list[tuple[str, int]]:
    """Read the plan that the last estimate wrote: paths and lengths."""
    state = root / ".crdscache" / "hst"
    plan = json.loads((state / "purge" / "estimate.json").read_text())["plan"]
    text = (state / "purge" / f"{plan}.tsv").read_text().splitlines()[2:]
    return [(cells[0], int(cells[5])) for cells in (line.split("\t") for line in text)]


def remove_s(paths: list[Path]) -> float:
    """Time `rm` of files."""
    began = time.perf_counter()
    subprocess.run(["xargs", "-0", "rm"], input="\0".join(map(str, paths)), text=True, check=True)
    return time.perf_counter() - began


def main() -> None:
    """Fill the caches, then estimate, purge, and restore."""
    harness.introduce("purge")
    with harness.site() as site:
        fill(site)
        root = site.place / "ours"
        print(f"{count(root)} references, {len(list((root / 'mappings/hst').glob('*.pmap')))} contexts")
        good = (0, 1)
        sync = ("sync", "--last-n-contexts", LAST, "--purge-references")
        pairs = [
            (site.ours("ours", *PURGE, "--dry-run", good=good), site.peer("peer", *sync, "--dry-run"))
            for _ in range(N_RUNS)
        ]
        ours, peer = (list(side) for side in zip(*pairs, strict=True))
        hand = [by_hand(site, "purge_estimate") for _ in range(N_RUNS)]
        harness.show("estimate by the command", ours, peer, "at most 1.5 x")
        harness.show("estimate by the target, Snakemake's start included", hand, peer, "at most 1.5 x")
        rows = rows_of(root)
        n_before = count(root)
        purged, by_peer = [site.ours("ours", *PURGE)], [site.peer("peer", *sync)]
        print(f"{n_before - count(root)} of {n_before} went; of the peer's {n_before - count(site.place / 'peer')}")
        harness.show("purge, sync with nothing to do included", purged, by_peer, "at most 1.2 x")
        rm_s = remove_s([site.place / "bare" / path for path, _ in rows])
        (run,) = (path.name for path in (root / ".crdscache/hst/trash").iterdir())
        back = site.ours("ours", "cron_sync", "--restore", run)
        print(f"restore of {len(rows)} files: {back.wall_s:.2f} s; goal 1 s per 1,000 files")
        print(f"rm of the same files {rm_s:.2f} s, the removing alone {removing_s(root, rows):.2f} s; goal 2 x")


def removing_s(root: Path, rows: list[tuple[str, int]]) -> float:
    """Time the moving alone, under the locks of the readers."""
    cache = layout.default_layout(root, "hst")
    status = {path: (root / path).lstat() for path, _ in rows}
    named = tuple(
        PurgeRow(path, Kind.REFERENCE, "", "", "", s.st_size, 0, s.st_ino, s.st_nlink, s.st_mtime_ns)
        for path, s in status.items()
    )
    kept = keep.Kept({}, frozenset())
    made = Estimate("p0", kept, named, (), len(rows), 0, (), (), ())
    with locks.WriterLock(cache, "bench", "bench"):
        began = time.perf_counter()
        deed = removal.carry_out(cache, made, "bench", ignores_leases=False)
        taken = time.perf_counter() - began
    if deed.n_files != len(rows) or restore.bins(cache)[-1].n_files != len(rows):
        sys.exit(f"{deed.n_files} of {len(rows)} files went")
    return taken


if __name__ == "__main__":
    main()
