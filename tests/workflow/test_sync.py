"""Snakemake by hand, against the demo observatory."""

import re

import pytest

from demo import faults
from demo.server import Server
from tests.caches import CHECKOUT, FORMER, LATEST, Cache, finish, proper, start
from tests.invariants import check_invariants, closure, references_of
from tests.locking import writer_lock

# What the profile says, for those who do without it.
WITHOUT_PROFILE = ["--workflow-profile", "none", "--cores", "1", "--nolock", "--rerun-incomplete"]


def test_init_and_all_make_a_cache_from_nothing_and_estimate_tells_what_would_be_fetched(
    no_cache: Cache, server: Server
) -> None:
    made = no_cache.snakemake("init", "--config", f"contexts=[{FORMER}]")
    after_init = sorted(path.name for path in no_cache.root.iterdir())
    estimate = no_cache.snakemake("estimate", "--config", "fetch_references=true")
    not_yet = no_cache.references.exists()
    fetched = no_cache.snakemake("all", "--config", "fetch_references=true")

    expected = references_of(no_cache.root, "hst", FORMER)
    size_bytes = sum(server.archive.records[name].size_bytes for name in expected)
    assert (made.status, estimate.status, not_yet, fetched.status) == (0, 0, False, 0)
    assert "references" not in after_init
    assert {path.name for path in no_cache.mappings.iterdir()} == closure(no_cache.mappings, FORMER)
    total = f"{'to fetch':24} {len(expected):8} files {size_bytes:18} bytes"
    assert total in estimate.out.splitlines()
    assert {path.name for path in no_cache.references.iterdir()} == set(expected)
    assert not (CHECKOUT / ".snakemake").exists()
    check_invariants(no_cache.root, "hst", server, is_clean=True)


def test_a_dry_run_shows_the_last_plan_takes_no_lock_and_changes_nothing(whole_cache: Cache) -> None:
    n_references = len(references_of(whole_cache.root, "hst", FORMER))
    before = proper(whole_cache)

    with writer_lock(whole_cache):
        done = whole_cache.snakemake("-n")
    listed = whole_cache.snakemake("--list-rules")

    plan = rf"Plan\. The last one: {n_references} references \(\d+ bytes\) to fetch, 0 here, .* UTC"
    assert done.status == 0
    assert re.search(plan, done.out)
    assert proper(whole_cache) == before
    assert listed.status == 0
    assert "Bring the cache up to date" in listed.out
    assert listed.out.count("(internal)") == 3


def test_beside_a_writer_snakemake_by_hand_is_busy_and_beside_it_nobody_writes(
    whole_cache: Cache, server: Server
) -> None:
    server.set_default(LATEST)
    seen: list[int] = []

    def beside(answer: object) -> object:
        if not seen:
            seen.append(0)
            server._edits.clear()
            seen[0] = whole_cache.run("cron_sync").status
        return answer

    with writer_lock(whole_cache) as holder:
        busy = whole_cache.snakemake()
    server.override("get_server_info", beside)
    free = whole_cache.snakemake("--config", "fetch_references=true")

    assert busy.status == 75
    assert f"another writer is at work: {holder}" in busy.err
    assert (free.status, seen, whole_cache.default()) == (0, [75], LATEST)
    check_invariants(whole_cache.root, "hst", server, is_clean=True)


def test_failures_are_named_and_end_with_status_1(whole_cache: Cache, server: Server) -> None:
    server.set_default(LATEST)
    server.faults.add("8221321au.r3d", faults.status(500))

    done = whole_cache.snakemake("--config", "fetch_references=true")

    assert (done.status, whole_cache.default()) == (1, FORMER)
    assert re.search(r"^failed: 8221321au\.r3d: http://\S+: status 500", done.err, re.MULTILINE)
    assert (whole_cache.references / "8221321au.r3h").exists()
    check_invariants(whole_cache.root, "hst", server, is_clean=True)


@pytest.mark.parametrize(
    "words",
    [
        ["-R", "plan"],
        ["--directory", "{state}", *WITHOUT_PROFILE],
        ["--until", "commit"],
    ],
    ids=["-R", "no profile", "--until"],
)
def test_every_run_asks_the_server_whatever_options_it_has(
    words: list[str], whole_cache: Cache, server: Server
) -> None:
    """A context that moved unseen would be an old cache that looks current."""
    server.set_default(LATEST)

    told = [word.format(state=whole_cache.state) for word in words]

    done = whole_cache.snakemake(*told, "--config", "fetch_references=true")

    assert done.status == 0
    assert server.requests["RPC get_server_info"] == 1
    assert whole_cache.default() == LATEST


@pytest.mark.parametrize("missing", ["CRDS_PATH", "CRDS_OBSERVATORY"])
def test_without_root_or_observatory_snakemake_stops_and_leaves_no_folder_of_that_name(
    missing: str, whole_cache: Cache
) -> None:
    environ = {name: text for name, text in whole_cache.environ.items() if name != missing}
    environ |= {"HOME": str(whole_cache.home), "PYTHONDONTWRITEBYTECODE": "1"}
    before = proper(whole_cache)

    done = finish(start([CHECKOUT / ".venv" / "bin" / "snakemake"], environ, cwd=CHECKOUT))

    assert done.status == 1
    assert f"{missing} is not set: export CRDS_PATH and CRDS_OBSERVATORY" in done.err
    # Only of this name: the other case of this test may run beside it.
    assert not (CHECKOUT / f"${missing}").exists()
    assert not (whole_cache.state.parent / f"${missing}").exists()
    assert proper(whole_cache) == before


def test_D26_by_hand_too_a_root_that_is_not_mounted_is_not_filled(no_cache: Cache) -> None:
    no_cache.root.mkdir()

    done = no_cache.snakemake("--config", "fetch_references=true")

    assert done.status == 3
    assert f"{no_cache.root} is not a cache" in done.err
    assert [path.name for path in no_cache.root.iterdir()] == [".crdscache"]  # Snakemake's own directory
    assert no_cache.run("cron_sync").status == 3
