"""Rows P04, P22 and P23 of the fault matrix: a job is killed, a run is paused, memory is short."""

import os
import signal
import subprocess

import pytest

from demo import faults
from demo.server import Server
from tests.caches import LATEST, Cache, finish, start, wait_until
from tests.invariants import check_invariants

SLOW = "8221321au.r3d"


def fetching(session: int) -> list[int]:
    """Find the processes of a session that run the script of rule fetch."""
    line = ["pgrep", "--session", str(session), "--full", r"\.fetch\.py"]
    return [
        int(pid) for pid in subprocess.run(line, capture_output=True, text=True, check=True).stdout.split()
    ]


def test_P04_a_job_that_is_killed_is_told_and_the_next_run_completes_its_work(
    whole_cache: Cache, server: Server
) -> None:
    """As the kernel does when memory is short."""
    server.set_default(LATEST)
    server.faults.add(SLOW, faults.stall())

    process = whole_cache.start("cron_sync", "--fetch-references", "--config", "read_timeout_s=3", "shards=2")
    wait_until(lambda: server.requests[f"GET {SLOW}"] > 0)
    os.kill(fetching(process.pid)[0], signal.SIGKILL)
    done = finish(process)
    check_invariants(whole_cache.root, "hst", server)
    server.faults.clear()
    after = whole_cache.run("cron_sync", "--fetch-references")

    assert (done.status, done.out) == (1, "")
    told = (
        "hst: job fetch ended by SIGKILL: killed by somebody, or memory was short; the next run does its work"
    )
    assert told in done.err
    assert "Traceback" not in done.err
    assert (after.status, after.err, whole_cache.default()) == (0, "", LATEST)
    check_invariants(whole_cache.root, "hst", server, is_clean=True)


def test_P22_a_run_that_is_paused_stays_the_one_writer_and_goes_on_later(
    whole_cache: Cache, server: Server
) -> None:
    server.set_default(LATEST)
    server.faults.add("get_server_info", faults.delay(0.5), times=1)
    process = whole_cache.start("cron_sync", "--fetch-references")
    wait_until(lambda: server.requests["RPC get_server_info"] > 0)

    process.send_signal(signal.SIGSTOP)
    beside = whole_cache.run("cron_sync", "--fetch-references", "--verbose")
    n_asked = server.requests["RPC get_server_info"]
    process.send_signal(signal.SIGCONT)
    done = finish(process)

    assert (beside.status, beside.out, n_asked) == (75, "", 1)
    assert f"PID {process.pid}" in beside.err
    assert (done.status, done.err, whole_cache.default()) == (0, "", LATEST)
    check_invariants(whole_cache.root, "hst", server, is_clean=True)


@pytest.mark.parametrize("limit_mb", [60, 200])
def test_P23_where_memory_is_limited_the_reason_is_told_and_a_run_without_limit_does_all(
    limit_mb: int, whole_cache: Cache, server: Server
) -> None:
    """The limits are met by snakemake, as it starts or later; what jobs say of theirs, test_joblog has."""
    server.set_default(LATEST)
    line = ["prlimit", f"--as={limit_mb * 2**20}", *whole_cache.line("cron_sync", "--fetch-references")]

    short = finish(start(line, whole_cache.environ))
    check_invariants(whole_cache.root, "hst", server)
    after = whole_cache.run("cron_sync", "--fetch-references")

    assert (short.status, short.out) == (3, "")
    assert "no more" in short.err or "snakemake ended with status 1: " in short.err
    assert "Traceback" not in short.err
    assert (after.status, after.err, whole_cache.default()) == (0, "", LATEST)
    check_invariants(whole_cache.root, "hst", server, is_clean=True)
