"""What `affected_datasets` does: which changes are to be told of, a workflow for each, then the mark."""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from crdscache.affected import transitions
from crdscache.affected.transitions import Mark, Point
from crdscache.cache import identity, lease, locks, publish, rules, serverconfig, writers
from crdscache.cache.layout import Layout
from crdscache.commands.reader import Reader
from crdscache.commands.telling import Teller
from crdscache.contexts import closure, times
from crdscache.contexts.catalogue import Catalogue
from crdscache.contexts.changes import Transition
from crdscache.contexts.records import Problem
from crdscache.errors import CacheError, ContextError, SettingsError, disk_error
from crdscache.workflow import affecting, cluster, joblog, launch, report, reporting, runs, steps
from crdscache.workflow.affecting import Report
from crdscache.workflow.runs import Result, Run
from crdscache.workflow.status import Status

if TYPE_CHECKING:
    from crdscache.affected.results import Summary
    from crdscache.affected.spool import Delivery

_MOST_AT_ONCE = 5  # more changes at once make one digest
_PATIENCE_S = 24 * 3600  # rules that are not here for so long do not come by themselves


def run(found: Reader, options: argparse.Namespace) -> int:
    """Run `affected_datasets`, and give its exit status."""
    if options.load is not None or options.using is not None:
        from crdscache.commands import cataloguing

        return (cataloguing.load if options.load is not None else cataloguing.using)(found, options)
    return AffectedRun(found, options).run()


@dataclass(slots=True)
class Told:
    """What a run has to say at its end."""

    news: list[str] = field(default_factory=list)
    failures: list[Problem] = field(default_factory=list)
    message: str = ""  # what is to be tried again
    summaries: "list[Summary]" = field(default_factory=list)


