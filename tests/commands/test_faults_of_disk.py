"""Rows D of the fault matrix: disks that are full, read-only, elsewhere or not there."""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from demo import faults
from demo.faultplan import Exchange, Fault
from demo.server import Server
from demo.wire import Step
from tests.caches import FORMER, LATEST, Cache, listing, proper
from tests.invariants import check_invariants
from tests.mounts import read_only, small_disk


def fill(directory: Path) -> Path:
    """Write a file until the disk is full."""
    filler = directory / "filler"
    with filler.open("wb", buffering=0) as stream, suppress(OSError):
        while stream.write(b"x" * 4096):
            pass
    return filler


def test_S10_D01_what_does_not_fit_is_refused_before_the_first_byte(
    rules_cache: Cache, server: Server
) -> None:
    with small_disk(rules_cache.root, "3m"):
        server.requests.clear()
        dry = rules_cache.run("cron_sync", "--fetch-references", "--dry-run")
        full = rules_cache.run("cron_sync", "--fetch-references")
        check_invariants(rules_cache.root, "hst", server)

        assert (full.status, dry.status, full.out, rules_cache.default()) == (3, 1, "", FORMER)
        told = rf"{rules_cache.references}: not enough room, \d+ bytes needed, \d+ bytes free"
        assert re.search(told, full.err), full.err
        assert re.search(told, dry.err), dry.err
        assert not any(request.startswith("GET") for request in server.requests)


def test_D01_a_disk_that_another_fills_in_a_download_stops_the_run_and_keeps_what_is_whole(
    rules_cache: Cache, server: Server
) -> None:
    def fill_up(exchange: Exchange) -> Iterator[Step]:
        fill(rules_cache.root)
        yield from exchange.reply.steps()

    with small_disk(rules_cache.root, "64m"):
        server.faults.add("*.fits", faults.delay(seconds=0), times=3)
        server.faults.add("*.fits", Fault("fill", fill_up), times=1)
        full = rules_cache.run("cron_sync", "--fetch-references")
        default = rules_cache.default()
        check_invariants(rules_cache.root, "hst", server, apart_from=("filler",))
        (rules_cache.root / "filler").unlink()
        after = rules_cache.run("cron_sync", "--fetch-references")

        assert (full.status, full.out, default) == (3, "", FORMER)
        found = re.search(
            r"/references/hst/(\w+\.\w+): No space left on device, (\d+) bytes needed, \d+ bytes free",
            full.err,
        )
        assert found, full.err
        assert int(found[2]) == server.archive.records[found[1]].size_bytes
        assert (after.status, after.err) == (0, "")
        assert after.out.startswith("hst: recovered")
        check_invariants(rules_cache.root, "hst", server, is_clean=True)


@pytest.mark.parametrize("branch", ["config", ".crdscache"])
def test_D01_a_disk_that_is_full_for_configuration_or_state_leaves_the_old_context_whole(
    branch: str, whole_cache: Cache, server: Server
) -> None:
    server.set_default(LATEST)
    with small_disk(whole_cache.root / branch, "4m"):
        before = (whole_cache.config / "server_config").read_bytes()
        filler = fill(whole_cache.root / branch)
        full = whole_cache.run("cron_sync", "--fetch-references")
        after_full = (whole_cache.config / "server_config").read_bytes()
        check_invariants(whole_cache.root, "hst", server, is_clean=True)
        filler.unlink()
        after = whole_cache.run("cron_sync", "--fetch-references")

        assert (full.status, full.out, after_full) == (3, "", before)
        assert re.search(
            rf"{whole_cache.root}/{branch}/hst\S*: No space left on device.* bytes free", full.err
        )
        assert (after.status, after.err, whole_cache.default()) == (0, "", LATEST)
        check_invariants(whole_cache.root, "hst", server, is_clean=True)


