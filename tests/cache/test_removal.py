import fcntl
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from crdscache.cache import lease, removal, restore, tables, trash
from crdscache.cache.purge import Estimate
from crdscache.cache.removal import Deed
from crdscache.contexts.records import Problem
from crdscache.errors import ContextError
from demo import observatory
from tests import mounts, purging, written
from tests.caches import CHECKOUT, FORMER
from tests.faults.lab import originals
from tests.purging import Site

FIRST = observatory.CONTEXTS[0]
FITS = "x0000001j_drk.fits"


@pytest.fixture
def site(demo_root: Path, tmp_path: Path) -> Site:
    made = purging.demo_site(demo_root, tmp_path / "cache")
    written.write(made.cache.references, {FITS: b"old" * 3000})
    return made


def carry_out(site: Site, made: Estimate | None = None) -> Deed:
    return removal.carry_out(site.cache, made or site.estimate(), "run-1", ignores_leases=False)


def bin_of(site: Site) -> Path:
    return site.cache.state / "trash" / "run-1"


def used_bytes(root: Path) -> int:
    """Add up what files take on the disk, each once."""
    found = {
        path.lstat().st_ino: path.lstat().st_blocks * 512 for path in root.rglob("*") if not path.is_dir()
    }
    return sum(found.values())


def test_exactly_what_the_estimate_named_goes_and_lies_in_the_trash_with_a_line(site: Site) -> None:
    made = site.estimate()
    before, contents = (
        site.here(),
        {row.path: site.cache.absolute(row.path).read_bytes() for row in made.rows},
    )

    deed = carry_out(site, made)

    assert site.here() == before - {row.name for row in made.rows}
    assert (deed.n_files, deed.size_bytes, deed.failures) == (len(made.rows), made.goes_bytes, ())
    lines = trash.table_of(bin_of(site))
    assert [(line.path, line.why.reason) for line in lines] == [(row.path, row.why) for row in made.rows]
    assert {line.path: (bin_of(site) / line.name).read_bytes() for line in lines} == contents


@pytest.mark.parametrize("seed", range(15))
def test_of_random_caches_all_that_is_kept_is_left(demo_root: Path, tmp_path: Path, seed: int) -> None:
    site = purging.random_site(demo_root, tmp_path / "cache", Random(seed))
    made = site.estimate()
    needed = site.needs(*made.kept.why) & site.here()
    before = site.here()

    carry_out(site, made)

    assert site.here() >= needed
    assert before - site.here() == {row.name for row in made.rows}


def test_the_disk_gets_back_what_the_estimate_said_to_the_byte(site: Site, tmp_path: Path) -> None:
    references = site.cache.references
    (references / "x0000002j_drk.fits").hardlink_to(references / FITS)
    (tmp_path / "original").write_bytes(b"x" * 9999)
    (references / "x0000003j_drk.fits").hardlink_to(tmp_path / "original")
    (references / "x0000004j_drk.fits").symlink_to(tmp_path / "original")
    made = site.estimate()
    cache_before = used_bytes(site.cache.references) + used_bytes(site.cache.mappings)

    deed = carry_out(site, made)
    n_files, got_back = restore.empty(site.cache, ["run-1"])

    in_other_trees = (tmp_path / "original").lstat().st_blocks * 512
    cache_after = used_bytes(site.cache.references) + used_bytes(site.cache.mappings)
    assert (n_files, got_back) == (len(made.rows), made.frees_bytes)
    assert deed.frees_bytes == made.frees_bytes
    assert cache_before - cache_after == made.frees_bytes + in_other_trees


