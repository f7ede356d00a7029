import errno
import logging
import os
import socket
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from crdscache.cache import layout, trees
from crdscache.cache.layout import Layout
from crdscache.cache.trees import Forest
from crdscache.contexts.records import Sighting, SightingRow
from crdscache.errors import SettingsError
from tests import adopting, written


def paths(cache: Layout, *places: Path) -> list[str]:
    """List the files that some trees have; all of them can be looked at."""
    forest = Forest(places, cache)
    assert forest.unreadable() == []
    return [found.path for found in forest.files()]


def test_files_are_listed_with_their_lengths_in_order_of_tree_and_path(bare: Layout, tmp_path: Path) -> None:
    first, second = tmp_path / "z", tmp_path / "a"
    written.write(first / "b" / "deep", {"y.fits": b"yy"})
    written.write(first, {"x.fits": b"x", ".hidden": b""})
    written.write(second, {"w.fits": b"www"})

    found = Forest([first, second], bare).files()

    assert [(one.tree, one.path, one.name, one.size_bytes) for one in found] == [
        (0, f"{first}/.hidden", ".hidden", 0),
        (0, f"{first}/b/deep/y.fits", "y.fits", 2),
        (0, f"{first}/x.fits", "x.fits", 1),
        (1, f"{second}/w.fits", "w.fits", 3),
    ]


def test_trees_are_read_when_they_are_first_asked_for_and_once(bare: Layout, tree: Path) -> None:
    forest = Forest([tree], bare)
    written.write(tree, {"x.fits": b"x"})

    first = forest.files()
    written.write(tree, {"y.fits": b"y"})
    again = forest.files()

    assert [one.name for one in first] == ["x.fits"]
    assert again is first


def test_no_trees_have_no_files(bare: Layout) -> None:
    assert paths(bare) == []


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        here = Path.cwd()
        os.chdir(path.parent)  # the name of a socket is short
        try:
            made.bind(path.name)
        finally:
            os.chdir(here)


Make = Callable[[Path], object]


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (os.mkfifo, "it is a pipe"),
        (a_socket, "it is a socket"),
        (lambda path: path.symlink_to("/dev/null"), "it is a character device"),
        (lambda path: path.symlink_to("nowhere"), "a dangling link: No such file or directory (ENOENT)"),
        (lambda path: path.symlink_to("x.fits/below"), "a dangling link: Not a directory (ENOTDIR)"),
        (lambda path: path.symlink_to(path), "a dangling link: Too many levels of symbolic links (ELOOP)"),
    ],
    ids=["pipe", "socket", "device", "dangling link", "link below a file", "loop"],
)
def test_D25_what_is_no_file_is_told_with_its_reason_and_the_others_are_listed(
    bare: Layout, tree: Path, make: Make, why: str
) -> None:
    written.write(tree, {"x.fits": b"x"})
    make(tree / "odd.fits")

    forest = Forest([tree], bare)

    assert forest.unreadable() == [SightingRow(f"{tree}/odd.fits", "odd.fits", Sighting.UNREADABLE, why)]
    assert [one.name for one in forest.files()] == ["x.fits"]


def test_D25_directory_that_may_not_be_read_is_told_and_the_others_are_listed(bare: Layout) -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own directories are closed to other users
        place = Path(name)
        for folder in ("a", "closed", "z"):
            written.write(place / folder, {f"{folder}.fits": b""})
        (place / "closed").chmod(0o700)
        (place / "link.fits").symlink_to(place / "closed" / "closed.fits")
        with adopting.somebody(place):
            forest = Forest([place], bare)
            listed = [one.name for one in forest.files()]

    denied = "Permission denied (EACCES)"
    assert listed == ["a.fits", "z.fits"]
    assert sorted(forest.unreadable(), key=lambda row: row.path) == [
        SightingRow(f"{place}/closed", "closed", Sighting.UNREADABLE, denied),
        SightingRow(f"{place}/link.fits", "link.fits", Sighting.UNREADABLE, denied),
    ]


def test_D25_tree_that_is_gone_when_it_is_read_is_told(bare: Layout, tree: Path) -> None:
    tree.rmdir()

    forest = Forest([tree], bare)

    assert forest.files() == []
    why = "No such file or directory (ENOENT)"
    assert forest.unreadable() == [SightingRow(str(tree), "tree", Sighting.UNREADABLE, why)]


