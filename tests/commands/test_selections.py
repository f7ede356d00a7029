"""Which contexts, and which references of them, a sync looks after."""

import json

from demo.observatory import CONTEXTS, EDIT_CONTEXT
from demo.server import Server
from tests.caches import FORMER, LATEST, Cache
from tests.invariants import check_invariants, references_of


def here(cache: Cache) -> set[str]:
    """Name the references of a cache."""
    return {path.name for path in cache.references.iterdir()}


def contexts(cache: Cache) -> list[str]:
    return sorted(path.name for path in cache.mappings.glob("*.pmap"))


def holdings(cache: Cache) -> list[str]:
    stamp = json.loads((cache.state / "identity.json").read_text())
    return list(stamp["holdings"]["parts"])


def test_contexts_by_serial_number_and_by_their_ends(rules_cache: Cache) -> None:
    first, second, third, *_ = CONTEXTS

    assert rules_cache.run("cron_sync", "--range", "1:2").status == 0
    assert contexts(rules_cache) == [first, second, FORMER]
    assert rules_cache.run("cron_sync", "-up-to-context", third).status == 0
    assert contexts(rules_cache) == [first, second, third, FORMER]
    assert rules_cache.run("cron_sync", "-after-context", LATEST).status == 0
    assert contexts(rules_cache) == [first, second, third, FORMER, LATEST, EDIT_CONTEXT]


def test_ends_that_make_no_sense_are_usage_and_nothing_is_touched(rules_cache: Cache) -> None:
    before = contexts(rules_cache)

    ends = [("--range", "2:1"), ("--range", "x"), ("--up-to-context", "hst_0666.pmap")]
    statuses = [rules_cache.run("cron_sync", *words).status for words in ends]

    assert statuses == [2, 2, 2]
    assert contexts(rules_cache) == before


def test_only_references_of_some_instruments_and_types_and_the_promise_grows_with_them(
    rules_cache: Cache, server: Server
) -> None:
    needed = references_of(rules_cache.root, "hst", FORMER)
    of_wfc3 = {name for name, (instrument, _) in needed.items() if instrument == "wfc3"}
    darks = {name for name, part in needed.items() if part == ("acs", "darkfile")}

    first = rules_cache.run("cron_sync", "--fetch-references", "--instruments", "WFC3")
    assert (first.status, here(rules_cache), holdings(rules_cache)) == (0, of_wfc3, ["wfc3"])

    line = ("--fetch-references", "--instruments", "acs", "--types", "darkfile")
    second = rules_cache.run("cron_sync", *line)
    assert (second.status, here(rules_cache)) == (0, of_wfc3 | darks)
    assert holdings(rules_cache) == ["acs/darkfile", "wfc3"]
    assert rules_cache.run("cron_sync", *line).out == ""

    server.set_default(LATEST)
    assert rules_cache.run("cron_sync", *line).status == 0
    assert rules_cache.default() == LATEST
    check_invariants(rules_cache.root, "hst", server, is_clean=True)


def test_unknown_instrument_is_usage(rules_cache: Cache) -> None:
    done = rules_cache.run("cron_sync", "--fetch-references", "--instruments", "miri")

    assert done.status == 2
    assert "instruments: expected some of acs, cos, nicmos, " in done.err
    assert "; found 'miri'" in done.err
