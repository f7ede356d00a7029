import os
import shutil
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from crdscache.cache import purge
from crdscache.cache.layout import Mode
from crdscache.cache.purge import Share, Use
from crdscache.contexts.records import Kind, Problem, Purging
from demo import observatory
from demo.deliveries import ORPHANS, REJECTED
from tests import purging, written
from tests.caches import FORMER, LATEST, listing
from tests.invariants import closure, references_of
from tests.purging import Site

FIRST, SECOND = observatory.CONTEXTS[:2]
FITS = "x0000001j_drk.fits"


@pytest.fixture
def site(demo_root: Path, tmp_path: Path) -> Site:
    return purging.demo_site(demo_root, tmp_path / "cache")


def by_name(site: Site) -> dict[str, str]:
    return {row.name: row.why for row in site.estimate().rows}


def test_what_no_kept_context_reaches_goes_and_nothing_else(site: Site) -> None:
    assert site.goes() == site.here() - site.needs(FORMER) - set(local_orphans(site))


def local_orphans(site: Site) -> list[str]:
    """Name mappings that the server does not list: none of the demo's."""
    listed = site.raw["mappings"]
    assert isinstance(listed, list)
    return [path.name for path in site.cache.mappings.iterdir() if path.name not in listed]


@pytest.mark.parametrize("kind", ["mappings", "references"])
def test_only_the_kind_that_was_asked_for_goes(site: Site, kind: str) -> None:
    both = site.goes()
    is_mapping = kind == "mappings"

    goes = site.asked(**{kind: True}).goes()

    assert goes == {name for name in both if name.endswith("map") is is_mapping}
    assert goes


@pytest.mark.parametrize("seed", range(40))
def test_of_random_caches_exactly_what_no_kept_context_needs_goes(
    demo_root: Path, tmp_path: Path, seed: int
) -> None:
    site = purging.random_site(demo_root, tmp_path / "cache", Random(seed))
    kept = set(site.wanted.contexts) | {str(site.raw[key]) for key in ("latest_context", "edit_context")}
    kept.add(
        str(written.ast.literal_eval((site.cache.config / "server_config").read_text())["latest_context"])
    )

    estimate = site.estimate()

    assert estimate.problems == ()
    assert {row.name for row in estimate.rows} == site.here() - site.needs(*kept) - {"server_config"}
    assert estimate.goes_bytes == sum((site.cache.absolute(row.path)).stat().st_size for row in estimate.rows)


def test_all_contexts_keep_all_but_what_the_catalogue_does_not_know(site: Site) -> None:
    """The brief's case: obsolete files of a CDBS tree that was copied as a whole."""
    written.write(site.cache.references, {FITS: b"old", "o0000001u.r3h": b"old", "notes.txt": b"kept"})
    every = replace(site, wanted=replace(site.wanted, all_contexts=True))

    orphans = dict.fromkeys(ORPHANS, purge.UNREACHED)
    assert by_name(every) == {FITS: purge.DARK, "o0000001u.r3h": purge.DARK, **orphans}


