"""What monitoring reads of a cache."""

import subprocess
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from crdscache.cache import layout
from crdscache.cache.layout import Layout
from crdscache.contexts.records import Problem
from crdscache.workflow import metrics, runs
from crdscache.workflow.runs import Record, Result, Run
from crdscache.workflow.status import Status

ENDED = "2026-11-26 12:00:30"


@pytest.fixture
def cache(tmp_path: Path) -> Layout:
    made = layout.default_layout(tmp_path / 'a "quoted" place', "hst")
    made.state.mkdir(parents=True)
    return made


def samples(cache: Layout) -> dict[tuple[str, ...], float]:
    """Read the file as Prometheus does: name and labels but those of the cache, with values."""
    text = (cache.state / metrics.FILE).read_text()
    families = text_string_to_metric_families(text)
    found = {}
    for sample in (sample for family in families for sample in family.samples):
        assert sample.labels.pop("observatory") == "hst"
        assert sample.labels.pop("cache") == str(cache.root)
        found[(sample.name.removeprefix("crdscache_"), *sample.labels.values())] = sample.value
    return found


def record(cache: Layout, result: Result, waits_since: str | None = None) -> None:
    run = Run("20261126T120000Z-aaaaaa", "cron_sync", "2026-11-26 12:00:00")
    runs.save(cache, Record(run, ENDED, result, None, None, waits_since))
    metrics.write(cache)


def test_a_run_is_told_in_files_bytes_and_moments(cache: Layout) -> None:
    failures = (Problem("x.fits", "status 500"),)
    n_files = {"kept": 5, "fetched": 2, "failed": 1, "pending": 3}
    result = Result(
        Status.ERR,
        failures=failures,
        n_files=n_files,
        size_bytes={"kept": 50, "fetched": 20, "failed": 9},
        refreshed="2026-11-26 11:00:00",
    )

    record(cache, result, waits_since="2026-11-25 12:00:30")

    told = samples(cache)
    assert told["wanted_files",] == 11
    assert (told["present_files",], told["present_bytes",]) == (7, 70)
    assert (told["failed_files",], told["pending_files",]) == (1, 3)
    assert told["run_end_timestamp_seconds", "sync"] - told["default_waits_since_timestamp_seconds",] == 86400
    assert told["run_end_timestamp_seconds", "sync"] - told["server_answer_timestamp_seconds",] == 3630
    assert told["run_success_timestamp_seconds", "sync"] == 0
    assert (told["run_status", "sync"], told["run_failures", "sync"]) == (1, 1)
    assert told["run_duration_seconds", "sync"] == 30


def test_a_run_that_came_to_nothing_tells_of_no_files(cache: Layout) -> None:
    record(cache, Result(Status.FATAL, message="the server is away"))

    told = samples(cache)
    assert told["run_status", "sync"] == 3
    assert not any("files" in name for name, *_ in told)


def test_steps_are_those_of_the_last_run(cache: Layout) -> None:
    logs = cache.state / "logs"
    logs.mkdir()
    for name, text in (
        ("plan.log", "ended seconds=1.500"),
        ("fetch-0.log", "ended seconds=2.000"),
        ("fetch-1.log", "ended seconds=7.250"),
        ("commit.log", "killed before its end"),
        ("run-1.log", "ended seconds=9.000"),
    ):
        (logs / name).write_text(f"2026-11-26T12:00:01Z INFO crdscache.workflow.joblog {text}\n")
    (logs / "query_server.log").write_text("ended seconds=3.000\n")
    subprocess.run(["touch", "-d", "2026-11-26T11:59:59Z", logs / "query_server.log"], check=True)

    record(cache, Result(Status.OK))

    steps = {key[1]: value for key, value in samples(cache).items() if key[0] == "step_duration_seconds"}
    assert steps == {"plan": 1.5, "fetch": 7.25}


def test_metrics_that_cannot_be_written_fail_no_run(cache: Layout, caplog: pytest.LogCaptureFixture) -> None:
    (cache.state / metrics.FILE).mkdir()

    record(cache, Result(Status.OK))

    assert "metrics not written" in caplog.text
