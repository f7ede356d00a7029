"""`affected_datasets --load` and `--using`, as an operator has them."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from crdscache.bestrefs.choose import Chooser
from crdscache.cache import rules
from demo.server import Server
from tests import frugal
from tests.caches import FORMER, LATEST, Cache, Done
from tests.readers import configure, copy_of

PAIR = ("--old-context", FORMER, "--new-context", LATEST)


@pytest.fixture
def latest(no_cache: Cache, demo_root: Path) -> Cache:
    """Give a cache whose default is the latest context."""
    copy_of(demo_root, no_cache.root)
    return no_cache


def set_default(cache: Cache, context: str) -> None:
    configure(cache.root, operational_context=context, latest_context=context)


def steps(cache: Cache) -> list[str | None]:
    """Tell what the catalogue has of a parameter that only the latest rules ask for."""
    with closing(sqlite3.connect(cache.state / "readers" / "catalogue.sqlite")) as connection:
        found = connection.execute('SELECT "DRIZCORR" FROM acs ORDER BY exposure').fetchall()
    return [step for (step,) in found]


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


def test_a_search_prints_what_brute_force_finds(latest: Cache, demo_root: Path) -> None:
    chooser = Chooser(LATEST, rules.loader(demo_root / "mappings" / "hst"))
    headers = json.loads((demo_root / "datasets.json").read_text())
    expected = sorted(
        f"{name.lower()}\t{header['INSTRUME'].lower()}\t{reftype}\t{answer.lower()}"
        for name, header in headers.items()
        for reftype, answer in chooser.choose(header).items()
        if isinstance(answer, str)
    )
    wanted = sorted({line.split("\t")[3] for line in expected})

    done = latest.run("affected_datasets", "--using", *wanted, "--catalog", str(demo_root / "datasets"))

    assert sorted(done.out.splitlines()) == expected
    assert (done.status, len(expected)) == (0, 24)
    assert done.err == f"{LATEST}: 24 uses of {', '.join(wanted)}\n"


def test_what_the_server_has_is_loaded_from_the_last_day_on(latest: Cache, server: Server) -> None:
    first = latest.run("affected_datasets", "--load", "server", "--json")
    server.requests.clear()
    second = latest.run("affected_datasets", "--load", "server", "--json")

    assert (first.status, first.data) == (0, {"n_datasets": 7, "n_unchanged": 0, "failures": {}})
    # Of each instrument the last one; two of wfc3 and wfpc2 are of other days.
    assert (second.status, second.data) == (0, {"n_datasets": 3, "n_unchanged": 0, "failures": {}})
    assert server.requests["RPC get_dataset_headers_by_id"] == 3


def test_the_server_is_asked_by_each_context_whose_parameters_are_wanted(
    latest: Cache, demo_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row says that it has them all: what is left out would count as undefined, in silence."""
    frugal.be_frugal(demo_root, monkeypatch)
    set_default(latest, FORMER)

    done = latest.run("affected_datasets", "--load", "server", *PAIR, "--quiet")

    assert done == Done(0, "", "")
    assert steps(latest) == ["PERFORM", "PERFORM", "OMIT"]


def test_the_server_is_asked_for_all_once_the_rules_ask_for_more(
    latest: Cache, demo_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frugal.be_frugal(demo_root, monkeypatch)
    set_default(latest, FORMER)
    assert latest.run("affected_datasets", "--load", "server").status == 0
    set_default(latest, LATEST)

    asked = ("--using", "82213200j_mdz.fits", "--quiet")

    refused = latest.run("affected_datasets", *asked)
    healing = latest.run("affected_datasets", "--load", "server", "--json")
    answered = latest.run("affected_datasets", *asked)

    assert (refused.status, refused.out) == (3, "")
    assert "table acs was loaded without DRIZCORR: affected_datasets --load brings it" in refused.err
    assert (healing.data["n_datasets"], steps(latest)) == (5, ["PERFORM", "PERFORM", "OMIT"])
    assert (answered.status, answered.err, len(answered.out.splitlines())) == (0, "", 2)


def test_N01_a_server_that_is_away_loads_nothing(latest: Cache, server: Server) -> None:
    server.close()

    done = latest.run("affected_datasets", "--load", "server")

    assert (done.status, done.out) == (3, "")
    assert server.url in done.err


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
    done = latest.run("affected_datasets", "--using", "82213200j_mdz.fits")

    assert (done.status, done.out) == (3, "")
    assert "readers/catalogue.sqlite" in done.err
