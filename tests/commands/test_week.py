"""A week of a crontab with a line every half hour: each mail that cron would send says something new."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crdscache.cache import layout
from crdscache.commands.telling import Teller
from crdscache.contexts import times
from crdscache.contexts.records import Problem, Telling
from crdscache.workflow import runs
from crdscache.workflow.runs import Result
from crdscache.workflow.status import Status

LIMITS = Telling(busy_s=12 * 3600, pending_s=24 * 3600, frozen_s=72 * 3600, keep_logs=10)
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
N_RUNS = 7 * 48

SYNCED = Result(Status.OK, None, "a.pmap", "a.pmap", n_files={"fetched": 40_000})
IDLE = Result(Status.OK, "a.pmap", "a.pmap", "a.pmap", n_files={"kept": 40_000})
WRONG = replace(IDLE, status=Status.ERR, failures=(Problem("w.fits", "size is 3, the catalogue says 4"),))
# A delivery comes: its rules at once, one of its references later.
WAITS = replace(WRONG, server_default="b.pmap", waits_for=("p.fits",), pending=("p.fits",))
BEGINS_TO_WAIT = replace(WAITS, n_files={"kept": 40_000, "fetched": 12})
MOVES = replace(WRONG, default_after="b.pmap", server_default="b.pmap", n_files={"fetched": 1})
AFTER = replace(WRONG, default_before="b.pmap", default_after="b.pmap", server_default="b.pmap")
AWAY = Result(Status.FATAL, message="the server cannot be reached")
WHOLE = replace(AFTER, status=Status.OK, failures=(), n_files={"kept": 40_000, "repaired": 1})


@dataclass
class Clock:
    """The time of day, as the week goes on."""

    now: datetime = MONDAY

    def __call__(self) -> str:
        """Tell it, as `times.now` does."""
        return self.now.strftime(times.FORM)


def week() -> Iterator[Result | None]:
    """Give how each run of the week ends; None: another writer is at work, which is the first run."""
    for number in range(N_RUNS):
        hour = number / 2
        if hour < 40:
            yield None
        elif hour < 60:
            yield SYNCED if hour == 40 else IDLE
        elif hour < 80:
            yield WRONG
        elif hour < 110:
            yield BEGINS_TO_WAIT if hour == 80 else WAITS
        elif hour < 120:
            yield MOVES if hour == 110 else AFTER
        elif hour < 165:
            yield AWAY
        else:
            yield AFTER if hour < 166 else WHOLE if hour == 166 else replace(WHOLE, n_files={"kept": 40_001})


# The hour of each mail, and how its first lines begin.
EXPECTED = [
    (
        12,
        "hst: another writer is at work; no run has come to its end since 2026-03-02 00:00:00 UTC, 12 h ago",
    ),
    (
        36,
        "hst: another writer is at work; no run has come to its end since 2026-03-02 00:00:00 UTC, 36 h ago",
    ),
    (40, "hst: default context a.pmap; 40000 fetched (0 bytes)"),
    (60, "failed: w.fits: size is 3, the catalogue says 4"),
    (80, "hst: the default context stays a.pmap, b.pmap lacks p.fits"),  # beside the same failure
    (104, "hst: the default context stays a.pmap since 2026-03-05 08:00:00 UTC, b.pmap lacks p.fits"),
    (110, "hst: default context a.pmap -> b.pmap; 1 fetched (0 bytes)"),
    (120, "hst: the server cannot be reached"),
    (144, "hst: the same since 2026-03-07 00:00:00 UTC"),
    (165, "hst: at work again; the last run ended with status 3"),  # and the file is as wrong as before
    (166, "hst: recovered; the last run ended with status 1"),
]


def test_each_mail_of_a_week_says_something_new(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache = layout.default_layout(tmp_path, "hst")
    cache.state.mkdir(parents=True)
    options, clock = argparse.Namespace(verbose=False, quiet=False, json=False), Clock()
    teller = Teller(cache, options, on_terminal=False, limits=LIMITS, clock=clock)

    mails = []
    for number, result in enumerate(week()):
        clock.now = MONDAY + timedelta(minutes=30 * number)
        if result is None:
            teller.tell_busy("another writer is at work")
        else:
            teller.tell(runs.begin("cron_sync"), result)
        if lines := "".join(capsys.readouterr()).splitlines():
            mails.append((number / 2, lines))

    assert [hour for hour, _ in mails] == [hour for hour, _ in EXPECTED]
    assert [text for (_, lines), (_, text) in zip(mails, EXPECTED, strict=True) if text not in lines] == []
