"""What the benchmarks of affected data sets share: a catalogue of made-up data sets, and the peer."""

import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import bestrefs
import harness
import sqlalchemy as sa

from crdscache.affected import difference
from crdscache.bestrefs.choose import Chooser
from crdscache.cache import rules

USUAL = "hst_0728.pmap", "hst_0729.pmap"
FAR = "hst_0416.pmap", "hst_0729.pmap"


def make_catalogue(site: harness.Site, n_datasets: int) -> str:
    """Make a catalogue in SQLite, and give its URL."""
    url = f"sqlite:///{site.place / 'catalogue.sqlite'}"
    also = ["--also", *dict.fromkeys((USUAL[0], FAR[0]))]
    words = ["--mappings", str(bestrefs.mappings(site)), "--context", USUAL[1], *also]
    command = [sys.executable, "-m", "demo.make_catalogue", *words, "--n", str(n_datasets), "--url", url]
    environ = {"PYTHONPATH": str(harness.CHECKOUT), "PATH": "/usr/bin:/bin"}
    made = harness.timed(command, environ)
    print(f"{n_datasets:,} data sets made in {made.wall_s:.0f} s")
    return url


def changed_types(site: harness.Site, pair: tuple[str, str], instrument: str) -> list[str]:
    """List the types whose rules differ: those that the peer's own comparison looks at."""
    load = rules.loader(bestrefs.mappings(site))
    old, new = (Chooser(context, load) for context in pair)
    return [each.reftype for each in difference.of_instrument(old, new, instrument, load).types]


def headers(url: str, instrument: str, n_datasets: int) -> dict[str, dict[str, str]]:
    """Take some data sets of the catalogue, by id."""
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        rows = connection.execute(sa.text(f"SELECT * FROM {instrument} LIMIT {n_datasets}")).mappings().all()
    engine.dispose()
    keys = "product", "exposure"
    return {
        f"{row['product']}:{row['exposure']}": {
            name: value for name, value in row.items() if name not in keys and value is not None
        }
        for row in rows
    }


def peer_rate(
    site: harness.Site, url: str, pair: tuple[str, str], instrument: str, n_datasets: int
) -> tuple[float, set[str], set[str]]:
    """Have the missions' client compare some data sets.

    Returns
    -------
    tuple
        Data sets a second, its start not counted; all products; those that it finds affected.
    """
    some = headers(url, instrument, n_datasets)
    times, affected = [], set[str]()
    for part in (dict(list(some.items())[:1]), some):
        file = site.place / "peer.json"
        file.write_text("".join(json.dumps({name: header}) + "\n" for name, header in part.items()))
        command = _command(pair, file, changed_types(site, pair, instrument))
        environ = {**site.environ(bestrefs.CACHE), "CRDS_READONLY_CACHE": "1"}
        times.append(min(harness.timed(command, environ, (0, 1)).wall_s for _ in range(3)))
        told = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        affected = set(told.stdout.split())
    products = {name.partition(":")[0].lower() for name in some}
    return (n_datasets - 1) / (times[1] - times[0]), products, affected


def _command(pair: tuple[str, str], file: Path, reftypes: Sequence[str]) -> list[str]:
    contexts = ["--old-context", pair[0], "--new-context", pair[1]]
    how = ["--print-affected", "--undefined-differences-matter"]
    return [
        str(harness.CLIENT),
        "bestrefs",
        *contexts,
        "--load-pickles",
        str(file),
        *how,
        "--types",
        *reftypes,
    ]


def require_same_products(what: str, ours: Iterable[str], peer: set[str], looked_at: set[str]) -> None:
    """Stop where both sides find other products among those that the peer looked at."""
    mine = set(ours) & looked_at
    if mine != peer:
        sys.exit(f"{what}: only ours {sorted(mine - peer)[:5]}, only the peer's {sorted(peer - mine)[:5]}")
