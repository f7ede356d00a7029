import fcntl
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crdscache.cache import commit, keep, tables
from crdscache.contexts import times
from crdscache.contexts.records import Problem
from demo import observatory
from tests import purging, written
from tests.caches import FORMER, LATEST
from tests.purging import Site

FIRST, SECOND, THIRD = observatory.CONTEXTS[:3]
DEFAULTS = ("the server's default", "the server's edit context", "the default of this cache")
ALWAYS = (*DEFAULTS, "the edit context in the saved configuration", "a default now")


@pytest.fixture
def site(demo_root: Path, tmp_path: Path) -> Site:
    return purging.demo_site(demo_root, tmp_path / "cache")


def days_ago(days: float) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).strftime(times.FORM)


def note(site: Site, *rows: tuple[str, str, str]) -> None:
    """Note switches: when, from, to."""
    path = site.cache.state / "switches.tsv"
    tables.write(path, "switches", commit.SWITCHES, [[*row, "server"] for row in rows])


def test_default_and_edit_context_are_kept_whatever_is_asked_for(site: Site) -> None:
    told = site.says(operational_context=LATEST, latest_context=LATEST, edit_context=SECOND).asked(FIRST)

    assert told.kept().why == {
        FIRST: ("asked for",),
        SECOND: ("the server's edit context",),
        FORMER: ("the default of this cache", "the edit context in the saved configuration", "a default now"),
        LATEST: ("the server's default",),
    }


def test_without_a_selection_the_default_is_what_is_asked_for(site: Site) -> None:
    assert site.kept().why == {FORMER: (*ALWAYS, "asked for")}


def test_last_contexts_are_those_that_the_server_has_last(site: Site) -> None:
    kept = site.keeps(last_n=2).kept()

    assert sorted(kept.why) == [FORMER, LATEST, observatory.EDIT_CONTEXT]
    assert kept.why[LATEST] == ("one of the last 2",)
    assert kept.protected == {FORMER}


def test_pinned_contexts_are_kept(site: Site) -> None:
    kept = site.keeps(pinned=(FIRST,)).kept(pinned=SECOND)

    assert (kept.why[FIRST], kept.why[SECOND]) == (("to be kept by name",), ("pinned",))
    assert kept.protected == {FIRST, SECOND, FORMER}


def test_a_default_of_this_cache_is_kept_for_so_many_days_after_it_was_one(site: Site) -> None:
    note(site, (days_ago(90), "", FIRST), (days_ago(40), FIRST, SECOND), (days_ago(20), SECOND, THIRD))
    note_last = (days_ago(10), THIRD, FORMER)
    with_last = site.keeps(default_days=30)
    tables.append(site.cache.state / "switches.tsv", "switches", commit.SWITCHES, (*note_last, "server"))

    assert sorted(with_last.kept().why) == [SECOND, THIRD, FORMER]
    assert with_last.kept().why[SECOND] == ("a default in the last 30 days",)


def test_a_default_of_the_server_is_kept_for_so_many_days_after_it_was_one(site: Site) -> None:
    eras = [[days_ago(5), FORMER, "c"], [days_ago(35), SECOND, "b"], [days_ago(50), FIRST, "a"]]

    kept = site.says(context_history=eras).keeps(default_days=30).kept()

    assert sorted(kept.why) == [SECOND, FORMER]


def test_P17_the_default_before_is_kept_whatever_the_clock_says(site: Site) -> None:
    note(site, (days_ago(4000), "", FIRST), (days_ago(3900), FIRST, FORMER))

    assert site.kept().why[FIRST] == ("the default before this one", "a roll-back goes there")


def test_after_a_roll_back_the_one_is_kept_to_which_the_next_would_go(site: Site) -> None:
    path = site.cache.state / "switches.tsv"
    moves = (
        ("", FIRST, "first"),
        (FIRST, FORMER, "server"),
        (FORMER, THIRD, "server"),
        (THIRD, FORMER, "rollback"),
    )
    rows = [(days_ago(4000 - number), *move) for number, move in enumerate(moves)]
    tables.write(path, "switches", commit.SWITCHES, rows)

    why = site.kept().why

    assert (why[FIRST], why[THIRD]) == (("a roll-back goes there",), ("the default before this one",))


def test_context_that_the_server_does_not_list_is_kept_as_nobody_could_bring_it_back(site: Site) -> None:
    written.write(site.cache.mappings, {"hst_0900.pmap": written.mapping("hst_0900.pmap")})

    assert site.kept().why["hst_0900.pmap"] == ("the server does not list it",)


def test_context_that_a_reader_holds_is_kept(site: Site) -> None:
    with (site.cache.mappings / SECOND).open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        kept = site.kept()
        assert site.keeps(ignores_leases=True).kept().why.keys() == {FORMER}

    assert kept.why[SECOND] == ("held by a reader",)
    assert kept.protected == {FORMER, SECOND}
    assert site.kept().why.keys() == {FORMER}


def test_where_locks_lie_elsewhere_it_cannot_be_told_what_readers_hold(site: Site, tmp_path: Path) -> None:
    elsewhere = replace(site, cache=replace(site.cache, locks=tmp_path))

    problems = elsewhere.kept().problems

    reason = (
        f"the locks are in {tmp_path}, so what readers hold cannot be seen; --no-leases purges all the same"
    )
    assert problems == (Problem(str(site.cache.root), reason),)
    assert elsewhere.keeps(ignores_leases=True).kept().problems == ()


def test_D28_file_system_without_locks_is_told_with_its_error(site: Site) -> None:
    """A file system refuses flock: the kernel says so in a process that strace looks on."""
    script = (
        "import sys; from pathlib import Path\n"
        "from crdscache.cache import lease\nfrom crdscache.errors import DiskError\n"
        "try: lease.is_held(Path(sys.argv[1]))\n"
        "except DiskError as error: print(error)\n"
    )
    path = site.cache.mappings / FIRST
    words = ["strace", "-f", "-o", os.devnull, "-e", "inject=flock:error=ENOLCK"]

    told = subprocess.run(
        [*words, sys.executable, "-B", "-c", script, path], capture_output=True, text=True, check=True
    )

    assert told.stdout.startswith(f"{path}: No locks available")


def test_S19_what_a_damaged_configuration_had_nobody_knows(site: Site) -> None:
    (site.cache.config / "server_config").write_text("{")

    (problem,) = site.kept().problems

    assert problem.name == "server_config"
    assert problem.reason.endswith("; nothing is purged")
    assert keep.edit_context(site.cache) is None


def test_edit_context_is_that_of_the_saved_configuration(site: Site) -> None:
    assert keep.edit_context(site.cache) == FORMER


def test_local_contexts_are_listed_by_name(site: Site) -> None:
    (site.cache.mappings / ".hst_0001.pmap.0123abcd.crdstmp").touch()

    assert keep.local_contexts(site.cache) == list(purging.CONTEXTS)
