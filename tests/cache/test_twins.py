import os
from dataclasses import replace
from pathlib import Path

import pytest

from crdscache.cache import plan, twins
from crdscache.cache.identity import ALL
from crdscache.cache.layout import Layout
from crdscache.cache.plan import Scope
from crdscache.contexts.records import Action, Kind, ManifestRow, PlanRow
from tests import written
from tests.caches import LATEST

ONE, OTHER, THIRD = "8221321au.r3d", "8221321AU.r3d", "8221320aj_mdz.fits"


def wanted(*paths: str) -> list[PlanRow]:
    files = [
        ManifestRow(Path(path).name, Kind.REFERENCE, "acs", "darkfile", 1, "ab" * 20, path, is_held=True)
        for path in paths
    ]
    return [PlanRow(file, Action.FETCH, source="http://localhost/") for file in files]


def test_S08_of_two_names_that_are_one_on_this_file_system_neither_is_fetched_and_both_are_named() -> None:
    rows = wanted(f"r/{ONE}", f"r/{OTHER}", f"r/{THIRD}", f"q/{THIRD.upper()}")
    asked: list[Path] = []

    def is_blind(directory: Path) -> bool:
        asked.append(directory)
        return True

    made = twins.refuse(rows, Path("/cache"), is_blind)

    reason = f"r/{ONE} and r/{OTHER} are one name on this file system: it ignores case"
    refused = [PlanRow(row.file, Action.WRONG, reason) for row in rows[:2]]
    assert made == [*refused, *rows[2:]]
    assert asked == [Path("/cache/r")]


def test_S08_a_file_system_that_tells_them_apart_keeps_both(cache: Layout, demo_root: Path) -> None:
    """The disk of the test is such a one."""
    disk = written.disk_of(cache, written.told(demo_root, LATEST))
    drawn = plan.draw_up(disk, Scope((LATEST,), LATEST, fetch=True, check=False, source=""), ALL)
    (row,) = [row for row in drawn.rows if row.file.name == ONE]
    twin = replace(row, file=replace(row.file, name=OTHER, path=row.file.path.replace(ONE, OTHER)))

    assert twins.refuse([row, twin], cache.root, twins.ignores_case) == [row, twin]


@pytest.mark.parametrize("made", ["", "here", "here/123", "here/123/Name", "here/123/Name,here/123/nAME"])
def test_S08_a_directory_is_asked_or_its_parent(tmp_path: Path, made: str) -> None:
    """It may not be there, or have no name in which case matters, or have both names."""
    directory = tmp_path / "here" / "123"
    for path in filter(None, made.split(",")):
        (tmp_path / path).mkdir(parents=True)
    before = sorted(os.walk(tmp_path))

    assert twins.ignores_case(directory) is False
    assert sorted(os.walk(tmp_path)) == before
