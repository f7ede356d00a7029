"""Times are UTC. We write them in one way, to the second, as CRDS does; people and servers have more ways."""

import re
from datetime import UTC, datetime

FORM = "%Y-%m-%d %H:%M:%S"

# A clock may be ahead of another one by so much, and is believed.
_SKEW_S = 24 * 3600

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


def age_s(moment: str, at: str | None = None) -> float:
    """Tell how long ago a moment was, now or `at` another one, in seconds; 0 where one cannot be read."""
    then, now = parse(moment), datetime.now(UTC) if at is None else parse(at)
    return 0.0 if then is None or now is None else (now - then).total_seconds()


def is_recent(moment: str, within_s: float, at: str) -> bool:
    """Tell whether a moment was less than so long ago.

    One that is more than a day ahead is of a clock that was wrong: if it counted, nothing would be told until
    then.
    """
    return -_SKEW_S <= age_s(moment, at) < within_s


def span(length_s: float) -> str:
    """Write a length of time for people: `5 h`, `3.2 days`."""
    hours = max(0.0, length_s) / 3600
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.1f} days"  # noqa: PLR2004
