from pathlib import Path

import pytest

from crdscache.affected import results
from crdscache.affected.results import Changed, Disposition, Step, Summary, Tally
from crdscache.contexts.records import Problem


def of(**changes: object) -> Summary:
    tallies = (Tally("cos", 5), Tally("acs", 5, **changes))  # type: ignore[arg-type]
    return Summary("hst", "ops", "2026-01-02 03:04:05", 7, (Step("a.pmap", "b.pmap", "", "", tallies),))


@pytest.mark.parametrize(
    ("changes", "disposition"),
    [
        ({}, Disposition.OK),
        ({"n_affected": 3, "n_same_rows": 2}, Disposition.OK),
        ({"n_failed": 1}, Disposition.ERRORS),
        ({"n_undetermined": 1}, Disposition.ERRORS),
        ({"broken": "no mapping"}, Disposition.ERRORS),
        ({"unread": "no database", "broken": "x"}, Disposition.FAILED),
    ],
)
def test_E07_what_went_wrong_decides_the_disposition(
    changes: dict[str, object], disposition: Disposition
) -> None:
    assert of(**changes).disposition is disposition


def test_what_is_saved_is_read_back(tmp_path: Path) -> None:
    tally = Tally(
        "acs", 5, types=(Changed("darkfile", "a -> b: 1 added", "2010-01-01", 3),), since="2010-01-01"
    )
    results.save(tmp_path / "acs.json", tally)
    results.save_summary(tmp_path / "summary.json", of(n_failed=2))

    assert results.load(tmp_path / "acs.json") == tally
    assert results.load_summary(tmp_path / "summary.json") == of(n_failed=2)


def test_problems_are_told_by_instrument() -> None:
    assert results.problems(of(unread="gone", n_failed=2, n_undetermined=1)) == (
        Problem("acs", "gone"),
        Problem("acs", "2 data sets failed: failed.tsv names them"),
        Problem("acs", "1 data sets undetermined: undetermined.tsv names them"),
    )
