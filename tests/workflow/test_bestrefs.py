"""readers.smk: best references for a list of data sets, by snakemake itself."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.deliveries import DATASETS
from tests.caches import FORMER, LATEST, Cache, Done, listing
from tests.locking import writer_lock
from tests.mounts import read_only
from tests.readers import KEYWORDS, configure, copy_of, expected, updates


@pytest.fixture
def cache(no_cache: Cache, demo_root: Path) -> Cache:
    """Give a cache of which its reader may have a copy only."""
    copy_of(demo_root, no_cache.root)
    return no_cache


@pytest.fixture
def files(demo_root: Path, tmp_path: Path) -> list[Path]:
    """Copy the data sets, in the order of KEYWORDS."""
    (tmp_path / "data").mkdir()
    found = []
    for name in KEYWORDS:
        found.append(tmp_path / "data" / f"{name}_raw.fits")
        found[-1].write_bytes((demo_root / "datasets" / found[-1].name).read_bytes())
    return found


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Name the directory where the workflow works."""
    return tmp_path / "readers"


def run(cache: Cache, place: Path, *words: str, directory: Path | None = None) -> Done:
    """Run the target; all that stands in config.yaml can stand in `words`."""
    return cache.snakemake(
        *("-s", "readers.smk", "-d", str(directory or place), "--cores", "2", "bestrefs"),
        *("--config", "shards=3", *words),
    )


def write_list(place: Path, *entries: object) -> str:
    path = place.parent / "night.list"
    path.write_text("".join(f"{entry}\n" for entry in entries))
    return f"bestrefs_list={path}"


def receipts(place: Path) -> list[list[str]]:
    """List all receipts in the order of the list."""
    rows = []
    for path in sorted((place / "bestrefs" / "night").glob("*.tsv")):
        rows += [line.split("\t") for line in path.read_text().splitlines() if line.startswith("/")]
    return rows


def done_by(place: Path) -> dict[str, tuple[int, ...]]:
    return listing(place / "bestrefs")


def test_D06_a_list_is_done_in_shards_once_until_the_default_moves_though_the_cache_is_read_only(
    cache: Cache, files: list[Path], place: Path, demo_root: Path
) -> None:
    configure(cache.root, operational_context=FORMER, latest_context=FORMER)
    words = [write_list(place, "# of today", *files), "update_bestrefs=true"]
    former = {name: {} for name in KEYWORDS} | {
        name: {"MDRIZTAB": ""} for name in KEYWORDS if name.startswith("j")
    }
    before = listing(cache.root)

    with read_only(cache.root):
        first = run(cache, place, *words)
        after_first = done_by(place), listing(files[0].parent)
        second = run(cache, place, *words)
        after_second = done_by(place), listing(files[0].parent)

    assert (first.status, second.status) == (0, 0)
    assert listing(cache.root) == before
    assert after_second == after_first
    assert receipts(place) == [[str(path), FORMER, "changed", ""] for path in files]
    answers = [
        json.loads(line)["id"]
        for number in range(3)
        for line in (place / "bestrefs" / "night" / f"{number}.jsonl").read_text().splitlines()
    ]
    assert answers == [*map(str, files)]
    for path, (name, lacks) in zip(files, former.items(), strict=True):
        written = updates(path, demo_root / "datasets" / path.name)
        assert written == {
            keyword: value for keyword, value in expected(name, FORMER).items() if keyword not in lacks
        }

    configure(cache.root, operational_context=LATEST, latest_context=LATEST)
    third = run(cache, place, *words)

    assert third.status == 0
    assert receipts(place) == [[str(path), LATEST, "changed", ""] for path in files]


def test_beside_a_writer_failed_data_sets_are_named_with_status_1(
    cache: Cache, files: list[Path], place: Path
) -> None:
    cache.state.mkdir(parents=True)
    missing = files[0].with_name("missing.fits")

    with writer_lock(cache):
        done = run(cache, place, write_list(place, files[0], missing, files[1]))

    assert done.status == 1
    assert f"failed: {missing}: No such file or directory\n" in done.err
    assert "Traceback" not in done.err
    assert receipts(place) == [
        [str(files[0]), LATEST, "would-change", ""],
        [str(missing), LATEST, "failed", "No such file or directory"],
        [str(files[1]), LATEST, "would-change", ""],
    ]


def test_headers_are_looked_up_by_the_context_and_for_the_types_that_are_asked_for(
    cache: Cache, place: Path
) -> None:
    lines = [json.dumps({"id": name, "header": header}) for name, header in DATASETS.items()]

    words = ["bestrefs_context=hst-2022-02-01", "bestrefs_types=[idctab,ccdtab]"]
    done = run(cache, place, write_list(place, *lines), *words)

    found = {}
    for number in range(3):
        for text in (place / "bestrefs" / "night" / f"{number}.jsonl").read_text().splitlines():
            line = json.loads(text)
            found[line["id"]] = (line["context"], {*line["bestrefs"]})
    assert found == dict.fromkeys(DATASETS, ("hst_0003.pmap", {"idctab", "ccdtab"}))
    assert done.status == 1  # wfpc2 has neither type


def refusals(cache: Cache, place: Path) -> Iterator[tuple[list[str], Path, str]]:
    a_list = write_list(place, "/x.fits")
    yield (
        [a_list],
        cache.state,
        f"the working directory is the writer's: snakemake -s readers.smk -d {cache.state}",
    )
    yield [], place, "bestrefs_list is not set: --config bestrefs_list=FILE"
    yield [f"bestrefs_list={place}/nowhere"], place, f"{place}/nowhere"
    yield [a_list, "bestrefs_context=hst_9999.pmap"], place, "hst_9999.pmap is not in "
    yield [a_list, "bestrefs_context=newest"], place, "context 'newest': expected the name of a mapping"
    yield [a_list, "no_setting=1"], place, "--config: there is no setting 'no_setting'"


@pytest.mark.parametrize("number", range(6))
def test_what_cannot_be_done_is_told_in_words_and_leaves_the_cache_alone(
    number: int, cache: Cache, place: Path
) -> None:
    cache.state.mkdir(parents=True)
    words, directory, reason = list(refusals(cache, place))[number]
    before = listing(cache.root / "config", cache.root / "mappings", cache.root / "references")

    done = run(cache, place, *words, directory=directory)

    assert (done.status, reason in done.err, "Traceback" in done.err) == (1, True, False), done.err
    assert listing(cache.root / "config", cache.root / "mappings", cache.root / "references") == before
