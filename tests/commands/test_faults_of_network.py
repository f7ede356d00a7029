"""Rows N of the fault matrix, as the operator of a cache meets them."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from demo import faults
from demo.faultplan import Fault
from demo.rpcfaults import other_observatory
from demo.server import Server
from tests.caches import FORMER, LATEST, QUICK, Cache, Done, proper
from tests.invariants import check_invariants, references_of

NEW = ("82213200j_mdz.fits", "8221320aj_mdz.fits", "8221321au.r3d", "8221321au.r3h")  # of LATEST

# What is wrong with a file, how often (None: always), and what is told of it then ("": it is cured).
CASES: dict[str, tuple[Fault, int | None, str]] = {
    "n2b1430aj_bia.fits": (faults.reset_in_body(100), 1, ""),
    "n2b1430bj_bia.fits": (faults.reset(), None, r"reset.* \(tries: 5\)"),
    "m5c1200aj_ccd.fits": (faults.truncate(100), None, r"cut after \d+ of \d+ bytes.* \(tries: 5\)"),
    "m5c1200bj_ccd.fits": (faults.longer(7), None, r"size is \d+, the catalogue says \d+"),
    "m5c1200cj_ccd.fits": (
        faults.longer_unframed(1 << 20),
        None,
        r"size is \d+ or more, the catalogue says \d+",
    ),
    "u9115020j_drk.fits": (faults.status(503), 1, ""),
    "n9d1445aj_fls.fits": (faults.status(503), 4, ""),
    "n9d1445bj_fls.fits": (faults.status(503), None, r"status 503 .*\(tries: 5\)"),
    "t7h1622ai_drk.fits": (faults.html(), None, r"not the file: .*Please log in"),
    "t7h1622bi_drk.fits": (faults.flip(9), None, r"SHA-1 is [0-9a-f]{40}, the catalogue says [0-9a-f]{40}"),
}
PENDING = {"n2b1431aj_drk.fits": faults.status(404), "t6k1016aj_drk.fits": faults.status(410)}


@pytest.fixture(scope="module")
def spoiled(
    rules_only: Cache, demo_root: object, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Cache, Done, Counter[str]]]:
    """Fetch all references once, each of some with a fault of its own."""
    home = tmp_path_factory.mktemp("spoiled")
    (home / "quick.yaml").write_text(QUICK)
    with Server(demo_root) as server:  # type: ignore[arg-type]
        server.set_default(FORMER)
        cache = rules_only.copy_to(home / "cache", server)
        for name, (fault, times, _) in CASES.items():
            server.faults.add(name, fault, times=times)
        for name, fault in PENDING.items():
            server.faults.add(name, fault)
        yield (
            cache,
            cache.run("cron_sync", "--fetch-references", "--json", "--config", "tries=5"),
            server.requests,
        )


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ("N04", "n2b1430aj_bia.fits"),
        ("N04", "n2b1430bj_bia.fits"),
        ("N05", "m5c1200aj_ccd.fits"),
        ("N07", "m5c1200bj_ccd.fits"),
        ("N08", "m5c1200cj_ccd.fits"),
        ("N16", "u9115020j_drk.fits"),
        ("N16", "n9d1445aj_fls.fits"),
        ("N16", "n9d1445bj_fls.fits"),
        ("N19", "t7h1622ai_drk.fits"),
        ("N23", "t7h1622bi_drk.fits"),
    ],
)
def test_N04_N05_N07_N08_N16_N19_N23_a_fault_is_cured_by_another_try_or_told_with_its_reason(
    row: str, name: str, spoiled: tuple[Cache, Done, Counter[str]]
) -> None:
    cache, done, _ = spoiled

    reasons = [told["reason"] for told in done.data["failures"] if told["name"] == name]

    expected = CASES[name][2]
    assert (done.status, len(reasons)) == (1, 1 if expected else 0), row
    assert all(re.search(expected, reason) for reason in reasons), reasons
    assert all(f"/{name}: " in reason for reason in reasons)
    assert (cache.references / name).exists() is not bool(expected)
    # What came of a cut file is kept, to be resumed; what was wrong is not.
    assert bool(list(cache.references.glob(f".{name}.*"))) is (row == "N05")


def test_N13_a_file_that_is_not_there_is_pending_and_not_asked_for_again(
    spoiled: tuple[Cache, Done, Counter[str]],
) -> None:
    _, done, requests = spoiled

    assert done.data["pending"] == sorted(PENDING)
    assert {name: requests[f"GET {name}"] for name in PENDING} == dict.fromkeys(PENDING, 1)


def test_N04_N05_N07_N08_N13_N16_N19_N23_all_others_are_fetched_and_nothing_wrong_has_a_name(
    spoiled: tuple[Cache, Done, Counter[str]],
) -> None:
    cache, done, _ = spoiled

    spoilt = {name for name, (_, _, reason) in CASES.items() if reason}
    wanted = set(references_of(cache.root, "hst", FORMER))
    assert {told["name"] for told in done.data["failures"]} == spoilt
    assert done.err.count("failed: ") == len(spoilt)
    named = {path.name for path in cache.references.iterdir() if not path.name.startswith(".")}
    assert named == wanted - spoilt - set(PENDING)
    check_invariants(cache.root, "hst", cache.server)


def test_N23_two_files_of_one_size_that_are_swapped_are_both_refused(
    whole_cache: Cache, server: Server
) -> None:
    server.set_default(LATEST)
    first, second = NEW[2], NEW[3]
    size_bytes = server.archive.records[second].size_bytes
    server.add_file(first, size_bytes)
    server.faults.add(first, faults.content_of(second))
    server.faults.add(second, faults.content_of(first))

    done = whole_cache.run("cron_sync", "--fetch-references", "--json")

    reasons = {told["name"]: told["reason"] for told in done.data["failures"]}
    sums = {name: server.archive.records[name].file_sha1 for name in (first, second)}
    assert done.status == 1
    assert set(reasons) == {first, second}
    assert f"SHA-1 is {sums[second]}, the catalogue says {sums[first]}" in reasons[first]
    assert f"SHA-1 is {sums[first]}, the catalogue says {sums[second]}" in reasons[second]
    assert whole_cache.default() == FORMER
    check_invariants(whole_cache.root, "hst", server)


@pytest.mark.parametrize("address", ["http://localhost:9", "http://crds.invalid"])
def test_N01_a_server_that_cannot_be_reached_leaves_the_cache_as_it_is(
    address: str, whole_cache: Cache
) -> None:
    """Refused, or its name does not resolve."""
    for path in (whole_cache.state / "identity.json", whole_cache.config / "server_config"):
        path.write_text(path.read_text().replace(whole_cache.server.url, address))
    whole_cache.more["CRDS_SERVER_URL"] = address
    before = proper(whole_cache)

    done = whole_cache.run("cron_sync", "--all", "--fetch-references")
    dry = whole_cache.run("cron_sync", "--dry-run")

    reason = "refused" if "localhost" in address else "(resol|known)"
    for one, n_lines in ((done, 2), (dry, 1)):
        assert (one.status, one.out, len(one.err.splitlines())) == (3, "", n_lines)
        assert address in one.err
        assert re.search(reason, one.err)
    assert proper(whole_cache) == before
    assert whole_cache.default() == FORMER
    check_invariants(whole_cache.root, "hst", whole_cache.server, is_clean=True)


@pytest.mark.parametrize(("times", "status"), [(1, 0), (4, 0), (None, 3)])
def test_N16_a_server_that_is_out_of_order_is_asked_again_and_then_given_up(
    times: int | None, status: int, whole_cache: Cache, server: Server
) -> None:
    server.faults.add("get_server_info", faults.status(503), times=times)
    before = proper(whole_cache)

    done = whole_cache.run("cron_sync", "--fetch-references", "--config", "tries=5")

    assert (done.status, done.out, proper(whole_cache)) == (status, "", before)
    assert server.requests["RPC get_server_info"] == 5 if times is None else times + 1
    assert ("status 503" in done.err) is (status == 3)


def test_N19_a_page_for_people_instead_of_an_answer_is_shown(whole_cache: Cache, server: Server) -> None:
    server.faults.add("get_server_info", faults.html())

    done = whole_cache.run("cron_sync")

    assert (done.status, done.out) == (3, "")
    assert "get_server_info" in done.err
    assert "<html><head><title>Please log in" in done.err


def test_N28_a_run_finishes_the_context_that_it_began_with(whole_cache: Cache, server: Server) -> None:
    """The default moves after the run has asked for it; `hst_0007.pmap` is the next one."""
    server.set_default(LATEST)

    def move(answer: object) -> object:
        server.set_default("hst_0007.pmap")
        return answer

    server.override("get_file_info_map", move)

    begun = whole_cache.run("cron_sync", "--fetch-references")
    finished = whole_cache.default()
    following = whole_cache.run("cron_sync", "--fetch-references")

    assert (begun.status, begun.err, finished) == (0, "", LATEST)
    assert (following.status, following.err, whole_cache.default()) == (0, "", "hst_0007.pmap")
    check_invariants(whole_cache.root, "hst", server, is_clean=True)


def age(cache: Cache, days: int) -> None:
    """Make what waits, wait for longer."""
    then = (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%d %H:%M:%S")
    path = cache.state / "status.json"
    noted = json.loads(path.read_text())
    noted |= {"waits_since": then, "pending_since": dict.fromkeys(noted["pending_since"], then)}
    path.write_text(json.dumps(noted))


def pager(home: Path) -> tuple[str, str]:
    """Set a command that keeps the alarms that it gets, in the file `calls`, and fails."""
    script = home / "pager"
    script.write_text(f"#!/bin/sh\ncat >> {home}/calls\nexit 1\n")
    script.chmod(0o755)
    return "--config", f'notify_command=["{script}"]'


def test_N29_what_is_not_delivered_yet_is_pending_and_the_default_waits_for_it(
    whole_cache: Cache, server: Server
) -> None:
    """One is not archived yet by its state, one by status 404; after two days that is an alarm."""
    server.set_default(LATEST)
    server.archive.change(NEW[0], state="submitted")
    server.faults.add(NEW[1], faults.status(404))

    waits = whole_cache.run("cron_sync", "--fetch-references")
    since = whole_cache.default()
    age(whole_cache, days=3)
    late = whole_cache.run("cron_sync", "--fetch-references", *pager(whole_cache.home))
    asked = server.requests[f"GET {NEW[0]}"]
    server.archive.change(NEW[0], state="archived")
    server.faults.clear()
    moves = whole_cache.run("cron_sync", "--fetch-references")

    assert (waits.status, since, asked) == (0, FORMER, 0)
    assert f"hst: not delivered yet: {NEW[0]}, {NEW[1]}\n" in waits.out
    assert f"hst: the default context stays {FORMER}, {LATEST} lacks {NEW[0]}, {NEW[1]}" in waits.err
    assert late.status == 0
    assert re.search(f"hst: still not delivered, since .* UTC: {NEW[0]}, {NEW[1]}\n", late.err)
    assert re.search(f"hst: the default context stays {FORMER} since .* UTC, {LATEST} lacks", late.err)
    calls = [json.loads(line) for line in (whole_cache.home / "calls").read_text().splitlines()]
    assert [(call["kind"], call["names"]) for call in calls] == [
        (kind, list(NEW[:2])) for kind in ("pending", "waits")
    ]
    assert (moves.status, moves.err, whole_cache.default()) == (0, "", LATEST)
    assert {name for name in NEW if (whole_cache.references / name).exists()} == set(NEW)
    check_invariants(whole_cache.root, "hst", server, is_clean=True)


def test_N30_an_answer_for_another_observatory_is_refused_with_both_names(
    whole_cache: Cache, server: Server
) -> None:
    server.faults.add("get_server_info", other_observatory("jwst"))
    before = proper(whole_cache)

    done = whole_cache.run("cron_sync", "--fetch-references")

    assert (done.status, done.out) == (3, "")
    assert "the server is for jwst, this cache for hst" in done.err
    assert proper(whole_cache) == before


@pytest.mark.parametrize("command", ["cron_sync", "remote_cache_init"])
def test_N30_another_server_than_that_of_the_cache_is_refused_with_both_names(
    command: str, whole_cache: Cache
) -> None:
    """A test server's answer must never reach an operational cache."""
    theirs = "https://hst-crds-test.stsci.edu"
    ours, whole_cache.more["CRDS_SERVER_URL"] = whole_cache.server.url, theirs
    before = proper(whole_cache)

    done = whole_cache.run(command)

    assert (done.status, done.out, proper(whole_cache)) == (3, "", before)
    assert f"is a cache of hst from {ours}, but the settings say hst from {theirs}" in done.err


def test_N33_a_server_that_says_the_same_for_days_is_told_of_with_the_age(
    whole_cache: Cache, server: Server
) -> None:
    """The run itself is as good as any: there is nothing to do."""
    server.override("get_server_info", lambda info: {**info, "last_refreshed": "2020-01-01 00:00:00.000000"})

    first, second = (whole_cache.run("cron_sync", "--fetch-references") for _ in range(2))

    assert (first.status, second.status, second.out, second.err) == (0, 0, "", "")
    assert re.fullmatch(
        r"hst: the server's answer is \d+\.\d days old, of 2020-01-01 00:00:00 UTC: it may be frozen\n",
        first.err,
    )
