"""Which contexts a purge leaves alone, and why. Source: docs/design.md, "Purge"."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from crdscache.cache import commit, lease, pins, serverconfig
from crdscache.cache.answer import Answer
from crdscache.cache.layout import Layout
from crdscache.contexts import times
from crdscache.contexts.records import Keeping, Problem
from crdscache.contexts.serverinfo import ServerInfo
from crdscache.errors import DiskError, UnreadableConfigError

_CURE = "--no-leases purges all the same"

Reason = tuple[str, str]  # a context, and why it is kept


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept."""

    why: Mapping[str, tuple[str, ...]]  # reasons by context, in order of name
    protected: frozenset[str]  # contexts of which not even rejected references go
    problems: tuple[Problem, ...] = ()  # why it cannot be told what is to be kept


def find(cache: Layout, said: Answer, keeping: Keeping, pinned: str | None = None) -> Kept:
    """Find all contexts that are to be kept, whether their rules are here or not.

    Parameters
    ----------
    said
        The server's answer, with the contexts of the run.
    pinned
        The context at which the default is held, if it is.
    """
    saved, problems = _saved(cache)
    protected = [*_defaults(said.info, saved), *_recent(cache, said.info, keeping.default_days)]
    protected += [(name, "to be kept by name") for name in keeping.pinned]
    protected += [(pinned, "pinned")] if pinned is not None else []
    wanted = [(name, "asked for") for name in said.chosen.contexts]
    if keeping.last_n:
        pmaps = [name for name in said.info.mappings if name.endswith(".pmap")]
        wanted += [(name, f"one of the last {keeping.last_n}") for name in pmaps[-keeping.last_n :]]
    here = local_contexts(cache)
    wanted += [(name, "the server does not list it") for name in here if not said.info.lists(name)]
    known = {name for name, _ in (*protected, *wanted)}
    leased, unseen = _leased(cache, keeping, [name for name in here if name not in known])
    protected += leased
    why: dict[str, dict[str, None]] = {}
    for name, reason in (*protected, *wanted):
        why.setdefault(name, {})[reason] = None
    reasons = {name: tuple(why[name]) for name in sorted(why)}
    return Kept(reasons, frozenset(name for name, _ in protected), (*problems, *unseen, *said.chosen.doubts))


def local_contexts(cache: Layout) -> list[str]:
    """Name the contexts whose pmap is here, in order of name."""
    return sorted(path.name for path in cache.mappings.glob("*.pmap") if not path.name.startswith("."))


def edit_context(cache: Layout) -> str | None:
    """Name the edit context by the saved configuration; None where there is none, or it is damaged."""
    saved, _ = _saved(cache)
    return None if saved is None else saved.edit_context


def _saved(cache: Layout) -> tuple[ServerInfo | None, tuple[Problem, ...]]:
    try:
        return serverconfig.read_info(cache.config, cache.observatory, with_catalogue=False), ()
    except UnreadableConfigError as error:  # a sync writes it anew; until then nobody knows what it had
        return None, (Problem(serverconfig.CONFIG_FILE, f"{error}; nothing is purged"),)


def _defaults(info: ServerInfo, saved: ServerInfo | None) -> Iterator[Reason]:
    yield info.default_context, "the server's default"
    yield info.edit_context, "the server's edit context"
    if saved is not None:
        yield saved.default_context, "the default of this cache"
        yield saved.edit_context, "the edit context in the saved configuration"


def _recent(cache: Layout, info: ServerInfo, days: float) -> Iterator[Reason]:
    """Find what was a default not long ago, of the server or of this cache."""
    since = datetime.now(UTC) - timedelta(days=days)
    of_server = sorted((era.start, era.context) for era in info.history)
    # Each row tells the one before, too.
    rows = [(times.parse(when), before, after) for when, before, after, _ in commit.switches(cache)]
    of_cache = [(when, before, after) for when, before, after in rows if when is not None]
    ends = [(name, end) for (_, name), (end, _) in pairwise(of_server)]
    ends += [(before, when) for when, before, _ in of_cache if before]
    lasting = [moves[-1][-1] for moves in (of_server, of_cache) if moves]
    yield from ((name, f"a default in the last {days:g} days") for name, end in ends if end >= since)
    yield from ((name, "a default now") for name in lasting)
    # Whatever the clock says.
    yield from ((before, "the default before this one") for _, before, _ in of_cache[-1:] if before)
    yield from ((name, "a roll-back goes there") for name in pins.stack(commit.switches(cache))[-2:-1])


def _leased(cache: Layout, keeping: Keeping, names: list[str]) -> tuple[list[Reason], tuple[Problem, ...]]:
    """Find which contexts readers work with."""
    if keeping.ignores_leases:
        return [], ()
    if cache.locks != cache.root:
        reason = f"the locks are in {cache.locks}, so what readers hold cannot be seen; {_CURE}"
        return [], (Problem(str(cache.root), reason),)
    try:
        held = [name for name in names if lease.is_held(cache.mappings / name)]
    except DiskError as error:
        reason = f"what readers hold cannot be seen ({error}); {_CURE}"
        return [], (Problem(str(cache.mappings), reason),)
    return [(name, "held by a reader") for name in held], ()