def test_each_mapping_of_a_closure_cut_in_turn_nothing_goes(site: Site) -> None:
    """The old tool has wiped 24,519 files for one cut pmap."""
    names = sorted(closure(site.cache.mappings, FORMER))
    for name in names:
        path = site.cache.mappings / name
        whole = path.read_bytes()
        for data in (whole[:100], whole[: len(whole) // 2], b""):
            path.write_bytes(data)
            assert any(problem.name == name for problem in site.estimate().problems), name
        path.unlink()
        assert any(problem.name == name for problem in site.estimate().problems), name
        path.write_bytes(whole)

    assert site.estimate().problems == ()
    assert len(names) > 5


def test_S14_kept_context_that_is_not_here_is_named_with_why_it_is_kept(site: Site) -> None:
    (site.cache.mappings / SECOND).unlink()

    (problem,) = site.asked(SECOND, mappings=True).estimate().problems

    assert problem.name == SECOND
    missing = f"{SECOND}: neither here nor on the server (path: {SECOND})"
    assert problem.reason == f"{missing}; {SECOND} is to be kept, so nothing is purged"


def test_S13_circle_in_the_rules_of_a_kept_context_is_a_refusal(site: Site) -> None:
    texts = {
        "hst_0900.pmap": written.mapping("hst_0900.pmap", "hst_acs_0900.imap"),
        "hst_acs_0900.imap": written.mapping("hst_acs_0900.imap", "hst_acs_0900.imap"),
    }
    written.write(site.cache.mappings, texts)

    assert [problem.name for problem in site.estimate().problems] == ["hst_acs_0900.imap"]


def test_S15_local_mapping_whose_own_sum_is_wrong_is_a_refusal(site: Site) -> None:
    """No catalogue vouches for it: one bit less and it no longer names what it needs."""
    texts = {
        "hst_0900.pmap": written.mapping("hst_0900.pmap", "hst_acs_0900.imap"),
        "hst_acs_0900.imap": written.mapping("hst_acs_0900.imap", "hst_acs_darkfile_0900.rmap"),
        "hst_acs_darkfile_0900.rmap": written.mapping("hst_acs_darkfile_0900.rmap", FITS),
    }
    written.write(site.cache.mappings, texts)
    written.write(site.cache.references, {FITS: b"local"})
    assert FITS not in site.goes()
    rmap = site.cache.mappings / "hst_acs_darkfile_0900.rmap"
    rmap.write_bytes(rmap.read_bytes().replace(FITS.encode(), b"y0000001j_drk.fits"))

    assert [problem.name for problem in site.estimate().problems] == [rmap.name]


def test_mappings_that_the_server_could_not_bring_back_stay_and_are_told(site: Site) -> None:
    written.write(site.cache.mappings, {"hst_acs_own_0001.rmap": written.mapping("hst_acs_own_0001.rmap")})

    estimate = site.estimate()

    assert "hst_acs_own_0001.rmap" not in {row.name for row in estimate.rows}
    assert estimate.left == (
        Problem(
            "mappings/hst/hst_acs_own_0001.rmap", "the server does not list it, and could not bring it back"
        ),
    )


@pytest.mark.parametrize("kind", ["directory", "pipe", "text", "lock", "mapping"])
def test_D13_D17_what_is_no_reference_stays_and_is_told(site: Site, kind: str) -> None:
    name = {"text": "notes.txt", "lock": f"{FITS}.lock", "mapping": "hst_0900.rmap"}.get(kind, FITS)
    path = site.cache.references / name
    if kind == "directory":
        path.mkdir()
        (path / FITS).touch()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.touch()

    estimate = site.estimate()

    assert name not in {row.name for row in estimate.rows}
    (left,) = estimate.left
    assert left.name == f"references/hst/{name}"


def test_own_temporaries_are_not_looked_at(site: Site) -> None:
    (site.cache.references / f".{FITS}.0123abcd.crdstmp").touch()

    assert site.estimate().left == ()


def test_D11_of_a_link_only_its_own_name_goes_and_it_frees_nothing_elsewhere(
    site: Site, tmp_path: Path
) -> None:
    original = tmp_path / "original"
    original.write_bytes(b"x" * 10_000)
    (site.cache.references / FITS).symlink_to(original)

    (row,) = [row for row in site.estimate().rows if row.name == FITS]

    own = (site.cache.references / FITS).lstat()
    assert (row.size_bytes, row.frees_bytes) == (own.st_size, own.st_blocks * 512)


def test_D12_link_that_leads_nowhere_goes_like_any_other(site: Site) -> None:
    other = "x0000002j_drk.fits"
    (site.cache.references / FITS).symlink_to("nowhere")
    (site.cache.references / other).symlink_to(other)

    assert {FITS, other} <= site.goes()


def test_D10_branch_below_a_link_is_the_caches_own(site: Site, tmp_path: Path) -> None:
    goes = site.goes()
    large = tmp_path / "large disk"
    (site.cache.root / "references").rename(large)
    (site.cache.root / "references").symlink_to(large)

    assert (site.goes(), site.estimate().problems) == (goes, ())


def test_S18_reference_without_an_instrument_in_its_name_stays_if_any_kept_rmap_names_it(site: Site) -> None:
    name, rmap = "2018_super_bia.fits", "hst_wfpc2_biasfile_0900.rmap"
    texts = {
        "hst_0900.pmap": written.mapping("hst_0900.pmap", "hst_wfpc2_0900.imap"),
        "hst_wfpc2_0900.imap": written.mapping("hst_wfpc2_0900.imap", rmap, instrument="wfpc2"),
        rmap: written.mapping(rmap, name, instrument="wfpc2", reftype="biasfile"),
    }
    written.write(site.cache.references / "acs", {name: b"super"})
    assert name in replace(site, mode=Mode.INSTRUMENT).goes()
    written.write(site.cache.mappings, texts)

    assert name not in replace(site, mode=Mode.INSTRUMENT).goes()


def test_D11_directory_that_is_a_link_is_not_looked_into(site: Site, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / FITS).touch()
    (site.cache.references / "acs").symlink_to(tree)

    estimate = replace(site, mode=Mode.INSTRUMENT).estimate()

    assert FITS not in {row.name for row in estimate.rows}


def test_D11_branch_that_is_a_link_itself_is_a_refusal(site: Site, tmp_path: Path) -> None:
    """A site may have put a link to its CDBS tree there: all of that would go."""
    tree = tmp_path / "tree"
    site.cache.references.rename(tree)
    site.cache.references.symlink_to(tree)

    (problem,) = site.estimate().problems

    assert problem.name == "references/hst"
    assert str(tree) in problem.reason


def test_file_of_a_wanted_name_in_another_place_stays(site: Site) -> None:
    wanted = min(references_of(site.cache.root, "hst", FORMER))
    (site.cache.references / "acs").mkdir()
    (site.cache.references / wanted).rename(site.cache.references / "acs" / wanted)

    assert wanted not in replace(site, mode=Mode.INSTRUMENT).goes()


def test_hard_links_count_once_and_only_if_no_other_name_is_left(site: Site, tmp_path: Path) -> None:
    references = site.cache.references
    names = [f"x000000{number}j_drk.fits" for number in range(4)]
    for name in names:
        (references / name).write_bytes(os.urandom(5000))
    (references / names[1]).unlink()
    (references / names[1]).hardlink_to(references / names[0])  # both go
    (tmp_path / "original").hardlink_to(references / names[2])  # of another tree
    trash = site.cache.state / "trash" / "run-1"
    trash.mkdir(parents=True)
    (trash / names[3]).hardlink_to(references / names[3])  # gone with the trash

    frees = {row.name: row.frees_bytes for row in site.estimate().rows}

    assert [frees[name] for name in names] == [0, 8192, 0, 8192]


def test_rejected_references_go_though_a_context_names_them_but_not_those_that_must_stay(site: Site) -> None:
    rejected = REJECTED[0]
    naming = [
        context for context in purging.CONTEXTS if rejected in references_of(site.cache.root, "hst", context)
    ]
    assert naming
    free = next(context for context in purging.CONTEXTS if context not in naming)
    told = site.says(operational_context=free, latest_context=free, edit_context=free)
    told.save(free)
    asked = told.asked(*naming, rejected=True)

    assert by_name(asked) == {name: purge.REJECTED for name in REJECTED if name in site.here()}
    assert by_name(asked.keeps(pinned=(naming[0],))) == {}
    assert by_name(told.asked(*naming, references=True)).keys().isdisjoint(REJECTED)


def test_where_rejected_references_are_named_is_told(site: Site) -> None:
    estimate = site.asked(rejected=True).estimate()

    for use in estimate.uses:
        assert isinstance(use, Use)
        naming = [c for c in purging.CONTEXTS if use.rmap in closure(site.cache.mappings, c)]
        assert list(use.contexts) == naming
    assert {use.reference for use in estimate.uses} == set(REJECTED) & site.here()


def test_S20_half_of_the_references_of_the_default_rejected_none_of_them_goes(site: Site) -> None:
    needed = sorted(references_of(site.cache.root, "hst", FORMER))
    told = site.says(bad_files_list=[FORMER, *needed[::2]]).asked(rejected=True)

    assert by_name(told) == {}


def test_D30_more_than_the_cap_is_a_refusal_with_counts(site: Site) -> None:
    everything = site.estimate()
    n_files = len(everything.rows)

    refused = site.keeps(max_percent=20).estimate()

    (problem,) = refused.problems
    share = 100 * n_files / everything.n_files
    assert problem.name == refused.plan
    assert problem.reason == (
        f"{n_files} of {everything.n_files} files would go: {share:.1f} %, more than the 20 % of max_purge; "
        f"--max-purge {int(share) + 1} allows it"
    )
    assert site.keeps(max_percent=int(share) + 1).estimate().problems == ()


def test_D30_few_files_of_most_bytes_are_a_refusal_too(site: Site) -> None:
    with (site.cache.references / FITS).open("wb") as stream:
        stream.truncate(10**9)

    (problem,) = site.asked(references=True).keeps(max_percent=50).estimate().problems

    assert " bytes would go" in problem.reason


def test_roots_go_before_leaves_so_that_no_half_context_is_found(site: Site) -> None:
    endings = [row.path[-4:] for row in site.estimate().rows if row.kind is Kind.MAPPING]

    assert endings == sorted(endings, key=["pmap", "imap", "rmap"].index)
    assert set(endings) == {"pmap", "imap", "rmap"}


def test_id_is_the_same_as_long_as_nothing_changes_that_the_plan_rests_on(site: Site) -> None:
    first = site.estimate()
    os.utime(site.cache.references / min(references_of(site.cache.root, "hst", FORMER)))

    assert site.estimate() == first
    assert site.says(last_synced="2030-01-01 00:00:00").estimate().plan == first.plan


@pytest.mark.parametrize("change", ["file", "content", "kept", "options", "link"])
def test_id_is_another_when_something_changes_that_the_plan_rests_on(site: Site, change: str) -> None:
    first = site.estimate()
    path = site.cache.absolute(first.rows[-1].path)
    changed = site
    if change == "file":
        (site.cache.references / FITS).touch()
    elif change == "content":
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data)
    elif change == "kept":
        changed = site.keeps(pinned=(LATEST,))
    elif change == "options":
        changed = replace(site, purging=Purging(mappings=True))
    else:
        (site.cache.root / "elsewhere").hardlink_to(path)

    assert changed.estimate().plan != first.plan


def test_D31_dates_decide_nothing(site: Site) -> None:
    goes = site.goes()
    for number, path in enumerate(sorted(site.cache.references.iterdir())):
        os.utime(path, ns=((-1) ** number * 10**18,) * 2)

    assert site.goes() == goes


def test_what_each_context_that_is_not_kept_reaches_is_told(site: Site) -> None:
    estimate = site.estimate()
    sizes = {row.name: row.size_bytes for row in estimate.rows}

    for share in estimate.shares:
        names = sizes.keys() & site.needs(share.context)
        assert share == Share(share.context, len(names), sum(sizes[name] for name in names))
    assert [share.context for share in estimate.shares] == [c for c in purging.CONTEXTS if c != FORMER]


def test_estimate_changes_nothing(site: Site) -> None:
    before = listing(site.cache.root)

    site.estimate()

    assert listing(site.cache.root) == before


def test_parts_are_told_by_the_rules_else_by_the_name(site: Site) -> None:
    written.write(site.cache.references, {FITS: b"", "readme.fits": b""})

    parts = {row.name: (row.instrument, row.reftype) for row in site.estimate().rows}

    assert (parts[FITS], parts["readme.fits"]) == (("acs", ""), ("", ""))
    named: dict[str, tuple[str, str]] = {}
    for context in purging.CONTEXTS:
        named |= references_of(site.cache.root, "hst", context)
    goes = parts.keys() & named.keys()
    assert goes
    assert {name: parts[name] for name in goes} == {name: named[name] for name in goes}


def test_instrument_layout_is_read_too(site: Site) -> None:
    flat = site.goes()
    references = site.cache.references
    for path in list(references.iterdir()):
        folder = references / "acs"
        folder.mkdir(exist_ok=True)
        path.rename(folder / path.name)

    assert replace(site, mode=Mode.INSTRUMENT).goes() == flat
    shutil.rmtree(references)
    assert {name for name in replace(site, mode=Mode.INSTRUMENT).goes() if name.endswith("fits")} == set()
