from itertools import permutations

import pytest

from crdscache.bestrefs.answers import Cause, Compound, Failure
from crdscache.bestrefs.matching import Column, Match, Verdict
from crdscache.bestrefs.rmaps import Rmap
from crdscache.bestrefs.selectors import Result
from tests.bestrefs import rules
from tests.bestrefs.rules import DATE, answer, refused

NO_MATCH = Failure(Cause.NO_MATCH, "No match found.")


def column(*rows: str) -> Column:
    return Column("A", rows, {"GENERIC": "N/A", "ALL": "X|Y"})


def refusal(value: str, why: str) -> Failure:
    return refused("A", value, why)


@pytest.mark.parametrize(
    ("rows", "known"),
    [
        (("B|A", "C"), ["A", "B", "C"]),
        (("A", "NOT B"), []),  # a rule opens the column
        (("A", "(B)"), []),
        (("A", ">5", "B*"), [">5", "A", "B*"]),  # inequalities and wild cards are no rules
        (("N/A|X",), ["N/A", "X"]),
        ((), []),
    ],
)
def test_a_column_knows_the_values_in_its_keys(rows: tuple[str, ...], known: list[str]) -> None:
    assert column(*rows).known == known


@pytest.mark.parametrize(
    ("rows", "value"),
    [
        *[(("A", "B|C"), value) for value in ("A", "B", "C", "*", "ANY", "N/A")],
        *[(("5.0",), "5"), (("A", "*"), "X"), (("A", "N/A|B"), "X"), (("A", "NOT B"), "X"), ((), "X")],
        *[(("A",), value) for value in ("{G}", "(x)", "#5#", "BETWEEN 1 2", "NOT A", "NOTA", "NOT NOT A")],
        *[(("1:5",), value) for value in ("1.0", "3.0", "5.0", "1:5")],
        *[(("X", "Y"), "NOT X"), (("N/A", "X"), "GENERIC"), (("A", "X"), "NOT *")],
        *[(("<=5", ">5"), ">5"), (("F*", "G"), "F*"), (("1:5", "NOT 7"), "7.0")],
    ],
)
def test_a_column_takes_a_value_that_it_knows_or_cannot_judge(rows: tuple[str, ...], value: str) -> None:
    assert isinstance(column(*rows).ask(value), Verdict)


@pytest.mark.parametrize(
    ("rows", "value", "expected"),
    [
        (("C", "A|B"), "X", refusal("X", "not in ['A', 'B', 'C']")),
        (("A",), "UNDEFINED", refusal("UNDEFINED", "not in ['A']")),
        (("A",), "", refusal("", "not in ['A']")),
        # Trap 1: a value that would fit is refused, unless the column is open.
        (("<=5", ">5"), "6.0", refusal("6.0", "not in ['<=5', '>5']")),
        (("F*", "G"), "F1", refusal("F1", "not in ['F*', 'G']")),
        # What begins with NOT is judged by the rest.
        (("A",), "NOTHING", refusal("HING", "not in ['A']")),
        (("A",), "NOT_APPLICABLE2", refusal("_APPLICABLE2", "not in ['A']")),
        (("A",), "NOT B", refusal("B", "not in ['A']")),
        (("1:5",), "7.0", refusal("7.0", "not in range [1.0 .. 5.0]")),
        (("1:5",), "X", refusal("X", "not a number for the range 1:5")),
        (("1:5", "6:9"), "7.0", refusal("7.0", "not in ['1:5', '6:9']")),
        # The value in the place of another is judged in its place.
        (("A",), "ALL", refusal("X|Y", "not in ['A']")),
        (("A",), "all", refusal("all", "not in ['A']")),
    ],
)
def test_a_column_refuses_a_value_that_it_does_not_know(
    rows: tuple[str, ...], value: str, expected: Failure
) -> None:
    assert column(*rows).ask(value) == expected


def test_a_verdict_has_a_bit_for_each_row() -> None:
    four = column("A", "N/A", "NOT A", "A|B")

    assert four.ask("A") == Verdict(possible=0b1011, fitting=0b1001)
    assert four.ask("C") == Verdict(possible=0b0110, fitting=0b0100)
    assert four.ask("N/A") == Verdict(possible=0b1111, fitting=0)
    assert four.ask("*") == Verdict(possible=0b1011, fitting=0b1001)


def test_a_column_with_too_many_values_still_answers() -> None:
    one = column("NOT A")

    assert {one.ask(f"X{number}") for number in range(5000)} == {Verdict(possible=1, fitting=1)}


def ask(selector: str, **values: str) -> Result:
    match = Rmap(rules.read(selector, (("A", "B"), DATE))).selector
    assert isinstance(match, Match)
    return match.look_up({key.replace("_", "-"): value for key, value in values.items()})


