"""The comprehensive check as part of a command; what it finds is tried in test_checking.py."""

import os
import signal

from tests.caches import FORMER, Cache, finish, start
from tests.invariants import references_of


def snakemakes(cache: Cache) -> list[str]:
    """List the runs of the readers' snakemake."""
    return sorted(path.name for path in (cache.state / "readers" / ".snakemake" / "log").glob("*"))


def test_what_was_read_lately_is_not_read_again_and_snakemake_is_not_started_for_it(
    whole_cache: Cache,
) -> None:
    first = whole_cache.run("cron_sync", "--check-sha1sum", "--json")
    started = snakemakes(whole_cache)

    second = whole_cache.run("cron_sync", "--check-sha1sum", "--json")

    assert (first.status, second.status) == (0, 0)
    assert first.data["verification"]["n_files"]["hashed"] > 0
    assert second.data["verification"]["n_files"] == {"hashed": 0}
    assert second.data["verification"]["size_bytes"] == {"hashed": 0}
    assert second.data["verification"]["verdicts"] == first.data["verification"]["verdicts"]
    assert (len(started), snakemakes(whole_cache)) == (1, started)


def test_second_check_at_the_same_time_is_busy_and_a_sync_is_not(whole_cache: Cache) -> None:
    lock = whole_cache.state / "verify.lock"
    holder = start(["flock", lock, "sleep", "60"], {"PATH": "/usr/bin:/bin"})
    try:
        while finish(start(["flock", "--nonblock", lock, "true"], {"PATH": "/usr/bin:/bin"})).status == 0:
            pass  # it has not begun yet
        check = whole_cache.run("cron_sync", "--check-sha1sum")
        asked = whole_cache.run("cron_sync", "--check-sha1sum", "--verbose")
        sync = whole_cache.run("cron_sync", "--fetch-references")
        cut = min(references_of(whole_cache.root, "hst", FORMER))
        (whole_cache.references / cut).write_bytes(b"short")
        failed = whole_cache.run("cron_sync", "--fetch-references", "--check-sha1sum")
    finally:
        os.killpg(holder.pid, signal.SIGKILL)
        holder.communicate()

    assert (check.status, check.out, check.err) == (75, "", "")
    assert (asked.status, asked.err) == (75, f"cron_sync: a verify is at work already: {lock} is held\n")
    assert (sync.status, sync.err) == (0, "")
    assert failed.status == 1  # which says more than that the check is busy
    assert failed.err.startswith(f"failed: {cut}: references/hst/{cut} has 5 bytes, ")
