"""What `affected_datasets --load` and `--using` do: the catalogue of data sets is filled, and searched."""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from crdscache.affected import archives, tablerows, transitions
from crdscache.affected import using as uses
from crdscache.bestrefs import parameters
from crdscache.bestrefs.choose import Chooser
from crdscache.cache import lease, rules
from crdscache.cache.lease import Lease
from crdscache.commands.reader import Reader
from crdscache.contexts import changes
from crdscache.contexts.records import Problem
from crdscache.datasets import sources
from crdscache.datasets.load import Loaded, Loader
from crdscache.datasets.records import Asked, Dataset
from crdscache.datasets.sources import Kind
from crdscache.errors import BestrefsError, ContextError, SettingsError
from crdscache.server.rpc import RpcClient
from crdscache.workflow import affecting, report, reporting
from crdscache.workflow.status import Status

_MOST_LINES = 20


def load(found: Reader, options: argparse.Namespace) -> int:
    """Bring a source into the catalogue of the cache."""
    config, path = found.config, found.config.readers / reporting.CATALOGUE
    with lease.take(config.cache) as held:
        choosers = _choosers(found, options, held)
        sets = parameter_sets(choosers)

        def describe(dataset: Dataset) -> tuple[str, Mapping[str, object]] | Problem:
            return _describe(dataset, choosers[0], sets)

        loader = Loader(path, sets, describe)
        match sources.kind_of(options.load):
            case Kind.TREE:
                loaded = loader.load_tree(Path(options.load).absolute())
            case Kind.SERVER:
                with RpcClient(config.server_url, config.patience) as server:

                    def ask(instrument: str, day: str | None) -> Iterator[Dataset | Problem]:
                        asked = Asked(instrument, sets[instrument], day)
                        return archives.of_server(server, choosers, asked, held.info.max_headers_per_rpc)

                    loaded = loader.load_server(ask)
            case Kind.DATABASE:
                message = "--load: a database is read where it is: set `catalog`"
                raise SettingsError(message)
            case _:
                loaded = loader.load(sources.datasets(options.load))
    return _tell_loaded(loaded, options, path)


def _choosers(found: Reader, options: argparse.Namespace, held: Lease) -> list[Chooser]:
    """Read the contexts whose parameters the catalogue shall have: the default, and its former one."""
    asked = [None, *filter(None, (options.old_context, options.new_context))]
    mark = transitions.load(found.config.readers / affecting.DIRECTORY)
    names = [held.hold(context) for context in asked]
    if mark is not None:
        with suppress(ContextError):  # it is gone, and will not be compared
            names.append(held.hold(mark.last.context))
    read = rules.loader(held.read, ignore_sums=found.config.ignore_mapping_checksum)
    return [Chooser(name, read) for name in dict.fromkeys(names)]


def parameter_sets(choosers: list[Chooser]) -> dict[str, tuple[str, ...]]:
    """List the parameters that the rules of some contexts ask for, and their tables, by instrument."""
    sets: dict[str, dict[str, None]] = {}
    for chooser in choosers:
        for name in changes.imaps(chooser.root):
            instrument = chooser.instrument(name)
            wanted = [upper for _, upper, _ in instrument.wanted.names]
            fields = [each for reftype in instrument.types for each in tablerows.fields(name, reftype)]
            sets.setdefault(name, {}).update(dict.fromkeys((*wanted, *fields)))
    return {name: tuple(names) for name, names in sets.items()}


def _describe(
    dataset: Dataset, chooser: Chooser, sets: Mapping[str, tuple[str, ...]]
) -> tuple[str, Mapping[str, object]] | Problem:
    header = parameters.renamed(parameters.identified(dataset.header), chooser.observatory)
    try:
        name = parameters.instrument(header, chooser.primary, chooser.context)
    except BestrefsError as error:
        if dataset.instrument is None:
            return Problem(dataset.id, str(error))
        name = dataset.instrument.lower()
    if name not in sets:
        return Problem(dataset.id, f"no context knows instrument {name!r:.80}")
    wanted = parameters.Wanted.of(sets[name])
    values = {
        upper: header[key] for lower, upper, _ in wanted.names for key in (upper, lower) if key in header
    }
    return name, values


def _tell_loaded(loaded: Loaded, options: argparse.Namespace, path: Path) -> int:
    if options.json:
        told = {
            "n_datasets": loaded.n_datasets,
            "n_unchanged": loaded.n_unchanged,
            "failures": {problem.name: problem.reason for problem in loaded.problems},
        }
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
    elif not options.quiet:
        unchanged = f", {loaded.n_unchanged} files are as they were" if loaded.n_unchanged else ""
        sys.stdout.write(f"{loaded.n_datasets} data sets loaded{unchanged}; the catalogue is {path}\n")
    most = len(loaded.problems) if options.verbose else _MOST_LINES
    sys.stderr.write("".join(f"{line}\n" for line in report.failures(tuple(loaded.problems), most)))
    return Status.ERR if loaded.problems else Status.OK


def using(found: Reader, options: argparse.Namespace) -> int:
    """List the data sets that use references, under the default context or another one."""
    config = found.config
    with (
        lease.take(config.cache, options.new_context) as held,
        RpcClient(config.server_url, config.patience) as server,
    ):
        read = rules.loader(held.read, ignore_sums=config.ignore_mapping_checksum)
        chooser = Chooser(held.contexts[0], read)
        archive = reporting.archive(found.values, config.readers, found.environ)
        n_uses = 0
        reader = archives.Reader(archive, (chooser, chooser), server, held.info.max_headers_per_rpc)
        for use in uses.find(reader, options.using):
            sys.stdout.write(f"{use.id.lower()}\t{use.instrument}\t{use.reftype}\t{use.reference}\n")
            n_uses += 1
    if not options.quiet:
        sys.stderr.write(f"{chooser.context}: {n_uses} uses of {', '.join(options.using)}\n")
    return Status.OK
