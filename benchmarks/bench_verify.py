"""The comprehensive check of files of 64 MB: SHA-1 on all cores, and again when nothing has changed."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import harness

sys.path.insert(0, str(harness.CHECKOUT))

from crdscache.cache import layout, tables, verify
from crdscache.contexts.records import ManifestRow
from demo import observatory
from demo.server import Server

N_FILES = 48
FILE_BYTES = 64 * 2**20
N_RUNS = 3
CONTEXT = "hst_0001.pmap"
CHECK = ("cron_sync", "--fetch-references", "--check-sha1sum", "--json")


def mapping(name: str, kind: str, reftype: str, named: list[str]) -> bytes:
    """Write a mapping that names some files."""
    header: dict[str, object] = {
        "derived_from": "written for a benchmark",
        "filekind": reftype.upper(),
        "instrument": "ACS",
        "mapping": kind,
        "name": name,
        "observatory": "HST",
        "parkey": ("DETECTOR",),
    }
    table = "".join(f"    {f'K{number}'!r} : {one!r},\n" for number, one in enumerate(named))
    return observatory.render(header, f"Match({{\n{table}}})" if kind == "REFERENCE" else f"{{\n{table}}}")


@contextmanager
def site() -> Iterator[harness.Site]:
    """Serve a context of a few large files."""
    names = [f"a{number:07}j_drk.fits" for number in range(N_FILES)]
    with Server.empty() as server, tempfile.TemporaryDirectory(prefix="crdscache-bench-") as place:
        rmap, imap = "hst_acs_darkfile_0001.rmap", "hst_acs_0001.imap"
        server.add_file(CONTEXT, mapping(CONTEXT, "PIPELINE", "", [imap]))
        server.add_file(imap, mapping(imap, "INSTRUMENT", "", [rmap]))
        server.add_file(rmap, mapping(rmap, "REFERENCE", "darkfile", names))
        for name in names:
            server.add_file(name, FILE_BYTES)
        server.archive.eras = [["2024-01-01 00:00:00", CONTEXT, "only"]]
        server.set_edit(CONTEXT)
        server.set_default(CONTEXT)
        yield harness.Site(server.url, Path(place))


def hashlib_alone(paths: list[Path]) -> float:
    """Sum files in one process by the standard library; gives seconds."""
    began = time.monotonic()
    for path in paths:
        with path.open("rb") as stream:
            hashlib.file_digest(stream, "sha1")
    return time.monotonic() - began


def one_shard(rows: list[ManifestRow], root: Path) -> None:
    """Do what one job of verify does, but for its start."""
    with tempfile.TemporaryDirectory() as scratch:
        verify.hash_shard(rows, layout.default_layout(root, "hst"), Path(scratch) / "hashes.tsv")


def in_shards(rows: list[ManifestRow], root: Path, n_shards: int) -> float:
    """Sum files in shards, side by side; gives seconds."""
    with ProcessPoolExecutor(n_shards) as processes:
        list(processes.map(abs, range(n_shards)))  # they have started
        began = time.monotonic()
        shards = verify.balance(rows, n_shards)
        list(processes.map(one_shard, shards, [root] * n_shards))
        return time.monotonic() - began


def read_bytes(site: harness.Site) -> int:
    """Run the check as an operator does, and tell how much it has read."""
    line = [str(harness.CHECKOUT / "bin" / CHECK[0]), *CHECK[1:]]
    done = subprocess.run(line, env=site.environ("ours"), capture_output=True, text=True, check=True)
    return int(json.loads(done.stdout)["verification"]["size_bytes"]["hashed"])


def main() -> None:
    """Measure the engine beside hashlib in one process, whole commands beside the peer's."""
    harness.introduce("SHA-1")
    with site() as served:
        root = served.place / "ours"
        served.ours("ours", "remote_cache_init")
        served.ours("ours", "cron_sync", "--fetch-references")
        rows = tables.read_manifest(root / ".crdscache" / "hst" / "manifest.tsv")
        large = [row for row in rows if row.size_bytes == FILE_BYTES]
        paths = [root / row.path for row in large]
        total_mb = len(large) * FILE_BYTES / 1e6
        hashlib_alone(paths)  # so that all is in memory
        alone_s = min(hashlib_alone(paths) for _ in range(N_RUNS))
        n_cores = len(os.sched_getaffinity(0))
        shards_s = min(in_shards(large, root, n_cores) for _ in range(N_RUNS))
        print(f"{len(large)} files of 64 MB, warm")
        print(f"  hashlib, one process   {total_mb / alone_s:8.0f} MB/s")
        print(f"  shards, {n_cores} processes    {total_mb / shards_s:8.0f} MB/s")
        print(f"  ratio                  {alone_s / shards_s:8.2f}   goal at least 1.7")
        again = ("--config", "verify_max_age_days=0")
        ours = served.ours("ours", *CHECK, *again)
        theirs = ("sync", "--contexts", CONTEXT, "--fetch-references", "--check-files", "--check-sha1sum")
        peer = served.peer("ours", *theirs)
        harness.show("whole command, all read again", [ours], [peer], "no goal of its own")
        n_bytes = read_bytes(served)
        timings = [served.ours("ours", *CHECK) for _ in range(N_RUNS)]
        start = served.ours("ours", "cron_sync", "--fetch-references")
        harness.show(f"nothing has changed: {n_bytes} bytes read", timings, None, "0 bytes; see bench_start")
        print(f"  of it the sync that comes first: {start.wall_s:.2f} s")


if __name__ == "__main__":
    main()
