import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crdscache.cache import removal, restore, trash
from crdscache.cache.layout import Layout
from crdscache.cache.trash import Gone, Why
from crdscache.contexts.records import Problem
from crdscache.errors import SettingsError
from tests import purging, written
from tests.caches import listing
from tests.purging import Site

FITS, OTHER = "x0000001j_drk.fits", "x0000002j_drk.fits"


@pytest.fixture
def site(demo_root: Path, tmp_path: Path) -> Site:
    made = purging.demo_site(demo_root, tmp_path / "cache")
    written.write(made.cache.references, {FITS: b"old" * 3000})
    removal.carry_out(made.cache, made.estimate(), "run-1", ignores_leases=False)
    return made


def bin_of(cache: Layout, run_id: str = "run-1") -> Path:
    return cache.state / "trash" / run_id


def throw(
    cache: Layout, run_id: str, name: str = FITS, *, path: str | None = None, size_bytes: int = 9
) -> Path:
    """Put something into the trash of a run."""
    directory = bin_of(cache, run_id)
    where = path or f"references/hst/{name}"
    trash.write_table(
        directory, [*trash.table_of(directory), Gone("2026-01-01 00:00:00", name, where, Why("why"))]
    )
    (directory / name).write_bytes(b"x" * size_bytes)
    return directory / name


def stamp(days_ago: float) -> str:
    return (datetime.now(UTC) - timedelta(days=days_ago)).strftime("%Y%m%dT%H%M%SZ-abcdef")


def inodes(site: Site) -> dict[str, tuple[int, ...]]:
    """Map each path to what a way there and back must not change: the inode, and its length."""
    found = listing(site.cache.mappings, site.cache.references)
    return {path: values[2:] for path, values in found.items() if not Path(path).is_dir()}


def test_all_comes_back_as_it_was_and_the_trash_is_gone(demo_root: Path, tmp_path: Path) -> None:
    site = purging.demo_site(demo_root, tmp_path / "other")
    (site.cache.references / OTHER).symlink_to("nowhere")
    before = inodes(site)
    made = site.estimate()
    removal.carry_out(site.cache, made, "run-1", ignores_leases=False)

    back = restore.restore(site.cache, "run-1")

    assert inodes(site) == before
    assert (back.n_files, back.size_bytes, back.left) == (len(made.rows), made.goes_bytes, ())
    assert not bin_of(site.cache).exists()


def test_roots_come_back_last_so_that_no_half_context_is_found(site: Site) -> None:
    """The disk is full after a few: what is back is a part from below."""
    rows = trash.table_of(bin_of(site.cache))
    rmap = next(row for row in rows if row.path.endswith(".rmap"))
    site.cache.mappings.joinpath(rmap.path.rpartition("/")[2]).write_bytes(b"in the way")

    back = restore.restore(site.cache, "run-1")

    assert back.left == (Problem(rmap.path, "something has its name again"),)
    assert [
        row.name for row in trash.table_of(bin_of(site.cache)) if (bin_of(site.cache) / row.name).exists()
    ] == [rmap.name]
    assert site.cache.absolute(rmap.path).read_bytes() == b"in the way"


def test_restore_again_brings_what_could_not_come(site: Site) -> None:
    obstacle = site.cache.references / FITS
    obstacle.mkdir()
    assert [problem.name for problem in restore.restore(site.cache, "run-1").left] == [
        f"references/hst/{FITS}"
    ]
    obstacle.rmdir()

    assert restore.restore(site.cache, "run-1").n_files == 1
    assert not bin_of(site.cache).exists()


def test_dry_run_tells_the_same_and_changes_nothing(site: Site) -> None:
    before = listing(site.cache.root)

    told = restore.restore(site.cache, "run-1", dry_run=True)

    assert listing(site.cache.root) == before
    assert told == restore.restore(site.cache, "run-1")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("../outside.fits", "it was not a file of the cache's mappings or references"),
        ("references/hst/../../outside.fits", "it was not a file of the cache's mappings or references"),
        ("/etc/outside.fits", "it was not a file of the cache's mappings or references"),
        ("config/hst/server_config", "it was not a file of the cache's mappings or references"),
        ("references/hst/a/b/x.fits", "it was not a file of the cache's mappings or references"),
        ("references/hst/x.sh", "its name is not that of a mapping or a reference"),
    ],
)
def test_S07_table_that_was_changed_leads_nowhere_else(site: Site, path: str, why: str) -> None:
    throw(site.cache, "run-2", path=path)

    back = restore.restore(site.cache, "run-2")

    assert back.left == (Problem(path, why),)
    assert not (site.cache.root.parent / "outside.fits").exists()


