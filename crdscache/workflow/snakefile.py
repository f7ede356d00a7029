"""What the Snakefile needs before its first rule: the settings of the run, and the writer's lock.

The commands hand both over: the settings in a file that holds the key `run_id`, the lock as standard input.
"""

import atexit
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import yaml

from crdscache.cache import identity, lease, locks, writers
from crdscache.cache.layout import Layout
from crdscache.errors import CacheError, ContextError, NotACacheError, SettingsError
from crdscache.workflow import affecting, cluster, joblog, listed, runs, settings, status, verifying
from crdscache.workflow.variables import Setting

# Targets that ask for something by themselves, as an option of `cron_sync` does.
_ASKED_BY_TARGET = {"check": "check_files", "repair": "repair_files"}
# Targets that look for mappings and references, where nothing says for which.
_PURGES = {"purge", "purge_estimate"}


class _ConfigSettings(Protocol):
    overwrite_config: Mapping[str, Any] | None


class Workflow(Protocol):
    """What we use of Snakemake's `workflow`."""

    config_settings: _ConfigSettings
    local_exec: bool  # else jobs run on other machines


def run_settings(workflow: Workflow, words: Sequence[str]) -> dict[str, Any]:
    """Put together the settings of a run, and tell it by an id.

    The configuration on the command line of snakemake is complete where one of our commands started it.

    Parameters
    ----------
    words
        The command line: Snakemake does not know its own targets yet when it reads the Snakefile. `init` sets
        a cache up.
    """
    overrides = workflow.config_settings.overwrite_config
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"  # for the jobs
    if overrides and "run_id" in overrides:
        return dict(overrides)
    set_up = "init" in words
    try:
        values = _by_hand(overrides or {})
        values = settings.for_set_up(values) if set_up else listed.narrow(values, overrides or {})
        cache = settings.typed(values).cache
        if Path.cwd() != cache.state.resolve():
            message = f"the working directory is {Path.cwd()}; the state of this cache is {cache.state}"
            raise SettingsError(message)
    except CacheError as error:
        raise SystemExit(str(error)) from None
    writers.settle_umask(cache)  # jobs inherit it, as they do from our commands
    values |= {key: True for word, key in _ASKED_BY_TARGET.items() if word in words}
    if not _PURGES.isdisjoint(words) and not settings.typed(values).purging:
        values |= {"purge_mappings": True, "purge_references": True}
    of_run = {"run_id": runs.new_id(), "set_up": set_up, "on_terminal": False}
    return values | of_run | {"ends": runs.end_of_time(settings.typed(values).transfers)}


def reader_settings(workflow: Workflow) -> dict[str, Any]:
    """Put together the settings of a run that only reads a cache.

    The context that it works with is settled here: if the default has moved, another run works anew.
    """
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"  # for the jobs
    os.environ["MPLCONFIGDIR"] = str(Path.cwd() / "matplotlib")  # its list of fonts would land in HOME
    overrides = workflow.config_settings.overwrite_config or {}
    if "held_context" in overrides:  # a job on another machine gets all
        return dict(overrides)
    try:
        values = _by_hand(overrides)
        cache = settings.typed(values).cache
        if Path.cwd() == cache.state.resolve():
            message = (
                f"the working directory is the writer's: snakemake -s readers.smk -d {cache.state}/readers"
            )
            raise SettingsError(message)
        if Path.cwd().is_relative_to(cache.root.resolve()):
            writers.settle_umask(cache)
        context = _resolved(cache, values["bestrefs_context"])
        told = affecting.to_config(affecting.by_hand(cache, values))
    except CacheError as error:
        raise SystemExit(str(error)) from None
    batch = Path(values["bestrefs_list"]).stem if values["bestrefs_list"] else "none"
    of_run = {"run_id": runs.new_id(), "on_terminal": False}
    return values | of_run | {"held_context": context, "batch": batch, "affected_report": told}


def _resolved(cache: Layout, asked: str | None) -> str:
    """Name a context; nothing where there is none: `--lint` needs no cache, and a job will say so."""
    try:
        with lease.take(cache, asked) as held:
            return held.contexts[0]
    except (ContextError, NotACacheError):
        return ""


