"""Rows P of the fault matrix: runs that are killed, stopped, or started beside each other."""

import fcntl
import json
import os
import pwd
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from demo import faults
from demo.server import Server
from tests import clocks
from tests.caches import CHECKOUT, FORMER, LATEST, Cache, Done, finish, listing, start, wait_until
from tests.invariants import check_invariants
from tests.locking import writer_lock

SLOW = ["--config", "read_timeout_s=20", "tries=1"]  # nothing but a signal ends a stall soon enough


def asked(server: Server, what: str, times: int = 1) -> Callable[[], bool]:
    return lambda: server.requests[what] >= times


@contextmanager
def reader_of_the_configuration(cache: Cache) -> Iterator[None]:
    """Keep the writer from the rename of the configuration for the second that it waits."""
    with (cache.root / "crds.config.lock").open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_SH)
        yield


@pytest.mark.parametrize(
    ("phase", "numbers"),
    [
        ("question", [signal.SIGTERM]),
        ("query", [signal.SIGINT]),
        ("mappings", [signal.SIGHUP]),
        ("fetch", [signal.SIGTERM, signal.SIGTERM]),
        ("fetch", [signal.SIGINT, signal.SIGINT]),
        ("commit", [signal.SIGTERM]),
    ],
)
def test_P06_a_signal_ends_a_run_in_every_phase_and_the_next_one_completes_it(
    phase: str, numbers: list[signal.Signals], whole_cache: Cache, server: Server
) -> None:
    server.set_default(LATEST)
    reached = {
        "question": asked(server, "RPC get_server_info"),
        "query": asked(server, "RPC get_server_info", 2),
        "mappings": asked(server, f"GET {LATEST}"),
        "fetch": asked(server, "GET 8221321au.r3d"),
        "commit": lambda: bool(list(whole_cache.config.glob(".server_config.*.crdstmp"))),
    }
    stalled = {"mappings": LATEST, "fetch": "8221321au.r3d"}.get(phase, "get_server_info")
    if phase == "query":
        server.faults.add(stalled, faults.delay(0), times=1)
    if phase != "commit":
        server.faults.add(stalled, faults.stall())

    with reader_of_the_configuration(whole_cache):
        process = whole_cache.start("cron_sync", "--fetch-references", *SLOW)
        wait_until(reached[phase])
        began = time.monotonic()
        for number in numbers:
            process.send_signal(number)
        stopped = finish(process)
        took_s = time.monotonic() - began
    server.faults.clear()
    check_invariants(whole_cache.root, "hst", server)
    after = whole_cache.run("cron_sync", "--fetch-references")

    assert (stopped.status, stopped.out) == (128 + numbers[0], "")
    assert stopped.err == f"cron_sync: stopped by {numbers[0].name}\n"
    assert took_s < 10
    assert (after.status, after.err, whole_cache.default()) == (0, "", LATEST)
    check_invariants(whole_cache.root, "hst", server, is_clean=True)


def test_P03_jobs_that_outlive_a_killed_command_still_are_the_writer(
    whole_cache: Cache, server: Server
) -> None:
    """The job waits for a silent server; nothing else would keep a second writer away."""
    server.set_default(LATEST)
    server.faults.add("8221321au.r3d", faults.delay(3.0), times=1)
    process = whole_cache.start("cron_sync", "--fetch-references")
    wait_until(asked(server, "GET 8221321au.r3d"))

    process.kill()
    process.wait()
    beside = whole_cache.run("cron_sync", "--fetch-references", "--verbose")
    ends: list[Done] = []

    def is_free() -> bool:
        ends.append(whole_cache.run("cron_sync", "--fetch-references"))
        return ends[-1].status != 75

    wait_until(is_free)
    process.communicate()
    assert beside.status == 75
    assert f"PID {process.pid}" in beside.err
    assert (ends[-1].status, ends[-1].err, whole_cache.default()) == (0, "", LATEST)
    check_invariants(whole_cache.root, "hst", server, is_clean=True)


