"""The comparison of one instrument, from any kind of archive, by the demo's rules and data sets."""

import csv
import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from crdscache.affected import results
from crdscache.affected.instrument import Comparer, Files
from crdscache.affected.results import Tally
from crdscache.bestrefs import parameters
from crdscache.bestrefs.choose import Chooser
from crdscache.cache import rules, tables
from crdscache.contexts.records import Archive, Comparison, Patience
from crdscache.datasets.load import Loader
from crdscache.datasets.records import Dataset
from crdscache.server.rpc import RpcClient
from demo import faults
from demo.observatory import CONTEXTS
from demo.server import Server
from tests.caches import FORMER, LATEST

QUICK = Patience(connect_timeout_s=2, read_timeout_s=5, tries=1, backoff_s=0, backoff_max_s=0)
PLAIN = Comparison(optimize_tables=False, exposure_types=False, since=None)


@pytest.fixture
def comparer(demo_root: Path, server: Server, tmp_path: Path) -> Iterator[Comparer]:
    """Compare the last two contexts of the demo, over its FITS files."""
    load = rules.loader(demo_root / "mappings" / "hst")
    archive = Archive(str(demo_root / "datasets"), None, None, None, 60)
    with RpcClient(server.url, QUICK) as client:
        choosers = Chooser(FORMER, load), Chooser(LATEST, load)
        yield Comparer(choosers, load, archive, PLAIN, (tmp_path / "none").joinpath, client, 1000)


def compare(
    comparer: Comparer, place: Path, instrument: str = "acs", *, tells_unknown: bool = True
) -> tuple[Tally, list[str]]:
    """Compare, and give the tally with what is affected."""
    place.mkdir(exist_ok=True)
    files = Files(*(place / f"{name}.tsv" for name in ("affected", "undetermined", "failed")))
    tally = comparer.compare(instrument, files, tells_unknown=tells_unknown)
    rows = tables.read(files.affected, "affected", results.AFFECTED)
    return tally, sorted(" ".join(row[:5]) for row in rows)


def failed(place: Path) -> list[str]:
    return [row[0] for row in tables.read(place / "failed.tsv", "failed", results.FAILED)]


def undetermined(place: Path) -> list[str]:
    return [row[0] for row in tables.read(place / "undetermined.tsv", "undetermined", results.UNDETERMINED)]


def headers(demo_root: Path) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads((demo_root / "datasets.json").read_text())
    return found


def as_lines(demo_root: Path, place: Path) -> str:
    path = place / "x.jsonl"
    lines = ({"id": name, "header": header} for name, header in headers(demo_root).items())
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


def as_table(demo_root: Path, place: Path) -> str:
    path = place / "x.csv"
    every = headers(demo_root)
    names = sorted({name for header in every.values() for name in header})
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", *names])
        writer.writerows([name, *(header.get(each, "") for each in names)] for name, header in every.items())
    return str(path)


def as_database(demo_root: Path, place: Path) -> str:
    load = rules.loader(demo_root / "mappings" / "hst")
    choosers = [Chooser(context, load) for context in (FORMER, LATEST)]
    sets = {}
    for name in ("acs", "wfc3", "wfpc2"):
        wanted = (upper for each in choosers for _, upper, _ in each.instrument(name).wanted.names)
        sets[name] = tuple(dict.fromkeys(wanted))

    def describe(dataset: Dataset) -> tuple[str, Mapping[str, object]]:
        name = parameters.instrument(dataset.header, "INSTRUME", LATEST)
        return name, {key: value for key, value in dataset.header.items() if key in sets[name]}

    path = place / "x.sqlite"
    Loader(path, sets, describe).load(Dataset(name, each) for name, each in headers(demo_root).items())
    return f"sqlite:///{path}"


