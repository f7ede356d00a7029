import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crdscache.cache import tables
from crdscache.contexts.catalogue import Catalogue
from crdscache.contexts.records import Action, FileRecord, Kind, ManifestRow, Outcome, PlanRow, Receipt
from crdscache.errors import NotACacheError

T = TypeVar("T")
COLUMNS = ("when", "what")
ROOT = Path(__file__).parents[2]

quick = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
text = st.text(
    st.characters(exclude_categories=("C", "Z"), include_characters=" ")
)  # what str.isprintable says
sums = st.none() | st.from_regex(r"[0-9a-f]{40}", fullmatch=True)
sizes = st.integers(0, 2**63 - 1)
files = st.builds(
    ManifestRow, text, st.sampled_from(Kind), text, text, st.none() | sizes, sums, text, st.booleans()
)
plan_rows = st.builds(PlanRow, files, st.sampled_from(Action), text, text)
receipts = st.builds(
    Receipt,
    text,
    st.sampled_from(Outcome),
    sizes,
    sums,
    text,
    st.integers(0, 10**6).map(lambda thousandths: thousandths / 1000),
    text,
)
records = st.builds(FileRecord, text, sizes, sums, text, st.booleans())


def again(path: Path, rows: T, write_rows: Callable[[Path, T], None], read_rows: Callable[[Path], T]) -> T:
    write_rows(path, rows)
    return read_rows(path)


@quick
@given(st.lists(plan_rows))
def test_plan_of_any_printable_text_is_read_as_it_was_written(tmp_path: Path, rows: list[PlanRow]) -> None:
    assert again(tmp_path / "x.tsv", rows, tables.write_plan, tables.read_plan) == rows


@quick
@given(st.lists(receipts))
def test_receipts_of_any_printable_text_are_read_as_they_were_written(
    tmp_path: Path, rows: list[Receipt]
) -> None:
    assert again(tmp_path / "x.tsv", rows, tables.write_receipts, tables.read_receipts) == rows


@quick
@given(st.lists(records))
def test_catalogue_is_read_as_it_was_written_in_order_of_name(
    tmp_path: Path, entries: list[FileRecord]
) -> None:
    written = Catalogue({entry.name: entry for entry in entries})

    read = again(tmp_path / "x.tsv", written, tables.write_catalogue, tables.read_catalogue)

    assert read == written
    assert list(read.records) == sorted(read.records)


@quick
@given(st.lists(st.lists(st.text(), min_size=2, max_size=2)))
def test_text_that_is_not_printable_never_breaks_a_table(tmp_path: Path, rows: list[list[str]]) -> None:
    """Reasons quote what a server sent."""
    tables.write(tmp_path / "x.tsv", "list", COLUMNS, rows)

    shown = [["".join(c if c.isprintable() else " " for c in cell) for cell in row] for row in rows]
    assert list(tables.read(tmp_path / "x.tsv", "list", COLUMNS)) == shown


def test_table_begins_with_its_kind_and_its_columns(tmp_path: Path) -> None:
    row = ManifestRow(
        "x.fits", Kind.REFERENCE, "acs", "darkfile", 12, "ab", "references/x.fits", is_held=True
    )

    tables.write_manifest(tmp_path / "deep" / "x.tsv", [row])

    assert (tmp_path / "deep" / "x.tsv").read_text() == (
        "# crdscache manifest 1\n"
        "name\tkind\tinstrument\treftype\tsize_bytes\tfile_sha1\tpath\theld\n"
        "x.fits\treference\tacs\tdarkfile\t12\tab\treferences/x.fits\t1\n"
    )