@pytest.mark.parametrize("call", ["openat", "getdents64", "newfstatat"])
@pytest.mark.parametrize("error", ["ESTALE", "EAGAIN"])
def test_D28_what_may_pass_is_tried_again_once(tree: Path, call: str, error: str) -> None:
    written.write(tree, {"x.fits": b"x", "y.fits": b"y"})
    struck = tree / "x.fits" if call == "newfstatat" else tree

    passing = adopting.struck(["look", tree], struck, f"{call}:error={error}:when=1")
    lasting = adopting.struck(["look", tree], struck, f"{call}:error={error}")

    assert passing == ["x.fits", "y.fits"]
    cause = f"{os.strerror(getattr(errno, error))} ({error})"
    rest = ["y.fits"] if call == "newfstatat" else []
    assert lasting == [*rest, f"{struck}: {cause}"]


def test_D19_path_that_is_longer_than_the_system_allows_is_told(bare: Layout, tree: Path) -> None:
    written.write(tree, {"x.fits": b"x"})
    here = Path.cwd()
    os.chdir(tree)
    try:
        for _ in range(20):
            Path("d" * 250).mkdir()
            os.chdir("d" * 250)
        Path("y.fits").touch()
    finally:
        os.chdir(here)

    forest = Forest([tree], bare)

    assert [one.name for one in forest.files()] == ["x.fits"]
    (row,) = forest.unreadable()
    assert len(row.path) > 4096 - 250
    assert row == SightingRow(row.path, "d" * 250, Sighting.UNREADABLE, "File name too long (ENAMETOOLONG)")


def test_the_same_file_under_two_names_is_listed_twice(bare: Layout, tree: Path) -> None:
    written.write(tree, {"x.fits": b"x"})
    (tree / "y.fits").hardlink_to(tree / "x.fits")
    (tree / "z.fits").symlink_to("x.fits")

    assert paths(bare, tree) == [f"{tree}/{name}.fits" for name in "xyz"]


def test_names_that_are_no_text_are_listed(bare: Layout, tree: Path) -> None:
    names = [b"a\tb", b"a\nb", b"caf\xe9", b"\xff.fits"]
    for name in names:
        Path(os.fsdecode(os.fsencode(tree) + b"/" + name)).touch()

    assert [os.fsencode(one.name) for one in Forest([tree], bare).files()] == names


def test_directory_that_a_link_leads_to_is_looked_through(bare: Layout, tree: Path, tmp_path: Path) -> None:
    written.write(tmp_path / "elsewhere" / "below", {"x.fits": b"x"})
    (tree / "link").symlink_to(tmp_path / "elsewhere")

    assert paths(bare, tree) == [f"{tree}/link/below/x.fits"]


def test_directory_is_looked_through_once_and_by_its_own_name(bare: Layout, tree: Path) -> None:
    """What is adopted through a link goes over to another file when the link does."""
    for name in "abcdefghstuvwxyz":  # whatever the order in which they are read
        (tree / name).symlink_to("m")
    written.write(tree / "m", {"x.fits": b"x"})
    written.write(tree / "m" / "below", {"y.fits": b"y"})
    (tree / "m" / "below" / "back").symlink_to(tree / "m" / "below")

    assert paths(bare, tree) == [f"{tree}/m/below/y.fits", f"{tree}/m/x.fits"]


def test_of_two_links_to_one_directory_the_first_in_order_is_followed(bare: Layout, tree: Path) -> None:
    written.write(tree.with_name("elsewhere"), {"x.fits": b"x"})
    for name in "zyxstabc":
        (tree / name).symlink_to(tree.with_name("elsewhere"))

    assert paths(bare, tree) == [f"{tree}/a/x.fits"]


@pytest.mark.parametrize("above", [".", "..", "../.."])
def test_D25_link_back_to_the_tree_or_above_it_is_not_followed_twice(bare: Layout, above: str) -> None:
    tree = bare.root.with_name("site") / "tree"
    written.write(tree, {"x.fits": b"x"})
    written.write(tree.parent / "beside", {"y.fits": b"y"})
    written.write(bare.references, {"z.fits": b"z"})
    (tree / "back").symlink_to(above, target_is_directory=True)

    beside = {
        ".": [],
        "..": [f"{tree}/back/beside/y.fits"],
        "../..": [f"{tree}/back/site/beside/y.fits"],
    }
    assert paths(bare, tree) == [*beside[above], f"{tree}/x.fits"]


