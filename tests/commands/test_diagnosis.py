"""Each mistake that `cache_config` knows, and that it writes nothing to find it."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crdscache.cache.locks import Writer
from crdscache.commands import diagnosis
from crdscache.contexts import times
from crdscache.workflow import settings
from crdscache.workflow.variables import Setting
from tests.caches import FORMER, LATEST, Cache, listing


def mistakes(cache: Cache, **overrides: object) -> list[str]:
    layers = {key: Setting(value, "the test") for key, value in overrides.items()}
    resolved = settings.resolve(layers, cache.environ)
    config = settings.typed({key: setting.value for key, setting in resolved.items()})
    return [mistake.what for mistake in diagnosis.diagnose(config)]


def edit_status(cache: Cache, **changes: object) -> None:
    path = cache.state / "status.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def lose_a_rule(cache: Cache) -> None:
    (cache.mappings / "hst_acs_darkfile_0003.rmap").unlink()


def cut_a_reference(cache: Cache) -> None:
    (cache.references / "t6k1016aj_drk.fits").write_bytes(b"short")


def freeze(cache: Cache) -> None:
    (cache.config / "server_config").chmod(0o444)


def misspell_the_layout(cache: Cache) -> None:
    (cache.config / "ref_cache_subdir_mode").write_text("flatt")


def forget_the_configuration(cache: Cache) -> None:
    (cache.config / "server_config").unlink()


def age(cache: Cache) -> None:
    edit_status(cache, last_success="2020-01-01 00:00:00")


def never_succeed(cache: Cache) -> None:
    edit_status(cache, last_success=None)


def wait(cache: Cache) -> None:
    result = json.loads((cache.state / "status.json").read_text())["result"]
    result |= {"waits_for": ["x.fits"], "server_default": LATEST, "default_after": FORMER}
    edit_status(cache, waits_since="2026-01-01 00:00:00", result=result)


def pin(cache: Cache, context: str) -> None:
    path = cache.state / "identity.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"pinned": context}))


def pin_another(cache: Cache) -> None:
    pin(cache, LATEST)


def move_by_another_tool(cache: Cache) -> None:
    note_switch(cache, f"2020-01-01 00:00:00\t{FORMER}\t{LATEST}\tserver")


def find_moved(cache: Cache) -> None:
    note_switch(cache, f"{times.now()}\t{LATEST}\t{FORMER}\tforeign")


def note_switch(cache: Cache, row: str) -> None:
    with (cache.state / "switches.tsv").open("a") as stream:
        stream.write(f"{row}\n")


def dangle(cache: Cache) -> None:
    (cache.references / "not_of_the_default.fits").symlink_to("/no/such/tree/x.fits")


def hang(cache: Cache) -> None:
    writer = Writer("there", 7, "2020-01-01 00:00:00", "cron_sync", "id")
    (cache.state / "writer.json").write_text(json.dumps(asdict(writer)))


def change_result(cache: Cache, **changes: object) -> None:
    edit_status(cache, result=json.loads((cache.state / "status.json").read_text())["result"] | changes)


def stay_pending(cache: Cache) -> None:
    change_result(cache, pending=["x.fits"])
    edit_status(cache, pending_since={"x.fits": "2020-01-01 00:00:00"})


def freeze_the_server(cache: Cache) -> None:
    change_result(cache, refreshed="2020-01-01 00:00:00")


def fail(cache: Cache) -> None:
    change_result(cache, status=3, message="the server is away")
    edit_status(cache, failing_since="2020-01-01 00:00:00")


def run_out_of_room(cache: Cache) -> None:
    change_result(cache, status=3)
    path = cache.state / "plan" / "totals.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"fetch_bytes": 10**18}))


MISTAKES: list[tuple[Callable[[Cache], None], str]] = [
    (lose_a_rule, f"the default context {FORMER} is not whole: 1 files, hst_acs_darkfile_0003.rmap first"),
    (cut_a_reference, f"the default context {FORMER} is not whole: 1 files, t6k1016aj_drk.fits first"),
    (freeze, "server_config is read-only: the default context cannot move"),
    (misspell_the_layout, "the layout of references is 'flatt'"),
    (forget_the_configuration, "there is no configuration yet"),
    (pin_another, f"the default context is {FORMER}, though {LATEST} is pinned"),
    (age, "the last success was at 2020-01-01 00:00:00 UTC"),
    (never_succeed, "no run has succeeded yet"),
    (move_by_another_tool, f"moved from {LATEST} to {FORMER}, by another tool or by a run that was killed"),
    (find_moved, f"moved from {LATEST} to {FORMER}, as was found at "),
    (dangle, "1 links lead nowhere, references/hst/not_of_the_default.fits first"),
    (hang, "cron_sync (host there, PID 7, since 2020-01-01 00:00:00 UTC)"),
    (stay_pending, "still not delivered, since 2020-01-01 00:00:00 UTC: x.fits"),
    (freeze_the_server, "days old, of 2020-01-01 00:00:00 UTC: it may be frozen"),
    (fail, "UTC failed, as since 2020-01-01 00:00:00 UTC: status 3; the server is away"),
    (wait, f"stays {FORMER} since 2026-01-01 00:00:00 UTC, {LATEST} lacks x.fits"),
]


def test_nothing_is_wrong_with_a_cache_that_is_whole(whole_cache: Cache) -> None:
    assert mistakes(whole_cache) == []


def test_a_pinned_cache_that_lags_behind_has_no_mistake_and_says_that_it_is_pinned(
    whole_cache: Cache,
) -> None:
    wait(whole_cache)
    pin(whole_cache, FORMER)

    assert mistakes(whole_cache) == []
    assert whole_cache.run("cache_config", "--json").data["cache"]["pinned"] == FORMER


@pytest.mark.parametrize(("damage", "expected"), MISTAKES, ids=lambda value: getattr(value, "__name__", ""))
def test_each_mistake_is_found_alone_and_without_writing(
    damage: Callable[[Cache], None], expected: str, whole_cache: Cache
) -> None:
    damage(whole_cache)
    before = listing(whole_cache.root)

    told = mistakes(whole_cache)

    assert (len(told), expected in told[0]) == (1, True), told
    assert listing(whole_cache.root) == before


def test_room_is_told_where_the_last_run_has_left_something_to_bring(whole_cache: Cache) -> None:
    run_out_of_room(whole_cache)

    room, failed = mistakes(whole_cache)

    assert "are free, 1000000.0 TB are needed" in room
    assert "failed" in failed


def test_a_root_that_is_no_cache_of_this_server_is_all_that_is_told(
    whole_cache: Cache, tmp_path: Path
) -> None:
    (empty,) = mistakes(whole_cache, cache_root=str(tmp_path / "empty"), mappings_dir=None)
    (other,) = mistakes(whole_cache, server_url="https://other.name")

    assert "is not a cache" in empty
    assert f"from {whole_cache.server.url}, but the settings say hst from https://other.name" in other


def test_a_writer_that_would_be_refused_is_told(whole_cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even root may be asked: it can open what others cannot, so here the system only says so."""
    monkeypatch.setattr(os, "access", lambda *_: False)

    told = mistakes(whole_cache, readonly_cache=True)

    assert [text.split(" ", 1)[0] for text in told] == [
        "CRDS_READONLY_CACHE",
        str(whole_cache.root / "crds.sync.lock"),
    ]


