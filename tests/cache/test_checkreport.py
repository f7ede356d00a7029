import subprocess
from pathlib import Path

import pytest

from crdscache.cache import checkreport, hashes, layout
from crdscache.cache.checkreport import Count
from crdscache.cache.hashes import Hashed
from crdscache.cache.layout import Layout
from crdscache.contexts.records import ManifestRow, Verdict, VerdictRow
from tests import checking
from tests.caches import listing
from tests.checking import FOLDER
from tests.written import sha1_of

RMAP = "hst_acs_darkfile_0001.rmap"


@pytest.fixture
def bare(tmp_path: Path) -> Layout:
    return layout.default_layout(tmp_path / "cache", "hst")


@pytest.fixture
def rows(bare: Layout) -> list[ManifestRow]:
    return [
        checking.add(bare, RMAP, b"rules"),
        checking.add(bare, "a.fits", b"a"),
        checking.add(bare, "b.fits", b"bb"),
        checking.add(bare, "c.fits", b"ccc", part="wfc3/idctab"),
    ]


def known_of(cache: Layout, rows: list[ManifestRow]) -> dict[str, Hashed]:
    """Make as if all files had been hashed and were right."""
    found = checking.statuses(cache, rows)
    return {row.name: hashes.hashed(found[row.path], row.file_sha1 or "", row.file_sha1) for row in rows}


FOUND = [
    VerdictRow("a.fits", Verdict.OK),
    VerdictRow("b.fits", Verdict.WRONG_SIZE, "2", "3", f"{FOLDER}/b.fits has 3 bytes, the catalogue says 2"),
    VerdictRow("c.fits", Verdict.MISSING, reason=f"{FOLDER}/c.fits is missing"),
    VerdictRow(RMAP, Verdict.OK),
    VerdictRow(f"{FOLDER}/stray.fits", Verdict.DARK, found="4000", reason="not in the catalogue"),
    VerdictRow("unknown.fits", Verdict.OK),
]


def test_verdicts_are_counted_by_part_and_add_up_to_the_total(rows: list[ManifestRow]) -> None:
    counts = checkreport.count(rows, FOUND)

    total = {Verdict.OK: 3, Verdict.WRONG_SIZE: 1, Verdict.MISSING: 1, Verdict.DARK: 1}
    assert counts == [
        Count("mappings", 5, {Verdict.OK: 1}),
        Count("acs/darkfile", 3, {Verdict.OK: 1, Verdict.WRONG_SIZE: 1}),
        Count("wfc3/idctab", 3, {Verdict.MISSING: 1}),
        Count("other", 0, {Verdict.OK: 1}),
        Count("dark", 4000, {Verdict.DARK: 1}),
        Count("total", 4011, total),
    ]
    assert counts[-1].n_total == len(FOUND) == sum(each.n_total for each in counts[:-1])


def test_report_is_a_table_and_names_each_file_that_is_bad_or_dark_once(rows: list[ManifestRow]) -> None:
    text = checkreport.text(rows, FOUND)

    assert text.split("\n") == [
        "              files  bytes  ok  missing  wrong-size  dark",
        "mappings          1      5   1        0           0     0",
        "acs/darkfile      2      3   1        0           1     0",
        "wfc3/idctab       1      3   0        1           0     0",
        "other             1      0   1        0           0     0",
        "dark              1   4000   0        0           0     1",
        "total             6   4011   3        1           1     1",
        "",
        "verdict     name                       expected  found  reason",
        f"wrong-size  b.fits                     2         3      {FOUND[1].reason}",
        f"missing     c.fits                                      {FOLDER}/c.fits is missing",
        f"dark        {FOLDER}/stray.fits            4000   not in the catalogue",
        "",
    ]


def test_report_of_a_whole_cache_is_the_table_alone(rows: list[ManifestRow]) -> None:
    found = [VerdictRow(row.name, Verdict.OK) for row in rows]

    lines = checkreport.text(rows, found).splitlines()

    assert [line.split() for line in lines] == [
        ["files", "bytes", "ok"],
        ["mappings", "1", "5", "1"],
        ["acs/darkfile", "2", "3", "2"],
        ["wfc3/idctab", "1", "3", "1"],
        ["total", "4", "11", "4"],
    ]


