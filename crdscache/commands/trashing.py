"""The trash by hand and by the way: brought back, emptied, kept within its bounds; no server is asked."""

import argparse
import json
import sys
from dataclasses import asdict, replace

from crdscache.cache import locks, restore
from crdscache.commands.telling import Teller
from crdscache.workflow import joblog, report, runs
from crdscache.workflow.runs import Result
from crdscache.workflow.settings import Settings
from crdscache.workflow.status import Status


def is_asked(options: argparse.Namespace) -> bool:
    """Tell whether a command is about the trash alone."""
    given = vars(options)
    return bool(given.get("restore") or given.get("empty_trash"))


def run(config: Settings, options: argparse.Namespace, teller: Teller) -> int:
    """Bring back what a run has taken out, or give the space of the trash back; the exit status.

    Raises
    ------
    SettingsError
        There is no such run in the trash.
    """
    if options.dry_run:
        joblog.log_to(None)
        result = _done(config, options)
        sys.stdout.write("".join(f"{config.cache.observatory}: dry run: {line}\n" for line in result.news))
        problems = report.failures(result.failures, report.MOST_LINES)
        sys.stderr.write("".join(f"{line}\n" for line in problems))
        return result.status
    begun = runs.begin("cron_sync")
    with locks.WriterLock(config.cache, "cron_sync", begun.run_id) as lock:
        joblog.log_to(runs.log_path(config.cache, begun))
        result = _done(config, options)
        result = replace(result, news=(*lock.warnings, *result.news))
        teller.tell(begun, result, kind=runs.PURGE)
    if options.json:
        sys.stdout.write(json.dumps(asdict(result), indent=2) + "\n")
    return result.status


def _done(config: Settings, options: argparse.Namespace) -> Result:
    if options.restore:
        back = restore.restore(config.cache, options.restore, dry_run=options.dry_run)
        word = "would bring" if options.dry_run else "brought"
        news = f"{word} back {back.n_files} files ({back.size_bytes} bytes) of {options.restore}"
        status = Status.ERR if back.left else Status.OK
        return Result(status, failures=back.left, news=(news,))
    waiting = restore.bins(config.cache)
    told = tuple(
        f"trash of {one.run_id}: {one.n_files} files, {one.size_bytes} bytes, frees {one.frees_bytes}"
        for one in waiting
    )
    if options.dry_run:
        return Result(Status.OK, news=(*told, f"would empty the trash: {len(waiting)} runs"))
    n_files, frees_bytes = restore.empty(config.cache, [one.run_id for one in waiting])
    return Result(Status.OK, news=(f"emptied the trash: {n_files} files, {frees_bytes} bytes free again",))


def tidy(config: Settings) -> tuple[str, ...]:
    """Empty what was in the trash for long enough, or is in the way; says what went, if something did."""
    keeping = config.keeping
    try:
        due = restore.due(config.cache, keeping.trash_days, keeping.reserve_bytes)
        n_files, frees_bytes = restore.empty(config.cache, due)
    except OSError as error:
        return (f"the trash could not be emptied: {error}",)
    return (f"emptied the trash of {len(due)} runs: {n_files} files, {frees_bytes} bytes",) if due else ()