def test_references_that_are_tolerated_are_no_mistake(whole_cache: Cache) -> None:
    cut_a_reference(whole_cache)

    assert mistakes(whole_cache, tolerate_missing=["t6k1016aj_drk.fits"]) == []


def test_what_another_tool_did_long_ago_and_a_young_writer_are_no_mistakes(whole_cache: Cache) -> None:
    note_switch(whole_cache, f"2020-01-01 00:00:00\t{LATEST}\t{FORMER}\tforeign")
    writer = Writer("there", 7, times.now(), "cron_sync", "id")
    (whole_cache.state / "writer.json").write_text(json.dumps(asdict(writer)))

    assert mistakes(whole_cache) == []
    facts = whole_cache.run("cache_config", "--json").data["cache"]
    assert (facts["writer"], facts["default moved"]) == (str(writer), "2020-01-01 00:00:00 UTC, why: foreign")


def test_P17_a_success_that_is_still_to_come_is_a_mistake(whole_cache: Cache) -> None:
    edit_status(whole_cache, last_success="2099-01-01 00:00:00")

    assert [text.split(",")[0] for text in mistakes(whole_cache)] == [
        "the last success was at 2099-01-01 00:00:00 UTC"
    ]


def test_how_old_the_last_success_may_be_is_a_setting(whole_cache: Cache) -> None:
    edit_status(whole_cache, last_success=(datetime.now(UTC) - timedelta(hours=25)).strftime(times.FORM))

    assert [text.split(",")[1] for text in mistakes(whole_cache)] == [" 25 h ago"]
    assert mistakes(whole_cache, stale_alarm_h=26) == []
