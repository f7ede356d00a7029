from dataclasses import replace
from pathlib import Path

import pytest

from crdscache.cache import purgereport, tables
from crdscache.contexts.records import Problem
from tests import purging, written
from tests.caches import FORMER
from tests.purging import Site

FITS = "x0000001j_drk.fits"


@pytest.fixture
def site(demo_root: Path, tmp_path: Path) -> Site:
    made = purging.demo_site(demo_root, tmp_path / "cache")
    written.write(made.cache.references, {FITS: b"old" * 3000})
    return made


def test_numbers_come_back_as_they_were_written(site: Site) -> None:
    made = site.estimate()
    numbers = purgereport.totals(made, empties_trash=False)

    purgereport.save(made, numbers, site.cache.state / "purge")

    assert purgereport.load_totals(site.cache.state / "purge" / "estimate.json") == numbers
    assert numbers.n_mappings + numbers.n_references == len(made.rows)
    assert (numbers.n_dark, numbers.n_rejected, numbers.n_refusals) == (1, 0, 0)
    assert (numbers.size_bytes, numbers.frees_now_bytes, numbers.frees_bytes) == (
        made.goes_bytes,
        0,
        made.frees_bytes,
    )


def test_where_the_trash_does_not_stay_the_space_comes_back_now(site: Site) -> None:
    numbers = purgereport.totals(site.estimate(), empties_trash=True)

    assert numbers.frees_now_bytes == numbers.frees_bytes > 0


def test_plan_has_a_row_for_each_file_under_its_id(site: Site) -> None:
    made = site.estimate()
    directory = site.cache.state / "purge"
    purgereport.save(made, purgereport.totals(made, empties_trash=False), directory)

    rows = list(tables.read(directory / f"{made.plan}.tsv", "purge", purgereport._PLAN))
    kept = list(tables.read(directory / f"{made.plan}.kept.tsv", "kept", purgereport._KEPT))

    assert [(row[0], row[4], row[5]) for row in rows] == [
        (row.path, row.why, str(row.size_bytes)) for row in made.rows
    ]
    assert kept == [[FORMER, "; ".join(made.kept.why[FORMER])]]


def test_rejected_references_have_a_table_of_what_uses_them(site: Site) -> None:
    made = site.estimate()
    assert made.uses
    directory = site.cache.state / "purge"
    purgereport.save(made, purgereport.totals(made, empties_trash=False), directory)

    rows = list(tables.read(directory / f"{made.plan}.rejected.tsv", "rejected", purgereport._USES))

    assert rows == [
        [use.reference, use.rmap, use.contexts[0], use.contexts[-1], str(len(use.contexts)), becomes]
        for use, becomes in ((use, "goes" if use.goes else "stays") for use in made.uses)
    ]


def test_only_the_newest_plans_are_kept(site: Site) -> None:
    directory = site.cache.state / "purge"
    made = site.estimate()
    for number in range(25):
        one = replace(made, plan=f"p{number:011x}")
        purgereport.save(one, purgereport.totals(one, empties_trash=False), directory)

    plans = {path.name.partition(".")[0] for path in directory.glob("p*.tsv")}
    assert len(plans) == 20
    assert f"p{24:011x}" in plans
    assert len(list(directory.glob("p*.tsv"))) == 60


def test_text_tells_what_is_kept_what_goes_and_the_sum(site: Site) -> None:
    written.write(site.cache.references, {"notes.txt": b"", FITS: b"x" * 10**5})
    made = site.estimate()
    numbers = purgereport.totals(made, empties_trash=False)

    text = purgereport.text(made, numbers)

    lines = text.splitlines()
    assert lines[0] == "kept:"
    assert lines[1].split()[0] == FORMER
    for title in ("by instrument and type:", "by kind:", "the largest:", "left alone:"):
        assert title in lines
    assert f"  references/hst/{FITS} 100000 bytes (not in the catalogue)" in lines
    assert "  references/hst/notes.txt: its name is not that of a mapping or a reference" in lines
    assert lines[-1] == str(numbers)
    in_kinds = lines[lines.index("by kind:") + 1 : lines.index("the largest:")]
    assert sum(int(line.split(" files")[0].split()[-1]) for line in in_kinds) == len(made.rows)
    assert sum(int(line.split(" files ")[1].split()[0]) for line in in_kinds) == made.goes_bytes


def test_long_parts_are_cut_and_say_so(site: Site) -> None:
    left = tuple(Problem(f"x{number}", "why") for number in range(50))
    made = replace(site.estimate(), left=left)

    text = purgereport.text(made, purgereport.totals(made, empties_trash=False))

    assert "  and 30 more\n" in text
    assert "x20:" not in text


def test_refused_estimate_says_so(site: Site) -> None:
    made = site.keeps(max_percent=0).estimate()

    assert str(purgereport.totals(made, empties_trash=False)).endswith("; it would be refused")