class AffectedRun:
    """One run: reports on changes of the default, or on two contexts that were named."""

    def __init__(self, found: Reader, options: argparse.Namespace) -> None:
        self._found, self._config, self._options = found, found.config, options
        self._directory = self._config.readers
        self._marks = self._directory / affecting.DIRECTORY
        self._recipients = reporting.recipients(found.values)
        self._follows = options.old_context is None
        self._told = Told()
        if options.mail and not (self._recipients and found.values["mail_server"]):
            message = "--mail: set mail_recipients for this observatory and use case, and mail_server"
            raise SettingsError(message)

    @property
    def _sends(self) -> bool:
        is_usual = self._follows and bool(self._recipients) and self._found.values["mail_server"] is not None
        return self._options.mail or (is_usual and not self._options.no_mail)

    def run(self) -> int:
        """Do it, and give the exit status."""
        run, lock_file = runs.begin("affected_datasets"), self._lock_file()
        with locks.exclusive(lock_file, busy="another affected_datasets is at work") as lock:
            try:
                self._deliver()
                for planned, mark in self._reports(run):
                    if not self._do(run, planned, lock):
                        break
                    if mark is not None:
                        transitions.save(self._marks, mark)
                    affecting.prune(self._marks, self._found.values["keep_reports"])
            except SettingsError:
                raise
            except CacheError as error:
                if not self._follows:
                    raise
                return self._end(run, Status.FATAL, str(error))
            return self._end(run, Status.ERR if self._told.failures or self._told.message else Status.OK)

    def _lock_file(self) -> Path:
        cache = self._config.cache
        if identity.load(cache) is None and not serverconfig.exists(cache.config):
            raise identity.no_cache(cache)  # a disk that is not mounted must not be written to
        if self._directory.is_relative_to(cache.root):
            writers.settle_umask(cache)
        self._directory.mkdir(parents=True, exist_ok=True)
        state = cache.state
        return (state if os.access(state, os.W_OK) else self._directory) / affecting.LOCK

    def _deliver(self) -> None:
        """Send what could not be sent before."""
        from crdscache.affected.spool import Spool

        spool = Spool(self._directory / affecting.MAIL)
        if self._options.no_mail or not spool.pending():
            return
        from crdscache.affected import mailing

        route = reporting.mail_route(self._found.values, self._found.environ)
        for delivery in mailing.deliver(spool, route) if route else ():
            self._tell_delivery(delivery)

    def _reports(self, run: Run) -> Iterator[tuple[Report, Mark | None]]:
        """Settle what is to be told of, and the mark that says that it was."""
        if not self._follows:
            asked = self._options.old_context, self._options.new_context
            with lease.take(self._config.cache, *asked) as held:
                change = Transition(*(held.hold(context) for context in asked))
                _require_rules(self._config.cache, self._load_rules(), change)
                yield affecting.report([affecting.step(held, change)], run.run_id, sends=self._sends), None
            return
        points = self._points()
        mark = transitions.load(self._marks)
        if mark is None:
            self._set_first_mark(points)
            return
        waiting = transitions.since(mark, points)
        if not waiting:
            return
        with lease.take(self._config.cache) as held:
            ready = self._ready(held, waiting)
            groups = [ready] if len(ready) > _MOST_AT_ONCE else [[each] for each in ready]
            for group in groups:
                settled = [affecting.step(held, each) for each in group]
                planned = affecting.report(settled, group[-1].when, sends=self._sends)
                yield planned, transitions.mark_at(points, group[-1])

    def _points(self) -> list[Point]:
        if self._found.values["follow"] == "cache":
            return transitions.of_cache(self._config.cache)
        from crdscache.server.rpc import RpcClient

        with RpcClient(self._config.server_url, self._config.patience) as server:
            return transitions.of_server(server.history(self._config.cache.observatory))

    def _set_first_mark(self, points: Sequence[Point]) -> None:
        if points:
            mark = transitions.mark_at(points)
            transitions.save(self._marks, mark)
            self._told.news.append(
                f"first run: changes of the default context are followed from {mark.last.context} on"
            )

    def _ready(self, held: lease.Lease, waiting: Sequence[Transition]) -> list[Transition]:
        """Take changes, in order, up to the first one whose rules are not here yet."""
        ready, load = [], self._load_rules()
        for each in waiting:
            try:
                held.hold(each.old), held.hold(each.new)
                _require_rules(self._config.cache, load, each)
            except ContextError as error:
                if times.age_s(each.when) > _PATIENCE_S:
                    self._told.message = f"{each.old} --> {each.new} cannot be compared: {error}"
                elif self._options.verbose:
                    self._told.news.append(f"{each.old} --> {each.new}: not yet: {error}")
                break
            ready.append(each)
        return ready

    def _load_rules(self) -> closure.Load:
        cache = self._config.cache
        return rules.Rules(cache.mappings, Catalogue({}), steps.links(cache)).load

    def _do(self, run: Run, planned: Report, lock: int) -> bool:
        """Run the workflow for one report, and note what came of it; False: it has to be done again."""
        from crdscache.affected import mailing, results

        place, log = self._marks / planned.name, self._log(run)
        _forget_unread(self._marks, planned)
        keys = {"run_id": run.run_id, "on_terminal": False, "held_context": "", "batch": "none"}
        values = {**self._found.values, **keys, "affected_report": affecting.to_config(planned)}
        cores, environ = self._options.cores, self._found.environ
        profile = values["readers_profile"]
        grouped = cluster.grouping(
            "affected_instrument", sum(len(step.instruments) for step in planned.steps)
        )
        start = launch.Start(
            "affected", values, cores, environ, "readers.smk", self._directory, profile, grouped
        )
        if not log.exists():
            joblog.log_to(log)
        end = launch.run(start, self._config.cache, lock, log, None)
        receipt = mailing.load(place)
        if receipt is None or receipt.run_id != planned.run_id:
            raise CacheError(end.message)
        summary = results.load_summary(place / "summary.json")
        if self._options.server_list:
            self._compare_with_server(place, summary)
        self._note(planned, place, summary)
        for delivery in receipt.deliveries:
            self._tell_delivery(delivery)
        return summary.disposition is not results.Disposition.FAILED

    def _compare_with_server(self, place: Path, summary: "Summary") -> None:
        from crdscache.affected import serverlist
        from crdscache.server.rpc import RpcClient

        with RpcClient(self._config.server_url, self._config.patience) as server:
            told, problem = serverlist.beside(server, place, summary)
        self._told.news.append(told)
        if problem is not None:
            self._told.failures.append(problem)

    def _note(self, planned: Report, place: Path, summary: "Summary") -> None:
        from crdscache.affected import results

        self._told.summaries.append(summary)
        self._told.failures += results.problems(summary)
        if summary.disposition is results.Disposition.FAILED:
            self._told.message = f"{planned.name}: the data sets could not be read to their end"
        where = place
        if self._options.output is not None:
            where = _copy(place, self._options.output)
        count = f"{summary.n_affected} products affected"
        pair = f"{planned.steps[0].old} --> {planned.steps[-1].new}"
        self._told.news.append(f"{pair}: {summary.disposition.value}, {count}; in {where}")

    def _tell_delivery(self, delivery: "Delivery") -> None:
        if delivery.sent:
            self._told.news.append(f"mail {delivery.key} sent to {', '.join(delivery.sent)}")
        self._told.failures += [
            Problem(f"mail {delivery.key}", f"{recipient} refused: {reason}")
            for recipient, reason in delivery.refused.items()
        ]
        if delivery.waiting:
            self._told.message = f"mail {delivery.key} waits for the next run: {delivery.reason}"

    def _log(self, run: Run) -> Path:
        state = self._config.cache.state
        home = state if os.access(state, os.W_OK) else self._directory
        return home / "logs" / f"run-{run.run_id}.log"

    def _end(self, run: Run, status: Status, message: str = "") -> int:
        """Tell what is news, and record the run, unless there was nothing to do."""
        told, cache = self._told, self._config.cache
        result = Result(
            status, failures=tuple(told.failures), message=message or told.message, news=tuple(told.news)
        )
        before = runs.last(cache, runs.AFFECTED)
        is_idle = status == Status.OK and not told.news and (before is None or not before.result.message)
        if not is_idle and os.access(cache.state, os.W_OK):
            teller = Teller(
                cache, self._options, sys.stderr.isatty(), self._config.telling, self._found.environ
            )
            teller.tell(run, result, kind=runs.AFFECTED)
        elif not is_idle:
            out, err = report.lines(cache.observatory, result, before)
            sys.stderr.write("".join(f"{line}\n" for line in (*out, *err)))
        if self._options.json:
            reports = [summary.to_json() for summary in told.summaries]
            sys.stdout.write(json.dumps({"status": status, "reports": reports}, indent=2) + "\n")
        return status


