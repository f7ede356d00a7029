"""What a purge would take away, found out before anything is: the estimate is the plan of the deed.

Source: docs/design.md, "Purge".
"""

import hashlib
import os
import stat
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from crdscache.cache import inventory, keep, trash
from crdscache.cache.answer import Answer
from crdscache.cache.keep import Kept
from crdscache.cache.manifest import Disk
from crdscache.contexts import closure, names
from crdscache.contexts.closure import Closure
from crdscache.contexts.records import Keeping, Kind, Problem, Purging, each_once
from crdscache.errors import MappingError, MissingMappingError

UNREACHED = "no kept context needs it"
DARK = "not in the catalogue"
REJECTED = "the server has rejected it"

_PER_CENT = 100


@dataclass(frozen=True, slots=True)
class PurgeRow:
    """One name that goes."""

    path: str  # as in the manifest
    kind: Kind
    instrument: str  # "" where nothing tells
    reftype: str
    why: str
    size_bytes: int  # of a link, its own
    frees_bytes: int  # what the disk gets back once the trash is empty
    inode: int
    n_links: int
    mtime_ns: int  # only to tell one file from another: no date decides anything

    @property
    def name(self) -> str:
        """The name without its directory."""
        return self.path.rpartition("/")[2]

    def is_of(self, status: os.stat_result) -> bool:
        """Tell whether what stands there is still what the estimate saw."""
        seen = self.inode, self.size_bytes, self.mtime_ns
        return seen == (status.st_ino, status.st_size, status.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class Share:
    """What of the plan a context reaches that is not kept; a file counts for each that names it."""

    context: str
    n_files: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Use:
    """Where a rejected reference of the cache is named."""

    reference: str
    rmap: str
    contexts: tuple[str, ...]  # those of the cache, in order of name
    goes: bool


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a purge would do, and what it rests on."""

    plan: str  # its id: the same as long as nothing has changed that the plan rests on
    kept: Kept
    rows: tuple[PurgeRow, ...]  # in the order in which they go
    left: tuple[Problem, ...]  # what stays though nothing needs it, and why
    n_files: int  # in the cache, with what goes
    size_bytes: int
    shares: tuple[Share, ...]
    uses: tuple[Use, ...]
    problems: tuple[Problem, ...]  # why nothing may go

    @property
    def goes_bytes(self) -> int:
        """Add up the lengths of what goes."""
        return sum(row.size_bytes for row in self.rows)

    @property
    def frees_bytes(self) -> int:
        """Add up what the disk gets back."""
        return sum(row.frees_bytes for row in self.rows)


def draw_up(disk: Disk, said: Answer, kept: Kept, purging: Purging, keeping: Keeping) -> Estimate:
    """Find what no kept context reaches, and what it frees. Nothing is written.

    Parameters
    ----------
    disk
        Its `load` must vouch for each mapping: what a wrong one leaves out would go.
    """
    found = _Survey(disk, said, kept, purging)
    rows = found.rows()
    made = Estimate(
        _id(rows, kept, purging),
        kept,
        tuple(rows),
        tuple(found.left()),
        len(found.entries),
        sum(entry.status.st_size for entry in found.entries),
        tuple(found.shares(rows)),
        tuple(found.uses({row.name for row in rows})),
        each_once((*kept.problems, *found.problems())),
    )
    return replace(made, problems=(*made.problems, *_over_cap(made, keeping.max_percent)))


def _id(rows: Sequence[PurgeRow], kept: Kept, purging: Purging) -> str:
    told = [repr((purging.mappings, purging.references, purging.rejected)), *kept.why]
    # Not by numbers of inodes: a copy of a cache has the same plan.
    told += [
        f"{row.path} {row.why} {row.size_bytes} {row.frees_bytes} {row.n_links} {row.mtime_ns}"
        for row in rows
    ]
    digest = hashlib.sha1("\n".join(told).encode(), usedforsecurity=False).hexdigest()
    return f"p{digest[:11]}"  # with a letter: snakemake would take digits for a number


def _over_cap(made: Estimate, percent: float) -> Iterator[Problem]:
    parts = ((len(made.rows), made.n_files, "files"), (made.goes_bytes, made.size_bytes, "bytes"))
    for goes, total, unit in parts:
        if goes * _PER_CENT > percent * total:
            share = goes * _PER_CENT / total
            found = f"{goes} of {total} {unit} would go: {share:.1f} %"
            cure = f"--max-purge {min(100, int(share) + 1)} allows it"
            yield Problem(made.plan, f"{found}, more than the {percent:g} % of max_purge; {cure}")
            return


@dataclass(frozen=True, slots=True)
class _Entry:
    path: str
    name: str
    is_mapping: bool  # by where it lies
    status: os.stat_result

    @property
    def inode(self) -> tuple[int, int]:
        return self.status.st_dev, self.status.st_ino

    @property
    def oddity(self) -> str:
        """Say why it is none of the files that a purge knows; nothing where it is one."""
        mode = self.status.st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
            return "it is no file"
        is_known = names.is_mapping(self.name) if self.is_mapping else names.is_reference(self.name)
        return "" if is_known else "its name is not that of a mapping or a reference"


class _Survey:
    """A cache as a purge sees it: what lies there, and what reaches it."""

    def __init__(self, disk: Disk, said: Answer, kept: Kept, purging: Purging) -> None:
        self._disk, self._said, self._purging = disk, said, purging
        self._names: dict[str, set[str]] = {}  # by rmap
        self._kept = {name: closure.walk(name, disk.load) for name in kept.why}
        others = [name for name in keep.local_contexts(disk.cache) if name not in kept.why]
        self._others = {name: closure.walk(name, disk.load) for name in others}
        self._wanted = self._named(self._kept.values())
        self._protected = self._named(self._kept[name] for name in kept.protected)
        self._mappings = {name for one in self._kept.values() for name in one.mappings}
        self._mappings.update(said.chosen.mappings)  # with --all, also what no context reaches
        self.entries = sorted(_entries(disk), key=lambda entry: entry.path)
        self._fates = {entry.path: self._fate(entry) for entry in self.entries}
        self._parts = self._parts_of({entry.name for entry in self.entries if self._fates[entry.path]})

    @property
    def _closures(self) -> dict[str, Closure]:
        return {**self._kept, **self._others}

    def problems(self) -> Iterator[Problem]:
        """Tell what is wrong with the rules of what is kept, or with where it lies."""
        for context, one in self._kept.items():
            for problem in one.problems:
                yield Problem(
                    problem.name, f"{problem.reason}; {context} is to be kept, so nothing is purged"
                )
        cache = self._disk.cache
        for branch in (cache.mappings, cache.references):
            if branch.is_symlink():
                where = f"it is a link to {branch.readlink()}: what lies there is not the cache's to remove"
                yield Problem(cache.relative(branch), where)

    def rows(self) -> list[PurgeRow]:
        """List what goes, roots before leaves: a context that is half gone must not be found."""
        goes = [entry for entry in self.entries if self._fates[entry.path]]
        frees = _frees(self._disk, goes)
        rows = [self._row(entry, frees[entry.path]) for entry in goes]
        return sorted(rows, key=lambda row: (names.depth(row.name), row.path))

    def left(self) -> Iterator[Problem]:
        """Tell what stays though nothing needs it."""
        for entry in self.entries:
            if self._fates[entry.path] or self._is_wanted(entry):
                continue
            if entry.oddity:
                yield Problem(entry.path, entry.oddity)
            elif entry.is_mapping and self._purging.mappings:
                yield Problem(entry.path, "the server does not list it, and could not bring it back")

    def shares(self, rows: Sequence[PurgeRow]) -> Iterator[Share]:
        """Tell what of the plan each context reaches that is not kept."""
        sizes = {row.name: row.size_bytes for row in rows}
        kept = {rmap for one in self._kept.values() for rmap in one.rmaps}
        goes_of: dict[str, set[str]] = {}
        for context, one in self._others.items():
            goes = {name for name in one.mappings if name in sizes}
            for rmap in set(one.rmaps) - kept:
                if rmap not in goes_of:
                    goes_of[rmap] = self._names_in(rmap) & sizes.keys()
                goes |= goes_of[rmap]
            yield Share(context, len(goes), sum(sizes[name] for name in goes))

    def uses(self, goes: set[str]) -> Iterator[Use]:
        """Tell where the rejected references of the cache are named."""
        references = (entry.name for entry in self.entries if not entry.is_mapping)
        here = set(filter(self._disk.catalogue.rejects, references))
        contexts: defaultdict[str, list[str]] = defaultdict(list)
        for context in sorted(self._closures) if here else ():
            for rmap in self._closures[context].rmaps:
                contexts[rmap].append(context)
        for rmap in sorted(contexts):
            for name in sorted(self._names_in(rmap) & here):
                yield Use(name, rmap, tuple(contexts[rmap]), name in goes)

    def _fate(self, entry: _Entry) -> str:
        """Say why something goes; nothing where it stays."""
        if entry.oddity:
            return ""
        if entry.is_mapping:
            is_dark = entry.name not in self._mappings and self._said.info.lists(entry.name)
            return UNREACHED if self._purging.mappings and is_dark else ""
        is_rejected = self._purging.rejected and self._disk.catalogue.rejects(entry.name)
        if is_rejected and entry.name not in self._protected:
            return REJECTED
        if not self._purging.references or entry.name in self._wanted:
            return ""
        return UNREACHED if entry.name in self._disk.catalogue.records else DARK

    def _is_wanted(self, entry: _Entry) -> bool:
        return entry.name in (self._mappings if entry.is_mapping else self._wanted)

    def _row(self, entry: _Entry, frees_bytes: int) -> PurgeRow:
        status = entry.status
        return PurgeRow(
            entry.path,
            Kind.MAPPING if entry.is_mapping else Kind.REFERENCE,
            *self._part(entry),
            self._fates[entry.path],
            status.st_size,
            frees_bytes,
            status.st_ino,
            status.st_nlink,
            status.st_mtime_ns,
        )

    def _part(self, entry: _Entry) -> tuple[str, str]:
        if entry.is_mapping:
            try:
                links = self._disk.load(entry.name)
            except (MappingError, MissingMappingError):
                return "", ""
            return links.instrument, links.reftype
        told = names.instrument_of(entry.name, self._disk.cache.observatory)
        instrument, reftype = self._parts.get(entry.name, ("", ""))
        return told or instrument, reftype

    def _parts_of(self, chosen: set[str]) -> dict[str, tuple[str, str]]:
        """Tell instrument and type of references by the first rmap that names them."""
        parts: dict[str, tuple[str, str]] = {}
        for rmap in sorted({rmap for one in self._closures.values() for rmap in one.rmaps}):
            links = self._disk.load(rmap)
            for name in self._names_in(rmap) & chosen:
                parts.setdefault(name, (links.instrument, links.reftype))
        return parts

    def _named(self, closures: Iterable[Closure]) -> set[str]:
        rmaps = {rmap for one in closures for rmap in one.rmaps}
        return set().union(*map(self._names_in, rmaps))

    def _names_in(self, rmap: str) -> set[str]:
        if rmap not in self._names:
            self._names[rmap] = closure.named(rmap, self._disk.load)
        return self._names[rmap]


def _entries(disk: Disk) -> Iterator[_Entry]:
    mappings = f"{disk.cache.relative(disk.cache.mappings)}/"
    for path, entry in inventory.entries(disk.cache, disk.mode):
        with suppress(FileNotFoundError):  # gone again
            status = entry.stat(follow_symlinks=False)
            yield _Entry(path, entry.name, path == f"{mappings}{entry.name}", status)


def _frees(disk: Disk, goes: Sequence[_Entry]) -> dict[str, int]:
    """Tell what the end of each name frees: of a file of several names the last, if none is elsewhere."""
    left = Counter(entry.inode for entry in goes)
    total = left.copy()
    if any(entry.status.st_nlink > 1 for entry in goes):
        total.update(trash.inodes(disk.cache))
    frees = {}
    for entry in goes:
        left[entry.inode] -= 1
        is_last = left[entry.inode] == 0 and total[entry.inode] >= entry.status.st_nlink
        frees[entry.path] = trash.allocated(entry.status) if is_last else 0
    return frees
