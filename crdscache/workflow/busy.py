"""How long other writers have kept us out: noted in the state, where no lock is needed for it."""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, replace

from crdscache.cache import locks, publish
from crdscache.cache.layout import Layout
from crdscache.contexts import times
from crdscache.errors import CacheError
from crdscache.workflow import report, runs
from crdscache.workflow.alarms import Alarm, Kind

FILE = "busy.json"


@dataclass(frozen=True, slots=True)
class Noted:
    """Since when no run has got the lock, and when that was told."""

    since: str
    told: str | None = None


def note(cache: Layout, reason: str, limit_s: float, at: str) -> Alarm | None:
    """Note that a run was kept out; gives an alarm if that goes on for long, and was not told in a day.

    Parameters
    ----------
    reason
        Who is at work.
    """
    before = _load(cache)
    noted = Noted(_since(cache, before, at), before.told if before else None)
    is_long = not times.is_recent(noted.since, limit_s, at)
    is_told = noted.told is not None and times.is_recent(noted.told, report.TELL_AGAIN_S, at)
    if is_long and not is_told:
        noted = replace(noted, told=at)
    if noted != before:
        with suppress(CacheError, OSError):  # whoever may not write there is told each time
            publish.write_text(cache.state / FILE, json.dumps(asdict(noted)) + "\n")
    if not is_long or is_told:
        return None
    age = times.span(times.age_s(noted.since, at))
    text = f"{reason}; no run has come to its end since {noted.since} UTC, {age} ago"
    return Alarm(Kind.BUSY, text, noted.since)


def _since(cache: Layout, before: Noted | None, at: str) -> str:
    """Tell when a run of ours has ended last, when the writer began, or when we were kept out first."""
    last, writer = runs.last(cache), locks.read_card(cache.state / locks.WRITER_FILE)
    moments = [last and last.ended, writer and writer.started, before and before.since]
    # A clock that was wrong may have noted a time to come.
    return min([moment for moment in moments if moment and times.age_s(moment, at) >= 0], default=at)


def _load(cache: Layout) -> Noted | None:
    try:
        return Noted(**json.loads((cache.state / FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def forget(cache: Layout) -> None:
    """Note that a run has got the lock."""
    with suppress(OSError):
        (cache.state / FILE).unlink(missing_ok=True)
