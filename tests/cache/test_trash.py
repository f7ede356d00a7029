import os
import stat
from pathlib import Path

import pytest

from crdscache.cache import tables, trash
from crdscache.cache.layout import Layout
from crdscache.cache.trash import Trash, Why
from tests.mounts import small_disk

GOOD, BAD = b"good", b"bad!"
WHY = Why("it has 4 bytes, the catalogue says 5", "ab" * 20, None)


def replaced(cache: Layout, target: Path) -> Path:
    """Replace what stands at a path; tells where it is kept."""
    copy = target.with_name(".x.part")
    copy.write_bytes(GOOD)
    bin_of_run = Trash(cache, "run-1")
    bin_of_run.replace(copy, target, WHY)
    assert target.read_bytes() == GOOD
    assert not target.is_symlink()
    assert not copy.exists()
    return bin_of_run.directory(target) / target.name


def lines(cache: Layout) -> list[list[str]]:
    table = cache.state / "trash" / "run-1" / trash.TABLE
    return [row[1:] for row in tables.read(table, "trash", trash.COLUMNS)]


def test_wrong_file_is_kept_with_its_bytes_and_the_reason(bare: Layout) -> None:
    target = bare.references / "x.fits"
    target.write_bytes(BAD)
    inode = target.stat().st_ino

    kept = replaced(bare, target)

    assert kept == bare.state / "trash" / "run-1" / "x.fits"
    assert (kept.read_bytes(), kept.stat().st_ino) == (BAD, inode)
    assert lines(bare) == [["x.fits", "references/hst/x.fits", WHY.reason, "ab" * 20, ""]]


def test_D11_link_is_kept_as_a_link_and_the_original_is_as_it_was(bare: Layout, tmp_path: Path) -> None:
    original = tmp_path / "original"
    original.write_bytes(BAD)
    original.chmod(0o640)
    os.utime(original, ns=(1, 1))
    before = original.stat()
    target = bare.references / "x.fits"
    target.symlink_to(original)

    kept = replaced(bare, target)

    assert kept.readlink() == original
    after = original.stat()
    assert original.read_bytes() == BAD
    assert (after.st_mode, after.st_uid, after.st_mtime_ns, after.st_nlink, after.st_ctime_ns) == (
        before.st_mode,
        before.st_uid,
        before.st_mtime_ns,
        1,
        before.st_ctime_ns,
    )


def test_D20_hard_link_of_an_original_is_kept_and_the_original_stays_what_it_is(
    bare: Layout, tmp_path: Path
) -> None:
    original = tmp_path / "original"
    original.write_bytes(BAD)
    target = bare.references / "x.fits"
    target.hardlink_to(original)

    kept = replaced(bare, target)

    assert original.read_bytes() == BAD
    assert original.samefile(kept)
    assert not original.samefile(target)


@pytest.mark.parametrize("kind", ["pipe", "directory", "dangling link"])
def test_D12_D13_what_is_no_file_is_moved_away_as_it_is(bare: Layout, kind: str) -> None:
    target = bare.references / "x.fits"
    if kind == "pipe":
        os.mkfifo(target)
    elif kind == "directory":
        target.mkdir()
        (target / "inside").write_bytes(BAD)
    else:
        target.symlink_to("nowhere")

    kept = replaced(bare, target)

    if kind == "pipe":
        assert stat.S_ISFIFO(kept.lstat().st_mode)
    elif kind == "directory":
        assert (kept / "inside").read_bytes() == BAD
    else:
        assert kept.readlink() == Path("nowhere")


def test_branch_on_another_file_system_has_a_trash_of_its_own(bare: Layout) -> None:
    with small_disk(bare.references, "1m"):
        target = bare.references / "x.fits"
        target.write_bytes(BAD)

        kept = replaced(bare, target)

        assert kept == bare.references / ".crdscache" / "trash" / "run-1" / "x.fits"
        assert kept.read_bytes() == BAD


def test_run_that_was_cut_after_it_kept_the_file_goes_on(bare: Layout) -> None:
    target = bare.references / "x.fits"
    target.write_bytes(BAD)
    kept = bare.state / "trash" / "run-1" / "x.fits"
    kept.parent.mkdir(parents=True)
    kept.hardlink_to(target)

    assert replaced(bare, target).read_bytes() == BAD
