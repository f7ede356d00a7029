"""Large files on loopback, SHA-1 and fsync included; beside curl, one after another, and dd."""

import os
import re
import shutil
import sys
import time
from pathlib import Path

import harness

sys.path.insert(0, str(harness.CHECKOUT))

from demo.content import Content, record_of
from demo.server import Server

SIZE_BYTES, N_FILES = 64 * 2**20, 20
TYPE = ("wfc3", "flshfile")  # has 24 files in this context
FETCH = ("--contexts", harness.CONTEXT, "--instruments", TYPE[0], "--types", TYPE[1], "--fetch-references")


def main() -> None:
    """Run ours, the peer's, curl and dd in turn."""
    harness.introduce("large files")
    with harness.sample() as place, Server(place / "data", "hst", cap_bytes=harness.PAYLOAD_BYTES) as server:
        site = harness.Site(server.url, place)
        site.ours("ours", "remote_cache_init", "--contexts", harness.CONTEXT)
        names = make_large(server, place)
        ours, transfers_s = [], []
        for _ in range(3):
            shutil.rmtree(place / "ours" / "references", ignore_errors=True)
            ours.append(site.ours("ours", "cron_sync", *FETCH))
            transfers_s.append(transfers(place / "ours"))
        peer = [site.peer("peer", "sync", "--files", *names)]
        floor = [harness.curl(site, names) for _ in range(3)]
        disk_s = min(dd(place) for _ in range(3))
    total_mb = N_FILES * SIZE_BYTES / 1e6
    harness.show(f"{N_FILES} files of 64 MB, start and plan included", ours, peer, "-")
    rates = {
        "ours, the transfers": total_mb / min(transfers_s),
        "the peer, its start included": total_mb / peer[0].wall_s,
        "curl, one after another": total_mb / min(one.wall_s for one in floor),
        "dd conv=fsync": total_mb / disk_s,
    }
    for name, rate in rates.items():
        print(f"  {name:30} {rate:6.0f} MB/s")
    slower = min(rates["curl, one after another"], rates["dd conv=fsync"])
    print(f"  ratio {rates['ours, the transfers'] / slower:8.3f}")
    print("  goal  at least 0.9 x the slower of curl and dd")


def make_large(server: Server, place: Path) -> list[str]:
    """Put large files in the place of references that the rules of one type name."""
    (rmap,) = (place / "ours" / "mappings" / "hst").glob(f"hst_{TYPE[0]}_{TYPE[1]}_*.rmap")
    named = sorted(set(re.findall(r"'(\w+\.fits)'", rmap.read_text())) & server.archive.records.keys())
    large = place / "large"
    large.mkdir()
    for name in named[:N_FILES]:
        (large / name).write_bytes(os.urandom(SIZE_BYTES))
        content = Content(name, SIZE_BYTES, large / name)
        server.archive.put(content, record_of(content))
    return named[:N_FILES]


def transfers(root: Path) -> float:
    """Tell how long the fetch jobs of the last run took together, from the first start to the last end."""
    state = root / ".crdscache" / "hst"
    starts = min(path.stat().st_mtime for path in (state / "logs").glob("fetch-*.log"))  # no line came later
    return max(path.stat().st_mtime for path in (state / "fetched").glob("*.tsv")) - starts


def dd(place: Path) -> float:
    """Time the same bytes onto the same disk."""
    began = time.perf_counter()
    for source in sorted((place / "large").iterdir()):
        target = place / "curl" / f"{source.name}.dd"
        harness.timed(["dd", f"if={source}", f"of={target}", "bs=1M", "conv=fsync"])
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