WEIGHTS = """Match({
    ('N/A', 'N/A') : 'none.fits',
    ('X', 'N/A') : 'one.fits',
    ('X', 'Y') : 'two.fits',
    ('NOT X', 'Z') : 'not.fits',
})"""


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("X", "Y", "two.fits"),
        ("X", "Z", "one.fits"),
        ("Q", "Y", "none.fits"),
        ("Q", "Z", "not.fits"),
        ("X", "N/A", Compound(["one.fits", "two.fits"])),
        ("N/A", "Y", "two.fits"),
        ("N/A", "Z", "not.fits"),
        ("*", "Y", "two.fits"),
        # Trap 8: N/A weighs nothing anywhere, so all rows are equal.
        ("N/A", "N/A", Compound(["none.fits", "not.fits", "one.fits", "two.fits"])),
    ],
)
def test_the_row_with_most_fitting_elements_wins(a: str, b: str, expected: Result) -> None:
    assert ask(WEIGHTS, A=a, B=b) == expected


MERGED = """Match({
    ('x', 'N/A') : UseAfter({'2000-01-01 00:00:00': 'f.fits', '2010-01-01 00:00:00': 'a.fits'}),
    ('N/A', 'y') : UseAfter({'2005-01-01 00:00:00': 'h.fits', '2010-01-01 00:00:00': 'b.fits'}),
    ('N/A', 'N/A') : UseAfter({'1990-01-01 00:00:00': 'old.fits'}),
})"""


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("1980-01-01", NO_MATCH),
        ("1999-01-01", "old.fits"),  # trap 6: too early for the best rows, so the next ones are tried
        ("2001-01-01", "f.fits"),
        ("2006-01-01", "h.fits"),
        ("2011-01-01", "b.fits"),  # trap 7: of equal starts the greater name
    ],
)
def test_rows_of_equal_weight_become_one_selector(date: str, expected: Result) -> None:
    assert ask(MERGED, A="X", B="Y", DATE_OBS=date, TIME_OBS="00:00:00") == expected


def test_an_unreadable_date_ends_the_look_up() -> None:
    """Trap 6: the row of lower weight, a name, would have been an answer."""
    selector = """Match({
        ('X', 'Y') : UseAfter({'2000-01-01 00:00:00': 'f.fits'}),
        ('X', 'N/A') : 'fallback.fits',
    })"""

    assert ask(selector, A="X", B="Z", DATE_OBS="2010-01-01") == "fallback.fits"
    assert ask(selector, A="X", B="Y", DATE_OBS="2010-01-01") == Failure(
        Cause.BAD_VALUE, "UseAfter parameter 'TIME-OBS' is UNDEFINED."
    )


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("'a.fits'", "'b.fits'", Compound(["a.fits", "b.fits"])),
        ("'N/A'", "'N/A'", Compound(["N/A", "N/A"])),  # not "not applicable"
        ("'N/A'", "UseAfter({})", Compound(["N/A", "<Selector UseAfter>"])),
        ("{'k': 'a.fits'}", "'b.fits'", Compound([{"k": "a.fits"}, "b.fits"])),
        ("UseAfter({})", "'N/A'", Failure(Cause.BAD_RULES, "'str' object has no attribute '_selections'")),
        (
            "UseAfter({})",
            "('a.fits', 'b.fits')",
            Failure(Cause.BAD_RULES, "'tuple' object has no attribute '_selections'"),
        ),
        *[
            (
                f"UseAfter({{'2000-01-01 00:00:00': {one}}})",
                f"UseAfter({{'2000-01-01 00:00:00': {other}}})",
                Failure(Cause.BAD_RULES, "'>=' not supported between instances of 'dict' and 'dict'"),
            )
            for one, other in [("{'k': 'a'}", "{'k': 'b'}"), ("('a', {'k': 'b'})", "('a', {'k': 'c'})")]
        ],
        ("UseAfter({})", "UseAfter({})", NO_MATCH),
        *[
            (
                f"UseAfter({{'2000-01-01 00:00:00': {one}}})",
                f"UseAfter({{'2000-01-01 00:00:00': {other}}})",
                Compound(["b.fits", "a.fits"]),
            )
            for one, other in permutations(["('a.fits', 'c.fits')", "('b.fits', 'a.fits')"])
        ],
        (
            "UseAfter({'2000-01-01 00:00:00': 'a.fits'})",
            "UseAfter({'2000-01-01 00:00:00': ('b.fits', 'c.fits')})",
            Failure(Cause.BAD_RULES, "'>=' not supported between instances of 'str' and 'tuple'"),
        ),
        *[
            (
                f"{name}({{}})",
                f"{name}({{}})",
                Failure(
                    Cause.BAD_RULES,
                    f"More than one match was found at the same weight and {name} does not support merging.",
                ),
            )
            for name in ("Bracket", "SelectVersion", "GeometricallyNearest", "Match")
        ],
    ],
)
def test_what_rows_of_equal_weight_give_depends_on_the_first(
    first: str, second: str, expected: Result
) -> None:
    selector = f"Match({{('X', 'N/A') : {second}, ('N/A', 'X') : {first}}})"  # N/A comes first in their order

    assert ask(selector, A="X", B="X", DATE_OBS="2010-01-01", TIME_OBS="") == expected


