import pytest

from crdscache.bestrefs.answers import SOFT, Answer, Cause, Compound, Failure, NoFile, special, to_json


@pytest.mark.parametrize(
    ("leaf", "expected"),
    [
        *[(leaf, NoFile.NOT_APPLICABLE) for leaf in ("N/A", "TEMP_N/A", "n/a", "temp_n/a")],
        *[(leaf, NoFile.OMITTED) for leaf in ("OMIT", "TEMP_OMIT", "omit")],
        # Other spellings are names, as to the client.
        *[
            (leaf, leaf)
            for leaf in ("n/A", "temp_omit", "Omit", "Temp_N/A", "", "x_drk.fits", "X_0H_drk.fits")
        ],
    ],
)
def test_a_leaf_is_special_by_its_spelling(leaf: str, expected: str | NoFile) -> None:
    assert special(leaf) == expected


def test_answers_are_written_in_the_forms_of_the_client() -> None:
    bestrefs: dict[str, Answer] = {
        "darkfile": "x_drk.fits",
        "biasfile": NoFile.NOT_APPLICABLE,
        "flatfile": NoFile.OMITTED,
        "idctab": Failure(Cause.NO_MATCH, "No match found."),
        "bpixtab": Failure(Cause.BAD_VALUE, " parameter='A' value='B' is not in ['C']"),
        "atodtab": Compound(["a.fits", {"b": "c.fits"}, "<Selector UseAfter>"]),
    }

    assert list(to_json(bestrefs).items()) == [
        ("darkfile", "x_drk.fits"),
        ("biasfile", "NOT FOUND n/a"),
        ("idctab", "NOT FOUND No match found."),
        ("bpixtab", "NOT FOUND  parameter='A' value='B' is not in ['C']"),  # two blanks
        ("atodtab", ["a.fits", {"b": "c.fits"}, "<Selector UseAfter>"]),
    ]


def test_a_look_up_goes_on_after_three_causes_only() -> None:
    assert {Cause.NO_MATCH, Cause.TOO_LOW, Cause.CHILD_FAILED} == SOFT
