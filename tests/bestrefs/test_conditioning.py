import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdscache.bestrefs.conditioning import condition

CASES = [
    *[(text, "1.0") for text in ("1", "01", "+1", "1.", "1e0", "1.0", " 1 ", "1E+0", 1, 1.0)],
    *[("1.10", "1.1"), (".5", "0.5"), ("-0", "-0.0"), ("5.10", "5.1"), ("0.1e1", "1.0"), ("1.5e3", "1500.0")],
    *[("-999", "-999.0"), (-999, "-999.0"), ("1e16", "1e+16"), ("1e-5", "1e-05"), (10**16, "1e+16")],
    *[("1e400", "inf"), ("-1e400", "-inf"), ("4294967295", "-1.0"), ("4294967295.0", "-1.0")],
    *[("4294967296", "4294967296.0"), ("-2147483647", "-2147483647.0"), ("-21474836480", "-21474836480.0")],
    *[("1.2.3", "1.2.3"), ("1_000", "1_000"), ("0x10", "0X10"), ("1d0", "1D0"), ("5.e3", "5.E3")],
    *[("1e", "1E"), (".", "."), ("-", "-"), ("- 1", "- 1"), ("--1", "--1"), ("\u0665", "\u0665")],
    *[("nan", "NAN"), ("inf", "INF"), ("None", "NONE"), (None, "NONE"), ("", ""), ("  \t\n", "")],
    *[(text, "N/A") for text in ("n/a", "N/A", "N/A FOO", "N/AX", " n/a ", "not applicable yes")],
    *[("()", "N/A"), ("()x", "N/A"), ("NOT_APPLICABLE", "N/A"), ("not_applicable", "N/A")],
    *[("-2147483648", "N/A"), ("-2147483648.0", "N/A"), ("-2147483648X0Z", "N/A"), ("-2147483648\n0", "N/A")],
    *[("NOT_APPLICABLE2", "NOT_APPLICABLE2"), ("X N/A", "X N/A"), ("N / A", "N / A")],
    *[(text, "T") for text in ("t", "T", "true", "TRUE", True)],
    *[(text, "F") for text in ("f", "F", "false", "False", False)],
    *[(" any ", "*"), ("ANY", "*"), ("*", "*"), ("anyx", "ANYX"), ("TRUEX", "TRUEX")],
    *[("UNDEFINED ", "UNDEFINED"), ("undefined", "UNDEFINED"), ("a b", "A B"), ("straße", "STRASSE")],
]
INFINITE = {"inf", "-inf"}  # written in small letters, they are no numbers the second time


@pytest.mark.parametrize(("value", "expected"), CASES)
def test_a_value_has_one_form(value: object, expected: str) -> None:
    assert condition(value) == expected


@pytest.mark.parametrize("once", sorted({form for _, form in CASES} - INFINITE))
def test_a_form_is_its_own_form(once: str) -> None:
    assert condition(once) == once


@given(st.text() | st.floats() | st.integers() | st.text("0123456789+-.eE", max_size=8))
def test_a_second_time_changes_nothing_but_an_infinite_number(value: object) -> None:
    once = condition(value)

    assert condition(once) == (once.upper() if once in INFINITE else once)


@given(st.integers(-(10**15), 10**15))
def test_a_number_has_the_same_form_however_it_is_written(number: int) -> None:
    spellings = (number, float(number), str(number), f"{number}.", f" {number}.00 ", f"{number}e0")

    assert len({condition(each) for each in spellings}) == 1


@given(st.text())
def test_letter_case_and_outer_blanks_do_not_matter(text: str) -> None:
    assert condition(f" {text.upper()}\t") == condition(text)
