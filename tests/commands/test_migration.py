"""Old tools and ours beside each other on one cache; and what docs/migration.md says of both."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from astropy.io import fits  # type: ignore[import-untyped]

from crdscache.workflow import settings
from demo.server import Server
from tests.caches import CHECKOUT, FORMER, LATEST, Cache, finish, listing, proper, start
from tests.invariants import check_invariants
from tests.oldtools import OldTools

BIAS, DARK = "61i15450j_bia.fits", "u9115020j_drk.fits"
FETCHING = ("--contexts", "hst-latest", "--fetch-references")
PAGE = (CHECKOUT / "docs" / "migration.md").read_text()
ODD_VALUES = {"CRDS_OBSERVATORY": "jwst", "CRDS_SERVER_URL": "https://example.org"}
COMMANDS = {path.name for path in (CHECKOUT / "bin").iterdir() if path.is_symlink()}


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
    old: OldTools, no_cache: Cache, data_sets: Path
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
    old: OldTools, whole_cache: Cache
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


def test_a_default_that_old_commands_move_between_two_runs_is_told_and_noted(
    old: OldTools, whole_cache: Cache, server: Server
) -> None:
    """Even a listing of the old client writes the configuration, whatever the cache has."""
    server.set_default(LATEST)

    listed = old.run(whole_cache, "crds", "list", "--config")
    moved = whole_cache.default()
    watched = whole_cache.run("cache_config", "--check")
    synced = old.run(whole_cache, "crds", "sync", *FETCHING)
    ours = whole_cache.run("cron_sync", *FETCHING)

    assert (listed.status, moved, watched.status) == (0, LATEST, 2)
    assert f"the default context {LATEST} is not whole" in watched.out
    assert (synced.status, ours.status, ours.err) == (0, 0, "")
    assert moves(whole_cache)[-1] == [FORMER, LATEST, "foreign"]
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


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table of options."""

    table: str
    old: str
    ours: str
    named: tuple[tuple[str, str], ...]  # command of ours and its words; a span without one means the head's


def rows() -> Iterator[Row]:
    """Read the tables of options."""
    chapter = PAGE.partition("\n## Options\n")[2].partition("\n## ")[0]
    for section in chapter.split("\n### ")[1:]:
        title, _, text = section.partition("\n")
        lines = re.findall(r"^\|.+", text, re.MULTILINE)
        (_, head, _), _, *table = (line.strip("| ").split(" | ") for line in lines)
        for old, ours, _ in table:
            spans = [span.partition(" ") for span in re.findall(r"`([^`]+)`", ours)]
            named = [
                (first, rest) if first in COMMANDS else (head.strip("`"), f"{first} {rest}")
                for first, _, rest in spans
                if first != "snakemake"
            ]
            yield Row(title, old, ours, tuple(named))


def options_in(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", text))


def test_each_option_of_ours_in_the_tables_is_one_of_its_command() -> None:
    """What is said of an option must not outlive it."""
    help_of = {
        name: subprocess.run(
            [CHECKOUT / "bin" / name, "--help"], check=True, capture_output=True, text=True
        ).stdout
        for name in COMMANDS
    }
    shown = re.findall(rf"`({'|'.join(COMMANDS)}) ([^`\n]+)`", PAGE)
    named = [*shown, *(pair for row in rows() for pair in row.named)]
    told = [(name, option) for name, words in named for option in options_in(words.partition("-- ")[0])]
    keys = {key for row in rows() for _, words in row.named for key in re.findall(r"--config (\w+)=", words)}

    assert len(told) > 40, "the search finds nothing any more"
    assert [(name, option) for name, option in told if option not in options_in(help_of[name])] == []
    assert {row.ours for row in rows() if "`" not in row.ours} == {"none"}
    assert keys == {"tolerate_missing"} <= settings.resolve({}, {"CRDS_OBSERVATORY": "hst"}).keys()


def test_each_variable_is_read_or_not_as_the_page_says() -> None:
    table = PAGE.partition("\n## Variables\n")[2].partition("\n## ")[0]
    said = {
        variable: not cell.startswith("not read")
        for variables, cell in re.findall(r"^\| (`CRDS.+) \| (.+) \|$", table, re.MULTILINE)
        for variable in re.findall(r"`(CRDS_[A-Z_]+)`", variables)
    }

    found = {}
    for variable in said:
        truths = re.search("CLIENT|READONLY|ALLOW|IGNORE", variable)
        value = ODD_VALUES.get(variable, "1" if truths else "/data")
        resolved = settings.resolve({}, {"CRDS_OBSERVATORY": "hst", variable: value})
        found[variable] = variable in {setting.origin for setting in resolved.values()}
    assert len(said) > 20, "the search finds nothing any more"
    assert found == said


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("crds sync, cron_sync", ("crds", "sync")),
        ("safe_bestrefs, crds bestrefs", ("crds", "bestrefs")),
        ("query_affected_datasets", ("query_affected_datasets",)),
        ("crds list", ("crds", "list")),
    ],
)
def test_no_option_of_an_old_command_lacks_a_row(
    title: str, words: tuple[str, ...], old: OldTools, no_cache: Cache
) -> None:
    told = {option for row in rows() if row.table == title for option in options_in(row.old)}
    common = {
        option for row in rows() if row.table == "Of all old commands" for option in options_in(row.old)
    }

    help_of = old.run(no_cache, *words, "--help").out
    listed = help_of.partition("\noptions:\n")[2].partition("\n\n")[0]
    theirs = options_in("\n".join(re.findall(r"^  -.+", listed, re.MULTILINE)))

    assert len(theirs) > 10, "the search finds nothing any more"
    assert theirs - told - common - {"--help"} == set()
    assert told - theirs == set()


def shown(title: str, cache: Cache) -> list[str | Path]:
    """Find the commands that the page shows, with the places of the test."""
    (text,) = re.findall(rf"^```sh\n# commands: {title}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    text = text.replace("/data/crds/ops", str(cache.root)).replace("/opt/crdscache", str(CHECKOUT))
    return ["/bin/sh", "-e", "-c", text.replace("https://hst-crds.stsci.edu", cache.server.url)]


def test_the_day_of_the_change_and_the_way_back_go_as_the_page_shows(
    old: OldTools, no_cache: Cache, server: Server
) -> None:
    made = old.run(no_cache, "crds", "sync", "--contexts", "hst-latest", "--fetch-references")
    server.set_default(LATEST)

    changed = finish(start(shown("the day of the change", no_cache), no_cache.environ))
    back = finish(start(shown("the way back", no_cache), no_cache.environ))
    server.set_default(FORMER)
    again = old.run(no_cache, "cron_sync", *FETCHING)

    assert (made.status, changed.status, changed.err) == (0, 0, "")
    assert f"default context {FORMER} -> {LATEST}" in changed.out
    assert (back.status, again.status, complaints(again.err)) == (0, 0, [])
    assert (no_cache.default(), (no_cache.root / ".crdscache").exists()) == (FORMER, False)
    check_invariants(no_cache.root, "hst", server, is_clean=True)
