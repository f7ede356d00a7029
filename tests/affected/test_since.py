import pytest

from crdscache.affected import since
from crdscache.bestrefs.columns import Table
from crdscache.datasets.records import DATES


@pytest.mark.parametrize("name", DATES)
def test_only_readable_days_can_be_before(name: str) -> None:
    dates = [
        "2009-12-31",
        "2010-01-01",
        "2010-01-02",
        "31/12/99",
        "UNDEFINED",
        "2009-02-30",
        "2009-12-31 10:00",
    ]
    table = Table.of_values({name: dates}, len(dates))

    found = since.is_before(table, "2010-01-01 12:00:00").tolist()

    assert found == [True, False, False, False, False, False, True]


def test_without_a_moment_or_a_date_none_is_before() -> None:
    table = Table.of_values({"DATE-OBS": ["1990-01-01"]}, 1)

    assert since.is_before(table, None).tolist() == [False]
    assert since.is_before(table.only(()), "2010-01-01").tolist() == [False]
    assert (since.day_of(None), since.day_of("2010-01-01 12:00:00")) == (None, "2010-01-01")
