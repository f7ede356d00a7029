"""Catalogues as the program writes them are read by what reads an archive's."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
import sqlalchemy as sa

from crdscache.bestrefs.choose import Chooser
from crdscache.datasets import jsonlines
from crdscache.datasets.database import Database
from crdscache.datasets.records import Asked, Dataset, Rows
from demo import make_catalogue, observatory
from demo.population import Population
from tests import postgresql as real

CONTEXT = observatory.CONTEXTS[-1]
N = 700


@pytest.fixture(scope="module")
def expected(demo_root: Path) -> dict[str, Rows]:
    chooser = Chooser(CONTEXT, make_catalogue.loader(demo_root / "mappings" / "hst"))
    return {each.instrument: each.rows(n) for each, n in make_catalogue.populations(chooser, N, seed=3)}


def make(demo_root: Path, *words: str | Path, n: int = N) -> int:
    options = ["--mappings", demo_root / "mappings" / "hst", "--context", CONTEXT, "--n", n, "--seed", 3]
    return make_catalogue.main([str(word) for word in (*options, *words)])


def by_id(rows: list[Rows]) -> dict[str, tuple[object, ...]]:
    return {
        name: values
        for some in rows
        for name, values in zip(some.ids, zip(*some.columns.values(), strict=True), strict=True)
    }


def read(database: Database, expected: dict[str, Rows]) -> dict[str, dict[str, tuple[object, ...]]]:
    return {
        name: by_id(list(database.rows(Asked(name, tuple(expected[name].columns)))))
        for name in database.instruments()
    }


def test_a_catalogue_in_sqlite_has_the_population(
    demo_root: Path, tmp_path: Path, expected: dict[str, Rows], capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path}/x.sqlite"

    assert make(demo_root, "--url", url) == 0

    with Database(url) as database:
        assert read(database, expected) == {name: by_id([rows]) for name, rows in expected.items()}
    assert re.search(rf"^{N} data sets in \d+\.\d s$", capsys.readouterr().out, re.MULTILINE)


def test_a_catalogue_in_postgresql_has_the_population(demo_root: Path, expected: dict[str, Rows]) -> None:
    if real.programs() is None:
        pytest.skip(real.LACKS)
    with real.running() as server:
        url = sa.make_url(server.url()).set(password=real.PASSWORD)

        assert make(demo_root, "--url", url.render_as_string(hide_password=False)) == 0

        with Database(server.url(), password=real.PASSWORD) as database:
            assert read(database, expected) == {name: by_id([rows]) for name, rows in expected.items()}


def test_a_catalogue_that_is_there_is_not_touched(demo_root: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.sqlite"
    make(demo_root, "--url", url, n=10)

    with pytest.raises(sa.exc.OperationalError, match="already exists"):
        make(demo_root, "--url", url, n=20)


def test_lines_of_json_have_the_population(
    demo_root: Path, tmp_path: Path, expected: dict[str, Rows]
) -> None:
    path = tmp_path / "x.jsonl"

    assert make(demo_root, "--jsonl", path) == 0

    found = [(each.id, each.header) for each in jsonlines.read(path) if isinstance(each, Dataset)]
    told = Counter(json.loads(line)["instrument"] for line in path.read_text().splitlines())
    assert found == [
        (name, {key: value for key, value in zip(rows.columns, values, strict=True) if value is not None})
        for rows in expected.values()
        for name, values in by_id([rows]).items()
    ]
    assert told == {instrument: len(rows.ids) for instrument, rows in expected.items()}


def test_data_sets_are_spread_by_share_and_none_is_lost() -> None:
    assert make_catalogue.spread(10, {"acs": 1, "cos": 1, "stis": 1}) == {"acs": 3, "cos": 4, "stis": 3}
    assert make_catalogue.spread(1, {"acs": 0.19, "wfc3": 0.81}) == {"acs": 0, "wfc3": 1}


def test_an_instrument_without_data_sets_has_no_rows(demo_root: Path, expected: dict[str, Rows]) -> None:
    chooser = Chooser(CONTEXT, make_catalogue.loader(demo_root / "mappings" / "hst"))
    population = Population(chooser, next(iter(expected)), seed=3)

    assert list(make_catalogue.blocks(population, 0)) == []


def test_an_observatory_without_shares_is_refused(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--mappings", str(shared_data / "mappings" / "roman"), "--context", "roman_0004.pmap"]

    with pytest.raises(SystemExit):
        make_catalogue.main([*words, "--jsonl", str(tmp_path / "x.jsonl")])

    assert "nobody has said how data sets of roman spread over its instruments" in capsys.readouterr().err