def test_D22_originals_behind_links_stay_what_they_are(site: Site, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    written.write(tree, {"a": b"x" * 100, "b": b"y" * 100})
    (site.cache.references / "x0000005j_drk.fits").hardlink_to(tree / "a")
    (site.cache.references / "x0000006j_drk.fits").symlink_to(tree / "b")
    before = originals(tree)

    carry_out(site)
    restore.empty(site.cache, ["run-1"])

    assert originals(tree) == before


def test_reader_that_holds_a_context_meanwhile_keeps_all_from_going(site: Site) -> None:
    made = site.estimate()
    before = site.here()

    with (site.cache.mappings / FIRST).open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        deed = carry_out(site, made)

    assert deed == Deed("run-1", made.plan, failures=deed.failures)
    assert deed.failures == (Problem(FIRST, f"{FIRST} is held by a reader: nothing was purged"),)
    assert site.here() == before


def test_no_reader_gets_a_lease_on_what_is_going(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader asks while the files are moved: what it sees is told by the lease itself."""
    seen = []
    write_table = trash.write_table

    def ask(*arguments: object) -> None:
        with pytest.raises(ContextError, match="is being purged"):
            lease.take(site.cache, FIRST)
        with lease.take(site.cache, FORMER) as held:
            seen.append(held.contexts)
        write_table(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(trash, "write_table", ask)

    carry_out(site)

    assert seen == [(FORMER,)]


def test_D29_what_vanishes_or_is_replaced_meanwhile_is_counted_and_not_fatal(site: Site) -> None:
    made = site.estimate()
    references = [row for row in made.rows if row.path.startswith("references")]
    gone, other = references[0], references[1]
    site.cache.absolute(gone.path).unlink()
    written.write(site.cache.references, {"new": b"another"})
    (site.cache.references / "new").rename(site.cache.absolute(other.path))

    deed = carry_out(site, made)

    assert (deed.n_files, deed.n_vanished) == (len(made.rows) - 2, 1)
    assert deed.failures == (Problem(other.path, "it was replaced meanwhile, and stays"),)
    assert site.cache.absolute(other.path).read_bytes() == b"another"


def test_D29_what_is_linked_elsewhere_meanwhile_goes_and_frees_nothing(site: Site, tmp_path: Path) -> None:
    made = site.estimate()
    (tmp_path / "other").hardlink_to(site.cache.references / FITS)

    deed = carry_out(site, made)

    (row,) = [row for row in made.rows if row.name == FITS]
    assert deed.frees_bytes == made.frees_bytes - row.frees_bytes
    assert (tmp_path / "other").read_bytes() == b"old" * 3000
    assert restore.empty(site.cache, ["run-1"])[1] == deed.frees_bytes


def test_D07_what_cannot_be_moved_is_named_and_the_others_go(site: Site) -> None:
    path = site.cache.references / FITS
    with mounts.immutable(path):
        deed = carry_out(site)

    assert [problem.name for problem in deed.failures] == [f"references/hst/{FITS}"]
    assert "EPERM" in deed.failures[0].reason
    assert path.exists()
    assert deed.n_files == len(trash.table_of(bin_of(site))) - 1


def test_branch_on_another_file_system_has_its_own_trash(site: Site, tmp_path: Path) -> None:
    aside = tmp_path / "aside"
    shutil.move(site.cache.references, aside)
    site.cache.references.mkdir()
    with mounts.small_disk(site.cache.references, "20m"):
        shutil.copytree(aside, site.cache.references, dirs_exist_ok=True)

        deed = carry_out(site)

        own = site.cache.references / ".crdscache" / "trash" / "run-1"
        assert (own / FITS).read_bytes() == b"old" * 3000
        assert deed.failures == ()
        assert restore.restore(site.cache, "run-1").n_files == deed.n_files
        assert (site.cache.references / FITS).exists()


def test_two_files_of_one_name_lie_in_the_trash_side_by_side(site: Site) -> None:
    (site.cache.references / "acs").mkdir()
    written.write(site.cache.references / "acs", {FITS: b"second"})
    (site.cache.references / FITS).rename(site.cache.references / "y.fits")
    written.write(site.cache.references / "cos", {FITS: b"third"})
    layered = replace(site, mode=purging.Mode.INSTRUMENT)

    carry_out(layered)

    assert (bin_of(site) / FITS).read_bytes() == b"second"
    assert (bin_of(site) / f"{FITS}~2").read_bytes() == b"third"
    restore.restore(site.cache, "run-1")
    assert (site.cache.references / "cos" / FITS).read_bytes() == b"third"


def test_D11_directory_that_became_a_link_meanwhile_is_not_followed(site: Site, tmp_path: Path) -> None:
    made = site.estimate()
    tree = tmp_path / "tree"
    shutil.copytree(site.cache.references, tree)
    names = sorted(tree.iterdir())
    shutil.rmtree(site.cache.references)
    site.cache.references.symlink_to(tree)

    with pytest.raises(OSError, match="references"):
        carry_out(site, made)

    assert sorted(tree.iterdir()) == names


def test_hundreds_of_contexts_need_no_more_descriptors_than_there_are(site: Site) -> None:
    """Hst has 540 contexts; many systems allow 256 descriptors, and more if one asks."""
    texts = {f"hst_{number:04}.pmap": written.mapping(f"hst_{number:04}.pmap") for number in range(100, 400)}
    written.write(site.cache.mappings, texts)
    listed = site.raw["mappings"]
    assert isinstance(listed, list)
    script = (
        "import resource, sys\nfrom pathlib import Path\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 4096))\n"
        "from crdscache.cache import keep, layout, removal\nfrom crdscache.cache.purge import Estimate\n"
        "cache = layout.default_layout(Path(sys.argv[1]), 'hst')\n"
        "made = Estimate('p0', keep.Kept({}, frozenset()), (), (), 0, 0, (), (), ())\n"
        "print(removal.carry_out(cache, made, 'run-1', ignores_leases=False).failures)\n"
    )
    words = [sys.executable, "-B", "-c", script, site.cache.root]

    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=CHECKOUT)

    assert (done.stdout, done.stderr) == ("()\n", "")


def test_nothing_is_left_behind_by_a_purge_of_nothing(site: Site) -> None:
    made = replace(site.estimate(), rows=())

    assert carry_out(site, made).n_files == 0
    assert not bin_of(site).exists()


def test_table_is_durable_before_the_first_file_goes(site: Site) -> None:
    carry_out(site)

    rows = list(tables.read(bin_of(site) / trash.TABLE, "trash", trash.COLUMNS))
    assert len(rows) == len(list(trash.contents(bin_of(site))))
