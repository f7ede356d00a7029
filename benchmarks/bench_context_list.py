"""A context list of hst_0729, with 24,519 references, by the target; `sha1sum -c` of it as peer."""

import subprocess
import sys
import time

import harness

SNAKEMAKE = harness.CHECKOUT / ".venv" / "bin" / "snakemake"
TARGET = f"contexts/{harness.CONTEXT}.sha1"
N_RUNS = 5


def by_hand(site: harness.Site, *words: str) -> harness.Timing:
    """Time the workflow, started by hand."""
    environ = site.environ("ours") | {"HOME": str(site.place)}
    return harness.timed(["env", "-C", str(harness.CHECKOUT), str(SNAKEMAKE), *words], environ)


def check_s(site: harness.Site) -> float:
    """Time `sha1sum -c` of the list."""
    root = site.place / "ours"
    began = time.perf_counter()
    subprocess.run(
        ["sha1sum", "-c", "--strict", "--quiet", root / ".crdscache" / "hst" / TARGET], cwd=root, check=True
    )
    return time.perf_counter() - began


def main() -> None:
    """Fill a cache, then list it and read it, in turn with Snakemake's start."""
    harness.introduce("context list")
    with harness.site() as site:
        site.ours("ours", "remote_cache_init", "--contexts", harness.CONTEXT)
        site.ours("ours", "cron_sync", "--contexts", harness.CONTEXT, "--fetch-references")
        pairs = [(by_hand(site, TARGET), by_hand(site, "-n", TARGET)) for _ in range(N_RUNS)]
        ours, start = (list(side) for side in zip(*pairs, strict=True))
        harness.show(f"{TARGET}; peer: Snakemake's start (-n)", ours, start, "less than 1 s beyond it")
        beyond_s = min(each.wall_s for each in ours) - min(each.wall_s for each in start)
        print(f"  {beyond_s:.2f} s beyond it")
        again = [site.ours("ours", "cache_config", "--tree-hash") for _ in range(N_RUNS)]
        harness.show("cache_config --tree-hash, all files read", again, None, "none set")
        print(f"  sha1sum -c of the list, one core: {min(check_s(site) for _ in range(N_RUNS)):.2f} s")


if __name__ == "__main__":
    sys.exit(main())
