"""Row P02 of the fault matrix: a kill -9 of the command, of snakemake and of its jobs, at any time."""

import os
import random
import signal
from pathlib import Path

import pytest

from demo.server import Server
from tests.caches import OBSERVATORY, Cache, wait_until
from tests.faults.lab import end_state
from tests.invariants import check_invariants

SLOW_S = 0.05  # before each answer


def kill_session(leader: int) -> None:
    """Kill all that a command has started, and wait until it is gone; each has the session of the command."""

    def living() -> list[int]:
        return [
            int(path.parent.name) for path in Path("/proc").glob("[0-9]*/stat") if session_of(path) == leader
        ]

    while processes := living():
        for process in processes:
            os.kill(process, signal.SIGKILL)
        os.waitid(os.P_PID, leader, os.WEXITED | os.WNOWAIT)


def session_of(path: Path) -> int | None:
    try:
        state, _, _, session, *_ = path.read_text().rpartition(")")[2].split()
    except OSError:  # it has just ended
        return None
    return None if state == "Z" else int(session)


@pytest.fixture(scope="module")
def end_of_whole(whole: Cache) -> object:
    return end_state(whole).files


@pytest.mark.parametrize("seed", range(3))
def test_P02_the_whole_tree_killed_at_any_time_is_made_whole_by_one_plain_run(
    rules_cache: Cache, server: Server, end_of_whole: object, seed: int
) -> None:
    server.latency_s = SLOW_S
    n_requests = random.Random(seed).randrange(1, 40)

    killed = rules_cache.start("cron_sync", "--fetch-references")
    wait_until(lambda: server.requests.total() >= n_requests)
    kill_session(killed.pid)
    killed.communicate()
    check_invariants(rules_cache.root, OBSERVATORY, server)
    server.latency_s = 0
    plain = rules_cache.run("cron_sync", "--fetch-references")

    assert (killed.returncode, plain.status, plain.err) == (-signal.SIGKILL, 0, "")
    check_invariants(rules_cache.root, OBSERVATORY, server, is_clean=True)
    assert end_state(rules_cache).files == end_of_whole
