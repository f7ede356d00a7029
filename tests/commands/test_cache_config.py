"""`cache_config` as an operator and a monitor call it."""

import re

import pytest

from demo.server import Server
from tests.caches import FORMER, Cache, listing


def test_it_shows_the_cache_and_each_setting_with_where_it_comes_from(whole_cache: Cache) -> None:
    before = listing(whole_cache.root)

    done = whole_cache.run("cache_config", "--config", "tries=7")

    facts, settings = done.out.split("settings:\n")
    shown = dict(
        line.split(maxsplit=1)
        for line in facts.splitlines()
        if line and line.split()[0] in {"cache", "layout", "observatory", "server"}
    )
    rows = {line.split()[0]: line.split()[1:] for line in settings.splitlines() if line.startswith("  ")}
    assert (done.status, done.err, done.out.splitlines()[-1]) == (0, "", "nothing wrong")
    assert shown == {
        "cache": str(whole_cache.root),
        "layout": "flat",
        "observatory": "hst",
        "server": whole_cache.server.url,
    }
    assert f"default context      {FORMER}\n" in facts
    assert rows["tries"] == ["7", "--config"]
    assert rows["shards"] == ["1", f"CRDSCACHE_SITE={whole_cache.home}/quick.yaml"]
    assert rows["cache_root"] == [str(whole_cache.root), "CRDS_PATH"]
    assert rows["keep_logs"] == ["100", "default"]
    assert listing(whole_cache.root) == before


def test_the_same_is_to_be_had_as_data(whole_cache: Cache) -> None:
    done = whole_cache.run("cache_config", "--json")

    assert (done.status, done.err, set(done.data)) == (0, "", {"cache", "settings", "mistakes"})
    assert done.data["cache"]["default context"] == FORMER
    assert done.data["settings"]["observatory"] == {"value": "hst", "origin": "CRDS_OBSERVATORY"}
    assert done.data["mistakes"] == []


def test_a_check_is_silent_when_all_is_well_and_needs_no_server(whole_cache: Cache, server: Server) -> None:
    server.close()

    done = whole_cache.run("cache_config", "--check")

    assert (done.status, done.out, done.err) == (0, "", "")


@pytest.mark.parametrize("words", [["--check"], []])
def test_a_mistake_is_told_with_its_cure(words: list[str], whole_cache: Cache) -> None:
    lost = whole_cache.references / "t6k1016aj_drk.fits"
    lost.unlink()

    done = whole_cache.run("cache_config", *words)

    assert done.status == (2 if words else 0)
    what = f"the default context {FORMER} is not whole: 1 files, {lost.name} first"
    assert f"{what}\n  cure: cron_sync" in done.out
    assert done.out.startswith(f"CRDSCACHE CRITICAL - hst: {what} | since_success=") is bool(words)
    assert done.err == ""


def test_a_check_tells_monitoring_that_all_is_well(whole_cache: Cache) -> None:
    """In the form of plugins: one line, what is drawn behind a bar."""
    done = whole_cache.run("cache_config", "--check", "--verbose")

    assert (done.status, done.err) == (0, "")
    form = r"CRDSCACHE OK - hst: \w+\.pmap, last success [\d :-]+ UTC \| "
    form += r"since_success=\d+s;;\d+ free=\d+B;\d+:\n"
    assert re.fullmatch(form, done.out)


@pytest.mark.parametrize(
    "words",
    [["--check", "--no-such-option"], ["--check", "--config", "shards=many"], ["--check", "--json=1"]],
)
def test_a_check_that_cannot_be_made_is_no_verdict(words: list[str], whole_cache: Cache) -> None:
    done = whole_cache.run("cache_config", *words)

    assert (done.status, "Traceback" in done.err, done.err != "") == (3, False, True)


def test_what_waits_is_a_warning_and_the_worst_comes_first(whole_cache: Cache, server: Server) -> None:
    server.close()
    assert whole_cache.run("cron_sync").status == 3

    warned = whole_cache.run("cache_config", "--check")
    (whole_cache.references / "t6k1016aj_drk.fits").unlink()
    worse = whole_cache.run("cache_config", "--check")

    assert (warned.status, warned.out.startswith("CRDSCACHE WARNING - hst: the run that ended at ")) == (
        1,
        True,
    )
    assert (worse.status, "is not whole" in worse.out.splitlines()[0]) == (2, True)
    assert worse.out.count("\n  cure: ") == 2
