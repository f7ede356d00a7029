"""The readers' workflow through a real SLURM of one node: `make test-slurm`."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from crdscache.cache import hashes
from crdscache.workflow import cluster as ours
from tests.caches import CHECKOUT, FORMER, LATEST, Cache, Done, finish, start, wait_until
from tests.invariants import references_of
from tests.slurm import cluster
from tests.slurm.cluster import Cluster

PROFILE = str(CHECKOUT / "profiles" / "slurm")


@pytest.fixture(scope="module")
def slurm() -> Iterator[Cluster]:
    """Start SLURM, for all tests of this file."""
    if lacks := cluster.missing():
        pytest.skip(f"SLURM is missing: apt-get install {' '.join(lacks)}")
    with cluster.running() as made:
        yield made


def by_hand(cache: Cache, slurm: Cluster, *words: str) -> Done:
    """Run snakemake by hand, with the profile."""
    program = ours.python(CHECKOUT)
    environ = {**cache.environ, "HOME": str(cache.home), "PYTHONDONTWRITEBYTECODE": "1", **slurm.environ}
    line = [program, "-m", "snakemake", "-s", "readers.smk", "--workflow-profile", PROFILE, *words]
    return finish(start(line, environ, cwd=CHECKOUT))


def test_verify_finds_a_damaged_file_by_jobs_of_slurm(whole_cache: Cache, slurm: Cluster) -> None:
    name = min(references_of(whole_cache.root, "hst", FORMER))
    path = whole_cache.references / name
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    before = len(slurm.ended())

    done = by_hand(whole_cache, slurm, "verify", "--config", "shards=2", "verify_max_age_days=0")

    place = whole_cache.state / "readers"
    ran = [(job["JobState"], job["WorkDir"]) for job in slurm.ended()[before:]]
    assert (done.status, name in done.err, "Traceback" in done.err) == (1, True, False), done.err
    assert ran == [("COMPLETED", str(place))] * 2
    assert not list(place.glob("verify/hashes-*.tsv"))
    assert hashes.load(whole_cache.state / hashes.FILE)[name].was_right is False


def test_a_comparison_that_is_stopped_cancels_its_jobs_and_the_next_one_is_right(
    no_cache: Cache, slurm: Cluster, demo_root: Path
) -> None:
    cache = replace(no_cache, more=slurm.environ)
    assert cache.run("remote_cache_init").status == 0
    pair = ("--old-context", FORMER, "--new-context", LATEST)
    assert cache.run("affected_datasets", *pair, "--load", str(demo_root / "datasets")).status == 0
    words = (*pair, "--config", f"readers_profile={PROFILE}")
    before = len(slurm.ended())

    slurm.ask("scontrol", "update", "PartitionName=main", "State=DOWN")  # jobs wait
    try:
        process = cache.start("affected_datasets", *words)
        wait_until(lambda: slurm.ask("squeue", "--noheader").count("\n") == 2)
        process.terminate()
        stopped = finish(process)
        left = slurm.ask("squeue", "--noheader")
    finally:
        slurm.ask("scontrol", "update", "PartitionName=main", "State=UP")
    done = cache.run("affected_datasets", *words)

    ids = cache.state / "readers/affected/hst_0005__hst_0006/ids.txt"
    states = sorted(job["JobState"] for job in slurm.ended()[before:])
    assert stopped == Done(143, "", "affected_datasets: stopped by SIGTERM\n")
    assert (left, done.status, done.err) == ("", 0, "")
    assert ids.read_text().split() == ["jdem01010", "jdem02b1q"]
    assert states == ["CANCELLED", "CANCELLED", "COMPLETED", "COMPLETED"]


def test_best_references_by_jobs_of_slurm_are_those_of_jobs_here(
    whole_cache: Cache, slurm: Cluster, demo_root: Path, tmp_path: Path
) -> None:
    listed = tmp_path / "visit.list"
    listed.write_text("".join(f"{path}\n" for path in sorted((demo_root / "datasets").glob("*_raw.fits"))))
    words = ("bestrefs", "--config", f"bestrefs_list={listed}", "shards=2")
    before = len(slurm.ended())

    sent = by_hand(whole_cache, slurm, "-d", str(tmp_path / "sent"), *words)
    here = whole_cache.snakemake("-s", "readers.smk", "-d", str(tmp_path / "here"), *words)

    answers = {
        place: {path.name: path.read_text() for path in (tmp_path / place / "bestrefs/visit").glob("*.jsonl")}
        for place in ("sent", "here")
    }
    assert (sent.status, here.status) == (0, 0), sent.err
    assert set(answers["here"]) == {"0.jsonl", "1.jsonl"}
    assert answers["sent"] == answers["here"]
    assert [job["JobState"] for job in slurm.ended()[before:]] == ["COMPLETED"] * 2