def _by_hand(overrides: Mapping[str, Any]) -> dict[str, Any]:
    _refuse_literal_directory()
    told = {key: Setting(_read(value), "--config") for key, value in overrides.items()}
    return {key: setting.value for key, setting in settings.resolve(told, settings.environment()).items()}


def _read(value: object) -> object:
    """Read a value as our commands do: snakemake leaves `true` a word."""
    try:
        return yaml.safe_load(value) if isinstance(value, str) else value
    except yaml.YAMLError as error:
        message = f"--config: {value!r} has no readable value"
        raise SettingsError(message) from error


def _refuse_literal_directory() -> None:
    # The profile names the directory by two variables; Snakemake makes it as it is written where one is not
    # set.
    parts = Path.cwd().parts
    literal = [number for number, part in enumerate(parts) if part.startswith("$CRDS_")]
    if literal:
        made = Path(*parts[: literal[0] + 1])
        os.chdir(made.parent)
        shutil.rmtree(made)
        missing = ", ".join(parts[number].removeprefix("$") for number in literal)
        raise SystemExit(
            f"{missing} is not set: export CRDS_PATH and CRDS_OBSERVATORY, then call snakemake again"
        )


def hold_writer_lock(config: Mapping[str, Any]) -> None:
    """Become the writer for as long as snakemake and its jobs live, unless the caller is it already.

    The lock becomes standard input: that is what jobs inherit.
    """
    typed = settings.typed(config)
    if locks.holds(0, typed.cache.locks / locks.SYNC_LOCK):
        return
    try:
        stamp = identity.admit(typed.cache, typed.server_url, typed.use_case, set_up=config["set_up"])
        if typed.readonly_cache:
            message = "CRDS_READONLY_CACHE is set: nothing may be written"
            raise CacheError(message)
        identity.require_writer(typed.cache, stamp)
        lock = locks.WriterLock(typed.cache, "snakemake", config["run_id"])
        os.write(2, "".join(f"{told}\n" for told in lock.warnings).encode())
        os.dup2(lock.descriptor, 0)
        atexit.register(lock.close)
    except CacheError as error:
        os.write(2, f"{error}\n".encode())
        raise SystemExit(status.of(error)) from None


def begin_reading(workflow: Workflow, config: Mapping[str, Any], words: Sequence[str]) -> None:
    """Hold, for as long as snakemake lives, what a run needs that only reads; and end what a killed run left.

    Held is the lock of a verify, unless the caller has it already; else the contexts of all jobs. Jobs
    hold these too, but the locks of another machine need not reach this one, where a purge looks.

    Parameters
    ----------
    words
        The command line, for its targets.
    """
    typed = settings.typed(config)
    try:
        with ExitStack() as held:
            if "verify" in words:
                _hold_verify_lock(typed.cache, held)
            else:
                held.enter_context(lease.take(typed.cache, *_contexts(config)))
            if not workflow.local_exec:
                cluster.require_no_secrets(settings.environment())
                if comment := _orphans(typed.cache, config, words):
                    cluster.cancel(Path.cwd(), comment)
            atexit.register(held.pop_all().close)
    except CacheError as error:
        os.write(2, f"{joblog.FATAL}{error}\n".encode())
        raise SystemExit(status.of(error)) from None


def _hold_verify_lock(cache: Layout, held: ExitStack) -> None:
    lock = cache.state / verifying.LOCK
    if not locks.holds(0, lock) and os.access(lock.parent, os.W_OK):
        os.dup2(held.enter_context(locks.exclusive(lock, busy="a verify is at work")), 0)


def _contexts(config: Mapping[str, Any]) -> list[str]:
    told = affecting.of_config(config)
    compared = [] if told is None else [each for step in told.steps for each in (step.old, step.new)]
    return [*filter(None, [config["held_context"]]), *compared]


def _orphans(cache: Layout, config: Mapping[str, Any], words: Sequence[str]) -> str | None:
    """Tell how the comments of jobs begin that nobody else can have: ours, and we have just begun."""
    if "verify" in words:
        return "rule_verify_"
    if "bestrefs" in words:
        return f"rule_bestrefs_shard_wildcards_{config['batch']}_"
    # By hand there is no lock: another run may be at work.
    is_alone = any(locks.holds(0, place / affecting.LOCK) for place in (cache.state, Path.cwd()))
    return "rule_affected" if is_alone else None
