"""What every source of data sets gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crdscache.contexts.records import Problem

# The parameters that tell the day of a data set, by mission.
DATES = ("DATE-OBS", "META.OBSERVATION.DATE")


@dataclass(frozen=True, slots=True)
class Dataset:
    """One data set, as far as its best references depend on it."""

    id: str
    header: Mapping[str, object]
    context: str | None = None  # which one to choose by, where the source says so
    instrument: str | None = None  # where the source says so, beside the header


@dataclass(frozen=True, slots=True)
class Asked:
    """What is wanted of a catalogue of data sets."""

    instrument: str  # in lower case
    parameters: tuple[str, ...]  # in capitals, as rules name them
    since: str | None = None  # a day, YYYY-MM-DD: data sets of an earlier one may be left out


@dataclass(frozen=True, slots=True)
class Rows:
    """Some data sets of one instrument, by columns."""

    ids: Sequence[str]  # (n_datasets,): PRODUCT:EXPOSURE
    columns: Mapping[str, Sequence[object]]  # of each parameter (n_datasets,) values; None: not there
    problems: tuple[Problem, ...] = ()  # data sets without usable parameters
