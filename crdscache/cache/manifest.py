"""All that should be there: the files of the selected contexts, with what the catalogue says of each."""

import logging
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from crdscache.cache import layout
from crdscache.cache.hashes import Hashed
from crdscache.cache.identity import Holdings
from crdscache.cache.layout import Layout, Mode
from crdscache.contexts import closure, names
from crdscache.contexts.catalogue import Catalogue
from crdscache.contexts.closure import Closure, Load, ReferenceUse
from crdscache.contexts.records import Kind, ManifestRow, Problem
from crdscache.errors import MappingError, MissingMappingError

# Of a reference that no rules name that are here; the server's catalogue has this word too.
_UNKNOWN = "unknown"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Disk:
    """A cache as it lies on disk, and the means to read it."""

    cache: Layout
    mode: Mode
    catalogue: Catalogue
    load: Load
    known: Mapping[str, Hashed] = field(default_factory=dict)  # what was hashed when, by name

    def lacks(self, context: str, holdings: Holdings, tolerated: frozenset[str]) -> list[str]:
        """Name what a context lacks of its rules, and of its references within the holdings."""
        whole = closure.walk(context, self.load)
        if not whole.is_whole:
            return sorted({problem.name for problem in whole.problems})
        if not holdings.parts:
            return []
        rows = [row for row in reference_rows([whole], whole, self, holdings) if row.is_held]
        found = layout.statuses(self.cache.root, (row.path for row in rows))
        return [
            row.name for row in rows if row.name not in tolerated and not _is_there(row, found.get(row.path))
        ]


def mapping_rows(
    closures: Sequence[Closure], default: Closure, disk: Disk, more: Iterable[str] = ()
) -> list[ManifestRow]:
    """List the mappings of any number of contexts, and `more`, in order of name; the default's are marked."""
    listed = sorted({name for one in closures for name in one.mappings}.union(more))
    held = set(default.mappings)
    where = disk.cache.relative(disk.cache.mappings)
    return [
        _row(name, Kind.MAPPING, ("", ""), where, disk.catalogue, is_held=name in held) for name in listed
    ]


def reference_rows(
    closures: Sequence[Closure],
    default: Closure,
    disk: Disk,
    holdings: Holdings,
    more: Iterable[str] = (),
) -> list[ManifestRow]:
    """List the references of any number of contexts, GEIS data files included, in order of name.

    What the default context needs, within the holdings, is marked.

    Parameters
    ----------
    more
        Names of other files to list; of those that are references, those whose place can be told.
    """
    rmaps = sorted({rmap for one in closures for rmap in one.rmaps})
    uses = closure.references(rmaps, disk.load)
    held = uses if rmaps == list(default.rmaps) else closure.references(default.rmaps, disk.load)
    named = {use.name: use for use in _named(set(more) - uses.keys(), held, disk)}
    uses = dict(sorted((uses | named).items())) if named else uses
    parts = {(use.instrument, use.reftype) for use in uses.values()}
    promised = {part for part in parts if holdings.cover(*part)}
    where = {
        instrument: disk.cache.relative(disk.cache.reference_directory(disk.mode, instrument))
        for instrument, _ in parts
    }
    listed = []
    for use in uses.values():
        if use.is_doubtful:
            logger.warning("placed by the rmap that names it name=%s instrument=%s", use.name, use.instrument)
        part = (use.instrument, use.reftype)
        is_held = use.name in held and part in promised
        listed.append(
            _row(use.name, Kind.REFERENCE, part, where[use.instrument], disk.catalogue, is_held=is_held)
        )
    return listed


def _named(wanted: Iterable[str], held: Mapping[str, ReferenceUse], disk: Disk) -> Iterator[ReferenceUse]:
    """Tell where references belong that no context of the run names: by the default, else by any rules."""
    by_rules: Mapping[str, ReferenceUse] | None = None
    for name in sorted(name for name in wanted if not names.is_mapping(name)):
        if name in held:
            yield held[name]
            continue
        if by_rules is None:
            by_rules = closure.references(_rmaps_here(disk), disk.load)
        instrument = names.instrument_of(name, disk.cache.observatory)
        if name in by_rules:
            yield by_rules[name]
        elif instrument is not None or disk.mode is Mode.FLAT:
            yield ReferenceUse(name, instrument or _UNKNOWN, _UNKNOWN)


def _rmaps_here(disk: Disk) -> Iterator[str]:
    for path in disk.cache.mappings.glob("[!.]*.rmap"):
        try:
            disk.load(path.name)
        except (MappingError, MissingMappingError):  # those that a context needs are told of there
            continue
        yield path.name


def problems_of_named(wanted: Iterable[str], listed: Iterable[ManifestRow], disk: Disk) -> Iterator[Problem]:
    """Tell which files that were named are mappings that are not whole, or references without a place."""
    placed = {row.name for row in listed}
    for name in wanted:
        if names.is_mapping(name):
            for lack in closure.walk(name, disk.load).problems[:1]:
                cure = f"not all that it names is here: --contexts {name} brings that too"
                yield Problem(name, lack.reason if lack.name == name else cure)
        elif name not in placed:
            yield Problem(name, "neither its name nor any rules that are here tell its instrument")


def _row(
    name: str, kind: Kind, part: tuple[str, str], where: str, catalogue: Catalogue, *, is_held: bool
) -> ManifestRow:
    record = catalogue.records.get(name)
    size_bytes, file_sha1 = (None, None) if record is None else (record.size_bytes, record.file_sha1)
    return ManifestRow(name, kind, *part, size_bytes, file_sha1, f"{where}/{name}", is_held)


def _is_there(row: ManifestRow, status: os.stat_result | None) -> bool:
    return status is not None and stat.S_ISREG(status.st_mode) and row.size_bytes in {None, status.st_size}
