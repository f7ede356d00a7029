"""Where a sync gets its files from, and within which limits."""

import shutil
from pathlib import Path

from crdscache.cache import tables
from crdscache.contexts.records import Outcome
from demo.server import Server
from tests.caches import FORMER, LATEST, Cache
from tests.invariants import check_invariants


def receipts(cache: Cache) -> dict[str, str]:
    """Give who delivered each reference that the last run fetched."""
    paths = sorted((cache.state / "fetched").glob("*.tsv"))
    rows = [row for path in paths for row in tables.read_receipts(path)]
    return {row.name: row.source for row in rows if row.outcome is Outcome.FETCHED}


def test_a_mounted_cache_is_asked_before_the_server_and_the_receipts_say_who_gave_what(
    rules_cache: Cache, whole: Cache, demo_root: Path, server: Server, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(demo_root, tmp_path / "other"))
    absent, wrong, *_ = sorted(path.name for path in whole.references.iterdir())
    place = other / "references" / "hst"
    (place / absent).unlink()
    (place / wrong).write_bytes(b"\0" * (place / wrong).stat().st_size)
    server.requests.clear()

    done = rules_cache.run("cron_sync", "--fetch-references", "--config", f"sources=['{other}', server]")

    assert (done.status, done.err) == (0, "")
    given = receipts(rules_cache)
    assert {name for name in given if given[name] != str(place)} == {absent, wrong}
    assert given[absent] == given[wrong] == server.url
    assert {name for name in server.requests if name.startswith("GET")} == {f"GET {absent}", f"GET {wrong}"}
    check_invariants(rules_cache.root, "hst", server, is_clean=True)


def test_rules_come_from_there_too(no_cache: Cache, demo_root: Path, server: Server) -> None:
    done = no_cache.run(
        "remote_cache_init", "--contexts", FORMER, "--config", f"sources=['{demo_root}', server]"
    )

    assert (done.status, done.err) == (0, "")
    assert not any(name.startswith("GET") for name in server.requests)
    check_invariants(no_cache.root, "hst", server, is_clean=True)


def test_when_its_time_is_over_a_run_stops_and_the_next_goes_on(whole_cache: Cache, server: Server) -> None:
    server.set_default(LATEST)

    stopped = whole_cache.run("cron_sync", "--fetch-references", "--config", "deadline_h=0.00001")
    held = whole_cache.default()
    check_invariants(whole_cache.root, "hst", server)
    after = whole_cache.run("cron_sync", "--fetch-references")

    assert (stopped.status, held) == (1, FORMER)
    assert "not asked for, as the time of this run is over" in stopped.err
    assert (after.status, after.err, whole_cache.default()) == (0, "", LATEST)
    check_invariants(whole_cache.root, "hst", server, is_clean=True)
