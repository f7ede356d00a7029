"""The readers' workflow through a real SLURM of one node: `make test-slurm`."""

from collections.abc import Iterator

import pytest

from crdscache.cache import hashes
from crdscache.workflow import cluster as ours
from tests.caches import CHECKOUT, FORMER, Cache, Done, finish, start
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
