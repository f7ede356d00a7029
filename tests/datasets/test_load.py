import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from astropy.io import fits  # type: ignore[import-untyped]

from crdscache.contexts.records import Problem
from crdscache.datasets import load
from crdscache.datasets.database import Database
from crdscache.datasets.load import Loaded, Loader
from crdscache.datasets.records import Asked, Dataset
from crdscache.errors import DatasetError, UnreachableError
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
    assert load.complete_parameters(f"sqlite+pysqlite:///{ours}", "acs") == {*SETS["acs"]}
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


def test_E09_a_file_whose_name_is_no_text_is_loaded_and_known_again(tmp_path: Path) -> None:
    tree, path = tmp_path / "tree", tmp_path / "c.sqlite"
    tree.mkdir()
    write(tree / "j1a_raw.fits", ROOTNAME="j1a")
    (tree / "j1a_raw.fits").rename(tree / os.fsdecode(b"\xff_raw.fits"))

    first, second = (Loader(path, SETS, describe).load_tree(tree) for _ in range(2))

    assert (first, second) == (Loaded(n_datasets=1), Loaded(n_unchanged=1))


def test_E09_an_id_that_no_catalogue_can_have_is_a_problem_and_the_others_are_loaded(tmp_path: Path) -> None:
    path, bad = tmp_path / "c.sqlite", ("", ":", "a:b:c", "a b:c", "a\x1b:b", "\udcff", "x" * 129)

    loaded = Loader(path, SETS, describe).load([acs(name) for name in (*bad, ":j1", "j2:")])

    reason = "an id of 1 to 128 printable characters, without blanks and colons, was expected"
    assert loaded == Loaded(2, problems=[Problem(repr(name), reason) for name in bad])
    assert list(rows(path)) == ["J1:J1", "J2:J2"]


@dataclass
class Archive:
    """What a server has, in no order of time, and what it was asked for."""

    days: dict[str, str]
    breaks_at: int | None = None  # after so many data sets
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    def ask(self, instrument: str, since: str | None) -> Iterator[Dataset | Problem]:
        self.asked.append((instrument, since))
        days = self.days if instrument == "acs" else {}
        for number, (name, day) in enumerate(days.items()):
            if number == self.breaks_at:
                raise UnreachableError("the server is gone")
            if since is None or day >= since:
                yield acs(name, **{"DATE-OBS": day})


def test_of_a_server_all_is_asked_once_and_then_from_the_day_before_the_last(tmp_path: Path) -> None:
    archive = Archive({"J1:J1": "2012-03-01", "J2:J2": "2010-01-01", "J3:J3": "no day"})
    loader = Loader(tmp_path / "c.sqlite", SETS, describe)

    first = loader.load_server(archive.ask)
    archive.days |= {"J4:J4": "2012-02-29", "J5:J5": "2012-03-05"}
    second, third = loader.load_server(archive.ask), loader.load_server(archive.ask)

    assert [each.n_datasets for each in (first, second, third)] == [3, 4, 2]  # "no day" is never too early
    assert [since for name, since in archive.asked if name == "acs"] == [None, "2012-02-29", "2012-03-04"]
    assert [since for name, since in archive.asked if name == "cos"] == [None, None, None]
    assert sorted(rows(tmp_path / "c.sqlite")) == ["J1:J1", "J2:J2", "J3:J3", "J4:J4", "J5:J5"]


def test_N16_a_load_of_a_server_that_is_cut_off_is_completed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The latest day came first: by the rows that are here, nothing earlier would ever be asked for."""
    monkeypatch.setattr(load, "_AT_ONCE", 2)
    days = {f"J{number}:J{number}": f"20{20 - number}-01-01" for number in range(9)}
    path, archive = tmp_path / "c.sqlite", Archive(days, breaks_at=5)
    loader = Loader(path, SETS, describe)

    with pytest.raises(UnreachableError):
        loader.load_server(archive.ask)
    n_before = len(rows(path))
    archive.breaks_at = None
    loader.load_server(archive.ask)

    assert (n_before, sorted(rows(path))) == (4, sorted(days))


def test_what_came_from_elsewhere_is_no_sign_of_what_the_server_has_told(tmp_path: Path) -> None:
    archive = Archive({"J1:J1": "2010-01-01"})
    loader = Loader(tmp_path / "c.sqlite", SETS, describe)
    loader.load([acs("J2:J2", **{"DATE-OBS": "2012-01-01"})])

    loader.load_server(archive.ask)

    assert sorted(rows(tmp_path / "c.sqlite")) == ["J1:J1", "J2:J2"]
    assert archive.asked[0] == ("acs", None)


def test_the_server_is_asked_for_all_again_once_more_parameters_are_wanted(tmp_path: Path) -> None:
    archive = Archive({"J1:J1": "2010-01-01", "J2:J2": "2012-01-01"})
    path, wider = tmp_path / "c.sqlite", {"acs": ("DETECTOR", "DATE-OBS", "CCDAMP")}
    Loader(path, SETS, describe).load_server(archive.ask)

    Loader(path, wider, describe).load_server(archive.ask)

    assert archive.asked[-1] == ("acs", None)
    assert load.complete_parameters(f"sqlite:///{path}", "acs") == set(wider["acs"])


@pytest.mark.parametrize("day", ["9999-01-01", "ABCD-EF-GH", "2013-02-30", ""])
def test_E09_a_day_that_cannot_be_does_not_count_as_the_last(tmp_path: Path, day: str) -> None:
    archive = Archive({"J1:J1": "2012-03-01", "J2:J2": day})
    loader = Loader(tmp_path / "c.sqlite", SETS, describe)

    for _ in range(2):
        loader.load_server(archive.ask)

    assert archive.asked[-2:] == [("acs", "2012-02-29"), ("cos", None)]


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
