import os
import shutil
from pathlib import Path

import pytest

from crdscache.cache import layout, plan
from crdscache.cache.identity import ALL
from crdscache.cache.layout import Layout, Mode
from crdscache.contexts.records import Action
from crdscache.errors import SettingsError
from tests import written
from tests.caches import FORMER


@pytest.fixture
def empty(tmp_path: Path) -> Layout:
    return layout.default_layout(tmp_path, "hst")


def tree(directory: Path) -> dict[str, str | None]:
    """Map each name to where it links, None for a directory."""
    return {path.name: str(path.readlink()) if path.is_symlink() else None for path in directory.iterdir()}


def test_cache_lies_below_its_root_as_the_missions_client_has_it(tmp_path: Path) -> None:
    cache = layout.default_layout(tmp_path, "jwst")

    assert cache == Layout(
        tmp_path,
        "jwst",
        tmp_path / "mappings" / "jwst",
        tmp_path / "references" / "jwst",
        tmp_path / "config" / "jwst",
        tmp_path,
    )
    assert cache.state == tmp_path / ".crdscache" / "jwst"
    assert cache.reference_directory(Mode.FLAT, "miri") == cache.references
    assert cache.reference_directory(Mode.INSTRUMENT, "miri") == cache.references / "miri"


@pytest.mark.parametrize(("below", "shown"), [("a/x", "a/x"), ("/elsewhere/x", "/elsewhere/x")])
def test_place_of_a_file_is_told_from_the_root_where_it_lies_below_it(
    empty: Layout, below: str, shown: str
) -> None:
    assert empty.relative(empty.root / below) == shown
    assert empty.absolute(shown) == empty.root / below


@pytest.mark.parametrize(
    ("text", "mode"), [(b"flat", Mode.FLAT), (b"flat\n", Mode.FLAT), (b" instrument \r\n", Mode.INSTRUMENT)]
)
def test_mode_file_decides_whatever_lies_there(empty: Layout, text: bytes, mode: Mode) -> None:
    written.write(empty.config, {layout.MODE_FILE: text})
    written.write(empty.references, {"x.fits": b""})
    (empty.references / "acs").mkdir()

    assert layout.find_mode(empty, Mode.FLAT) is layout.find_mode(empty, Mode.INSTRUMENT) is mode


@pytest.mark.parametrize("text", [b"", b"legacy", b"FLAT", b"flat instrument", b"\xff\x00", b"x" * 10**5])
def test_odd_word_in_the_mode_file_is_refused_with_the_words_that_are_allowed(
    empty: Layout, text: bytes
) -> None:
    written.write(empty.config, {layout.MODE_FILE: text})

    with pytest.raises(
        SettingsError, match=r"ref_cache_subdir_mode: .* expected one of: flat, instrument"
    ) as told:
        layout.find_mode(empty, Mode.FLAT)
    assert len(str(told.value)) < 250 + len(str(empty.config))


@pytest.mark.parametrize(
    ("files", "directories", "mode"),
    [
        ((), (), None),
        ((".x.swp",), (".snapshots",), None),
        (("x.fits",), (), Mode.FLAT),
        ((), ("acs",), Mode.INSTRUMENT),
        (("x.fits",), ("acs",), Mode.INSTRUMENT),
    ],
)
def test_without_a_mode_file_what_lies_there_decides_and_else_the_setting(
    empty: Layout, files: tuple[str, ...], directories: tuple[str, ...], mode: Mode | None
) -> None:
    written.write(empty.references, dict.fromkeys(files, b""))
    for name in directories:
        (empty.references / name).mkdir()

    assert [layout.find_mode(empty, default) for default in Mode] == [mode or default for default in Mode]


def test_mode_of_a_cache_without_references_is_the_setting(empty: Layout) -> None:
    assert [layout.find_mode(empty, default) for default in Mode] == list(Mode)


def test_first_references_settle_the_mode_for_good(empty: Layout) -> None:
    layout.settle_mode(empty, Mode.FLAT, ["acs", "wfc3"])
    before = (empty.config / layout.MODE_FILE).stat()
    layout.settle_mode(empty, Mode.FLAT, ["cos"])

    assert (empty.config / layout.MODE_FILE).read_bytes() == b"flat"
    assert (empty.config / layout.MODE_FILE).stat() == before
    assert tree(empty.references) == {}


