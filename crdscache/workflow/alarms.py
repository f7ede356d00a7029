"""What goes on for too long, though no run fails for it: who should know, and what is said."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from crdscache.contexts import times
from crdscache.contexts.records import Telling
from crdscache.workflow import report
from crdscache.workflow.runs import Record
from crdscache.workflow.status import Status

_MOST_NAMES = 20


class Kind(Enum):
    """What an alarm is about."""

    PENDING = "pending"  # files that are not delivered for long
    LOST = "lost"  # files that were here, and are not delivered any more
    WAITS = report.WAITS  # the default waits for files
    FROZEN = "frozen"  # the server says the same for long
    BUSY = "busy"  # another writer keeps us out
    FAILED = "failed"  # how a run ended
    RECOVERED = "recovered"


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing that an operator should know."""

    kind: Kind
    text: str  # one line
    since: str | None  # UTC
    names: tuple[str, ...] = ()  # of the files

    @property
    def topics(self) -> tuple[str, ...]:
        """What it is about: the same is told once a day, a new file at once."""
        is_by_name = self.kind in {Kind.PENDING, Kind.LOST}
        return tuple(f"{self.kind.value} {name}" for name in self.names) if is_by_name else (self.kind.value,)

    def to_json(self) -> dict[str, object]:
        """Give what a program gets to read."""
        names = {"names": self.names[:_MOST_NAMES], "n_names": len(self.names)}
        return {"kind": self.kind.value, "text": self.text, "since": self.since, **names}


def standing(written: Record, limits: Telling, at: str) -> list[Alarm]:
    """List what goes on for too long at a time, as the last run has found it."""
    return [
        *_undelivered(written, limits.pending_s, at),
        *_waiting(written, limits.pending_s, at),
        *_frozen(written, limits.frozen_s, at),
    ]


def _undelivered(written: Record, pending_s: float, at: str) -> Iterator[Alarm]:
    result, since = written.result, written.pending_since
    lost = tuple(name for name in result.lost if name in since)
    if lost:
        first = min(since[name] for name in lost)
        text = f"not delivered any more, though here before, since {first} UTC: {report.some(lost)}"
        yield Alarm(Kind.LOST, text, first, lost)
    late = [name for name in result.pending if name not in lost and name in since]
    late = [name for name in late if not times.is_recent(since[name], pending_s, at)]
    if late:
        first = min(since[name] for name in late)
        text = f"still not delivered, since {first} UTC: {report.some(late)}"
        yield Alarm(Kind.PENDING, text, first, tuple(late))


def _waiting(written: Record, pending_s: float, at: str) -> Iterator[Alarm]:
    result, since = written.result, written.waits_since
    if result.waits_for and since is not None and not times.is_recent(since, pending_s, at):
        yield Alarm(Kind.WAITS, report.waits(result, since), since, result.waits_for)


def _frozen(written: Record, frozen_s: float | None, at: str) -> Iterator[Alarm]:
    made = written.result.refreshed
    if made is None or frozen_s is None or times.is_recent(made, frozen_s, at):
        return
    age = times.span(times.age_s(made, at))
    yield Alarm(Kind.FROZEN, f"the server's answer is {age} old, of {made} UTC: it may be frozen", made)


def outcome(written: Record, before: Record | None) -> Alarm | None:
    """Make the alarm that a run failed, or that the one before did; to be sent where that is news."""
    result = written.result
    if result.status != Status.OK:
        names = tuple(problem.name for problem in result.failures)
        reasons = [result.message] if result.message else []
        reasons += [f"{problem.name}: {problem.reason}" for problem in result.failures[:1]]
        reasons += [f"and {len(names) - 1} more failures"] if len(names) > 1 else []
        text = "; ".join([f"status {result.status}", *reasons])
        return Alarm(Kind.FAILED, text, written.failing_since, names)
    if before is None or before.result.status == Status.OK:
        return None
    return Alarm(Kind.RECOVERED, f"recovered from status {before.result.status}", before.failing_since)


def is_due(alarm: Alarm, told: Mapping[str, str], at: str) -> bool:
    """Tell whether an alarm says something that was not told in the last day."""
    return any(
        topic not in told or not times.is_recent(told[topic], report.TELL_AGAIN_S, at)
        for topic in alarm.topics
    )
