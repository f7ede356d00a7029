import re
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdscache.bestrefs import dates
from crdscache.bestrefs.dates import DateError

READABLE = [
    ("2020-01-01 12:00:10", "2020-01-01 12:00:10"),
    ("2020-01-01 12:00:10.1", "2020-01-01 12:00:10.099999"),  # truncated, not rounded
    ("2020-01-01 12:00:34.38", "2020-01-01 12:00:34.380000"),
    ("2020-01-01 12:00:59.9999999", "2020-01-01 12:00:59.999999"),
    ("2020-01-01 12:00:10.0000001", "2020-01-01 12:00:10"),
    ("2020/01/01 1:2", "2020-01-01 01:02:00"),
    ("2020-01/01 01:02", "2020-01-01 01:02:00"),
    ("2020-01-01", "2020-01-01 00:00:00"),
    ("01-31-2020", "2020-01-31 00:00:00"),
    ("01/31/2020 23:59:59", "2020-01-31 23:59:59"),
    ("31/12/99 05:42:00 PM", "1999-12-31 17:42:00"),
    ("31/12/99 05:42:00PM", "1999-12-31 17:42:00"),
    ("31/12/90", "1990-12-31 00:00:00"),
    ("31/12/00", "2000-12-31 00:00:00"),
    ("31/12/39", "2039-12-31 00:00:00"),
    ("19970114:053714", "1997-01-14 05:37:14"),
    ("19970114:053714 23:00:00", "1997-01-14 05:37:14"),  # the other time is read, and ignored
    ("MAR 21 2001 12:00:00 AM", "2001-03-21 00:00:00"),
    ("MAR 21 2001 12:00:00 PM", "2001-03-21 12:00:00"),
    ("MAR 21 2001 01:00:00 am", "2001-03-21 01:00:00"),
    ("JULY 27, 1999 00:00:00", "1999-07-27 00:00:00"),
    ("JULY 27, 1999", "1999-07-27 00:00:00"),
    ("03-JAN-2013", "2013-01-03 00:00:00"),
    ("03/JAN/2013 04:05", "2013-01-03 04:05:00"),
    ("2020-01-01T00:00:00", "2020-01-01 00:00:00"),
    ("2020/01/01T05:06", "2020-01-01 05:06:00"),
    ("2020-01-01T00:00:00.123456", "2020-01-01 00:00:00.123456"),
    ("2020-01-01 00:00:00 UT", "2020-01-01 00:00:00"),
    ("2020-01-01T00:00:00 UT", "2020-01-01 00:00:00"),
    ("2020-01-01 12:00:10:99", "2020-01-01 12:00:10"),  # a fourth part is ignored
    ("2020-02-29 00:00:00", "2020-02-29 00:00:00"),
    ("  2020-01-01   00:00:00  ", "2020-01-01 00:00:00"),
    ("2020-01-01 13:00:00 PM", "2020-01-01 13:00:00"),
    ("2020-01-01 00:00:00 AM", "2020-01-01 00:00:00"),
]
UNREADABLE = [
    *("UNDEFINED", "2020-01-01 UNDEFINED", "XUNDEFINEDX", "N/A N/A", "* *", "", " ", "FOO", "2020"),
    *("2020-1-1 00:00:00", "2020-01-01T00:00:00Z", "2020-01-01T00:00:00.1234567", "2020-01-01 12:00:60"),
    *("12/31/99", "31/12/45", "20200101", "2020-01-01 -1:00:00", "2020-01-01 00", "2020-01-01 12:00:00 UTC"),
    *("2020-01-01 00:00:00Z", "1993-DEC-01", "2020-02-30", "2021-02-29", "2020-13-01", "2020-01-01 24:00:00"),
    *("2020-01-01 00:60:00", "2020-01-01 1:2:3:4:5", "2020-01-01T00:00:00 00:00:00", "0000-01-01"),
    *("2020-01-01 00:00:00 UT UT", "2020.0", "FOO 21 2001", "MAR 21 2001 1:2:3 4", "2020-01-01 12:00:NAN"),
    *("2020-01-01 12:00:INF", "2020-01-01 X:00:00", "\N{ARABIC-INDIC DIGIT FIVE}" * 4 + "-01-01"),
]


@pytest.mark.parametrize(("text", "expected"), READABLE)
def test_a_readable_date_has_one_form(text: str, expected: str) -> None:
    assert dates.normal_form(text) == expected


@pytest.mark.parametrize("text", UNREADABLE)
def test_an_unreadable_date_has_a_reason(text: str) -> None:
    with pytest.raises(dates.DateError, match=r"\S"):
        dates.normal_form(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("UNDEFINED 00:00:00", "One or more required date/time values is UNDEFINED"),
        ("20200101 00:00:00", "Unknown numerical date format: '20200101 00:00:00'"),
        ("N/A 00:00:00", "Unknown numerical date format: 'N/A 00:00:00'"),
        ("2020-1-1 00:00:00", "Unknown numerical date format: '2020/1/1 00:00:00'"),
        ("", "list index out of range"),
        ("FOO 21 2001", "Invalid month value '21' in base date 'FOO 21 2001'"),
        ("FOO 21 2001 1:00 PM", "Invalid month value '21' in base date 'FOO 21 2001 1:00 PM'"),
        ("27, JULY 1999", "invalid literal for int() with base 10: '27,'"),  # a comma only after the second
        ("JAN 1 2010 12Z", "not enough values to unpack (expected 4, got 1)"),
        ("2020-01-01 00", "not enough values to unpack (expected 4, got 1)"),
    ],
)
def test_the_reason_is_in_the_words_of_the_client(text: str, reason: str) -> None:
    with pytest.raises(dates.DateError) as caught:
        dates.normal_form(text)

    assert str(caught.value) == reason


MOMENTS = st.integers(1000 * 365 * 86_400, 9990 * 365 * 86_400).map(
    lambda seconds: datetime.fromisoformat("0001-01-01") + timedelta(seconds=seconds)
)


@given(MOMENTS)
def test_each_way_to_write_a_moment_gives_the_same_form(moment: datetime) -> None:
    formats = [
        "%Y-%m-%d %H:%M:%S",
        "%Y/%m/%d %H:%M:%S",
        "%m/%d/%Y %H:%M:%S",
        "%Y-%m-%dT%H:%M:%S",
        "%b %d %Y %H:%M:%S",
        "%d-%B-%Y %H:%M:%S",
        "%B %d, %Y %I:%M:%S %p",
        "%Y%m%d:%H%M%S",
    ]

    assert {dates.normal_form(f"{moment:{each}}") for each in formats} == {f"{moment:%Y-%m-%d %H:%M:%S}"}


@given(MOMENTS, st.integers(0, 10**6))
def test_normal_forms_sort_as_time_does(moment: datetime, later_s: int) -> None:
    later = moment + timedelta(seconds=later_s)

    forms = [dates.normal_form(str(moment)), dates.normal_form(str(later))]

    assert sorted(forms) == forms


@given(st.text() | st.text("0123456789-/:. TUAMPJN,", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        form = dates.normal_form(text)
    except dates.DateError:
        return

    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{6})?", form, re.ASCII)
    assert str(datetime.fromisoformat(form)) == form


def test_an_unreadable_date_keeps_nothing_of_who_asked() -> None:
    """A traceback holds frames, and these a table of half a million data sets."""

    def asked() -> DateError:
        with pytest.raises(DateError) as caught:
            dates.normal_form("no date")
        return caught.value

    told = dates.form_of("no date")

    assert isinstance(told, DateError)
    assert told.__traceback__ is None
    assert told.__context__ is None
    assert asked() is not asked()
