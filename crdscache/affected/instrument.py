"""The comparison of one instrument: what the change of rules means for each data set of an archive."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from crdscache.affected import archives, difference, results, since
from crdscache.affected.compare import Batch, Counts, Difference, Effect, compare
from crdscache.affected.difference import InstrumentChange
from crdscache.affected.exposuretypes import ExposureTypes
from crdscache.affected.results import Changed, Tally
from crdscache.affected.tablerows import TableRows
from crdscache.bestrefs.choose import Chooser, Load
from crdscache.cache import tables
from crdscache.contexts.records import Archive, Comparison
from crdscache.errors import (
    ContextError,
    DatasetError,
    MappingError,
    MissingMappingError,
    ServerError,
    UnreachableError,
)
from crdscache.server.rpc import RpcClient

logger = logging.getLogger(__name__)

_RULES = (ContextError, MappingError, MissingMappingError)
_ARCHIVE = (DatasetError, ServerError, UnreachableError)


@dataclass(frozen=True, slots=True)
class Files:
    """Where the result of one instrument goes."""

    affected: Path
    undetermined: Path
    failed: Path


@dataclass(frozen=True, slots=True)
class Comparer:
    """Compares two contexts over the data sets of an archive."""

    choosers: tuple[Chooser, Chooser]  # old and new rules
    load: Load
    archive: Archive
    comparison: Comparison
    where: Callable[[str], Path]  # where a reference lies in the cache
    server: RpcClient
    headers_per_call: int  # that the server gives at a time

    def compare(self, instrument: str, files: Files, *, tells_unknown: bool) -> Tally:
        """Compare one instrument, and write what was found; what stops it on the way is told in the tally.

        Parameters
        ----------
        tells_unknown
            Whether to tell of data sets that have no instrument.
        """
        try:
            change = difference.of_instrument(*self.choosers, instrument, self.load)
        except _RULES as error:
            logger.error("rules not usable instrument=%s reason=%s", instrument, error)
            _write_nothing(files)
            return Tally(instrument, broken=str(error))
        tallying, counts = _Tallying(change, self._since(change)), self._counts()
        try:
            more = (*counts.parameters(change), *(change.dates if tallying.since else ()))
            batches = self._batches(tallying, more, tells_unknown=tells_unknown)
            with _Writer(files, instrument) as writer:
                for batch in batches:
                    tallying.count(batch, writer.write(batch, compare(change, batch, counts)))
        except _ARCHIVE as error:
            logger.error("archive not read instrument=%s reason=%s", instrument, error)
            _write_nothing(files)
            return tallying.tally(unread=str(error))
        return tallying.tally()

    def _since(self, change: InstrumentChange) -> str | None:
        return since.day_of(change.since if self.comparison.since == "auto" else self.comparison.since)

    def _counts(self) -> Counts:
        is_jwst = self.choosers[1].observatory == "jwst"
        return Counts(
            TableRows(self.where).are_same if self.comparison.optimize_tables else None,
            ExposureTypes() if self.comparison.exposure_types and is_jwst else None,
        )

    def _batches(self, tallying: "_Tallying", more: Sequence[str], *, tells_unknown: bool) -> Iterator[Batch]:
        change = tallying.change
        if not change.types:
            return iter(())
        reader = archives.Reader(self.archive, self.choosers, self.server, self.headers_per_call)
        return reader.batches(change, more, tallying.since, tells_unknown=tells_unknown)


def _write_nothing(files: Files) -> None:
    with _Writer(files, ""):
        pass


class _Writer:
    """Writes the three tables of one instrument."""

    def __init__(self, files: Files, instrument: str) -> None:
        self._instrument, self._end = instrument, ExitStack()
        open_table = self._end.enter_context
        self._affected = open_table(tables.writing(files.affected, "affected", results.AFFECTED))
        self._undetermined = open_table(
            tables.writing(files.undetermined, "undetermined", results.UNDETERMINED)
        )
        self._failed = open_table(tables.writing(files.failed, "failed", results.FAILED))

    def __enter__(self) -> Self:
        self._end.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._end.__exit__(*error)  # type: ignore[arg-type]

    def write(self, batch: Batch, differences: Iterable[Difference]) -> Iterator[Difference]:
        """Write what was found of some data sets, and pass it on."""
        self._failed((each.name, self._instrument, each.reason) for each in batch.problems)
        for found in differences:
            ids = (batch.ids[number] for number in found.members)
            change = found.change
            if found.effect is Effect.AFFECTED:
                told = (self._instrument, change.reftype, found.old, found.new, change.rmaps, found.rule)
                self._affected((name, *told) for name in ids)
            elif found.effect is Effect.UNDETERMINED:
                why = (self._instrument, change.reftype, found.old, found.new)
                self._undetermined((name, *why) for name in ids)
            yield found


class _Tallying:
    """Counts as the comparison goes on."""

    def __init__(self, change: InstrumentChange, since: str | None) -> None:
        self.change, self.since = change, since
        self._n: Counter[str] = Counter()
        self._of_type: Counter[str] = Counter()

    def count(self, batch: Batch, differences: Iterable[Difference]) -> None:
        """Count what was found of some data sets; one that several types concern counts once."""
        touched = {each: np.zeros(len(batch.ids), bool) for each in Effect}  # each of shape (n_datasets,)
        for found in differences:
            touched[found.effect][found.members] = True
            if found.effect is Effect.AFFECTED:
                self._of_type[found.change.reftype] += len(found.members)
        only_rows = touched[Effect.SAME_ROWS] & ~touched[Effect.AFFECTED]
        self._n.update(
            datasets=len(batch.ids),
            failed=len(batch.problems),
            affected=int(touched[Effect.AFFECTED].sum()),
            undetermined=int(touched[Effect.UNDETERMINED].sum()),
            same_rows=int(only_rows.sum()),
        )

    def tally(self, unread: str = "") -> Tally:
        """Give the sums."""
        changed = (
            Changed(each.reftype, str(each), each.since, self._of_type[each.reftype])
            for each in self.change.types
        )
        return Tally(
            self.change.name,
            self._n["datasets"],
            self._n["affected"],
            self._n["undetermined"],
            self._n["failed"],
            self._n["same_rows"],
            tuple(changed),
            self.since,
            unread=unread,
        )
