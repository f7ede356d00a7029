"""The letter and number in a name is a row of the fault matrix."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal

import pytest

from crdscache.contexts.records import Problem
from crdscache.datasets.cataloguemap import Part
from crdscache.datasets.cataloguerows import MAX_ID, Field, RowReader
from crdscache.datasets.records import Rows

A_WORD = f"an id of 1 to {MAX_ID} printable characters, without blanks and colons, was expected, found"


def read(*rows: Sequence[object], fields: dict[str, Field] | None = None) -> list[Rows]:
    """Read rows of exposure, product and the value of one parameter."""
    reader = RowReader("acs", 0, 1, fields or {"A": Field(2)})
    reader.add(rows)
    return [reader.take(), *reader.repeated()]


def ids(*pairs: tuple[object, object]) -> Sequence[str]:
    [found] = read(*((exposure, product, 1) for product, exposure in pairs))
    assert not found.problems
    return found.ids


def values(field: Field, *raw: object) -> Sequence[object]:
    [found] = read(*((number, None, value) for number, value in enumerate(raw)), fields={"A": field})
    assert not found.problems
    return found.columns["A"]


def test_an_id_is_product_and_exposure_and_without_product_twice_the_exposure() -> None:
    pairs = [
        ("P", "1"),
        (None, "2"),
        ("", "3"),
        ("NONE", "4"),
        ("none ", "5"),
        ("P  ", "6  "),
        (7, Decimal(8)),
    ]

    assert ids(*pairs) == ["P:1", "2:2", "3:3", "4:4", "5:5", "P:6", "7:8"]


def test_columns_are_gathered_until_they_are_taken() -> None:
    reader = RowReader("acs", 0, 0, {"A": Field(1), "B": Field(None)})
    reader.add([("x", 1)])
    reader.add([("y", None)])
    n_rows = len(reader)

    taken = reader.take()

    assert (n_rows, len(reader)) == (2, 0)
    assert taken == Rows(["x:x", "y:y"], {"A": [1, None], "B": [None, None]})


def test_E09_values_are_passed_on_as_they_are() -> None:
    plain = ["", "x;'\"", " ", None, 2**63, -1, 0.5, True, Decimal("1.50"), date(2012, 3, 4), time(5, 6)]

    assert values(Field(2), *plain) == plain


@pytest.mark.parametrize("value", [b"x", bytearray(b"x"), memoryview(b"x"), [1], {"a": 1}, timedelta(1)])
def test_E09_what_is_no_value_makes_its_row_a_problem(value: object) -> None:
    reason = f"A: a text or a number was expected, found {type(value).__name__}"

    found = read(("x", "p", 1), ("y", "p", value), ("z", "p", 3))

    assert found == [Rows(["p:x", "p:z"], {"A": [1, 3]}, (Problem("p:y", reason),))]


@pytest.mark.parametrize(
    ("exposure", "product", "shown"),
    [
        (None, "p", "None"),
        ("", "p", "''"),
        ("  ", "p", "'  '"),
        (b"x", None, "<bytes>"),
        (0.5, None, "0.5"),
        ("a:b", None, "'a:b'"),
        ("a b", None, "'a b'"),
        ("a\nb", None, "'a\\nb'"),
        ("a\x1b[2J", None, "'a\\x1b[2J'"),
        ("a\udcffb", None, "'a\\udcffb'"),
        ("x", "a:b", "'a:b'"),
        ("x", b"p", "<bytes>"),
        ("x" * 129, None, f"'{'x' * 129}'"),
    ],
)
def test_E09_an_id_that_cannot_be_used_makes_its_row_a_problem(
    exposure: object, product: object, shown: str
) -> None:
    found = read(("good", None, 1), (exposure, product, b"blob"))

    assert found == [Rows(["good:good"], {"A": [1]}, (Problem("acs, row 2", f"{A_WORD} {shown}"),))]


def test_E09_quotes_and_semicolons_are_letters_of_an_id() -> None:
    assert ids((None, "x';--"), (None, '"y"'), (None, "z" * MAX_ID)) == [
        "x';--:x';--",
        '"y":"y"',
        f"{'z' * MAX_ID}:{'z' * MAX_ID}",
    ]


def test_rows_are_counted_over_all_that_was_taken() -> None:
    reader = RowReader("acs", 0, 0, {})
    named = []
    for _ in range(2):
        reader.add([("x",)])
        reader.add([("",)])
        named += [each.name for each in reader.take().problems]

    assert named == ["acs, row 2", "acs, row 4"]


def test_E09_ids_that_come_again_are_counted_and_some_are_named() -> None:
    reader = RowReader("acs", 0, 0, {"A": Field(1)})
    given = []
    for names in (["a", "b", "a"], ["b", "c", "d", "e", "d"], ["e", "f"]):
        reader.add([(name, 0) for name in names])
        given += reader.take().ids

    told = list(reader.repeated())

    assert given == [f"{name}:{name}" for name in "aba" + "bcded" + "ef"]
    reason = "rows that repeat an id: 4 (a:a, b:b, d:d, ...)"
    assert told == [Rows([], {"A": []}, (Problem("acs", reason),))]


def test_an_exposure_of_two_products_is_two_data_sets() -> None:
    assert ids(("P", "x"), ("Q", "x")) == ["P:x", "Q:x"]


EAST = timezone(timedelta(hours=2))


@pytest.mark.parametrize(
    ("moment", "day", "hour"),
    [
        (datetime(2012, 3, 4, 5, 6, 7), "2012-03-04", "05:06:07"),  # noqa: DTZ001
        (datetime(2012, 3, 4, 0, 6, 7, 500_000, EAST), "2012-03-03", "22:06:07.500000"),
        (datetime(2012, 3, 4, tzinfo=UTC), "2012-03-04", "00:00:00"),
        (date(2012, 3, 4), "2012-03-04", None),
        ("2012-03-04 05:06:07", "2012-03-04", "05:06:07"),
        ("2012-03-04T05:06:07.25Z", "2012-03-04", "05:06:07.25"),
        ("2012-03-04 05:06:07+00", "2012-03-04", "05:06:07"),
        (" 2012-03-04 ", "2012-03-04", None),
        ("12012-03-04 05:06:07", "12012-03-04", "05:06:07"),
        ("infinity", "infinity", None),
        ("4 March 2012", "4 March 2012", None),
        ("", "", None),
        (None, None, None),
        (20120304, 20120304, 20120304),
    ],
)
def test_E09_a_moment_serves_for_date_and_time(moment: object, day: object, hour: object) -> None:
    found = [values(Field(2, part, is_moment=True), moment) for part in Part]

    assert found == [[day], [hour]]


def test_a_text_is_taken_apart_only_in_a_column_of_moments_and_a_datetime_always() -> None:
    moment = datetime(2012, 3, 4, 5, 6, 7)  # noqa: DTZ001

    assert values(Field(2, Part.DATE), "2012-03-04 05:06:07") == ["2012-03-04 05:06:07"]
    assert values(Field(2, Part.DATE), moment, "2012-03-04 05:06:07") == ["2012-03-04", "2012-03-04"]
    assert values(Field(2), moment) == [moment]
