"""The default context moved on purpose, and held there: pins and roll-backs, by what the cache has itself."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from crdscache.cache import commit, identity, serverconfig
from crdscache.cache.commit import Promise
from crdscache.cache.identity import Identity
from crdscache.cache.layout import Layout
from crdscache.cache.manifest import Disk
from crdscache.contexts.serverinfo import ServerInfo
from crdscache.errors import DiskError


def former(cache: Layout, saved: ServerInfo, stamp: Identity) -> str | None:
    """Name the context that a roll-back leads to; None where nothing tells of one.

    A roll-back that was killed before its switch was noted leads to where it led then.

    Parameters
    ----------
    saved
        The saved configuration.
    """
    rows = commit.switches(cache)
    current = saved.default_context
    if stamp.pinned_by == identity.ROLLBACK and stamp.pinned not in {None, *(row[2] for row in rows[-1:])}:
        return stamp.pinned
    *below, top = stack(rows) or [current]
    if top != current:  # another tool has moved it, and nobody has noted that yet
        below.append(top)
    return below[-1] if below else _of_history(saved)


def stack(rows: Iterable[Sequence[str]]) -> list[str]:
    """List the defaults that lead up to the last one in our notes: what was rolled back is not among them."""
    found: list[str] = []
    for _, _, after, why in rows:
        if why == identity.ROLLBACK:
            # Where our notes do not have it, it came from the server's history, from before all of them.
            found = found[: _last_index(found, after)]
        if found[-1:] != [after]:
            found.append(after)
    return found


def _last_index(words: Sequence[str], word: str) -> int:
    return max((number for number, each in enumerate(words) if each == word), default=0)


def _of_history(saved: ServerInfo) -> str | None:
    contexts = [era.context for era in sorted(saved.history, key=lambda era: era.start, reverse=True)]
    current = saved.default_context
    older = contexts[contexts.index(current) :] if current in contexts else []
    return next((context for context in older if context != current), None)


def require_movable(cache: Layout) -> None:
    """Make sure that the default may be moved.

    Raises
    ------
    DiskError
        An operator has made the configuration read-only.
    """
    if serverconfig.is_frozen(cache.config):
        path = cache.config / serverconfig.CONFIG_FILE
        raise DiskError(f"{path} is read-only, which holds the default context where it is: chmod u+w {path}")


def hold(disk: Disk, saved: ServerInfo, promise: Promise, context: str, why: str) -> None:
    """Make a context the default, and hold it there. The caller has the writer's lock, and knows it whole.

    Killed anywhere, the next sync or the same call completes it: the pin is recorded first, and says what the
    default should be and why; then comes the rename, then the note.

    Parameters
    ----------
    saved
        The saved configuration.
    """
    cache, before = disk.cache, saved.default_context
    require_movable(cache)
    commit.note_found(cache, before, promise.recorded)
    stamp = replace(promise.recorded, pinned=context, pinned_by=why)
    identity.stamp(cache, stamp)
    if context != before:
        commit.write(cache, saved.raw, serverconfig.with_default(saved.raw, context), saved.bad_files)
        commit.note_switch(cache, before, context, why)
    commit.record_holdings(disk, replace(promise, recorded=stamp), context)


def release(cache: Layout, saved: ServerInfo, stamp: Identity) -> None:
    """Let the next sync follow the server again. The caller has the writer's lock."""
    commit.note_found(cache, saved.default_context, stamp)
    identity.stamp(cache, replace(stamp, pinned=None, pinned_by=identity.PIN))