def test_every_kind_of_archive_gives_the_same(comparer: Comparer, demo_root: Path, tmp_path: Path) -> None:
    sources = {
        "tree": str(demo_root / "datasets"),
        "lines": as_lines(demo_root, tmp_path),
        "table": as_table(demo_root, tmp_path),
        "database": as_database(demo_root, tmp_path),
        "server": "server",
    }

    found = {
        kind: compare(replace(comparer, archive=replace(comparer.archive, source=source)), tmp_path / kind)
        for kind, source in sources.items()
    }

    tally, affected = found["tree"]
    assert (tally.n_datasets, tally.n_affected, tally.n_failed) == (3, 3, 0)
    assert affected == [
        "JDEM01010:JDEM01A1Q acs mdriztab n/a 82213200j_mdz.fits",
        "JDEM01010:JDEM01A2Q acs mdriztab n/a 82213200j_mdz.fits",
        "JDEM02B1Q:JDEM02B1Q acs mdriztab n/a 8221320aj_mdz.fits",
    ]
    assert found == dict.fromkeys(sources, (tally, affected))


def test_N01_an_archive_that_cannot_be_reached_leaves_no_rows(comparer: Comparer, tmp_path: Path) -> None:
    with RpcClient("http://127.0.0.1:9", QUICK) as away:
        archive = replace(comparer.archive, source="server")
        tally, affected = compare(replace(comparer, archive=archive, server=away), tmp_path / "out")

    assert "127.0.0.1:9" in tally.unread
    assert (tally.n_affected, affected) == (0, [])
    assert [undetermined(tmp_path / "out"), failed(tmp_path / "out")] == [[], []]


def test_N16_a_server_that_fails_on_the_way_leaves_no_rows(
    comparer: Comparer, server: Server, tmp_path: Path
) -> None:
    server.faults.add("get_dataset_headers_by_id", faults.delay(0), times=2)
    server.faults.add("get_dataset_headers_by_id", faults.status(503))
    archive = replace(comparer.archive, source="server")

    one_by_one = replace(comparer, archive=archive, headers_per_call=1)
    tally, affected = compare(one_by_one, tmp_path / "out")

    assert server.requests["RPC get_dataset_headers_by_id"] == 3
    assert "503" in tally.unread
    assert [affected, undetermined(tmp_path / "out"), failed(tmp_path / "out")] == [[], [], []]


def test_B01_a_source_that_breaks_off_leaves_no_rows(
    comparer: Comparer, demo_root: Path, tmp_path: Path
) -> None:
    """Also none of what was wrong in it: it is read again as a whole."""
    path = tmp_path / "x.jsonl.gz"
    lines = b"no JSON\n" + Path(as_lines(demo_root, tmp_path)).read_bytes()
    path.write_bytes(gzip.compress(lines, mtime=0)[:-8])
    archive = replace(comparer.archive, source=str(path))

    tally, affected = compare(replace(comparer, archive=archive), tmp_path / "out")

    assert tally.unread.startswith(f"{path}: whole gzip-compressed data were expected")
    assert [affected, undetermined(tmp_path / "out"), failed(tmp_path / "out")] == [[], [], []]


def test_rules_that_cannot_be_used_are_told(comparer: Comparer, demo_root: Path, tmp_path: Path) -> None:
    mappings = tmp_path / "mappings"
    mappings.mkdir()
    for path in (demo_root / "mappings" / "hst").iterdir():
        text = "no mapping" if path.name.startswith("hst_acs_mdriztab") else path.read_text()
        (mappings / path.name).write_text(text)
    load = rules.loader(mappings)
    broken = replace(comparer, choosers=(Chooser(FORMER, load), Chooser(LATEST, load)), load=load)

    tally, affected = compare(broken, tmp_path / "out")

    assert tally.broken.startswith("hst_acs_mdriztab_0001.rmap")
    assert (tally.unread, affected) == ("", [])


def test_data_sets_before_a_day_are_left_out_and_counted_so(comparer: Comparer, tmp_path: Path) -> None:
    late = replace(comparer, comparison=replace(PLAIN, since="2005-01-01"))

    tally, affected = compare(late, tmp_path / "out")

    assert (tally.since, tally.n_datasets, tally.n_affected) == ("2005-01-01", 2, 2)
    assert [line.partition(" ")[0] for line in affected] == ["JDEM01010:JDEM01A1Q", "JDEM01010:JDEM01A2Q"]


