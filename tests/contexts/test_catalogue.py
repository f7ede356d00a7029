import math
import subprocess
import sys
from pathlib import Path

import pytest

from crdscache.contexts import catalogue, names
from crdscache.contexts.records import FileRecord, Problem
from crdscache.errors import ServerError

SUM = "0123456789abcdef0123456789abcdef01234567"


def of_one(size: object = "12", sha1sum: object = SUM) -> catalogue.Catalogue:
    return catalogue.from_metadata({"x.fits": {"size": size, "sha1sum": sha1sum}}, frozenset())


def test_an_entry_becomes_a_record() -> None:
    metadata = {"b.fits": {"size": "12", "sha1sum": SUM, "more": 1}, "a.pmap": {"size": 0, "sha1sum": ""}}

    read = catalogue.from_metadata(metadata, frozenset({"a.pmap", "other.fits"}))

    records = {
        "b.fits": FileRecord("b.fits", 12, SUM),
        "a.pmap": FileRecord("a.pmap", 0, None, is_rejected=True),
    }
    assert read == catalogue.Catalogue(records)


@pytest.mark.parametrize(
    ("value", "size_bytes"), [("0", 0), ("007", 7), (5, 5), ("9223372036854775807", 2**63 - 1)]
)
def test_S04_size_is_read_as_text_or_as_number(value: object, size_bytes: int) -> None:
    assert of_one(size=value).records["x.fits"].size_bytes == size_bytes


@pytest.mark.parametrize(
    "value",
    [
        True,
        False,
        1.0,
        math.nan,
        None,
        -1,
        "-1",
        "+1",
        "1e9",
        "1_0",
        "0x1",
        "",
        " 12",
        "12\n",
        "1 2",
        "1.0",
        2**63,
        str(2**63),
        "9" * 5000,
        10**5000,
        "\u0661",
        "\u00b2",
        ["12"],
    ],
    ids=lambda value: f"{type(value).__name__}",
)
def test_S10_size_that_is_no_length_is_refused(value: object) -> None:
    read = of_one(size=value)

    assert read.records == {}
    assert [problem.name for problem in read.problems] == ["x.fits"]
    assert read.problems[0].reason.startswith("the catalogue's size is ")


@pytest.mark.parametrize(
    ("value", "file_sha1"), [(SUM, SUM), (SUM.upper(), SUM), ("", None), ("none", None), ("None", None)]
)
def test_S09_sum_is_read_in_any_case_and_may_be_unknown(value: object, file_sha1: str | None) -> None:
    assert of_one(sha1sum=value).records["x.fits"].file_sha1 == file_sha1


@pytest.mark.parametrize(
    "value",
    [
        SUM[:39],
        SUM + "0",
        "d41d8cd98f00b204e9800998ecf8427e",
        "g" + SUM[1:],
        " " + SUM[1:],
        "\uff11" * 40,
        None,
        7,
    ],
)
def test_S09_sum_that_is_none_is_refused(value: object) -> None:
    read = of_one(sha1sum=value)

    assert read == catalogue.Catalogue(
        {}, (Problem("x.fits", f"the catalogue's sha1sum is {names.printable(value)}"),)
    )


def test_S07_unsafe_names_are_left_out_and_told() -> None:
    entry = {"size": "1", "sha1sum": SUM}

    read = catalogue.from_metadata({"../x": entry, 7: entry, "x.fits": entry}, frozenset())

    assert read.records == {"x.fits": FileRecord("x.fits", 1, SUM)}
    assert [problem.name for problem in read.problems] == ["'../x'", "7"]


def test_entry_that_is_no_table_is_a_problem() -> None:
    read = catalogue.from_metadata({"x.fits": "NOT FOUND"}, frozenset())

    assert read == catalogue.Catalogue({}, (Problem("x.fits", "the catalogue's entry is 'NOT FOUND'"),))


@pytest.mark.parametrize("metadata", [None, [], "x", 7])
def test_S04_catalogue_that_is_no_table_is_refused(metadata: object) -> None:
    with pytest.raises(ServerError, match="the catalogue is no table of files"):
        catalogue.from_metadata(metadata, frozenset())


LARGE = """
from crdscache.contexts import catalogue, closure, serverinfo
from crdscache.contexts.mapping import parse_mapping
from tests.written import mapping

names = [f"a{number:07}j_drk.fits" for number in range(10**6)]
entries = {name: {"size": "2048", "sha1sum": f"{number:040x}"} for number, name in enumerate(names)}
known = catalogue.from_metadata(serverinfo.unwrap(serverinfo.wrap(entries)), frozenset())
texts = {}
for number in range(400):
    rmap = f"hst_acs_darkfile_{number:04}.rmap"
    texts[rmap] = mapping(rmap, *names[250 * number : 250 * (number + 1)])
texts["hst_acs_0001.imap"] = mapping("hst_acs_0001.imap", *list(texts))
texts["hst_0001.pmap"] = mapping("hst_0001.pmap", "hst_acs_0001.imap")
links = {name: closure.links_of(parse_mapping(name, text)) for name, text in texts.items()}
context = closure.walk("hst_0001.pmap", links.__getitem__)
print(len(known.records), known.problems, len(closure.references(context.rmaps, links.__getitem__)))
"""


def test_S24_a_million_names_and_a_context_of_a_tenth_of_them_fit_into_2_GiB() -> None:
    line = ["prlimit", f"--as={2 * 2**30}", sys.executable, "-c", LARGE]

    done = subprocess.run(line, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "1000000 () 100000\n", "")
