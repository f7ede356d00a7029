"""Rows N of the fault matrix all at once, as benchmarks/chaos.py has them, for few files."""

from pathlib import Path

from tests.caches import OBSERVATORY, Cache
from tests.faults import chaos
from tests.faults.strikes import Runs
from tests.invariants import check_invariants

N_FILES = 300
N_BAD = 50  # enough for each kind to come


def test_N04_to_N24_all_kinds_of_faults_at_once_are_survived_by_plain_runs(tmp_path: Path) -> None:
    named = chaos.reference_names(N_FILES)
    with chaos.serve(N_FILES) as server, Runs(tmp_path) as runs:
        cache = Cache(tmp_path, server, tmp_path / "cache")
        chaos.set_up(cache, lambda *words: runs.run(words, cache.environ))
        chaos.lie(server, chaos.new_ones(named), N_BAD, seed=1)

        *_, last = chaos.until_whole(cache, lambda *words: runs.run(words, cache.environ), named, most=10)

        assert (last.status, last.n_here, cache.default()) == (0, N_FILES, chaos.NEW)
        assert set(chaos.played(server)) == set(chaos.KINDS)
        check_invariants(cache.root, OBSERVATORY, server, is_clean=True)
