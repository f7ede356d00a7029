"""Times as we write them."""

import re
from datetime import UTC, datetime, timedelta

from crdscache.contexts import times


def test_a_time_is_utc_to_the_second() -> None:
    before = datetime.now(UTC).replace(microsecond=0)

    now = times.now()

    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", now)
    assert before <= datetime.fromisoformat(f"{now}+00:00") <= datetime.now(UTC)


def test_age_of_a_moment_is_in_seconds() -> None:
    moment = (datetime.now(UTC) - timedelta(hours=2)).strftime("%Y-%m-%d %H:%M:%S")

    assert 7200 <= times.age_s(moment) < 7260


def test_age_of_what_is_no_moment_is_nought() -> None:
    """It comes from a file that an operator may have edited; only what is told again hangs on it."""
    assert times.age_s("yesterday") == 0
