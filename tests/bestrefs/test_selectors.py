from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdscache.bestrefs import selectors
from crdscache.bestrefs.answers import Cause, Compound, Failure
from crdscache.bestrefs.selectors import Child, Result, RulesError, Selector, UseAfter, limit, version
from crdscache.errors import MappingError
from tests.bestrefs import rules
from tests.bestrefs.rules import DATE

EMPTY = Failure(Cause.BAD_RULES, "attempt to get argmin of an empty sequence")
NO_ORDER = Failure(Cause.BAD_RULES, "'>' not supported between instances of 'float' and 'str'")
NO_ITEM = Failure(Cause.BAD_RULES, "list index out of range")


def ask(selector: str, parkeys: Sequence[str], values: Mapping[str, str]) -> Result:
    root = rules.rmap(selector, (tuple(parkeys), DATE)).selector
    assert isinstance(root, Selector)
    return root.look_up(values)


def keyed(class_name: str, keys: Sequence[object]) -> str:
    """Write a selector whose leaves tell their keys."""
    return f"{class_name}({{{', '.join(f'{key!r}: {str(key)!r}' for key in keys)}}})"


def at(day: str, time: str = "00:00:00") -> dict[str, str]:
    return dict(zip(DATE, (day, time), strict=True))


STARTS = ("2005-01-01 00:00:00", "2003-01-01 00:00:00", "2007-01-01 00:00:00")


@pytest.mark.parametrize(
    ("keys", "values", "expected"),
    [
        (STARTS, at("2005-01-01"), "2005-01-01 00:00:00"),
        (STARTS, at("2004-12-31", "23:59:59.999999"), "2003-01-01 00:00:00"),
        (STARTS, at("2005-01-01", "00:00:00.000001"), "2005-01-01 00:00:00"),
        (STARTS, at("2099-01-01"), "2007-01-01 00:00:00"),
        (STARTS, at("2003-01-01T00:00:00", ""), "2003-01-01 00:00:00"),
        (STARTS, at(" 01/01/2003 ", " "), "2003-01-01 00:00:00"),
        # Trap 4: dates compare as text.
        (("2010-01-01 00:00:00.000",), at("2010-01-01"), None),
        (("2010-01-01 00:00:00.000",), at("2010-01-01", "00:00:01"), "2010-01-01 00:00:00.000"),
        (("2010-01-01T00:00:00",), at("2010-01-01", "23:59:59"), None),
        (("2010-01-01T00:00:00",), at("2010-01-02"), "2010-01-01T00:00:00"),
        (("2011-01-01 00:00:00.5",), at("2011-01-01", "00:00:00.500000"), "2011-01-01 00:00:00.5"),
        (("2010-01-01",), at("2010-01-01"), "2010-01-01"),
        (("",), at("1900-01-01"), ""),
    ],
)
def test_use_after_takes_the_last_start_that_is_not_later(
    keys: Sequence[str], values: dict[str, str], expected: str | None
) -> None:
    answer = ask(keyed("UseAfter", keys), DATE, values)

    assert answer == (expected if expected is not None else too_early(values))


def unreadable(class_name: str, text: str) -> str:
    reason = f"Unknown numerical date format: {text!r}"
    about = f"format for ('DATE-OBS', 'TIME-OBS') value = {text!r} exception is {reason!r}"
    return f"{class_name} Invalid date/time {about}"


def too_early(values: Mapping[str, str]) -> Failure:
    return Failure(Cause.TOO_LOW, f"No selection <= '{' '.join(values.values()).removesuffix('.0')}'")


@pytest.mark.parametrize("keys", [STARTS, ()])
def test_use_after_has_nothing_for_an_early_date(keys: Sequence[str]) -> None:
    values = at("2002-09-22", "01:28:00")

    assert ask(keyed("UseAfter", keys), DATE, values) == too_early(values)


