"""A run of a command that writes: settings, lock, plan in process, snakemake if there is work, the end."""

import argparse
import json
import sys
from collections.abc import Collection, Mapping
from dataclasses import asdict, replace
from typing import Any

from crdscache.cache import (
    check,
    checkreport,
    commit,
    hashes,
    identity,
    keep,
    locks,
    plan,
    tables,
    trees,
    writers,
)
from crdscache.commands import alone, ending, overrides, pinning, trashing
from crdscache.commands.telling import Teller
from crdscache.commands.verification import Verification
from crdscache.errors import CacheError, LockedError, SettingsError
from crdscache.workflow import joblog, launch, listed, runs, settings, status, steps
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
        # By a setting alone no sync does: it would fill the place of a disk that is not mounted.
        self.sets_up = target == "init" or bool(vars(options).get("context_list"))

    def main(self) -> int:
        """Do it, and give the exit status."""
        tells_busy, as_json = self.on_terminal or self.options.verbose, bool(self.options.json)
        return ending.run(self.command, self._main, tells_busy=tells_busy, as_json=as_json)

    def _main(self) -> int:
        alone.require(vars(self.options))
        given = overrides.collect(self.options)
        resolved = settings.resolve(given, self.environ, self.options.site)
        values = {key: setting.value for key, setting in resolved.items()}
        values = settings.for_set_up(values) if self.target == "init" else listed.narrow(values, given)
        config = settings.typed(values)
        stamp = self._stamp(config)
        trees.require_apart(config.trees, config.cache)
        if config.readonly_cache and not self.options.dry_run:
            message = "CRDS_READONLY_CACHE is set: nothing may be written"
            raise CacheError(message)
        if not self.options.dry_run:
            identity.require_writer(config.cache, stamp)
            writers.settle_umask(config.cache)
        if pinning.is_asked(self.options):
            return pinning.run(config, stamp, self.options)
        if trashing.is_asked(self.options):
            return trashing.run(config, self.options, self._teller(config))
        if self.options.dry_run:
            from crdscache.commands import rehearsal  # slow to import, as it asks a server: pins need none

            joblog.log_to(None)
            return rehearsal.tell(config, stamp, self.options)
        edited = keep.edit_context(config.cache) if config.purging else None  # before it is written anew
        written = self._locked(config, values)
        verified = None
        if config.check_sha1sum and written.status in {Status.OK, Status.ERR}:
            verified, written = self._verified(config, values, written)
        purged = None
        if config.purging and written.status in {Status.OK, Status.ERR}:
            purged = self._purged(config, values, edited)
            written = replace(written, status=written.status or purged.status)
        if self.options.json:
            parts = {"verification": verified, "purge": purged}
            told = {key: None if part is None else asdict(part) for key, part in parts.items()}
            sys.stdout.write(json.dumps({**asdict(written), **told}, indent=2) + "\n")
        return written.status

    def _verified(
        self, config: Settings, values: Mapping[str, Any], written: Result
    ) -> tuple[Result | None, Result]:
        """Compare sums once the writer's lock is given back; take it again to replace what is wrong."""
        verification = Verification(config, values, self.environ, self._teller(config), self.options.cores)
        try:
            verified = verification.run()
        except LockedError:
            if written.status == Status.OK:
                raise
            return None, written  # that files failed says more than that another check is at work
        if verified.failures and config.policy.repairs:
            return verified, self._locked(config, values)
        return verified, replace(written, status=written.status or verified.status)

    def _purged(self, config: Settings, values: Mapping[str, Any], edited: str | None) -> Result:
        from crdscache.commands.removing import Removing  # as above

        removing = Removing(config, values, self.environ, self._teller(config), self.options.cores)
        return removing.also_keeping(edited).run(self.command)

    def _teller(self, config: Settings) -> Teller:
        return Teller(config.cache, self.options, self.on_terminal, config.telling, self.environ)

    def _stamp(self, config: Settings) -> identity.Identity:
        if vars(self.options).get("rebind"):
            return identity.rebound(config.cache, config.server_url, config.use_case)
        return listed.admit(config, set_up=self.sets_up)

    def _locked(self, config: Settings, values: Mapping[str, Any]) -> Result:
        from crdscache.commands import preview  # as above

        run = runs.begin(self.command)
        if self.sets_up:
            config.cache.root.mkdir(parents=True, exist_ok=True)
        with self._lock(config, run) as lock:
            joblog.log_to(runs.log_path(config.cache, run))
            stamp = self._stamp(config)  # again: before we had the lock another writer may have changed it
            try:
                result = preview.find_nothing_to_do(config, stamp) or self._workflow(
                    config, run, values, lock.descriptor
                )
            except SettingsError:
                raise
            except CacheError as error:
                result = Result(status.of(error), message=str(error))
            result = replace(result, news=(*lock.warnings, *result.news, *trashing.tidy(config)))
            result, details = self._with_details(config, result)
            self._teller(config).tell(run, result, details)
        return result

    def _lock(self, config: Settings, run: Run) -> locks.WriterLock:
        try:
            return locks.WriterLock(config.cache, self.command, run.run_id)
        except LockedError as error:
            joblog.log_to(None)
            self._teller(config).tell_busy(str(error))
            raise

    def _with_details(self, config: Settings, result: Result) -> tuple[Result, list[str]]:
        """Add what a check says of each file, where somebody wants to know."""
        teller = self._teller(config)
        details = _brought(config) if teller.has_reader and any(map(result.n_files.get, runs.BROUGHT)) else []
        if (
            config.check_files
            and not config.check_sha1sum
            and result.status != Status.FATAL
            and (teller.has_reader or self.options.json)
        ):
            here, drawn = steps.saved_plan(config)
            verdicts = check.of_plan(drawn, here)
            result = replace(result, verdicts=check.counts(verdicts))
            details += checkreport.text(drawn.manifest, verdicts).splitlines()
        return result, details

    def _workflow(self, config: Settings, run: Run, values: Mapping[str, Any], lock: int) -> Result:
        from crdscache.workflow import live  # slow to import, and most runs find nothing to do

        run_keys = {"run_id": run.run_id, "set_up": self.sets_up, "on_terminal": self.on_terminal}
        run_keys |= {"ends": runs.end_of_time(config.transfers)}
        start = launch.Start(self.target, {**values, **run_keys}, self.options.cores, self.environ)
        log = runs.log_path(config.cache, run)

        def totals() -> tuple[int, int]:
            numbers = plan.load_totals(config.cache.state / "plan" / "totals.json")
            return numbers.n_fetch + numbers.n_adopt, numbers.fetch_bytes + numbers.adopt_bytes

        with live.line(totals, shown=self.on_terminal and not self.options.quiet) as tell:
            end = launch.run(start, config.cache, lock, log, tell)
        summary_file = config.cache.state / "commit.json"
        summary = commit.load(summary_file) if summary_file.exists() else None
        if summary is not None and summary.run_id == run.run_id:
            result = runs.result_of(summary)
            return replace(result, lost=_lost(config, result.pending))
        locks.require_held(lock, config.cache)
        return Result(end.outcome, message=end.message)


def _lost(config: Settings, pending: Collection[str]) -> tuple[str, ...]:
    """Name what was here before, of what is not delivered."""
    known = hashes.load(config.cache.state / hashes.FILE) if pending else {}
    return tuple(name for name in pending if name in known)


def _brought(config: Settings) -> list[str]:
    state = config.cache.state
    # By number: an earlier run may have had more of them.
    receipts = [
        state / "mappings.tsv",
        *(state / "fetched" / f"{shard}.tsv" for shard in range(config.shards)),
    ]
    return [
        f"{receipt.outcome.value} {receipt.name} {receipt.size_bytes} bytes"
        for path in receipts
        for receipt in tables.read_receipts(path)
        if receipt.outcome.is_brought
    ]
