"""Which files a context list gets, and what keeps a context from being listed."""

from dataclasses import replace
from pathlib import Path

import pytest

from crdscache.cache import contextlist, hashes, layout, listing
from crdscache.cache.contextlist import Listed
from crdscache.cache.layout import Layout, Mode
from crdscache.cache.manifest import Disk
from crdscache.cache.rules import Rules
from crdscache.contexts.catalogue import Catalogue
from crdscache.contexts.records import Problem
from tests import written

PMAP, IMAP, RMAP = "hst_0001.pmap", "hst_acs_0001.imap", "hst_acs_darkfile_0001.rmap"
DARK, HEADER, DATA = "a0000001j_drk.fits", "e0000001j.r3h", "e0000001j.r3d"
MAPPINGS = {
    PMAP: written.mapping(PMAP, IMAP),
    IMAP: written.mapping(IMAP, RMAP),
    RMAP: written.mapping(RMAP, DARK, HEADER),
}
REFERENCES = {DARK: b"dark", HEADER: b"header", DATA: b"data"}
ALL = {**MAPPINGS, **REFERENCES}


def part(name: str) -> str:
    return "mapping" if name in MAPPINGS else "acs/darkfile"


def expected(mode: Mode = Mode.FLAT) -> tuple[Listed, ...]:
    """Describe all files of the context."""
    files = [
        Listed(
            contextlist.path_of(name, part(name), "hst", mode), len(data), written.sha1_of(data), part(name)
        )
        for name, data in ALL.items()
    ]
    return tuple(sorted(files, key=lambda one: one.path))


def disk(root: Path, mode: Mode = Mode.FLAT) -> Disk:
    cache = layout.default_layout(root, "hst")
    if not cache.mappings.exists():
        written.write(cache.mappings, MAPPINGS)
        written.write(cache.reference_directory(mode, "acs"), REFERENCES)
    known = written.catalogue_of(ALL)
    return Disk(cache, mode, known, Rules(cache.mappings, known, None).load)


def without_sums(made: Disk, *names: str) -> Disk:
    """Let the catalogue know no sums of some files."""
    records = made.catalogue.records
    known = Catalogue(records | {name: replace(records[name], file_sha1=None) for name in names})
    return replace(made, catalogue=known, load=Rules(made.cache.mappings, known, None).load)


@pytest.mark.parametrize("mode", list(Mode))
def test_all_files_are_listed_data_halves_of_geis_pairs_too(tmp_path: Path, mode: Mode) -> None:
    assert listing.survey(disk(tmp_path, mode), PMAP) == listing.Survey(expected(mode), ())


def test_a_file_of_which_the_catalogue_has_no_sum_or_no_entry_is_read(tmp_path: Path) -> None:
    made = without_sums(disk(tmp_path), DARK, IMAP)
    del made.catalogue.records[HEADER]

    assert listing.survey(made, PMAP) == listing.Survey(expected(), ())


def test_a_file_that_was_adopted_by_link_is_listed_as_it_is(tmp_path: Path) -> None:
    made = disk(tmp_path / "cache")
    (made.cache.references / DARK).rename(tmp_path / "original")
    (made.cache.references / DARK).symlink_to(tmp_path / "original")

    assert listing.survey(made, PMAP).files == expected()


def problem_of(cache: Layout, name: str) -> Problem:
    """Spoil one file, and tell what should be said of it."""
    path = (cache.mappings if name in MAPPINGS else cache.references) / name
    path.write_bytes(b"short")
    told = f"references/hst/{name} has 5 bytes, the catalogue says {len(ALL[name])}"
    return Problem(name, told)


@pytest.mark.parametrize("name", [DARK, HEADER])
def test_each_missing_and_each_wrong_reference_is_named(tmp_path: Path, name: str) -> None:
    made = disk(tmp_path)
    wrong = problem_of(made.cache, name)
    (made.cache.references / DATA).unlink()

    seen = listing.survey(made, PMAP)

    assert set(seen.problems) == {wrong, Problem(DATA, f"references/hst/{DATA} is missing")}
    assert {one.name for one in seen.files} == ALL.keys() - {name, DATA}


def test_a_mapping_with_a_changed_byte_is_named_and_so_is_a_missing_one(tmp_path: Path) -> None:
    made = disk(tmp_path)
    data = MAPPINGS[RMAP].replace(b"written by hand", b"written by HAND")
    (made.cache.mappings / RMAP).write_bytes(data)

    (wrong,) = listing.survey(made, PMAP).problems
    (made.cache.mappings / IMAP).unlink()
    (missing,) = listing.survey(disk(tmp_path), PMAP).problems

    assert wrong.name == RMAP
    assert f"SHA-1 is {written.sha1_of(data)}, the catalogue says" in wrong.reason
    assert missing == Problem(IMAP, f"{IMAP}: neither here nor on the server (path: {PMAP} > {IMAP})")


def test_a_context_that_is_not_here_is_named(tmp_path: Path) -> None:
    (problem,) = listing.survey(disk(tmp_path), "hst_0002.pmap").problems

    assert problem.name == "hst_0002.pmap"


def test_a_sum_that_was_found_wrong_before_counts_though_the_length_is_right(tmp_path: Path) -> None:
    made = disk(tmp_path)
    path = made.cache.references / DARK
    path.write_bytes(b"DARK")
    known = {DARK: hashes.hashed(path.stat(), written.sha1_of(b"DARK"), written.sha1_of(b"dark"))}

    (problem,) = listing.survey(replace(made, known=known), PMAP).problems

    assert problem.name == DARK
    assert f"has the SHA-1 {written.sha1_of(b'DARK')}, the catalogue says" in problem.reason
