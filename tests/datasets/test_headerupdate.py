"""Updates of whole files; the letter and number in a name is a row of the fault matrix."""

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from astropy.io import fits  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from crdscache.cache import publish
from crdscache.datasets import fitsfiles, headeredit, headerupdate
from crdscache.errors import DatasetError
from tests import mounts
from tests.caches import CHECKOUT
from tests.datasets import made
from tests.datasets.made import BLOCK
from tests.datasets.random_headers import CARDS, VALUE_SETS, header_of

VALUES = {"BIASFILE": "jref$x1234567j_bia.fits", "INSTRUME": "N/A"}
READ_ONLY = "it is read-only: no permission, a read-only file system, or immutable"

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may do this to files")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return made.small(tmp_path / "x.fits", 2)


@pytest.fixture
def common() -> Iterator[Path]:
    """Make a directory that other users reach: that of pytest is closed to them."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def updated(data: bytes, header_bytes: int = BLOCK) -> bytes:
    """Give what a file has to be after the update: a new first header, and all the rest."""
    return headeredit.edited(data[:header_bytes], VALUES) + data[header_bytes:]


def state(path: Path) -> tuple[int, ...]:
    """Tell all that changes when a file is written, replaced or given away; reading changes none of it."""
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_mode, found.st_uid, found.st_gid


def refused(path: Path) -> str:
    """Try an update that has to fail, and to leave all as it was."""
    before = (path.read_bytes(), state(path), sorted(path.parent.iterdir()))

    with pytest.raises(DatasetError) as told:
        headerupdate.update(path, VALUES)

    assert (path.read_bytes(), state(path), sorted(path.parent.iterdir())) == before
    return str(told.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize("n_cards", [3, 28, 29])
def test_keywords_are_written_and_nothing_else(path: Path, n_cards: int) -> None:
    """With so many cards the header grows by a block, or just not."""
    path.unlink()
    data = made.small(path, 2, checksum=False, n_cards=n_cards).read_bytes()

    assert headerupdate.update(path, VALUES) is True

    assert path.read_bytes() == updated(data)
    assert len(path.read_bytes()) == len(data) + (BLOCK if n_cards == 29 else 0)
    header = fitsfiles.read_header(path)
    assert {keyword: header[keyword] for keyword in VALUES} == VALUES
    assert sorted(path.parent.iterdir()) == [path]


def test_a_header_that_needs_a_block_less_gives_it_back(path: Path) -> None:
    data = path.read_bytes()
    headerupdate.update(path, {"LONG": "x" * 3000})
    grown = path.read_bytes()

    headerupdate.update(path, {"LONG": "x"})

    assert len(grown) == len(data) + BLOCK
    assert path.read_bytes() == headeredit.edited(data[:BLOCK], {"LONG": "x"}) + data[BLOCK:]


def test_checksums_hold_after_an_update(path: Path) -> None:
    path.unlink()
    made.small(path, 2, checksum=True)

    headerupdate.update(path, VALUES)

    with fits.open(path, checksum=True) as hdus:  # a warning would be an error
        assert [(hdu.verify_checksum(), hdu.verify_datasum()) for hdu in hdus] == [(1, 1)] * 3


def test_a_second_update_leaves_the_file_untouched(path: Path) -> None:
    headerupdate.update(path, VALUES)
    before = state(path)

    assert headerupdate.update(path, VALUES) is False
    assert state(path) == before


def test_B05_a_read_only_file_that_needs_no_update_is_no_error(path: Path) -> None:
    headerupdate.update(path, VALUES)
    path.chmod(0o444)

    assert headerupdate.update(path, VALUES) is False


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o2775, 0o604])
@pytest.mark.parametrize("umask", [0o002, 0o022, 0o077])
def test_P18_mode_and_the_users_attributes_are_kept_whatever_the_umask(
    path: Path, mode: int, umask: int
) -> None:
    os.setxattr(path, "user.origin", b"archive")
    path.chmod(mode)
    former = os.umask(umask)

    try:
        headerupdate.update(path, VALUES)
    finally:
        os.umask(former)

    assert (path.stat().st_mode & 0o7777, os.getxattr(path, "user.origin")) == (mode, b"archive")


@as_root
def test_B05_the_owner_is_kept(path: Path) -> None:
    os.chown(path, 12345, 23456)

    headerupdate.update(path, VALUES)

    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 23456)


@as_root
@pytest.mark.parametrize(
    ("folder_mode", "reason"),
    [
        (0o777, "it belongs to user root (0) in group root (0), and a new file cannot be given to them"),
        (0o755, "Permission denied"),
    ],
)
def test_B05_a_file_of_someone_else_is_left_alone(common: Path, folder_mode: int, reason: str) -> None:
    path = made.small(common / "x.fits")
    path.chmod(0o666)
    common.chmod(folder_mode)

    os.seteuid(12345)
    try:
        told = refused(path)
    finally:
        os.seteuid(0)

    assert told == reason


def test_B05_a_file_that_is_read_only_by_its_mode_is_left_alone_even_by_root(path: Path) -> None:
    path.chmod(0o444)

    assert refused(path) == "it is read-only, its mode is 0444"


@as_root
def test_B05_an_immutable_file_is_left_alone(path: Path) -> None:
    with mounts.immutable(path):
        told = refused(path)

    assert told == READ_ONLY


@as_root
def test_B05_a_file_on_a_read_only_mount_is_left_alone(path: Path) -> None:
    before = path.read_bytes()
    mount = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'
    words: list[str | Path] = [path.parent, sys.executable, "-m", "tests.datasets.updating", path, "A", "x"]

    line = ["unshare", "-m", "sh", "-c", mount, "sh", *words]
    done = subprocess.run(line, cwd=CHECKOUT, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (1, f"{path}: {READ_ONLY}\n")
    assert path.read_bytes() == before


def test_B01_B02_what_cannot_be_read_is_not_updated(path: Path) -> None:
    data = path.read_bytes()
    told = {}
    for n_bytes in (0, 1000, BLOCK, len(data) - BLOCK, len(data) - 1):
        path.write_bytes(data[:n_bytes])
        told[n_bytes] = refused(path)[:30]
    path.write_bytes(data.replace(f"{'END':80}".encode(), b" " * 80))
    told[-1] = refused(path)[:30]

    assert told == {
        0: "a FITS file was expected, foun",
        1000: "truncated: 2880 bytes were exp",
        BLOCK: "truncated: 2 extensions were e",
        len(data) - BLOCK: "truncated: 14400 bytes were ex",
        len(data) - 1: "truncated: 14400 bytes were ex",
        -1: "truncated or damaged: the head",
    }


def test_B01_a_keyword_or_text_that_the_standard_does_not_allow_is_told(path: Path) -> None:
    with pytest.raises(DatasetError, match=f"^{path}: BIASFILE: 'café' is no text for a header$"):
        headerupdate.update(path, {"BIASFILE": "café"})


def test_B07_of_a_symbolic_link_the_target_is_replaced_and_not_the_link(path: Path) -> None:
    data = path.read_bytes()
    folder = path.parent / "elsewhere"
    folder.mkdir()
    link = folder / "y.fits"
    link.symlink_to("../x.fits")

    assert headerupdate.update(link, VALUES) is True

    assert link.readlink() == Path("../x.fits")
    assert (path.is_symlink(), path.read_bytes()) == (False, updated(data))
    assert sorted(folder.iterdir()) == [link]


def test_B07_other_hard_links_keep_the_old_file(path: Path) -> None:
    data = path.read_bytes()
    other = path.with_name("other.fits")
    other.hardlink_to(path)
    inode = other.stat().st_ino

    headerupdate.update(path, VALUES)

    assert (other.read_bytes(), other.stat().st_ino, other.stat().st_nlink) == (data, inode, 1)
    assert path.read_bytes() == updated(data)


@pytest.mark.parametrize(
    "name", ["with blanks.fits", "-x.fits", "new\nline.fits", "caf\udce9.fits", "x.fits.crdstmp"]
)
def test_B10_any_name_will_do(path: Path, name: str) -> None:
    strange = path.rename(path.with_name(name))
    data = strange.read_bytes()

    headerupdate.update(strange, VALUES)

    assert strange.read_bytes() == updated(data)


def test_B10_a_name_that_leaves_no_room_for_a_temporary_is_told(path: Path) -> None:
    assert refused(path.rename(path.with_name("x" * 250))) == "File name too long"


def replace(path: Path) -> None:
    shutil.copyfile(path, path.with_name("other"))
    path.with_name("other").rename(path)


def rewrite(path: Path) -> None:
    path.write_bytes(path.read_bytes())
    os.utime(path, ns=(0, 1))  # else the steps of the clock may hide it


def cut(path: Path) -> None:
    os.truncate(path, 100)


@pytest.mark.parametrize("change", [replace, rewrite, cut, Path.unlink])
def test_B06_a_change_by_someone_else_meanwhile_is_kept_and_told(
    path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None]
) -> None:
    fsync = os.fsync
    seen: list[bytes | None] = []

    def change_first(descriptor: int) -> None:
        change(path)
        seen.append(path.read_bytes() if path.exists() else None)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", change_first)

    with pytest.raises(DatasetError, match=r"meanwhile|No such file"):
        headerupdate.update(path, VALUES)

    assert [path.read_bytes() if path.exists() else None] == seen
    assert [each for each in path.parent.iterdir() if publish.is_temporary(each.name)] == []


def test_B06_a_file_that_is_cut_while_it_is_copied_is_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = os.copy_file_range

    def cut_first(*arguments: int) -> int:
        cut(path)
        return copy(*arguments)

    monkeypatch.setattr(os, "copy_file_range", cut_first)

    with pytest.raises(DatasetError, match=r"truncated by someone else meanwhile$"):
        headerupdate.update(path, VALUES)


@pytest.mark.parametrize("n_cards", [3, 29])
@pytest.mark.parametrize("code", ["ENOSYS", "EINVAL", "EOPNOTSUPP", "EXDEV", "EPERM"])
def test_where_the_kernel_does_not_copy_we_do(
    path: Path, monkeypatch: pytest.MonkeyPatch, code: str, n_cards: int
) -> None:
    path.unlink()
    data = made.small(path, 2, n_cards=n_cards).read_bytes()
    copy = os.copy_file_range
    parts: Iterator[Callable[..., int]] = iter([copy])

    def one_part_only(source: int, target: int, _count: int, *starts: int) -> int:
        for part in parts:
            return part(source, target, 1000, *starts)
        raise OSError(getattr(errno, code), os.strerror(getattr(errno, code)))

    monkeypatch.setattr(os, "copy_file_range", one_part_only)

    headerupdate.update(path, VALUES)

    assert path.read_bytes() == updated(data)


def test_where_there_are_no_attributes_none_are_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_: int) -> list[str]:
        raise OSError(errno.EOPNOTSUPP, "")

    monkeypatch.setattr(os, "listxattr", none)

    assert headerupdate.update(path, VALUES) is True


@given(st.lists(CARDS, max_size=40), VALUE_SETS)
def test_B07_whatever_is_written_all_else_is_equal_and_a_second_time_nothing_is(
    tmp_path_factory: pytest.TempPathFactory, cards: list[tuple[object, ...]], values: dict[str, str]
) -> None:
    path = tmp_path_factory.mktemp("any") / "x.fits"
    header, rest = header_of(cards), made.extension("A = 1") + made.extension("B = 2")
    path.write_bytes(header + rest)

    is_new = headerupdate.update(path, values)

    after = path.read_bytes()
    assert after == headeredit.edited(header, values) + rest
    assert is_new is (after != header + rest)
    assert headerupdate.update(path, values) is False
