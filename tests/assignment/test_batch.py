"""Lists of data sets in shards, and the receipts of what came of them."""

import gzip
import json
from pathlib import Path

import pytest

from crdscache.assignment import batch
from crdscache.assignment.work import Task
from crdscache.contexts.records import Problem
from crdscache.errors import DatasetError
from demo.deliveries import DATASETS
from tests.assignment.conftest import NewWorker
from tests.caches import LATEST
from tests.readers import KEYWORDS

GZIP = gzip.compress(b"a\n" * 1000, mtime=0)


@pytest.mark.parametrize(
    ("n_shards", "shards"),
    [
        (1, [["a", "b b", "-c", "d", "/e"]]),
        (2, [["a", "b b"], ["-c", "d", "/e"]]),
        (5, [["a"], ["b b"], ["-c"], ["d"], ["/e"]]),
        (7, [[], ["a"], ["b b"], [], ["-c"], ["d"], ["/e"]]),
    ],
)
@pytest.mark.parametrize("is_gzip", [False, True])
def test_a_list_is_cut_in_its_order_without_comments_and_blank_lines(
    n_shards: int, shards: list[list[str]], tmp_path: Path, *, is_gzip: bool
) -> None:
    data = b"# of today\na\nb b\n\n  \n-c\nd\n/e"
    (tmp_path / "list").write_bytes(gzip.compress(data) if is_gzip else data)

    assert batch.split(tmp_path / "list", n_shards) == shards


@pytest.mark.parametrize(
    "data", [None, GZIP[:-10], GZIP[:10] + b"\xff" * 20], ids=["missing", "cut", "damaged"]
)
def test_a_list_that_cannot_be_read_is_told(data: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "list"
    if data is not None:
        path.write_bytes(data)

    with pytest.raises(DatasetError, match=f"^{path}: the list of data sets cannot be read: "):
        batch.split(path, 2)


def test_B10_a_shard_keeps_names_of_any_bytes(tmp_path: Path, new_worker: NewWorker) -> None:
    names = ["with blanks.fits", "-x.fits", "caf\udce9.fits", "tab\t\r.fits"]

    batch.write_shard(tmp_path / "shard", names)

    worker = new_worker(Task())
    assert [done.id for done in batch.do_shard(worker, tmp_path / "shard")] == names


def test_an_empty_shard_is_no_work(tmp_path: Path, new_worker: NewWorker) -> None:
    batch.write_shard(tmp_path / "shard", [])

    assert list(batch.do_shard(new_worker(Task()), tmp_path / "shard")) == []


def test_receipts_and_answers_are_written_for_files_and_headers_alike(
    demo_root: Path, tmp_path: Path, new_worker: NewWorker
) -> None:
    ids = ["JDEM01010:JDEM01A1Q", "IDEM01010:IDEM01C1Q"]
    batch.write_shard(
        tmp_path / "headers",
        [json.dumps({"id": name, "header": DATASETS[name]}) for name in ids] + ['{"header": {}}'],
    )
    files = [str(demo_root / "datasets" / f"{name[-9:].lower()}_raw.fits") for name in ids]
    batch.write_shard(tmp_path / "files", [*files, "missing.fits"])

    found = {}
    for kind in ("headers", "files"):
        results = batch.do_shard(new_worker(Task()), tmp_path / kind)
        batch.write(results, tmp_path / f"{kind}.tsv", tmp_path / f"{kind}.jsonl")
        lines = [json.loads(line) for line in (tmp_path / f"{kind}.jsonl").read_text().splitlines()]
        found[kind] = [line["bestrefs"] for line in lines]

    assert found["headers"] == found["files"]
    assert found["files"][0]["biasfile"] == KEYWORDS["jdem01a1q"]["BIASFILE"].removeprefix("jref$")
    no_instrument = "Missing 'INSTRUME' keyword in header for determining instrument."
    assert batch.failures([tmp_path / "headers.tsv", tmp_path / "files.tsv"]) == (
        Problem("3", no_instrument),
        Problem("missing.fits", "No such file or directory"),
    )
    rows = (tmp_path / "files.tsv").read_text().splitlines()
    assert [row.split("\t")[:3] for row in rows if row.startswith("/")] == [
        [path, LATEST, "would-change"] for path in files
    ]  # fmt: skip


def test_what_was_changed_is_told_in_the_receipt(
    demo_root: Path, tmp_path: Path, new_worker: NewWorker
) -> None:
    path = tmp_path / "x.fits"
    path.write_bytes((demo_root / "datasets" / "jdem01a2q_raw.fits").read_bytes())
    worker = new_worker(Task("hst_0002.pmap", updates=True))
    outcomes = []
    for _ in range(2):
        batch.write([worker.of_file(str(path))], tmp_path / "receipts", tmp_path / "answers")
        outcomes.append((tmp_path / "receipts").read_text().splitlines()[-1].split("\t"))

    reason = "darkfile: 56615301j_drk.fits is rejected"
    assert outcomes == [[str(path), "hst_0002.pmap", "failed", reason]] * 2
