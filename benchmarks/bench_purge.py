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

from crdscache.cache import keep, layout, locks, removal
from crdscache.cache.purge import Estimate, PurgeRow
from crdscache.contexts.records import Kind

SNAKEMAKE = harness.CHECKOUT / ".venv" / "bin" / "snakemake"
N_GO = 6000
CONTEXTS = ("--contexts", harness.CONTEXT)
PURGE = ("cron_sync", *CONTEXTS, "--purge-references", "--max-purge", "100")
N_RUNS = 3


def fill(site: harness.Site) -> None:
    """Make a cache of all contexts' rules in which some 6,000 references are needed by no kept context."""
    site.ours("ours", "remote_cache_init")
    site.ours("ours", "cron_sync", "--all", "--fetch-references")
    rows = rows_to_go(site)
    for path in rows[N_GO:]:
        (site.place / "ours" / path).unlink()
    for name in ("peer", "bare"):
        shutil.copytree(site.place / "ours", site.place / name, ignore=shutil.ignore_patterns(".crdscache"))


def rows_to_go(site: harness.Site) -> list[str]:
    """Name what an estimate names: the plan that it leaves."""
    site.ours("ours", *PURGE, "--dry-run")
    directory = site.place / "ours" / ".crdscache" / "hst" / "purge"
    plan = json.loads((directory / "estimate.json").read_text())["plan"]
    return [line.split("\t")[0] for line in (directory / f"{plan}.tsv").read_text().splitlines()[2:]]


def count(root: Path) -> int:
    """Count the references of a cache."""
    return sum(1 for _ in (root / "references" / "hst").iterdir())


def by_hand(site: harness.Site) -> harness.Timing:
    """Time the target, started by hand."""
    words = ["--config", f"contexts=[{harness.CONTEXT}]", "purge_references=true"]
    line = [str(SNAKEMAKE), "purge_estimate", *words]
    environ = site.environ("ours") | {"HOME": str(site.place)}
    return harness.timed(["env", "-C", str(harness.CHECKOUT), *line], environ)


def remove_s(paths: list[Path]) -> float:
    """Time `rm` of files."""
    began = time.perf_counter()
    subprocess.run(["xargs", "-0", "rm"], input="\0".join(map(str, paths)), text=True, check=True)
    return time.perf_counter() - began


def removing_s(root: Path, paths: list[str]) -> float:
    """Time the moving alone, under the locks of the readers."""
    cache = layout.default_layout(root, "hst")
    status = {path: (root / path).lstat() for path in paths}
    rows = tuple(
        PurgeRow(path, Kind.REFERENCE, "", "", "", s.st_size, 0, s.st_ino, s.st_nlink, s.st_mtime_ns)
        for path, s in status.items()
    )
    made = Estimate("p0", keep.Kept({}, frozenset()), rows, (), len(rows), 0, (), (), ())
    with locks.WriterLock(cache, "bench", "bench"):
        began = time.perf_counter()
        deed = removal.carry_out(cache, made, "bench", ignores_leases=False)
        taken = time.perf_counter() - began
    if deed.n_files != len(rows):
        sys.exit(f"{deed.n_files} of {len(rows)} files went")
    return taken


def main() -> None:
    """Fill the caches, then estimate, purge, and restore."""
    harness.introduce("purge")
    with harness.site() as site:
        fill(site)
        root = site.place / "ours"
        n_before = count(root)
        print(f"{n_before} references, {len(list((root / 'mappings/hst').glob('*.pmap')))} contexts")
        peers = ("sync", *CONTEXTS, "--purge-references")
        pairs = [
            (site.ours("ours", *PURGE, "--dry-run"), site.peer("peer", *peers, "--dry-run"))
            for _ in range(N_RUNS)
        ]
        ours, peer = (list(side) for side in zip(*pairs, strict=True))
        harness.show("estimate by the command", ours, peer, "at most 1.5 x")
        hand = [by_hand(site) for _ in range(N_RUNS)]
        harness.show("estimate by the target, Snakemake's start included", hand, peer, "at most 1.5 x")
        paths = rows_to_go(site)
        purged, by_peer = site.ours("ours", *PURGE), site.peer("peer", *peers)
        left = count(root), count(site.place / "peer")
        print(f"{n_before - left[0]} references went; of the peer's {n_before - left[1]}")
        harness.show("purge, a sync with nothing to do included", [purged], [by_peer], "at most 1.2 x")
        (run,) = (path.name for path in (root / ".crdscache/hst/trash").iterdir())
        back = site.ours("ours", "cron_sync", "--restore", run)
        print(f"restore of {len(paths)} files: {back.wall_s:.2f} s; goal 1 s per 1,000 files")
        rm_s = remove_s([site.place / "bare" / path for path in paths])
        own_s = removing_s(root, paths)
        print(
            f"removing alone {own_s:.2f} s, rm of the same files {rm_s:.2f} s: {own_s / rm_s:.2f} x; goal 2 x"
        )


if __name__ == "__main__":
    main()
