"""Row B07 of the fault matrix, by methods M1 and M2: a kill or an error at each call that changes something.

Calls that change nothing are left out: a kill before one of them is a kill before the next that does.
CRDSCACHE_FULL_SWEEP=1 also takes all combinations of file and error.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crdscache.cache import publish
from crdscache.datasets import headeredit
from tests.datasets import made
from tests.datasets.made import BLOCK
from tests.datasets.updating import COMMAND, ERR, Updates
from tests.faults.strikes import KILL, NO_SPACE, Point

BAD_DISK = "error=EIO"
KILLED, OK = -9, 0
VALUES = {"BIASFILE": "jref$x1234567j_bia.fits", "CRDS_CTX": "hst_0001.pmap"}
WORDS = [word for pair in VALUES.items() for word in pair]
# By the error: what its calls are, and how an operator reads it.
ERRORS = {
    NO_SPACE: ({"openat", "pwrite64", "copy_file_range", "rename", "fsync"}, "No space left on device"),
    BAD_DISK: (
        {"openat", "pwrite64", "copy_file_range", "rename", "fsync", "fchmod", "fchown"},
        "Input/output error",
    ),
}


def plain(_: Path) -> None:
    pass


def hard_linked(path: Path) -> None:
    path.with_name("other").hardlink_to(path)


def linked(path: Path) -> None:
    path.rename(path.with_name("other"))
    path.symlink_to("other")


def grown(path: Path) -> None:
    """Leave no room in the header: the new one is longer by a block."""
    path.unlink()
    made.small(path, n_cards=29)


KINDS = [plain, hard_linked, linked, grown]
Kind = Callable[[Path], None]


@pytest.fixture(scope="module")
def updates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Updates]:
    if shutil.which("strace") is None:
        pytest.skip("strace is missing: apt-get install strace")
    with Updates(tmp_path_factory.mktemp("updates")) as ready:
        yield ready


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


def begin(folder: Path, kind: Kind) -> Path:
    """Make everything anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path = made.small(folder / "x.fits")
    kind(path)
    return path


def contents(folder: Path) -> dict[str, tuple[bool, bytes]]:
    """Read all files but our temporaries."""
    paths = (path for path in folder.iterdir() if not publish.is_temporary(path.name))
    return {path.name: (path.is_symlink(), path.read_bytes()) for path in paths}


def temporaries(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if publish.is_temporary(path.name)]


def ends(folder: Path, kind: Kind) -> tuple[dict[str, tuple[bool, bytes]], dict[str, tuple[bool, bytes]]]:
    """Tell how all files are before an update, and how they are to be after it."""
    begin(folder, kind)
    old = contents(folder)
    data = old["x.fits"][1]
    header_bytes = 2 * BLOCK if len(data) > 4 * BLOCK else BLOCK
    new = headeredit.edited(data[:header_bytes], VALUES) + data[header_bytes:]
    replaced = {"other"} if kind is linked else set()
    return old, {
        name: (is_link, new if name in {"x.fits"} | replaced else content)
        for name, (is_link, content) in old.items()
    }


def points(updates: Updates, path: Path) -> list[Point]:
    done, found = updates.trace([COMMAND, str(path), *WORDS], {}, path.parent)
    assert done.status == OK, done
    return found


def test_B07_D16_all_that_is_written_is_durable_before_it_gets_the_name(
    updates: Updates, folder: Path
) -> None:
    done = [(point.call, Path(point.path)) for point in points(updates, begin(folder, plain))]

    written = done[0][1]
    assert publish.is_temporary(written.name)
    assert done == [
        ("openat", written),
        ("copy_file_range", folder / "x.fits"),
        ("pwrite64", written),
        ("fchown", written),
        ("fchmod", written),
        ("fsync", written),
        ("rename", written),
        ("fsync", folder),
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_B07_after_a_kill_at_any_point_the_file_is_the_old_one_or_the_new_one(
    updates: Updates, folder: Path, kind: Kind
) -> None:
    old, new = ends(folder, kind)

    seen = []
    for point in points(updates, begin(folder, kind)):
        path = begin(folder, kind)
        done = updates.strike([COMMAND, str(path), *WORDS], {}, point, KILL)
        assert done.status == KILLED, point
        seen.append(contents(folder))
        again = updates.run([COMMAND, str(path), *WORDS], {}, seed=1)
        assert (again.status, contents(folder)) == (OK, new), point

    assert [each for each in seen if each not in (old, new)] == []
    assert (seen[0], seen[-1]) == (old, new)


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("kind", KINDS if os.environ.get("CRDSCACHE_FULL_SWEEP") else [plain, grown])
def test_B07_D01_D04_an_error_at_any_point_is_told_and_leaves_no_temporary(
    updates: Updates, folder: Path, kind: Kind, error: str
) -> None:
    old, new = ends(folder, kind)
    calls, reason = ERRORS[error]

    for point in points(updates, begin(folder, kind)):
        if point.call not in calls:
            continue
        path = begin(folder, kind)
        done = updates.strike([COMMAND, str(path), *WORDS], {}, point, error)
        assert (done.status, done.out) == (ERR, f"{path.resolve()}: {reason}\n"), point
        assert (contents(folder) in (old, new), temporaries(folder)) == (True, []), point