def test_directory_that_is_a_link_now_gets_nothing(site: Site, tmp_path: Path) -> None:
    throw(site.cache, "run-2", path=f"references/hst/acs/{FITS}")
    (tmp_path / "tree").mkdir()
    (site.cache.references / "acs").symlink_to(tmp_path / "tree")

    (problem,) = restore.restore(site.cache, "run-2").left

    assert problem.reason == f"{site.cache.references / 'acs'} is a link now"
    assert list((tmp_path / "tree").iterdir()) == []


def test_unknown_run_is_named_with_those_that_there_are(site: Site) -> None:
    with pytest.raises(SettingsError, match=r"--restore 'run-9': no such run in the trash: run-1"):
        restore.restore(site.cache, "run-9")
    restore.empty(site.cache, ["run-1"])
    with pytest.raises(SettingsError, match="it is empty"):
        restore.restore(site.cache, "run-1")


@pytest.mark.parametrize("name", ["..", "../../hst", "/", "run-1/.."])
def test_S07_name_of_a_run_that_leads_elsewhere_is_none(site: Site, name: str) -> None:
    before = site.here()

    with pytest.raises(SettingsError):
        restore.restore(site.cache, name)

    restore.empty(site.cache, [name])
    assert site.here() == before
    assert bin_of(site.cache).exists()


def test_what_is_in_the_trash_is_told_by_run_with_what_it_would_free(site: Site, tmp_path: Path) -> None:
    kept = throw(site.cache, "run-2", size_bytes=5000)
    throw(site.cache, "run-2", OTHER, size_bytes=100)
    (tmp_path / "elsewhere").hardlink_to(kept)

    first, second = restore.bins(site.cache)

    assert (first.run_id, first.n_files) == ("run-1", len(trash.table_of(bin_of(site.cache))))
    assert (second.run_id, second.n_files, second.size_bytes, second.frees_bytes) == ("run-2", 2, 5100, 4096)


def test_D11_emptying_follows_no_link(site: Site, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    written.write(tree, {"a.fits": b"original"})
    bin_of(site.cache, "run-2").mkdir()
    (bin_of(site.cache, "run-2") / "dir").symlink_to(tree)
    (bin_of(site.cache, "run-2") / "kept").mkdir()
    (bin_of(site.cache, "run-2") / "kept" / "link").symlink_to(tree / "a.fits")
    (bin_of(site.cache).parent / "run-3").symlink_to(tree)

    n_files, _ = restore.empty(site.cache, ["run-2", "run-3"])

    assert n_files == 2
    assert [path.name for path in tree.iterdir()] == ["a.fits"]
    assert not bin_of(site.cache, "run-2").exists()


def test_emptied_after_so_many_days(site: Site) -> None:
    old, young = stamp(31), stamp(29)
    throw(site.cache, old)
    throw(site.cache, young)

    assert restore.due(site.cache, 30, 0) == [old]
    assert restore.due(site.cache, 0, 0) == sorted([old, young, "run-1"])


def test_D31_dates_of_files_do_not_say_how_old_the_trash_is(site: Site) -> None:
    young = stamp(1)
    for path in (throw(site.cache, young), bin_of(site.cache, young)):
        os.utime(path, (0, 0))

    assert restore.due(site.cache, 30, 0) == []


def test_oldest_goes_first_where_space_is_short(site: Site) -> None:
    shutil.rmtree(bin_of(site.cache))
    first, second, third = stamp(3), stamp(2), stamp(1)
    for run_id in (third, first, second):
        throw(site.cache, run_id, size_bytes=4096)
    free = shutil.disk_usage(site.cache.root).free

    assert restore.due(site.cache, 30, free + 1000 * 2**30)[:3] == [first, second, third]
    assert restore.due(site.cache, 30, 0) == []
    assert restore._for_space([first, second, third], site.cache, 5000) == [first, second]
