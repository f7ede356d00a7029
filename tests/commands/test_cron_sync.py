"""`cron_sync`: contexts, references and checks, each by one real run."""

from pathlib import Path

import pytest

from demo.server import Server
from tests.caches import FORMER, LATEST, Cache, Done, finish, proper
from tests.invariants import check_invariants, closure, references_of


def names(*directories: Path) -> set[str]:
    return {path.name for directory in directories for path in directory.iterdir()}


def failed(done: Done) -> dict[str, str]:
    rows = [line.split(": ", 2) for line in done.err.splitlines() if line.startswith("failed: ")]
    return {name: reason for _, name, reason in rows}


def test_all_brings_the_files_of_every_context_and_moves_the_default(
    rules_cache: Cache, server: Server, demo_root: Path
) -> None:
    server.set_default(LATEST)

    done = rules_cache.run("cron_sync", "-all", "-fetch-references", "-check-files")
    again = rules_cache.run("cron_sync", "--all", "--fetch-references")

    served = demo_root / "mappings" / "hst"
    wanted = {name for pmap in served.glob("*.pmap") for name in references_of(demo_root, "hst", pmap.name)}
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"hst: default context {FORMER} -> {LATEST}; ")
    assert names(rules_cache.mappings) == names(served)
    assert names(rules_cache.references) == wanted
    assert rules_cache.default() == LATEST
    assert (again.status, again.out, again.err) == (0, "", "")
    check_invariants(rules_cache.root, "hst", server, is_clean=True)


def test_contexts_without_the_default_leave_the_default_where_it_is(
    rules_cache: Cache, server: Server, demo_root: Path
) -> None:
    server.set_default(LATEST)

    done = rules_cache.run("cron_sync", "--contexts", "hst_0002.pmap", "--fetch-references")

    served = demo_root / "mappings" / "hst"
    assert (done.status, done.err) == (0, "")
    assert names(rules_cache.mappings) == closure(served, FORMER) | closure(served, "hst_0002.pmap")
    assert names(rules_cache.references) == set(references_of(demo_root, "hst", "hst_0002.pmap"))
    assert rules_cache.default() == FORMER
    check_invariants(rules_cache.root, "hst", server, is_clean=True)


@pytest.mark.parametrize(
    ("date", "context"), [("2021-12-31", "hst_0002.pmap"), ("hst-2021-03-01T12:00:00", "hst_0001.pmap")]
)
@pytest.mark.parametrize("is_option", [True, False])
def test_a_date_brings_the_rules_of_the_context_of_that_time_and_no_others(
    date: str, context: str, rules_cache: Cache, server: Server, demo_root: Path, *, is_option: bool
) -> None:
    before = rules_cache.default()
    if not is_option:
        rules_cache.more["CRDS_CONTEXT"] = date

    done = rules_cache.run("cron_sync", *(["--contexts", date] if is_option else []))

    served = demo_root / "mappings" / "hst"
    assert (done.status, done.err) == (0, "")
    assert names(rules_cache.mappings) == closure(served, FORMER) | closure(served, context)
    assert rules_cache.default() == before
    check_invariants(rules_cache.root, "hst", server, is_clean=True)


@pytest.mark.parametrize(
    ("date", "told"),
    [
        ("2019-01-01", "context of 2019-01-01 00:00:00: the server's history begins at 2021-03-01 12:00:00"),
        ("2021-02-30", "context '2021-02-30': expected the name of a mapping, one of hst-operational, "),
    ],
)
def test_a_date_without_a_context_is_usage(date: str, told: str, rules_cache: Cache) -> None:
    before = proper(rules_cache)

    done = rules_cache.run("cron_sync", "--contexts", date)

    assert (done.status, done.out, len(done.err.splitlines())) == (2, "", 1)
    assert told in done.err
    assert proper(rules_cache) == before


def test_a_check_names_each_file_that_is_missing_or_of_wrong_length_and_mends_nothing(
    whole_cache: Cache, server: Server
) -> None:
    damaged, *missing = sorted(path.name for path in whole_cache.references.iterdir())[:3]
    (whole_cache.references / damaged).write_bytes(b"short")
    for name in missing:
        (whole_cache.references / name).unlink()
    before = proper(whole_cache)

    checked = whole_cache.run("cron_sync", "--check-files")
    untouched = proper(whole_cache)
    dry = whole_cache.run("cron_sync", "--check-files", "--dry-run")

    size_bytes = server.archive.records[damaged].size_bytes
    expected = {name: f"references/hst/{name} is missing" for name in missing}
    expected[damaged] = f"references/hst/{damaged} has 5 bytes, the catalogue says {size_bytes}"
    assert (checked.status, failed(checked)) == (1, expected)
    assert (dry.status, failed(dry)) == (1, expected)
    assert untouched == before

    fetched = whole_cache.run("cron_sync", "--fetch-references")

    assert (fetched.status, failed(fetched)) == (1, {damaged: expected[damaged]})
    assert (whole_cache.references / damaged).read_bytes() == b"short"
    assert names(whole_cache.references) == set(references_of(whole_cache.root, "hst", FORMER))
    check_invariants(whole_cache.root, "hst", server, is_clean=True, apart_from=[damaged])


def test_two_caches_are_filled_from_one_checkout_side_by_side(
    rules_cache: Cache, rules_only: Cache, server: Server
) -> None:
    other = rules_only.copy_to(rules_cache.home / "other", server)

    running = [cache.start("cron_sync", "--fetch-references") for cache in (rules_cache, other)]

    assert [(done.status, done.err) for done in map(finish, running)] == [(0, ""), (0, "")]
    assert names(rules_cache.references) == names(other.references)
    for cache in (rules_cache, other):
        check_invariants(cache.root, "hst", server, is_clean=True)


def test_an_instrument_layout_is_kept_with_the_links_of_hst(rules_cache: Cache, server: Server) -> None:
    done = rules_cache.run("cron_sync", "--fetch-references", "--config", "layout=instrument")
    again = rules_cache.run("cron_sync", "--fetch-references")

    assert (done.status, done.err, again.out) == (0, "", "")
    assert (rules_cache.config / "ref_cache_subdir_mode").read_text() == "instrument"
    links = {
        path.name: str(path.readlink()) for path in rules_cache.references.iterdir() if path.is_symlink()
    }
    assert links == {"iref": "wfc3", "jref": "acs", "uref": "wfpc2"}
    parts = references_of(rules_cache.root, "hst", FORMER)
    assert {path.name: path.parent.name for path in rules_cache.references.glob("[!iju]*/*")} == {
        name: instrument for name, (instrument, _) in parts.items()
    }
    check_invariants(rules_cache.root, "hst", server, is_clean=True)