@pytest.mark.parametrize(
    "place",
    [
        ".",
        "mappings",
        "mappings/hst",
        "references",
        "references/hst",
        "references/hst/acs",
        "config/hst",
        "elsewhere",
    ],
)
def test_D25_link_into_the_cache_is_not_followed(
    bare: Layout, tree: Path, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    cache = replace(bare, references=bare.root.with_name("branch")) if place == "elsewhere" else bare
    target = cache.references / "below" if place == "elsewhere" else cache.root / place
    written.write(target, {"x.fits": b"x"})
    (tree / "link").symlink_to(target)

    with caplog.at_level(logging.WARNING, trees.__name__):
        assert paths(cache, tree) == []

    assert [record.getMessage() for record in caplog.records] == [
        f"not looked through again, or it is the cache's own path={tree}/link"
    ]


def test_D25_link_from_one_tree_to_another_is_not_followed(bare: Layout, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    written.write(second / "below", {"x.fits": b"x"})
    written.write(second, {"y.fits": b"y"})
    first.mkdir()
    (first / "link").symlink_to(second)

    assert paths(bare, first, second) == [f"{second}/below/x.fits", f"{second}/y.fits"]


def test_trees_apart_are_accepted(bare: Layout, tmp_path: Path) -> None:
    first, second = tmp_path / "tree", tmp_path / "tree2"  # of like names
    for place in (first, second, tmp_path / "cache2"):
        place.mkdir()

    trees.require_apart([first, second, tmp_path / "cache2"], bare)


@pytest.mark.parametrize("place", ["relative", "missing", "file", "dangling"])
def test_D25_tree_that_is_no_directory_by_an_absolute_path_is_refused(
    bare: Layout, tmp_path: Path, tree: Path, place: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    named = Path(os.path.relpath(tree)) if place == "relative" else tmp_path / place

    with pytest.raises(SettingsError) as caught:
        trees.require_apart([tree, named], bare)

    why = f"adopt: expected a directory that can be read, by an absolute path; found {named}"
    assert str(caught.value) == why


def test_D25_tree_that_may_not_be_read_is_refused(bare: Layout) -> None:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "closed").mkdir(mode=0o700)
        with adopting.somebody(place), pytest.raises(SettingsError, match=f"found {place}/closed"):
            trees.require_apart([place / "closed"], bare)


@pytest.mark.parametrize(
    ("named", "other"),
    [
        (["cache"], "cache"),
        (["cache/references/hst"], "cache"),
        (["cache/references/hst/acs"], "cache"),
        (["."], "cache"),
        (["tree", "link to cache"], "cache"),
        (["branch/below"], "branch"),
        (["tree", "tree"], "tree"),
        (["tree", "tree/below"], "tree"),
        (["tree/below", "tree"], "tree/below"),
        (["tree", "link to tree"], "tree"),
        (["tree/../tree", "tree"], "tree"),
    ],
)
def test_D25_tree_in_the_cache_around_it_or_in_another_tree_is_refused(
    bare: Layout, tmp_path: Path, named: list[str], other: str
) -> None:
    for folder in ("tree/below", "branch/below", "cache/references/hst/acs"):
        (tmp_path / folder).mkdir(parents=True)
    for folder in ("cache", "tree"):
        (tmp_path / f"link to {folder}").symlink_to(folder)
    cache = replace(bare, references=tmp_path / "branch") if other == "branch" else bare
    places = [tmp_path / name for name in named]

    with pytest.raises(SettingsError) as caught:
        trees.require_apart(places, cache)

    why = f"adopt: {places[-1]} and {tmp_path / other} lie in each other: a tree must be apart"
    assert str(caught.value) == why


def test_the_caches_own_places_need_not_be_there(tree: Path, tmp_path: Path) -> None:
    cache = layout.default_layout(tmp_path / "nothing", "hst")
    written.write(tree, {"x.fits": b"x"})

    trees.require_apart([tree], cache)

    assert paths(cache, tree) == [f"{tree}/x.fits"]