def test_report_of_nothing_says_so() -> None:
    assert [line.split() for line in checkreport.text([], []).splitlines()] == [
        ["files", "bytes", "ok"],
        ["total", "0", "0", "0"],
    ]


def test_name_that_would_harm_a_terminal_is_shown_without_its_power() -> None:
    found = [VerdictRow("a\x1b[31m\udcff\n", Verdict.DARK, found="1", reason="not in the catalogue")]

    text = checkreport.text([], found)

    assert "a?[31m??" in text
    assert text.encode().isascii()


def test_lists_are_read_by_sha1sum(bare: Layout, rows: list[ManifestRow], tmp_path: Path) -> None:
    directory = tmp_path / "hashes"

    checkreport.write_lists(directory, rows, checking.statuses(bare, rows), known_of(bare, rows))

    lists = {str(path.relative_to(directory)): path for path in directory.rglob("*.sha1")}
    assert {name: path.read_text() for name, path in lists.items()} == {
        "mappings.sha1": f"{sha1_of(b'rules')}  mappings/hst/{RMAP}\n",
        "acs/darkfile.sha1": (f"{sha1_of(b'a')}  {FOLDER}/a.fits\n{sha1_of(b'bb')}  {FOLDER}/b.fits\n"),
        "wfc3/idctab.sha1": f"{sha1_of(b'ccc')}  {FOLDER}/c.fits\n",
    }
    for path in lists.values():
        subprocess.run(["sha1sum", "--check", "--strict", "--quiet", path], cwd=bare.root, check=True)


def test_list_has_the_sum_that_was_found_not_the_one_of_the_catalogue(
    bare: Layout, rows: list[ManifestRow], tmp_path: Path
) -> None:
    known = known_of(bare, rows)
    found = sha1_of(b"other")
    known["a.fits"] = known["a.fits"]._replace(file_sha1=found)

    checkreport.write_lists(tmp_path / "hashes", rows[1:2], checking.statuses(bare, rows), known)

    assert (tmp_path / "hashes/acs/darkfile.sha1").read_text() == f"{found}  {FOLDER}/a.fits\n"


def test_file_that_changed_vanished_or_was_never_read_is_in_no_list(
    bare: Layout, rows: list[ManifestRow], tmp_path: Path
) -> None:
    known = known_of(bare, rows)
    checking.let_clock_tick(bare.root)
    (bare.references / "a.fits").touch()
    known["b.fits"] = known["b.fits"]._replace(file_sha1="")
    (bare.references / "c.fits").unlink()
    del known[RMAP]

    checkreport.write_lists(tmp_path / "hashes", rows, checking.statuses(bare, rows), known)

    assert list((tmp_path / "hashes").rglob("*")) == []


def test_list_that_says_the_same_is_not_written_again(
    bare: Layout, rows: list[ManifestRow], tmp_path: Path
) -> None:
    directory, found = tmp_path / "hashes", checking.statuses(bare, rows)
    checkreport.write_lists(directory, rows, found, known_of(bare, rows))
    before = listing(directory)
    checking.let_clock_tick(tmp_path)

    checkreport.write_lists(directory, rows, found, known_of(bare, rows))

    assert listing(directory) == before


def test_lists_that_nothing_belongs_to_any_more_go_and_no_other_file(
    bare: Layout, rows: list[ManifestRow], tmp_path: Path
) -> None:
    directory = tmp_path / "hashes"
    (directory / "acs").mkdir(parents=True)
    (directory / "old").mkdir()
    (directory / "kept").mkdir()
    gone = ["acs/old.sha1", "old/type.sha1", "old.sha1", "acs/.darkfile.sha1.0123abcd.crdstmp"]
    kept = ["notes.txt", "kept/notes.txt", "acs/darkfile.sha1.old"]
    for name in (*gone, *kept):
        (directory / name).touch()

    checkreport.write_lists(directory, rows[:2], checking.statuses(bare, rows), known_of(bare, rows))

    left = {str(path.relative_to(directory)) for path in directory.rglob("*")}
    assert left == {*kept, "kept", "acs", "acs/darkfile.sha1", "mappings.sha1"}
