"""What `cache_config` says: the cache, its settings with their origins, each mistake with its cure."""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import IntEnum
from pathlib import Path

from crdscache.cache import (
    commit,
    hashes,
    identity,
    inventory,
    layout,
    locks,
    manifest,
    plan,
    restore,
    serverconfig,
)
from crdscache.cache.rules import Rules
from crdscache.commands import comparing, ending, overrides
from crdscache.contexts import catalogue, times
from crdscache.contexts.serverinfo import ServerInfo
from crdscache.errors import CacheError, NewerStateError, SettingsError, UnreadableConfigError
from crdscache.workflow import alarms, joblog, report, runs, settings, steps, verifying
from crdscache.workflow.alarms import Kind
from crdscache.workflow.runs import Record
from crdscache.workflow.settings import Settings
from crdscache.workflow.status import Status
from crdscache.workflow.variables import Resolved


class Severity(IntEnum):
    """How bad it is, by the exit statuses of monitoring plugins (Nagios, Icinga)."""

    OK = 0
    WARNING = 1  # pipelines go on as they are; somebody should look
    CRITICAL = 2  # pipelines cannot have what the cache promises, or it is kept up by nobody
    UNKNOWN = 3  # it cannot be told


@dataclass(frozen=True, slots=True)
class Mistake:
    """Something that is wrong with a cache."""

    what: str
    cure: str
    severity: Severity = Severity.WARNING


def main(options: argparse.Namespace) -> int:
    """Run `cache_config`."""
    # What stops a check is no verdict: settings that are wrong would be CRITICAL by their own status.
    stopped = Severity.UNKNOWN if options.check else None
    return ending.run("cache_config", lambda: _main(options), as_json=options.json, stopped=stopped)


def _main(options: argparse.Namespace) -> int:
    joblog.log_to(None)
    if options.compare_lists:
        return comparing.compare_lists(options)
    resolved = settings.resolve(overrides.collect(options), settings.environment(), options.site)
    config = settings.typed({key: setting.value for key, setting in resolved.items()})
    if options.tree_hash:
        return comparing.tree_hash(config, options)
    mistakes = list(diagnose(config))
    facts = describe(config)
    if options.json:
        shown = {
            key: {"value": setting.value, "origin": setting.origin}
            for key, setting in sorted(resolved.items())
        }
        page = {"cache": facts, "settings": shown, "mistakes": [asdict(mistake) for mistake in mistakes]}
        sys.stdout.write(json.dumps(page, indent=2) + "\n")
    elif not options.check:
        sys.stdout.write(_page(facts, resolved))
    if options.check:
        return _check(config, facts, mistakes, options)
    if not options.json:
        sys.stdout.write("".join(map(_told, mistakes)) or "nothing wrong\n")
    return Status.OK


def _told(mistake: Mistake) -> str:
    return f"{mistake.what}\n  cure: {mistake.cure}\n"


def _check(
    config: Settings, facts: Mapping[str, str], mistakes: Sequence[Mistake], options: argparse.Namespace
) -> Severity:
    """Tell monitoring what is wrong, the worst first; from cron nothing where nothing is."""
    worst = max((mistake.severity for mistake in mistakes), default=Severity.OK)
    if not options.json and (mistakes or options.verbose or sys.stdout.isatty()):
        ordered = sorted(mistakes, key=lambda mistake: -mistake.severity)
        first = f"{facts['default context']}, last success {facts['last success']}"
        if ordered:
            more = f" (and {len(ordered) - 1} more)" if len(ordered) > 1 else ""
            first = f"{ordered[0].what}{more}"
        told = first.replace("|", "/")  # what follows a bar is drawn
        head = f"CRDSCACHE {worst.name} - {config.cache.observatory}: {told} | {_performance(config)}\n"
        sys.stdout.write(head + "".join(map(_told, ordered)))
    return worst


def _performance(config: Settings) -> str:
    """Give what monitoring draws: the age of the last success with its limit, and what is free."""
    last = runs.last(config.cache)
    age = "U"
    if last is not None and last.last_success is not None:
        age = f"{max(0.0, times.age_s(last.last_success)):.0f}s"
    limit, reserve = f"{config.telling.stale_s:.0f}", config.keeping.reserve_bytes
    return f"since_success={age};;{limit} free={_free_bytes(config.cache)}B;{reserve}:"


def _page(facts: dict[str, str], resolved: Resolved) -> str:
    lines = [f"{key:20} {value}" for key, value in facts.items()]
    lines += ["", "settings:"]
    lines += [
        f"  {key:20} {setting.value!s:40} {setting.origin}" for key, setting in sorted(resolved.items())
    ]
    return "\n".join([*lines, "", ""])


