"""Which changes of the default context have not been handled yet: each once, in order, backward ones too."""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from crdscache.cache import commit, publish
from crdscache.cache.layout import Layout
from crdscache.contexts import times
from crdscache.contexts.changes import Transition
from crdscache.contexts.serverinfo import Era
from crdscache.errors import CacheError

logger = logging.getLogger(__name__)

MARK = "mark.json"


@dataclass(frozen=True, slots=True)
class Point:
    """One entry of the history that is followed: from then on a context was the default."""

    when: str  # UTC
    context: str
    why: str


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a history has been handled; the cache's and the server's go on from each other's."""

    n_points: int
    last: Point


def of_cache(cache: Layout) -> list[Point]:
    """List the defaults that this cache had, oldest first."""
    return [Point(when, after, why) for when, _, after, why in commit.switches(cache)]


def of_server(history: Sequence[Era]) -> list[Point]:
    """List the defaults that the server had, oldest first; its history comes newest first."""
    eras = list(history)[::-1]  # of two with one start the first is the newer
    eras.sort(key=lambda era: era.start)
    return [Point(f"{era.start:{times.FORM}}", era.context, era.reason) for era in eras]


def since(mark: Mark, points: Sequence[Point]) -> list[Transition]:
    """List what changed since the mark, oldest first.

    Where the history was cut, or is another one, what is later than the mark counts.
    """
    start = mark.n_points
    if points[start - 1 : start] != [mark.last]:
        known = [number for number, point in enumerate(points, start=1) if point == mark.last]
        start = known[-1] if known else sum(point.when <= mark.last.when for point in points)
        logger.info("another history is followed from here on mark=%s goes_on_at=%d", mark.last, start)
    before = [mark.last, *points[start:]]
    return [
        Transition(old.context, new.context, new.when, new.why)
        for old, new in zip(before, points[start:], strict=False)
        if old.context != new.context
    ]


def mark_at(points: Sequence[Point], last: Transition | None = None) -> Mark:
    """Make the mark that says that all up to a transition, or to the end, is handled.

    Parameters
    ----------
    points : one at least
    """
    n_points = len(points)
    if last is not None:
        arrived = (last.when, last.new)
        n_points = max(
            number for number, point in enumerate(points, start=1) if (point.when, point.context) == arrived
        )
    return Mark(n_points, points[n_points - 1])


def load(directory: Path) -> Mark | None:
    """Read the mark; None where there is none yet.

    Raises
    ------
    CacheError
        It is damaged: changes could be missed if it were set anew.
    """
    path = directory / MARK
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return Mark(data["n_points"], Point(**data["last"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"{path}: no readable mark; remove it, and what is handled is counted from then on"
        raise CacheError(message) from error


def save(directory: Path, mark: Mark) -> None:
    """Write the mark, durably."""
    directory.mkdir(parents=True, exist_ok=True)
    publish.write_text(directory / MARK, json.dumps(asdict(mark), indent=2) + "\n")
