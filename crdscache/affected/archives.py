"""Opens whatever tells the parameters of an archive's data sets."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from crdscache.affected import population
from crdscache.affected.compare import Batch
from crdscache.affected.difference import InstrumentChange
from crdscache.bestrefs.choose import Chooser
from crdscache.contexts import changes
from crdscache.contexts.records import Archive, Problem
from crdscache.datasets import cataloguemap, load, rpc, sources
from crdscache.datasets.database import Database
from crdscache.datasets.records import Asked, Dataset
from crdscache.datasets.sources import Kind
from crdscache.errors import DatasetError
from crdscache.server.rpc import RpcClient


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the data sets of an archive."""

    archive: Archive
    choosers: tuple[Chooser, Chooser]  # old and new rules
    server: RpcClient
    headers_per_call: int  # that the server gives at a time

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
            if kind is Kind.SERVER:
                asked = Asked(change.name, change.parameters, since)
                datasets = of_server(self.server, self.choosers[::-1], asked, self.headers_per_call)
            else:
                datasets = sources.datasets(self.archive.source)
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


def of_server(
    server: RpcClient,
    choosers: Sequence[Chooser],
    asked: Asked,
    headers_per_call: int,
) -> Iterator[Dataset | Problem]:
    """Ask the server for the data sets of an instrument.

    It tells of a data set only what the rules of one context ask for: it is asked by each that adds to that.

    Raises
    ------
    ServerError, UnreachableError
        After the data sets that came before.
    """
    first, *others = _contexts(choosers, asked.instrument, asked.parameters)
    since = None if asked.since is None else f"{asked.since} 00:00:00"
    ids = sorted(rpc.dataset_ids(server, first, asked.instrument, since))
    for start in range(0, len(ids), headers_per_call):
        some = ids[start : start + headers_per_call]
        told = rpc.headers(server, first, some, headers_per_call)
        for other in others:
            told = _with_more(told, rpc.headers(server, other, some, headers_per_call))
        yield from told


def _contexts(choosers: Sequence[Chooser], instrument: str, parameters: Iterable[str]) -> list[str]:
    """Name the contexts that together ask for some parameters, the first that has the instrument first."""
    contexts: list[str] = []
    left = set(parameters)
    for chooser in choosers:
        if instrument in changes.imaps(chooser.root):
            wanted = {upper for _, upper, _ in chooser.instrument(instrument).wanted.names}
            if not contexts or wanted & left:
                contexts.append(chooser.context)
            left -= wanted
    return contexts


def _require_loaded(source: str, instrument: str, parameters: Iterable[str]) -> None:
    """Refuse a catalogue of ours that was filled before the rules asked for what they ask for now."""
    complete = load.complete_parameters(source, instrument)
    lacks = [] if complete is None else sorted(set(parameters) - complete)
    if lacks:
        raise DatasetError(
            source,
            f"table {instrument} was loaded without {', '.join(lacks)}: affected_datasets --load brings it",
        )


def _with_more(
    datasets: Iterable[Dataset | Problem], others: Iterable[Dataset | Problem]
) -> Iterator[Dataset | Problem]:
    """Add to headers what others, of the same ids, have beside."""
    more = {each.id: each.header for each in others if isinstance(each, Dataset)}
    for each in datasets:
        if isinstance(each, Problem):
            yield each
        else:
            yield Dataset(each.id, {**more.get(each.id, {}), **each.header}, instrument=each.instrument)
