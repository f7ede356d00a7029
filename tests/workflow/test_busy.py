"""How long other writers have kept us out."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from crdscache.cache import layout, locks
from crdscache.cache.layout import Layout
from crdscache.cache.locks import Writer
from crdscache.workflow import busy, runs
from crdscache.workflow.runs import Result
from crdscache.workflow.status import Status

HOUR_S = 3600


@pytest.fixture
def cache(tmp_path: Path) -> Layout:
    made = layout.default_layout(tmp_path, "hst")
    made.state.mkdir(parents=True)
    return made


def said(cache: Layout, *hours: int) -> list[str | None]:
    """Note that runs were kept out at these hours of a day; gives what is said each time, but for the age."""
    noted = [busy.note(cache, "who", 12 * HOUR_S, f"2026-03-02 {hour:02}:00:00") for hour in hours]
    return [alarm and alarm.text.split("since ")[1] for alarm in noted]


def ended(cache: Layout, at: str) -> None:
    runs.save(cache, runs.follow(None, runs.begin("cron_sync"), Result(Status.OK), at))


def begun(cache: Layout, at: str) -> None:
    writer = Writer("here", 7, at, "cron_sync", "id")
    (cache.state / locks.WRITER_FILE).write_text(json.dumps(asdict(writer)))


def test_it_is_said_when_it_is_long_and_then_once_a_day(cache: Layout) -> None:
    """Where neither a card nor a former run tells, the first run that was kept out does."""
    first = said(cache, 1, 12, 13, 14, 23)
    alarm = busy.note(cache, "who", 12 * HOUR_S, "2026-03-03 13:00:00")

    assert first == [None, None, "2026-03-02 01:00:00 UTC, 12 h ago", None, None]
    assert alarm is not None
    assert alarm.text == "who; no run has come to its end since 2026-03-02 01:00:00 UTC, 36 h ago"


@pytest.mark.parametrize("note", [ended, begun])
def test_the_end_of_our_last_run_or_the_begin_of_the_writer_counts(note: object, cache: Layout) -> None:
    """Two observatories share a lock: the other one's writer has no card here, but our last run is old."""
    note(cache, "2026-03-01 20:00:00")  # type: ignore[operator]

    assert said(cache, 7, 8) == [None, "2026-03-01 20:00:00 UTC, 12 h ago"]


def test_P17_a_time_that_is_still_to_come_does_not_count(cache: Layout) -> None:
    begun(cache, "2036-01-01 00:00:00")

    assert said(cache, 1, 13) == [None, "2026-03-02 01:00:00 UTC, 12 h ago"]


def test_a_run_that_got_the_lock_begins_anew(cache: Layout) -> None:
    said(cache, 1)
    busy.forget(cache)
    busy.forget(cache)

    assert not (cache.state / busy.FILE).exists()
    assert said(cache, 14) == [None]


@pytest.mark.parametrize("text", ["", "[]", '{"since": 1, "more": 2}'])
def test_a_damaged_note_is_as_good_as_none(text: str, cache: Layout) -> None:
    (cache.state / busy.FILE).write_text(text)

    assert said(cache, 1, 13) == [None, "2026-03-02 01:00:00 UTC, 12 h ago"]
