"""`cron_sync --pin`, `--unpin`, `--rollback`: each by real runs; none of them asks the server anything."""

import ast
import json
from pathlib import Path
from pprint import pformat

import pytest

from demo import faults
from demo.observatory import CONTEXTS
from demo.server import Server
from tests.caches import FORMER, LATEST, QUICK, Cache, finish, listing, once, proper, wait_until
from tests.invariants import check_invariants, references_of
from tests.locking import writer_lock

FIRST, SECOND = CONTEXTS[:2]
IMAP = "hst_acs_0001.imap"


def switches(cache: Cache) -> list[tuple[str, ...]]:
    rows = (cache.state / "switches.tsv").read_text().splitlines()[2:]
    return [tuple(row.split("\t")[1:]) for row in rows]


def pinned(cache: Cache) -> tuple[str | None, str]:
    stamp = json.loads((cache.state / "identity.json").read_text())
    return stamp["pinned"], stamp["pinned_by"]


def edit_config(cache: Cache, **changes: object) -> None:
    """Write the configuration as another tool does."""
    path = cache.config / "server_config"
    saved = ast.literal_eval(path.read_text())
    path.unlink()
    path.write_text(pformat(saved | changes))


@pytest.fixture(scope="session")
def moved(demo_root: Path, whole: Cache, tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """Make, once, a cache whose default has moved from the former context to the latest."""
    with Server(demo_root) as serving:
        serving.set_default(LATEST)

        def make(home: Path) -> None:
            (home / "quick.yaml").write_text(QUICK)
            made = whole.copy_to(home / "cache", serving)
            assert made.run("cron_sync", "--fetch-references").status == 0

        home = once(tmp_path_factory, "moved", make)
    return Cache(home, serving, home / "cache")


@pytest.fixture
def moved_cache(no_cache: Cache, moved: Cache, server: Server) -> Cache:
    """Copy the cache whose default has moved, as the server's has."""
    server.set_default(LATEST)
    return moved.copy_to(no_cache.root, server)


def test_a_rollback_puts_the_former_default_back_and_holds_it_until_it_is_let_go(
    moved_cache: Cache, server: Server
) -> None:
    """One story, as each step needs the one before."""
    last_sync = (moved_cache.state / "status.json").read_bytes()
    n_requests = server.requests.total()

    back = moved_cache.run("cron_sync", "--rollback")

    told = f"hst: default context {LATEST} -> {FORMER}, pinned until cron_sync --unpin\n"
    assert (back.status, back.out, back.err) == (0, told, "")
    assert (moved_cache.default(), pinned(moved_cache)) == (FORMER, (FORMER, "rollback"))
    assert switches(moved_cache)[-1] == (LATEST, FORMER, "rollback")
    assert server.requests.total() == n_requests
    assert (moved_cache.state / "status.json").read_bytes() == last_sync
    last_run = (moved_cache.state / "runs.tsv").read_text().splitlines()[-1].split("\t")
    assert last_run[4:7] == ["0", LATEST, FORMER]
    log = (moved_cache.state / "logs" / f"run-{last_run[0]}.log").read_text()
    assert f"default context from={LATEST} to={FORMER} why=rollback" in log

    synced = moved_cache.run("cron_sync", "--fetch-references")
    checked = moved_cache.run("cache_config", "--check")
    let_go = moved_cache.run("cron_sync", "--unpin")
    stays = moved_cache.default()
    again = moved_cache.run("cron_sync", "--unpin")
    after = moved_cache.run("cron_sync", "--fetch-references")

    assert (synced.status, synced.out, synced.err) == (0, "", "")
    assert (checked.status, checked.out, checked.err) == (0, "", "")
    freed = f"hst: default context {FORMER}, no longer pinned: the next sync follows the server\n"
    assert (let_go.status, let_go.out, stays) == (0, freed, FORMER)
    assert (again.status, again.out) == (0, f"hst: default context {FORMER}, which was not pinned\n")
    assert (after.status, moved_cache.default()) == (0, LATEST)
    assert switches(moved_cache)[-1] == (FORMER, LATEST, "server")
    check_invariants(moved_cache.root, "hst", server, is_clean=True)


def test_a_pinned_cache_gets_the_files_of_newer_contexts_and_keeps_its_own(
    whole_cache: Cache, server: Server
) -> None:
    assert whole_cache.run("cron_sync", "--pin", FORMER).status == 0
    before = switches(whole_cache)
    lost = min(references_of(whole_cache.root, "hst", FORMER))
    (whole_cache.references / lost).unlink()
    server.set_default(LATEST)

    came = whole_cache.run("cron_sync", "--contexts", "hst-operational", "--fetch-references")
    again = whole_cache.run("cron_sync", "--fetch-references")

    assert (came.status, came.err) == (0, "")
    assert came.out.startswith(f"hst: default context {FORMER} (pinned; the server's is {LATEST}); ")
    assert (again.status, again.out, again.err) == (0, "", "")
    assert (whole_cache.default(), switches(whole_cache)) == (FORMER, before)
    wanted = {
        name for context in (FORMER, LATEST) for name in references_of(whole_cache.root, "hst", context)
    }
    assert {path.name for path in whole_cache.references.iterdir()} == wanted
    check_invariants(whole_cache.root, "hst", server, is_clean=True)


def test_files_that_only_the_pinned_default_needs_are_looked_after(
    whole_cache: Cache, server: Server
) -> None:
    """The server's default, which the run is about, does not need them."""
    fetched = whole_cache.run("cron_sync", "--contexts", FIRST, "--fetch-references")
    assert (fetched.status, whole_cache.run("cron_sync", "--pin", FIRST).status) == (0, 0)
    parts = references_of(whole_cache.root, "hst", FORMER)
    alone = sorted(set(references_of(whole_cache.root, "hst", FIRST)) - set(parts))
    rules = [path for path in whole_cache.mappings.iterdir() if path.name in {FIRST, IMAP}]
    for path in [*rules, *(whole_cache.references / name for name in alone)]:
        path.unlink()

    mended = whole_cache.run("cron_sync", "--fetch-references")

    assert (mended.status, mended.err, whole_cache.default()) == (0, "", FIRST)
    assert all(path.exists() for path in [*rules, *(whole_cache.references / name for name in alone)])
    check_invariants(whole_cache.root, "hst", server, is_clean=True)


def test_two_rollbacks_go_two_steps_back_and_a_third_goes_by_the_servers_history(
    rules_cache: Cache, server: Server
) -> None:
    history = [["2026-03-01 00:00:00", LATEST, ""], ["2026-02-01 00:00:00", FORMER, ""]]
    server.archive.eras = [*history, ["2026-01-01 00:00:00", SECOND, ""], ["2025-01-01 00:00:00", FIRST, ""]]
    for context in (LATEST, CONTEXTS[3]):
        server.set_default(context)
        assert rules_cache.run("cron_sync").status == 0
    assert rules_cache.run("cron_sync", "--contexts", SECOND, FIRST).status == 0

    ends = []
    for _ in range(5):
        done = rules_cache.run("cron_sync", "--rollback")
        ends.append((done.status, rules_cache.default()))

    assert ends == [(0, LATEST), (0, FORMER), (0, SECOND), (0, FIRST), (1, FIRST)]
    assert done.err.startswith(
        f"hst: there is no default context before {FIRST}, neither in {rules_cache.state}"
    )
    assert [row[2] for row in switches(rules_cache)] == ["first", "server", "server", *4 * ["rollback"]]
    assert pinned(rules_cache) == (FIRST, "rollback")


def test_what_is_not_whole_is_refused_with_the_command_that_brings_it(
    whole_cache: Cache, server: Server
) -> None:
    before = proper(whole_cache)
    stamp = (whole_cache.state / "identity.json").read_bytes()

    refused = whole_cache.run("cron_sync", "--pin", FIRST)
    dry = whole_cache.run("cron_sync", "--pin", FIRST, "--dry-run")
    data = whole_cache.run("cron_sync", "--pin", FIRST, "--json").data
    unchanged = (proper(whole_cache), (whole_cache.state / "identity.json").read_bytes())
    cure = f"cron_sync --contexts {FIRST} --fetch-references"
    cured = whole_cache.run(*cure.split())
    held = whole_cache.run("cron_sync", "--pin", FIRST)

    why = f"{FIRST} is not whole here, so nothing was changed: 1 file, {FIRST}"
    said = f"hst: {why}; {cure} brings what it lacks"
    assert (refused.status, refused.out, refused.err.splitlines()[0]) == (1, "", said)
    assert (dry.status, dry.err.splitlines()) == (1, [said])
    assert [failure["name"] for failure in data["failures"]] == [FIRST]
    assert (data["status"], data["default_after"]) == (1, FORMER)
    assert unchanged == (before, stamp)
    assert (cured.status, held.status, whole_cache.default()) == (0, 0, FIRST)
    check_invariants(whole_cache.root, "hst", server, is_clean=True)


def test_references_within_the_holdings_count_but_those_that_are_tolerated(moved_cache: Cache) -> None:
    lost = sorted(references_of(moved_cache.root, "hst", FORMER))[:5]
    for name in lost:
        (moved_cache.references / name).unlink()

    refused = moved_cache.run("cron_sync", "--rollback")
    tolerated = moved_cache.run("cron_sync", "--rollback", "--config", f"tolerate_missing=[{','.join(lost)}]")

    assert refused.status == 1
    assert (
        f"nothing was changed: 5 files, {', '.join(lost[:3])} and 2 more; cron_sync --contexts" in refused.err
    )
    assert (tolerated.status, moved_cache.default()) == (0, FORMER)


@pytest.mark.parametrize("words", [["--rollback"], ["--pin", FORMER], ["--unpin"]])
def test_a_dry_run_tells_what_would_become_and_writes_nothing(moved_cache: Cache, words: list[str]) -> None:
    moved_cache.more["CRDS_READONLY_CACHE"] = "1"
    with writer_lock(moved_cache):
        before = listing(moved_cache.root)
        done = moved_cache.run("cron_sync", *words, "--dry-run")
        after = listing(moved_cache.root)

    expected = {
        "--unpin": f"{LATEST}, which was not pinned",
    }.get(words[0], f"{LATEST} -> {FORMER}, pinned until cron_sync --unpin")
    assert (done.status, done.out, done.err) == (0, f"hst: dry run: default context {expected}\n", "")
    assert after == before


def test_the_summary_comes_as_data_or_not_at_all(moved_cache: Cache) -> None:
    data = moved_cache.run("cron_sync", "--rollback", "--json").data
    quiet = moved_cache.run("cron_sync", "--pin", LATEST, "--quiet")

    assert (data["status"], data["default_before"], data["default_after"]) == (0, LATEST, FORMER)
    assert (data["pinned"], data["failures"], data["message"]) == (FORMER, [], "")
    assert (quiet.status, quiet.out, quiet.err, moved_cache.default()) == (0, "", "", LATEST)
    assert switches(moved_cache)[-1] == (FORMER, LATEST, "pin")


@pytest.mark.parametrize("words", [["--rollback"], ["--pin", FORMER], ["--unpin"]])
def test_a_cache_that_is_read_only_for_us_is_left_alone(moved_cache: Cache, words: list[str]) -> None:
    moved_cache.more["CRDS_READONLY_CACHE"] = "1"
    before = listing(moved_cache.root)

    done = moved_cache.run("cron_sync", *words)

    assert (done.status, done.out) == (3, "")
    assert done.err == "cron_sync: CRDS_READONLY_CACHE is set: nothing may be written\n"
    assert listing(moved_cache.root) == before


@pytest.mark.parametrize("words", [["--rollback"], ["--pin", FORMER]])
def test_a_configuration_that_is_read_only_is_fatal_and_nothing_is_recorded(
    moved_cache: Cache, words: list[str]
) -> None:
    (moved_cache.config / "server_config").chmod(0o444)
    before = (proper(moved_cache), switches(moved_cache), pinned(moved_cache))

    done = moved_cache.run("cron_sync", *words)

    path = moved_cache.config / "server_config"
    said = f"hst: {path} is read-only, which holds the default context where it is: chmod u+w {path}"
    assert (done.status, done.out, done.err.splitlines()[0]) == (3, "", said)
    assert (proper(moved_cache), switches(moved_cache), pinned(moved_cache)) == before


@pytest.mark.parametrize("words", [["--rollback"], ["--pin", "hst-latest"], ["--unpin"]])
def test_S19_a_damaged_configuration_is_fatal_and_named(moved_cache: Cache, words: list[str]) -> None:
    path = moved_cache.config / "server_config"
    path.write_text("{'observatory': ")
    before = (proper(moved_cache), switches(moved_cache), pinned(moved_cache))

    done = moved_cache.run("cron_sync", *words)

    assert (done.status, done.out) == (3, "")
    assert done.err.startswith(f"hst: {path}: expected one dictionary of literals")
    assert (proper(moved_cache), switches(moved_cache), pinned(moved_cache)) == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--pin", IMAP], f"--pin {IMAP}: expected a context"),
        (["--pin", "hst_acs_biasfile_0001.rmap"], "--pin hst_acs_biasfile_0001.rmap: expected a context"),
        (
            ["--pin", "yesterday"],
            "context 'yesterday': expected the name of a mapping, one of hst-operational",
        ),
        (["--pin", ""], "context '': expected the name of a mapping"),
        (["--pin", "2001-01-01"], "the server's history begins at"),
        (["--pin", FORMER, "--rollback"], "--pin does just this, and no sync: not with --rollback"),
        (["--rollback", "--fetch-references"], "--rollback does just this, and no sync"),
    ],
)
def test_what_makes_no_sense_is_usage_and_nothing_is_touched(
    whole_cache: Cache, words: list[str], told: str
) -> None:
    before = (proper(whole_cache), (whole_cache.state / "identity.json").read_bytes())

    done = whole_cache.run("cron_sync", *words)

    assert (done.status, done.out, len(done.err.splitlines())) == (2, "", 1)
    assert told in done.err
    assert (proper(whole_cache), (whole_cache.state / "identity.json").read_bytes()) == before


