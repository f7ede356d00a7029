"""What every source of data sets gives."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dataset:
    """One data set, as far as its best references depend on it."""

    id: str
    header: Mapping[str, object]
    context: str | None = None  # which one to choose by, where the source says so
