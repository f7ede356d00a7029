"""Adoption of 24,519 references by link from a tree of 40,000 files, as the first run of a new cache."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import harness

sys.path.insert(0, str(harness.CHECKOUT))

from crdscache.cache import tables
from crdscache.contexts.records import Kind

N_IN_TREE = 40_000
N_FOLDERS = 8  # iref, jref, ...
ARGUMENTS = ("--contexts", harness.CONTEXT, "--fetch-references")


def make_tree(tree: Path, cache: Path) -> int:
    """Make a tree as a site has it: what the context needs, and as many others as it takes."""
    rows = tables.read_manifest(cache / ".crdscache" / "hst" / "manifest.tsv")
    sizes = {row.name: row.size_bytes or 0 for row in rows if row.kind is Kind.REFERENCE}
    others = {f"q{number:07}q_old.fits": 100 for number in range(N_IN_TREE - len(sizes))}
    for number in range(N_FOLDERS):
        (tree / f"ref{number}").mkdir(parents=True)
    for number, (name, size_bytes) in enumerate((sizes | others).items()):
        path = tree / f"ref{number % N_FOLDERS}" / name
        with path.open("wb") as stream:
            stream.truncate(size_bytes)
    return len(sizes)


def by_hand(tree: Path, place: Path) -> float:
    """Link all files of the tree as the old proposal has it; gives seconds."""
    place.mkdir()
    loop = f'for each in {tree}/*/*; do ln -s "$each" {place}; done'
    began = time.monotonic()
    subprocess.run(["sh", "-c", loop], check=True)
    return time.monotonic() - began


def main() -> None:
    """Plan, to know the names; make the tree; adopt in each way, and link by hand."""
    harness.introduce("adoption")
    with harness.site() as site, tempfile.TemporaryDirectory(prefix="crdscache-bench-") as place:
        site.ours("ours", "remote_cache_init", "--contexts", harness.CONTEXT)
        environ = site.environ("ours") | {"CRDS_OBSERVATORY": "hst"}
        words = [".venv/bin/snakemake", "estimate", "--config", "fetch_references=True"]
        subprocess.run(words, cwd=harness.CHECKOUT, env=environ, check=True, capture_output=True)
        tree = Path(place) / "tree"
        n_wanted = make_tree(tree, site.place / "ours")
        print(f"{n_wanted} of {N_IN_TREE} files are wanted")
        for mode in ("symlink", "hardlink"):
            cache = f"by-{mode}"
            shutil.copytree(site.place / "ours", site.place / cache)
            timing = site.ours(cache, "cron_sync", *ARGUMENTS, "--adopt", str(tree), "--adopt-mode", mode)
            held = sum(len(files) for _, _, files in os.walk(site.place / cache / "references" / "hst"))
            if held != n_wanted:
                sys.exit(f"{held} references are here, {n_wanted} were expected")
            harness.show(f"by {mode}, {n_wanted} links", [timing], None, "under 10 s, 0 bytes downloaded")
        seconds = by_hand(tree, Path(place) / "by-hand")
        print(f"peer: the loop of the old proposal, ln -s for each of {N_IN_TREE} files: {seconds:.1f} s")


if __name__ == "__main__":
    main()