@pytest.mark.parametrize(("n_runs", "limit_s"), [(2, 1.0), (30, 5.0)])
def test_P07_of_runs_that_start_together_exactly_one_works(
    n_runs: int, limit_s: float, whole_cache: Cache, server: Server
) -> None:
    """The one that works is held up by its first question until all others have ended."""
    server.faults.add("get_server_info", faults.stall(), times=1)
    words = ("--fetch-references", "--verbose", "--config", "read_timeout_s=30")

    began = time.monotonic()
    processes = [whole_cache.start("cron_sync", *words) for _ in range(n_runs)]
    wait_until(lambda: sum(process.poll() is not None for process in processes) >= n_runs - 1)
    took_s = time.monotonic() - began
    (working,) = [process for process in processes if process.poll() is None]
    working.send_signal(signal.SIGTERM)
    ends = {process.pid: finish(process) for process in processes}

    assert ends.pop(working.pid).status == 128 + signal.SIGTERM
    assert {(done.status, done.out) for done in ends.values()} == {(75, "")}
    holder = f"another writer is at work: cron_sync (host {os.uname().nodename}, PID {working.pid}, since "
    named = [done.err for done in ends.values() if holder in done.err]
    assert len(named) >= 1  # one that waited in vain for the holder's card cannot name it
    # The starts themselves cost processor time, of which other work may take a share.
    assert took_s < 10 * limit_s
    assert whole_cache.run("cron_sync", "--fetch-references").status == 0


def test_P12_P13_what_dead_runs_leave_behind_is_no_obstacle(whole_cache: Cache, server: Server) -> None:
    """The old tool's lock file with a living PID in it; locks, marks and metadata of Snakemake."""
    server.set_default(LATEST)
    (whole_cache.root / "crds.sync.lock").write_text(str(os.getpid()))
    internal = whole_cache.state / ".snakemake"
    for name in ("0.input.lock", "0.output.lock"):
        (internal / "locks").mkdir(exist_ok=True)
        (internal / "locks" / name).write_text("commit.json\nplan/0.tsv\n")
    (internal / "incomplete").mkdir(exist_ok=True)
    records = [path for path in (internal / "metadata").rglob("*") if path.is_file()]
    for path in records:
        (internal / "incomplete" / path.name).write_text("")
        path.write_text("{ damaged")

    done = whole_cache.run("cron_sync", "--fetch-references")

    assert records
    assert (done.status, done.err, whole_cache.default()) == (0, "", LATEST)
    check_invariants(whole_cache.root, "hst", server, is_clean=True)


def test_P12_a_writer_that_leaves_no_card_is_a_writer_too(whole_cache: Cache) -> None:
    """The old tool's `cron_sync` takes the same lock."""
    with writer_lock(whole_cache):
        (whole_cache.state / "writer.json").unlink()
        done = whole_cache.run("cron_sync", "--verbose")

    assert (done.status, done.out) == (75, "")
    assert "another writer is at work" in done.err


def test_P12_another_hosts_writer_counts_as_long_as_its_card_is_young(whole_cache: Cache) -> None:
    """Locks do not reach other hosts."""
    card = whole_cache.state / "writer.json"
    there = {
        "host": "elsewhere",
        "pid": 1,
        "started": "2026-01-01 00:00:00",
        "command": "cron_sync",
        "run_id": "x",
    }
    card.write_text(json.dumps(there))

    young = whole_cache.run("cron_sync", "--verbose")
    then = time.time() - 601
    os.utime(card, (then, then))
    old = whole_cache.run("cron_sync")

    assert (young.status, "host elsewhere, PID 1" in young.err) == (75, True)
    assert (old.status, "silent for 10 minutes: taken for dead" in old.out) == (0, True)