@pytest.mark.parametrize(("word", "context"), [("hst-operational", LATEST), ("2021-03-02", FIRST)])
def test_symbolic_names_and_dates_are_those_of_the_saved_configuration(
    moved_cache: Cache, word: str, context: str
) -> None:
    assert moved_cache.run("cron_sync", "--contexts", FIRST, "--fetch-references").status == 0

    done = moved_cache.run("cron_sync", "--pin", word)

    assert (done.status, moved_cache.default(), pinned(moved_cache)) == (0, context, (context, "pin"))


def test_P08_while_a_sync_is_at_work_no_default_is_moved_by_hand(moved_cache: Cache, server: Server) -> None:
    server.faults.add("get_server_info", faults.stall(), times=1)
    words = ("--config", "read_timeout_s=30")
    process = moved_cache.start("cron_sync", "--fetch-references", *words)
    n_requests = server.requests.total()
    wait_until(lambda: (moved_cache.state / "writer.json").exists() or server.requests.total() > n_requests)

    to_cron = moved_cache.run("cron_sync", "--rollback")
    asked = moved_cache.run("cron_sync", "--rollback", "--verbose")
    process.terminate()
    finish(process)
    after = moved_cache.run("cron_sync", "--rollback")

    assert (to_cron.status, to_cron.out, to_cron.err) == (75, "", "")
    assert (asked.status, f"PID {process.pid}" in asked.err) == (75, True)
    assert (after.status, moved_cache.default()) == (0, FORMER)


