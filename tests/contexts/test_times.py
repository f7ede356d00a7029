"""Times as we write them."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from crdscache.contexts import times


def test_a_time_is_utc_to_the_second() -> None:
    before = datetime.now(UTC).replace(microsecond=0)

    now = times.now()

    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", now)
    assert before <= datetime.fromisoformat(f"{now}+00:00") <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2020-11-06", datetime(2020, 11, 6, tzinfo=UTC)),
        ("2020-11-06 16:42:44", datetime(2020, 11, 6, 16, 42, 44, tzinfo=UTC)),
        ("2020-11-06T16:42:44", datetime(2020, 11, 6, 16, 42, 44, tzinfo=UTC)),
        ("2020-11-06 16:42:44.900518", datetime(2020, 11, 6, 16, 42, 44, 900518, tzinfo=UTC)),
        ("2020-11-06T16:42:44.5", datetime(2020, 11, 6, 16, 42, 44, 500000, tzinfo=UTC)),
        ("2020-11-06T16:42:44.123456789", datetime(2020, 11, 6, 16, 42, 44, 123456, tzinfo=UTC)),
    ],
)
def test_a_moment_is_a_day_or_a_day_and_a_time(text: str, moment: datetime) -> None:
    assert times.parse(text) == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2020",
        "2020-02-30",
        "2020-1-1",
        "20200101",
        "2020-W01-1",
        "2020-01-01 25:00:00",
        "2020-01-01T12:00",
        "2020-01-01T",
        "2020-01-01  12:00:00",
        "2020-01-01T12:00:00Z",
        "2020-01-01T12:00:00.",
        "2020-01-01\n",
        "\N{ARABIC-INDIC DIGIT TWO}020-01-01",
    ],
)
def test_any_other_text_is_no_moment(text: str) -> None:
    assert times.parse(text) is None


def test_age_of_a_moment_is_in_seconds() -> None:
    moment = (datetime.now(UTC) - timedelta(hours=2)).strftime("%Y-%m-%d %H:%M:%S")

    assert 7200 <= times.age_s(moment) < 7260


def test_age_of_what_is_no_moment_is_nought() -> None:
    """It comes from a file that an operator may have edited; only what is told again hangs on it."""
    assert times.age_s("yesterday") == 0


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-03-09 00:00:01", True),
        ("2026-03-09 00:00:00", False),
        ("2026-03-10 23:59:59", True),
        ("2026-03-11 00:00:01", False),
        ("yesterday", True),
    ],
)
def test_P17_recent_is_what_is_neither_long_ago_nor_far_ahead(moment: str, *, expected: bool) -> None:
    assert times.is_recent(moment, 24 * 3600, "2026-03-10 00:00:00") is expected


@pytest.mark.parametrize(
    ("length_s", "expected"),
    [(-5, "0 h"), (5400, "2 h"), (47.4 * 3600, "47 h"), (48 * 3600, "2.0 days"), (1e7, "115.7 days")],
)
def test_lengths_of_time_are_written_for_people(length_s: float, expected: str) -> None:
    assert times.span(length_s) == expected