def test_instruments_of_hst_get_their_links_relative_so_that_a_cache_can_be_moved(empty: Layout) -> None:
    instruments = ["acs", "cos", "nicmos", "stis", "synphot", "wfc3", "wfpc2", "acs"]
    layout.settle_mode(empty, Mode.INSTRUMENT, instruments)
    layout.settle_mode(empty, Mode.INSTRUMENT, instruments)

    links = {"jref": "acs", "lref": "cos", "nref": "nicmos", "oref": "stis", "iref": "wfc3", "uref": "wfpc2"}
    assert tree(empty.references) == {**dict.fromkeys(instruments), **links}
    assert layout.reference_directories(empty, Mode.INSTRUMENT) == [
        empty.references / name for name in sorted(set(instruments))
    ]


def test_link_that_is_there_already_is_left_wherever_it_leads(empty: Layout) -> None:
    """The missions' client makes them absolute."""
    empty.references.mkdir(parents=True)
    (empty.references / "jref").symlink_to("/absolute/acs")

    layout.settle_mode(empty, Mode.INSTRUMENT, ["acs"])

    assert tree(empty.references) == {"acs": None, "jref": "/absolute/acs"}


def test_other_observatories_get_no_links(tmp_path: Path) -> None:
    cache = layout.default_layout(tmp_path, "jwst")

    layout.settle_mode(cache, Mode.INSTRUMENT, ["miri", "acs"])

    assert tree(cache.references) == {"miri": None, "acs": None}


def test_flat_references_lie_in_one_directory_if_there_is_one(empty: Layout) -> None:
    before = layout.reference_directories(empty, Mode.FLAT)
    empty.references.mkdir(parents=True)

    assert (before, layout.reference_directories(empty, Mode.FLAT)) == ([], [empty.references])


def test_D12_D13_status_is_that_of_what_links_lead_to_and_absent_where_they_lead_nowhere(
    tmp_path: Path,
) -> None:
    written.write(tmp_path / "a", {"one.fits": b"1", "two.fits": b"22", "empty.fits": b"", "unasked": b""})
    (tmp_path / "a" / "link.fits").symlink_to("two.fits")
    (tmp_path / "a" / "dangling.fits").symlink_to("nowhere")
    (tmp_path / "a" / "loop.fits").symlink_to("loop.fits")
    (tmp_path / "a" / "directory.fits").mkdir()
    os.mkfifo(tmp_path / "a" / "pipe.fits")
    (tmp_path / "file").write_bytes(b"")
    outside = tmp_path / "a" / "one.fits"

    found = layout.statuses(
        tmp_path,
        [
            "a/one.fits",
            "a/empty.fits",
            "a/link.fits",
            "a/dangling.fits",
            "a/loop.fits",
            "a/directory.fits",
            "a/pipe.fits",
            "a/missing.fits",
            "b/missing.fits",
            "file/missing.fits",
            str(outside),
        ],
    )

    there = ["a/one.fits", "a/empty.fits", "a/link.fits", "a/directory.fits", "a/pipe.fits", str(outside)]
    assert found == {path: (tmp_path / path).stat() for path in there}


def test_status_of_one_file_is_as_of_many(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1")
    (tmp_path / "dangling").symlink_to("nowhere")

    found = [layout.status(tmp_path / name) for name in ("file", "dangling", "missing")]

    assert found == [(tmp_path / "file").stat(), None, None]


@pytest.mark.parametrize("linked", ["", "mappings", "references", "config", "references/hst", "config/hst"])
def test_D10_root_or_branch_behind_a_link_is_read_and_written_through_it(
    cache: Layout, demo_root: Path, tmp_path: Path, linked: str
) -> None:
    info = written.told(demo_root, FORMER)
    place, elsewhere = cache.root / linked, tmp_path / "elsewhere"
    shutil.move(place, elsewhere)
    place.symlink_to(elsewhere, target_is_directory=True)
    (cache.config / layout.MODE_FILE).unlink()

    layout.settle_mode(cache, Mode.FLAT, ["acs"])
    disk = written.disk_of(cache, info)
    scope = plan.Scope((FORMER,), FORMER, fetch=True, check=False, source="")
    drawn = plan.draw_up(disk, scope, ALL)
    (cache.references / ".x.fits.0123abcd.crdstmp").touch()
    plan.sweep(disk, drawn.rows, scope)

    assert {row.action for row in drawn.rows} == {Action.KEEP}
    assert (place.is_symlink(), place.readlink()) == (True, elsewhere)
    assert (cache.config / layout.MODE_FILE).read_text() == "flat"
    assert [path for path in cache.references.iterdir() if path.name.startswith(".")] == []
