"""`cron_sync --pin C`, `--unpin`, `--rollback`: the default context moved on purpose, without a server."""

import argparse
import gc
import json
import sys
from dataclasses import asdict, dataclass

from crdscache.cache import answer, commit, identity, locks, pins
from crdscache.cache.answer import Answer
from crdscache.cache.commit import Promise
from crdscache.cache.identity import Identity
from crdscache.cache.manifest import Disk
from crdscache.cache.rules import Rules
from crdscache.commands import telling
from crdscache.contexts import names, selection
from crdscache.contexts.records import Problem
from crdscache.contexts.selection import Wanted
from crdscache.errors import CacheError, SettingsError
from crdscache.workflow import joblog, report, runs, steps
from crdscache.workflow.runs import Result
from crdscache.workflow.settings import Settings
from crdscache.workflow.status import Status

_COMMAND = "cron_sync"


def is_asked(options: argparse.Namespace) -> bool:
    """Tell whether a command line is about pins."""
    given = vars(options)
    return given.get("pin") is not None or bool(given.get("unpin") or given.get("rollback"))


def run(config: Settings, stamp: Identity, options: argparse.Namespace) -> int:
    """Move the default, hold it or let it go; tell it, and give the exit status.

    Raises
    ------
    SettingsError
        What is to be pinned is no context.
    """
    if options.pin is not None and names.is_mapping(options.pin) and not options.pin.endswith(".pmap"):
        raise SettingsError(f"--pin {options.pin}: expected a context: hst_0001.pmap, say, or a date")
    if options.dry_run:
        joblog.log_to(None)
        result = _aim(config, stamp, options).result
        _tell(config, options, result, stamp)
        return result.status
    gc.disable()  # as in a sync: a catalogue is many small objects without cycles
    begun = runs.begin(_COMMAND)
    with locks.WriterLock(config.cache, _COMMAND, begun.run_id) as lock:
        log = runs.log_path(config.cache, begun)
        joblog.log_to(log)
        # Again: what was read before the lock another writer may have changed.
        stamp = identity.admit(config.cache, config.server_url, config.use_case)
        try:
            aim = _aim(config, stamp, options)
            aim.carry_out()
            result = aim.result
        except SettingsError:
            raise
        except CacheError as error:
            result = Result(Status.FATAL, message=str(error))
        _tell(config, options, result, stamp)
        sys.stderr.write("".join(f"{config.cache.observatory}: {told}\n" for told in lock.warnings))
        if result.status != Status.OK:
            sys.stderr.write(f"{config.cache.observatory}: the log is {log}\n")
        runs.record(config.cache, begun, result, told=None, kind=runs.PINNING)
        runs.prune(config.cache, config.telling.keep_logs)
        telling.renew_metrics(config.cache)
    return result.status


@dataclass(frozen=True, slots=True)
class _Aim:
    """What is to become of the default; nothing is done yet."""

    said: Answer  # the saved configuration
    disk: Disk
    promise: Promise
    context: str | None  # to be held; None: the default stays where it is
    why: str | None  # None: the pin goes
    result: Result  # if it is done, or why it cannot be

    def carry_out(self) -> None:
        """Do it, unless it cannot be done."""
        if self.result.status != Status.OK:
            return
        if self.context is None or self.why is None:
            pins.release(self.disk.cache, self.said.info, self.promise.recorded)
        else:
            pins.hold(self.disk, self.said.info, self.promise, self.context, self.why)


def _aim(config: Settings, stamp: Identity, options: argparse.Namespace) -> _Aim:
    said = answer.saved(config.cache, Wanted())
    links = None if options.dry_run else config.cache.state / steps.LINKS
    load = Rules(config.cache.mappings, said.catalogue, links).load
    disk = steps.disk(config, said, load, known={})
    holdings = identity.promised(stamp.holdings, config.holdings, identity.NONE)
    promise = commit.Promise(stamp, holdings, config.tolerate_missing)
    default = said.info.default_context
    if options.unpin:
        return _Aim(said, disk, promise, None, None, Result(Status.OK, default, default))
    pins.require_movable(config.cache)
    if options.rollback:
        why, context = identity.ROLLBACK, pins.former(config.cache, said.info, stamp)
    else:
        why, context = identity.PIN, selection.resolve(said.info, options.pin)
    if context is None:
        message = (
            f"there is no default context before {default}, neither in "
            f"{config.cache.state / 'switches.tsv'} nor in the history that the server told; "
            "cron_sync --pin C takes any that is whole here"
        )
        result = Result(Status.ERR, default, default, message=message, pinned=stamp.pinned)
        return _Aim(said, disk, promise, None, why, result)
    lacks = disk.lacks(context, holdings, config.tolerate_missing)
    result = Result(Status.OK, default, context, pinned=context)
    if lacks:
        message = (
            f"{context} is not whole here, so nothing was changed: {report.count(lacks)}; "
            f"cron_sync --contexts {context} --fetch-references brings what it lacks"
        )
        failures = tuple(Problem(name, f"{context} needs it; it is missing or wrong") for name in lacks)
        result = Result(Status.ERR, default, default, failures=failures, message=message, pinned=stamp.pinned)
    return _Aim(said, disk, promise, context, why, result)


def _tell(config: Settings, options: argparse.Namespace, result: Result, before: Identity) -> None:
    observatory = config.cache.observatory
    if result.message:
        sys.stderr.write(f"{observatory}: {result.message}\n")
    if options.json:
        sys.stdout.write(json.dumps(asdict(result), indent=2) + "\n")
    elif result.status == Status.OK and not options.quiet:
        dry = "dry run: " if options.dry_run else ""
        sys.stdout.write(f"{observatory}: {dry}default context {_outcome(result, before)}\n")


def _outcome(result: Result, before: Identity) -> str:
    if result.pinned is not None:
        moved = f"{result.default_before} -> " if result.default_before != result.default_after else ""
        return f"{moved}{result.default_after}, pinned until cron_sync --unpin"
    if before.pinned is None:
        return f"{result.default_after}, which was not pinned"
    return f"{result.default_after}, no longer pinned: the next sync follows the server"
