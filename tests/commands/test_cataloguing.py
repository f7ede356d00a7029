"""`affected_datasets --load` and `--using`, as an operator has them."""

import json
import shutil
from pathlib import Path

import pytest

from demo.server import Server
from tests.caches import LATEST, Cache, Done


@pytest.fixture
def latest(rules_cache: Cache, server: Server) -> Cache:
    """Give a cache whose default is the latest context."""
    server.set_default(LATEST)
    assert rules_cache.run("cron_sync").status == 0
    return rules_cache


def test_a_tree_is_loaded_once_and_searched(latest: Cache, demo_root: Path) -> None:
    tree = str(demo_root / "datasets")
    catalogue = latest.state / "readers" / "catalogue.sqlite"

    first, second = (latest.run("affected_datasets", "--load", tree) for _ in range(2))
    using = latest.run("affected_datasets", "--using", "82213200J_MDZ.fits", "--quiet")

    assert first == Done(0, f"7 data sets loaded; the catalogue is {catalogue}\n", "")
    assert second.out.startswith("0 data sets loaded, 7 files are as they were")
    assert using == Done(
        0,
        "jdem01010:jdem01a1q\tacs\tmdriztab\t82213200j_mdz.fits\n"
        "jdem01010:jdem01a2q\tacs\tmdriztab\t82213200j_mdz.fits\n",
        "",
    )


def test_what_the_server_has_is_loaded_from_the_last_day_on(latest: Cache, server: Server) -> None:
    first = latest.run("affected_datasets", "--load", "server", "--json")
    server.requests.clear()
    second = latest.run("affected_datasets", "--load", "server", "--json")

    assert (first.status, first.data) == (0, {"n_datasets": 7, "n_unchanged": 0, "failures": {}})
    assert second.status == 0
    assert second.data["n_datasets"] < 7


def test_E09_bad_data_sets_are_named_and_the_others_loaded(latest: Cache, tmp_path: Path) -> None:
    source = tmp_path / "x.jsonl"
    lines = [{"id": "J1:J1", "header": {"INSTRUME": "ACS"}}, {"id": "J2:J2", "header": {"INSTRUME": "NONE"}}]
    source.write_text("".join(json.dumps(line) + "\n" for line in lines) + "no JSON\n")

    done = latest.run("affected_datasets", "--load", str(source))

    assert done.status == 1
    assert done.out.startswith("1 data sets loaded; ")
    assert done.err.splitlines()[0] == "failed: J2:J2: no context knows instrument 'none'"
    assert done.err.splitlines()[1].startswith(f"failed: {source}, line 3: ")


def test_a_database_is_read_where_it_is(latest: Cache) -> None:
    done = latest.run("affected_datasets", "--load", "sqlite:////data/x.sqlite")

    assert done == Done(2, "", "affected_datasets: --load: a database is read where it is: set `catalog`\n")


def test_E08_without_a_catalogue_a_search_ends_and_names_it(latest: Cache) -> None:
    shutil.rmtree(latest.state / "readers", ignore_errors=True)

    done = latest.run("affected_datasets", "--using", "82213200j_mdz.fits")

    assert (done.status, done.out) == (3, "")
    assert "readers/catalogue.sqlite" in done.err
