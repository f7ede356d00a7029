import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crdscache.bestrefs.conditioning import condition
from crdscache.bestrefs.elements import (
    DIFFERS,
    DOES_NOT_MATTER,
    FITS,
    ElementError,
    is_esoteric,
    is_literal,
    judge,
    normal,
    pieces,
)
from crdscache.contexts.mapping import Key


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        *[("{a}", "{a}"), ("(a.*|B)", "(a.*|B)"), ("()", "()"), ("{a|b}", "{a|b}")],  # untouched
        *[("3|>5", "3.0|>5"), ("ANY|x", "*|X"), (" b | |a ", "A|B"), ("b|B|a", "B|A|B"), ("|", "")],
        *[("1", "1.0"), ("not a|b", "NOT A|B"), ("between 1 2", "BETWEEN 1 2"), ("notch|a", "NOTCH|A")],
        *[("#>1 and <=5|6#", "#>1 AND <=5|6#"), ("n/a", "N/A"), ("any", "*"), ("n/a|x", "N/A|X")],
        *[(("b", 1), "B|1.0"), (("a|b", "c"), "A|B|C"), ((), "")],
        *[(1, "1.0"), (1.5, "1.5"), (True, "T"), (False, "F"), (None, "NONE"), (-2147483648, "N/A")],
        # Parts are sorted as they stand in the file, before they get their form.
        *[("10|9", "10.0|9.0"), ("b|A", "A|B"), ("a|B", "B|A")],
    ],
)
def test_an_element_has_one_form(raw: Key, expected: str) -> None:
    assert normal(raw) == expected


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        *[(text, True) for text in ("(A)", "{A}", "#A#", "(A}", "#)", "()", "{}", "#")],
        *[(text, True) for text in ("BETWEEN 1 2", "between", "NOT A", "NOTCH", "not a")],
        *[(text, False) for text in ("A", "A|B", "A*", ">5", "N/A", "*", "", "(A", "A)", "=5", "ANOT")],
    ],
)
def test_an_element_is_a_rule_by_its_shape(element: str, expected: bool) -> None:  # noqa: FBT001
    assert is_esoteric(element) is expected


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("A|B*", ["A", "B*"]),
        ("NOT A|B", ["NOT A|B"]),
        ("(A|B)", ["(A|B)"]),
        (">5", [">5"]),
        ("N/A|X", ["N/A", "X"]),
    ],
)
def test_an_element_that_is_no_rule_stands_for_its_parts(element: str, expected: list[str]) -> None:
    assert pieces(element) == expected


VERDICTS: dict[str, dict[int, tuple[str, ...]]] = {
    # The element itself and `*` fit all but negations and N/A; the value N/A never matters.
    "A": {1: ("A", "*"), 0: ("N/A",), -1: ("B", "AA", "", "UNDEFINED", "a")},
    "5.0": {1: ("5.0", "*"), 0: ("N/A",), -1: ("5", "6.0")},
    "": {1: ("", "*"), 0: ("N/A",), -1: ("A",)},
    "UNDEFINED": {1: ("UNDEFINED", "*"), 0: ("N/A",), -1: ("A",)},
    "?": {1: ("?", "*"), 0: ("N/A",), -1: ("A",)},  # alone it is a plain character
    "=5": {1: ("=5", "*"), -1: ("5.0", "5")},
    "A&B": {1: ("A&B", "*"), -1: ("A",)},
    # Patterns are anchored at the start only, and written in the case of the values.
    "(A.*)": {1: ("A", "AXX", "*"), 0: ("N/A",), -1: ("BA", "", "(A.*)")},
    "(A)": {1: ("A", "AB", "*"), -1: ("B", "(A)")},
    "(a)": {1: ("a", "*"), -1: ("A", "(A)", "(a)")},
    "(A[BC])": {1: ("AB", "A[BC]"), -1: ("A",)},  # its inside fits, pattern or not
    "()": {1: ("A", "", "UNDEFINED", "*"), 0: ("N/A",)},
    # A literal is its inside.
    "{A}": {1: ("A", "*"), 0: ("N/A",), -1: ("{A}", "AA")},
    "{5}": {1: ("5", "*"), -1: ("5.0",)},
    "{A|B}": {1: ("A|B", "*"), -1: ("A", "B")},
    "{N/A}": {1: ("N/A", "*"), -1: ("A",)},
    # Lists and wild cards match the whole value; the list itself is no value.
    "A|B*": {1: ("A", "B", "BXX", "*"), 0: ("N/A",), -1: ("C", "AB", "A|B*")},
    "A|B": {1: ("A", "B", "*"), 0: ("N/A",), -1: ("A|B", "AB", "")},
    "*": {1: ("A", "", "UNDEFINED", "*"), 0: ("N/A",)},
    "N/A|X": {1: ("X", "*"), 0: ("N/A",), -1: ("Y",)},  # not a don't-care
    "A|?B": {1: ("A", "XB", "?B", "*"), -1: ("B", "XXB", "XBX")},
    "[AB]*": {1: ("A", "BX", "*"), -1: ("C", "")},
    "[!A]*": {1: ("B",), -1: ("A", "AB")},
    "A.C*": {1: ("A.C", "A.CD"), -1: ("ABC",)},  # no regular expression
    ">5|3.0": {1: (">5", "3.0", "*"), -1: ("6.0",)},
    "A*": {1: ("A", "A\nB", "A*"), -1: ("BA",)},
    # Numbers
    ">5": {
        1: ("6.0", ">5", "*", "INF"),
        0: ("N/A",),
        -1: ("5.0", "4.0", "NAN", "A", "", "UNDEFINED", "-INF"),
    },
    ">=5": {1: ("5.0", "6.0"), -1: ("4.9",)},
    "<5": {1: ("4.0", "-INF"), -1: ("5.0", "INF", "NAN")},
    "<=5": {1: ("5.0",), -1: ("5.1",)},
    "> -1.5E1 REST": {1: ("-14.0", "> -1.5E1 REST"), -1: ("-15.0",)},
    "BETWEEN 1 2": {
        1: ("1.0", "1.9", "*", ">=1 AND <2"),
        0: ("N/A",),
        -1: ("2.0", "0.9", "A", "NAN", "BETWEEN 1 2"),
    },
    "BETWEEN 1 1": {1: ("*",), -1: ("1.0",)},
    # Two conditions, both or one; a third is dropped, and AND splits first.
    "#>1 AND <=20#": {1: ("2.0", "20.0", "#>1 AND <=20#", "*"), 0: ("N/A",), -1: ("1.0", "21.0")},
    "#>1 AND <5 AND <3#": {1: ("4.0", "2.0"), -1: ("5.0", "1.0")},
    "#<2 OR >8#": {1: ("1.0", "9.0"), -1: ("2.0", "8.0")},
    "#<5 OR >10 AND <20#": {1: ("2.0",), -1: ("15.0", "25.0")},
    "#A OR B#": {1: ("A", "B", "#A OR B#"), -1: ("C",)},
    "#1E+16 OR 5#": {1: ("1e+16",), -1: ("5.0",)},  # as any long number has it
    # One condition is what stands inside.
    "#>5#": {1: ("6.0", ">5"), -1: ("5.0", "#>5#")},
    "# >5 #": {1: (" >5 ", "*"), -1: ("6.0", "5.0", "# >5 #")},
    "#a#": {1: ("A",), -1: ("#A#", "a", "#a#")},
    "#NOT A#": {1: ("B",), 0: ("N/A",), -1: ("A", "*")},
    "#N/A#": {0: ("A", "*", "N/A", "#N/A#")},
    # Negations
    "NOT A|B": {1: ("C", "UNDEFINED", ""), 0: ("N/A",), -1: ("A", "B", "*")},
    "NOT 5": {1: ("5.0", "6.0"), -1: ("5", "*")},  # its number is not brought into the one form
    "NOT N/A": {0: ("A", "N/A", "*", "UNDEFINED")},
    "NOT NOT A": {1: ("A", "*"), 0: ("N/A",), -1: ("B",)},
    "NOT >5": {1: ("5.0", "A"), -1: ("6.0",)},
    "NOTCH": {1: ("NOTCH", "*"), 0: ("N/A",), -1: ("CH", "A")},
    # The don't-care
    "N/A": {0: ("A", "*", "N/A", "", "UNDEFINED")},
}


