"""Which data sets are too early for a change of rules."""

import numpy as np
from numpy.typing import NDArray

from crdscache.bestrefs.columns import Table
from crdscache.contexts import times
from crdscache.datasets.records import DATES

_DAY = len("2000-01-01")


def day_of(moment: str | None) -> str | None:
    """Give the day of a time."""
    return None if moment is None else moment[:_DAY]


def is_before(table: Table, moment: str | None) -> NDArray[np.bool_]:
    """Tell which data sets are of a day before that of a moment; None: it was before all.

    A date that is no `YYYY-MM-DD...`, or none at all, is not before any.

    Returns
    -------
    array of shape (n_datasets,)
    """
    name = next((name for name in DATES if name in table.columns), None)
    day = day_of(moment)
    if day is None or name is None:
        return np.zeros(table.n_datasets, bool)
    column = table.columns[name]
    return np.array([_is_day(value[:_DAY]) and value[:_DAY] < day for value in column.values], bool)[
        column.codes
    ]


def _is_day(text: str) -> bool:
    return times.parse(text) is not None
