"""Old tools and ours beside each other on one cache; and what docs/migration.md says of both."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from astropy.io import fits  # type: ignore[import-untyped]

from demo.server import Server
from tests.caches import CHECKOUT, FORMER, LATEST, Cache, finish, listing, proper, start
from tests.invariants import check_invariants
from tests.oldtools import OldTools

BIAS, DARK = "61i15450j_bia.fits", "u9115020j_drk.fits"
FETCHING = ("--contexts", "hst-latest", "--fetch-references")
NO_COMPLAINT = ["CRDS - INFO -  0 errors", "CRDS - INFO -  0 warnings"]


@pytest.fixture
def old(client: Path) -> OldTools:
    """Give the old tools."""
    return OldTools(client.parent)


def complaints(text: str) -> list[str]:
    """Find what an old tool says of errors and warnings."""
    return [line for line in text.splitlines() if "ERROR" in line or "WARNING" in line]


def moves(cache: Cache) -> list[list[str]]:
    """List from where to where the default moved, and why."""
    return [row.split("\t")[1:] for row in (cache.state / "switches.tsv").read_text().splitlines()[2:]]


def cards(folder: Path) -> dict[str, list[tuple[object, ...]]]:
    """Read the headers of all data sets but for the name of the software."""
    return {
        path.name: [tuple(card) for card in fits.getheader(path).cards if card.keyword != "CRDS_VER"]
        for path in sorted(folder.glob("*.fits"))
    }


def test_old_and_new_writer_exclude_each_other_and_what_the_old_one_truncates_is_not_missed(
    old: OldTools, whole_cache: Cache, server: Server
) -> None:
    lock, card = whole_cache.root / "crds.sync.lock", whole_cache.state / "writer.json"
    beside_ours, beside_old = [], []

    def others_beside_ours(answer: object) -> object:
        """Start an old and a new writer in the middle of a question of ours."""
        server._edits.clear()
        lock.write_text("not empty")
        before = card.read_bytes()
        beside_ours.append(old.run(whole_cache, "cron_sync", *FETCHING))
        beside_ours.append((lock.read_text(), card.read_bytes() == before))
        beside_ours.append(whole_cache.run("cron_sync", "--verbose"))
        return answer

    def ours_beside_old(answer: object) -> object:
        server._edits.clear()
        beside_old.extend([whole_cache.run("cron_sync"), whole_cache.run("cron_sync", "--verbose")])
        return answer

    server.override("get_server_info", others_beside_ours)
    ours = whole_cache.run("cron_sync", *FETCHING)
    server.override("get_server_info", ours_beside_old)
    theirs = old.run(whole_cache, "cron_sync", *FETCHING)

    busy, (text, is_card_whole), second = beside_ours
    assert (ours.status, ours.err) == (0, "")
    assert (busy.status, busy.out) == (1, "cron_sync: WARNING: failed to obtain crds.sync.lock\n")
    assert (text, is_card_whole) == ("", True)
    assert second.status == 75
    assert second.err.startswith("cron_sync: another writer is at work: cron_sync (host ")
    assert (theirs.status, complaints(theirs.err)) == (0, [])
    silent, told = beside_old
    assert (silent.status, silent.out, silent.err, told.status) == (75, "", "", 75)
    assert told.err == "cron_sync: another writer is at work: a tool that leaves no card\n"
    check_invariants(whole_cache.root, "hst", server, is_clean=True)


def test_a_cache_that_the_old_tool_made_is_ours_as_it_is_and_both_write_the_same_headers(
    old: OldTools, no_cache: Cache, data_sets: Path, server: Server
) -> None:
    """The old tool chooses a layout by instrument."""
    made = old.run(no_cache, "crds", "sync", "--all", "--fetch-references")
    before = proper(no_cache)

    ours = no_cache.run("cron_sync", "--all", "--fetch-references", "--check-files", "--json")

    other_data = Path(shutil.copytree(data_sets, data_sets.with_name("other")))
    theirs = old.run(no_cache, "safe_bestrefs", "--files", *sorted(other_data.glob("*.fits")))
    words = list(map(str, sorted(data_sets.glob("*.fits"))))
    dry = no_cache.run("safe_bestrefs", "--files", *words)
    untouched = cards(data_sets)
    written = no_cache.run("safe_bestrefs", "--files", *words, "--update-bestrefs")
    again = no_cache.run("safe_bestrefs", "--files", *map(str, sorted(other_data.glob("*.fits"))))

    assert (made.status, complaints(made.err)) == (0, [])
    assert (ours.status, ours.err, set(ours.data["n_files"])) == (0, "", {"kept"})
    assert {path: status for path, status in proper(no_cache).items() if status} == {
        path: status for path, status in before.items() if status
    }
    assert (theirs.status, dry.status, written.status, again.status) == (0, 0, 0, 0)
    assert untouched != cards(data_sets) == cards(other_data)


def test_the_old_tools_find_nothing_to_do_or_to_say_in_a_cache_of_ours(
    old: OldTools, whole_cache: Cache, server: Server
) -> None:
    before = listing(whole_cache.references, whole_cache.mappings)

    checked = old.run(whole_cache, "crds", "sync", *FETCHING, "--check-sha1sum", "--stats")
    default = old.run(whole_cache, "crds_cached_context", "hst")
    paths = old.run(whole_cache, "crds", "list", "--readonly-cache", "--cached-references")

    assert (checked.status, complaints(checked.err)) == (0, [])
    assert re.search(r" 0 total-files ", checked.err)
    assert listing(whole_cache.references, whole_cache.mappings) == before
    assert default.out == f"{FORMER}\n"
    assert set(paths.out.split()) == {path.name for path in whole_cache.references.iterdir()}


def test_a_default_that_an_old_command_moves_between_two_runs_is_completed_and_noted(
    old: OldTools, whole_cache: Cache, server: Server
) -> None:
    """Even a listing of the old client writes the configuration, whatever the cache has."""
    server.set_default(LATEST)

    listed = old.run(whole_cache, "crds", "list", "--config")
    moved = whole_cache.default()
    watched = whole_cache.run("cache_config", "--check")
    ours = whole_cache.run("cron_sync", *FETCHING)
    server.set_default(FORMER)
    synced = old.run(whole_cache, "crds", "sync", *FETCHING)
    after_old = whole_cache.run("cron_sync", *FETCHING)

    assert (listed.status, moved, watched.status) == (0, LATEST, 1)
    assert f"the default context {LATEST} is not whole" in watched.err
    assert (ours.status, synced.status, after_old.status) == (0, 0, 0)
    assert moves(whole_cache)[-2:] == [[FORMER, LATEST, "foreign"], [LATEST, FORMER, "foreign"]]
    check_invariants(whole_cache.root, "hst", server, is_clean=True)


def test_what_the_old_tool_repairs_or_purges_is_no_riddle_to_ours(
    old: OldTools, whole_cache: Cache, server: Server
) -> None:
    """Our records of sums are not looked at by the old tool; ours looks at the disk too."""
    flipped = whole_cache.references / DARK
    flipped.write_bytes(flipped.read_bytes()[:-1] + b"?")
    purge = ("crds", "sync", "--contexts", "hst_0001.pmap", "--purge-mappings", "--purge-references")

    told = whole_cache.run("cron_sync", "--check-sha1sum")
    repaired = old.run(whole_cache, "crds", "sync", *FETCHING, "--check-sha1sum", "--repair-files")
    checked = whole_cache.run("cron_sync", "--check-files")
    purged = old.run(whole_cache, *purge)
    is_left = (whole_cache.mappings / FORMER).exists()
    mended = whole_cache.run("cron_sync", *FETCHING)

    assert told.status == 1
    assert f"failed: {DARK}: " in told.err
    assert (repaired.status, checked.status, checked.err) == (1, 0, "")  # an error that was mended counts
    assert (purged.status, complaints(purged.err), is_left) == (0, [], False)
    assert (mended.status, mended.err) == (0, "")
    check_invariants(whole_cache.root, "hst", server, is_clean=True)