@pytest.mark.parametrize(
    ("class_name", "values", "reason"),
    [
        ("UseAfter", at("2005-01-01", "UNDEFINED"), "UseAfter parameter 'TIME-OBS' is UNDEFINED."),
        ("UseAfter", at(" UNDEFINED "), "UseAfter parameter 'DATE-OBS' is UNDEFINED."),
        ("UseAfter", {}, "UseAfter parameter 'DATE-OBS' is UNDEFINED."),
        ("UseAfter", at("2005.0", ""), unreadable("UseAfter", "2005.0")),
        (
            "UseAfter",
            at("", ""),
            f"UseAfter Invalid date/time format for {DATE} value = '' exception is 'list index out of range'",
        ),
        ("ClosestTime", at("UNDEFINED"), "UseAfter parameter 'DATE-OBS' is UNDEFINED."),
        ("ClosestTime", at("N/A"), unreadable("ClosestTime", "N/A 00:00:00")),
        *[("VersionAfter", {"V": text}, f"Invalid version string {text!r}") for text in ("", "UNDEFINED")],
        *[
            (name, {"V": "FOO"}, f"{name} Invalid number for 'V' value = 'FOO'")
            for name in ("SelectVersion", "GeometricallyNearest", "Bracket")
        ],
        ("Bracket", {}, "Bracket Invalid number for 'V' value = 'UNDEFINED'"),
        *[
            ("SelectVersion", {"V": text}, f"Invalid version expression in: '={text}'")
            for text in ("NAN", "INF", "inf")
        ],
    ],
)
def test_a_value_that_cannot_be_used_is_told(class_name: str, values: dict[str, str], reason: str) -> None:
    parkeys = DATE if class_name in {"UseAfter", "ClosestTime"} else ("V",)

    assert ask(f"{class_name}({{}})", parkeys, values) == Failure(Cause.BAD_VALUE, reason)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *[("0.7.8RC1.DEV305", (0, 7, 8)), ("1.2.3.4", (1, 2, 3)), ("5.0", (5, 0, 0)), ("5.1", (5, 1, 0))],
        *[("5", (5, 0, 0)), ("0.13.0", (0, 13, 0)), ("1RC2", (1, 0, 0)), ("1..2", (1, 0, 0))],
        *[("12345678", (12_345_678, 0, 0)), ("123456789", (12_345_678, 0, 0))],
        ("1." + "x" * 127, (1, 0, 0)),
    ],
)
def test_a_version_is_three_numbers(text: str, expected: tuple[int, int, int]) -> None:
    assert version(text) == expected


@pytest.mark.parametrize("text", ["", "UNDEFINED", "v1", "1 2", ".5", "-1", "1" + "x" * 129, "1/2", "\u0665"])
def test_what_does_not_begin_with_a_number_is_no_version(text: str) -> None:
    with pytest.raises(RulesError) as caught:
        version(text)

    assert str(caught.value) == f"Invalid version string {text!r}"


VERSIONS = ("0.7.1", "0.10.0", "1", "1.2rc3")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *[("0.7.1", "0.7.1"), ("0.9.9", "0.7.1"), ("0.10.0RC1", "0.10.0"), ("1.1.9", "1"), ("1.0", "1")],
        *[("1.2", "1.2rc3"), ("99.0", "1.2rc3")],
        ("0.7.0", Failure(Cause.TOO_LOW, "No selection <= (0, 7, 0)")),
        ("0.0", Failure(Cause.TOO_LOW, "No selection <= (0, 0, 0)")),
    ],
)
def test_version_after_takes_the_last_version_that_is_not_later(value: str, expected: Result) -> None:
    assert ask(keyed("VersionAfter", VERSIONS), ("V",), {"V": value}) == expected


def test_a_version_may_be_spread_over_parameters() -> None:
    parts = {"MAJOR": "0", "MINOR": "10"}

    assert ask(keyed("VersionAfter", VERSIONS), ("MAJOR", "MINOR"), parts) == "0.10.0"


LIMITS = ("<5", "=6", "<=8", "9", "default")


@pytest.mark.parametrize(
    ("keys", "value", "expected"),
    [
        *[(LIMITS, value, "<5") for value in ("4.0", "4.999", "-100.0")],
        *[(LIMITS, value, "=6") for value in ("5.0", "6.0", "5.5")],  # covers what is between, too
        *[(LIMITS, value, "<=8") for value in ("6.1", "7.9")],
        *[(LIMITS, value, "9") for value in ("8.0", "9.0")],  # <= is read as <
        (LIMITS, "9.1", "default"),
        *[(("==6", "<5"), value, "==6") for value in ("5.0", "6.0")],
        *[((), "1.0", NO_ITEM), (("<5",), "5.0", NO_ITEM), (("=5",), "5.1", NO_ITEM)],
        (("default",), "1.0", "default"),
        *[(LIMITS, value, "default") for value in ("1e+18", "9.223372036854775e+18")],
        (LIMITS, "9.223372036854776e+18", NO_ITEM),  # the default is a number as well
        (("<1e30", "default"), "1e+20", "<1e30"),
    ],
)
def test_select_version_takes_the_first_limit_that_is_not_below(
    keys: Sequence[str], value: str, expected: Result
) -> None:
    assert ask(keyed("SelectVersion", keys), ("V",), {"V": value}) == expected


