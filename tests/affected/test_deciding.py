import pytest

from crdscache.affected.deciding import rule
from crdscache.affected.difference import TypeChange
from crdscache.bestrefs.answers import NoFile
from tests.bestrefs import rules

PARKEY = (("DETECTOR",), ("DATE-OBS", "TIME-OBS"))
VALUES = {"DETECTOR": "FUV", "DATE-OBS": "2010-01-01", "TIME-OBS": "00:00:00"}
OLD = "Match({('FUV',): UseAfter({'2009-01-01 00:00:00': 'a.fits'})})"


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (
            "Match({('FUV',): UseAfter({'2009-01-01 00:00:00': 'a.fits', '2009-06-01 00:00:00': 'b.fits'})})",
            "new: (FUV): b.fits, in use from 2009-06-01 00:00:00",
        ),
        (
            "Match({('FUV|NUV',): UseAfter({'2009-01-01 00:00:00': 'b.fits'})})",
            "new: (FUV|NUV): b.fits, in use from 2009-01-01 00:00:00",
        ),
    ],
)
def test_a_row_that_is_new_is_named(new: str, expected: str) -> None:
    change = TypeChange("flatfile", rules.rmap(OLD, PARKEY), rules.rmap(new, PARKEY))

    assert rule(change, VALUES, VALUES) == expected


def test_where_the_new_row_was_there_before_the_one_that_went_is_named() -> None:
    old = "Match({('FUV',): UseAfter({'2009-01-01 00:00:00': 'a.fits', '2009-06-01 00:00:00': 'b.fits'})})"
    change = TypeChange("flatfile", rules.rmap(old, PARKEY), rules.rmap(OLD, PARKEY))
    gone = "no longer: (FUV): b.fits, in use from 2009-06-01 00:00:00"

    assert rule(change, VALUES, VALUES) == gone


def test_where_no_row_changed_it_says_what_decides_now() -> None:
    relevance = {"rmap_relevance": '(DETECTOR == "NUV")'}
    old = rules.rmap(OLD, PARKEY)
    by_condition = TypeChange("flatfile", old, rules.rmap(OLD, PARKEY, **relevance))
    by_imap = TypeChange("flatfile", NoFile.OMITTED, NoFile.NOT_APPLICABLE)

    assert rule(by_condition, VALUES, VALUES) == 'now: not relevant by (DETECTOR == "NUV")'
    assert rule(by_imap, VALUES, VALUES) == "now: imap: N/A"