def test_rows_are_in_the_order_of_their_keys_and_not_of_the_file() -> None:
    selector = "Match({('X', 'N/A') : 'z.fits', ('N/A', 'Y') : 'm.fits', ('X|W', '*') : 'a.fits'})"

    assert ask(selector, A="N/A", B="N/A") == Compound(["m.fits", "a.fits", "z.fits"])


@pytest.mark.parametrize("word", ["NO", "false", "0", "yes"])
def test_rules_can_forbid_that_rows_become_one(word: str) -> None:
    forbidding = rules.rmap(MERGED, (("A", "B"), DATE), merge_overlaps=word)

    assert answer(forbidding, A="X", B="Y", DATE_OBS="2001-01-01", TIME_OBS="") == Failure(
        Cause.BAD_RULES, "More than one match clause matched."
    )


@pytest.mark.parametrize("word", ["TRUE", "true", "1"])
def test_rules_can_allow_that_rows_become_one(word: str) -> None:
    allowing = rules.rmap(MERGED, (("A", "B"), DATE), merge_overlaps=word)

    assert answer(allowing, A="X", B="Y", DATE_OBS="2001-01-01", TIME_OBS="") == "f.fits"


NESTED = """Match({
    ('X',) : Match({('1',) : UseAfter({'2000-01-01 00:00:00': 'one.fits'}), ('2',) : 'two.fits'}),
    ('N/A',) : Match({('N/A',) : 'any.fits'}),
})"""


@pytest.mark.parametrize(
    ("a", "b", "date", "expected"),
    [
        ("X", "2.0", "2001-01-01", "two.fits"),
        ("X", "1.0", "2001-01-01", "one.fits"),
        ("X", "1.0", "1999-01-01", "any.fits"),  # soft failures below go on to the next weight
        ("Y", "1.0", "2001-01-01", "any.fits"),
        # Trap 6: a value that a Match below refuses ends it all.
        ("X", "3.0", "2001-01-01", refused("B", "3.0", "not in ['1.0', '2.0']")),
    ],
)
def test_a_match_may_stand_in_another(a: str, b: str, date: str, expected: Result) -> None:
    nested = rules.rmap(NESTED, (("A",), ("B",), DATE))

    assert answer(nested, A=a, B=b, DATE_OBS=date, TIME_OBS="00:00:00") == expected


def test_the_first_value_that_is_refused_is_told() -> None:
    selector = "Match({('X', 'Y') : 'x.fits'})"

    assert ask(selector, A="Q", B="Q") == refused("A", "Q", "not in ['X']")
    assert ask(selector, A="X", B="Q") == refused("B", "Q", "not in ['Y']")


def test_a_parameter_that_is_not_there_is_undefined_where_the_column_is_open() -> None:
    """It fits what any value fits, and no other: the value N/A would fit all."""
    assert ask("Match({('X', 'N/A') : 'open.fits', ('X', 'Y') : 'y.fits'})", A="X") == "open.fits"


def test_a_parameter_that_is_not_there_is_an_error_unless_the_column_is_open() -> None:
    closed, opened = "Match({('X', 'Y') : 'x.fits'})", "Match({('X', 'N/A') : 'x.fits'})"

    assert ask(closed, A="X") == Failure(Cause.BAD_RULES, "Match required lookup parameter 'B' is undefined.")
    assert ask(opened, A="X") == "x.fits"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"A": "X", "B": "Y"}, {"2000-01-01 00:00:00", "2005-01-01 00:00:00", "2010-01-01 00:00:00"}),
        ({"A": "Q", "B": "Q"}, set()),
    ],
)
def test_the_starts_of_all_candidates_are_told(values: dict[str, str], expected: set[str]) -> None:
    merged = rules.rmap(MERGED, (("A", "B"), DATE)).selector
    assert isinstance(merged, Match)

    assert merged.starts(values) == expected | {"1990-01-01 00:00:00"}


def test_what_a_row_leads_to_is_found_by_its_key() -> None:
    match = Match(["A"], {("Y",): "y.fits", ("X",): "x.fits", ("X|Y",): "xy.fits"}, {}, may_merge=True)

    assert [match.child_at((key,)) for key in ("X", "Y", "X|Y", "Z", "A")] == [
        "x.fits", "y.fits", "xy.fits", None, None
    ]  # fmt: skip
