import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest
from astropy.io import fits  # type: ignore[import-untyped]

from crdscache.contexts.records import Problem
from crdscache.datasets import load
from crdscache.datasets.database import Database
from crdscache.datasets.load import Loader
from crdscache.datasets.records import Asked, Dataset
from crdscache.errors import DatasetError
from tests import mounts
from tests.caches import CHECKOUT, wait_until

SETS = {"acs": ("DETECTOR", "DATE-OBS"), "cos": ("SEGMENT",)}


def describe(dataset: Dataset) -> tuple[str, Mapping[str, object]] | Problem:
    name = str(dataset.header.get("INSTRUME", "")).lower()
    if name not in SETS:
        return Problem(dataset.id, "no instrument")
    return name, {key: value for key, value in dataset.header.items() if key != "INSTRUME"}


def acs(name: str, **values: object) -> Dataset:
    return Dataset(name, {"INSTRUME": "ACS", **values})


def rows(path: Path, instrument: str = "acs") -> dict[str, tuple[object, ...]]:
    with Database(f"sqlite:///{path}") as database:
        found = list(database.rows(Asked(instrument, SETS[instrument])))
    return {
        name: values
        for some in found
        for name, values in zip(some.ids, zip(*some.columns.values(), strict=True), strict=True)
    }


def test_data_sets_are_found_again_with_their_parameters(tmp_path: Path) -> None:
    path = tmp_path / "new" / "c.sqlite"

    loaded = Loader(path, SETS, describe).load(
        [
            acs("J1:J1a", DETECTOR="WFC", **{"DATE-OBS": "2010-01-01"}),
            acs("j2:j2", DETECTOR=1.0),
            Dataset("L1:L1", {"INSTRUME": "COS", "SEGMENT": "FUVA"}),
            Dataset("X:X", {}),
            Problem("Y:Y", "archive failed"),
        ]
    )

    assert (loaded.n_datasets, loaded.problems) == (
        3,
        [Problem("X:X", "no instrument"), Problem("Y:Y", "archive failed")],
    )
    assert rows(path) == {"J1:J1A": ("WFC", "2010-01-01"), "J2:J2": ("1.0", None)}
    assert rows(path, "cos") == {"L1:L1": ("FUVA",)}


def test_loading_again_replaces_what_has_the_same_id(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    Loader(path, SETS, describe).load([acs("J1:J1", DETECTOR="WFC"), acs("J2:J2", DETECTOR="WFC")])

    Loader(path, SETS, describe).load([acs("J1:J1", DETECTOR="HRC")])

    assert rows(path) == {"J1:J1": ("HRC", None), "J2:J2": ("WFC", None)}


def test_loading_the_same_twice_changes_nothing(tmp_path: Path) -> None:
    path, datasets = tmp_path / "c.sqlite", [acs("J1:J1", DETECTOR="WFC"), acs("J2:J2"), acs("J1:J1")]

    loaded = [Loader(path, SETS, describe).load(datasets) for _ in range(2)]

    assert [each.n_datasets for each in loaded] == [3, 3]
    assert rows(path) == {"J1:J1": (None, None), "J2:J2": (None, None)}  # the last of the same id counts


def test_parameters_that_some_rows_were_loaded_without_are_not_complete(tmp_path: Path) -> None:
    """Else they would count as undefined, and the answers would be wrong in silence."""
    path, wider = tmp_path / "c.sqlite", {"acs": ("DETECTOR", "DATE-OBS", "CCDAMP")}
    url = f"sqlite:///{path}"
    Loader(path, SETS, describe).load([acs("J1:J1", DETECTOR="WFC"), acs("J2:J2", DETECTOR="WFC")])

    before = load.complete_parameters(url, "acs")
    Loader(path, wider, describe).load([acs("J1:J1", DETECTOR="WFC", CCDAMP="A")])
    half = load.complete_parameters(url, "acs")
    Loader(path, wider, describe).load([acs("J2:J2", DETECTOR="WFC", CCDAMP="B")])

    assert before == half == {"DETECTOR", "DATE-OBS"}
    assert load.complete_parameters(url, "acs") == {"DETECTOR", "DATE-OBS", "CCDAMP"}


def test_of_a_table_that_is_not_ours_nothing_is_said(tmp_path: Path) -> None:
    path, ours = tmp_path / "c.sqlite", tmp_path / "ours.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE acs (product, exposure, DETECTOR)")
    Loader(ours, SETS, describe).load([acs("J1:J1")])
    with closing(sqlite3.connect(ours)) as connection:
        connection.execute("CREATE TABLE wfc3 (product, exposure, DETECTOR)")

    urls = [f"sqlite:///{each}" for each in (path, ours, tmp_path / "none")]
    asked = ("acs", "wfc3", "acs")
    assert [load.complete_parameters(*each) for each in zip(urls, asked, strict=True)] == [None] * 3
    assert load.complete_parameters("postgresql://nowhere/dads", "acs") is None
    assert not (tmp_path / "none").exists()


