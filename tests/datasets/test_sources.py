import gzip
import json
from pathlib import Path

import pytest

from crdscache.datasets import sources
from crdscache.datasets.records import Dataset
from crdscache.datasets.sources import Kind
from crdscache.errors import DatasetError


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("sqlite:////data/x.sqlite", Kind.DATABASE),
        ("postgresql://archive/dads", Kind.DATABASE),
        ("server", Kind.SERVER),
        ("/", Kind.TREE),
        ("/data/x.CSV", Kind.CSV),
        ("/data/x.csv.gz", Kind.CSV),
        ("/data/x.jsonl", Kind.JSON_LINES),
    ],
)
def test_the_name_of_a_source_tells_its_kind(source: str, kind: Kind) -> None:
    assert sources.kind_of(source) is kind


def test_a_path_is_read_as_what_it_is(tmp_path: Path) -> None:
    lines, table, packed = tmp_path / "x.jsonl", tmp_path / "x.csv", tmp_path / "x.csv.gz"
    lines.write_text(json.dumps({"id": "A:A", "instrument": "acs", "header": {"DETECTOR": "WFC"}}) + "\n")
    table.write_text("id,instrument,DETECTOR\nA:A,acs,WFC\n")
    packed.write_bytes(gzip.compress(table.read_bytes()))

    found = [list(sources.datasets(str(path))) for path in (lines, table, packed)]

    assert found == [[Dataset("A:A", {"DETECTOR": "WFC"}, instrument="acs")]] * 3


def test_a_directory_is_read_as_a_tree(demo_root: Path) -> None:
    known = json.loads((demo_root / "datasets.json").read_text())

    found = list(sources.datasets(str(demo_root / "datasets")))

    assert sorted(each.id for each in found if isinstance(each, Dataset)) == sorted(known)


@pytest.mark.parametrize("source", ["server", "sqlite:////data/x.sqlite"])
def test_what_is_no_path_is_refused(source: str) -> None:
    with pytest.raises(DatasetError, match=f"^{source}: a path was expected, found "):
        list(sources.datasets(source))


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=f"{tmp_path}/none"):
        list(sources.datasets(str(tmp_path / "none")))
