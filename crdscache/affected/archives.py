"""Opens whatever tells the parameters of an archive's data sets."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from crdscache.affected import population
from crdscache.affected.compare import Batch
from crdscache.affected.difference import InstrumentChange
from crdscache.bestrefs.choose import Chooser
from crdscache.contexts.records import Archive, Problem
from crdscache.datasets import cataloguemap, load, rpc, sources
from crdscache.datasets.database import Database
from crdscache.datasets.records import Dataset
from crdscache.datasets.sources import Kind
from crdscache.errors import DatasetError
from crdscache.server.rpc import RpcClient


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the data sets of an archive."""

    archive: Archive
    choosers: tuple[Chooser, Chooser]  # old and new rules
    server: RpcClient

    def batches(
        self, change: InstrumentChange, more: Sequence[str], since: str | None, *, tells_unknown: bool
    ) -> Iterator[Batch]:
        """Give the data sets of one instrument.

        Parameters
        ----------
        more
            Parameters to tell beside those of the rules.
        since
            A day: data sets before it are left out.
        tells_unknown
            Whether to tell of data sets that have no instrument.

        Raises
        ------
        DatasetError, ServerError, UnreachableError
            The archive cannot be read, or not to its end; after the data sets that came before.
        """
        kind = sources.kind_of(self.archive.source)
        if kind is Kind.DATABASE:
            found = self._of_database(change, more, since)
        else:
            is_server = kind is Kind.SERVER
            datasets = self._of_server(change, since) if is_server else sources.datasets(self.archive.source)
            found = population.of_datasets(datasets, change, self.choosers, more, tells_unknown=tells_unknown)
        yield from population.joined(population.not_before(found, since))

    def _of_database(
        self, change: InstrumentChange, more: Sequence[str], since: str | None
    ) -> Iterator[Batch]:
        archive, primary = self.archive, self.choosers[1].primary
        columns = cataloguemap.parse(archive.map, archive.map_file) if archive.map_file else None
        asked = population.asked(change, primary, more, since)
        with Database(
            archive.source, columns, password=archive.password, deadline_s=archive.deadline_s
        ) as database:
            if columns is None:
                _require_loaded(archive.source, change.name, asked.parameters)
            yield from population.of_rows(database.rows(asked), primary, change.name)

    def _of_server(self, change: InstrumentChange, since: str | None) -> Iterator[Dataset | Problem]:
        """Ask the server, which tells of a data set only what the rules of one context ask for."""
        old, new = self.choosers
        batch = self.server.server_info(new.observatory).max_headers_per_rpc
        context = new.context if change.new is not None else old.context
        ids = sorted(rpc.dataset_ids(self.server, context, change.name, since))
        known = change.new or change.old
        lacks = set(change.parameters) - {upper for _, upper, _ in known.wanted.names} if known else set()
        for start in range(0, len(ids), batch):
            some = ids[start : start + batch]
            found = rpc.headers(self.server, context, some, batch)
            yield from (
                with_more(found, rpc.headers(self.server, old.context, some, batch)) if lacks else found
            )


def _require_loaded(source: str, instrument: str, parameters: Iterable[str]) -> None:
    """Refuse a catalogue of ours that was filled before the rules asked for what they ask for now."""
    complete = load.complete_parameters(source, instrument)
    lacks = [] if complete is None else sorted(set(parameters) - complete)
    if lacks:
        raise DatasetError(
            source,
            f"table {instrument} was loaded without {', '.join(lacks)}: affected_datasets --load brings it",
        )


def with_more(
    datasets: Iterable[Dataset | Problem], others: Iterable[Dataset | Problem]
) -> Iterator[Dataset | Problem]:
    """Add to headers what others, of the same ids, have beside."""
    more = {each.id: each.header for each in others if isinstance(each, Dataset)}
    for each in datasets:
        if isinstance(each, Problem):
            yield each
        else:
            yield Dataset(each.id, {**more.get(each.id, {}), **each.header}, instrument=each.instrument)
