"""Affected data sets: 814,000 of hst in SQLite, a usual change of context and a far one; and no change."""

import json
import shutil
import time

import affected
import bestrefs
import harness

from crdscache.affected import compare, difference, population
from crdscache.bestrefs.choose import Chooser
from crdscache.cache import rules
from crdscache.datasets.database import Database

N_DATASETS = 814_000
N_OF_PEER = 2_000  # as many are enough for its rate
N_RUNS = 3


def main() -> None:
    """Time the command, its start and Snakemake's included; the peer's rate beside it, its start left out."""
    harness.introduce("affected data sets")
    with bestrefs.serverless() as site:
        url = affected.make_catalogue(site, N_DATASETS)
        usual = run(site, url, affected.USUAL, N_RUNS, "under 20 s")
        rate, looked_at, found = affected.peer_rate(site, url, affected.USUAL, "wfc3", N_OF_PEER)
        affected.require_same_products(
            "usual change", (site.place / "out" / "ids.txt").read_text().split(), found, looked_at
        )
        show_rate("wfc3, two types", n_looked_at(site), usual, rate)
        alone(site, url, "wfc3", rate)
        far = run(site, url, affected.FAR, 1, "under 300 s, memory below 1,500 MB")
        rates = {
            name: affected.peer_rate(site, url, affected.FAR, name, N_OF_PEER)[0]
            for name in instruments(site)
        }
        peer_s = sum(n / rates[name] for name, n in instruments(site).items())
        show_rate("all that differs", n_looked_at(site), far, n_looked_at(site) / peer_s)
        nothing(site)


def run(site: harness.Site, url: str, pair: tuple[str, str], n_runs: int, goal: str) -> harness.Timing:
    """Time the whole command; give the best run."""
    words = ["--old-context", pair[0], "--new-context", pair[1], "--catalog", url]
    timings = []
    for _ in range(n_runs):
        shutil.rmtree(site.place / "out", ignore_errors=True)
        output = ["--output", str(site.place / "out")]
        timings.append(site.ours(bestrefs.CACHE, "affected_datasets", *words, *output, good=(0, 1)))
    harness.show(f"{pair[0]} to {pair[1]}, best of {n_runs}", timings, None, goal)
    return min(timings, key=lambda timing: timing.wall_s)


def instruments(site: harness.Site) -> dict[str, int]:
    """Tell how many data sets of each instrument were looked at."""
    summary = json.loads((site.place / "out" / "summary.json").read_text())
    return {
        tally["instrument"]: tally["n_datasets"]
        for step in summary["steps"]
        for tally in step["tallies"]
        if tally["n_datasets"]
    }


def n_looked_at(site: harness.Site) -> int:
    """Tell how many data sets the last comparison looked at."""
    return sum(instruments(site).values())


def show_rate(what: str, n_datasets: int, ours: harness.Timing, peer_rate: float) -> None:
    """Print both rates: ours of the whole command, the peer's of the comparison alone."""
    rate = n_datasets / ours.wall_s
    print(f"  {what}: {n_datasets:,} looked at, ours {rate:,.0f}/s, peer {peer_rate:,.0f}/s", end=", ")
    print(f"ratio {rate / peer_rate:.1f}; goal 100")


def alone(site: harness.Site, url: str, instrument: str, peer_rate: float) -> None:
    """Time the comparison alone, of what is in memory already, as it is for the peer."""
    load = rules.loader(bestrefs.mappings(site))
    old, new = (Chooser(context, load) for context in affected.USUAL)
    change = difference.of_instrument(old, new, instrument, load)
    with Database(url) as database:
        rows = database.rows(population.asked(change, new.primary))
        [batch] = population.joined(population.of_rows(rows, new.primary, instrument))
    start = time.perf_counter()
    n_found = sum(len(each.members) for each in compare.compare(change, batch, compare.Counts()))
    rate = len(batch.ids) / (time.perf_counter() - start)
    print(f"  the comparison alone: {n_found:,} changes, ours {rate:,.0f}/s, ratio {rate / peer_rate:.0f}")


def nothing(site: harness.Site) -> None:
    """Time the run of each 10 minutes that finds no change."""
    site.ours(bestrefs.CACHE, "affected_datasets")
    timings = [site.ours(bestrefs.CACHE, "affected_datasets") for _ in range(7)]
    harness.show("no change, best of 7", timings, None, "under 0.5 s, at most 1 request (a test counts them)")


if __name__ == "__main__":
    main()
