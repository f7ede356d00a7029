"""The plan in process: what a run would do, and that there is nothing to do."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from crdscache.cache import tables
from crdscache.commands import cron_sync, overrides, preview
from crdscache.commands.preview import Numbers
from crdscache.contexts.records import Outcome
from crdscache.workflow import listed, settings
from demo.faults import status
from demo.observatory import CONTEXTS
from demo.observatory import EDIT_CONTEXT as EDIT
from demo.server import Server
from tests.caches import FORMER, LATEST, Cache, listing, proper
from tests.invariants import check_invariants, closure, references_of

NOTHING = {
    "server_default": FORMER,
    "fetch_mappings": 0,
    "fetch_mappings_bytes": 0,
    "fetch_references": 0,
    "fetch_references_bytes": 0,
    "fetch_by_type": {},
    "adopt": 0,
    "adopt_bytes": 0,
    "repair": 0,
    "seen": {},
    "pending": 0,
    "verdicts": {},
    "purge": None,
    "failures": [],
}


def test_a_dry_run_tells_exactly_what_the_run_then_fetches_and_writes_nothing(
    rules_cache: Cache, server: Server, demo_root: Path
) -> None:
    """The new context is not cached: its rules are looked at without being kept."""
    server.set_default(LATEST)
    for lock in rules_cache.root.glob("*.lock"):
        lock.unlink()
    scratch = rules_cache.home / "scratch"
    scratch.mkdir()
    rules_cache.more["TMPDIR"] = str(scratch)
    before = proper(rules_cache)

    told = rules_cache.run("cron_sync", "--fetch-references", "--dry-run", "--json")
    text = rules_cache.run("cron_sync", "--fetch-references", "--dry-run", "--verbose")
    after = proper(rules_cache)
    fetched = rules_cache.run("cron_sync", "--fetch-references", "--json")

    new_rules = closure(demo_root / "mappings/hst", LATEST) - closure(demo_root / "mappings/hst", FORMER)
    assert (told.status, told.err, text.status, after) == (0, "", 0, before)
    assert list(scratch.iterdir()) == []
    assert told.data["fetch_mappings"] == len(new_rules)
    assert (
        f"{told.data['fetch_references']:8} files {told.data['fetch_references_bytes']:18} bytes" in text.out
    )
    done = fetched.data
    assert (done["n_files"]["fetched"], done["size_bytes"]["fetched"]) == (
        told.data["fetch_mappings"] + told.data["fetch_references"],
        told.data["fetch_mappings_bytes"] + told.data["fetch_references_bytes"],
    )
    again = rules_cache.run("cron_sync", "--fetch-references", "--dry-run", "--json")
    assert again.data == NOTHING | {"server_default": LATEST}
    check_invariants(rules_cache.root, "hst", server, is_clean=True)


def foreseen(cache: Cache, line: str) -> Numbers:
    """Find out what a command line would do, in this process."""
    given = overrides.collect(cron_sync.make_parser().parse_args(line.split()))
    resolved = settings.resolve(given, cache.environ)
    values = listed.narrow({key: setting.value for key, setting in resolved.items()}, given)
    config = settings.typed(values)
    return preview.foresee(config, listed.admit(config, set_up=False)).numbers


def by_type(server: Server, parts: Mapping[str, tuple[str, str]]) -> dict[str, dict[str, int]]:
    """Add up references, whose instruments and types are given, as the catalogue has them."""
    found: dict[str, dict[str, int]] = {}
    for name, part in parts.items():
        sums = found.setdefault("/".join(part), {"files": 0, "bytes": 0})
        sums["files"] += 1
        sums["bytes"] += server.archive.records[name].size_bytes
    return found


@pytest.mark.parametrize(
    ("line", "mappings", "wanted"),
    [
        ("--range 1:3", [*CONTEXTS[:3], LATEST], {"acs", "wfc3", "wfpc2"}),
        (
            "--last 2 --instruments acs WFC3 --types darkfile",
            [LATEST, EDIT],
            {"acs/darkfile", "wfc3/darkfile"},
        ),
        ("--types mdriztab maskfile", [LATEST], {"acs/mdriztab", "wfpc2/maskfile"}),
        ("--contexts hst-acs-biasfile-edit", ["hst_acs_biasfile_0003.rmap"], {"acs"}),
        ("--up-to-context hst_0002.pmap --instruments cos", [LATEST], set()),
    ],
)
def test_an_estimate_is_exact_by_instrument_and_type(
    rules_cache: Cache, server: Server, demo_root: Path, *, line: str, mappings: list[str], wanted: set[str]
) -> None:
    server.set_default(LATEST)
    parts = {name: part for each in mappings for name, part in references_of(demo_root, "hst", each).items()}
    needed = {name: part for name, part in parts.items() if wanted & {part[0], "/".join(part)}}

    numbers = foreseen(rules_cache, f"{line} --fetch-references")

    assert numbers.fetch_by_type == by_type(server, needed)
    n_bytes = sum(server.archive.records[name].size_bytes for name in needed)
    assert (numbers.fetch_references, numbers.fetch_references_bytes) == (len(needed), n_bytes)


def test_a_run_fetches_just_what_the_estimate_has_of_each_type(rules_cache: Cache, server: Server) -> None:
    line = "--last 2 --instruments acs wfpc2 --types darkfile biasfile --fetch-references"

    told = foreseen(rules_cache, line)
    done = rules_cache.run("cron_sync", *line.split())
    state = rules_cache.state
    rows = [row for path in sorted((state / "fetched").glob("*.tsv")) for row in tables.read_receipts(path)]

    parts = {row.name: (row.instrument, row.reftype) for row in tables.read_manifest(state / "manifest.tsv")}
    fetched = {row.name: parts[row.name] for row in rows if row.outcome is Outcome.FETCHED}
    assert (done.status, len(fetched)) == (0, told.fetch_references)
    assert by_type(server, fetched) == told.fetch_by_type
    assert sum(row.size_bytes for row in rows) == told.fetch_references_bytes
    assert foreseen(rules_cache, line).fetch_by_type == {}


@pytest.mark.parametrize(
    ("words", "contexts"),
    [
        ([], [LATEST]),
        (["--contexts", "hst_0003.pmap"], ["hst_0003.pmap"]),
        (["-contexts", "hst_0001.pmap", "hst-edit"], ["hst_0001.pmap", "hst_0007.pmap"]),
        (["--contexts", "hst-operational"], [LATEST]),
        (["--contexts", "hst-latest"], [LATEST]),
        (["--last", "1"], ["hst_0007.pmap", LATEST]),
        (["-last", "3"], [FORMER, LATEST, "hst_0007.pmap"]),
        (["-all"], [f"hst_000{number}.pmap" for number in range(1, 8)]),
    ],
)
def test_a_run_is_about_the_contexts_that_are_asked_for(
    words: list[str], contexts: list[str], rules_cache: Cache, server: Server, demo_root: Path
) -> None:
    server.set_default(LATEST)
    served = demo_root / "mappings" / "hst"

    told = rules_cache.run("cron_sync", "--dry-run", "--json", *words)

    wanted = {name for context in contexts for name in closure(served, context)}
    new = wanted - closure(served, FORMER)
    expected = {
        "server_default": LATEST,
        "fetch_mappings": len(new),
        "fetch_mappings_bytes": sum((served / name).stat().st_size for name in new),
    }
    assert (told.status, told.err, told.data) == (0, "", NOTHING | expected)


def test_the_context_of_the_environment_counts_where_the_command_line_has_none(rules_cache: Cache) -> None:
    rules_cache.more["CRDS_CONTEXT"] = "hst_0001.pmap"

    of_environment = rules_cache.run("cron_sync", "--dry-run", "--json")
    of_command_line = rules_cache.run("cron_sync", "--dry-run", "--json", "--contexts", FORMER)

    assert of_environment.data["fetch_mappings"] > 0
    assert of_command_line.data == NOTHING


def test_a_dry_run_names_what_would_fail(rules_cache: Cache, server: Server) -> None:
    server.set_default(LATEST)
    server.faults.add(LATEST, status(500))

    done = rules_cache.run("cron_sync", "--dry-run", "--contexts", LATEST, "hst_9999.pmap")

    assert done.status == 1
    assert sorted(line.split(":")[1].strip() for line in done.err.splitlines()) == [LATEST, "hst_9999.pmap"]


@pytest.mark.parametrize("context", ["hst-newest", "hst_0001.fits", "../hst_0001.pmap"])
def test_a_word_that_is_no_context_is_usage(context: str, rules_cache: Cache) -> None:
    done = rules_cache.run("cron_sync", "--dry-run", "--contexts", context)

    assert (done.status, done.out) == (2, "")
    assert context in done.err


def test_a_run_with_nothing_to_do_asks_twice_at_most_says_nothing_and_writes_nothing(
    whole_cache: Cache, server: Server
) -> None:
    before = proper(whole_cache)
    state_before = listing(whole_cache.state / "plan")

    done = whole_cache.run("cron_sync", "-fetch-references", "-check-files", "-verbose")

    assert (done.status, done.out, done.err) == (0, "", "")
    assert server.requests == {"RPC get_server_info": 1}
    assert proper(whole_cache) == before
    assert listing(whole_cache.state / "plan") == state_before  # snakemake was not even started
    check_invariants(whole_cache.root, "hst", server, is_clean=True)


def test_leftovers_of_killed_runs_go_in_a_run_with_nothing_to_do_too(whole_cache: Cache) -> None:
    ours = [
        whole_cache.references / ".t6k1015aj_bia.fits.0123456789ab.part",
        whole_cache.mappings / ".hst_0001.pmap.01234567.crdstmp",
        whole_cache.config / ".server_config.01234567.crdstmp",
    ]
    foreign = [whole_cache.references / ".tmp_x.fits", whole_cache.mappings / "hst_0001.pmap~"]
    for path in (*ours, *foreign):
        path.write_text("what a run left")

    done = whole_cache.run("cron_sync", "--fetch-references")

    assert (done.status, done.out, done.err) == (0, "", "")
    assert [path for path in (*ours, *foreign) if path.exists()] == foreign