def test_D32_a_pinned_default_that_another_tool_moved_is_told_and_put_back(
    moved_cache: Cache, server: Server
) -> None:
    assert moved_cache.run("cron_sync", "--pin", FORMER).status == 0
    edit_config(moved_cache, operational_context=LATEST, latest_context=LATEST)

    told = moved_cache.run("cache_config", "--check")
    done = moved_cache.run("cron_sync")

    what = f"the default context is {LATEST}, though {FORMER} is pinned"
    assert (told.status, what in told.out.splitlines()[0]) == (1, True)
    assert (done.status, done.err, moved_cache.default()) == (0, "", FORMER)
    assert done.out.startswith(
        f"hst: default context {LATEST} -> {FORMER} (pinned; the server's is {LATEST}); "
    )
    assert switches(moved_cache)[-2:] == [(FORMER, LATEST, "foreign"), (LATEST, FORMER, "pin")]
    check_invariants(moved_cache.root, "hst", server, is_clean=True)


def test_a_rollback_after_another_tool_moved_the_default_undoes_that(moved_cache: Cache) -> None:
    assert moved_cache.run("cron_sync", "--contexts", FIRST, "--fetch-references").status == 0
    edit_config(moved_cache, operational_context=FIRST, latest_context=FIRST)

    done = moved_cache.run("cron_sync", "--rollback")

    assert (done.status, moved_cache.default()) == (0, LATEST)
    assert switches(moved_cache)[-2:] == [(LATEST, FIRST, "foreign"), (FIRST, LATEST, "rollback")]