@pytest.mark.parametrize(
    "head",
    [
        "# crdscache other 1\nwhen\twhat\n",
        "# crdscache list 2\nwhen\twhat\n",
        "# crdscache list 1\nwhen\n",
        "# crdscache list 1\nwhen\twhy\n",
        "when\twhat\n",
        "",
        "\x00\xff\xfe",
    ],
)
def test_table_of_another_kind_version_or_shape_is_refused(tmp_path: Path, head: str) -> None:
    path = tmp_path / "x.tsv"
    path.write_bytes(head.encode("latin-1"))

    with pytest.raises(NotACacheError, match=f"{path}: expected a table '# crdscache list 1'"):
        list(tables.read(path, "list", COLUMNS))


def append(path: Path, row: Sequence[str]) -> list[list[str]]:
    tables.append(path, "list", COLUMNS, row)
    return list(tables.read(path, "list", COLUMNS))


def test_lines_are_added_at_the_end_of_a_table_that_the_first_one_makes(tmp_path: Path) -> None:
    first = append(tmp_path / "x.tsv", ("1", "a\tb"))
    inode = (tmp_path / "x.tsv").stat().st_ino
    second = append(tmp_path / "x.tsv", ("2", "°"))

    assert (first, second) == ([["1", "a b"]], [["1", "a b"], ["2", "°"]])
    assert (tmp_path / "x.tsv").stat().st_ino == inode


def test_D16_line_that_a_power_cut_left_half_is_no_row_and_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    append(path, ("1", "a"))
    path.write_text(path.read_text() + "2")
    before = list(tables.read(path, "list", COLUMNS))

    after = append(path, ("3", "c"))

    assert (before, after) == ([["1", "a"]], [["1", "a"], ["3", "c"]])


@pytest.mark.parametrize("rotated", [Path.unlink, lambda path: path.write_text("")], ids=["away", "emptied"])
def test_table_that_was_taken_away_or_emptied_begins_anew_with_its_head(
    tmp_path: Path, rotated: Callable[[Path], object]
) -> None:
    """An operator cuts runs.tsv, by logrotate or by hand."""
    append(tmp_path / "x.tsv", ("1", "a"))
    rotated(tmp_path / "x.tsv")

    assert append(tmp_path / "x.tsv", ("2", "b")) == [["2", "b"]]


def test_lines_of_several_processes_at_a_time_are_all_there(tmp_path: Path) -> None:
    """A sync, a verify and a comparison end at the same second."""
    append(tmp_path / "x.tsv", ("0", "0"))
    code = """
import sys
from pathlib import Path
from crdscache.cache import tables
for number in range(200):
    tables.append(Path(sys.argv[1]), "list", ("when", "what"), (sys.argv[2], str(number)))
"""
    line = [sys.executable, "-c", code, str(tmp_path / "x.tsv")]
    writers = [subprocess.Popen([*line, str(number)], cwd=ROOT) for number in range(1, 5)]

    assert [writer.wait() for writer in writers] == [0, 0, 0, 0]
    rows = list(tables.read(tmp_path / "x.tsv", "list", COLUMNS))
    assert sorted(rows) == sorted([["0", "0"], *([str(w), str(n)] for w in range(1, 5) for n in range(200))])


def test_failure_while_writing_leaves_the_former_table(tmp_path: Path) -> None:
    tables.write(tmp_path / "x.tsv", "list", COLUMNS, [("1", "a")])

    with pytest.raises(ZeroDivisionError):
        tables.write(tmp_path / "x.tsv", "list", COLUMNS, ((str(1 // n), "b") for n in (1, 0)))

    assert list(tables.read(tmp_path / "x.tsv", "list", COLUMNS)) == [["1", "a"]]
    assert [path.name for path in tmp_path.iterdir()] == ["x.tsv"]


def test_rows_that_are_put_bit_by_bit_appear_as_one_table(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x.tsv"

    with tables.writing(path, "list", COLUMNS) as put:
        put([("1", "a"), ("2", "b\nc")])
        is_there = path.exists()
        put(iter([("3", "d")]))

    assert not is_there
    assert list(tables.read(path, "list", COLUMNS)) == [["1", "a"], ["2", "b c"], ["3", "d"]]
