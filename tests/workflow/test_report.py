"""What is said of a run, and when nothing is."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from crdscache.contexts import times
from crdscache.contexts.records import Problem
from crdscache.workflow import report
from crdscache.workflow.runs import Record, Result, Run
from crdscache.workflow.status import Status

OK = Result(Status.OK, "a.pmap", "a.pmap", "a.pmap")
FAILED = replace(OK, status=Status.ERR, failures=(Problem("x.fits", "status 500"),))
OTHER = replace(FAILED, failures=(Problem("y.fits", "status 500"),))
FATAL = Result(Status.FATAL, message="the server is away")


def recorded(result: Result, *, told_h: float | None = None) -> Record:
    """Record a run whose failures were last told so many hours ago."""
    told = None
    if told_h is not None:
        told = (datetime.now(UTC) - timedelta(hours=told_h)).strftime("%Y-%m-%d %H:%M:%S")
    return Record(
        Run("id", "cron_sync", "2026-01-01 00:00:00"), "2026-01-01 00:00:01", result, None, told, None
    )


@pytest.mark.parametrize(
    ("result", "before", "expected"),
    [
        (OK, None, False),
        (OK, recorded(OK), False),
        (replace(OK, n_files={"fetched": 1}), recorded(OK), True),
        (replace(OK, default_after="b.pmap"), recorded(OK), True),
        (OK, recorded(FAILED), True),
        (FAILED, None, True),
        (FAILED, recorded(OK), True),
        (FAILED, recorded(FAILED, told_h=23), False),
        (replace(FAILED, default_after="b.pmap"), recorded(FAILED, told_h=1), True),
        (replace(FAILED, news=("the same again",)), recorded(FAILED, told_h=1), False),
        (replace(OK, news=("purged 3 files",)), recorded(OK), True),
        (FAILED, recorded(FAILED, told_h=-23), False),
        (FAILED, recorded(FAILED, told_h=-240), True),
        (FAILED, recorded(FAILED, told_h=25), True),
        (OTHER, recorded(FAILED, told_h=1), True),
        (FATAL, recorded(FAILED, told_h=1), True),
        (FATAL, recorded(FATAL, told_h=1), False),
        (replace(FATAL, message="the disk is full"), recorded(FATAL, told_h=1), True),
    ],
)
def test_only_what_is_new_is_told(result: Result, before: Record | None, *, expected: bool) -> None:
    assert report.is_news(result, before, times.now()) is expected


def test_a_long_list_of_failures_ends_with_how_many_more_there_are() -> None:
    problems = tuple(Problem(f"{number}.fits", "status 500") for number in range(30))

    listed = report.failures(problems, 5)

    assert listed[-2:] == ["failed: 3.fits: status 500", "and 26 more failures: see the log"]
    assert len(listed) == len(report.failures(problems[:5], 5)) == 5


def test_a_run_says_at_most_twenty_lines_whatever_happened() -> None:
    names = tuple(f"{number}.fits" for number in range(100))
    result = replace(
        FAILED,
        failures=tuple(Problem(name, "status 500") for name in names),
        pending=names,
        waits_for=names,
        message="stopped",
        server_default="b.pmap",
    )

    out, err = report.lines("hst", result, recorded(OK))

    assert len(out) + len(err) <= report.MOST_LINES


def test_a_switch_and_what_holds_one_back_are_told() -> None:
    moved, _ = report.lines("hst", replace(OK, default_after="b.pmap", n_files={"fetched": 2}), None)
    _, waits = report.lines("hst", replace(OK, server_default="b.pmap", waits_for=("x.fits",)), None)

    assert moved == ["hst: default context a.pmap -> b.pmap; 2 fetched (0 bytes)"]
    assert waits == ["hst: the default context stays a.pmap, b.pmap lacks x.fits"]


@pytest.mark.parametrize(
    ("size_bytes", "expected"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (3_000_960, "3.0 MB"), (7.2e12, "7.2 TB")],
)
def test_sizes_are_written_for_people(size_bytes: float, expected: str) -> None:
    assert report.size(size_bytes) == expected


def test_a_workflow_by_hand_ends_by_what_failed(capsys: pytest.CaptureFixture[str]) -> None:
    report.end_by(())
    without = capsys.readouterr()

    with pytest.raises(SystemExit) as stop:
        report.end_by(tuple(Problem(f"{number}.fits", "status 500") for number in range(30)))

    out, err = capsys.readouterr()
    assert (without, stop.value.code, out) == (("", ""), 1, "")
    assert err.splitlines() == [
        *(f"failed: {number}.fits: status 500" for number in range(19)),
        "and 11 more failures: see the log",
    ]


def test_N25_a_server_that_goes_back_is_warned_of_and_a_rollback_is_not() -> None:
    back = replace(OK, default_before="b.pmap", server_default="a.pmap")

    assert report.lines("hst", back, None)[1] == ["hst: the server went from b.pmap back to a.pmap"]
    assert report.lines("hst", replace(back, pinned="a.pmap"), None)[1] == []
    assert report.lines("hst", replace(OK, default_after="b.pmap"), None)[1] == []


def test_a_pinned_default_is_told_with_the_servers_and_waits_for_its_own_files_only() -> None:
    held = replace(OK, server_default="b.pmap", pinned="a.pmap", n_files={"kept": 3})
    moved = replace(held, default_after="c.pmap", default_before="c.pmap", waits_for=("x.fits",))

    idle = "nothing to do, 3 files are as they should be"
    assert report.lines("hst", held, None)[0] == [
        f"hst: default context a.pmap (pinned; the server's is b.pmap); {idle}"
    ]
    assert report.lines("hst", replace(held, server_default="a.pmap"), None)[0][0].startswith(
        "hst: default context a.pmap (pinned); nothing to do"
    )
    assert report.lines("hst", moved, None)[1] == [
        "hst: the default context stays c.pmap, a.pmap lacks x.fits"
    ]