def test_P16_a_writer_whose_lock_was_removed_stops_before_the_switch(
    whole_cache: Cache, server: Server
) -> None:
    server.set_default(LATEST)
    server.faults.add("8221321au.r3d", faults.delay(1.0), times=1)
    process = whole_cache.start("cron_sync", "--fetch-references")
    wait_until(asked(server, "GET 8221321au.r3d"))

    (whole_cache.root / "crds.sync.lock").unlink()
    stopped = finish(process)

    assert (stopped.status, whole_cache.default()) == (1, FORMER)
    assert f"{whole_cache.root}/crds.sync.lock was removed or replaced while it was held" in stopped.err
    check_invariants(whole_cache.root, "hst", server)


def copy_of_checkout(place: Path) -> Path:
    """Copy what a run needs, so that nobody else writes there."""
    wanted = (
        "bin",
        "crdscache",
        "rules",
        "scripts",
        "schemas",
        "profiles",
        "envs",
        "Snakefile",
        "config.yaml",
    )
    place.mkdir()
    for name in wanted:
        if (CHECKOUT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(CHECKOUT / name, place / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy2(CHECKOUT / name, place)
    (place / ".venv").symlink_to(CHECKOUT / ".venv")
    return place


def traces_of_snakemake() -> dict[str, tuple[int, ...]]:
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    return listing(*(home / place / "snakemake" for place in (".cache", ".config", ".local/share")))


def test_P20_a_run_in_crons_bare_environment_works_and_leaves_nothing_in_checkout_or_home(
    whole_cache: Cache, server: Server
) -> None:
    """No HOME, no terminal, closed standard input, the C locale."""
    server.set_default(LATEST)
    checkout = copy_of_checkout(whole_cache.home / "checkout")
    variables = [f"{name}={value}" for name, value in whole_cache.environ.items()]
    before, at_home = listing(checkout), traces_of_snakemake()
    command = checkout / "bin" / "cron_sync"

    done = finish(
        start(
            ["env", "-i", *variables, "/bin/sh", "-c", 'exec "$0" "$@" <&-', command, "--fetch-references"],
            {"PATH": "/usr/bin:/bin"},
            cwd=whole_cache.home,
        )
    )

    assert (done.status, done.err, whole_cache.default()) == (0, "", LATEST)
    assert (listing(checkout), traces_of_snakemake()) == (before, at_home)
    assert sorted(path.name for path in whole_cache.home.iterdir()) == ["cache", "checkout", "quick.yaml"]
    check_invariants(whole_cache.root, "hst", server, is_clean=True)


@pytest.mark.parametrize("clock", clocks.WRONG)
def test_P17_a_sync_does_the_same_whatever_the_clock_says(
    clock: str, whole_cache: Cache, server: Server
) -> None:
    """And once the clock is right, what was noted meanwhile holds nothing back."""
    server.set_default(LATEST)

    done = clocks.under(whole_cache, clock).run("cron_sync", "--fetch-references")
    server.faults.add("get_server_info", faults.status(404))
    failed = clocks.under(whole_cache, clock).run("cron_sync", "--fetch-references")
    told = whole_cache.run("cron_sync", "--fetch-references")

    assert (done.status, whole_cache.default()) == (0, LATEST)
    assert (failed.status, told.status) == (3, 3)
    assert "status 404" in failed.err
    assert "status 404" in told.err  # as what was told in another year counts for nothing
    check_invariants(whole_cache.root, "hst", server, is_clean=True)


@pytest.mark.parametrize("redirection", ["> /dev/full 2> /dev/full", "2>&1 | true"])
def test_P21_a_switch_is_whole_though_nobody_can_be_told_of_it(
    redirection: str, whole_cache: Cache, server: Server
) -> None:
    server.set_default(LATEST)
    script = f"{CHECKOUT}/bin/cron_sync --fetch-references {redirection}"

    done = finish(start(["sh", "-c", script], whole_cache.environ))

    assert (done.status, done.out, done.err) == (1 if "full" in redirection else 0, "", "")
    assert whole_cache.default() == LATEST
    assert json.loads((whole_cache.state / "status.json").read_text())["result"]["status"] == 0
    check_invariants(whole_cache.root, "hst", server, is_clean=True)