def test_limits_sort_by_number_then_relation_and_the_default_is_last() -> None:
    keys = ["default", "6", "<=5", "=5", "<5", "==4", "<4"]

    assert limit("==5") == limit("=5") == limit("5") == (5.0, "=")
    assert sorted(keys, key=limit) == ["<4", "==4", "<5", "<=5", "=5", "6", "default"]


TIMES = ("2005-01-01 00:00:00", "2005-01-01 00:00:30", "2010-01-01 00:00:00")


@pytest.mark.parametrize(
    ("keys", "values", "expected"),
    [
        (TIMES, at("2005-01-01", "00:00:20"), TIMES[1]),
        (TIMES, at("2005-01-01", "00:00:10"), TIMES[0]),
        (TIMES, at("2005-01-01", "00:00:15"), TIMES[0]),
        (TIMES, at("2099-01-01"), TIMES[2]),
        (TIMES[:2], at("2040-01-01"), TIMES[0]),  # from afar 30 s are nothing to 32 bits
        (("2010-01-01T00:00:00",), at("2005-01-01"), "2010-01-01T00:00:00"),
        ((), at("2005-01-01"), EMPTY),
        (("2000",), at("2005-01-01"), Failure(Cause.BAD_RULES, "Unknown numerical date format: '2000'")),
    ],
)
def test_closest_time_takes_the_nearest(
    keys: Sequence[str], values: dict[str, str], expected: Result
) -> None:
    assert ask(keyed("ClosestTime", keys), DATE, values) == expected


@pytest.mark.parametrize(
    ("keys", "value", "expected"),
    [
        ((1.2, 1.5), "1.35", "1.2"),  # 32 bits decide
        ((5, 10), "7.5", "10"),  # keys are in the order of their texts: 10.0 is first
        ((5, 10), "7.4", "5"),
        ((5, 10), "NAN", "10"),
        ((5, 10), "-INF", "10"),
        ((5, 10), "1e300", "10"),
        (("5", "10"), "6.0", "5"),
        (("A", "10"), "6.0", "A"),  # what is no number is nearest
        ((), "1.0", EMPTY),
    ],
)
def test_geometrically_nearest_takes_the_nearest(
    keys: Sequence[object], value: str, expected: Result
) -> None:
    assert ask(keyed("GeometricallyNearest", keys), ("V",), {"V": value}) == expected


@pytest.mark.parametrize(
    ("keys", "value", "expected"),
    [
        ((5, 1, 3), "2.0", Compound(["1", "3"])),
        ((5, 1, 3), "4.9", Compound(["3", "5"])),
        ((5, 1, 3), "3.0", Compound(["3", "3"])),
        ((5, 1, 3), "1.0", Compound(["1", "1"])),
        ((5, 1, 3), "5.0", Compound(["5", "5"])),
        ((5, 1, 3), "0.0", Compound(["1", "1"])),
        ((5, 1, 3), "INF", Compound(["5", "5"])),
        ((5, 1, 3), "NAN", Compound(["1", "1"])),
        ((10, 9), "9.5", Compound(["9", "10"])),  # these are in the order of numbers
        (("1", "3"), "2.0", NO_ORDER),
        ((), "2.0", NO_ITEM),
    ],
)
def test_bracket_gives_two_neighbours(keys: Sequence[object], value: str, expected: Result) -> None:
    assert ask(keyed("Bracket", keys), ("V",), {"V": value}) == expected


def test_bracket_looks_up_both_neighbours() -> None:
    below = keyed("UseAfter", STARTS[:1])
    selector = f"Bracket({{1: {below}, 3: 'three.fits'}})"

    assert ask(selector, ("V",), at("2006-01-01") | {"V": "2.0"}) == Compound([STARTS[0], "three.fits"])
    assert ask(selector, ("V",), at("2004-01-01") | {"V": "2.0"}) == Failure(
        Cause.CHILD_FAILED,
        "All lookup attempts failed. last exception: No selection <= '2004-01-01 00:00:00'",
    )


CHILD = "Match({('A',): UseAfter({'2005-01-01 00:00:00': 'a.fits'})})"