def write(path: Path, **cards: str) -> None:
    fits.PrimaryHDU(header=fits.Header({"INSTRUME": "ACS", **cards})).writeto(path, overwrite=True)


def test_of_a_tree_only_what_has_changed_is_read_again(tmp_path: Path) -> None:
    tree, path = tmp_path / "tree", tmp_path / "c.sqlite"
    tree.mkdir()
    for name in ("j1a", "j2a", "j3a"):
        write(tree / f"{name}_raw.fits", ROOTNAME=name, DETECTOR="WFC")
    first = Loader(path, SETS, describe).load_tree(tree)
    write(tree / "j2a_raw.fits", ROOTNAME="j2a", DETECTOR="HRC")
    os.utime(tree / "j2a_raw.fits", ns=(1, 1))
    (tree / "j3a_raw.fits").unlink()

    second = Loader(path, SETS, describe).load_tree(tree)
    third = Loader(path, {**SETS, "acs": ("DETECTOR", "DATE-OBS", "CCDAMP")}, describe).load_tree(tree)

    assert [(each.n_datasets, each.n_unchanged) for each in (first, second, third)] == [
        (3, 0),
        (1, 1),
        (2, 0),
    ]
    assert {name: values[0] for name, values in rows(path).items()} == {
        "J1A:J1A": "WFC",
        "J2A:J2A": "HRC",
        "J3A:J3A": "WFC",  # the archive still has it
    }


def test_the_day_of_the_latest_data_set_is_known(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    days = ("2010-01-01", "2012-05-06", "31/12/99")
    Loader(path, SETS, describe).load(
        [acs(f"J{number}:J{number}", **{"DATE-OBS": day}) for number, day in enumerate(days)]
    )

    assert load.newest(path, "acs", ("DATE-OBS",)) == "2012-05-06"
    assert load.newest(path, "cos", ("DATE-OBS",)) is None
    assert load.newest(tmp_path / "none", "acs", ("DATE-OBS",)) is None


def test_E08_a_catalogue_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    path.write_text("this is no database, and long enough to be seen as none" * 20)

    with pytest.raises(DatasetError, match="the catalogue cannot be written: file is not a database"):
        Loader(path, SETS, describe).load([acs("J1:J1")])


def test_E08_a_catalogue_that_is_locked_is_named_and_keeps_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c.sqlite"
    Loader(path, SETS, describe).load([acs("J1:J1")])
    monkeypatch.setattr(load, "_PATIENCE_S", 0.1)
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(DatasetError) as told:
            Loader(path, SETS, describe).load([acs("J2:J2")])

    assert str(told.value) == f"{path}: the catalogue cannot be written: database is locked"
    assert list(rows(path)) == ["J1:J1"]


def test_E08_a_catalogue_on_a_read_only_disk_is_named(tmp_path: Path) -> None:
    path = tmp_path / "place" / "c.sqlite"
    Loader(path, SETS, describe).load([acs("J1:J1")])

    with mounts.read_only(path.parent), pytest.raises(DatasetError) as told:
        Loader(path, SETS, describe).load([acs("J2:J2")])

    assert str(told.value) == f"{path}: the catalogue cannot be written: attempt to write a readonly database"
    assert list(rows(path)) == ["J1:J1"]


def test_E08_where_a_catalogue_has_no_place_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(DatasetError, match=r"file/c\.sqlite: the catalogue cannot be written: "):
        Loader(tmp_path / "file" / "c.sqlite", SETS, describe).load([acs("J1:J1")])


_LOADS = """
import sys
from pathlib import Path
from crdscache.datasets import jsonlines
from crdscache.datasets.load import Loader
loader = Loader(Path(sys.argv[2]), {"acs": ("DETECTOR", "DATE-OBS")}, lambda each: ("acs", each.header))
print(loader.load(jsonlines.read(Path(sys.argv[1]))).n_datasets)
"""


def test_P01_killed_while_it_loads_it_has_whole_rows_and_loading_again_completes_them(tmp_path: Path) -> None:
    source, path = tmp_path / "x.jsonl", tmp_path / "c.sqlite"
    lines = (f'{{"id": "J{n}:J{n}", "header": {{"DETECTOR": "WFC"}}}}' + "\n" for n in range(40_000))
    source.write_text("".join(lines))
    command = [sys.executable, "-c", _LOADS, str(source), str(path)]
    process = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.DEVNULL)
    wait_until(lambda: path.exists() and path.stat().st_size > 300_000)
    process.send_signal(signal.SIGKILL)
    process.wait()
    n_first = len(rows(path))

    again = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)

    assert 0 < n_first < 40_000
    assert again.stdout == "40000\n"
    assert {*rows(path).values()} == {("WFC", None)}
    assert len(rows(path)) == 40_000
