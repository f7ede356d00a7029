"""Writes a catalogue of made-up data sets, as an archive has one: into a database, or as lines of JSON.

    python -m demo.make_catalogue --mappings DIRECTORY --context hst_0729.pmap --n 814000 --url sqlite:///x.sqlite

In the database each instrument has a table: columns `product` and `exposure`, and one for each parameter.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from crdscache.bestrefs.choose import Chooser
from crdscache.contexts import changes, mapping
from crdscache.datasets.records import Rows
from demo.population import BLOCK, SHARES, Population


def loader(directory: Path) -> Callable[[str], mapping.Mapping]:
    """Make what reads mappings from a directory; their sums are not looked at."""
    return lambda name: mapping.parse_mapping(name, (directory / name).read_bytes())


def spread(n: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Spread data sets over instruments; together they are `n`."""
    total, before, sizes = sum(shares.values()), 0.0, {}
    for instrument, share in shares.items():
        sizes[instrument] = round(n * (before + share) / total) - round(n * before / total)
        before += share
    return sizes


def populations(
    chooser: Chooser, n: int, seed: int, more: Sequence[Chooser] = ()
) -> Iterator[tuple[Population, int]]:
    """Make the populations of those instruments of a context that have a share, with their sizes."""
    known = changes.imaps(chooser.root)
    shares = {name: share for name, share in SHARES[chooser.observatory].items() if name in known}
    for instrument, size in spread(n, shares).items():
        yield Population(chooser, instrument, seed, more), size


def blocks(population: Population, n: int) -> Iterator[Rows]:
    """Give the data sets of an instrument some thousands at a time."""
    for start in range(0, n, BLOCK):
        yield population.rows(min(BLOCK, n - start), start)


def fill(engine: sa.Engine, population: Population, n: int) -> None:
    """Write the table of one instrument, in one transaction; there must be none of its name."""
    keys = [sa.Column(name, sa.Text, primary_key=True) for name in ("product", "exposure")]
    parameters = [sa.Column(name, sa.Text) for name in population.parameters]
    table = sa.Table(population.instrument, sa.MetaData(), *keys, *parameters)
    put = _copy if engine.dialect.name == "postgresql" else _insert
    with engine.begin() as connection:
        table.create(connection)
        for rows in blocks(population, n):
            put(connection, table, _records(rows))


def _records(rows: Rows) -> list[tuple[object, ...]]:
    products, exposures = zip(*(name.split(":") for name in rows.ids), strict=True)
    return list(zip(products, exposures, *rows.columns.values(), strict=True))


def _insert(connection: sa.Connection, table: sa.Table, records: Sequence[tuple[Any, ...]]) -> None:
    # Not through execute: it takes a dictionary for each row, and twice the time.
    connection.exec_driver_sql(str(table.insert().compile(dialect=connection.dialect)), records)


def _copy(connection: sa.Connection, table: sa.Table, records: Iterable[tuple[object, ...]]) -> None:
    name = connection.dialect.identifier_preparer.format_table(table)
    with connection.connection.cursor() as cursor, cursor.copy(f"COPY {name} FROM STDIN") as copy:  # type: ignore[attr-defined]
        for record in records:
            copy.write_row(record)


def write_lines(path: Path, some: Iterable[tuple[Population, int]]) -> None:
    """Write all data sets as `{"id", "instrument", "header"}`, one a line; what is not there is left out."""
    with path.open("w", encoding="utf-8") as stream:
        for population, n in some:
            for rows in blocks(population, n):
                stream.writelines(_lines(population.instrument, rows))


def _lines(instrument: str, rows: Rows) -> Iterator[str]:
    for name, values in zip(rows.ids, zip(*rows.columns.values(), strict=True), strict=True):
        header = {key: value for key, value in zip(rows.columns, values, strict=True) if value is not None}
        yield json.dumps({"id": name, "instrument": instrument, "header": header}) + "\n"


def _engine(url: str) -> sa.Engine:
    parsed = sa.make_url(url)
    is_bare = parsed.drivername == "postgresql"
    return sa.create_engine(parsed.set(drivername="postgresql+psycopg") if is_bare else parsed)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a catalogue, and say how long it took."""
    parser = argparse.ArgumentParser("python -m demo.make_catalogue", description=__doc__)
    parser.add_argument("--mappings", type=Path, required=True, help="directory with the rules")
    parser.add_argument("--context", required=True)
    parser.add_argument("--also", nargs="+", default=[], metavar="CONTEXT", help="with their parameters too")
    parser.add_argument("--n", type=int, default=814_000, help="data sets")
    parser.add_argument("--seed", type=int, default=1)
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--url", help="database, as SQLAlchemy names it; the tables must not be there yet")
    target.add_argument("--jsonl", type=Path, metavar="FILE", help="a file for lines of JSON instead")
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    chooser = Chooser(options.context, loader(options.mappings))
    if chooser.observatory not in SHARES:
        parser.error(f"nobody has said how data sets of {chooser.observatory} spread over its instruments")
    more = [Chooser(context, loader(options.mappings)) for context in options.also]
    some = populations(chooser, options.n, options.seed, more)
    if options.jsonl:
        write_lines(options.jsonl, some)
    else:
        engine = _engine(options.url)
        for population, n in some:
            fill(engine, population, n)
            print(f"{population.instrument}: {n} data sets, {time.perf_counter() - start:.1f} s", flush=True)
        engine.dispose()
    print(f"{options.n} data sets in {time.perf_counter() - start:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