def _require_rules(cache: Layout, load: closure.Load, change: Transition) -> None:
    """Refuse contexts of which rules are not here yet; what is wrong with rules that are here is told later.

    Raises
    ------
    ContextError
        The message has the command that brings them.
    """
    for context in (change.old, change.new):
        names = [problem.name for problem in closure.walk(context, load).problems]
        missing = [name for name in names if not (cache.mappings / name).exists()]
        if missing:
            cure = f"cron_sync --contexts {context} brings them"
            raise ContextError(context, f"lacks {len(missing)} mappings, {missing[0]} first: {cure}")


def _forget_unread(directory: Path, planned: Report) -> None:
    """Have done again what could not be read to its end the last time."""
    from crdscache.affected import results

    places = ((directory / step.name, each) for step in planned.steps for each in step.instruments)
    unread = [
        path
        for path in (place / f"{each}.json" for place, each in places)
        if path.exists() and results.load(path).unread
    ]
    # Snakemake makes nothing anew that only a result needs which is there.
    after = [directory / planned.name / name for name in ("summary.json", "mail.json")] if unread else []
    for path in (*after, *unread):
        path.unlink(missing_ok=True)


def _copy(place: Path, output: Path) -> Path:
    from crdscache.affected import serverlist

    names = ("ids.txt", "ids.txt.gz", "affected.tsv", "undetermined.tsv", "failed.tsv", "log.txt")
    try:
        output.mkdir(parents=True, exist_ok=True)
        for name in (*names, "summary.json", "mail.eml", *serverlist.FILES):
            if (place / name).exists():
                with publish.publish(output / name) as temporary:
                    shutil.copyfile(place / name, temporary)
    except OSError as error:
        raise disk_error(error, output) from error
    return output
