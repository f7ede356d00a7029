import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from astropy.io import fits  # type: ignore[import-untyped]

from crdscache.contexts.records import Problem
from crdscache.datasets import load
from crdscache.datasets.database import Database
from crdscache.datasets.load import Loader
from crdscache.datasets.records import Asked, Dataset
from crdscache.errors import DatasetError
from tests.caches import CHECKOUT

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
    connection = sqlite3.connect(tmp_path / "c.sqlite")
    connection.execute("CREATE TABLE acs (product, exposure, DETECTOR)")
    connection.close()

    assert load.complete_parameters(f"sqlite:///{tmp_path / 'c.sqlite'}", "acs") is None


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


_LOADS = """
import sys
from pathlib import Path
from crdscache.datasets.load import Loader
from crdscache.datasets.records import Dataset
many = (Dataset(f"J{n}:J{n}", {"DETECTOR": "WFC"}) for n in range(40_000))
loader = Loader(Path(sys.argv[1]), {"acs": ("DETECTOR", "DATE-OBS")}, lambda each: ("acs", each.header))
print(loader.load(many).n_datasets)
"""


def test_P01_killed_while_it_loads_it_has_whole_rows_and_loading_again_completes_them(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    command = [sys.executable, "-c", _LOADS, str(path)]
    process = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.DEVNULL)
    while not path.exists() or path.stat().st_size < 500_000:
        assert process.poll() is None
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    n_first = len(rows(path))

    again = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)

    assert 0 < n_first < 40_000
    assert again.stdout == "40000\n"
    assert {*rows(path).values()} == {("WFC", None)}
    assert len(rows(path)) == 40_000