def test_auto_leaves_out_what_is_before_the_first_row_that_changed(
    comparer: Comparer, tmp_path: Path
) -> None:
    old, new = (Chooser(context, comparer.load) for context in CONTEXTS[2:4])
    whole = replace(comparer, choosers=(old, new))
    auto = replace(whole, comparison=replace(PLAIN, since="auto"))

    (every, all_affected), (some, affected) = compare(whole, tmp_path / "a"), compare(auto, tmp_path / "b")

    assert [(each.since, each.n_datasets) for each in (every, some)] == [(None, 3), ("2021-05-01", 1)]
    assert all_affected == affected
    assert affected == ["JDEM01010:JDEM01A2Q acs darkfile 56615301j_drk.fits 68v08000j_drk.fits"]


def test_auto_leaves_out_nothing_where_a_type_is_new(comparer: Comparer, tmp_path: Path) -> None:
    auto = replace(comparer, comparison=replace(PLAIN, since="auto"))

    tally, affected = compare(auto, tmp_path / "out")

    assert (tally.since, len(affected)) == (None, 3)


def test_E09_lines_that_are_bad_are_told_once_and_the_others_are_compared(
    comparer: Comparer, demo_root: Path, tmp_path: Path
) -> None:
    source = as_lines(demo_root, tmp_path)
    with Path(source).open("a") as stream:
        stream.write('{"id": "N:N", "header": {}}\n{"id": "A:A", "header": "archive failed"}\nno JSON\n')
    archive = replace(comparer.archive, source=source)

    tally, affected = compare(replace(comparer, archive=archive), tmp_path / "out")

    assert failed(tmp_path / "out") == ["N:N", "A:A", f"{source}, line 10"]
    assert (tally.n_failed, len(affected)) == (3, 3)


def test_a_data_set_without_an_instrument_is_told_once_over_two_instruments(
    comparer: Comparer, demo_root: Path, tmp_path: Path
) -> None:
    source = as_lines(demo_root, tmp_path)
    with Path(source).open("a") as stream:
        stream.write('{"id": "N:N", "header": {"DETECTOR": "WFC"}}\n')
    both = replace(comparer, archive=replace(comparer.archive, source=source))

    tallies = [
        compare(both, tmp_path / name, name, tells_unknown=tells)[0]
        for name, tells in (("acs", True), ("wfpc2", False))
    ]

    assert [failed(tmp_path / name) for name in ("acs", "wfpc2")] == [["N:N"], []]
    assert [(each.n_datasets, each.n_failed) for each in tallies] == [(3, 1), (2, 0)]


def test_a_new_error_is_undetermined_and_the_others_are_compared(
    comparer: Comparer, demo_root: Path, tmp_path: Path
) -> None:
    """HRC has a drizzle table by the new rules, another detector has none."""
    source = as_lines(demo_root, tmp_path)
    with Path(source).open("a") as stream:
        header = {"INSTRUME": "ACS", "DETECTOR": "NEW", "DATE-OBS": "2010-01-01", "TIME-OBS": "00:00:00"}
        stream.write(json.dumps({"id": "J9:J9", "header": header}) + "\n")
    archive = replace(comparer.archive, source=source)

    tally, affected = compare(replace(comparer, archive=archive), tmp_path / "out")

    assert undetermined(tmp_path / "out") == ["J9:J9"]
    assert (tally.n_undetermined, tally.n_affected, len(affected)) == (1, 3, 3)
    assert [(each.reftype, each.n_affected) for each in tally.types] == [("mdriztab", 3)]


def test_an_instrument_whose_rules_are_the_same_needs_no_archive(comparer: Comparer, tmp_path: Path) -> None:
    archive = replace(comparer.archive, source=str(tmp_path / "none"))

    tally, affected = compare(replace(comparer, archive=archive), tmp_path / "out", "wfc3")

    assert (tally, affected) == (Tally("wfc3"), [])
