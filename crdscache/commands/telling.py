"""What a run tells: people, by what is news to them, and the state, for the next run and for monitoring."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from crdscache.cache.layout import Layout
from crdscache.workflow import report, runs
from crdscache.workflow.runs import Record, Result, Run
from crdscache.workflow.status import Status


@dataclass(frozen=True, slots=True)
class Teller:
    """Tells how runs of one command end."""

    cache: Layout
    options: argparse.Namespace
    on_terminal: bool
    keep_logs: int

    @property
    def has_reader(self) -> bool:
        """Whether somebody asked for details, and reads them."""
        return self.options.verbose and self.on_terminal and not self.options.quiet

    def tell(self, run: Run, result: Result, details: Sequence[str] = (), kind: str = runs.SYNC) -> None:
        """Print what is news of a run, and record how it ended.

        Parameters
        ----------
        details
            Lines for whoever asked for them.
        kind
            Of the run: its failures are compared with those of the last run of its kind.
        """
        before = runs.last(self.cache, kind)
        is_news = report.is_news(result, before)
        if self.on_terminal or is_news:
            self._print(run, result, before, details)
        told_before = before.failures_told if before is not None else None
        told = None if result.status == Status.OK else run.started if is_news else told_before
        runs.record(self.cache, run, result, told=told, kind=kind)
        runs.prune_logs(self.cache, self.keep_logs)

    def _print(self, run: Run, result: Result, before: Record | None, details: Sequence[str]) -> None:
        out, err = report.lines(self.cache.observatory, result, before)
        if result.status != Status.OK:
            err.append(f"{self.cache.observatory}: the log is {runs.log_path(self.cache, run)}")
        # Where the summary is wanted as data, nothing else goes to standard output.
        if not (self.options.json or self.options.quiet):
            lines = [*details, *out] if self.has_reader else out
            sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stderr.write("".join(f"{line}\n" for line in err))
