"""A run of a command that writes: settings, lock, plan in process, snakemake if there is work, the end."""

import argparse
import gc
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from crdscache.cache import commit, identity, locks, plan, tables
from crdscache.commands import ending, overrides, preview
from crdscache.contexts.records import Outcome
from crdscache.errors import CacheError, SettingsError
from crdscache.workflow import joblog, launch, report, runs, settings
from crdscache.workflow.runs import Result, Run
from crdscache.workflow.settings import Settings
from crdscache.workflow.status import Status


class WriterRun:
    """One run of `cron_sync` or `remote_cache_init`.

    Parameters
    ----------
    target
        What snakemake shall make: `all`, or `init` to set a cache up.
    """

    def __init__(self, command: str, options: argparse.Namespace, target: str) -> None:
        self.command, self.options, self.target = command, options, target
        self.environ = settings.environment()
        self.on_terminal = sys.stderr.isatty()

    def main(self) -> int:
        """Do it, and give the exit status."""
        return ending.run(self.command, self._main, tells_busy=self.on_terminal or self.options.verbose)

    def _main(self) -> int:
        resolved = settings.resolve(overrides.collect(self.options), self.environ, self.options.site)
        values = {key: setting.value for key, setting in resolved.items()}
        if self.target == "init":
            values = settings.for_set_up(values)
        config = settings.typed(values)
        stamp = self._stamp(config)
        if self.options.dry_run:
            joblog.log_to(None)
            return self._dry_run(config, stamp)
        if config.readonly_cache:
            message = "CRDS_READONLY_CACHE is set: nothing may be written"
            raise CacheError(message)
        return self._locked(config, stamp, values)

    def _stamp(self, config: Settings) -> identity.Identity:
        if vars(self.options).get("rebind"):
            return identity.rebound(config.cache, config.server_url, config.use_case)
        return identity.admit(config.cache, config.server_url, config.use_case, set_up=self.target == "init")

    def _locked(self, config: Settings, stamp: identity.Identity, values: Mapping[str, Any]) -> int:
        gc.disable()  # a plan is 100,000 small objects without cycles: looking for some took a third of a run
        run = runs.begin(self.command)
        if self.target == "init":
            config.cache.root.mkdir(parents=True, exist_ok=True)
        with locks.WriterLock(config.cache, self.command, run.run_id) as lock:
            joblog.log_to(runs.log_path(config.cache, run))
            try:
                result = preview.find_nothing_to_do(config, stamp) or self._workflow(
                    config, run, values, lock.descriptor
                )
            except SettingsError:
                raise
            except CacheError as error:
                result = Result(Status.FATAL, message=str(error))
            self._tell(config, run, result)
        return result.status

    def _workflow(self, config: Settings, run: Run, values: Mapping[str, Any], lock: int) -> Result:
        from crdscache.workflow import live  # slow to import, and most runs find nothing to do

        run_keys = {"run_id": run.run_id, "set_up": self.target == "init", "on_terminal": self.on_terminal}
        start = launch.Start(self.target, {**values, **run_keys}, self.options.cores, self.environ)
        log = runs.log_path(config.cache, run)
        with live.line(config.cache, shown=self.on_terminal and not self.options.quiet) as tell:
            end = launch.run(start, config.cache, lock, log, tell)
        summary_file = config.cache.state / "commit.json"
        summary = commit.load(summary_file) if summary_file.exists() else None
        if summary is not None and summary.run_id == run.run_id:
            return runs.result_of(summary)
        message = end.fatal or f"snakemake ended with status {end.status}: {' / '.join(end.tail[-3:])}"
        return Result(Status.FATAL, message=message)

    def _tell(self, config: Settings, run: Run, result: Result) -> None:
        before = runs.last(config.cache)
        is_news = report.is_news(result, before)
        if self.on_terminal or is_news:
            self._print(config, run, result, before)
        elif self.options.json:
            self._print_json(result)
        told_before = before.failures_told if before is not None else None
        told = None if result.status == Status.OK else run.started if is_news else told_before
        runs.record(config.cache, run, result, told=told)
        runs.prune_logs(config.cache, config.keep_logs)

    def _print(self, config: Settings, run: Run, result: Result, before: runs.Record | None) -> None:
        out, err = report.lines(config.cache.observatory, result, before)
        if result.status != Status.OK:
            err.append(f"{config.cache.observatory}: the log is {runs.log_path(config.cache, run)}")
        if self.options.json:
            self._print_json(result)
        elif not self.options.quiet:
            if self.options.verbose and self.on_terminal and result.n_files.get(Outcome.FETCHED.value):
                out = _fetched(config) + out
            sys.stdout.write("".join(f"{line}\n" for line in out))
        sys.stderr.write("".join(f"{line}\n" for line in err))

    def _print_json(self, result: Result) -> None:
        sys.stdout.write(json.dumps(asdict(result), indent=2) + "\n")

    def _dry_run(self, config: Settings, stamp: identity.Identity) -> int:
        seen = preview.foresee(config, stamp)
        problems = tuple(seen.problems())
        if self.options.json:
            told = {**asdict(seen.numbers), "failures": [asdict(problem) for problem in problems]}
            sys.stdout.write(json.dumps(told, indent=2) + "\n")
        else:
            if self.options.verbose:
                sys.stdout.write(plan.estimate(seen.drawn.rows))
            sys.stdout.write(f"{config.cache.observatory}: dry run: {seen.numbers}\n")
        sys.stderr.write("".join(f"{line}\n" for line in report.failures(problems, report.MOST_LINES)))
        return Status.ERR if problems else Status.OK


def _fetched(config: Settings) -> list[str]:
    state = config.cache.state
    receipts = [state / "mappings.tsv", *sorted((state / "fetched").glob("*.tsv"))]
    return [
        f"fetched {receipt.name} {receipt.size_bytes} bytes"
        for path in receipts
        for receipt in tables.read_receipts(path)
        if receipt.outcome is Outcome.FETCHED
    ]
