"""The last step: what the server said becomes the configuration, and the default moves, if it may."""

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from crdscache.cache import identity, locks, manifest, publish, serverconfig, tables
from crdscache.cache.identity import Holdings, Identity
from crdscache.cache.layout import Layout
from crdscache.contexts import times
from crdscache.contexts.records import Outcome, Problem, Receipt
from crdscache.contexts.serverinfo import ServerInfo
from crdscache.errors import UnreadableConfigError

logger = logging.getLogger(__name__)

SWITCHES = ("when", "from", "to", "why")
FOREIGN = "foreign"  # why the default moved: something else did it


@dataclass(frozen=True, slots=True)
class Switch:
    """What became of the default context."""

    before: str | None  # None: there was no readable configuration, and no former one can be told
    after: str | None  # None: there still is none, as the server's default is not whole yet
    server: str
    waits_for: tuple[str, ...] = ()  # why `after` is not the server's: files that are not here
    is_written: bool = False  # whether the configuration was replaced
    pinned: str | None = None  # where the default is held, whatever the server's is


@dataclass(frozen=True, slots=True)
class Promise:
    """What a context must have before it may become the default."""

    recorded: Identity
    holdings: Holdings  # see `identity.promised`; recorded once it is kept
    tolerated: frozenset[str]  # files that may be absent

    def wanted(self, info: ServerInfo) -> str:
        """Name what should be the default: the pinned context, else the server's."""
        return self.recorded.pinned or info.default_context


def commit(
    disk: manifest.Disk,
    info: ServerInfo,
    server_url: str,
    promise: Promise,
    *,
    takes_default: bool,
    is_doubted: bool = False,
) -> Switch:
    """Write the server's answer as the configuration, last of all and by one rename.

    Parameters
    ----------
    takes_default
        Whether the run selects the server's default: only then may the default move to it. A pinned one is
        put back in any case.
    is_doubted
        The answer is not to be saved.
    """
    pinned = promise.recorded.pinned
    saved = _saved(disk.cache)
    before = _noted(disk, promise) if saved is None else _default(saved)
    if is_doubted:
        logger.warning("the server's answer is not saved, as it is doubted")
        return Switch(before, before, info.default_context, pinned=pinned)
    after, waits_for = _choose(disk, info, promise, before, takes_default=takes_default)
    if after is None:
        logger.warning("no configuration written: the default is not whole context=%s", promise.wanted(info))
        return Switch(before, after, info.default_context, waits_for, pinned=pinned)
    why = _why(disk.cache, promise.recorded, before)
    if before is not None:
        note_found(disk.cache, before, promise.recorded)
    is_written = write(disk.cache, saved, serverconfig.compose(info, server_url, after), info.bad_files)
    if is_written and after != before:
        note_switch(disk.cache, before, after, why)
    now = after if is_written else before
    if now is not None:
        record_holdings(disk, promise, now)
    return Switch(before, now, info.default_context, waits_for, is_written, pinned)


def record_holdings(disk: manifest.Disk, promise: Promise, default: str) -> None:
    """Record what is promised of the default from now on, if it is kept."""
    if promise.holdings == promise.recorded.holdings:
        return
    if not disk.lacks(default, promise.holdings, promise.tolerated):
        identity.save(disk.cache, replace(promise.recorded, holdings=promise.holdings))


def current(
    cache: Layout, info: ServerInfo, server_url: str, promise: Promise, *, takes_default: bool
) -> str | None:
    """Name the default context if `commit` would find nothing to write; else None."""
    saved = _saved(cache)
    before = None if saved is None else _default(saved)
    is_to_move = before != promise.wanted(info) and (takes_default or promise.recorded.pinned is not None)
    if saved is None or before is None or is_to_move:
        return None
    is_current = (
        serverconfig.is_same(saved, serverconfig.compose(info, server_url, before))
        and serverconfig.bad_files_are(cache.config, sorted(info.bad_files))
        and promise.holdings == promise.recorded.holdings
        and last_switch(cache) == before
    )
    return before if is_current else None


def _default(saved: Mapping[str, object]) -> str:
    return str(saved.get("latest_context") or saved.get("operational_context"))


def _saved(cache: Layout) -> dict[str, object] | None:
    try:
        return serverconfig.read_checked(cache.config, cache.observatory)
    except UnreadableConfigError as error:
        logger.warning("configuration damaged, written anew from the server reason=%s", error)
        return None


def _noted(disk: manifest.Disk, promise: Promise) -> str | None:
    """Tell the default of a lost configuration, by our own notes, if it is what was promised."""
    noted = last_switch(disk.cache)
    if noted is None or disk.lacks(noted, promise.recorded.holdings, promise.tolerated):
        return None
    return noted


def _choose(
    disk: manifest.Disk, info: ServerInfo, promise: Promise, before: str | None, *, takes_default: bool
) -> tuple[str | None, tuple[str, ...]]:
    wanted, pinned = promise.wanted(info), promise.recorded.pinned
    if wanted == before or (before is not None and not takes_default and pinned is None):
        return before, ()
    # A first configuration promises no more than is recorded, for a new cache rules only: else it could not
    # be used before the last reference is there.
    holdings = promise.holdings if before else promise.recorded.holdings
    waits_for = disk.lacks(wanted, holdings, promise.tolerated)
    if waits_for:
        return before, tuple(waits_for)
    if before is not None and wanted < before and pinned is None:
        logger.warning("the server's default moved back from=%s to=%s", before, wanted)
    return wanted, ()


