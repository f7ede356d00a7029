"""What runs leave behind."""

from pathlib import Path

import pytest

from crdscache.cache import layout
from crdscache.cache.commit import Summary, Switch
from crdscache.cache.layout import Layout
from crdscache.contexts.records import Problem
from crdscache.workflow import runs
from crdscache.workflow.runs import Result
from crdscache.workflow.status import Status


@pytest.fixture
def cache(tmp_path: Path) -> Layout:
    made = layout.default_layout(tmp_path, "hst")
    made.state.mkdir(parents=True)
    return made


def test_the_last_run_is_read_back_as_it_was_recorded(cache: Layout) -> None:
    run = runs.begin("cron_sync")
    result = Result(
        Status.ERR,
        "a.pmap",
        "a.pmap",
        "b.pmap",
        ("x.fits",),
        (Problem("x.fits", "status 500"),),
        ("y.fits",),
        {"fetched": 3},
        {"fetched": 12},
        "line\nbreak",
    )

    written = runs.record(cache, run, result, told=run.started)

    assert runs.last(cache) == written
    row = (cache.state / "runs.tsv").read_text().splitlines()[-1].split("\t")
    assert row == [
        run.run_id,
        "cron_sync",
        run.started,
        written.ended,
        "1",
        "a.pmap",
        "a.pmap",
        "3",
        "1",
        "line break",
    ]


def test_when_things_began_is_kept_until_they_end(cache: Layout) -> None:
    """A run that came to nothing knows nothing of what waits."""
    ok, waits = Result(Status.OK), Result(Status.OK, waits_for=("x.fits",), pending=("x.fits",))

    first = runs.record(cache, runs.begin("cron_sync"), ok, told=None)
    waiting = runs.record(cache, runs.begin("cron_sync"), waits, told=None)
    still = runs.record(cache, runs.begin("cron_sync"), waits, told=None)
    failed = runs.record(cache, runs.begin("cron_sync"), Result(Status.FATAL), told=None)
    over = runs.record(cache, runs.begin("cron_sync"), ok, told=None)

    assert (first.last_success, first.waits_since) == (first.ended, None)
    assert still.waits_since == waiting.waits_since == waiting.ended
    assert still.pending_since == {"x.fits": waiting.ended}
    assert (failed.last_success, failed.waits_since) == (still.ended, waiting.ended)
    assert (failed.pending_since, failed.failing_since) == (still.pending_since, failed.ended)
    assert (over.waits_since, over.pending_since, over.failing_since) == (None, {}, None)


def test_P17_a_time_that_is_still_to_come_is_not_gone_on_with() -> None:
    """A clock that was ten years ahead would hold back each alarm for as long."""
    waits = Result(Status.ERR, waits_for=("x.fits",), pending=("x.fits",))
    run, ahead, at = runs.begin("cron_sync"), "2036-01-01 00:00:00", "2026-01-01 00:00:00"
    before = runs.follow(None, run, waits, ahead)

    after = runs.follow(before, run, waits, at)

    assert (before.waits_since, before.failing_since, before.pending_since["x.fits"]) == (ahead,) * 3
    assert (after.waits_since, after.failing_since, after.pending_since["x.fits"]) == (at,) * 3


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"result": {}}', '{"result": {"failures": [1]}}'])
def test_a_damaged_status_is_as_good_as_none(text: str, cache: Layout) -> None:
    (cache.state / "status.json").write_text(text)

    assert runs.last(cache) is None


@pytest.mark.parametrize(("failures", "status"), [((), 0), ((Problem("x.fits", "status 500"),), 1)])
def test_a_commit_ends_with_status_1_if_anything_failed(failures: tuple[Problem, ...], status: int) -> None:
    switch = Switch("a.pmap", "b.pmap", "b.pmap")

    result = runs.result_of(Summary("id", switch, failures, ("y.fits",), {"fetched": 1}, {"fetched": 5}))

    assert result == Result(
        status, "a.pmap", "b.pmap", "b.pmap", (), failures, ("y.fits",), {"fetched": 1}, {"fetched": 5}
    )


def test_ids_of_runs_are_in_order_of_time_and_never_the_same() -> None:
    made = [runs.new_id() for _ in range(100)]

    assert len(set(made)) == 100
    assert sorted(made, key=lambda text: text[:16]) == made


def test_only_the_newest_logs_are_kept(cache: Layout) -> None:
    (cache.state / "logs").mkdir()
    names = ["plan.log", *(f"run-{number}.log" for number in range(4))]
    for name in names:
        (cache.state / "logs" / name).touch()

    runs.prune(cache, 2)

    assert sorted(path.name for path in (cache.state / "logs").iterdir()) == ["plan.log", *names[3:]]