def test_D06_a_read_only_disk_refuses_writers_and_serves_readers(whole_cache: Cache, server: Server) -> None:
    server.set_default(LATEST)
    before = listing(whole_cache.root)
    with read_only(whole_cache.root):
        sync, init = whole_cache.run("cron_sync", "--fetch-references"), whole_cache.run("remote_cache_init")
        dry = whole_cache.run("cron_sync", "--fetch-references", "--dry-run")
        shown, checked = whole_cache.run("cache_config"), whole_cache.run("cache_config", "--check")

    for done in (sync, init):
        assert (done.status, done.out, len(done.err.splitlines())) == (3, "", 1)
        assert f"{whole_cache.root}/" in done.err
        assert "Read-only file system" in done.err
    assert (dry.status, dry.err) == (0, "")
    assert "4 references" in dry.out
    assert (shown.status, shown.err) == (0, "")
    assert (checked.status, "Traceback" in checked.err) == (1, False)
    assert listing(whole_cache.root) == before


@pytest.mark.parametrize("command", ["cron_sync", "remote_cache_init"])
def test_D06_read_only_by_the_environment_refuses_writers_and_serves_readers(
    command: str, whole_cache: Cache, server: Server
) -> None:
    server.set_default(LATEST)
    whole_cache.more["CRDS_READONLY_CACHE"] = "1"
    before = listing(whole_cache.root)

    done = whole_cache.run(command)
    dry = whole_cache.run(command, "--dry-run")
    shown = whole_cache.run("cache_config")

    expected = f"{command}: CRDS_READONLY_CACHE is set: nothing may be written\n"
    assert (done.status, done.out, done.err) == (3, "", expected)
    assert (dry.status, dry.err, shown.status) == (0, "", 0)
    assert "CRDS_READONLY_CACHE is set" in shown.out
    assert listing(whole_cache.root) == before


def test_D10_root_and_branches_may_be_links_and_stay_links(whole_cache: Cache, server: Server) -> None:
    server.set_default(LATEST)
    elsewhere = whole_cache.home / "elsewhere"
    elsewhere.mkdir()
    links = []
    for path in (whole_cache.root / "references", whole_cache.root / "config", whole_cache.root):
        target = elsewhere / path.name
        path.rename(target)
        path.symlink_to(target)
        links.append(path)
    outside = set(listing(whole_cache.home)) - set(listing(elsewhere))

    done = whole_cache.run("cron_sync", "--fetch-references")

    assert (done.status, done.err, whole_cache.default()) == (0, "", LATEST)
    assert [path.is_symlink() for path in links] == [True, True, True]
    assert (elsewhere / "references" / "hst" / "8221321au.r3d").is_file()
    assert set(listing(whole_cache.home)) - set(listing(elsewhere)) == outside
    check_invariants(whole_cache.root, "hst", server, is_clean=True)


@pytest.mark.parametrize("is_there", [True, False])
def test_D26_a_root_that_is_not_mounted_is_not_filled(no_cache: Cache, *, is_there: bool) -> None:
    if is_there:
        no_cache.root.mkdir()
    before = listing(no_cache.home)

    done = no_cache.run("cron_sync", "--fetch-references")
    dry = no_cache.run("cron_sync", "--dry-run")
    checked = no_cache.run("cache_config", "--check")

    for one in (done, dry):
        assert (one.status, one.out, len(one.err.splitlines())) == (3, "", 1)
        assert f"{no_cache.root} is not a cache" in one.err
    assert (checked.status, checked.out.startswith("CRDSCACHE CRITICAL - ")) == (2, True)
    assert listing(no_cache.home) == before


def test_D26_a_root_whose_disk_went_is_not_filled_by_a_later_run(whole_cache: Cache) -> None:
    """As it looks when the disk is not mounted after a restart of the machine."""
    whole_cache.root.rename(whole_cache.home / "disk")
    whole_cache.root.mkdir()

    done = whole_cache.run("cron_sync", "--fetch-references")

    assert (done.status, list(whole_cache.root.iterdir())) == (3, [])
    (whole_cache.root).rmdir()
    (whole_cache.home / "disk").rename(whole_cache.root)
    before = proper(whole_cache)
    assert whole_cache.run("cron_sync", "--fetch-references").status == 0
    assert proper(whole_cache) == before
