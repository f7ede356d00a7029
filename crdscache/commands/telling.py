"""What a run tells: people, by what is news to them, and the state, for the next run and for monitoring."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from crdscache.cache.layout import Layout
from crdscache.commands import leased
from crdscache.contexts import times
from crdscache.contexts.records import Telling
from crdscache.workflow import alarms, busy, notify, report, runs
from crdscache.workflow.alarms import Alarm
from crdscache.workflow.runs import Record, Result, Run
from crdscache.workflow.status import Status


@dataclass(frozen=True, slots=True)
class Teller:
    """Tells how runs of one command end."""

    cache: Layout
    options: argparse.Namespace
    on_terminal: bool
    limits: Telling
    environ: Mapping[str, str] = field(default_factory=dict)  # of the program that gets alarms
    clock: Callable[[], str] = times.now

    @property
    def has_reader(self) -> bool:
        """Whether somebody asked for details, and reads them."""
        return self.options.verbose and self.on_terminal and not self.options.quiet

    def tell(self, run: Run, result: Result, details: Sequence[str] = (), kind: str = runs.SYNC) -> None:
        """Print what is news of a run, send it as alarms, and record how it ended.

        Parameters
        ----------
        details
            Lines for whoever asked for them.
        kind
            Of the run: its failures are compared with those of the last run of its kind.
        """
        at = self.clock()
        before = runs.last(self.cache, kind)
        written = runs.follow(before, run, result, at)
        standing = alarms.standing(written, self.limits, at)
        due = [alarm for alarm in standing if alarms.is_due(alarm, written.alarms_told, at)]
        is_news = report.is_news(result, before, at) or bool(due)
        told_before = before.failures_told if before is not None and result.status != Status.OK else None
        written = replace(written, failures_told=told_before)
        try:
            if self.on_terminal or is_news:
                self._print(run, result, before, details, standing if self.on_terminal else due)
            if is_news:
                self._send(written, before, due)
                written = _told(written, due)
        finally:  # what nobody could be told is told by the next run
            runs.save(self.cache, written, kind)
            runs.prune(self.cache, self.limits.keep_logs)
            if kind == runs.SYNC:
                busy.forget(self.cache)
            renew_metrics(self.cache)

    def tell_busy(self, reason: str) -> None:
        """Say that another writer keeps us out, if it does so for long; else from cron nothing is said."""
        alarm = busy.note(self.cache, reason, self.limits.busy_s, self.clock())
        if alarm is not None:
            if not self.on_terminal:  # there the end of the command says who is at work
                sys.stderr.write(f"{self.cache.observatory}: {alarm.text}\n")
            self._notify(alarm, {"command": "cron_sync"})

    def _print(
        self, run: Run, result: Result, before: Record | None, details: Sequence[str], told: Sequence[Alarm]
    ) -> None:
        texts = {alarm.kind.value: alarm.text for alarm in told}
        out, err = report.lines(self.cache.observatory, result, before, texts)
        if result.status != Status.OK:
            err.append(f"{self.cache.observatory}: the log is {runs.log_path(self.cache, run)}")
        # Where the summary is wanted as data, nothing else goes to standard output.
        if not (self.options.json or self.options.quiet):
            lines = [*details, *out] if self.has_reader else out
            sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stderr.write("".join(f"{line}\n" for line in err))

    def _send(self, written: Record, before: Record | None, due: Sequence[Alarm]) -> None:
        ended = alarms.outcome(written, before)
        for alarm in due if ended is None else (ended, *due):
            self._notify(alarm, asdict(written.run))

    def _notify(self, alarm: Alarm, run: Mapping[str, object]) -> None:
        if not self.limits.command:
            return
        where = {"observatory": self.cache.observatory, "cache": str(self.cache.root)}
        environ = leased.restored(self.environ)
        told = {**where, **run, **alarm.to_json()}
        notify.send(self.limits.command, told, environ, self.limits.command_timeout_s)


def renew_metrics(cache: Layout) -> None:
    """Write what monitoring reads anew."""
    from crdscache.workflow import metrics  # slow to import

    metrics.write(cache)


def _told(written: Record, due: Sequence[Alarm]) -> Record:
    """Note what was told."""
    at, told = written.ended, written.alarms_told
    fresh = {topic: when for topic, when in told.items() if times.is_recent(when, report.TELL_AGAIN_S, at)}
    now = {topic: at for alarm in due for topic in alarm.topics}
    failures_told = None if written.result.status == Status.OK else at
    return replace(written, failures_told=failures_told, alarms_told={**fresh, **now})
