from collections.abc import Iterable
from pathlib import Path

import pytest

from crdscache.affected import difference, population
from crdscache.affected.compare import Batch, Counts, compare
from crdscache.affected.difference import InstrumentChange
from crdscache.bestrefs.choose import Chooser
from crdscache.cache import rules
from crdscache.contexts.records import Problem
from crdscache.datasets.records import Asked, Dataset, Rows
from tests.caches import FORMER, LATEST


@pytest.fixture
def choosers(demo_root: Path) -> tuple[Chooser, Chooser]:
    load = rules.loader(demo_root / "mappings" / "hst")
    return Chooser(FORMER, load), Chooser(LATEST, load)


@pytest.fixture
def change(choosers: tuple[Chooser, Chooser]) -> InstrumentChange:
    return difference.of_instrument(*choosers, "wfpc2", choosers[1].load)


def values(batches: Iterable[Batch]) -> list[tuple[str, dict[str, str]]]:
    return [
        (name, {key: column.values[column.codes[number]] for key, column in batch.table.columns.items()})
        for batch in batches
        for number, name in enumerate(batch.ids)
    ]


def test_a_catalogue_is_asked_for_what_the_changed_types_look_at(change: InstrumentChange) -> None:
    asked = population.asked(change, "INSTRUME", ("MORE",), "2010-01-01")

    assert asked.instrument == "wfpc2"
    assert {"DATE-OBS", "TIME-OBS", "MORE"} <= {*asked.parameters}
    assert "INSTRUME" not in asked.parameters
    assert asked == Asked("wfpc2", asked.parameters, "2010-01-01")


def test_what_a_catalogue_does_not_have_is_undefined_and_the_instrument_is_its_table() -> None:
    rows = [
        Rows(["A:A", "B:B"], {"MODE": ["FULL", None], "GAIN": [7, 7.0]}),
        Rows([], {"MODE": [], "GAIN": []}),
    ]

    found = values(population.of_rows(rows, "INSTRUME", "wfpc2"))

    assert found == [
        ("A:A", {"MODE": "FULL", "GAIN": "7.0", "INSTRUME": "WFPC2"}),
        ("B:B", {"MODE": "UNDEFINED", "GAIN": "7.0", "INSTRUME": "WFPC2"}),
    ]


def test_of_headers_those_of_the_instrument_are_taken(
    choosers: tuple[Chooser, Chooser], change: InstrumentChange
) -> None:
    datasets = [
        Dataset("A:A", {"INSTRUME": "WFPC2", "date-obs": "2000-01-01"}),
        Dataset("B:B", {"INSTRUME": "WFII"}),
        Dataset("C:C", {"INSTRUME": "ACS"}),
        Dataset("D:D", {}, instrument="WFPC2"),
        Dataset("E:E", {"INSTRUME": "NONE"}),
        Dataset("F:F", {}),
        Problem("G:G", "archive failed"),
    ]

    batches = list(population.of_datasets(datasets, change, choosers, tells_unknown=True))

    assert [(name, each["DATE-OBS"]) for name, each in values(batches)] == [
        ("A:A", "2000-01-01"),
        ("B:B", "UNDEFINED"),
        ("D:D", "UNDEFINED"),
    ]
    assert [problem for batch in batches for problem in batch.problems] == [
        Problem("E:E", "neither context knows instrument 'none'"),
        Problem("F:F", "its header tells no instrument"),
        Problem("G:G", "archive failed"),
    ]


def test_batches_are_joined_with_their_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    """In codes: what is one text in several batches is one value."""
    monkeypatch.setattr(population, "MOST_AT_ONCE", 3)
    parts = [
        Rows(["A:A", "B:B"], {"MODE": ["FULL", "AREA"]}, (Problem("X", "bad"),)),
        Rows(["C:C"], {"MODE": ["AREA"]}),
        Rows(["D:D"], {"MODE": ["OTHER"]}),
    ]

    joined = list(population.joined(population.of_rows(parts, "INSTRUME", "wfpc2")))

    assert [list(batch.ids) for batch in joined] == [["A:A", "B:B", "C:C"], ["D:D"]]
    assert [batch.table.columns["MODE"].values for batch in joined] == [("FULL", "AREA"), ("OTHER",)]
    assert [batch.problems for batch in joined] == [(Problem("X", "bad"),), ()]


def test_a_batch_without_data_sets_is_compared_too(change: InstrumentChange) -> None:
    empty = Rows([], {name: [] for name in change.parameters}, (Problem("X", "bad"),))

    [batch] = population.joined(population.of_rows([empty], "INSTRUME", "wfpc2"))

    assert list(compare(change, batch, Counts())) == []
    assert batch.problems == (Problem("X", "bad"),)