def _why(cache: Layout, recorded: Identity, before: str | None) -> str:
    if recorded.pinned is None:
        return "server" if before else "first"
    # A pin that has no switch of its own yet is one whose run was killed: what it began is finished.
    return identity.PIN if last_switch(cache) == recorded.pinned else recorded.pinned_by


def write(
    cache: Layout, saved: Mapping[str, object] | None, new: Mapping[str, object], rejected: Iterable[str]
) -> bool:
    """Replace the configuration by one rename, and the list of bad files after it; tell whether it was.

    It stays if it says the same, or if its owner made it read-only.
    """
    bad_files = sorted(rejected)
    if saved is not None and serverconfig.is_same(saved, new):
        if not serverconfig.bad_files_are(cache.config, bad_files):
            serverconfig.write_bad_files(cache.config, bad_files)
        return False
    if serverconfig.is_frozen(cache.config):
        logger.warning("configuration is read-only and stays as it is path=%s", cache.config)
        return False
    with serverconfig.staged(cache.config, new) as aside, locks.config_lock(cache) as had:
        if not had:
            logger.warning("configuration replaced without its lock, which a reader holds")
        publish.rename_into_place(aside, cache.config / serverconfig.CONFIG_FILE)
    publish.sync_directory(cache.config)
    serverconfig.write_bad_files(cache.config, bad_files)
    return True


def switches(cache: Layout) -> list[list[str]]:
    """Read each change of the default: when, from (empty: there was none), to, why; oldest first."""
    path = cache.state / "switches.tsv"
    return list(tables.read(path, "switches", SWITCHES)) if path.exists() else []


def last_switch(cache: Layout) -> str | None:
    """Name the default that our notes have last."""
    rows = switches(cache)
    return rows[-1][2] if rows else None


def note_found(cache: Layout, default: str, recorded: Identity) -> None:
    """Note the default that is found, if our notes have another: somebody else, or a killed run, moved it."""
    last = last_switch(cache)
    if last != default:
        note_switch(cache, last, default, recorded.pinned_by if default == recorded.pinned else FOREIGN)


def note_switch(cache: Layout, before: str | None, after: str, why: str) -> None:
    """Note a move of the default."""
    logger.info("default context from=%s to=%s why=%s", before, after, why)
    tables.append(cache.state / "switches.tsv", "switches", SWITCHES, (times.now(), before or "", after, why))


@dataclass(frozen=True, slots=True)
class Summary:
    """How a run ended: the content of commit.json."""

    run_id: str
    switch: Switch
    failures: tuple[Problem, ...]  # each file once
    pending: tuple[str, ...]
    n_files: Mapping[str, int]  # by outcome
    size_bytes: Mapping[str, int]  # by outcome
    n_seen: Mapping[str, int] = field(default_factory=dict)  # files of trees, by what became of them
    refreshed: str | None = None  # when the server made its answer


def summarise(
    run_id: str,
    switch: Switch,
    receipts: Iterable[Receipt],
    problems: Iterable[Problem],
    *,
    kept: tuple[int, int],
    n_seen: Mapping[str, int],
) -> Summary:
    """Add up what was done; a file that failed in several ways is named once, with the first reason.

    Parameters
    ----------
    kept
        Files that were here and right, and so have no receipt: how many, and their bytes.
    n_seen
        Files of the trees to adopt from, by what became of them.
    """
    failures: dict[str, Problem] = {}
    pending = []
    n_files: dict[str, int] = {Outcome.KEPT.value: kept[0]}
    size_bytes: dict[str, int] = {Outcome.KEPT.value: kept[1]}
    for receipt in receipts:
        outcome = receipt.outcome.value
        n_files[outcome] = n_files.get(outcome, 0) + 1
        size_bytes[outcome] = size_bytes.get(outcome, 0) + receipt.size_bytes
        if receipt.outcome is Outcome.FAILED:
            failures.setdefault(receipt.name, Problem(receipt.name, receipt.reason))
        if receipt.outcome is Outcome.PENDING:
            pending.append(receipt.name)
    for problem in problems:
        if problem.name not in pending:
            failures.setdefault(problem.name, problem)
    return Summary(
        run_id, switch, tuple(failures.values()), tuple(sorted(pending)), n_files, size_bytes, n_seen
    )


def save(path: Path, summary: Summary) -> None:
    """Write commit.json."""
    publish.write_text(path, json.dumps(asdict(summary), indent=2) + "\n")


def load(path: Path) -> Summary:
    """Read commit.json."""
    data = json.loads(path.read_text(encoding="utf-8"))
    data["switch"]["waits_for"] = tuple(data["switch"]["waits_for"])
    data["switch"] = Switch(**data["switch"])
    data["failures"] = tuple(Problem(**problem) for problem in data["failures"])
    data["pending"] = tuple(data["pending"])
    return Summary(**data)