def describe(config: Settings) -> dict[str, str]:
    """Tell what `crds list --config` tells, and what we know beside it."""
    cache = config.cache
    info = _saved(cache)
    before = runs.last(cache)
    stamp = _stamp(cache)
    return {
        "cache": str(cache.root),
        "observatory": cache.observatory,
        "server": config.server_url,
        "default context": info.default_context if info else "none",
        "default moved": _moved(cache),
        "pinned": stamp.pinned if stamp and stamp.pinned else "no",
        "edit context": info.edit_context if info else "none",
        "layout": layout.find_mode(cache, config.new_mode).value,
        "mappings": f"{cache.mappings} ({_count(cache.mappings)} files)",
        "references": str(cache.references),
        "configuration": str(cache.config),
        "locks": str(cache.locks),
        "state": str(cache.state),
        "written by": str(identity.writers_of(cache, stamp)),
        "writer": str(_writer(cache) or "none"),
        "last run": f"{before.ended} UTC, status {before.result.status}" if before else "none",
        "last success": f"{before.last_success} UTC" if before and before.last_success else "none",
        "trash": _trash(cache),
        "free space": report.size(_free_bytes(cache)),
    }


def _trash(cache: layout.Layout) -> str:
    waiting = restore.bins(cache)
    n_files, frees_bytes = sum(one.n_files for one in waiting), sum(one.frees_bytes for one in waiting)
    return f"{len(waiting)} runs, {n_files} files, {report.size(frees_bytes)}"


def _moved(cache: layout.Layout) -> str:
    rows = commit.switches(cache)
    return "never" if not rows else f"{rows[-1][0]} UTC, why: {rows[-1][3]}"


def _writer(cache: layout.Layout) -> locks.Writer | None:
    return locks.read_card(cache.state / locks.WRITER_FILE)


def _free_bytes(cache: layout.Layout) -> int:
    return shutil.disk_usage(_existing(cache.references)).free


def _existing(path: Path) -> Path:
    return next(place for place in (path, *path.parents) if place.exists())


def _count(directory: Path) -> int:
    return sum(not path.name.startswith(".") for path in directory.iterdir()) if directory.is_dir() else 0


def _saved(cache: layout.Layout) -> ServerInfo | None:
    try:
        return serverconfig.read_info(cache.config, cache.observatory)
    except CacheError:
        return None


def _stamp(cache: layout.Layout) -> identity.Identity | None:
    try:
        return identity.load(cache)
    except CacheError:
        return None


def diagnose(config: Settings) -> Iterator[Mistake]:
    """Find what is wrong with a cache, without a server and without writing."""
    cache = config.cache
    try:
        stamp = identity.admit(cache, config.server_url, config.use_case)
    except NewerStateError as error:
        yield Mistake(str(error), "call the later version, which has written here", Severity.CRITICAL)
        return
    except CacheError as error:
        cure = f"remote_cache_init, with CRDS_PATH={cache.root}, or mount its disk"
        yield Mistake(str(error), cure, Severity.CRITICAL)
        return
    try:
        layout.find_mode(cache, config.new_mode)
        info = serverconfig.read_info(cache.config, cache.observatory)
    except (UnreadableConfigError, SettingsError) as error:
        cure = "cron_sync writes the configuration anew; a wrong layout word is yours to correct"
        yield Mistake(str(error), cure, Severity.CRITICAL)
        return
    if info is None:
        what = "there is no configuration yet: the server's default is not whole here"
        yield Mistake(what, "cron_sync", Severity.CRITICAL)
    else:
        yield from _whole(config, info, stamp)
        yield from _moved_by_others(cache, info)
    yield from _verified(config)
    yield from _dangling(config)
    yield from _writing(config)
    last = runs.last(cache)
    yield from _room(config, last)
    yield from _last_run(config, last, stamp)


def _whole(config: Settings, info: ServerInfo, stamp: identity.Identity) -> Iterator[Mistake]:
    if stamp.pinned not in {None, info.default_context}:
        what = f"the default context is {info.default_context}, though {stamp.pinned} is pinned"
        yield Mistake(what, "cron_sync puts it back if it is whole; cron_sync --unpin lets it go")
    known = catalogue.from_metadata(info.metadata or {}, info.bad_files)
    load = Rules(config.cache.mappings, known, steps.links(config.cache)).load
    disk = manifest.Disk(config.cache, layout.find_mode(config.cache, config.new_mode), known, load)
    lacks = disk.lacks(info.default_context, stamp.holdings, config.tolerate_missing)
    if lacks:
        what = (
            f"the default context {info.default_context} is not whole: {len(lacks)} files, {lacks[0]} first"
        )
        cure = "cron_sync --fetch-references; what is of wrong length must be moved away first"
        yield Mistake(what, cure, Severity.CRITICAL)


