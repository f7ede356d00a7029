"""What differs between the references that a data set had and those that it should have."""

import pytest

from crdscache.assignment import comparison
from crdscache.assignment.assign import Assignment
from crdscache.assignment.comparison import Change
from crdscache.bestrefs.answers import Answer, Cause, Compound, Failure, NoFile
from crdscache.bestrefs.matching import NO_MATCH
from crdscache.contexts.records import Problem

ASSIGNED = Assignment(
    "hst_0001.pmap",
    "acs",
    {},
    {"biasfile": "X_bia.fits", "ccdtab": "N/A"},
    (Problem("darkfile", "no"),),
    (),
    (),
)


def test_an_outcome_is_a_name_or_that_there_is_none_or_a_failure() -> None:
    assert comparison.outcomes(ASSIGNED) == {"biasfile": "x_bia.fits", "ccdtab": "n/a", "darkfile": "failed"}


def test_rules_alone_tell_names_that_may_be_rejected_by_now() -> None:
    answers: dict[str, Answer] = {
        "biasfile": "X_bia.fits",
        "ccdtab": NoFile.NOT_APPLICABLE,
        "idctab": NO_MATCH,
        "imphttab": "*",
        "darkfile": Failure(Cause.BAD_VALUE, "no"),
        "pfltfile": Compound(["a", "b"]),
    }

    assert comparison.chosen(answers) == {
        "biasfile": "x_bia.fits",
        **dict.fromkeys(("ccdtab", "idctab", "imphttab"), "n/a"),
        **dict.fromkeys(("darkfile", "pfltfile"), "failed"),
    }


def test_a_header_is_asked_for_no_other_types_than_were_looked_up() -> None:
    """Else every other keyword would count as one that has to go."""
    header = {"BIASFILE": "jref$old.fits", "IDCTAB": "jref$x_idc.fits"}

    assert comparison.recorded(header, ASSIGNED, "hst") == {
        "biasfile": "old.fits",
        "ccdtab": "n/a",
        "darkfile": "n/a",
    }


@pytest.mark.parametrize(
    ("old", "new", "is_change"),
    [
        ("a", "a", False),
        ("a", "b", True),
        ("a", "n/a", True),
        ("n/a", "b", True),
        (None, "b", True),
        ("a", None, True),
        (None, "n/a", False),
        ("n/a", None, False),
        ("a", "failed", False),
        ("failed", "b", True),
        ("failed", "failed", False),
        ("failed", "n/a", True),
    ],
)
def test_a_change_is_another_name_and_a_new_look_up_that_failed_is_none(
    old: str | None, new: str | None, *, is_change: bool
) -> None:
    sides = [{"same": "x"} | ({} if each is None else {"dark": each}) for each in (old, new)]

    found = comparison.changes(*sides)

    assert found == ((Change("dark", old or "n/a", new or "n/a"),) if is_change else ())