def test_N25_a_server_that_goes_back_is_followed_with_a_warning_and_nothing_is_lost(
    moved_cache: Cache, server: Server
) -> None:
    latest = set(references_of(moved_cache.root, "hst", LATEST))
    server.set_default(FORMER)

    done = moved_cache.run("cron_sync", "--fetch-references")

    assert (done.status, moved_cache.default()) == (0, FORMER)
    assert done.err == f"hst: the server went from {LATEST} back to {FORMER}\n"
    assert done.out.startswith(f"hst: default context {LATEST} -> {FORMER}; ")
    log = (moved_cache.state / "logs" / "commit.log").read_text()
    assert f"WARNING crdscache.cache.commit the server's default moved back from={LATEST} to={FORMER}" in log
    assert latest <= {path.name for path in moved_cache.references.iterdir()}
    assert (moved_cache.mappings / LATEST).exists()
    check_invariants(moved_cache.root, "hst", server, is_clean=True)


def test_a_cache_of_another_tool_can_be_pinned(whole_cache: Cache) -> None:
    """It has no stamp and no notes; its configuration says whose it is."""
    (whole_cache.state / "identity.json").unlink()
    (whole_cache.state / "switches.tsv").unlink()

    done = whole_cache.run("cron_sync", "--pin", "hst-latest")

    assert (done.status, done.out) == (0, f"hst: default context {FORMER}, pinned until cron_sync --unpin\n")
    assert (switches(whole_cache), pinned(whole_cache)) == ([("", FORMER, "foreign")], (FORMER, "pin"))
