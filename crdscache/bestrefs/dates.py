"""Reads dates as the missions' client does, and writes them in the form in which starts compare as text.

Source: docs/protocol.md, "Dates".
"""

import re
from datetime import datetime
from functools import lru_cache

_ISO_T = re.compile(r"[0-9]{4}[-/][0-9]{2}[-/][0-9]{2}T[0-9]{2}:[0-9]{2}(?::[0-9]{2})?(?:\.[0-9]{1,6})?")
_CANONICAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")  # of nearly all data sets
_WORD = re.compile(r"[A-Za-z]{3}")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_NUMBERED = (
    re.compile(r"(?P<month>\d\d)/(?P<day>\d\d)/(?P<year>\d{4})", re.ASCII),
    re.compile(r"(?P<year>\d{4})/(?P<month>\d\d)/(?P<day>\d\d)", re.ASCII),
    re.compile(r"(?P<day>\d\d)/(?P<month>\d\d)/(?P<year>[90123]\d)", re.ASCII),
)
_COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d):(\d\d)(\d\d)(\d\d)", re.ASCII)
_NINETIES = 90


class DateError(ValueError):
    """A date that cannot be read; the text is what the missions' client says."""


def normal_form(text: str) -> str:
    """Write a date and time as `YYYY-MM-DD HH:MM:SS`, with six more digits if there is a part of a second.

    Raises
    ------
    DateError
        It is in none of the forms that observatories use.
    """
    form = _remembered(text)
    if isinstance(form, DateError):
        raise DateError(str(form))  # one that is remembered would keep what each of its raisers holds
    return form


@lru_cache(maxsize=2**12)
def _remembered(text: str) -> str | DateError:
    """Read a date; all types of a data set ask for the same one."""
    return form_of(text)


def form_of(text: str) -> str | DateError:
    """Do what `normal_form` does for a date that nobody will ask for again."""
    try:
        if _CANONICAL.fullmatch(text):
            datetime.fromisoformat(text)  # the ranges are checked
            return text
        return str(_parse(text))
    except ValueError as error:
        return DateError(str(error))  # without the traceback, and all data sets that its frames hold


def _parse(text: str) -> datetime:
    if "UNDEFINED" in text:
        raise DateError("One or more required date/time values is UNDEFINED")
    text = text.removesuffix(" UT")
    if _ISO_T.fullmatch(text):
        text = text.replace("T", " ")
    return _with_words(text) if _WORD.search(text) else _with_numbers(text)


def _with_numbers(text: str) -> datetime:
    text = text.replace("-", "/")
    if not text.strip():
        raise DateError("list index out of range")
    date, *rest = text.split()
    time = _time(" ".join(rest) or "00:00:00")
    for pattern in _NUMBERED:
        if found := pattern.fullmatch(date):
            year, month, day = (int(found[part]) for part in ("year", "month", "day"))
            if len(found["year"]) == 2:  # noqa: PLR2004 (digits)
                year += 1900 if year >= _NINETIES else 2000
            return datetime(year, month, day, *time)  # noqa: DTZ001 (all is UTC, and the text has no zone)
    if found := _COMPACT.fullmatch(date):
        return datetime(*map(int, found.groups()))  # type: ignore[arg-type]  # noqa: DTZ001
    raise DateError(f"Unknown numerical date format: {text!r}")


def _with_words(text: str) -> datetime:
    changed = text
    for half in (" am", " pm"):
        while changed.lower().endswith(half):
            changed = changed.lower().replace(half, half.strip())
    pieces = changed.replace("-", " ").replace("/", " ").split()
    if len(pieces) not in {3, 4}:
        raise _wrong_number(pieces, 3)
    one, other, year, time = (*pieces, "00:00:00")[:4]
    other = other.removesuffix(",")
    try:
        base = _named(one, other, year, text)
    except ValueError:
        base = _named(other, one, year, text)
    return datetime(*base, *_time(time))  # noqa: DTZ001


def _named(month: str, day: str, year: str, text: str) -> tuple[int, int, int]:
    name = month[:3].upper()
    if name not in _MONTHS:
        raise DateError(f"Invalid month value {month!r} in base date {text!r}")
    return int(year), _MONTHS.index(name) + 1, int(day)


def _wrong_number(pieces: list[str], expected: int) -> DateError:
    if len(pieces) < expected:
        return DateError(f"not enough values to unpack (expected {expected}, got {len(pieces)})")
    return DateError(f"too many values to unpack (expected {expected})")


def _time(text: str) -> tuple[int, int, int, int]:
    text = text.strip()
    half = text[-2:].upper()
    if half in {"AM", "PM"}:
        text = text[:-2]
    hour_text, minute_text, second_text = _parts(text)
    hour, minute, seconds = int(hour_text), int(minute_text), float(second_text)
    if half == "PM" and hour < 12:  # noqa: PLR2004 (noon)
        hour += 12
    elif half == "AM" and hour == 12:  # noqa: PLR2004
        hour = 0
    try:
        second = int(seconds)
    except OverflowError as error:
        raise DateError(str(error)) from error
    # Truncated, not rounded: so the client has it, and starts are compared with this very text.
    return hour, minute, second, int((seconds - second) * 1e6)


def _parts(text: str) -> tuple[str, str, str]:
    match text.split(":"):
        case [hour, minute]:
            return hour, minute, "0"
        case [hour, minute, second] | [hour, minute, second, _]:
            return hour, minute, second
    raise _wrong_number(text.split(":"), 4)
