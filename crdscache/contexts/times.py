"""The one way in which we write a time: UTC, to the second, as CRDS does."""

from datetime import UTC, datetime


def now() -> str:
    """Tell the time: `YYYY-MM-DD HH:MM:SS`, UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")


def age_s(moment: str) -> float:
    """Tell how long ago a moment that `now` wrote is, in seconds; 0 where it cannot be read."""
    try:
        then = datetime.strptime(moment, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return 0.0
    return (datetime.now(UTC) - then).total_seconds()
