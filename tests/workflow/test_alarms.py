"""What goes on for too long, and when that is told."""

from dataclasses import replace

from crdscache.contexts.records import Problem, Telling
from crdscache.workflow import alarms
from crdscache.workflow.alarms import Alarm, Kind
from crdscache.workflow.runs import Record, Result, Run
from crdscache.workflow.status import Status

AT = "2026-03-10 00:00:00"
LIMITS = Telling(busy_s=3600, pending_s=48 * 3600, frozen_s=72 * 3600)
OK = Result(Status.OK, "a.pmap", "a.pmap", "b.pmap")
FAILED = Result(Status.ERR, failures=(Problem("x.fits", "status 500"), Problem("y.fits", "status 500")))


def recorded(result: Result, **since: object) -> Record:
    run = Run("id", "cron_sync", "2026-03-09 23:59:59")
    return replace(Record(run, AT, result, None, None, None), **since)  # type: ignore[arg-type]


def told(written: Record, limits: Telling = LIMITS) -> list[tuple[Kind, str]]:
    return [(alarm.kind, alarm.text) for alarm in alarms.standing(written, limits, AT)]


def test_N13_N29_what_is_not_delivered_for_long_is_named_with_since_when() -> None:
    """Each file has a time of its own."""
    since = {
        "x.fits": "2026-03-07 00:00:00",
        "y.fits": "2026-03-09 00:00:00",
        "z.fits": "2026-03-08 00:00:00",
    }
    pending = replace(OK, pending=tuple(since))

    assert told(recorded(pending, pending_since=since)) == [
        (Kind.PENDING, "still not delivered, since 2026-03-07 00:00:00 UTC: x.fits, z.fits")
    ]
    assert told(recorded(replace(OK, pending=("y.fits",)), pending_since=since)) == []


def test_N13_a_file_that_was_here_before_is_named_at_once() -> None:
    lost = replace(OK, pending=("x.fits", "y.fits"), lost=("x.fits",))

    assert told(recorded(lost, pending_since={"x.fits": AT, "y.fits": AT})) == [
        (Kind.LOST, f"not delivered any more, though here before, since {AT} UTC: x.fits")
    ]


def test_a_default_that_waits_for_long_is_told_with_the_file_that_it_waits_for() -> None:
    waits = replace(OK, waits_for=("x.fits",))

    assert told(recorded(waits, waits_since="2026-03-09 00:00:00")) == []
    assert told(recorded(waits, waits_since="2026-03-08 00:00:00")) == [
        (Kind.WAITS, "the default context stays a.pmap since 2026-03-08 00:00:00 UTC, b.pmap lacks x.fits")
    ]


def test_N33_a_server_that_says_the_same_for_days_is_told_with_the_age_of_its_answer() -> None:
    fresh, old = (replace(OK, refreshed=f"2026-03-{day} 00:00:00") for day in ("08", "05"))

    assert told(recorded(fresh)) == told(recorded(OK)) == []
    assert told(recorded(old)) == [
        (Kind.FROZEN, "the server's answer is 5.0 days old, of 2026-03-05 00:00:00 UTC: it may be frozen")
    ]
    assert told(recorded(old), replace(LIMITS, frozen_s=None)) == []


def test_the_same_is_told_once_a_day_and_another_file_at_once() -> None:
    first, both = (Alarm(Kind.PENDING, "", None, names) for names in (("x.fits",), ("x.fits", "y.fits")))
    waits = Alarm(Kind.WAITS, "", None, ("z.fits",))
    told = {"pending x.fits": "2026-03-09 00:00:01", "waits": "2026-03-09 00:00:01"}

    assert [alarms.is_due(alarm, told, AT) for alarm in (first, both, waits)] == [False, True, False]
    assert alarms.is_due(first, told, "2026-03-10 00:00:01")
    assert alarms.is_due(first, {}, AT)


def test_how_a_run_ends_is_an_alarm_where_it_or_the_last_one_failed() -> None:
    failed = recorded(FAILED, failing_since=AT)

    began, ended = alarms.outcome(failed, None), alarms.outcome(recorded(OK), failed)

    assert alarms.outcome(recorded(OK), recorded(OK)) is alarms.outcome(recorded(OK), None) is None
    assert ended == Alarm(Kind.RECOVERED, "recovered from status 1", AT)
    assert began is not None
    assert began.to_json() == {
        "kind": "failed",
        "text": "status 1; x.fits: status 500; and 1 more failures",
        "since": AT,
        "names": ("x.fits", "y.fits"),
        "n_names": 2,
    }


def test_I13_an_alarm_names_only_the_first_of_many_files() -> None:
    told = Alarm(Kind.PENDING, "", None, tuple(f"{number}.fits" for number in range(40_000))).to_json()

    assert (told["names"], told["n_names"]) == (tuple(f"{number}.fits" for number in range(20)), 40_000)
