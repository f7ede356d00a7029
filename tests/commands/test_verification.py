"""The comprehensive check as part of a command; what it finds is tried in test_checking.py."""

import os
import signal

from demo.server import Server
from tests.caches import Cache, finish, start


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


def test_second_check_at_the_same_time_is_busy_and_a_sync_is_not(whole_cache: Cache, server: Server) -> None:
    lock = whole_cache.state / "verify.lock"
    holder = start(["flock", lock, "sleep", "60"], {"PATH": "/usr/bin:/bin"})
    try:
        while finish(start(["flock", "--nonblock", lock, "true"], {"PATH": "/usr/bin:/bin"})).status == 0:
            pass  # it has not begun yet
        check = whole_cache.run("cron_sync", "--check-sha1sum")
        asked = whole_cache.run("cron_sync", "--check-sha1sum", "--verbose")
        sync = whole_cache.run("cron_sync", "--fetch-references")
    finally:
        os.killpg(holder.pid, signal.SIGKILL)
        holder.communicate()

    assert (check.status, check.out, check.err) == (75, "", "")
    assert (asked.status, asked.err) == (75, f"cron_sync: a verify is at work already: {lock} is held\n")
    assert (sync.status, sync.err) == (0, "")
    assert server.requests["RPC get_server_info"] == 3
