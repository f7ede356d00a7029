"""The purge as an operator runs it: the estimate first, then the deed by the same plan, and the way back."""

import json
import subprocess
from pathlib import Path

import pytest

from crdscache.cache import lease
from crdscache.cache.layout import default_layout
from crdscache.contexts import serverinfo
from demo.observatory import CONTEXTS, EDIT_CONTEXT
from demo.server import Server
from tests import clocks
from tests.caches import (
    CHECKOUT,
    FORMER,
    LATEST,
    QUICK,
    Cache,
    Done,
    finish,
    listing,
    once,
    proper,
    start,
    wait_until,
)
from tests.invariants import check_invariants, closure, references_of
from tests.locking import writer_lock
from tests.readers import REJECTED

FITS = "x0000001j_drk.fits"  # in no catalogue: from the site's old tree
KINDS = ("--purge-mappings", "--purge-references", "--max-purge", "100")
SECOND = CONTEXTS[1]


@pytest.fixture(scope="session")
def full(demo_root: Path, whole: Cache, tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """Make, once, a cache that has rules and references of all contexts."""
    with Server(demo_root) as serving:
        serving.set_default(FORMER)
        serving.set_edit(FORMER)

        def make(home: Path) -> None:
            (home / "quick.yaml").write_text(QUICK)
            made = whole.copy_to(home / "cache", serving)
            assert made.run("cron_sync", "--all", "--fetch-references").status == 0

        home = once(tmp_path_factory, "full", make)
    return Cache(home, serving, home / "cache")


@pytest.fixture
def cache(full: Cache, no_cache: Cache, server: Server) -> Cache:
    """Copy the cache that has all; the default of server and cache is the former context."""
    server.set_edit(FORMER)
    return full.copy_to(no_cache.root, server)


def names(cache: Cache) -> set[str]:
    return {path.name for place in (cache.mappings, cache.references) for path in place.iterdir()}


def needs(cache: Cache, *contexts: str) -> set[str]:
    """Name all that contexts need."""
    of_rules = set().union(*(closure(cache.mappings, context) for context in contexts))
    return of_rules.union(*(references_of(cache.root, "hst", context) for context in contexts))


def trash(cache: Cache) -> list[str]:
    return sorted(path.name for path in (cache.state / "trash").glob("*"))


def bytes_of(cache: Cache) -> int:
    """Add up what the files of the cache take on the disk."""
    places = (cache.mappings, cache.references)
    return sum(path.lstat().st_blocks * 512 for place in places for path in place.iterdir())


def refusals(done: Done) -> list[str]:
    return [line for line in done.err.splitlines() if line.startswith("failed: ")]


def test_estimate_purge_restore_purge_again_and_empty_the_trash(cache: Cache, server: Server) -> None:
    """The life of a site with five contexts and too little space."""
    before, all_names, taken = proper(cache), names(cache), bytes_of(cache)
    line = ("cron_sync", "--last", "2", *KINDS)

    estimate = cache.run(*line, "--dry-run", "--json")
    told = estimate.data["purge"]
    assert proper(cache) == before
    purged = cache.run(*line, "--json")
    left = needs(cache, FORMER, LATEST, EDIT_CONTEXT)

    assert (estimate.status, estimate.err, purged.status, purged.err) == (0, "", 0, "")
    assert names(cache) == left
    assert told["n_mappings"] + told["n_references"] == len(all_names - left)
    assert taken - bytes_of(cache) == told["frees_bytes"]
    (run,) = trash(cache)
    (news,) = purged.data["purge"]["news"]
    assert news.startswith(f"purged {told['n_mappings']} mappings and {told['n_references']} references (")
    assert f" by {told['plan']}; the disk gets {told['frees_bytes']} bytes back once" in news
    check_invariants(cache.root, "hst", server, is_clean=True)

    restored = cache.run("cron_sync", "--restore", run)
    assert (restored.status, restored.err) == (0, "")
    assert restored.out.startswith(f"hst: brought back {len(all_names - left)} files (")
    assert (names(cache), trash(cache)) == (all_names, [])

    assert cache.run(*line).status == 0
    emptied = cache.run("cron_sync", "--empty-trash")
    assert emptied.out.endswith(f"{told['frees_bytes']} bytes free again\n")
    assert (names(cache), trash(cache)) == (left, [])
    assert cache.run(*line) == Done(0, "", "")


def test_estimate_that_was_looked_at_is_carried_out_or_nothing(cache: Cache) -> None:
    line = ("cron_sync", *KINDS)
    plan = cache.run(*line, "--dry-run", "--json").data["purge"]["plan"]
    (cache.references / FITS).write_bytes(b"new")

    other = cache.run(*line, "--config", f"purge_plan={plan}")
    assert (other.status, len(refusals(other)), trash(cache)) == (1, 1, [])
    assert (
        f"failed: {plan}: nothing was purged: what it rests on has changed, and now it would be p"
        in other.err
    )
    (cache.references / FITS).unlink()
    (cache.state / "purge.json").unlink()

    assert cache.run(*line, "--config", f"purge_plan={plan}").status == 0
    assert names(cache) == needs(cache, FORMER)


def test_all_with_references_takes_only_what_no_context_reaches(cache: Cache) -> None:
    """The brief's case: files of CDBS that came along with a tree that was copied."""
    before = names(cache)
    (cache.references / FITS).write_bytes(b"obsolete")
    (cache.references / "README").write_bytes(b"not ours")

    done = cache.run("cron_sync", "--all", "--purge-mappings", "--purge-references")

    assert (done.status, names(cache)) == (0, before | {"README"})


def test_D30_rules_that_are_cut_keep_all_from_going(cache: Cache) -> None:
    before = names(cache)
    rmap = min(name for name in closure(cache.mappings, FORMER) if name.endswith(".rmap"))
    (cache.mappings / rmap).write_bytes(b"header = {")

    dry = cache.run("cron_sync", *KINDS, "--dry-run")
    done = cache.run("cron_sync", *KINDS)

    assert (dry.status, done.status) == (1, 1)
    assert any(line.startswith(f"failed: {rmap}: {rmap}: SHA-1 is ") for line in refusals(done))
    assert (names(cache), trash(cache)) == (before, [])


def test_context_that_nobody_knows_keeps_all_from_going(cache: Cache) -> None:
    """A slip of the pen: what the other context needs would go."""
    before = names(cache)

    done = cache.run("cron_sync", "--contexts", FORMER, "hst_0666.pmap", *KINDS)

    assert done.status == 1
    assert "failed: hst_0666.pmap: the server does not list it" in done.err
    assert (names(cache), trash(cache)) == (before, [])


def test_rules_of_what_is_kept_are_brought_first(cache: Cache, server: Server) -> None:
    """The server's edit context was never in this cache; what it needs may be here all the same."""
    server.set_edit(EDIT_CONTEXT)
    needed = needs(cache, FORMER, EDIT_CONTEXT)
    (cache.mappings / EDIT_CONTEXT).unlink()

    dry = cache.run("cron_sync", *KINDS, "--dry-run", "--json")
    done = cache.run("cron_sync", *KINDS)

    assert (dry.status, done.status, done.err) == (0, 0, "")
    assert dry.data["fetch_mappings"] == 1
    assert names(cache) == needed


def test_edit_context_that_moves_in_the_run_is_kept_as_the_estimate_said(
    cache: Cache, server: Server
) -> None:
    server.set_edit(LATEST)
    assert cache.run("cron_sync").status == 0
    server.set_edit(SECOND)
    needed = needs(cache, FORMER, LATEST, SECOND)

    estimate = cache.run("cron_sync", *KINDS, "--dry-run", "--json").data["purge"]
    done = cache.run("cron_sync", *KINDS)

    assert names(cache) == needed
    assert f"purged {estimate['n_mappings']} mappings and {estimate['n_references']} ref" in done.out


def test_S19_damaged_configuration_is_written_anew_before_anything_goes(cache: Cache) -> None:
    before = names(cache)
    (cache.config / "server_config").write_text("{")

    dry = cache.run("cron_sync", *KINDS, "--dry-run")
    done = cache.run("cron_sync", *KINDS)

    assert (dry.status, done.status) == (1, 0)
    assert "failed: server_config: " in dry.err
    assert needs(cache, FORMER) <= names(cache) < before


def test_D30_more_than_the_cap_needs_the_number_typed(cache: Cache) -> None:
    before = names(cache)
    line = ("cron_sync", "--purge-mappings", "--purge-references")

    refused = cache.run(*line)
    (told,) = refusals(refused)
    number = told.rpartition("--max-purge ")[2].split()[0]

    assert (refused.status, names(cache)) == (1, before)
    assert cache.run(*line, "--max-purge", str(int(number) - 1)).status == 1
    assert cache.run(*line, "--max-purge", number).status == 0


def test_context_under_a_lease_stays_and_goes_when_it_is_given_back(cache: Cache) -> None:
    ready = cache.home / "ready"
    script = f"touch {ready}; read word"
    program = subprocess.Popen(
        [CHECKOUT / "bin" / "cache_lease", "--context", SECOND, "--", "sh", "-c", script],
        env=cache.environ,
        stdin=subprocess.PIPE,
    )
    wait_until(ready.exists)

    needed = needs(cache, FORMER, SECOND)
    first = cache.run("cron_sync", *KINDS)
    kept = names(cache)
    program.communicate(b"go\n")
    second = cache.run("cron_sync", *KINDS)

    assert (first.status, second.status) == (0, 0)
    assert kept == needed
    assert names(cache) == needs(cache, FORMER)


def test_program_that_uses_the_lease_of_the_library_keeps_its_context(cache: Cache) -> None:
    with lease.take(default_layout(cache.root, "hst"), SECOND):
        done = cache.run("cron_sync", *KINDS)

        assert done.status == 0
        assert needs(cache, SECOND) <= names(cache)


def test_where_locks_lie_elsewhere_a_purge_wants_to_be_told(cache: Cache, tmp_path: Path) -> None:
    (tmp_path / "locks").mkdir()
    cache.more["CRDS_LOCKS"] = str(tmp_path / "locks")

    refused = cache.run("cron_sync", *KINDS)
    told = cache.run("cron_sync", *KINDS, "--no-leases")

    assert refused.status == 1
    assert "so what readers hold cannot be seen; --no-leases purges all the same" in refused.err
    assert (told.status, names(cache)) == (0, needs(cache, FORMER))


def test_rejected_references_go_and_are_not_fetched_again_by_the_same_command(
    cache: Cache, server: Server
) -> None:
    line = ("cron_sync", "--all", "--fetch-references", "--purge-rejected")
    before = names(cache)

    done = cache.run(*line)
    server.requests.clear()
    again = cache.run(*line)

    assert (done.status, again.status, again.out) == (0, 0, "")
    assert before - names(cache) == {REJECTED}
    assert not any(what.startswith("GET ") for what in server.requests)
    tables = [path.read_text() for path in (cache.state / "purge").glob("*.rejected.tsv")]
    assert any(f"\n{REJECTED}\thst_" in table and "\tgoes\n" in table for table in tables)
    assert cache.run("cron_sync", "--all", "--fetch-references").status == 0
    assert names(cache) == before


def test_N25_default_that_moved_back_is_whole_and_the_newer_one_stays(cache: Cache, server: Server) -> None:
    server.set_default(LATEST)
    assert cache.run("cron_sync", "--fetch-references").status == 0
    server.set_default(FORMER)

    done = cache.run("cron_sync", "--fetch-references", *KINDS)

    assert done.status == 0
    assert names(cache) == needs(cache, FORMER, LATEST)


@pytest.mark.parametrize("loss", ["a mapping", "most of the catalogue"])
def test_N26_where_the_servers_list_has_shrunk_its_answer_is_not_saved_and_nothing_goes(
    cache: Cache, server: Server, loss: str
) -> None:
    assert cache.run("cron_sync").status == 0
    before, saved = names(cache), (cache.config / "server_config").read_bytes()

    def less(info: dict[str, object]) -> dict[str, object]:
        listed, known = info["mappings"], serverinfo.unwrap(info["download_metadata"])
        assert isinstance(listed, list)
        assert isinstance(known, dict)
        if loss == "most of the catalogue":
            return info | {"download_metadata": {name: known[name] for name in listed}}
        return info | {"mappings": listed[1:]}

    server.override("get_server_info", less)

    dry = cache.run("cron_sync", *KINDS, "--dry-run")
    done = cache.run("cron_sync", *KINDS)

    assert (dry.status, done.status) == (1, 1)
    assert "failed: the server's list of files: " in done.err
    assert " names that were in it have vanished, " in done.err
    assert (names(cache), trash(cache)) == (before, [])
    assert (cache.config / "server_config").read_bytes() == saved
    server.reset()
    assert cache.run("cron_sync", *KINDS).status == 0


def test_N26_shrunk_list_is_taken_where_changes_are_followed(cache: Cache, server: Server) -> None:
    assert cache.run("cron_sync").status == 0
    server.override("get_server_info", lambda info: info | {"mappings": info["mappings"][1:]})

    assert cache.run("cron_sync", "--config", "on_changed_content=replace").status == 0
    assert cache.run("cron_sync").status == 0


def test_D32_default_that_another_tool_has_moved_is_completed_before_anything_goes(
    cache: Cache, server: Server
) -> None:
    config = cache.config / "server_config"
    config.write_text(config.read_text().replace(f"'{FORMER}'", f"'{SECOND}'"))
    imap = min(
        name for name in closure(cache.mappings, SECOND) - closure(cache.mappings, FORMER) if "imap" in name
    )
    (cache.mappings / imap).unlink()

    done = cache.run("cron_sync", *KINDS)

    assert done.status == 0
    check_invariants(cache.root, "hst", server, is_clean=True)
    assert names(cache) >= needs(cache, FORMER)


def test_P08_purge_and_restore_beside_a_writer_are_busy(cache: Cache) -> None:
    before = proper(cache)

    with writer_lock(cache):
        lines = (KINDS, ("--empty-trash",), ("--restore", "x"))
        statuses = [cache.run("cron_sync", *words).status for words in lines]

    assert statuses == [75, 75, 75]
    assert proper(cache) == before


def test_P09_readers_beside_a_purge_answer_from_the_context_that_stays(cache: Cache, data_sets: Path) -> None:
    files = [str(path) for path in data_sets.glob("*.fits")]
    lists = [cache.home / f"{number}.jsonl" for number in range(4)]
    readers = [cache.start("safe_bestrefs", "--files", *files, "--json", str(path)) for path in lists]

    done = cache.run("cron_sync", *KINDS)
    ends = [finish(reader) for reader in readers]

    assert done.status in {0, 1}
    assert [end.status for end in ends] == [0] * 4
    lines = [line for path in lists for line in path.read_text().splitlines()]
    assert {json.loads(line)["context"] for line in lines} == {FORMER}


def test_D06_estimate_of_a_cache_that_may_not_be_written(cache: Cache) -> None:
    cache.more["CRDS_READONLY_CACHE"] = "1"
    before = listing(cache.root)

    dry = cache.run("cron_sync", *KINDS, "--dry-run", "--json")
    done = cache.run("cron_sync", *KINDS)

    assert (dry.status, done.status) == (0, 3)
    assert {path: v for path, v in listing(cache.root).items() if "/.crdscache" not in path} == {
        path: v for path, v in before.items() if "/.crdscache" not in path
    }
    assert done.err == "cron_sync: CRDS_READONLY_CACHE is set: nothing may be written\n"


def test_trash_that_is_to_stay_no_day_is_gone_at_the_end(cache: Cache) -> None:
    taken = bytes_of(cache)

    estimate = cache.run("cron_sync", *KINDS, "--dry-run", "--json", "--config", "trash_days=0").data["purge"]
    done = cache.run("cron_sync", *KINDS, "--config", "trash_days=0")

    assert estimate["frees_now_bytes"] == estimate["frees_bytes"] == taken - bytes_of(cache)
    assert done.out.endswith(f"the disk got {estimate['frees_bytes']} bytes back\n")
    assert trash(cache) == []


def test_by_hand_an_estimate_and_the_purge_that_it_names(cache: Cache) -> None:
    before = names(cache)
    estimate = cache.snakemake("purge_estimate", "--config", "max_purge=100")
    plan = json.loads((cache.state / "purge" / "estimate.json").read_text())["plan"]

    unnamed = cache.snakemake("purge", "--config", "max_purge=100")
    shown = cache.snakemake("-n", "purge")
    after = names(cache)
    named = cache.snakemake("purge", "--config", "max_purge=100", f"purge_plan={plan}")

    assert (estimate.status, unnamed.status, shown.status, after) == (0, 1, 0, before)
    assert "kept:\n" in estimate.out
    assert f"nothing was purged: --config purge_plan={plan} carries this estimate out" in unnamed.err
    assert f"purge {plan}: " in shown.err + shown.out
    assert (named.status, names(cache)) == (0, needs(cache, FORMER))


def test_no_other_target_purges(cache: Cache) -> None:
    before = names(cache)
    words = ("--config", "purge_mappings=true", "purge_references=true", "max_purge=100")

    assert [cache.snakemake(target, *words).status for target in ("all", "check", "estimate")] == [0, 0, 0]
    assert names(cache) == before


def test_purge_settings_of_the_site_are_those_of_the_command(cache: Cache) -> None:
    site = cache.home / "quick.yaml"
    site.write_text(site.read_text() + f"keep_last: 2\npinned: [{SECOND}]\nmax_purge: 100\n")

    assert cache.run("cron_sync", "--purge-mappings", "--purge-references").status == 0

    assert names(cache) == needs(cache, SECOND, FORMER, LATEST, EDIT_CONTEXT)


@pytest.mark.parametrize("clock", clocks.WRONG)
def test_P17_the_default_before_stays_whatever_the_clock_says(
    cache: Cache, server: Server, clock: str
) -> None:
    server.set_default(LATEST)
    assert cache.run("cron_sync", "--fetch-references").status == 0

    assert clocks.under(cache, clock).run("cron_sync", *KINDS).status == 0

    assert names(cache) == needs(cache, FORMER, LATEST)


def test_P20_bare_environment_and_closed_input_do(cache: Cache) -> None:
    script = f"exec 0<&-; exec {CHECKOUT}/bin/cron_sync {' '.join(KINDS)}"

    done = finish(start(["sh", "-c", script], cache.environ))

    assert (done.status, names(cache)) == (0, needs(cache, FORMER))