@pytest.mark.parametrize(
    ("selector", "parkeys", "values"),
    [
        (f"UseAfter({{'2000-01-01': {CHILD}}})", DATE, {}),
        (f"VersionAfter({{'1': {CHILD}}})", ("V",), {"V": "2.0"}),
        (f"SelectVersion({{'default': {CHILD}}})", ("V",), {"V": "2.0"}),
        (f"ClosestTime({{'2000-01-01': {CHILD}}})", DATE, {}),
        (f"GeometricallyNearest({{1: {CHILD}}})", ("V",), {"V": "2.0"}),
    ],
)
def test_a_child_that_leads_nowhere_is_told_but_one_that_refuses_speaks_for_itself(
    selector: str, parkeys: tuple[str, ...], values: dict[str, str]
) -> None:
    root = rules.rmap(selector, (parkeys, ("A",), DATE))

    late, early = at("2006-01-01") | values, at("2004-01-01") | values
    assert root.choose(late | {"A": "A"}) == "a.fits"
    assert root.choose(early | {"A": "A"}) == Failure(
        Cause.CHILD_FAILED, "All lookup attempts failed. last exception: No match found."
    )
    assert root.choose(late | {"A": "B"}) == Failure(
        Cause.BAD_VALUE, " parameter='A' value='B' is not in ['A']"
    )


@pytest.mark.parametrize(
    ("selector", "reason"),
    [
        ("VersionAfter({'0.5': 'a', '0.5.0': 'b'})", "Key '0.5.0' appears more than once"),
        ("VersionAfter({'x': 'a'})", "Invalid version string 'x'"),
        ("SelectVersion({'<x': 'a'})", "'x' is no number"),
        ("SelectVersion({'=5': 'a', '5.0': 'b'})", "a limit appears more than once among ['=5', '5.0']"),
        ("GeometricallyNearest({1: 'a', '1.0': 'b'})", "Key '1.0' appears more than once"),
        ("Bracket({1: 'a', 'B': 'b'})", "the keys of Bracket are numbers and texts: they do not compare"),
    ],
)
def test_keys_without_sense_are_refused(selector: str, reason: str) -> None:
    with pytest.raises(MappingError) as caught:
        rules.rmap(selector, (("V",),))

    assert str(caught.value) == f"{rules.NAME}: {reason}"


def use_after(**items: Child) -> UseAfter:
    return UseAfter(DATE, {key.lstrip("_"): child for key, child in items.items()})


def test_the_union_of_two_has_the_greater_name_where_both_have_one() -> None:
    merged = selectors.merge([use_after(_1="b.fits", _2="z.fits"), use_after(_1="c.fits", _3="a.fits")])

    assert isinstance(merged, UseAfter)
    assert merged.items == {"1": "c.fits", "2": "z.fits", "3": "a.fits"}


def test_selectors_at_equal_keys_do_not_compare() -> None:
    nested = [use_after(_1=use_after()), use_after(_1=selectors.ClosestTime(DATE, {}))]

    assert selectors.merge(nested) == Failure(
        Cause.BAD_RULES,
        "'>=' not supported between instances of 'UseAfterSelector' and 'ClosestTimeSelector'",
    )


@given(st.lists(st.dictionaries(st.sampled_from("123456"), st.text("abc", max_size=3)), min_size=1))
def test_the_order_of_what_is_merged_does_not_matter(tables: list[dict[str, str]]) -> None:
    forth, back = (
        selectors.merge([UseAfter(DATE, table) for table in order]) for order in (tables, tables[::-1])
    )

    assert isinstance(forth, UseAfter)
    assert isinstance(back, UseAfter)
    assert forth.items == back.items


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("UseAfter({'a': 'x', 'b': 'y'})", {"a", "b"}),
        ("UseAfter({'a': VersionAfter({'1': UseAfter({'b': 'x'})})})", {"a", "b"}),
        ("GeometricallyNearest({1: UseAfter({'b': 'x'})})", {"b"}),
        ("UseAfter({'a': 'y', 'c': ClosestTime({'b': 'x'})})", {"a", "c"}),
        ("Bracket({1: 'a'})", set()),
    ],
)
def test_a_selector_tells_the_starts_between_which_its_answer_is_the_same(
    selector: str, expected: set[str]
) -> None:
    root = rules.rmap(selector, (("A",), ("B",), DATE)).selector
    assert isinstance(root, Selector)

    assert root.starts({"A": "1"}) == expected


def test_each_class_that_a_file_may_name_is_there() -> None:
    names = {each.class_name for each in all_below(Selector) if hasattr(each, "class_name")}

    assert names == {
        *("Match", "UseAfter", "VersionAfter", "SelectVersion"),
        *("ClosestTime", "GeometricallyNearest", "Bracket"),
    }


def all_below(base: type[Selector]) -> set[type[Selector]]:
    below = set(base.__subclasses__())
    return below.union(*map(all_below, below))
