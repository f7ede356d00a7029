"""Times are UTC. We write them in one way, to the second, as CRDS does; people and servers have more ways."""

import re
from datetime import UTC, datetime

FORM = "%Y-%m-%d %H:%M:%S"

_MOMENT = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d:\d\d(\.\d+)?)?", re.ASCII)


def now() -> str:
    """Tell the time: `YYYY-MM-DD HH:MM:SS`, UTC."""
    return datetime.now(UTC).strftime(FORM)


def parse(text: str) -> datetime | None:
    """Read a day, or a day and a time with `T` or a blank between them, with or without a fraction.

    Returns
    -------
    datetime
        In UTC; a day alone is its begin. None where the text is nothing of the kind.
    """
    if _MOMENT.fullmatch(text) is None:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:  # 30 February
        return None


def age_s(moment: str) -> float:
    """Tell how long ago a moment was, in seconds; 0 where it cannot be read."""
    then = parse(moment)
    return 0.0 if then is None else (datetime.now(UTC) - then).total_seconds()
