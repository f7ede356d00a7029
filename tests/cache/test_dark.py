import os
from pathlib import Path

import pytest

from crdscache.cache import dark, layout
from crdscache.cache.layout import Layout, Mode
from crdscache.contexts.catalogue import Catalogue
from crdscache.contexts.records import Verdict, VerdictRow
from tests import written
from tests.caches import listing

NOT_NEEDED, UNKNOWN = "no selected context needs it", "not in the catalogue"
RMAP, OLD_RMAP = "hst_acs_darkfile_0002.rmap", "hst_acs_darkfile_0001.rmap"
WANTED, OLD = "a1b1000aj_drk.fits", "a1b1000bj_drk.fits"
CATALOGUE = written.catalogue_of(dict.fromkeys((RMAP, OLD_RMAP, WANTED, OLD), b"x"))


@pytest.fixture
def bare(tmp_path: Path) -> Layout:
    return layout.default_layout(tmp_path / "cache", "hst")


def fill(cache: Layout, paths: dict[str, int]) -> None:
    """Write files of some lengths."""
    for name, size_bytes in paths.items():
        path = cache.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size_bytes)


def row(path: str, n_bytes: int, reason: str) -> VerdictRow:
    return VerdictRow(path, Verdict.DARK, found=str(n_bytes), reason=reason)


def own_length(path: Path) -> int:
    return path.lstat().st_size


def find(cache: Layout, mode: Mode, *wanted: str) -> list[VerdictRow]:
    return dark.find(cache, mode, wanted, CATALOGUE)


def test_what_is_wanted_is_not_dark(bare: Layout) -> None:
    wanted = [f"mappings/hst/{RMAP}", f"references/hst/{WANTED}"]
    fill(bare, dict.fromkeys(wanted, 1))

    assert find(bare, Mode.FLAT, *wanted) == []


def test_D17_what_is_not_wanted_is_listed_with_its_length_and_the_reason(bare: Layout) -> None:
    foreign = [".tmp_x_12", "x.fits.lock", ".x.swp", ".x.part", "x.0123abcd.crdstmp", "notes.txt"]
    fill(bare, {f"mappings/hst/{RMAP}": 1, f"mappings/hst/{OLD_RMAP}": 2})
    fill(bare, {f"references/hst/{WANTED}": 1, f"references/hst/{OLD}": 3})
    fill(bare, {f"references/hst/{name}": 4 for name in foreign})

    found = find(bare, Mode.FLAT, f"mappings/hst/{RMAP}", f"references/hst/{WANTED}")

    assert found == [
        row(f"mappings/hst/{OLD_RMAP}", 2, NOT_NEEDED),
        *(row(f"references/hst/{name}", 4, UNKNOWN) for name in (".tmp_x_12", ".x.part", ".x.swp")),
        row(f"references/hst/{OLD}", 3, NOT_NEEDED),
        *(
            row(f"references/hst/{name}", 4, UNKNOWN)
            for name in ("notes.txt", "x.0123abcd.crdstmp", "x.fits.lock")
        ),
    ]


def test_own_temporaries_and_our_state_on_another_disk_are_left_out(bare: Layout) -> None:
    ours = [".x.fits.0123456789ab.part", ".x.fits.0123abcd.crdstmp", ".crdscache/trash/run/x.fits"]
    fill(bare, {f"{folder}/hst/{name}": 1 for folder in ("mappings", "references") for name in ours})

    assert find(bare, Mode.FLAT) == []


def test_by_instrument_stray_files_are_dark_and_the_links_of_hst_are_not(bare: Layout) -> None:
    wanted = [f"references/hst/acs/{WANTED}"]
    fill(bare, {wanted[0]: 1, f"references/hst/acs/{OLD}": 2, "references/hst/stray.fits": 3})
    fill(bare, {f"references/hst/wfc3/{WANTED}": 4})
    (bare.references / "jref").symlink_to("acs", target_is_directory=True)
    (bare.references / "iref").symlink_to(bare.references / "wfc3", target_is_directory=True)

    assert find(bare, Mode.INSTRUMENT, *wanted) == [
        row(f"references/hst/acs/{OLD}", 2, NOT_NEEDED),
        row("references/hst/stray.fits", 3, UNKNOWN),
        row(f"references/hst/wfc3/{WANTED}", 4, f"its place is {wanted[0]}"),
    ]


def test_directory_of_an_instrument_that_nobody_knows_belongs_if_something_in_it_is_wanted(
    bare: Layout,
) -> None:
    wanted = "references/hst/newcam/a.fits"
    fill(bare, {wanted: 1, "references/hst/newcam/b.fits": 2})

    assert find(bare, Mode.INSTRUMENT, wanted) == [row("references/hst/newcam/b.fits", 2, UNKNOWN)]


@pytest.mark.parametrize("mode", Mode)
def test_D11_directories_that_do_not_belong_and_links_are_one_row_and_not_entered(
    bare: Layout, tmp_path: Path, mode: Mode
) -> None:
    fill(bare, {"references/hst/backup/x.fits": 1, "mappings/hst/old/deep/x.rmap": 1})
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x.fits").touch()
    links = {"elsewhere": tmp_path / "outside", "loop": Path("loop"), "dangling": Path("nowhere")}
    for name, target in links.items():
        (bare.references / name).symlink_to(target)
    before = listing(tmp_path)

    found = find(bare, mode)

    paths = ["mappings/hst/old", *(f"references/hst/{name}" for name in sorted(["backup", *links]))]
    assert found == [row(path, own_length(bare.root / path), UNKNOWN) for path in paths]
    assert listing(tmp_path) == before


def test_D13_pipe_is_listed_and_not_opened(bare: Layout) -> None:
    bare.mappings.mkdir(parents=True)
    os.mkfifo(bare.mappings / "pipe")

    assert find(bare, Mode.FLAT) == [row("mappings/hst/pipe", 0, UNKNOWN)]


@pytest.mark.parametrize("mode", Mode)
def test_empty_cache_has_nothing_dark(bare: Layout, mode: Mode) -> None:
    assert dark.find(bare, mode, [], Catalogue({})) == []


def test_file_outside_the_root_is_found_by_its_whole_path(bare: Layout, tmp_path: Path) -> None:
    references = tmp_path / "other"
    references.mkdir()
    for name in (WANTED, OLD):
        (references / name).touch()
    cache = layout.Layout(
        bare.root, "hst", mappings=bare.mappings, references=references, config=bare.config, locks=bare.root
    )

    assert find(cache, Mode.FLAT, f"{references}/{WANTED}") == [row(f"{references}/{OLD}", 0, NOT_NEEDED)]
