"""The letter and number in a name is a row of the fault matrix."""

import gzip
import json
import os
from pathlib import Path

import pytest

from crdscache.contexts.records import Problem
from crdscache.datasets import jsonlines
from crdscache.datasets.records import Dataset
from crdscache.errors import DatasetError

GOOD = b'{"id": "j8bt05njq", "context": "hst_0729.pmap", "header": {"INSTRUME": "ACS", "CCDGAIN": 2.0}}'
READ = Dataset("j8bt05njq", {"INSTRUME": "ACS", "CCDGAIN": 2.0}, "hst_0729.pmap")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "headers.jsonl"


def read(path: Path, *lines: bytes) -> list[Dataset | Problem]:
    path.write_bytes(b"\n".join(lines))
    return list(jsonlines.read(path))


@pytest.mark.parametrize("packed", [False, True])
def test_data_sets_are_read_line_by_line_packed_or_not(path: Path, *, packed: bool) -> None:
    data = (
        GOOD
        + b'\r\n\n  \n{"header": {"A": null, "B": true, "C": "\xc3\xa9", "D": 12}, "bestrefs": {"x": []}}'
    )
    path.write_bytes(gzip.compress(data) if packed else data)

    found = list(jsonlines.read(path))

    assert found == [READ, Dataset("4", {"A": None, "B": True, "C": "é", "D": 12})]


def test_an_empty_file_has_no_data_sets(path: Path) -> None:
    assert read(path) == []


def test_a_line_is_read_only_when_it_is_asked_for(path: Path) -> None:
    """A file may hold the headers of a whole archive, and one may come through a pipe of the disk's size."""
    path.write_bytes(GOOD + b"\n" + b"not JSON\n" * 1_000_000)

    assert next(jsonlines.read(path)) == READ


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"not JSON", "Expecting value: line 1 column 1 (char 0)"),
        (b"{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        (b"\xff", "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
        (b"[1]", 'an object with a "header" was expected'),
        (b"{}", 'an object with a "header" was expected'),
        (b'{"header": []}', 'an object with a "header" was expected'),
        (b'{"header": {"A": []}}', "'A': a text or a number was expected, found list"),
        (b'{"header": {}, "id": 5}', "id, context and instrument: texts were expected"),
        (b'{"header": {}, "context": ["x"]}', "id, context and instrument: texts were expected"),
        (b'{"header": {"A": NaN}}', "NaN is no JSON"),
        (b'{"header": {"A": -Infinity}}', "-Infinity is no JSON"),
        (b'{"header": {"A": 1e400}}', "1e400 is beyond all numbers"),
        (b'{"header": {"A": 1, "B": 2, "A": 3}}', "'A' comes twice"),
        (b'{"header": {}, "header": {}}', "'header' comes twice"),
        (
            b'{"header": {"A": "\\ud800"}}',
            "'utf-8' codec can't encode character '\\ud800' in position 1: surrogates not allowed",
        ),
        (
            b'{"header": {"\\udfff": 1}}',
            "'utf-8' codec can't encode character '\\udfff' in position 0: surrogates not allowed",
        ),
        (
            b'{"header": {}, "id": "\\ud800"}',
            "'utf-8' codec can't encode character '\\ud800' in position 0: surrogates not allowed",
        ),
        (
            b"[" * 100_000,
            "maximum recursion depth exceeded while decoding a JSON array from a unicode string",
        ),
    ],
    ids=lambda value: value[:30],
)
def test_S05_a_bad_line_is_a_problem_and_the_others_are_read(path: Path, line: bytes, reason: str) -> None:
    assert read(path, GOOD, line, GOOD) == [READ, Problem(f"{path}, line 2", reason), READ]


def test_S05_a_number_without_end_is_a_problem(path: Path) -> None:
    [found] = read(path, b'{"header": {"A": ' + b"9" * 5000 + b"}}")

    assert isinstance(found, Problem)
    assert "4300 digits" in found.reason


def test_S05_a_line_that_is_too_long_is_a_problem_and_costs_no_memory(path: Path) -> None:
    limit = jsonlines.MAX_LINE_BYTES
    with gzip.open(path, "wb", compresslevel=1) as stream:
        stream.write(GOOD.ljust(limit - 1) + b"\n" + GOOD.ljust(limit) + b"\n")
        for _ in range(20):
            stream.write(b"x" * limit)
        stream.write(b"\n" + GOOD)

    found = list(jsonlines.read(path))

    too_long = f"it is longer than {limit} bytes"
    assert found == [READ, *(Problem(f"{path}, line {number}", too_long) for number in (2, 3)), READ]


@pytest.mark.parametrize("spoil", [lambda data: data[:-10], lambda data: data[:40] + b"\xff" * 9 + data[49:]])
def test_B01_damaged_compression_is_told_after_what_came_before(path: Path, spoil: object) -> None:
    assert callable(spoil)
    noise = json.dumps({"header": {"A": os.urandom(100_000).hex()}}).encode()
    path.write_bytes(spoil(gzip.compress(b"\n".join([GOOD, noise]))))

    with pytest.raises(DatasetError, match=rf"^{path}: whole gzip-compressed data were expected: "):
        list(jsonlines.read(path))


def test_B01_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=rf"^{tmp_path}: a file was expected, found a directory$"):
        next(jsonlines.read(tmp_path))


def test_an_instrument_beside_the_header_is_kept(path: Path) -> None:
    found = read(path, b'{"id": "J1:J1", "instrument": "ACS", "header": {"DETECTOR": "WFC"}, "more": [1]}')

    assert found == [Dataset("J1:J1", {"DETECTOR": "WFC"}, instrument="ACS")]


def test_a_header_that_is_a_text_is_a_problem_of_that_data_set(path: Path) -> None:
    found = read(
        path,
        b'{"id": "J1:J1", "header": "archive\\nfailed"}',
        b'{"header": "no id"}',
        b'{"id": "J\\u001b2", "header": ""}',
        GOOD,
    )

    assert found == [
        Problem("J1:J1", r"'archive\nfailed'"),
        Problem("2", "'no id'"),
        Problem(r"'J\x1b2'", "''"),
        READ,
    ]
