"""Many data sets at a time are answered as they are one by one."""

from pathlib import Path

import numpy as np
import pytest

from crdscache.bestrefs import columns
from crdscache.bestrefs.answers import Answer, Cause, Failure, NoFile
from crdscache.bestrefs.choose import Chooser
from crdscache.cache.rules import loader
from crdscache.errors import BestrefsError, CacheError
from tests.bestrefs import rules
from tests.bestrefs.random_rules import random_case

MATCHED = "Match({('A',) : UseAfter({'2001-01-01 00:00:00' : 'a.fits', '2003-01-01 00:00:00' : 'b.fits'})})"
PARKEYS = (("DETECTOR",), rules.DATE)


def chooser_of(text: str) -> Chooser:
    read = rules.parse(text)
    return Chooser(read.name, lambda _name: read)


def one_by_one(chooser: Chooser, headers: list[dict[str, object]]) -> list[dict[str, Answer] | str]:
    def ask(header: dict[str, object]) -> dict[str, Answer] | str:
        try:
            return chooser.choose(header)
        except CacheError as error:
            return str(error)

    return [ask(header) for header in headers]


def together(chooser: Chooser, headers: list[dict[str, object]]) -> list[dict[str, Answer] | str]:
    answers = columns.choose(chooser, headers)
    return [str(answer) if isinstance(answer, CacheError) else answer for answer in answers]


@pytest.mark.parametrize("seed", range(200))
def test_columns_agree_with_one_at_a_time(seed: int) -> None:
    text, headers = random_case(np.random.default_rng(seed), n_datasets=60)
    chooser = chooser_of(text)

    assert together(chooser, headers) == one_by_one(chooser, headers)


def test_times_of_one_case_are_decided_between_starts() -> None:
    """The text of a start counts, so a fraction of a second and another spelling of a date matter."""
    chooser = chooser_of(rules.text_of(MATCHED, PARKEYS))
    days = ("2000-12-31", "2001-01-01", "01/01/2001", "2002-12-31", "2003-01-01", "UNDEFINED", "soon")
    times = ("00:00:00", "00:00:00.5", "23:59:59", "24:00:00", "")
    headers: list[dict[str, object]] = [
        {"DETECTOR": detector, "DATE-OBS": day, "TIME-OBS": time}
        for detector in ("A", "B", "N/A", "*")
        for day in days
        for time in times
    ]

    answers = together(chooser, headers)

    assert answers == one_by_one(chooser, headers)
    found = {str(answer["flatfile"]) for answer in answers if isinstance(answer, dict)}
    assert {"a.fits", "b.fits"} <= found


def test_a_failure_that_tells_the_time_tells_that_of_each_data_set() -> None:
    selector = "UseAfter({'2001-01-01 00:00:00' : 'a.fits'})"
    chooser = chooser_of(rules.text_of(selector, (rules.DATE,)))
    headers: list[dict[str, object]] = [
        {"DATE-OBS": f"2000-01-{day:02}", "TIME-OBS": "00:00:00"} for day in range(1, 11)
    ]

    reasons = [answer["flatfile"] for answer in together(chooser, headers) if isinstance(answer, dict)]

    assert reasons == [
        Failure(Cause.TOO_LOW, f"No selection <= '2000-01-{day:02} 00:00:00'") for day in range(1, 11)
    ]


def test_values_that_python_takes_for_equal_are_told_apart() -> None:
    selector = "Match({('T',) : 'true.fits', ('1',) : 'one.fits'})"
    chooser = chooser_of(rules.text_of(selector, (("DETECTOR",),)))

    answers = together(chooser, [{"DETECTOR": value} for value in (True, 1, 1.0, "1")])

    assert [answer["flatfile"] for answer in answers if isinstance(answer, dict)] == [
        "true.fits",
        "one.fits",
        "one.fits",
        "one.fits",
    ]


def test_each_instrument_gets_its_own_rules_and_an_error_its_own_place(demo_root: Path) -> None:
    chooser = Chooser("hst_0006.pmap", loader(demo_root / "mappings" / "hst"))
    headers: list[dict[str, object]] = [
        {"INSTRUME": "ACS", "DETECTOR": "WFC"},
        {"INSTRUME": "NONSUCH"},
        {"INSTRUME": "WFC3", "DETECTOR": "UVIS"},
        {},
    ]

    answers = columns.choose(chooser, headers)

    assert [type(answer) for answer in answers] == [dict, BestrefsError, dict, BestrefsError]
    assert together(chooser, headers) == one_by_one(chooser, headers)


def test_the_answers_are_listed_once_and_each_data_set_has_the_number_of_its_own() -> None:
    """A million data sets cost a number each."""
    chooser = chooser_of(rules.text_of(MATCHED, PARKEYS))
    times = [f"00:00:{second:02}" for second in range(60)]
    headers = [{"DETECTOR": "A", "DATE-OBS": "2002-01-01", "TIME-OBS": time} for time in times]
    own = chooser.instrument("")

    answers = columns.decide(own, columns.Table.of_values(own.wanted.columns(headers), len(headers)))

    assert answers["flatfile"].distinct == ("a.fits", "b.fits")
    assert answers["flatfile"].codes.tolist() == [0] * 60


def test_a_type_without_rules_needs_no_look_at_the_data_sets(demo_root: Path) -> None:
    chooser = Chooser("hst_0006.pmap", loader(demo_root / "mappings" / "hst"))
    acs = chooser.instrument("acs")
    table = columns.Table.of_values(acs.wanted.columns([{}] * 3), 3)

    asked = columns.decide(acs, table, ["ZZZ"])

    unknown = Failure(Cause.UNKNOWN_TYPE, "Unknown reference type 'zzz'")
    assert {reftype: answers.each() for reftype, answers in asked.items()} == {"zzz": [unknown] * 3}
    assert NoFile.OMITTED not in {answer for answers in asked.values() for answer in answers.distinct}


def test_a_part_of_a_table_has_the_values_of_the_whole() -> None:
    raw = {"META.A": ["x", "y", "x"], "B": [1, 2, 3], "DATE-OBS": ["2001-01-01", "2002-01-01", "soon"]}
    table = columns.Table.of_values(raw, 3)

    some = table.take(np.array([2, 0]))

    assert [some.values(number) for number in range(2)] == [
        {"META.A": "X", "META_A": "X", "B": "3.0", "DATE-OBS": "SOON"},
        {"META.A": "X", "META_A": "X", "B": "1.0", "DATE-OBS": "2001-01-01"},
    ]
    assert some.times(("DATE-OBS",)).codes.tolist() == [1, 0]
    assert set(table.only(["B", "NONE"]).columns) == {"B"}
    assert table.only(["B"]).cases(["B"])[0].tolist() == [0, 1, 2]


def test_what_is_known_of_times_is_read_once_for_all_parts() -> None:
    table = columns.Table.of_values({"DATE-OBS": ["2001-01-01"], "B": [1]}, 1)

    read = table.only(["DATE-OBS"]).times(("DATE-OBS",))

    assert table.times(("DATE-OBS",)) is read


def test_joined_tables_name_each_value_once() -> None:
    parts = [columns.Table.of_values({"A": values}, len(values)) for values in (["x", "y"], ["z", "y"], [])]

    joined = columns.Table.joined(parts)

    assert (joined.n_datasets, joined.columns["A"].values) == (4, ("X", "Y", "Z"))
    assert joined.columns["A"].codes.tolist() == [0, 1, 2, 1]
