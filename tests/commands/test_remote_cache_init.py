"""`remote_cache_init`: from an empty root to rules and a configuration."""

import json
import os
from pathlib import Path

from demo.server import Server
from tests.caches import FORMER, LATEST, QUICK, Cache, proper
from tests.invariants import check_invariants


def test_an_empty_root_gets_all_rules_and_a_configuration_and_a_second_call_finds_nothing_to_do(
    no_cache: Cache, server: Server, demo_root: Path
) -> None:
    """The root may be there, empty, or not at all; the site's file may lie in its state already."""
    no_cache.state.mkdir(parents=True)
    (no_cache.state / "site.yaml").write_text(QUICK)
    no_cache.more["CRDSCACHE_SITE"] = ""

    done = no_cache.run("remote_cache_init")
    made = proper(no_cache)
    again = no_cache.run("remote_cache_init")

    n_rules = len(list((demo_root / "mappings" / "hst").iterdir()))
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"hst: default context {FORMER}; {n_rules} fetched (")
    assert len(list(no_cache.mappings.iterdir())) == n_rules
    assert not no_cache.references.exists()
    assert json.loads((no_cache.state / "identity.json").read_text()) == {
        "holdings": {"parts": []},
        "observatory": "hst",
        "pinned": None,
        "pinned_by": "pin",
        "server_url": server.url,
        "use_case": "ops",
        "version": 1,
        "writers": {"owner": os.geteuid(), "group": None},
    }
    assert (again.status, again.out, again.err) == (0, "", "")
    assert proper(no_cache) == made
    check_invariants(no_cache.root, "hst", server, is_clean=True)


def test_a_directory_with_other_things_in_it_is_refused_and_stays_as_it_is(no_cache: Cache) -> None:
    (no_cache.root / "thesis").mkdir(parents=True)
    (no_cache.root / "thesis" / "chapter1.tex").write_text("In the beginning")
    before = proper(no_cache)

    done = no_cache.run("remote_cache_init")

    assert (done.status, done.out) == (3, "")
    assert done.err == (
        f"remote_cache_init: {no_cache.root} is not empty: thesis; a new cache wants a directory of its own\n"
    )
    assert proper(no_cache) == before


def test_a_first_set_up_that_asks_for_another_context_has_the_default_too(
    no_cache: Cache, server: Server
) -> None:
    done = no_cache.run("remote_cache_init", "--contexts", "hst_0001.pmap")

    assert (done.status, done.err, no_cache.default()) == (0, "", FORMER)
    assert {path.name for path in no_cache.mappings.glob("*.pmap")} == {"hst_0001.pmap", FORMER}
    check_invariants(no_cache.root, "hst", server, is_clean=True)


def test_a_server_that_got_another_address_is_followed_when_told_so(
    whole_cache: Cache, demo_root: Path
) -> None:
    with Server(demo_root) as renamed:
        renamed.set_default(FORMER)
        moved = Cache(whole_cache.home, renamed, whole_cache.root)

        refused = moved.run("cron_sync")
        bound = moved.run("remote_cache_init", "--rebind", renamed.url)
        renamed.set_default(LATEST)
        synced = moved.run("cron_sync", "--fetch-references")

        assert (refused.status, refused.out) == (3, "")
        assert f"remote_cache_init --rebind {renamed.url}" in refused.err
        assert (bound.status, bound.err, synced.status, synced.err) == (0, "", 0, "")
        assert json.loads((moved.state / "identity.json").read_text())["server_url"] == renamed.url
        assert moved.default() == LATEST
        check_invariants(moved.root, "hst", renamed, is_clean=True)