@pytest.mark.parametrize(
    ("element", "value", "expected"),
    [
        (element, value, verdict)
        for element, of_verdict in VERDICTS.items()
        for verdict, values in of_verdict.items()
        for value in values
    ],
)
def test_an_element_judges_a_value(element: str, value: str, expected: int) -> None:
    assert judge(element)(value) == expected


def test_the_verdicts_are_numbers_that_weigh_and_negate() -> None:
    assert (FITS, DOES_NOT_MATTER, DIFFERS) == (1, 0, -1)


@pytest.mark.parametrize(
    "element",
    [
        *("BETWEEN 2 1", "BETWEEN 1", "BETWEEN 1 2 3", "BETWEEN A B", "BETWEENX", "NOT BETWEEN 2 1"),
        *(">", "<", ">A", "<= ", "> >5", "#>1 AND >#", "([)", "(*)", "((?P<a>b)(?P<a>c))"),
    ],
)
def test_an_element_without_sense_is_refused(element: str) -> None:
    with pytest.raises(ElementError, match=r"\S"):
        judge(element)


@pytest.mark.parametrize(
    ("element", "times"), [("NOT ", 30), ("NOT ", 500_000), ("#", 60), ("#", 500_000), ("(", 100_000)]
)
def test_S12_an_element_that_is_nested_too_deeply_is_refused(element: str, times: int) -> None:
    with pytest.raises(ElementError, match=r"nested deeper|no regular expression"):
        judge(element * times + ")" * times if element == "(" else element * times)


@given(st.text() | st.text("NOT #()<>|*?[]{}BETWEN12.A", max_size=20), st.text(max_size=5))
@example("([[a]b)", "A")  # Python warns of it
def test_any_element_judges_any_value_or_is_refused(element: str, value: str) -> None:
    try:
        verdict = judge(normal(element))(condition(value))
    except ElementError:
        return

    assert verdict in {FITS, DOES_NOT_MATTER, DIFFERS}


@given(
    st.text(alphabet="AB12.*?[]<>", max_size=5).map(condition),
    st.text(alphabet="AB12.", max_size=3).map(condition),
)
@example("A?", "AB")
@example(">1", "2.0")
@example("B", "A")
def test_nothing_but_itself_fits_a_literal(element: str, value: str) -> None:
    if not is_literal(element) or value in {"*", "N/A"}:
        return

    assert judge(f"{element}|ZZ")(value) == (FITS if value == element else DIFFERS)
    assert judge(element)(value) == (FITS if value == element else DIFFERS)


@pytest.mark.parametrize("piece", ["N/A", "*", "A*", "A?", "[AB]", ">5", "<=5"])
def test_what_fits_more_than_itself_is_no_literal(piece: str) -> None:
    assert not is_literal(piece)