def _verified(config: Settings) -> Iterator[Mistake]:
    """Tell of files that the last full check found wrong, and that nobody has replaced since."""
    checked = runs.last(config.cache, runs.VERIFY)
    if checked is None or not checked.result.failures:
        return
    known = hashes.load(*verifying.memory(config.cache, config.readers))
    names = [problem.name for problem in checked.result.failures]
    bad = [name for name in names if name not in known or not known[name].was_right]
    if bad:
        what = f"wrong by the full check of {checked.ended} UTC: {report.some(bad)}"
        yield Mistake(what, "cron_sync --repair-files", Severity.CRITICAL)


def _writing(config: Settings) -> Iterator[Mistake]:
    cache = config.cache
    if config.readonly_cache:
        yield Mistake("CRDS_READONLY_CACHE is set: cron_sync will refuse", "unset it where cron_sync runs")
    lock = cache.locks / locks.SYNC_LOCK
    if lock.exists() and not os.access(lock, os.R_OK | os.W_OK):
        yield Mistake(
            f"{lock} cannot be opened for writing by this user", f"chmod g+rw {lock}, or run as its owner"
        )
    if serverconfig.is_frozen(cache.config):
        what = f"{cache.config / serverconfig.CONFIG_FILE} is read-only: the default context cannot move"
        yield Mistake(what, f"chmod u+w {cache.config / serverconfig.CONFIG_FILE}")


def _moved_by_others(cache: layout.Layout, info: ServerInfo) -> Iterator[Mistake]:
    """Tell that the configuration was written by something else, not noted yet or within a day."""
    rows = commit.switches(cache)
    if not rows:
        return
    when, before, after, why = rows[-1]
    if after != info.default_context:
        what = f"the default context was moved from {after} to {info.default_context}"
    elif why == commit.FOREIGN and times.is_recent(when, report.TELL_AGAIN_S, times.now()):
        what = f"the default context was moved from {before} to {after}, as was found at {when} UTC"
    else:
        return
    yield Mistake(
        f"{what}, by another tool or by a run that was killed",
        "let cron_sync alone write: CRDS_READONLY_CACHE=1 for all others; the next run puts it right",
    )


def _dangling(config: Settings) -> Iterator[Mistake]:
    mode = layout.find_mode(config.cache, config.new_mode)
    links = [
        path
        for path, entry in inventory.entries(config.cache, mode)
        if entry.is_symlink() and not Path(entry.path).exists()
    ]
    if links:
        yield Mistake(
            f"{len(links)} links lead nowhere, {min(links)} first",
            "mount the tree that they lead to, or cron_sync --fetch-references --repair-files",
        )


def _room(config: Settings, last: Record | None) -> Iterator[Mistake]:
    """Tell that less is free than is to be kept free, or than the last plan has left to bring."""
    free, needed = _free_bytes(config.cache), config.keeping.reserve_bytes
    totals = config.cache.state / "plan" / "totals.json"
    if last is not None and last.result.status != Status.OK and totals.exists():
        needed = max(needed, plan.load_totals(totals).fetch_bytes)
    if free < needed:
        yield Mistake(
            f"{config.cache.references}: {report.size(free)} are free, {report.size(needed)} are needed",
            "cron_sync --empty-trash, or --purge-references, or a larger disk",
        )


def _last_run(config: Settings, last: Record | None, stamp: identity.Identity) -> Iterator[Mistake]:
    yield from _at_work(config)
    if last is None or last.last_success is None:
        yield Mistake("no run has succeeded yet", "cron_sync, and read what it says", Severity.CRITICAL)
        return
    if not times.is_recent(last.last_success, config.telling.stale_s, times.now()):
        age = times.span(times.age_s(last.last_success))
        yield Mistake(
            f"the last success was at {last.last_success} UTC, {age} ago",
            "is cron_sync in the crontab, and what does it say?",
            Severity.CRITICAL,
        )
    failed = alarms.outcome(last, None)
    if failed is not None:
        what = f"the run that ended at {last.ended} UTC failed, as since {failed.since} UTC: {failed.text}"
        yield Mistake(what, f"{runs.log_path(config.cache, last.run)} has its log")
    if last.waits_since and last.result.waits_for and stamp.pinned is None:
        yield Mistake(
            report.waits(last.result, last.waits_since),
            "cron_sync --fetch-references brings what the server delivers; or name it in tolerate_missing",
        )
    # At the time of that run: nobody has asked the server since.
    for alarm in alarms.standing(last, config.telling, last.ended):
        if alarm.kind is not Kind.WAITS:
            yield Mistake(alarm.text, "what does the server's operator say?")


def _at_work(config: Settings) -> Iterator[Mistake]:
    writer = _writer(config.cache)
    if writer is not None and not times.is_recent(writer.started, config.telling.busy_s, times.now()):
        age = times.span(times.age_s(writer.started))
        yield Mistake(
            f"the writer has not come to its end for {age}: {writer}",
            "if it hangs, end it: the next cron_sync goes on where it stopped",
        )
