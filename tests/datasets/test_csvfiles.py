import gzip
from pathlib import Path

import pytest

from crdscache.contexts.records import Problem
from crdscache.datasets import csvfiles, jsonlines
from crdscache.datasets.records import Dataset
from crdscache.errors import DatasetError


def read(path: Path, text: str | bytes) -> list[Dataset | Problem]:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return list(csvfiles.read(path))


def test_each_line_is_a_data_set(tmp_path: Path) -> None:
    text = (
        '\ufeffproduct,exposure,Instrument,DETECTOR,filter\r\nJ1,J1A,acs,WFC,"F1, F2"\r\n\r\n,J2A,acs,,F3\r\n'
    )

    found = read(tmp_path / "x.csv", text)

    assert found == [
        Dataset("J1:J1A", {"DETECTOR": "WFC", "FILTER": "F1, F2"}, instrument="acs"),
        Dataset("J2A:J2A", {"FILTER": "F3"}, instrument="acs"),
    ]


def test_gzip_is_told_by_the_content(tmp_path: Path) -> None:
    found = read(tmp_path / "x.csv", gzip.compress(b"id,DETECTOR\nJ1:J1,WFC\n"))

    assert found == [Dataset("J1:J1", {"DETECTOR": "WFC"})]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"J1:J1,WFC,more", "2 cells were expected, found 3"),
        (b",WFC", "an id was expected, found ''"),
        (b"J1:J1,\xff", "'utf-8' codec can't decode"),
        (b"J1:J1,W\0C", "it holds NUL"),
        (b'J1:J1,"open', "unexpected end of data"),
        (b"J\x1b1:J1,WFC", "an id was expected, found 'J\\x1b1:J1'"),
    ],
)
def test_E09_a_bad_line_is_a_problem_and_the_others_are_read(
    tmp_path: Path, line: bytes, reason: str
) -> None:
    path = tmp_path / "x.csv"

    bad, good = read(path, b"id,DETECTOR\n" + line + b"\nJ2:J2,WFC\n")

    assert isinstance(bad, Problem)
    assert (bad.name, bad.reason[: len(reason)]) == (f"{path}, line 2", reason)
    assert good == Dataset("J2:J2", {"DETECTOR": "WFC"})


def test_S05_a_line_or_a_cell_that_is_too_long_is_a_problem(tmp_path: Path) -> None:
    path, limit = tmp_path / "x.csv", jsonlines.MAX_LINE_BYTES

    found = read(path, b"id,X\nA:A," + b"x" * limit + b"\nB:B," + b"x" * 200_000 + b"\nC:C,1\n")

    assert found == [
        Problem(f"{path}, line 2", f"it is longer than {limit} bytes"),
        Problem(f"{path}, line 3", "field larger than field limit (131072)"),
        Dataset("C:C", {"X": "1"}),
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "a column `id` or `exposure` was expected, found ''"),
        ("DETECTOR\nWFC\n", "a column `id` or `exposure` was expected, found 'DETECTOR'"),
        ("id,DETECTOR,detector\n", "column 'DETECTOR' comes twice"),
    ],
)
def test_a_first_line_that_makes_no_sense_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "x.csv"

    with pytest.raises(DatasetError) as told:
        read(path, text)

    assert str(told.value) == f"{path}: {reason}"
