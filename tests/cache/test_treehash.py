"""One sum for all files of a cache."""

import os
import subprocess
from pathlib import Path

import pytest

from crdscache.cache import layout, treehash
from crdscache.cache.layout import Layout
from crdscache.cache.treehash import TreeHash
from crdscache.contexts.records import Problem
from tests import written

FILES = {
    "mappings/hst/hst_0001.pmap": b"rules",
    "references/hst/acs/a.fits": b"dark",
    "references/hst/cos/b.fits": b"",
}
LINES = "".join(f"{written.sha1_of(data)}  {path}\n" for path, data in FILES.items())
RIGHT = TreeHash(written.sha1_of(LINES.encode()), 3, 9, ())


@pytest.fixture
def cache(tmp_path: Path) -> Layout:
    made = layout.default_layout(tmp_path / "cache", "hst")
    for path, data in FILES.items():
        target = made.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return made


def test_it_is_the_sum_of_what_sha1sum_writes_in_order_of_path(cache: Layout) -> None:
    done = subprocess.run(["sha1sum", *FILES], cwd=cache.root, capture_output=True, check=True)

    assert treehash.read(cache, 2) == RIGHT
    assert RIGHT.tree_hash == written.sha1_of(done.stdout)


def test_files_behind_links_count_and_no_directory_counts_twice(cache: Layout, tmp_path: Path) -> None:
    original = tmp_path / "original.fits"
    (cache.references / "acs" / "a.fits").rename(original)
    (cache.references / "acs" / "a.fits").symlink_to(original)
    (cache.references / "jref").symlink_to("acs")
    (cache.references / "acs" / "up").symlink_to("..")

    assert treehash.read(cache, 2) == RIGHT


def test_instrument_whose_directory_is_elsewhere_counts_by_its_own_name(
    cache: Layout, tmp_path: Path
) -> None:
    (cache.references / "acs").rename(tmp_path / "disk2")
    (cache.references / "aref").symlink_to("acs")
    (cache.references / "acs").symlink_to(tmp_path / "disk2")
    (cache.references / "zref").symlink_to(tmp_path / "disk2")

    assert treehash.read(cache, 2) == RIGHT


def test_branches_elsewhere_give_the_same_sum(cache: Layout, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    cache.references.rename(other)

    assert (
        treehash.read(Layout(cache.root, "hst", cache.mappings, other, cache.config, cache.locks), 2) == RIGHT
    )


def test_own_temporaries_do_not_count_and_any_other_file_does(cache: Layout) -> None:
    (cache.references / "acs" / ".a.fits.0123456789ab.part").write_bytes(b"half")
    (cache.mappings / ".crdscache.test").write_bytes(b"")
    assert treehash.read(cache, 2) == RIGHT

    (cache.references / "acs" / "dark.fits").write_bytes(b"")
    with_dark = treehash.read(cache, 2)

    assert (with_dark.n_files, with_dark.size_bytes) == (4, 9)
    assert with_dark.tree_hash != RIGHT.tree_hash


def test_a_changed_byte_a_changed_name_and_a_changed_place_are_seen(cache: Layout) -> None:
    dark = cache.references / "acs" / "a.fits"
    seen = {treehash.read(cache, 2).tree_hash}
    dark.write_bytes(b"Dark")
    seen.add(treehash.read(cache, 2).tree_hash)
    dark.write_bytes(b"dark")
    dark.rename(cache.references / "acs" / "c.fits")
    seen.add(treehash.read(cache, 2).tree_hash)
    (cache.references / "acs" / "c.fits").rename(cache.references / "a.fits")
    seen.add(treehash.read(cache, 2).tree_hash)

    assert len(seen) == 4


def test_what_cannot_be_read_is_named_and_there_is_no_sum(cache: Layout) -> None:
    (cache.references / "dangling.fits").symlink_to("nowhere")
    os.mkfifo(cache.references / "pipe.fits")

    assert treehash.read(cache, 2) == TreeHash(
        None,
        3,
        9,
        (
            Problem("references/hst/dangling.fits", "it cannot be read: No such file or directory (ENOENT)"),
            Problem("references/hst/pipe.fits", "it is not a regular file"),
        ),
    )


def test_an_empty_cache_has_a_sum_too(tmp_path: Path) -> None:
    empty = layout.default_layout(tmp_path / "none", "hst")

    assert treehash.read(empty, 2) == TreeHash(written.sha1_of(b""), 0, 0, ())
