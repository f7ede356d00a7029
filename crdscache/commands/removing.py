"""The purge as part of a command: after all else, under a lock of its own, by the plan that was told."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from crdscache.cache import identity, locks, restore
from crdscache.cache.removal import Deed
from crdscache.commands import preview
from crdscache.commands.telling import Teller
from crdscache.errors import CacheError
from crdscache.workflow import joblog, launch, purging, report, runs, status
from crdscache.workflow.runs import Result, Run
from crdscache.workflow.settings import Settings
from crdscache.workflow.status import Status


@dataclass(frozen=True, slots=True)
class Removing:
    """One purge of a cache."""

    config: Settings
    values: Mapping[str, Any]  # the same settings, for the workflow
    environ: Mapping[str, str]
    teller: Teller
    cores: int | None

    def also_keeping(self, context: str | None) -> Self:
        """Keep one more context: the edit context of the configuration that this run has written anew."""
        names = tuple(dict.fromkeys((*self.config.keeping.pinned, *filter(None, [context]))))
        config = replace(self.config, keeping=replace(self.config.keeping, pinned=names))
        return replace(self, config=config, values={**self.values, "pinned": list(names)})

    def run(self, command: str) -> Result:
        """Make an estimate, carry it out, and tell what went.

        Raises
        ------
        LockedError
            Another writer is at work.
        """
        cache, run = self.config.cache, runs.begin(command)
        with locks.WriterLock(cache, command, run.run_id) as lock:
            joblog.log_to(runs.log_path(cache, run))
            try:
                result = self._purge(run, lock.descriptor)
            except CacheError as error:
                result = Result(status.of(error), message=str(error))
            result = replace(result, news=(*lock.warnings, *result.news))
            self.teller.tell(run, result, kind=runs.PURGE)
        return result

    def _purge(self, run: Run, lock: int) -> Result:
        stamp = identity.admit(self.config.cache, self.config.server_url, self.config.use_case)
        made = purging.estimate(self.config, preview.ask(self.config, stamp))
        purging.save(self.config, made)
        if made.problems:
            return Result(Status.ERR, failures=made.problems)
        if not made.rows:
            return Result(Status.OK)
        # What an operator has looked at is carried out, or nothing.
        plan = self.config.purging.plan or made.plan
        of_run = {"run_id": run.run_id, "set_up": False, "on_terminal": self.teller.on_terminal, "ends": None}
        start = launch.Start("purge", {**self.values, **of_run, "purge_plan": plan}, self.cores, self.environ)
        end = launch.run(start, self.config.cache, lock, runs.log_path(self.config.cache, run), None)
        deed = _deed(self.config.cache.state / purging.DEED, run.run_id)
        if deed is not None:
            return self._told(deed)
        locks.require_held(lock, self.config.cache)
        return Result(end.outcome, message=end.message)

    def _told(self, deed: Deed) -> Result:
        told = (
            f"purged {deed.n_mappings} mappings and {deed.n_references} references "
            f"({report.size(deed.size_bytes)}) by {deed.plan}; the disk gets {deed.frees_bytes} bytes back "
            f"once the trash is emptied; cron_sync --restore {deed.run_id} brings them back"
        )
        news = [told] if deed.n_files else []
        if deed.n_files and self.config.keeping.trash_days == 0:
            n_files, frees_bytes = restore.empty(self.config.cache, [deed.run_id])
            news = [f"purged {n_files} files by {deed.plan}; the disk got {frees_bytes} bytes back"]
        if deed.n_vanished:
            news.append(f"{deed.n_vanished} files had vanished meanwhile")
        return Result(Status.ERR if deed.failures else Status.OK, failures=deed.failures, news=tuple(news))


def _deed(path: Path, run_id: str) -> Deed | None:
    deed = purging.load_deed(path) if path.exists() else None
    return deed if deed is not None and deed.run_id == run_id else None
